//! The slot ledger: which slots passed, who had them, who filled them, and under which key one was missed.
//!
//! Pure: agreed views in, figures out; no I/O, no clock. Input is the chain's own record (block headers, the schedule,
//! key changes, readings of the registered key at heads), never a node's counter of missed blocks. What cannot be
//! attributed counts for the chain only.

mod after;
mod ask;
mod chunks;
mod count;
mod fork;
mod judge;
mod rounds;
mod rows;
#[cfg(test)]
mod sim;
mod slots;
mod state;
mod strip;
#[cfg(test)]
mod tests;
mod timeline;
mod track;
#[cfg(test)]
mod turncases;
mod turns;
#[cfg(test)]
mod turnsim;
#[cfg(test)]
mod turntests;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use self::chunks::Chunks;
use self::slots::SlotClock;
use self::state::{ChainState, Judged, Now};
use self::track::Track;
use super::{ChainSlots, KeyCounts, OthersSince, RecentSlot};
use crate::chain::{Block, BlockRef};
use crate::clock::Millis;
use crate::keys::PublicKey;
use crate::rpc::View;

pub use self::rows::RowError;

/// Reversible blocks remembered when finality stalls (Antelope before Savanna has some 330 at any time); deeper forks
/// restart the ledger at the irreversible block.
const RECENT_KEPT: usize = 512;
/// Views without the next block, while behind, before the span is given up: no endpoint has those blocks.
const PATIENCE: u32 = 60;

/// What the ledger watches and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRules {
    /// Time between slots in milliseconds.
    pub interval: Millis,
    /// Consecutive slots of one turn ([`crate::chain::Chain::turn`]). Above 1 slots are judged by turns, and
    /// schedules are known by their versions.
    pub turn: u32,
    /// Sliding window of misses in milliseconds.
    pub miss_window: Millis,
    /// Watch every producer that appears.
    pub watch_all: bool,
    /// Watched producers and their configured keys, whose counters exist from the start.
    pub watched: BTreeMap<String, Vec<PublicKey>>,
}

/// The ledger of one chain.
#[derive(Debug)]
pub struct Ledger {
    rules: LedgerRules,
    state: ChainState,
    tracks: BTreeMap<String, Track>,
    /// Producers whose rows differ from the saved ones.
    dirty: BTreeSet<String>,
    /// The chain row differs from the saved one.
    chain_dirty: bool,
    /// Pieces of the chain's long lists that differ from the saved ones.
    chunks: Chunks,
    /// Producers whose figures changed since [`Ledger::take_touched`].
    touched: BTreeSet<String>,
    /// Figures that follow from the last view.
    now: Now,
}

/// What one view changed, for the log.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Blocks judged.
    pub judged: u64,
    /// Misses of watched producers judged now, with the key charged.
    pub misses: Vec<MissEvent>,
    /// A fork was left: blocks taken back.
    pub reorg: Option<u64>,
    /// Blocks `first..=last` were skipped: what happened there stays unknown.
    pub skipped: Option<(u64, u64)>,
    /// Plain words when something about the view made no sense.
    pub odd: Option<String>,
}

/// A miss of a watched producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissEvent {
    /// Whose slot.
    pub producer: String,
    /// Key charged; `None` when not known.
    pub key: Option<PublicKey>,
    /// Slot number.
    pub slot: u64,
    /// Slot time.
    pub time: Millis,
}

