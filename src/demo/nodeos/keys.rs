//! Keys of the test network: derived from fixed words, so worth nothing anywhere else.

use crate::keys::{SecretKey, Signer};

/// The prefix of public keys on this network.
pub const PREFIX: &str = "EOS";

/// The key that a role has: `founder`, `A`, `B`, `failover`, `owner`, `active` or any other word.
///
/// # Errors
/// None in practice: the hash of a fixed text is a valid scalar.
pub fn secret(role: &str) -> anyhow::Result<SecretKey> {
    SecretKey::from_seed_sha256(&format!("slotkeeper nodeos {role}"))
        .map_err(|e| anyhow::anyhow!("key of {role}: {e}"))
}

/// Its public half as the chain writes it (`EOS…`).
///
/// # Errors
/// As [`secret`].
pub fn public(role: &str) -> anyhow::Result<String> {
    Ok(secret(role)?.public_key().to_text(PREFIX))
}

/// An authority that one key satisfies, as the chain's actions want it.
pub(super) fn authority(role: &str) -> anyhow::Result<serde_json::Value> {
    Ok(serde_json::json!({
        "threshold": 1, "keys": [{"key": public(role)?, "weight": 1}], "accounts": [], "waits": [],
    }))
}
