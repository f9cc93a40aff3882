//! The poll loop and what it knows: slot ledger, node probes, fault, and the published [`Snapshot`].

pub mod fault;
pub mod ledger;
pub mod snapshot;
pub mod store;

pub use ledger::{Ledger, LedgerRules};
pub use snapshot::{
    ChainSlots, Fault, FaultClause, KeyCounts, NodeHealth, ProducerSnapshot, Readiness, Snapshot,
};
pub use store::{LedgerStore, StoreError, StoreFuture};