/// What the ledger knows of one producer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Counters per key; `None` = unknown.
    pub keys: BTreeMap<Option<PublicKey>, KeyCounts>,
    /// Misses taken back by reorgs.
    pub retracted: u64,
    /// Conflicting blocks.
    pub conflicting: u64,
    /// The registered key by the newest evidence; on chains with schedule versions the effective one.
    pub key: Option<PublicKey>,
    /// Since when it is registered, as far as known.
    pub tenure_since: Option<Millis>,
    /// Misses in a row within the tenure. On chains with turns this, `run`, `window` and `unknown` are of empty turns: all
    /// slots of a turn of its own missed under the same key.
    pub consecutive: u32,
    /// Times of those misses, oldest first (of very long runs the middle is left out).
    pub run: Vec<Millis>,
    /// Times of the misses in the window within the tenure, oldest first.
    pub window: Vec<Millis>,
    /// Misses since its newest block whose key is not known.
    pub unknown: u32,
    /// Last miss within the tenure.
    pub last_missed: Option<Millis>,
    /// Newest block: number and slot time.
    pub last_block: Option<(u64, Millis)>,
    /// Next slot, when the schedule tells.
    pub next_slot: Option<Millis>,
    /// In the schedule in force.
    pub scheduled: bool,
    /// Participation of the others over two rounds.
    pub others_participation: Option<f64>,
    /// Which of the others still produce since `run` began.
    pub others_since_run: Option<OthersSince>,
    /// Its newest judged slots, oldest first.
    pub recent: Vec<RecentSlot>,
}

/// Dirty rows, to be saved in one transaction.
#[derive(Debug, Default)]
pub struct DirtyRows {
    /// Row key → JSON; an empty text removes the row.
    pub rows: Vec<(String, String)>,
    names: BTreeSet<String>,
}

// === impl Ledger ===

impl Ledger {
    /// An empty ledger: it begins at the irreversible block of the first view.
    #[must_use]
    pub fn new(rules: LedgerRules) -> Self {
        Self::with(
            rules,
            ChainState::default(),
            BTreeMap::new(),
            Chunks::default(),
        )
    }

    /// The ledger that was saved as `rows`.
    ///
    /// # Errors
    /// When a row is not what [`Ledger::dirty_rows`] wrote.
    pub fn restore(rules: LedgerRules, rows: &[(String, String)]) -> Result<Self, RowError> {
        let (state, tracks, chunks) = rows::read(rows)?;
        Ok(Self::with(rules, state, tracks, chunks))
    }

    fn with(
        rules: LedgerRules,
        state: ChainState,
        mut tracks: BTreeMap<String, Track>,
        chunks: Chunks,
    ) -> Self {
        let mut dirty = BTreeSet::new();
        for (name, keys) in &rules.watched {
            let track = tracks.entry(name.clone()).or_default();
            for key in keys {
                if track.create(Some(*key)) {
                    dirty.insert(name.clone());
                }
            }
        }
        Self {
            rules,
            state,
            touched: tracks.keys().cloned().collect(),
            tracks,
            dirty,
            chain_dirty: false,
            chunks,
            now: Now::default(),
        }
    }

    /// Takes in one agreed view: its fork, its readings, its schedules, its blocks.
    pub fn apply(&mut self, view: &View) -> Applied {
        let mut applied = Applied::default();
        self.now.head = Some(view.head.clone());
        self.now.observed_at = view.observed_at;
        self.now.irreversible = view.irreversible;
        self.now.clock = Some(SlotClock {
            time: view.head.time,
            slot: view.head_slot,
            interval: self.rules.interval.max(1),
        });
        self.leave_fork(view, &mut applied);
        if self.by_turns() {
            self.learn_versions(view);
        } else {
            self.read_keys(view);
            self.read_at_head(view);
            let floor = self.state.recent.front().map_or(0, |j| j.block.num);
            self.state.rounds.learn(&view.schedules, floor);
        }
        self.skip_if_hopeless(view, &mut applied);
        let blocks: Vec<&Block> = view
            .blocks
            .iter()
            .filter(|b| b.num < view.head.num || b.id == view.head.id)
            .collect();
        if self.state.recent.is_empty() {
            self.anchor(&blocks);
        }
        if self.by_turns() {
            self.judge_turns(&blocks, &mut applied);
        } else {
            self.judge_all(&blocks, &mut applied);
            self.forget_heads();
        }
        self.settle(view, &blocks);
        self.refresh(view, &applied);
        applied
    }

    /// The newest irreversible block whose id is known.
    #[must_use]
    pub fn irreversible(&self) -> Option<&BlockRef> {
        self.state.irreversible.as_ref()
    }

