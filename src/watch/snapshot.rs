//! The latest picture of one chain: what metrics, guard, status page and decisions read. Immutable once published.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Millis;
use crate::keys::PublicKey;
use crate::rpc::{Disagreement, EndpointStatus, View};

/// The published picture of one chain after one tick.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Value of the label `chain`.
    pub chain: String,
    /// When the tick ended, local clock.
    pub tick_at: Millis,
    /// Ticks since start.
    pub tick: u64,
    /// The agreed view of this tick, or why there is none.
    pub agreement: Result<Arc<View>, Disagreement>,
    /// The newest agreed view, however old (status and metrics; decisions use `agreement`).
    pub last_view: Option<Arc<View>>,
    /// Agreed id of the newest irreversible block known: the reference block of drafts.
    pub irreversible: Option<crate::chain::BlockRef>,
    /// Providers configured, and how many must agree.
    pub providers: usize,
    /// Providers that must agree.
    pub quorum: usize,
    /// Every endpoint's standing, in configured order.
    pub endpoints: Vec<EndpointStatus>,
    /// Chain-wide ledger figures.
    pub slots: ChainSlots,
    /// Finality keys by producer, as last agreed; empty where the chain has none (Savanna has).
    pub finalizers: Arc<BTreeMap<String, crate::chain::Finalizer>>,
    /// Who stands for election, as last agreed (Antelope).
    pub election: Option<Arc<crate::chain::Election>>,
    /// Every watched producer, by name.
    pub producers: BTreeMap<String, Arc<ProducerSnapshot>>,
    /// Saves of the ledger that failed since start.
    pub store_failures: u64,
}

/// Chain-wide figures of the ledger.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChainSlots {
    /// Slots judged.
    pub slots: u64,
    /// Of them missed.
    pub missed: u64,
    /// True when the ledger has judged every slot up to the agreed head; on chains with turns, every slot of turns that
    /// are over by a margin.
    pub caught_up: bool,
    /// Number of the last block judged.
    pub judged: u64,
    /// Last block of the newest schedule known: beyond it slots have no owner until the next one is read.
    pub schedule_until: Option<u64>,
}

/// One watched producer.
#[derive(Debug, Clone)]
pub struct ProducerSnapshot {
    /// Agreed state; `None` before the first agreed reading or when the chain does not know it.
    pub state: Option<crate::chain::ProducerState>,
    /// When `state` was read, chain time of the head it belongs to.
    pub state_time: Option<Millis>,
    /// True while endpoints at different heads differ about it.
    pub settling: bool,
    /// Misses and blocks per signing key. `None` key = "unknown" (never acts).
    pub keys: BTreeMap<Option<PublicKey>, KeyCounts>,
    /// Misses that a reorg took back.
    pub retracted: u64,
    /// Misses in a row within the current tenure, up to now. On chains with turns (Antelope) this and `window_missed` count
    /// empty turns: all slots of a turn missed under the same key.
    pub consecutive_missed: u32,
    /// Misses in the sliding window within the current tenure.
    pub window_missed: u32,
    /// Slot time of the last miss within the current tenure.
    pub last_missed: Option<Millis>,
    /// Chain time since when the registered key is registered, as far as known.
    pub tenure_since: Option<Millis>,
    /// Last block seen of it: number and slot time.
    pub last_block: Option<(u64, Millis)>,
    /// Its next slot, chain time, when the schedule tells.
    pub next_slot: Option<Millis>,
    /// In the schedule in force.
    pub scheduled: bool,
    /// Fault of the registered key, by the one definition.
    pub fault: Fault,
    /// Since when (chain time of the miss that made it) the fault stands.
    pub fault_since: Option<Millis>,
    /// Participation over the last two rounds without this producer; `None` when the ledger is shorter, and for
    /// producers without keys.
    pub others_participation: Option<f64>,
    /// Which other producers still produce since its current run of misses began; `None` without such a run, before any
    /// of them had a slot since, and for producers without keys.
    pub others_since_run: Option<OthersSince>,
    /// Health of the node of each configured key that has one.
    pub nodes: BTreeMap<PublicKey, NodeHealth>,
    /// Readiness of each configured key as a switch target.
    pub ready: BTreeMap<PublicKey, Readiness>,
    /// Since when (local clock) no standby has been ready; `None` while one is.
    pub no_ready_standby_since: Option<Millis>,
    /// Keys that alone suffice for a switch, per authority (`alice`, or `alice@failover`), as far as agreed.
    pub active_keys: BTreeMap<String, Vec<PublicKey>>,
    /// Its newest judged slots, oldest first; at most about forty.
    pub recent: Vec<RecentSlot>,
    /// Blocks of two ids seen at one slot signed by this producer (sufficient sign of a copied key).
    pub conflicting_blocks: u64,
}

/// The other producers since a run of misses began, each by its newest slot since then (of the last two rounds; on
/// chains with turns by its newest turn, of which one block is enough): one voice each, so that no order of a small schedule makes a few of them look like many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OthersSince {
    /// Of those, how many produced in it.
    pub producing: u32,
    /// Others that had a slot since; never 0.
    pub of: u32,
}

/// One judged slot of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentSlot {
    /// When it began, chain time.
    pub time: Millis,
    /// What became of it.
    pub outcome: SlotOutcome,
}

/// What became of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotOutcome {
    /// A block stands there.
    Produced,
    /// It stayed empty.
    Missed,
    /// What happened around then is not known: no endpoint could show it.
    Unknown,
}

/// Counts of one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// Slots missed while it was the effective key.
    pub missed: u64,
    /// Blocks it signed.
    pub produced: u64,
}

/// Fault of the registered key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No fault.
    No,
    /// A fault, and which clause says so.
    Yes(FaultClause),
    /// The ledger has not caught up, or what is needed is not known.
    Unknown,
}

/// The clause of the fault definition that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClause {
    /// One miss while the key's own node fails its probe.
    NodeDown,
    /// So many in a row.
    Consecutive,
    /// More than allowed in the window.
    Window,
}

/// Health of one node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeHealth {
    /// Probe verdict with hysteresis: down after three failed ticks in a row; `None` before the first answer.
    pub up: Option<bool>,
    /// Failed probes in a row.
    pub failures: u32,
    /// Blocks behind the agreed head.
    pub lag: Option<u64>,
    /// What is wrong, in plain words.
    pub detail: String,
}

/// Whether a key can take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Node in sync, or `assume_ready`.
    Ready,
    /// Not ready, and why.
    NotReady(String),
    /// Its probe has not answered yet.
    Unknown,
}

// === impl SlotOutcome ===

impl SlotOutcome {
    /// One letter, for `/api/v1/status`.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Produced => 'p',
            Self::Missed => 'm',
            Self::Unknown => '?',
        }
    }
}

// === impl OthersSince ===

impl OthersSince {
    /// The share that produces, 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.producing) / f64::from(self.of.max(1))
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// A picture of nothing: before the first tick.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            chain: String::new(),
            tick_at: 0,
            tick: 0,
            agreement: Err(Disagreement::TooFew {
                fresh: 0,
                quorum: 0,
                why: "nothing was asked yet".to_owned(),
            }),
            last_view: None,
            irreversible: None,
            providers: 0,
            quorum: 0,
            endpoints: Vec::new(),
            slots: ChainSlots::default(),
            finalizers: Arc::default(),
            election: None,
            producers: BTreeMap::new(),
            store_failures: 0,
        }
    }
}
