//! Counting one judged slot: for the chain, and for its owner under a key. Pure.

use super::chunks::List;
use super::rounds::Ownerless;
use super::slots::Outcome;
use super::track::{Miss, Signed};
use super::{Applied, Judged, Ledger, MissEvent};
use crate::chain::Block;
use crate::keys::PublicKey;

/// Producers to assume for participation until a schedule was read.
const USUAL_ROUND: usize = 21;

impl Ledger {
    /// Notes what became of a slot, for shares and turns.
    pub(super) fn outcome(
        &mut self,
        slot: u64,
        producer: Option<String>,
        key: Option<PublicKey>,
        produced: bool,
    ) {
        let outcome = Outcome {
            slot,
            producer,
            produced,
            key,
        };
        let round = self.usual_slots();
        self.state.outcomes.push(outcome, round);
        self.chunks.mark(List::Outcomes, slot);
        self.now.moved = true;
    }

    /// Slots of one pass over the schedule; until any is known, of the usual one.
    pub(super) fn usual_slots(&self) -> usize {
        let known = if self.by_turns() {
            self.state.versions.newest()
        } else {
            self.state.rounds.newest()
        };
        let turn = usize::try_from(self.rules.turn.max(1)).unwrap_or(1);
        known
            .map_or(USUAL_ROUND, |s| s.order.len())
            .saturating_mul(turn)
    }

    /// Block `judged` is the position now.
    pub(super) fn advance(&mut self, judged: Judged) {
        self.chunks.mark(List::Blocks, judged.block.num);
        self.state.recent.push_back(judged);
        self.chain_dirty = true;
    }

    /// Counts a missed slot; `key` is charged where the owner is watched.
    pub(super) fn miss(
        &mut self,
        missed: Ownerless,
        owner: Option<String>,
        key: Option<PublicKey>,
        applied: &mut Applied,
    ) {
        let owner = owner.filter(|name| self.watches(name));
        let record = self.state.slots.entry(missed.slot).or_default();
        let counts = record.miss(owner.clone().map(|name| (name, key)));
        self.chunks.mark(List::Slots, missed.slot);
        let state = &mut self.state;
        state.slots_total = state.slots_total.saturating_add(u64::from(counts.slot));
        state.missed_total = state.missed_total.saturating_add(u64::from(counts.missed));
        self.retract(counts.retracted);
        let Some(name) = owner else { return };
        let by_turns = self.by_turns();
        let track = self.dirty(&name);
        if counts.owner {
            track.count_miss(key);
        }
        let miss = Miss {
            slot: missed.slot,
            time: missed.time,
            before: missed.before,
            key,
        };
        track.strip.note(missed.time, missed.before, false);
        if by_turns {
            track.slips.push(miss);
        } else {
            track.add_miss(miss);
        }
        applied.misses.push(MissEvent {
            producer: name,
            key,
            slot: missed.slot,
            time: missed.time,
        });
    }

    /// Counts a filled slot.
    pub(super) fn fill(&mut self, block: &Block, slot: u64, key: Option<PublicKey>) {
        let record = self.state.slots.entry(slot).or_default();
        let counts = record.fill(&block.producer, &block.id);
        self.chunks.mark(List::Slots, slot);
        self.state.slots_total = self
            .state
            .slots_total
            .saturating_add(u64::from(counts.slot));
        self.retract(counts.retracted);
        if !self.watches(&block.producer) {
            return;
        }
        let track = self.dirty(&block.producer);
        if counts.producer {
            track.count_block(key);
        }
        if counts.conflict {
            track.conflicting = track.conflicting.saturating_add(1);
        }
        track.strip.note(block.time, block.num, true);
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
}
