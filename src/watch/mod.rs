//! The poll loop and what it knows: slot ledger, node probes, fault, and the published [`Snapshot`].
//!
//! | file | idea |
//! |---|---|
//! | `watcher` | the loop of one chain, the only I/O here |
//! | [`ledger`] | agreed views → who missed which slot under which key |
//! | [`fault`] | the one definition of a fault |
//! | `probes` | health of each key's node, readiness |
//! | `rotation` | which producers to read in a tick |
//! | `picture` | one producer's part of the snapshot |
//! | `log` | the watcher's log lines |
//! | `store` | where the ledger's rows are kept (the state file implements it) |

pub mod fault;
pub mod ledger;
mod log;
mod picture;
mod probes;
mod rotation;
pub mod snapshot;
pub mod store;
mod watcher;

pub use ledger::{Ledger, LedgerRules};
#[cfg(test)]
pub(crate) use picture::blank;
pub use snapshot::{
    ChainSlots, Fault, FaultClause, KeyCounts, NodeHealth, OthersSince, ProducerSnapshot,
    Readiness, RecentSlot, SlotOutcome, Snapshot,
};
pub use store::{LedgerStore, StoreError, StoreFuture};
pub use watcher::Watcher;
