//! Other names for a simulated chain: its id, the prefix of its keys, the symbol of its core asset. So that a chain that only a
//! configuration describes can be played. Pure.

use serde_json::Value;

use super::dialect::{CHAIN_ID, CORE};

/// The names of a fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The chain id.
    pub chain_id: [u8; 32],
    /// What public keys begin with; on Antelope they keep theirs.
    pub prefix: String,
    /// The core asset; nothing the devnet shows of Antelope names one.
    pub symbol: String,
}

// === impl Identity ===

impl Identity {
    /// Puts id and symbol into a reply in which the usual ones stand. Keys were written with their prefix already.
    pub(crate) fn put_on(&self, reply: &mut Value) {
        match reply {
            Value::String(text) => {
                if text == CHAIN_ID {
                    *text = crate::hex::encode(&self.chain_id);
                } else if let Some(amount) = text.strip_suffix(CORE)
                    && amount.ends_with(' ')
                {
                    *text = format!("{amount}{}", self.symbol);
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|v| self.put_on(v)),
            Value::Object(map) => map.values_mut().for_each(|v| self.put_on(v)),
            _ => {}
        }
    }
}
