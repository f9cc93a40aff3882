//! Judging by turns (Antelope): the position trails the agreed head, so that the micro-forks of a hand-over are settled
//! before a slot is counted. Blocks in between wait in memory. Schedules, owners and keys come from versions. Pure.

use std::sync::Arc;

use super::after::reference;
use super::judge::LONGEST_GAP;
use super::rounds::Ownerless;
use super::state::{Judged, Part};
use super::track::Miss;
use super::versions::{self, Effective, Ruling};
use super::{Applied, Ledger};
use crate::chain::{Block, Schedule};
use crate::keys::PublicKey;
use crate::rpc::View;

/// Slots that must pass after a turn before it is judged: 3 s of half-second blocks. The next producer may not have heard
/// of the last blocks of a turn; whether they stand shows with its first ones.
pub(super) const MARGIN: u64 = 6;
/// A block newer than every reading of the schedule is judged without one when the head is so many blocks ahead of it: a
/// minute of half-second blocks, in which no reading has succeeded.
const SCHEDULE_PATIENCE: u64 = 120;

impl Ledger {
    /// Whether slots are judged by turns, and schedules known by versions.
    pub(super) fn by_turns(&self) -> bool {
        self.rules.turn > 1
    }

    /// The last slot that may be judged when the head stands at `head_slot`.
    pub(super) fn horizon(&self, head_slot: u64) -> u64 {
        let turn = u64::from(self.rules.turn.max(1));
        let over = head_slot.saturating_sub(MARGIN).saturating_add(1);
        // Turns before this slot are over for MARGIN slots.
        let next_turn = over.saturating_sub(over.checked_rem(turn).unwrap_or(0));
        next_turn.saturating_sub(1)
    }

    /// The last slot judged.
    pub(super) fn judged_to(&self) -> Option<u64> {
        let position = self.position()?.slot;
        Some(self.state.part.as_ref().map_or(position, |p| p.slot))
    }

    /// The last block whose slots have an owner by the newest schedule known.
    pub(super) fn schedule_until(&self) -> Option<u64> {
        if self.by_turns() {
            self.state.versions.reaches()
        } else {
            self.state.rounds.newest().map(|s| s.until)
        }
    }

    /// Takes in the schedules of a view, and the effective keys that they name.
    pub(super) fn learn_versions(&mut self, view: &View) {
        let judged = self.state.recent.front().map_or(0, |j| j.block.num);
        let newest = view.blocks.last().or(self.now.held.back());
        let timed = newest.map(|block| block.schedule_version.is_none());
        let (told, new) = self.state.versions.learn(view, timed);
        self.chain_dirty |= new;
        self.state.versions.forget(judged);
        self.note_effective(told, view.head.num, view.head.time);
        let Some(newest) = self.state.versions.newest().cloned() else {
            return;
        };
        // Who is in no schedule has the registered key in effect: it would be the one to sign.
        for (name, agreed) in &view.producers {
            if let Some(state) = agreed.state.as_ref().filter(|_| !agreed.settling)
                && self.watches(name)
                && !newest.order.contains(name)
            {
                self.note_key(name, view.head.num, state.effective_key, view.head.time);
            }
        }
    }

    /// Notes effective keys; block `num` has chain time `time`.
    fn note_effective(&mut self, told: Vec<Effective>, num: u64, time: i64) {
        for Effective { after, keys } in told {
            let back = i64::try_from(num.saturating_sub(after)).unwrap_or(0);
            // Exact but for missed slots between: what a tenure's beginning is shown with.
            let time = time.saturating_sub(back.saturating_mul(self.rules.interval));
            for (name, key) in keys {
                if self.watches(&name) {
                    self.note_key(&name, after, key, time);
                }
            }
        }
    }

