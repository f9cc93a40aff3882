//! What the simulated chain knows at one block: accounts, producers, schedules, head, irreversibility. Data, and how a
//! block closes it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::authority::{Accounts, Level};
use super::schedule::Rules;
use super::transaction::{SigningAuthority, Tx};
use crate::keys::PublicKey;

/// Unix milliseconds at which slot 0 lies: 2000-01-01, the epoch of Antelope's block times.
pub const EPOCH_MS: u64 = 946_684_800_000;

/// Slots of one turn.
pub const TURN: u64 = 12;

/// One block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Height.
    pub num: u64,
    /// Slot: intervals since [`EPOCH_MS`].
    pub slot: u64,
    /// Start of the slot, Unix milliseconds.
    pub time_ms: u64,
    /// Hex id; the first four bytes are the height.
    pub id: String,
    /// Hex id of the block before.
    pub previous: String,
    /// Who produced it.
    pub producer: String,
    /// Version of the schedule it was produced under; the constant 2^31 on Savanna.
    pub schedule_version: u64,
    /// `SIG_K1_…`
    pub signature: String,
    /// The key that signed it.
    pub signing_key: PublicKey,
    pub(super) transaction_mroot: String,
    pub(super) action_mroot: String,
    /// The transactions in it.
    pub txs: Vec<Arc<Tx>>,
}

/// A numbered schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Counts up with every change.
    pub version: u64,
    /// Producers in order of their turns, with who may sign.
    pub producers: Vec<(String, SigningAuthority)>,
}

/// A row of the producers table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// Votes, for the order of election.
    pub votes: u64,
    /// False after `unregprod`.
    pub active: bool,
    /// Registered authority; `None` after `unregprod`.
    pub authority: Option<SigningAuthority>,
    /// Web address.
    pub url: String,
    /// Free number; the order of turns on some chains.
    pub location: u16,
}

/// A producer's finality keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FinalizerKeys {
    /// Registered ones, `PUB_BLS_…`.
    pub registered: Vec<String>,
    /// The one in use.
    pub active: String,
}

/// A set of finalizers: producer and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Counts up with every change.
    pub generation: u64,
    /// Producer to its key.
    pub finalizers: BTreeMap<String, String>,
}

/// The chain at one block.
#[derive(Debug, Clone)]
pub struct State {
    /// Height of the head.
    pub head_num: u64,
    /// Hex id of the head.
    pub head_id: String,
    /// Time of the head, Unix milliseconds.
    pub head_ms: u64,
    /// Slot of the head.
    pub slot: u64,
    /// Who produced the head.
    pub producer: String,
    /// Last irreversible height.
    pub lib: u64,
    /// Producer to its last block: what the rule of irreversibility counts.
    pub(super) last_produced: BTreeMap<String, u64>,
    /// Producer to the height that its last block implied irreversible.
    pub(super) implied: BTreeMap<String, u64>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) producers: Arc<BTreeMap<String, Producer>>,
    /// Blocks not yet paid for, and when the producer last claimed.
    pub(super) unpaid: BTreeMap<String, u64>,
    pub(super) claimed: BTreeMap<String, u64>,
    /// In force.
    pub active: Arc<Schedule>,
    /// Next to come, with the height that has to be irreversible first.
    pub pending: Option<(Arc<Schedule>, u64)>,
    /// Proposed in the block of that height; on Savanna with its slot.
    pub proposed: Option<(Arc<Schedule>, u64, u64)>,
    /// The pending schedule as a node shows it: until the block after the one that made it active.
    pub(super) shown_pending: Option<Arc<Schedule>>,
    pub(super) elected_at: u64,
    pub(super) elected_size: usize,
    pub(super) finalizers: Arc<BTreeMap<String, FinalizerKeys>>,
    pub(super) policy: Arc<Policy>,
    /// A policy to come, with the height that has to be final first.
    pub(super) policy_pending: Option<(Arc<Policy>, u64)>,
}

impl Schedule {
    /// Whose slot it is.
    pub(super) fn owner(&self, slot: u64) -> Option<&(String, SigningAuthority)> {
        let n = self.producers.len() as u64;
        let at = usize::try_from((slot / TURN).checked_rem(n)?).ok()?;
        self.producers.get(at)
    }

    /// Who may sign for `producer`.
    pub fn authority(&self, producer: &str) -> Option<&SigningAuthority> {
        let row = self.producers.iter().find(|(p, _)| p == producer);
        row.map(|(_, a)| a)
    }

    pub(super) fn json(&self) -> Value {
        let one = |(name, a): &(String, SigningAuthority)| json!({"producer_name": name, "authority": [0, a.keys_json()]});
        json!({"version": self.version, "producers": self.producers.iter().map(one).collect::<Vec<_>>()})
    }
}

impl State {
    /// The block `head + 1` in the making: what nodeos answers questions from. Its transactions are not in yet.
    pub(super) fn begin(&self, slot: u64, rules: &Rules) -> State {
        let mut next = self.clone();
        rules.open(&mut next, slot);
        next
    }

    /// Puts the finished block on top.
    pub(super) fn close(&mut self, block: &Block) {
        self.head_num = block.num;
        self.head_id.clone_from(&block.id);
        self.head_ms = block.time_ms;
        self.slot = block.slot;
        self.producer.clone_from(&block.producer);
    }

    /// The registered key: that of the producers table.
    pub fn registered_key(&self, producer: &str) -> PublicKey {
        let row = self.producers.get(producer);
        row.and_then(|p| p.authority.as_ref())
            .map_or(PublicKey::NULL, SigningAuthority::first)
    }

    /// The effective key: that of the schedule in force, the null key when the producer is not in it.
    pub fn effective_key(&self, producer: &str) -> PublicKey {
        self.active
            .authority(producer)
            .map_or(PublicKey::NULL, SigningAuthority::first)
    }

    /// A producer's row.
    pub fn row(&self, producer: &str) -> Option<&Producer> {
        self.producers.get(producer)
    }

    /// Whether a permission exists.
    pub(super) fn has(&self, level: &Level) -> bool {
        let account = self.accounts.get(&level.actor);
        account.is_some_and(|a| a.permissions.contains_key(&level.permission))
    }
}
