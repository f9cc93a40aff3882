//! From one operation to unsigned bytes and to a sealed transaction: the same for every chain of the family. Pure.

use serde_json::{Value, json};

use super::fields::{bad, format_seconds};
use super::{Dialect, Serialization, Transaction, digest, read, tapos, txid};
use crate::chain::{Anchor, ChainSpec, Change, Draft, ReadError, Sealed};
use crate::clock::Millis;
use crate::keys::Signature;

/// Seconds between the agreed head time and a draft's expiration (the chain tests it against head time). Far below what
/// any of the chains allows (an hour; BitShares' committee could vote for less than its default of a day).
const LIFETIME_S: i64 = 30;

/// The transaction that carries `operation`, anchored in the agreed view.
pub(super) fn draft(
    spec: &ChainSpec,
    dialect: &Dialect,
    change: &Change,
    anchor: &Anchor,
    operation: &Value,
) -> Result<Draft, ReadError> {
    let expiry_s = read::seconds_up(anchor.head_time) + LIFETIME_S;
    let expiration = format_seconds(expiry_s).ok_or_else(|| bad("head time", "is out of range"))?;
    let id = crate::hex::decode_array(&anchor.irreversible.id.0)
        .map_err(|e| bad("irreversible block id", e.to_string()))?;
    let (ref_block_num, ref_block_prefix) = tapos(&id);
    let transaction = json!({
        "ref_block_num": ref_block_num,
        "ref_block_prefix": ref_block_prefix,
        "expiration": expiration,
        "operations": [operation],
        "extensions": [],
        "signatures": [],
    });
    // Legacy serialization on Hive too: nodes accept both, and one code path serves the whole family.
    let bytes = Transaction::from_json(&transaction, dialect)
        .and_then(|signed| signed.tx.serialize(dialect, Serialization::Legacy))
        .map_err(|e| bad("transaction", e.to_string()))?;
    Ok(Draft {
        change: change.clone(),
        digest: digest(&spec.chain_id, &bytes),
        id: crate::hex::encode(&txid(&bytes)),
        expiry: Millis::from(expiry_s) * 1000,
        bytes,
        transaction,
    })
}

/// The same with its signature.
pub(super) fn seal(draft: Draft, signature: &Signature) -> Sealed {
    let mut transaction = draft.transaction;
    transaction["signatures"] = json!([signature.to_hex()]);
    Sealed {
        change: draft.change,
        id: draft.id,
        expiry: draft.expiry,
        transaction,
    }
}

/// `witness_update` of the Steem family: it overwrites url and props, so what the agreed view says is echoed, never a
/// file.
pub(super) fn witness_update(
    spec: &ChainSpec,
    change: &Change,
    anchor: &Anchor,
) -> Result<Value, ReadError> {
    if anchor.state.url.is_empty() {
        return Err(bad("url", "is empty on chain; witness_update needs one"));
    }
    Ok(json!(["witness_update", {
        "owner": change.producer,
        "url": anchor.state.url,
        "block_signing_key": change.to.to_text(&spec.address_prefix),
        "props": anchor.state.props,
        "fee": format!("0.000 {}", spec.core_symbol),
    }]))
}

/// How the chain of `spec` writes keys and assets: its main net's way, unless the symbol is that of its test nets.
pub(super) fn dialect(spec: &ChainSpec) -> Dialect {
    let test = Dialect::testnet(spec.protocol);
    let base = if spec.core_symbol == test.core_symbol {
        test
    } else {
        Dialect::mainnet(spec.protocol)
    };
    let debt = base.debt_symbol.clone();
    base.with_address_prefix(&spec.address_prefix)
        .with_symbols(&spec.core_symbol, &debt)
}