    /// Chain-wide figures.
    #[must_use]
    pub fn slots(&self) -> ChainSlots {
        ChainSlots {
            slots: self.state.slots_total,
            missed: self.state.missed_total,
            caught_up: self.now.caught_up,
            judged: self.position().map_or(0, |j| j.block.num),
            schedule_until: self.schedule_until(),
        }
    }

    /// Producers in the schedule in force.
    #[must_use]
    pub fn scheduled(&self) -> &BTreeSet<String> {
        &self.now.scheduled
    }

    /// Names with something in the ledger.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tracks.keys().map(String::as_str)
    }

    /// What is known of `producer`.
    #[must_use]
    pub fn figures(&self, producer: &str) -> Figures {
        let empty = Track::default();
        let track = self.tracks.get(producer).unwrap_or(&empty);
        let held = self.now.held.iter().rev();
        let newest = held
            .filter(|b| b.producer == producer)
            .map(|b| (b.num, b.time))
            .next();
        let tenure = track.tenure(
            self.window_start(),
            self.state.unknown_until,
            newest.map_or(0, |(num, _)| num),
        );
        let others_since_run = tenure.run.first().and_then(|time| {
            let since = self.now.clock?.slot_of(*time)?;
            let outcomes = &self.state.outcomes;
            outcomes.others_since(since, producer, self.usual_slots(), self.rules.turn)
        });
        Figures {
            keys: track.key_counts().collect(),
            retracted: track.retracted,
            conflicting: track.conflicting,
            key: tenure.key,
            tenure_since: tenure.since,
            consecutive: tenure.consecutive,
            run: tenure.run,
            window: tenure.window,
            unknown: tenure.unknown,
            last_missed: tenure.last_missed,
            last_block: newest.or_else(|| track.blocks.last().map(|b| (b.num, b.time))),
            next_slot: match (self.now.next_slot.get(producer), &self.now.clock) {
                (Some(slot), Some(clock)) => Some(clock.time_of(*slot)),
                _ => None,
            },
            scheduled: self.now.scheduled.contains(producer),
            others_participation: self.now.shares.as_ref().and_then(|s| s.without(producer)),
            others_since_run,
            recent: track.strip.slots(self.state.unknown_until),
        }
    }

    /// Producers whose figures may have changed since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.touched)
    }

    /// Rows that differ from the saved ones. Save them in one transaction, then call [`Ledger::saved`].
    #[must_use]
    pub fn dirty_rows(&self) -> DirtyRows {
        let mut rows: Vec<(String, String)> = self
            .dirty
            .iter()
            .filter_map(|name| rows::producer(name, self.tracks.get(name)?))
            .collect();
        // Bounds and pieces of the lists belong together: one of them never goes without the others.
        if self.chain_dirty || self.chunks.is_dirty() {
            rows.extend(rows::chain(&self.state));
            rows.extend(self.chunks.rows(&self.state));
        }
        DirtyRows {
            rows,
            names: self.dirty.clone(),
        }
    }

    /// The rows were saved; nothing was taken in since they were drawn up.
    pub fn saved(&mut self, saved: &DirtyRows) {
        if self.chain_dirty || self.chunks.is_dirty() {
            self.chunks.saved(&self.state);
        }
        for name in &saved.names {
            self.dirty.remove(name);
        }
        self.chain_dirty = false;
    }

    fn position(&self) -> Option<&Judged> {
        self.state.recent.back()
    }

    fn watches(&self, producer: &str) -> bool {
        self.rules.watch_all || self.rules.watched.contains_key(producer)
    }

    fn window_start(&self) -> Millis {
        self.now.head.as_ref().map_or(Millis::MIN, |h| {
            h.time.saturating_sub(self.rules.miss_window)
        })
    }

    fn touch(&mut self, producer: &str) -> &mut Track {
        if !self.touched.contains(producer) {
            self.touched.insert(producer.to_owned());
        }
        self.tracks.entry(producer.to_owned()).or_default()
    }

    fn dirty(&mut self, producer: &str) -> &mut Track {
        if !self.dirty.contains(producer) {
            self.dirty.insert(producer.to_owned());
        }
        self.touch(producer)
    }
}
