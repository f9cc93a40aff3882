//! A simulated chain of the Graphene family (Steem, Hive, Blurt, Golos, BitShares) that speaks the real RPC dialects, for the demo and for tests.
//!
//! | file | owns |
//! |---|---|
//! | [`state`], [`witness`], [`chain`], `branch`, `fork`, `intake`, [`nodes`] | the chain itself: rounds, slots, blocks, forks, who produces; pure, time comes in as an argument |
//! | [`transaction`], `verify` | how a transaction is read, and what a node checks before it takes a transaction |
//! | `codec`, `time` | bytes and times |
//! | `dialect`, `errors`, `reads`, `rpc`, `methods`, `golos`, `bitshares` | the real nodes' words: names, errors, replies, methods |
//! | [`faults`] | what an endpoint can be made to do wrong |
//! | `sim` | one chain of either family, as the parts below see it |
//! | `shared`, `server`, `socket`, `body`, `control` | listeners on loopback, one per endpoint, and the devnet's own paths |
//! | [`run`], [`truth`] | the running devnet, and the record of what really happened |
//! | [`stepped`] | the same chain and answers without clock and listeners |
//!
//! Real blocks carry whole seconds. With an interval that is no whole number of seconds the devnet writes `.mmm` behind
//! the time and a fractional `BLOCK_INTERVAL`; inside the signed header the time is cut to the second.
//!
//! All keys are `sha256` of known texts ([`chain::node_key`], [`chain::active_key`]): test keys only.

pub mod antelope;
mod bitshares;
mod body;
mod branch;
mod codec;
mod control;
mod dialect;
mod errors;
mod fork;
mod golos;
mod identity;
mod intake;
mod methods;
mod reads;
mod rpc;
mod server;
mod shared;
mod sim;
mod socket;
mod time;
mod verify;

pub mod chain;
pub mod faults;
pub mod nodes;
pub mod run;
pub mod state;
pub mod stepped;
pub mod transaction;
pub mod truth;
pub mod witness;

pub use faults::Fault;
pub use identity::Identity;
pub use run::{Devnet, DevnetConfig, EndpointHandle, StartError};
pub use stepped::Stepped;
pub use truth::Truth;
