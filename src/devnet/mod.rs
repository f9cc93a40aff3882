//! A simulated chain of the Steem family (Steem, Hive, Blurt) that speaks the real RPC dialects, for the demo and for tests.

mod codec;
mod dialect;
mod errors;
mod reads;
mod rpc;
mod time;

pub mod chain;
pub mod nodes;
pub mod state;
pub mod verify;
