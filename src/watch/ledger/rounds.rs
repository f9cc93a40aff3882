//! Who had which slot: the schedules read so far and, for rounds whose schedule was not read in time, what their own
//! blocks prove. Never guesses. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chain::{Block, Schedule};
use crate::clock::Millis;

/// Schedules kept at most: rounds that a long backfill has yet to reach.
const SCHEDULES_KEPT: usize = 128;

/// Schedules and the round now being pieced together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rounds {
    schedules: Vec<Schedule>,
    open: Option<Open>,
}

/// A round whose schedule was not read: positions seen produced, and misses still without an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    /// Last block of the round.
    end: u64,
    /// Blocks, and so positions, of the round.
    len: u64,
    /// Who was seen producing at which position.
    seen: BTreeMap<u64, String>,
    /// Two producers at one position: the round is not what we take it for, nothing more is concluded.
    broken: bool,
    /// Missed slots without an owner so far.
    pending: Vec<Ownerless>,
}

/// A missed slot whose owner is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ownerless {
    /// Slot number.
    pub(super) slot: u64,
    /// Slot time.
    pub(super) time: Millis,
    /// Number of the block that stands after it.
    pub(super) before: u64,
}

/// What one block tells about the slots before it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Owners {
    /// Each missed slot right before the block, with its owner where known.
    pub(super) missed: Vec<(Ownerless, Option<String>)>,
    /// Earlier missed slots of the round whose owner is known now.
    pub(super) late: Vec<(Ownerless, String)>,
}

// === impl Rounds ===

impl Rounds {
    /// Takes in the schedules of a view; `judged` is the last block that needs none any more.
    pub(super) fn learn(&mut self, schedules: &[Schedule], judged: u64) {
        // A round has one order on one fork: what the view says replaces what a fork left unseen had said.
        self.schedules.retain(|old| {
            let mut same_round = schedules.iter().filter(|s| s.until == old.until).peekable();
            same_round.peek().is_none() || same_round.any(|s| s.order == old.order)
        });
        for schedule in schedules.iter().filter(|s| !s.order.is_empty()) {
            let known = self
                .schedules
                .iter_mut()
                .find(|s| s.until == schedule.until && s.order == schedule.order);
            match known {
                Some(s) => s.read_at = s.read_at.min(schedule.read_at),
                None => self.schedules.push(schedule.clone()),
            }
        }
        // The newest one stays even when over: it tells where rounds begin.
        let newest = self.newest().map(|s| s.until);
        self.schedules
            .retain(|s| s.until > judged || Some(s.until) == newest);
        let excess = self.schedules.len().saturating_sub(SCHEDULES_KEPT);
        self.schedules.sort_by_key(|s| s.until);
        self.schedules.drain(..excess);
    }

    /// The schedule of the latest round known.
    pub(super) fn newest(&self) -> Option<&Schedule> {
        self.schedules.iter().max_by_key(|s| (s.until, s.read_at))
    }

