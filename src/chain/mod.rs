//! Chains: pure and synchronous, no I/O, no clock.

pub mod graphene;
