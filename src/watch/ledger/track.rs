//! What the ledger holds of one watched producer: counters per key that never fall, and the recent misses and blocks
//! from which everything within the tenure follows. Pure.

use serde::{Deserialize, Serialize};

use super::strip::Strip;
use super::timeline::Timeline;
use crate::clock::Millis;
use crate::keys::PublicKey;
use crate::watch::KeyCounts;

/// The first misses of a run are kept however old: they say since when a fault stands.
const RUN_HEAD: usize = 16;

/// One producer's part of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Track {
    /// Registered keys over time.
    pub(super) timeline: Timeline,
    /// Counters per key; `None` = the key of these misses is not known.
    pub(super) counts: Vec<(Option<PublicKey>, u64, u64)>,
    /// Misses that a reorg took back.
    pub(super) retracted: u64,
    /// Second block ids seen at a slot of this producer.
    pub(super) conflicting: u64,
    /// Misses standing on the judged fork, ascending; older ones are folded away. On chains with turns: empty turns, by
    /// their last slot.
    pub(super) misses: Vec<Miss>,
    /// On chains with turns, missed slots standing on the judged fork: every reversible one and the newest before them,
    /// ascending. They count for nothing but the time of the last miss.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) slips: Vec<Miss>,
    /// Blocks standing on the judged fork: every reversible one and the newest before them, ascending.
    pub(super) blocks: Vec<Signed>,
    /// Misses of the run that were folded away.
    pub(super) older: Older,
    /// The newest slots, for people.
    #[serde(default, skip_serializing_if = "Strip::is_empty")]
    pub(super) strip: Strip,
}

/// One missed slot, or one empty turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Miss {
    /// Slot number.
    pub(super) slot: u64,
    /// Slot time.
    pub(super) time: Millis,
    /// Number of the block that stands after it.
    pub(super) before: u64,
    /// The key registered when the slot passed; `None` when that is not known.
    pub(super) key: Option<PublicKey>,
}

/// One block by the producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signed {
    /// Block number.
    pub(super) num: u64,
    /// Slot time.
    pub(super) time: Millis,
}

/// Misses in a row that are no longer listed one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Older {
    /// How many.
    pub(super) count: u32,
    /// The block of the producer that this run came after (0: none): the count holds only while it is its newest.
    pub(super) run_after: u64,
    /// First block of the tenure they belong to.
    pub(super) tenure_from: u64,
}

/// What the track says of the current tenure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tenure {
    /// The registered key by the newest evidence.
    pub(super) key: Option<PublicKey>,
    /// Chain time since when.
    pub(super) since: Option<Millis>,
    /// Misses since the producer's newest block, oldest first: the first [`RUN_HEAD`] and all recent ones.
    pub(super) run: Vec<Millis>,
    /// All misses since the producer's newest block.
    pub(super) consecutive: u32,
    /// Misses inside the window, oldest first.
    pub(super) window: Vec<Millis>,
    /// Misses since the newest block whose key is not known and could be the current one.
    pub(super) unknown: u32,
    /// Time of the last miss.
    pub(super) last_missed: Option<Millis>,
}

// === impl Track ===

impl Track {
    /// Makes the counters of `key` exist.
    pub(super) fn create(&mut self, key: Option<PublicKey>) -> bool {
        let missing = !self.counts.iter().any(|(k, ..)| *k == key);
        if missing {
            self.counts.push((key, 0, 0));
        }
        missing
    }

    /// Counts one miss under `key`.
    pub(super) fn count_miss(&mut self, key: Option<PublicKey>) {
        self.create(key);
        if let Some((_, missed, _)) = self.counts.iter_mut().find(|(k, ..)| *k == key) {
            *missed = missed.saturating_add(1);
        }
    }

    /// Counts one block under `key`.
    pub(super) fn count_block(&mut self, key: Option<PublicKey>) {
        self.create(key);
        if let Some((.., produced)) = self.counts.iter_mut().find(|(k, ..)| *k == key) {
            *produced = produced.saturating_add(1);
        }
    }

    /// The counters as published.
    pub(super) fn key_counts(&self) -> impl Iterator<Item = (Option<PublicKey>, KeyCounts)> {
        self.counts
            .iter()
            .map(|&(key, missed, produced)| (key, KeyCounts { missed, produced }))
    }

