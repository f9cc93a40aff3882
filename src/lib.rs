//! slotkeeper.

pub mod chain;
pub mod devnet;
pub mod hex;
pub mod keys;
