//! The poll loop and what it knows: slot ledger, node probes, fault, and the published [`Snapshot`].

pub mod snapshot;

pub use snapshot::{
    ChainSlots, Fault, FaultClause, KeyCounts, NodeHealth, ProducerSnapshot, Readiness, Snapshot,
};
