//! A simulated Antelope chain (EOS/Vaulta, WAX, Telos and kin) that speaks nodeos' paths and checks what it is sent.
//!
//! | file | owns |
//! |---|---|
//! | [`state`], [`schedule`], [`genesis`] | what is known at a block; how a schedule comes into force; the beginning |
//! | [`chain`], `branch`, `fork`, [`record`] | slots in turns of twelve, who produces, forks; what really happened |
//! | `name`, `bytes`, [`transaction`] | the binary layout, apart from the adapter's |
//! | [`authority`], `verify`, `system` | permissions and links; the node's checks; the contract's actions |
//! | `rest`, `reads`, `tables`, `push`, `errors` | paths, replies, statuses and errors as recorded |
//!
//! Left out: resources, delayed and deferred transactions, contracts other than the system's producers and permissions,
//! the tree of block ids. What is signed in a block is therefore the hash of its header only.

pub mod authority;
mod branch;
mod bytes;
pub mod chain;
mod errors;
mod fork;
pub mod genesis;
mod name;
mod push;
mod reads;
pub mod record;
pub(super) mod rest;
pub mod schedule;
pub mod state;
mod system;
mod tables;
pub mod transaction;
mod verify;

use sha2::{Digest, Sha256};

pub use chain::{Chain, HandoverFork};
pub use genesis::{AntelopeConfig, ChainConfig, failover_key, finalizer_key};
pub use record::ScheduleRecord;
pub use schedule::Finality;

/// What public keys begin with: nodeos shows keys of the curve K1 in the old form.
pub const PREFIX: &str = "EOS";

/// The id of every simulated Antelope chain.
#[must_use]
pub fn chain_id() -> [u8; 32] {
    Sha256::digest("slotkeeper devnet antelope").into()
}
