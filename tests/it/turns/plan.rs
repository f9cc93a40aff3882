//! What one run plays, the dice that decide it, and what is kept of it.

use std::collections::BTreeMap;

use slotkeeper::chain::{Protocol, Schedule};
use slotkeeper::devnet::antelope::Finality;
use slotkeeper::keys::PublicKey;

/// One run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) protocol: Protocol,
    pub(super) seed: u64,
    /// Turns of alice to play.
    pub(super) turns: usize,
    /// Whether nobody may answer for several rounds.
    pub(super) silences: bool,
    pub(super) finality: Finality,
}

impl Plan {
    pub(super) fn of(protocol: Protocol, seed: u64) -> Self {
        Self {
            protocol,
            seed,
            turns: 1_000,
            silences: false,
            finality: Finality::Leap,
        }
    }

    pub(super) fn others(&self) -> usize {
        match self.protocol {
            Protocol::Antelope => 3,
            // A round is 21 blocks however few are scheduled; with fewer its beginning would not be known.
            Protocol::Golos => 20,
            _ => 10,
        }
    }

    pub(super) fn interval_ms(&self) -> u64 {
        if self.turn() > 1 { 500 } else { 3_000 }
    }

    /// Slots of one pass over the schedule.
    pub(super) fn round(&self) -> u64 {
        (self.others() as u64 + 1) * self.turn()
    }

    pub(super) fn turn(&self) -> u64 {
        if self.protocol == Protocol::Antelope {
            12
        } else {
            1
        }
    }
}

/// What comes and goes with the saved rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub(super) rows: BTreeMap<String, String>,
    /// The misses told, by slot.
    pub(super) misses: BTreeMap<u64, (String, Option<PublicKey>)>,
    /// Schedules that agreed views named.
    pub(super) read: Vec<Read>,
}

/// A schedule that was read.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) schedule: Schedule,
    /// Where schedules are numbered: number and id of the blocks between which it was read.
    pub(super) heads: Vec<(u64, Option<String>)>,
}

/// Counts of what was done to the exporter.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    pub(super) ticks: usize,
    pub(super) blind: usize,
    pub(super) restarts: usize,
    pub(super) kills: usize,
    pub(super) reorgs: usize,
}

/// A small seeded generator (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }
}
