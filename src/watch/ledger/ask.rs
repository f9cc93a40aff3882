//! What the ledger asks for, and what it can answer from memory. Pure.

use super::Ledger;
use crate::chain::BlockId;
use crate::clock::Millis;

/// Blocks asked for per tick at most.
const BATCH: u64 = 45;
/// … but what is behind the view of the last tick and not more than this is asked for at once: ten minutes without a quorum are 200
/// blocks, and a switch that waits for them must not wait for five ticks more. Longer gaps close by [`BATCH`], so that
/// no endpoint is asked for so much again and again.
const CATCH_UP: u64 = 240;
/// The same where blocks are fast (chains with turns): up to so many behind, [`CATCH_UP`] are asked for in every tick. Ten
/// minutes are 1,200 blocks of half a second: five or six ticks, well within a turn of another.
const FAST_CATCH_UP: u64 = 1_440;
/// … and a fork there has them ask again for so many below it at first: hundreds are reversible.
const REFETCH: u64 = 48;

impl Ledger {
    /// Block numbers worth asking every endpoint for in the next tick (`now`: local clock; `viewed`: the last tick brought
    /// an agreed view).
    #[must_use]
    pub fn wanted(&self, now: Millis, viewed: bool) -> Vec<u64> {
        let since = now.saturating_sub(self.now.observed_at).max(0);
        let fresh = since
            .checked_div(self.rules.interval.max(1))
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(0)
            .saturating_add(2)
            .min(BATCH);
        let from = match self.newest_held() {
            Some(newest) => self.now.refetch.unwrap_or(newest).saturating_add(1),
            None => match (self.state.resume_at, &self.now.head) {
                (Some(at), _) => at,
                (None, Some(_)) => self.now.irreversible,
                (None, None) => return Vec::new(),
            },
        }
        .max(1);
        let most = from.saturating_add(BATCH - 1);
        // Right after a restart the head is not known: what is beyond it comes back as absent.
        let last = self.now.head.as_ref().map_or(most, |head| {
            let all = head.num.saturating_add(fresh);
            let at_once = from.saturating_add(CATCH_UP);
            if viewed && all < at_once {
                all
            } else if viewed && self.by_turns() && all < from.saturating_add(FAST_CATCH_UP) {
                at_once.saturating_sub(1)
            } else {
                all.min(most)
            }
        });
        let mut wanted: Vec<u64> = (from..=last).collect();
        let irreversible = self.now.irreversible;
        let known = self.state.irreversible.as_ref().map_or(0, |b| b.num);
        if irreversible > 0 && known < irreversible && irreversible < from {
            // Drafts need its id, and the position has not come there yet (or began later).
            if self.known(irreversible).is_none() {
                wanted.insert(0, irreversible);
            }
        } else if irreversible > 0
            && known < irreversible
            && wanted.last().is_some_and(|l| irreversible > *l)
        {
            wanted.push(irreversible);
        }
        wanted
    }

    /// The id of a judged block, as far back as the irreversible one, or of one that waits to be judged.
    #[must_use]
    pub fn known(&self, num: u64) -> Option<BlockId> {
        let first = self.state.recent.front()?.block.num;
        let index = usize::try_from(num.checked_sub(first)?).ok()?;
        let Some(judged) = self.state.recent.get(index) else {
            let held = index.checked_sub(self.state.recent.len())?;
            let block = self.now.held.get(held)?;
            return (block.num == num).then(|| block.id.clone());
        };
        (judged.block.num == num).then(|| judged.block.id.clone())
    }

    /// Number of the newest block judged or waiting to be.
    pub(super) fn newest_held(&self) -> Option<u64> {
        let position = self.position()?.block.num;
        Some(self.now.held.back().map_or(position, |b| b.num))
    }

    /// The block after which all blocks are asked for again when those after `ancestor` were on another fork.
    pub(super) fn refetch_after(&self, ancestor: u64) -> u64 {
        let first = self.state.recent.front().map_or(0, |j| j.block.num);
        if self.by_turns() {
            first.max(ancestor.saturating_sub(REFETCH))
        } else {
            first
        }
    }
}