    /// Takes in the blocks of a view and judges what belongs to turns that are over.
    pub(super) fn judge_turns(&mut self, blocks: &[&Block], applied: &mut Applied) {
        self.hold(blocks, applied);
        let mut versions = std::mem::take(&mut self.state.versions);
        versions.link(|num| self.known(num), self.now.irreversible);
        self.state.versions = versions;
        self.now.waits = false;
        let Some(head) = self.now.clock.map(|clock| clock.slot) else {
            return;
        };
        let horizon = self.horizon(head);
        while self.judged_to().is_some_and(|to| to < horizon) {
            let Some(block) = self.now.held.front().cloned() else {
                return;
            };
            match self.judge_turn_block(&block, horizon, applied) {
                Ok(true) => {
                    self.now.held.pop_front();
                }
                Ok(false) => return,
                Err(odd) => {
                    applied.odd = Some(odd);
                    return;
                }
            }
        }
    }

    /// Keeps the agreed blocks that follow the newest known one.
    fn hold(&mut self, blocks: &[&Block], applied: &mut Applied) {
        for block in blocks {
            let Some(position) = self.position() else {
                return;
            };
            let (num, id) = match self.now.held.back() {
                Some(last) => (last.num, &last.id),
                None => (position.block.num, &position.block.id),
            };
            if block.num != num.saturating_add(1) || block.previous != *id {
                continue;
            }
            let first = self.now.held.is_empty();
            let other = |part: &Part| first && part.next != block.id;
            if self.state.part.as_ref().is_some_and(other) {
                // After a restart: the gap that was judged ends at another block now.
                let position = position.block.num;
                self.rollback(position);
                applied.reorg = applied.reorg.or(Some(0));
            }
            self.now.held.push_back((*block).clone());
        }
    }

    /// Judges the gap before `block` as far as `horizon`, and the block itself when its slot is not beyond. True when it
    /// was judged.
    fn judge_turn_block(
        &mut self,
        block: &Block,
        horizon: u64,
        applied: &mut Applied,
    ) -> Result<bool, String> {
        let (Some(clock), Some(position), Some(head)) = (
            self.now.clock,
            self.position().cloned(),
            self.now.head.as_ref().map(|h| h.num),
        ) else {
            return Ok(false);
        };
        let slot = clock
            .slot_of_block(block)
            .filter(|s| *s > position.slot)
            .ok_or_else(|| {
                format!(
                    "block {} stands at the slot of the block before it or earlier; it is not judged",
                    block.num
                )
            })?;
        let rulers = match self.ruling(block, slot, slot) {
            Ruling::OneOf(rulers) => rulers,
            Ruling::NotYet if head.saturating_sub(block.num) < SCHEDULE_PATIENCE => {
                self.now.waits = true;
                return Ok(false);
            }
            Ruling::NotYet => Vec::new(),
        };
        if let Some(number) = block.schedule_version
            && !rulers.is_empty()
        {
            let told = self.state.versions.made_under(number, block.num);
            self.note_effective(told, block.num, block.time);
        }
        let from = self.judged_to().unwrap_or(0).saturating_add(1);
        let to = slot.saturating_sub(1).min(horizon);
        let gap = to.saturating_add(1).saturating_sub(from);
        if gap > LONGEST_GAP {
            self.state.slots_total = self.state.slots_total.saturating_add(gap);
            self.state.missed_total = self.state.missed_total.saturating_add(gap);
            self.state.outcomes.clear();
            self.now.moved = true;
            applied.odd = Some(format!(
                "{gap} slots passed before block {}: they count for the chain only",
                block.num
            ));
        } else {
            for missed in from..=to {
                let rulers = match self.ruling(block, slot, missed) {
                    Ruling::OneOf(rulers) => rulers,
                    Ruling::NotYet => Vec::new(),
                };
                let missed = Ownerless {
                    slot: missed,
                    time: clock.time_of(missed),
                    before: block.num,
                };
                self.miss_in_turn(missed, &rulers, applied);
            }
        }
        self.chain_dirty = true;
        if slot > horizon {
            self.state.part = Some(Part {
                slot: horizon,
                next: block.id.clone(),
            });
            return Ok(false);
        }
        self.outcome(slot, Some(block.producer.clone()), None, true);
        let key = block
            .signing_key
            .or_else(|| versions::key_of(&rulers, &block.producer));
        self.fill(block, slot, key);
        self.state.part = None;
        self.advance(Judged {
            block: reference(block),
            slot,
        });
        applied.judged = applied.judged.saturating_add(1);
        Ok(true)
    }

