//! Where the ledger stands: it leaves dead forks, gives hopeless spans up, and begins at an anchor. Pure.

use super::after::reference;
use super::chunks::List;
use super::{Applied, Judged, Ledger, PATIENCE};
use crate::chain::{Block, BlockId};
use crate::rpc::View;

/// Heads remembered while the judged blocks are behind them.
const HEADS_KEPT: usize = 128;

impl Ledger {
    /// Takes back what was judged on a fork that the agreed view has left.
    pub(super) fn leave_fork(&mut self, view: &View, applied: &mut Applied) {
        self.now.refetch = None;
        let Some(position) = self.position().map(|j| j.block.num) else {
            return;
        };
        let heads = std::iter::once((view.head.num, &view.head.id));
        let first_wrong = view
            .blocks
            .iter()
            .filter(|b| b.num <= view.head.num)
            .flat_map(|b| {
                let parent = b.num.checked_sub(1).map(|n| (n, &b.previous));
                std::iter::once((b.num, &b.id)).chain(parent)
            })
            .chain(heads)
            .filter(|(num, id)| {
                self.known(*num).is_some_and(|known| known != **id) || self.read_elsewhere(*num, id)
            })
            .map(|(num, _)| num)
            .min();
        let Some(wrong) = first_wrong else {
            return;
        };
        let ancestor = wrong.saturating_sub(1);
        // A fork of blocks that only wait, or of heads at which something was read, takes nothing back.
        let undone = position.saturating_sub(ancestor);
        if undone > 0 {
            applied.reorg = Some(undone);
        }
        // What lies deeper may be wrong too: ask for it.
        self.now.refetch = Some(self.refetch_after(ancestor));
        self.rollback(ancestor);
        if self.state.recent.is_empty() {
            applied.odd = Some(format!(
                "block {wrong}, irreversible when judged, has another id now: the ledger begins anew there"
            ));
            self.state.irreversible = None;
            self.state.slots.clear();
            self.state.outcomes.clear();
            self.state.rounds.skip();
        }
    }

    /// Whether keys were read at another block of that number.
    fn read_elsewhere(&self, num: u64, id: &BlockId) -> bool {
        let mut heads = self.state.read_at.iter();
        heads.any(|read| read.0 == num && read.1 != *id)
    }

    /// Notes that keys are read at the head of `view`. Until a block of that number is judged, this tells of which fork they
    /// are.
    pub(super) fn read_at_head(&mut self, view: &View) {
        let head = (view.head.num, view.head.id.clone());
        let heads = &mut self.state.read_at;
        if !heads.contains(&head) {
            heads.push_back(head);
            if heads.len() > HEADS_KEPT {
                heads.pop_front();
            }
            self.chain_dirty = true;
        }
    }

    /// Heads that the judged blocks have come to were compared with them before that.
    pub(super) fn forget_heads(&mut self) {
        let judged = self.position().map_or(0, |j| j.block.num);
        self.state.read_at.retain(|read| read.0 > judged);
    }

    pub(super) fn rollback(&mut self, ancestor: u64) {
        self.state.read_at.retain(|read| read.0 <= ancestor);
        let held = &mut self.now.held;
        while held.back().is_some_and(|b| b.num > ancestor) {
            held.pop_back();
        }
        let recent = &mut self.state.recent;
        while recent.back().is_some_and(|j| j.block.num > ancestor) {
            recent.pop_back();
        }
        // The gap after the position stands only while the block after it does.
        let position = recent.back().map_or(0, |j| j.block.num);
        self.state.part.take_if(|_| ancestor <= position);
        let slot = match (&self.state.part, recent.back()) {
            (Some(part), _) => part.slot,
            (None, Some(judged)) => judged.slot,
            (None, None) => 0,
        };
        self.state.outcomes.rollback(slot);
        // The pieces that held what is gone beside what stays.
        self.chunks.mark(List::Blocks, position.saturating_add(1));
        self.chunks.mark(List::Outcomes, slot.saturating_add(1));
        self.state.rounds.rollback(ancestor);
        self.state.versions.rollback(ancestor);
        for (name, track) in &mut self.tracks {
            if track.rollback(ancestor) {
                self.dirty.insert(name.clone());
                self.touched.insert(name.clone());
            }
        }
        self.now.moved = true;
        self.chain_dirty = true;
    }

    /// Gives a span up that is longer than the window, or that no endpoint can show.
    pub(super) fn skip_if_hopeless(&mut self, view: &View, applied: &mut Applied) {
        let head = view.head.num;
        let window = self
            .rules
            .miss_window
            .checked_div(self.rules.interval.max(1))
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(0)
            .max(1);
        let at = match self.position() {
            Some(position) => position.block.num,
            None => match self.state.resume_at {
                Some(at) => at,
                None => {
                    self.state.resume_at = Some(view.irreversible);
                    self.chain_dirty = true;
                    return;
                }
            },
        };
        let resume_at = if head.saturating_sub(at) > window {
            head.saturating_sub(window)
        } else if self.now.idle >= PATIENCE && at < view.irreversible {
            view.irreversible
        } else {
            return;
        };
        self.now.idle = 0;
        applied.skipped = Some((at.saturating_add(1), resume_at));
        self.state.recent.clear();
        self.state.part = None;
        self.now.held.clear();
        self.state.slots.clear();
        self.state.outcomes.clear();
        self.state.rounds.skip();
        self.now.moved = true;
        self.state.resume_at = Some(resume_at);
        self.chain_dirty = true;
    }

    /// Begins at the first block of the newest linked run among `blocks`.
    pub(super) fn anchor(&mut self, blocks: &[&Block]) {
        let Some(clock) = self.now.clock else { return };
        let wanted = self.state.resume_at.unwrap_or(0);
        let mut run: Option<&Block> = None;
        for block in blocks.iter().rev().filter(|b| b.num >= wanted) {
            match run {
                Some(next)
                    if next.num != block.num.saturating_add(1) || next.previous != block.id =>
                {
                    break;
                }
                _ => run = Some(block),
            }
        }
        let Some(first) = run else { return };
        let Some(slot) = clock.slot_of_block(first) else {
            return;
        };
        self.advance(Judged {
            block: reference(first),
            slot,
        });
        self.state.unbroken_after = first.num;
        self.state.unknown_until = first.num;
        self.state.resume_at = None;
        self.chain_dirty = true;
        // What the anchor says of keys holds; its slot is not judged, for nobody knows what came before.
        self.learn_keys(first, first.time);
    }
}
