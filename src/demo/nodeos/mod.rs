//! A real Antelope network on loopback, to test against and to show a failover on: three nodes of a pinned package, four
//! producers, one of them with two nodes. Starts and ends processes; touches nothing outside its temporary directory.
//!
//! | file | owns |
//! |---|---|
//! | [`package`] | where the programs and contracts are |
//! | [`network`] | the nodes as processes: start, crash, sync anew |
//! | `founding` | the transactions that turn an empty chain into one with a system contract and voted producers |
//! | [`keys`] | test keys, by name |
//! | [`world`] | the network with slotkeeper, Prometheus and Alertmanager beside it |
//! | [`story`] | kill B1, watch, tell |
//!
//! | node | produces |
//! |---|---|
//! | `H` | `eosio` at first, then `bptwo`, `bpthree`, `bpfour` |
//! | `B1` | `bpone` with key A |
//! | `B2` | `bpone` with key B |

mod founding;
pub mod keys;
pub mod network;
pub mod package;
pub mod story;
pub mod world;

pub use network::Network;
pub use package::Package;
pub use world::{NodeosConfig, NodeosWorld};

/// The producer that has two nodes.
pub const PRODUCER: &str = "bpone";

/// The others, all on node `H`, in the order in which the schedule has them (by name), without `PRODUCER`.
pub const OTHERS: [&str; 3] = ["bpfour", "bpthree", "bptwo"];

/// The permission of [`PRODUCER`] that may do nothing but `regproducer`.
pub const PERMISSION: &str = "failover";
