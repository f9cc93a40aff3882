//! What a chain tells us, in chain-neutral words. Data only: no I/O, no clock, no protocol knowledge.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Millis;
use crate::keys::PublicKey;

/// A block id as lower-case hex (40 characters on Graphene, 64 on Antelope).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlockId(pub String);

/// Where a block stands: number, id and the time of its slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRef {
    /// Block number (height).
    pub num: u64,
    /// Block id.
    pub id: BlockId,
    /// Time of the slot the block fills, Unix milliseconds.
    pub time: Millis,
}

/// One block, as much of it as the ledger needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Block number.
    pub num: u64,
    /// Block id.
    pub id: BlockId,
    /// Id of the block before it: the link that makes agreement on one height agreement on all below.
    pub previous: BlockId,
    /// Time of its slot, Unix milliseconds.
    pub time: Millis,
    /// Who produced it.
    pub producer: String,
    /// The key that signed it; `None` when the reply neither names it nor allows recovering it.
    pub signing_key: Option<PublicKey>,
    /// Signing keys registered by transactions in this block, in order: they hold from the next block on.
    pub key_changes: Vec<(String, PublicKey)>,
    /// Version of the schedule the block was produced under, where headers carry it (Antelope before Savanna). It is also
    /// the one that the missed slots right before the block were scheduled by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_version: Option<u64>,
    /// Absolute number of its slot, where slots do not follow from times alone (BitShares leaves slots out after a
    /// maintenance block); `None` = count intervals from the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u64>,
}

/// Who has which slot, as read while some head stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Head block number at which it was read; it governs blocks after that one.
    pub read_at: u64,
    /// Last block number it governs (Graphene: `next_shuffle_block_num`; rounds count blocks, so slots wrap).
    pub until: u64,
    /// Producers in slot order. Slot number `s` belongs to `order[(s / turn) % order.len()]`.
    pub order: Vec<String>,
    /// Consecutive slots of one turn: 1 on Graphene, 12 on Antelope.
    pub turn: u32,
    /// Where schedules have versions (Antelope): which one this is. Then `until` says nothing (`u64::MAX`): a schedule is
    /// in force until the next version is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

/// A numbered schedule and the keys that may sign under it.
///
/// It was read while the endpoint's head moved from [`Schedule::read_at`] to [`Version::read_by`] (equal when it did not
/// move): in force in the state of some head between the two, both included. Where headers carry the version, that of the
/// state of head `h` rules the slots up to and including block `h + 1`. Without (Savanna) a version is in force from the
/// first slot of a turn on: block `h` itself was made under it, and every slot of its turn belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Counts up by one with each change.
    pub number: u64,
    /// The endpoint's head after the reading.
    pub read_by: u64,
    /// The effective key of each producer of `order`, in that order: of a multi-key authority the first.
    pub keys: Vec<PublicKey>,
}

/// How far a newly registered key has come on its way to be effective, where that takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// In a proposed schedule.
    Proposed,
    /// In a pending schedule (Antelope before Savanna): the proposal is irreversible.
    Pending,
}

/// A producer's finality key (Savanna), as the chain's finalizer policies name it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalizer {
    /// Public key in the active policy, `PUB_BLS_…`; empty when it has none there.
    pub active_key: String,
    /// Public key in the pending policy, when there is one and it names the producer.
    pub pending_key: Option<String>,
    /// Number and time (Unix milliseconds) of the block last voted for, where the node tracks votes.
    pub last_vote: Option<(u64, Millis)>,
}

/// What the chain says of one producer at one head.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducerState {
    /// The key that the chain's producer object names. The null key means "stop producing".
    pub registered_key: PublicKey,
    /// The key that the schedule in force accepts; equals `registered_key` on Graphene.
    pub effective_key: PublicKey,
    /// False when the producer is disabled by null key, unregistration or the chain's own shutdown.
    pub enabled: bool,
    /// URL of the producer object: echoed by switches that would overwrite it.
    pub url: String,
    /// Properties that an overwriting switch must echo, in the chain's own JSON; `Null` where there are none.
    pub props: Value,
    /// The node's own count of missed blocks. May fall (forks, lagging nodes): a fall is never a miss.
    pub reported_missed: Option<u64>,
    /// Number of the last block the producer is known to have signed.
    pub last_block: Option<u64>,
    /// Node software version the producer reports.
    pub version: Option<String>,
    /// When the producer last published a price feed, Unix milliseconds.
    pub feed_time: Option<Millis>,
    /// The node's own count of blocks not yet paid for (Antelope). Falls on a claim: never a miss.
    pub unpaid_blocks: Option<u64>,
    /// A newer key than the effective one is on its way: which, and how far.
    pub coming: Option<(PublicKey, Activation)>,
}

