//! Chains: what to ask, what the answers mean, and the bytes of a switch. Pure and synchronous: no I/O, no clock, no
//! randomness. [`crate::rpc`] carries the calls, [`crate::watch`] and [`crate::actuator`] use the meanings.
//!
//! Adding a chain: its own file(s) here, one line in [`open`], and its vectors.

pub mod antelope;
mod election;
pub mod graphene;
mod protocol;
mod types;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Millis;
use crate::keys::{Nonce, PublicKey, Signature};

pub use election::{Election, Leaving};
pub use protocol::{Protocol, UnknownProtocol};
pub use types::{
    Activation, Block, BlockId, BlockRef, Finalizer, Memory, Observation, ProducerState, Schedule,
    Version,
};

/// What distinguishes one chain from another of the same protocol, fully resolved (defaults applied by `config`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSpec {
    /// Value of the label `chain`.
    pub name: String,
    /// Protocol it speaks.
    pub protocol: Protocol,
    /// Chain id: part of every digest, and compared with what endpoints say.
    pub chain_id: [u8; 32],
    /// Prefix of public keys in text (`STM`, `TST`, `BLT` …).
    pub address_prefix: String,
    /// Symbol of the core asset (`STEEM`, `HIVE`, `TESTS`, `BLURT` …).
    pub core_symbol: String,
    /// Time between slots in milliseconds.
    pub block_interval: Millis,
}

/// One question to one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// JSON-RPC method (`condenser_api.get_block`), or the path for protocols without JSON-RPC.
    pub method: String,
    /// Parameters as the dialect wants them.
    pub params: Value,
}

/// An error that an endpoint answered in proper form (JSON-RPC `error`), classified later by its chain.
#[derive(Debug, Clone, PartialEq)]
pub struct RpcFault {
    /// Outer JSON-RPC code.
    pub code: i64,
    /// Rendered message; for people, never for decisions.
    pub message: String,
    /// `data` as sent (fc: code, name, stack).
    pub data: Value,
}

/// The answer to one [`Call`]: a result (maybe `null`) or a proper error.
pub type Reply = Result<Value, RpcFault>;

/// An endpoint's answers could not be understood: names the field, never the whole body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct ReadError {
    /// Which call or field.
    pub what: String,
    /// What was wrong with it.
    pub problem: String,
}

/// How a switch is authorized, and so which operation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Compare-and-swap signed by the current signing key (Steem, Hive, Blurt).
    WitnessSetProperties,
    /// Overwrites url and props, signed by the account's active key.
    WitnessUpdate,
    /// Antelope.
    Regproducer,
}

/// How calls travel: what [`crate::rpc`] must know of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// JSON-RPC 2.0 by POST to one URL. HTTP status 200 even for errors; gateways add their own 4xx and 5xx.
    JsonRpc {
        /// Several calls may be sent as one array.
        batches: bool,
    },
    /// The same, but the node itself answers 4xx or 5xx with a JSON-RPC error in the body, and speaks it over websockets
    /// too (BitShares). No batches.
    JsonRpcStatus,
    /// One path per call: [`Call::method`] is the path, [`Call::params`] the body of a POST. Errors are statuses with
    /// `{code, message, error: {code, name, what, details}}` (nodeos); [`RpcFault::code`] is then `error.code` where there
    /// is one, else the status, and [`RpcFault::data`] the whole `error`.
    Rest,
}

/// A wanted change of the registered signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whose key.
    pub producer: String,
    /// The key now registered: the fence.
    pub from: PublicKey,
    /// The key to register; [`PublicKey::NULL`] disables.
    pub to: PublicKey,
    /// How.
    pub method: Method,
    /// Antelope: the permission that signs, without the actor (`failover`); `None` = `active`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// Savanna: the finalizer key to activate together with the switch (`PUB_BLS_…`). Only when it is not
    /// [`Finalizer::newest`] already: the system contract refuses that, and the whole switch would fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalizer: Option<String>,
}

/// Everything of the agreed view that a draft needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchor {
    /// Agreed head time: expiry counts from it, never from the local clock.
    pub head_time: Millis,
    /// Agreed irreversible block: the reference block, so that a one-block fork cannot kill the switch.
    pub irreversible: BlockRef,
    /// The producer as agreed: url and props are echoed from here.
    pub state: ProducerState,
}

/// Unsigned bytes of a switch.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What it changes.
    pub change: Change,
    /// Serialized transaction.
    pub bytes: Vec<u8>,
    /// What is signed.
    pub digest: [u8; 32],
    /// Transaction id, lower-case hex.
    pub id: String,
    /// Chain time after which it can no longer enter a block, Unix milliseconds.
    pub expiry: Millis,
    /// The transaction as JSON, without signatures.
    pub transaction: Value,
}

