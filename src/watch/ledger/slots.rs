//! Slots above the irreversible block, as already counted (so that a fork neither counts twice nor forgets to take
//! back), and the outcomes of the last two rounds. Pure.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::chain::{Block, BlockId};
use crate::clock::Millis;
use crate::keys::PublicKey;
use crate::watch::OthersSince;

/// Outcomes kept beyond two rounds, so that a fork of usual depth leaves two whole rounds standing.
const SPARE_OUTCOMES: usize = 64;
/// Block ids remembered per slot: more than two already say everything.
const IDS_PER_SLOT: usize = 8;

/// What was counted for one reversible slot, whatever fork is judged now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SlotRecord {
    /// Counted in the chain's slots.
    counted: bool,
    /// Counted in the chain's missed slots.
    missed: bool,
    /// The miss that counts now: whose, and under which key.
    miss: Option<(String, Option<PublicKey>)>,
    /// Blocks seen at the slot, on any fork and at any endpoint.
    blocks: Vec<Seen>,
}

/// One block seen at a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    producer: String,
    id: BlockId,
    counted: bool,
}

/// Counts that change when a slot is judged missed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MissCounts {
    /// One more slot of the chain.
    pub(super) slot: bool,
    /// One more missed slot of the chain.
    pub(super) missed: bool,
    /// One more miss for the owner.
    pub(super) owner: bool,
    /// One miss taken back from this producer (the fork gave the slot to another, or another key).
    pub(super) retracted: Option<String>,
}

/// Counts that change when a slot is judged filled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BlockCounts {
    /// One more slot of the chain.
    pub(super) slot: bool,
    /// One more block for the producer.
    pub(super) producer: bool,
    /// One more conflicting block of the producer.
    pub(super) conflict: bool,
    /// One miss taken back from this producer.
    pub(super) retracted: Option<String>,
}

/// One judged slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// Slot number.
    pub(super) slot: u64,
    /// Whose slot it was, when known.
    pub(super) producer: Option<String>,
    /// Filled.
    pub(super) produced: bool,
    /// The key charged, on chains with turns (their empty turns are told from here).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<PublicKey>,
}

/// The newest judged slots, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outcomes(VecDeque<Outcome>);

/// Sums over the last two rounds.
#[derive(Debug, Clone, Default)]
pub(super) struct Shares {
    filled: u32,
    total: u32,
    by_producer: BTreeMap<String, (u32, u32)>,
}

// === impl SlotRecord ===

impl SlotRecord {
    /// A slot that was counted as missed, without an owner, before.
    pub(super) fn judged_missed() -> Self {
        Self {
            counted: true,
            missed: true,
            ..Self::default()
        }
    }

    /// Judges the slot missed.
    pub(super) fn miss(&mut self, owner: Option<(String, Option<PublicKey>)>) -> MissCounts {
        let mut counts = MissCounts {
            slot: !std::mem::replace(&mut self.counted, true),
            missed: !std::mem::replace(&mut self.missed, true),
            ..MissCounts::default()
        };
        // An owner that is not known now takes nothing back: the slot is as missed as before.
        if owner.is_some() && self.miss != owner {
            counts.retracted = std::mem::replace(&mut self.miss, owner).map(|(name, _)| name);
            counts.owner = true;
        }
        counts
    }

    /// Judges the slot filled by `id`.
    pub(super) fn fill(&mut self, producer: &str, id: &BlockId) -> BlockCounts {
        let slot = !std::mem::replace(&mut self.counted, true);
        let retracted = self.miss.take().map(|(name, _)| name);
        let conflict = self.sight(producer, id);
        let mut of_producer = self.blocks.iter_mut().filter(|b| b.producer == producer);
        let producer = !of_producer.any(|b| b.counted);
        if let Some(seen) = self.blocks.iter_mut().find(|b| b.id == *id) {
            seen.counted = true;
        }
        BlockCounts {
            slot,
            producer,
            conflict,
            retracted,
        }
    }

    /// Notes a block seen at the slot. True when its producer has another one there.
    pub(super) fn sight(&mut self, producer: &str, id: &BlockId) -> bool {
        if self.blocks.iter().any(|b| b.id == *id) || self.blocks.len() >= IDS_PER_SLOT {
            return false;
        }
        let conflict = self.blocks.iter().any(|b| b.producer == producer);
        self.blocks.push(Seen {
            producer: producer.to_owned(),
            id: id.clone(),
            counted: false,
        });
        conflict
    }
}

// === impl Outcomes ===

impl Outcomes {
    /// Adds a judged slot; keeps what two rounds of `round` slots need.
    pub(super) fn push(&mut self, outcome: Outcome, round: usize) {
        self.0.push_back(outcome);
        let keep = round.saturating_mul(2).saturating_add(SPARE_OUTCOMES);
        while self.0.len() > keep {
            self.0.pop_front();
        }
    }

