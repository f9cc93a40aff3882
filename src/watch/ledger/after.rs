//! What follows once the blocks of a view are judged: fold away what is final, next slots, participation. Pure.

use super::{Applied, Ledger, RECENT_KEPT};
use crate::chain::{Block, BlockRef};
use crate::rpc::View;

impl Ledger {
    /// Folds away what is final, and learns the id of the irreversible block.
    pub(super) fn settle(&mut self, view: &View, blocks: &[&Block]) {
        // Blocks are taken in only when linked: having arrived, nothing below can be of another fork.
        if self.newest_held().is_some_and(|num| num >= view.head.num) {
            self.now.refetch = None;
        }
        if self.now.refetch.is_some() {
            // What lies below may be of the fork being left: nothing of it is final.
            return;
        }
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
            .copied()
            .chain(&self.now.held)
            .map(reference)
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
        self.now.caught_up = if self.by_turns() {
            self.judged_to()
                .is_some_and(|to| to >= self.horizon(view.head_slot))
        } else {
            self.position()
                .is_some_and(|p| p.block.num >= view.head.num)
        };
        if self.now.caught_up || self.now.waits || applied.judged > 0 {
            self.now.idle = 0;
        } else {
            self.now.idle = self.now.idle.saturating_add(1);
        }
        let next = view.head.num.saturating_add(1);
        self.now.next_slot.clear();
        let by_turns = self.by_turns();
        let governing = if by_turns {
            self.state.versions.newest()
        } else {
            self.state.rounds.governing(next)
        };
        if let Some(schedule) = governing {
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
        let newest = || self.state.rounds.newest().filter(|_| !by_turns);
        if let Some(schedule) = governing.or_else(newest) {
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
        if std::mem::take(&mut self.now.moved) || self.now.shares.is_none() {
            self.now.shares = self.state.outcomes.shares(self.usual_slots());
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