/// A signed switch: exactly what is journaled, sent, and sent again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sealed {
    /// What it changes.
    pub change: Change,
    /// Transaction id, lower-case hex.
    pub id: String,
    /// Chain time after which it can no longer enter a block, Unix milliseconds.
    pub expiry: Millis,
    /// The signed transaction as JSON, exactly as broadcast.
    pub transaction: Value,
}

/// Where a sent transaction stands, by one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint cannot tell (plugin off, unknown id, odd reply).
    Unknown,
    /// Seen, not yet in a block.
    Pending,
    /// In a block that may still be undone.
    Included {
        /// Block number.
        block: u64,
    },
    /// In an irreversible block.
    Irreversible {
        /// Block number.
        block: u64,
    },
    /// Expired without inclusion, by this endpoint.
    Expired,
}

/// What an endpoint said to a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Taken into the pool or a block.
    Now,
    /// Seen before: the same bytes were accepted earlier. A success.
    Already,
    /// Refused for a reason.
    Refused(Rejection),
    /// The reply does not tell: read the chain to know.
    Unsure,
}

/// Why an endpoint refused a transaction, by code, never by message text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Its expiration has passed.
    Expired,
    /// Its expiration is too far ahead.
    ExpirationTooFar,
    /// Its reference block is not on that endpoint's fork.
    ReferenceBlock,
    /// A required signature is missing or by the wrong key (or for the wrong chain id).
    MissingAuthority,
    /// A signature too many, twice, or malformed.
    BadSignature,
    /// Compare-and-swap lost: the registered key is not the one we named.
    FenceMismatch,
    /// Not enough funds or resource credits.
    Resources,
    /// The account or producer does not exist.
    UnknownAccount,
    /// The chain refuses the content (url empty or too long …).
    Invalid,
    /// The endpoint does not offer the method.
    NoSuchMethod,
    /// The request did not parse there.
    BadRequest,
}

/// A chain: what to ask, how to read, how to write. Sans-I/O.
pub trait Chain: Send + Sync + std::fmt::Debug {
    /// The chain's constants.
    fn spec(&self) -> &ChainSpec;
    /// The questions of one tick, sent in this order to every endpoint (as one batch where the dialect has batches).
    fn survey(&self, memory: &Memory) -> Vec<Call>;
    /// What the answers to [`Chain::survey`] mean. `replies` are in the order of the calls.
    fn read(&self, memory: &Memory, replies: &[Reply]) -> Result<Observation, ReadError>;
    /// The cheap question that shows a node's health: its head.
    fn probe(&self) -> Vec<Call>;
    /// The head that [`Chain::probe`]'s answers show.
    fn read_probe(&self, replies: &[Reply]) -> Result<BlockRef, ReadError>;
    /// The bytes of a change, expiring 30 s after the agreed head.
    fn draft(&self, change: &Change, anchor: &Anchor) -> Result<Draft, ReadError>;
    /// The signed transaction.
    fn seal(&self, draft: Draft, signature: &Signature) -> Sealed;
    /// The call that sends a signed transaction, given as JSON.
    fn submit(&self, transaction: &Value) -> Call;
    /// The call that sends a sealed switch.
    fn broadcast(&self, sealed: &Sealed) -> Call {
        self.submit(&sealed.transaction)
    }
    /// What a reply to [`Chain::broadcast`] or [`Chain::submit`] means.
    fn accepted(&self, reply: &Reply) -> Accepted;
    /// The questions that tell where a sent transaction stands.
    fn follow(&self, sealed: &Sealed) -> Vec<Call>;
    /// Where it stands, by one endpoint's answers to [`Chain::follow`].
    fn outcome(&self, sealed: &Sealed, replies: &[Reply]) -> Outcome;
    /// Whether `method` is a compare-and-swap on the current key.
    fn compares_and_swaps(&self, method: Method) -> bool;
    /// How calls travel.
    fn framing(&self) -> Framing;
    /// Consecutive slots of one turn: what a fault counts in. Above 1, slots are judged when their turn is over.
    fn turn(&self) -> u32 {
        1
    }
    /// How the nonce of a signature is derived.
    fn nonce(&self) -> Nonce {
        Nonce::Graphene
    }
    /// Whether registering the null key takes a producer out of the schedule here.
    ///
    /// # Errors
    /// Why not, in words for the operator.
    fn can_disable(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

/// Opens the chain that `spec` describes.
#[must_use]
pub fn open(spec: ChainSpec) -> Arc<dyn Chain> {
    match spec.protocol {
        Protocol::Steem | Protocol::Hive | Protocol::Blurt => {
            Arc::new(graphene::steem::Steem::new(spec))
        }
        Protocol::Golos => Arc::new(graphene::golos::Golos::new(spec)),
        Protocol::BitShares => Arc::new(graphene::bitshares::BitShares::new(spec)),
        Protocol::Antelope => Arc::new(antelope::Antelope::new(spec)),
    }
}