/// What one endpoint said in one tick, already in chain-neutral words.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The chain id, when it was asked for this tick (lower-case hex).
    pub chain_id: Option<String>,
    /// The endpoint's head.
    pub head: BlockRef,
    /// Absolute slot number of the head (Graphene: `current_aslot`).
    pub head_slot: u64,
    /// Last irreversible block number.
    pub irreversible: u64,
    /// True when state and head belong together: the head was the same before and after the state was read, or moved by
    /// no more than `slack`.
    pub settled: bool,
    /// Blocks by which the head moved while the state was read, where blocks are too fast for it to stand still
    /// (Antelope): the state is of some head from `head` to `head + slack`. 0 = exactly of `head`.
    pub slack: u64,
    /// Share of recent slots filled, the node's own figure, 0–1.
    pub participation: Option<f64>,
    /// The schedule, when `settled` and asked for.
    pub schedule: Option<Schedule>,
    /// The producers asked for; `None` when the chain does not know the name.
    pub producers: BTreeMap<String, Option<ProducerState>>,
    /// Blocks asked for and found, ascending.
    pub blocks: Vec<Block>,
    /// Public keys that alone suffice for a switch, per authority asked for (see [`Memory::authorities`]).
    pub active_keys: BTreeMap<String, Vec<PublicKey>>,
    /// Object id → account name of all producers, where blocks and schedules name producers by id (BitShares); `None`
    /// when not asked for.
    pub aliases: Option<BTreeMap<String, String>>,
    /// Finality keys by producer (Savanna); `None` when not asked for or the node knows none.
    pub finalizers: Option<BTreeMap<String, Finalizer>>,
    /// Who stands for election (Antelope), asked for along with authorities: it matters only to who switches.
    pub election: Option<super::Election>,
}

/// What the watcher still wants to know: the input of [`super::Chain::survey`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Ask for the chain id (first contact and once a minute: endpoints move behind load balancers).
    pub identity: bool,
    /// Producers to read this tick, at most 1,000.
    pub producers: Vec<String>,
    /// Block numbers wanted. Asking one past the head is fine: it comes back as absent.
    pub blocks: Vec<u64>,
    /// Authorities wanted (for `authority_invalid`): an account name for its active authority, or `account@permission`
    /// where a switch is signed with a permission of its own (Antelope).
    pub authorities: Vec<String>,
    /// Object id → account name, as last agreed (see [`Observation::aliases`]).
    pub aliases: std::sync::Arc<BTreeMap<String, String>>,
}

// === impl BlockId ===

impl fmt::Debug for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Schedule ===

impl Schedule {
    /// Who has slot number `slot` (absolute), or `None` for an empty schedule.
    #[must_use]
    pub fn producer_of(&self, slot: u64) -> Option<&str> {
        let n = u64::try_from(self.order.len()).ok().filter(|n| *n > 0)?;
        let turn = u64::from(self.turn.max(1));
        let index = usize::try_from(slot.checked_div(turn)?.checked_rem(n)?).ok()?;
        self.order.get(index).map(String::as_str)
    }

    /// True when it governs block `num`.
    #[must_use]
    pub fn governs(&self, num: u64) -> bool {
        self.read_at < num && num <= self.until
    }
}

// === impl Finalizer ===

impl Finalizer {
    /// The key that the chain was last told to use: the pending one, else the active one; empty when there is neither.
    /// The system contract refuses to activate it again, and with that the whole transaction.
    #[must_use]
    pub fn newest(&self) -> &str {
        self.pending_key.as_deref().unwrap_or(&self.active_key)
    }
}

// === impl ProducerState ===

impl ProducerState {
    /// Whether two endpoints say the same about what a switch depends on: key, url and props. Fields that move with
    /// the head (missed count, last block) are not compared.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.registered_key == other.registered_key
            && self.effective_key == other.effective_key
            && self.enabled == other.enabled
            && self.url == other.url
            && self.props == other.props
    }
}