    /// Names the owner of a slot that is known only now.
    pub(super) fn name(&mut self, slot: u64, producer: &str) {
        if let Some(outcome) = self.0.iter_mut().find(|o| o.slot == slot) {
            outcome.producer = Some(producer.to_owned());
        }
    }

    /// The slots, ascending.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Outcome> {
        self.0.iter()
    }

    /// Takes back every slot after `slot`.
    pub(super) fn rollback(&mut self, slot: u64) {
        while self.0.back().is_some_and(|o| o.slot > slot) {
            self.0.pop_back();
        }
    }

    /// Forgets everything: slots were skipped.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Sums over the last two rounds of `round` slots; `None` when fewer were judged.
    pub(super) fn shares(&self, round: usize) -> Option<Shares> {
        let wanted = round.checked_mul(2).filter(|w| *w > 0)?;
        let skip = self.0.len().checked_sub(wanted)?;
        let mut shares = Shares::default();
        for outcome in self.0.iter().skip(skip) {
            let filled = u32::from(outcome.produced);
            shares.filled = shares.filled.saturating_add(filled);
            shares.total = shares.total.saturating_add(1);
            if let Some(name) = &outcome.producer {
                let of = shares.by_producer.entry(name.clone()).or_default();
                *of = (of.0.saturating_add(filled), of.1.saturating_add(1));
            }
        }
        Some(shares)
    }

    /// The others by their newest turn (of `turn` slots, one on most chains) after `since`, within the last two rounds of
    /// `round` slots: what was produced before a fork, or before an outage of everybody, says nothing about now. One
    /// block in a turn is enough: the last ones of a turn may well be lost at the hand-over, time and again. Slots without
    /// an owner are left out: they may be the producer's own. `None` when no other had a slot.
    pub(super) fn others_since(
        &self,
        since: u64,
        producer: &str,
        round: usize,
        turn: u32,
    ) -> Option<OthersSince> {
        let mut newest: BTreeMap<&str, (Option<u64>, bool)> = BTreeMap::new();
        for outcome in self.0.iter().rev().take(round.saturating_mul(2)) {
            if outcome.slot <= since {
                break;
            }
            match outcome.producer.as_deref() {
                Some(name) if name != producer => {
                    let of = outcome.slot.checked_div(u64::from(turn));
                    let (its, filled) = newest.entry(name).or_insert((of, false));
                    *filled |= *its == of && outcome.produced;
                }
                _ => {}
            }
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (!newest.is_empty()).then(|| OthersSince {
            producing: count(newest.values().filter(|(_, filled)| *filled).count()),
            of: count(newest.len()),
        })
    }
}

impl FromIterator<Outcome> for Outcomes {
    fn from_iter<I: IntoIterator<Item = Outcome>>(slots: I) -> Self {
        Self(slots.into_iter().collect())
    }
}

// === impl Shares ===

impl Shares {
    /// Share of slots filled by all but `producer`; `None` when all slots were its own.
    pub(super) fn without(&self, producer: &str) -> Option<f64> {
        let (filled, total) = self.by_producer.get(producer).copied().unwrap_or_default();
        let total = self.total.checked_sub(total).filter(|t| *t > 0)?;
        Some(f64::from(self.filled.saturating_sub(filled)) / f64::from(total))
    }
}

/// Converts between slot times and slot numbers, by the agreed head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotClock {
    /// Head time.
    pub(super) time: Millis,
    /// Head slot.
    pub(super) slot: u64,
    /// Time between slots.
    pub(super) interval: Millis,
}

// === impl SlotClock ===

impl SlotClock {
    /// The slot that begins at `time`.
    pub(super) fn slot_of(&self, time: Millis) -> Option<u64> {
        let back = self.time.checked_sub(time)?.checked_div(self.interval)?;
        self.slot.checked_add_signed(back.checked_neg()?)
    }

    /// The slot of `block`: its own word where slots do not follow from times alone.
    pub(super) fn slot_of_block(&self, block: &Block) -> Option<u64> {
        block.slot.or_else(|| self.slot_of(block.time))
    }

    /// When the slot began that lies `slots` before one that begins at `time`, none left out between.
    pub(super) fn time_before(&self, time: Millis, slots: u64) -> Millis {
        let back = i64::try_from(slots).unwrap_or(i64::MAX);
        time.saturating_sub(self.interval.saturating_mul(back))
    }

    /// When `slot` begins.
    pub(super) fn time_of(&self, slot: u64) -> Millis {
        let ahead = i128::from(slot)
            .saturating_sub(i128::from(self.slot))
            .saturating_mul(i128::from(self.interval))
            .saturating_add(i128::from(self.time));
        Millis::try_from(ahead).unwrap_or(Millis::MAX)
    }
}
