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
    /// True when the head was the same before and after the state was read, so that state and head belong together.
    pub settled: bool,
    /// Share of recent slots filled, the node's own figure, 0–1.
    pub participation: Option<f64>,
    /// The schedule, when `settled` and asked for.
    pub schedule: Option<Schedule>,
    /// The producers asked for; `None` when the chain does not know the name.
    pub producers: BTreeMap<String, Option<ProducerState>>,
    /// Blocks asked for and found, ascending.
    pub blocks: Vec<Block>,
    /// Public keys that may sign with the account's active authority, per producer, when asked for.
    pub active_keys: BTreeMap<String, Vec<PublicKey>>,
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
    /// Accounts whose active authority is wanted (for `authority_invalid`).
    pub authorities: Vec<String>,
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
