//! The newest slots of one producer, for people: produced, missed, or not known. Nothing is decided by it. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::watch::{RecentSlot, SlotOutcome};

/// Slots remembered: an hour and more of a witness among 21, on any chain less than a kilobyte.
const KEPT: usize = 40;

/// The newest slots, ascending by time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Strip(VecDeque<Mark>);

/// Time of the slot, number of its block (of a missed one: of the block that stands after it), whether it was filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark(Millis, u64, bool);

// === impl Strip ===

impl Strip {
    /// Notes a slot; a late attribution finds its place.
    pub(super) fn note(&mut self, time: Millis, num: u64, produced: bool) {
        let mark = Mark(time, num, produced);
        let at = self.0.partition_point(|m| m.0 < time);
        match self.0.get_mut(at) {
            Some(same) if same.0 == time => *same = mark,
            _ => self.0.insert(at, mark),
        }
        while self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// Takes back what stands after block `ancestor`. True when that changed anything.
    pub(super) fn rollback(&mut self, ancestor: u64) -> bool {
        let before = self.0.len();
        self.0.retain(|m| m.1 <= ancestor);
        before != self.0.len()
    }

    /// Nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The slots, oldest first. What happened up to block `unknown_until` is partly unknown: one mark stands for that.
    pub(super) fn slots(&self, unknown_until: u64) -> Vec<RecentSlot> {
        let mut out = Vec::with_capacity(self.0.len().saturating_add(1));
        let mut before = None;
        for Mark(time, num, produced) in &self.0 {
            if before.is_some_and(|b| b <= unknown_until) && *num > unknown_until {
                out.push(RecentSlot {
                    time: *time,
                    outcome: SlotOutcome::Unknown,
                });
            }
            before = Some(*num);
            out.push(RecentSlot {
                time: *time,
                outcome: if *produced {
                    SlotOutcome::Produced
                } else {
                    SlotOutcome::Missed
                },
            });
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(strip: &Strip, unknown_until: u64) -> String {
        let slots = strip.slots(unknown_until);
        slots.iter().map(|s| s.outcome.letter()).collect()
    }

    #[test]
    fn a_fork_takes_back_a_late_miss_finds_its_place_and_old_ones_go() {
        let mut strip = Strip::default();
        assert!(strip.is_empty());
        for (time, num, produced) in [
            (3, 10, true),
            (9, 12, true),
            (6, 12, false),
            (12, 13, false),
        ] {
            strip.note(time, num, produced);
        }
        assert_eq!(drawn(&strip, 0), "pmpm");
        // The slot that was missed on one fork is filled on the other.
        assert!(strip.rollback(12) && !strip.rollback(12));
        strip.note(12, 13, true);
        assert_eq!(drawn(&strip, 0), "pmpp");
        // Blocks 11 and 12 were never seen.
        assert_eq!(drawn(&strip, 12), "pmp?p");
        assert_eq!(drawn(&strip, 13), "pmpp");
        for n in 0..100 {
            strip.note(20 + n, 20 + n.cast_unsigned(), n % 2 == 0);
        }
        assert_eq!(drawn(&strip, 0), "pm".repeat(KEPT / 2));
    }
}
