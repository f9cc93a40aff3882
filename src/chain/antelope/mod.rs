//! Antelope (EOS/Vaulta, WAX, Telos and kin): names, layouts, transactions, and what nodeos answers. Pure: no I/O, no clock.
//!
//! JSON or packed bytes -> [`Transaction`] -> digest to sign and id. Only the actions in the table of `abi.rs` are written or
//! read: what is not understood is not signed. [`Antelope`] is the chain as the rest of slotkeeper sees it.

mod abi;
mod adapter;
pub mod faults;
mod leaving;
mod name;
mod pack;
pub mod permission;
mod read;
mod switch;
mod transaction;
mod unpack;

pub use adapter::Antelope;
pub use leaving::{candidates_call, election};
pub use name::{BadName, Name};
pub use transaction::{Transaction, tapos};

/// Why a transaction cannot be read or written: the place in the JSON, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct TxError {
    /// As in `actions[0].data.producer_key`.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}
