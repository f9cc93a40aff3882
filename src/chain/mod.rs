//! Chains: pure and synchronous, no I/O, no clock.

pub mod graphene;
mod protocol;

pub use protocol::{Protocol, UnknownProtocol};
