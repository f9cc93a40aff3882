//! How the ledger takes in a view where every block settles the slots before it: note keys, judge. Pure.

use super::after::reference;
use super::chunks::List;
use super::rounds::Ownerless;
use super::slots::SlotRecord;
use super::timeline::Around;
use super::{Applied, Judged, Ledger};
use crate::chain::Block;
use crate::keys::PublicKey;
use crate::rpc::View;

/// Longest gap between two blocks whose slots are judged one by one; beyond it (a chain that stood still for days) the
/// slots count for the chain only.
pub(super) const LONGEST_GAP: u64 = 100_000;

impl Ledger {
    /// Notes blocks that any single endpoint shows near the head, agreed or not: two ids at one slot by one producer
    /// are the sufficient sign of a copied key.
    pub fn sight(&mut self, blocks: &[Block]) {
        let (Some(clock), Some(floor)) =
            (self.now.clock, self.state.recent.front().map(|j| j.slot))
        else {
            return;
        };
        for block in blocks {
            let Some(slot) = clock.slot_of_block(block) else {
                continue;
            };
            if !self.watches(&block.producer)
                || slot <= floor
                || slot > clock.slot.saturating_add(2)
            {
                continue;
            }
            let record = self.state.slots.entry(slot).or_default();
            if record.sight(&block.producer, &block.id) {
                self.chunks.mark(List::Slots, slot);
                let track = self.dirty(&block.producer);
                track.conflicting = track.conflicting.saturating_add(1);
            }
        }
    }

    /// Notes the registered keys that the view reads at its head.
    pub(super) fn read_keys(&mut self, view: &View) {
        for (name, agreed) in &view.producers {
            let Some(state) = agreed.state.as_ref().filter(|_| !agreed.settling) else {
                continue;
            };
            if self.watches(name) {
                self.note_key(name, view.head.num, state.registered_key, view.head.time);
            }
        }
    }

    pub(super) fn note_key(&mut self, name: &str, after: u64, key: PublicKey, time: i64) {
        let track = self.tracks.entry(name.to_owned()).or_default();
        let moved = track.timeline.note(after, key, time);
        let created = track.create(Some(key));
        if moved || created {
            self.dirty(name);
        }
    }

    /// Judges every block that follows the position, in order.
    pub(super) fn judge_all(&mut self, blocks: &[&Block], applied: &mut Applied) {
        for (index, block) in blocks.iter().enumerate() {
            let Some(position) = self.position() else {
                return;
            };
            if block.num <= position.block.num {
                continue;
            }
            if block.num != position.block.num.saturating_add(1)
                || block.previous != position.block.id
            {
                return;
            }
            let ahead = blocks.get(index..).unwrap_or_default();
            if let Err(odd) = self.judge(block, ahead, applied) {
                applied.odd = Some(odd);
                return;
            }
        }
    }

    fn judge(
        &mut self,
        block: &Block,
        ahead: &[&Block],
        applied: &mut Applied,
    ) -> Result<(), String> {
        let (Some(clock), Some(before)) = (self.now.clock, self.position().cloned()) else {
            return Ok(());
        };
        let slot = clock
            .slot_of_block(block)
            .filter(|s| *s > before.slot)
            .ok_or_else(|| {
                format!(
                    "block {} stands at the slot of the block before it or earlier; it is not judged",
                    block.num
                )
            })?;
        // The signer's own key first: it says which key was registered just before this block.
        self.learn_keys(block, before.block.time);
        let gap_len = slot.saturating_sub(before.slot).saturating_sub(1);
        let mut gap = Vec::new();
        if gap_len > LONGEST_GAP {
            self.state.slots_total = self.state.slots_total.saturating_add(gap_len);
            self.state.missed_total = self.state.missed_total.saturating_add(gap_len);
            self.state.outcomes.clear();
            applied.odd = Some(format!(
                "{gap_len} slots passed before block {}: they count for the chain only",
                block.num
            ));
        } else {
            // Counted back from the block: slots that the chain leaves out lie before all of them.
            gap.extend(
                (before.slot.saturating_add(1)..slot).map(|missed| Ownerless {
                    slot: missed,
                    time: clock.time_before(block.time, slot.saturating_sub(missed)),
                    before: block.num,
                }),
            );
        }
        let owners = self.state.rounds.owners(block, slot, gap);
        for (late, name) in owners.late {
            self.state.outcomes.name(late.slot, &name);
            self.chunks.mark(List::Outcomes, late.slot);
            // Its slot was counted when it was judged, maybe too long ago to be remembered.
            let slots = &mut self.state.slots;
            slots
                .entry(late.slot)
                .or_insert_with(SlotRecord::judged_missed);
            let key = self.key_charged(Some(&name), late, ahead);
            self.miss(late, Some(name), key, applied);
        }
        for (missed, name) in owners.missed {
            let key = self.key_charged(name.as_deref(), missed, ahead);
            self.outcome(missed.slot, name.clone(), None, false);
            self.miss(missed, name, key, applied);
        }
        self.outcome(slot, Some(block.producer.clone()), None, true);
        let here = Ownerless {
            slot,
            time: block.time,
            before: block.num,
        };
        let key = block
            .signing_key
            .or_else(|| self.key_charged(Some(&block.producer), here, ahead));
        self.fill(block, slot, key);
        for (name, key) in &block.key_changes {
            if self.watches(name) {
                self.note_key(name, block.num, *key, block.time);
            }
        }
        self.advance(Judged {
            block: reference(block),
            slot,
        });
        applied.judged = applied.judged.saturating_add(1);
        Ok(())
    }

    /// The key that signed `block` was registered after the one before it.
    pub(super) fn learn_keys(&mut self, block: &Block, previous_time: i64) {
        if let (Some(key), true) = (block.signing_key, self.watches(&block.producer)) {
            let after = block.num.saturating_sub(1);
            self.note_key(&block.producer, after, key, previous_time);
        }
    }

    /// The key to charge a slot to, of an owner that is watched.
    fn key_charged(
        &mut self,
        owner: Option<&str>,
        slot: Ownerless,
        ahead: &[&Block],
    ) -> Option<PublicKey> {
        let name = owner.filter(|name| self.watches(name))?;
        self.key_before(name, slot, ahead)
    }

    /// The key that `name` had registered when the slot passed: after the block before `slot.before`.
    fn key_before(&mut self, name: &str, slot: Ownerless, ahead: &[&Block]) -> Option<PublicKey> {
        let after = slot.before.saturating_sub(1);
        let unbroken_after = self.state.unbroken_after;
        let (left, right) = match self.tracks.get(name)?.timeline.around(after) {
            Around::Known(key) => return Some(key),
            Around::Between(left, right) => (left, right),
        };
        match (left, right) {
            // Every block since was judged and none changed it.
            (Some(left), _) if left.to >= unbroken_after => Some(left.key),
            (Some(left), Some(right)) if left.key == right.key => Some(left.key),
            (_, Some(right)) if unchanged(name, slot.before, right.from, ahead) => {
                self.note_key(name, after, right.key, slot.time);
                Some(right.key)
            }
            _ => None,
        }
    }
}

/// Whether `ahead` shows every block `from..=to` and none of them changes the key of `name`.
fn unchanged(name: &str, from: u64, to: u64, ahead: &[&Block]) -> bool {
    let mut expected = from;
    for block in ahead.iter().skip_while(|b| b.num < from) {
        if expected > to {
            break;
        }
        if block.num != expected || block.key_changes.iter().any(|(n, _)| n == name) {
            return false;
        }
        expected = expected.saturating_add(1);
    }
    expected > to
}
