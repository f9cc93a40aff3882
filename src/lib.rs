//! slotkeeper.

pub mod chain;
pub mod cli;
pub mod devnet;
pub mod hex;
pub mod keys;