    /// The schedule that governs block `num`, when there is exactly one candidate.
    pub(super) fn governing(&self, num: u64) -> Option<&Schedule> {
        let mut found = self.schedules.iter().filter(|s| covers(s, num));
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// Who had the slots `gap` (all missed) before `block`, which fills slot `slot`.
    pub(super) fn owners(&mut self, block: &Block, slot: u64, gap: Vec<Ownerless>) -> Owners {
        let governing: Vec<&Schedule> = self
            .schedules
            .iter()
            .filter(|s| covers(s, block.num))
            .collect();
        if governing.is_empty() {
            return self.piece_together(block, slot, gap);
        }
        // The sanity of it all: the schedule must name the one who produced.
        let right: Vec<&Schedule> = governing
            .into_iter()
            .filter(|s| s.producer_of(slot) == Some(block.producer.as_str()))
            .collect();
        let owner = |slot: u64| -> Option<String> {
            let first = right.first()?.producer_of(slot)?;
            right
                .iter()
                .all(|s| s.producer_of(slot) == Some(first))
                .then(|| first.to_owned())
        };
        let missed = gap.into_iter().map(|g| (g, owner(g.slot))).collect();
        // A schedule that arrived in the middle of its round settles what was open in it.
        let mut late = Vec::new();
        if let Some(open) = self.open.take_if(|o| o.end == round_end(&right, block.num))
            && !open.broken
        {
            for pending in open.pending {
                if let Some(name) = owner(pending.slot) {
                    late.push((pending, name));
                }
            }
        }
        Owners { missed, late }
    }

    /// Without a schedule: the same position seen produced elsewhere in the same round names the owner.
    fn piece_together(&mut self, block: &Block, slot: u64, gap: Vec<Ownerless>) -> Owners {
        let unknown = |gap: Vec<Ownerless>| Owners {
            missed: gap.into_iter().map(|g| (g, None)).collect(),
            late: Vec::new(),
        };
        let Some((end, len)) = self.bounds(block.num) else {
            return unknown(gap);
        };
        let fresh = self
            .open
            .as_ref()
            .is_none_or(|o| (o.end, o.len) != (end, len));
        if fresh {
            self.open = Some(Open {
                end,
                len,
                seen: BTreeMap::new(),
                broken: false,
                pending: Vec::new(),
            });
        }
        let Some(open) = self.open.as_mut() else {
            return unknown(gap);
        };
        let position = |slot: u64| slot.checked_rem(len).unwrap_or(0);
        match open.seen.get(&position(slot)) {
            Some(name) if *name != block.producer => {
                open.broken = true;
                open.pending.clear();
            }
            Some(_) => {}
            None => {
                open.seen.insert(position(slot), block.producer.clone());
            }
        }
        if open.broken {
            return unknown(gap);
        }
        let mut owners = Owners::default();
        open.pending.retain(|p| {
            let same = position(p.slot) == position(slot);
            if same {
                owners.late.push((*p, block.producer.clone()));
            }
            !same
        });
        for missed in gap {
            let name = open.seen.get(&position(missed.slot)).cloned();
            if name.is_none() {
                open.pending.push(missed);
            }
            owners.missed.push((missed, name));
        }
        owners
    }

    /// End and length of the round that block `num` belongs to, by counting rounds from a known one.
    fn bounds(&self, num: u64) -> Option<(u64, u64)> {
        let known = self
            .schedules
            .iter()
            .filter(|s| s.turn <= 1 && !s.order.is_empty() && !outlasts_its_order(s))
            .min_by_key(|s| s.until.abs_diff(num))?;
        let len = u64::try_from(known.order.len()).ok()?;
        let end = if num > known.until {
            let rounds = num.checked_sub(known.until)?.div_ceil(len);
            known.until.checked_add(rounds.checked_mul(len)?)?
        } else {
            let rounds = known.until.checked_sub(num)?.checked_div(len)?;
            known.until.checked_sub(rounds.checked_mul(len)?)?
        };
        Some((end, len))
    }

    /// Forgets what was learned after block `ancestor` on another fork: a shuffle after it may have differed.
    pub(super) fn rollback(&mut self, ancestor: u64) {
        self.schedules
            .retain(|s| s.read_at <= ancestor || shuffled_at(s).is_some_and(|b| b <= ancestor));
        if let Some(open) = &mut self.open {
            if open.end.saturating_sub(open.len) > ancestor {
                self.open = None;
            } else {
                open.pending.retain(|p| p.before <= ancestor);
            }
        }
    }

    /// Forgets the round being pieced together: blocks were skipped.
    pub(super) fn skip(&mut self) {
        self.open = None;
    }
}

/// Whether `schedule` names the producers of block `num`: of the whole round it was read in, for a round is shuffled
/// once, at its first block.
fn covers(schedule: &Schedule, num: u64) -> bool {
    let from = shuffled_at(schedule).unwrap_or(schedule.read_at);
    num > from.min(schedule.read_at) && num <= schedule.until
}

/// The block that made the schedule, where rounds count blocks.
fn shuffled_at(schedule: &Schedule) -> Option<u64> {
    let len = u64::try_from(schedule.order.len()).ok()?;
    if schedule.turn > 1 {
        return None;
    }
    schedule.until.checked_sub(len)
}

/// Whether a round has more blocks than names, so that no round can be counted from it: on Golos a round is 21 blocks
/// however few are scheduled, on BitShares a maintenance changes their number in the middle of one.
fn outlasts_its_order(schedule: &Schedule) -> bool {
    let blocks = schedule.until.saturating_sub(schedule.read_at);
    usize::try_from(blocks).is_ok_and(|blocks| blocks > schedule.order.len())
}

fn round_end(right: &[&Schedule], num: u64) -> u64 {
    right.first().map_or(num, |s| s.until)
}
