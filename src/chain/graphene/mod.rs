//! The Graphene family: binary codec, operations, transactions. Pure: no I/O, no clock.
//!
//! JSON in either form a node accepts -> [`Transaction`] -> bytes -> [`digest`] to sign and [`txid`].
//! What differs between chains stands in one table, in `dialect.rs`.

mod answers;
mod asset;
pub mod bitshares;
mod block;
mod chain_properties;
mod codec;
mod dialect;
mod draft;
pub mod faults;
pub(in crate::chain) mod fields;
pub mod golos;
mod json;
mod linked;
mod objects;
mod operation;
mod read;
pub mod steem;
mod transaction;
mod witness_node;

pub use asset::Asset;
pub use block::{BlockHeader, Signatory, block_header_digest, block_id};
pub use chain_properties::ChainProperties;
pub use codec::{format_time, parse_time};
pub use dialect::{Dialect, OperationKind, TESTNET_CHAIN_ID};
pub use objects::{ObjectId, WitnessChange};
pub use operation::{Operation, WitnessProps, properties};
pub use transaction::{SignedTransaction, Transaction, digest, tapos, txid};

/// Which of Hive's two serializations. All other chains know only the legacy one.
///
/// Digest and transaction id follow from it; a Hive node tries hf26 first, then legacy, and takes either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Serialization {
    /// The one every chain of the family knows; what slotkeeper sends.
    #[default]
    Legacy,
    /// Hive since hard fork 26: assets carry a number instead of a symbol.
    Hf26,
}

/// Why a transaction cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// Something is missing or of another type, at this place in the JSON.
    #[error("{path}: {problem}")]
    Json {
        /// Where, as in `operations[0].props.account_creation_fee`.
        path: String,
        /// What is wrong there.
        problem: String,
    },
    /// An operation this chain does not have.
    #[error("{operation} does not exist on {protocol}, or slotkeeper does not write it there")]
    NoSuchOperation {
        /// The operation's name.
        operation: &'static str,
        /// The chain's protocol.
        protocol: crate::chain::Protocol,
    },
    /// An asset of another chain.
    #[error("asset {asset}: this chain knows {known}")]
    ForeignAsset {
        /// The asset as text.
        asset: String,
        /// The symbols it could have.
        known: String,
    },
    /// hf26 asked of a chain that does not have it.
    #[error("the hf26 serialization exists on hive only, not on {0}: leave it out or say legacy")]
    NoHf26(crate::chain::Protocol),
    /// A witness property twice; the node keeps them in a map.
    #[error("witness_set_properties: property {0:?} stands there twice")]
    DuplicateProperty(String),
    /// Properties that do not fit the chain.
    #[error("witness_update: {0}")]
    Props(String),
}