    /// What rules `slot`, which is that of `block` or was missed right before it; `block` stands at `at`.
    ///
    /// Headers that carry a version carry that of the state before them (Leap). Without (Savanna) the slot's own time
    /// decides: a version is in force from the first slot of a turn on, whichever block comes first (spring
    /// `block_header_state.cpp`, `get_active_proposer_policy_for_block_at`).
    fn ruling(&self, block: &Block, at: u64, slot: u64) -> Ruling {
        let turn = u64::from(self.rules.turn.max(1));
        let same_turn = slot.checked_div(turn) == at.checked_div(turn);
        let ruling = match block.schedule_version {
            Some(number) => self.state.versions.numbered(number),
            None => {
                let (last, first) = self.heads_around(block, slot);
                self.state.versions.between(last, first)
            }
        };
        match ruling {
            // The sanity of it all: the schedule must name the one who produced.
            Ruling::OneOf(mut rulers) if same_turn || block.schedule_version.is_some() => {
                rulers.retain(|s| s.producer_of(at) == Some(block.producer.as_str()));
                Ruling::OneOf(rulers)
            }
            other => other,
        }
    }

    /// Which heads' states bound the version of the turn of `slot`: the last block up to the end of that turn, and the
    /// first one from its beginning on. `block` is the next to be judged, and `slot` not after it.
    fn heads_around(&self, block: &Block, slot: u64) -> (u64, u64) {
        let turn = u64::from(self.rules.turn.max(1));
        let begin = slot.saturating_sub(slot.checked_rem(turn).unwrap_or(0));
        let end = begin.saturating_add(turn);
        let before = block.num.saturating_sub(1);
        let slot_of = |b: &Block| self.now.clock.and_then(|clock| clock.slot_of_block(b));
        let inside = |b: &&Block| slot_of(b).is_some_and(|s| s < end);
        let last = self.now.held.iter().take_while(inside).last();
        let judged = self.state.recent.iter().rev();
        let first = judged.take_while(|j| j.slot >= begin).last();
        (
            last.map_or(before, |b| b.num),
            first.map_or(block.num, |j| j.block.num),
        )
    }

    /// Counts a missed slot, and the turn when it was the last slot of an empty one.
    fn miss_in_turn(&mut self, missed: Ownerless, rulers: &[Arc<Schedule>], applied: &mut Applied) {
        let owner = versions::owner(rulers, missed.slot);
        let watched = owner.clone().filter(|name| self.watches(name));
        let key = watched
            .as_ref()
            .and_then(|name| versions::key_of(rulers, name));
        self.outcome(missed.slot, owner.clone(), key, false);
        self.miss(missed, owner, key, applied);
        if let (Some(name), Some(key)) = (watched, self.empty_turn(missed.slot)) {
            self.dirty(&name).add_miss(Miss {
                slot: missed.slot,
                time: missed.time,
                before: missed.before,
                key,
            });
        }
    }

    /// Whether `slot` is the last one of a turn of which every slot was missed, all by one owner; and under which key:
    /// `Some(None)` when that is not known. A turn under two keys was nobody's whole turn.
    fn empty_turn(&self, slot: u64) -> Option<Option<PublicKey>> {
        let turn = u64::from(self.rules.turn.max(1));
        if slot.checked_add(1)?.checked_rem(turn)? != 0 {
            return None;
        }
        let length = usize::try_from(turn).ok()?;
        let mut expected = slot;
        let mut keys: Vec<Option<PublicKey>> = Vec::new();
        let mut owner: Option<&str> = None;
        for outcome in self.state.outcomes.iter().rev().take(length) {
            let same = outcome.producer.as_deref()?;
            let another = owner.is_some_and(|name| name != same);
            if outcome.slot != expected || outcome.produced || another {
                return None;
            }
            owner = Some(same);
            expected = expected.checked_sub(1)?;
            if !keys.contains(&outcome.key) {
                keys.push(outcome.key);
            }
        }
        if slot.saturating_sub(expected) != turn {
            return None;
        }
        match keys.as_slice() {
            [one] => Some(*one),
            [None, _] | [_, None] => Some(None),
            _ => None,
        }
    }
}
