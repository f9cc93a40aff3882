//! How the ledger takes in a view: note keys, judge the slots that the next block settles, fold away what is final.
//! Pure.

use super::rounds::Ownerless;
use super::slots::{Outcome, SlotRecord};
use super::timeline::Around;
use super::track::{Miss, Signed};
use super::{Applied, Judged, Ledger, MissEvent, RECENT_KEPT};
use crate::chain::{Block, BlockRef};
use crate::keys::PublicKey;
use crate::rpc::View;

/// Longest gap between two blocks whose slots are judged one by one; beyond it (a chain that stood still for days) the
/// slots count for the chain only.
const LONGEST_GAP: u64 = 100_000;

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
            let Some(slot) = clock.slot_of(block.time) else {
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
                self.chain_dirty = true;
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

    fn note_key(&mut self, name: &str, after: u64, key: PublicKey, time: i64) {
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
            .slot_of(block.time)
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
            gap.extend((before.slot.saturating_add(1)..slot).map(|slot| Ownerless {
                slot,
                time: clock.time_of(slot),
                before: block.num,
            }));
        }
        let round = self.state.rounds.usual_slots();
        let owners = self.state.rounds.owners(block, slot, gap);
        for (late, name) in owners.late {
            self.state.outcomes.name(late.slot, &name);
            // Its slot was counted when it was judged, maybe too long ago to be remembered.
            let slots = &mut self.state.slots;
            slots
                .entry(late.slot)
                .or_insert_with(SlotRecord::judged_missed);
            self.miss(late, Some(name), ahead, applied);
        }
        for (missed, name) in owners.missed {
            self.state.outcomes.push(
                Outcome {
                    slot: missed.slot,
                    producer: name.clone(),
                    produced: false,
                },
                round,
            );
            self.miss(missed, name, ahead, applied);
        }
        self.state.outcomes.push(
            Outcome {
                slot,
                producer: Some(block.producer.clone()),
                produced: true,
            },
            round,
        );
        self.fill(block, slot, ahead);
        for (name, key) in &block.key_changes {
            if self.watches(name) {
                self.note_key(name, block.num, *key, block.time);
            }
        }
        self.state.recent.push_back(Judged {
            block: reference(block),
            slot,
        });
        self.chain_dirty = true;
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

    fn miss(
        &mut self,
        missed: Ownerless,
        owner: Option<String>,
        ahead: &[&Block],
        applied: &mut Applied,
    ) {
        let owner = owner.filter(|name| self.watches(name));
        let key = owner
            .as_ref()
            .and_then(|name| self.key_before(name, missed, ahead));
        let record = self.state.slots.entry(missed.slot).or_default();
        let counts = record.miss(owner.clone().map(|name| (name, key)));
        let state = &mut self.state;
        state.slots_total = state.slots_total.saturating_add(u64::from(counts.slot));
        state.missed_total = state.missed_total.saturating_add(u64::from(counts.missed));
        self.retract(counts.retracted);
        let Some(name) = owner else { return };
        let track = self.dirty(&name);
        if counts.owner {
            track.count_miss(key);
        }
        track.add_miss(Miss {
            slot: missed.slot,
            time: missed.time,
            before: missed.before,
            key,
        });
        applied.misses.push(MissEvent {
            producer: name,
            key,
            slot: missed.slot,
            time: missed.time,
        });
    }

    fn fill(&mut self, block: &Block, slot: u64, ahead: &[&Block]) {
        let record = self.state.slots.entry(slot).or_default();
        let counts = record.fill(&block.producer, &block.id);
        self.state.slots_total = self
            .state
            .slots_total
            .saturating_add(u64::from(counts.slot));
        self.retract(counts.retracted);
        if !self.watches(&block.producer) {
            return;
        }
        let here = Ownerless {
            slot,
            time: block.time,
            before: block.num,
        };
        let key = block
            .signing_key
            .or_else(|| self.key_before(&block.producer, here, ahead));
        let track = self.dirty(&block.producer);
        if counts.producer {
            track.count_block(key);
        }
        if counts.conflict {
            track.conflicting = track.conflicting.saturating_add(1);
        }
        track.blocks.push(Signed {
            num: block.num,
            time: block.time,
        });
    }

    fn retract(&mut self, producer: Option<String>) {
        if let Some(name) = producer {
            let track = self.dirty(&name);
            track.retracted = track.retracted.saturating_add(1);
        }
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

    /// Folds away what is final, and learns the id of the irreversible block.
    pub(super) fn settle(&mut self, view: &View, blocks: &[&Block]) {
        let recent = &mut self.state.recent;
        while recent.len() > RECENT_KEPT
            || recent
                .get(1)
                .is_some_and(|j| j.block.num <= view.irreversible)
        {
            recent.pop_front();
        }
        if let Some(floor) = recent.front().map(|j| j.slot) {
            // Slots up to the irreversible block cannot be judged again.
            self.state.slots = self.state.slots.split_off(&floor.saturating_add(1));
        }
        let judged = recent.front().map(|j| &j.block);
        let newest = blocks
            .iter()
            .map(|b| reference(b))
            .chain(judged.cloned())
            .filter(|b| b.num <= view.irreversible)
            .max_by_key(|b| b.num);
        let known = self.state.irreversible.as_ref().map_or(0, |b| b.num);
        if let Some(newest) = newest.filter(|b| b.num > known) {
            self.state.irreversible = Some(newest);
            self.chain_dirty = true;
        }
        let window_start = self.window_start();
        for name in &self.dirty {
            if let Some(track) = self.tracks.get_mut(name) {
                track.fold(view.irreversible, window_start);
            }
        }
    }

    /// What follows from the view: caught up or not, next slots, participation.
    pub(super) fn refresh(&mut self, view: &View, applied: &Applied) {
        let position = self.position().map(|j| j.block.num);
        self.now.caught_up = position.is_some_and(|p| p >= view.head.num);
        // Blocks are judged only when linked: having arrived, nothing below can be of another fork.
        self.now.refetch &= !self.now.caught_up;
        if self.now.caught_up || applied.judged > 0 {
            self.now.idle = 0;
        } else {
            self.now.idle = self.now.idle.saturating_add(1);
        }
        let next = view.head.num.saturating_add(1);
        self.now.next_slot.clear();
        if let Some(schedule) = self.state.rounds.governing(next) {
            // Rounds count blocks: at least as many slots as blocks are left belong to this round.
            let left = schedule.until.saturating_sub(view.head.num);
            let pass = u64::try_from(schedule.order.len())
                .unwrap_or(0)
                .saturating_mul(u64::from(schedule.turn.max(1)));
            for ahead in (1..=left.min(pass)).rev() {
                let slot = view.head_slot.saturating_add(ahead);
                if let Some(name) = schedule.producer_of(slot) {
                    self.now.next_slot.insert(name.to_owned(), slot);
                }
            }
        }
        let in_force = self
            .state
            .rounds
            .governing(next)
            .or_else(|| self.state.rounds.newest());
        if let Some(schedule) = in_force {
            let same = schedule.order.len() == self.now.scheduled.len()
                && schedule
                    .order
                    .iter()
                    .all(|n| self.now.scheduled.contains(n));
            if !same {
                let old = std::mem::take(&mut self.now.scheduled);
                self.now.scheduled = schedule.order.iter().cloned().collect();
                self.touched.extend(old);
            }
        }
        if applied.judged > 0 || applied.reorg.is_some() || self.now.shares.is_none() {
            let round = self.state.rounds.usual_slots();
            self.now.shares = self.state.outcomes.shares(round);
        }
    }
}

pub(super) fn reference(block: &Block) -> BlockRef {
    BlockRef {
        num: block.num,
        id: block.id.clone(),
        time: block.time,
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
