//! slotkeeper.

pub mod keys;
pub mod chain;
pub mod devnet;