    /// Adds a standing miss (late attributions may come out of order).
    pub(super) fn add_miss(&mut self, miss: Miss) {
        let at = self.misses.partition_point(|m| m.slot < miss.slot);
        if self.misses.get(at).is_none_or(|m| m.slot != miss.slot) {
            self.misses.insert(at, miss);
        }
    }

    /// The newest block of the producer, number 0 when there is none.
    fn newest(&self) -> u64 {
        self.blocks.last().map_or(0, |b| b.num)
    }

    /// Takes back what stands after block `ancestor`. True when that changed anything.
    pub(super) fn rollback(&mut self, ancestor: u64) -> bool {
        let lengths = |t: &Self| (t.misses.len(), t.slips.len(), t.blocks.len());
        let before = lengths(self);
        self.misses.retain(|m| m.before <= ancestor);
        self.slips.retain(|m| m.before <= ancestor);
        self.blocks.retain(|b| b.num <= ancestor);
        let strip = self.strip.rollback(ancestor);
        let keys = self.timeline.rollback(ancestor);
        strip || keys || before != lengths(self)
    }

    /// Folds away what can no longer matter: blocks before the newest irreversible one, and irreversible misses that
    /// have left the window.
    pub(super) fn fold(&mut self, irreversible: u64, window_start: Millis) {
        let final_blocks = self.blocks.partition_point(|b| b.num <= irreversible);
        self.blocks.drain(..final_blocks.saturating_sub(1));
        let final_slips = self.slips.partition_point(|m| m.before <= irreversible);
        self.slips.drain(..final_slips.saturating_sub(1));
        let run_after = self.newest();
        let tenure = self.timeline.current().copied();
        let mut place_in_run = 0usize;
        let mut folded = 0u32;
        self.misses.retain(|m| {
            let in_run = m.before > run_after
                && tenure.is_some_and(|t| m.key == Some(t.key) && m.before > t.from);
            if in_run {
                place_in_run = place_in_run.saturating_add(1);
            }
            let old = m.before <= irreversible && m.time <= window_start;
            let drop = old && !(in_run && place_in_run <= RUN_HEAD);
            if drop && in_run {
                folded = folded.saturating_add(1);
            }
            !drop
        });
        if folded > 0 {
            let tenure_from = tenure.map_or(0, |t| t.from);
            if (self.older.run_after, self.older.tenure_from) != (run_after, tenure_from) {
                self.older = Older {
                    count: 0,
                    run_after,
                    tenure_from,
                };
            }
            self.older.count = self.older.count.saturating_add(folded);
        }
    }

    /// The current tenure. Misses up to block `unknown_until` are in no run: what came between is not known. `seen`: its
    /// newest block that is not judged yet (0: none).
    pub(super) fn tenure(&self, window_start: Millis, unknown_until: u64, seen: u64) -> Tenure {
        let Some(span) = self.timeline.current() else {
            return Tenure {
                unknown: u32::try_from(self.misses.len()).unwrap_or(u32::MAX),
                ..Tenure::default()
            };
        };
        let run_after = self.newest();
        let floor = run_after.max(unknown_until).max(seen);
        let ours = |m: &&Miss| m.key == Some(span.key) && m.before > span.from;
        let run: Vec<Millis> = self
            .misses
            .iter()
            .filter(ours)
            .filter(|m| m.before > floor)
            .map(|m| m.time)
            .collect();
        let same_run = self.older.run_after == run_after && self.older.tenure_from == span.from;
        let older = if same_run && !run.is_empty() {
            self.older.count
        } else {
            0
        };
        let last = |list: &[Miss]| list.iter().rev().find(ours).map(|m| m.time);
        let maybe_ours = floor.max(self.timeline.previous_end());
        Tenure {
            key: Some(span.key),
            since: Some(span.since),
            consecutive: u32::try_from(run.len())
                .unwrap_or(u32::MAX)
                .saturating_add(older),
            run,
            window: self
                .misses
                .iter()
                .filter(ours)
                .map(|m| m.time)
                .filter(|t| *t > window_start)
                .collect(),
            unknown: self
                .misses
                .iter()
                .filter(|m| m.key.is_none() && m.before > maybe_ours)
                .count()
                .try_into()
                .unwrap_or(u32::MAX),
            last_missed: last(&self.misses).max(last(&self.slips)),
        }
    }
}
