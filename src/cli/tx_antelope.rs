//! What `slotkeeper tx` does differently on Antelope chains: readable JSON in, the packed body that nodes take out. Reads
//! no network.

use anyhow::{Context, anyhow};
use serde_json::{Value, json};

use super::CliError;
use crate::chain::antelope::Transaction;
use crate::hex;
use crate::keys::{Nonce, Signer};

/// Adds the signature of `key` to the transaction, readable or packed, and describes the result.
pub(super) fn sign(
    input: &Value,
    chain_id: &[u8; 32],
    address_prefix: &str,
    key: &dyn Signer,
) -> Result<Value, CliError> {
    let mut read = Transaction::from_json(input).context("the transaction on stdin")?;
    let digest = read.digest(chain_id);
    let signature = key.sign(&digest, Nonce::Antelope)?;
    // A signer that answers with another key's signature must show here, not on chain.
    let signer = signature.recover(&digest)?;
    if signer != key.public_key() {
        return Err(anyhow!(
            "the signature recovers to {} instead of {}; it is not given out",
            signer.to_text(address_prefix),
            key.public_key().to_text(address_prefix)
        )
        .into());
    }
    // Nodes refuse two signatures of one key.
    if !read.signers(&digest)?.contains(&signer) {
        read.signatures.push(signature);
    }
    Ok(json!({
        "serialized": hex::encode(read.bytes()),
        "digest": hex::encode(&digest),
        "txid": read.id(),
        "signature": signature.to_sig_k1(),
        "public_key": signer.to_text(address_prefix),
        // As read back from the bytes that were signed.
        "readable": read.to_json(),
        "transaction": read.to_push(),
    }))
}

/// A signed transaction as nodes take it: packed. One that is readable is packed here.
pub(super) fn sendable(transaction: Value) -> anyhow::Result<Value> {
    if transaction.get("packed_trx").is_some() {
        return Ok(transaction);
    }
    let read = Transaction::from_json(&transaction).context("the transaction on stdin")?;
    Ok(read.to_push())
}
