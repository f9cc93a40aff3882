//! What a BitShares node checks before it takes a transaction, in its own order and with its own words. Pure.
//!
//! Order: the operations by themselves, repeated signatures, duplicates, authority, reference block, expiration, then the
//! evaluator and the fee. Codes as in `protocol/exceptions.hpp`; plain assertions all have the code 10.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::errors::{ASSERT, At, Failure};
use super::super::state::State;
use super::super::time::iso;
use super::super::transaction::Tx;
use super::super::verify::Context;
use super::super::witness::Effect;
use super::objects::{account_id, account_name, witness};
use super::{FEE, MAX_EXPIRATION_S};
use crate::chain::graphene::ObjectId;
use crate::keys::PublicKey;

/// Longest url: shorter than 127 bytes.
const URL_LIMIT: usize = 127;

const DUPLICATE: (i64, &str, &str) = (3_030_001, "duplicate_transaction", "duplicate transaction");
const MISSING_ACTIVE: (i64, &str, &str) = (
    4_010_001,
    "tx_missing_active_auth",
    "missing required active authority",
);
const IRRELEVANT: (i64, &str, &str) = (
    4_010_004,
    "tx_irrelevant_sig",
    "irrelevant signature included",
);
const REPEATED: (i64, &str, &str) = (
    4_010_005,
    "tx_duplicate_sig",
    "duplicate signature included",
);
const LOW_FEE: (i64, &str, &str) = (4_010_007, "insufficient_fee", "insufficient fee");

/// Checks everything; returns the transaction.
pub(in super::super) fn check(tx: &Tx, cx: &Context<'_>) -> Result<Arc<Tx>, Failure> {
    let now = cx.head.head_ms;
    let block = |line| At("db_block.cpp", line, "_apply_transaction");
    let fail = |kind, line, format: &str, data: Value| {
        Err(Failure::new(kind, block(line), format, data, now))
    };
    for effect in &tx.effects {
        if let Effect::Change { url: Some(url), .. } = effect
            && url.len() >= URL_LIMIT
        {
            let at = At("witness.cpp", 40, "validate");
            let format = "new_url->size() < GRAPHENE_MAX_URL_LENGTH: ";
            return Err(Failure::new(ASSERT, at, format, json!({}), now));
        }
    }
    let signers = signers(tx, cx)?;
    if (cx.known)(&tx.id) {
        let format = "Transaction '${txid}' is already in the database";
        return fail(DUPLICATE, 708, format, json!({"txid": tx.id}));
    }
    authority_of(tx, &signers, cx)?;
    if tx.ref_prefix != (cx.tapos)(tx.ref_num) {
        let format = "trx.ref_block_prefix == tapos_block_summary.block_id._hash[1].value(): ";
        return fail(ASSERT, 740, format, json!({}));
    }
    let (head, expiration) = (iso(now, cx.head.interval_ms), iso(tx.expiration_ms, 1000));
    if tx.expiration_ms > now + MAX_EXPIRATION_S * 1000 {
        let data =
            json!({"trx.expiration": expiration, "now": head, "max_til_exp": MAX_EXPIRATION_S});
        let format = "trx.expiration <= now + chain_parameters.maximum_time_until_expiration: ";
        return fail(ASSERT, 745, format, data);
    }
    if now > tx.expiration_ms {
        let data = json!({"now": head, "trx.exp": expiration});
        return fail(ASSERT, 747, "now <= trx.expiration: ", data);
    }
    for effect in &tx.effects {
        evaluate(effect, cx.pending, now)?;
    }
    Ok(Arc::new(tx.clone()))
}

/// Whether the signatures suffice and none is too many.
pub(in super::super) fn authority(tx: &Tx, cx: &Context<'_>) -> Result<(), Failure> {
    authority_of(tx, &signers(tx, cx)?, cx)
}

fn signers(tx: &Tx, cx: &Context<'_>) -> Result<BTreeSet<[u8; 33]>, Failure> {
    let now = cx.head.head_ms;
    let mut found = BTreeSet::new();
    let digest = tx.variants.last().map(|v| v.digest).unwrap_or_default();
    for signature in &tx.signatures {
        let crypto = At("elliptic_secp256k1.cpp", 160, "public_key");
        if !signature.is_fc_canonical() {
            let format = "is_canonical( c ): signature is not canonical";
            return Err(Failure::new(ASSERT, crypto, format, json!({}), now));
        }
        let Ok(key) = signature.recover(&digest) else {
            let kind = (0, "exception", "unspecified");
            let format = "unable to reconstruct public key from signature";
            return Err(Failure::new(kind, crypto, format, json!({}), now));
        };
        if !found.insert(*key.as_bytes()) {
            let at = At("transaction.cpp", 356, "get_signature_keys");
            let format = "Duplicate Signature detected";
            return Err(Failure::new(REPEATED, at, format, json!({}), now));
        }
    }
    Ok(found)
}

fn authority_of(tx: &Tx, signers: &BTreeSet<[u8; 33]>, cx: &Context<'_>) -> Result<(), Failure> {
    let now = cx.head.head_ms;
    let at = |line| At("transaction.cpp", line, "verify_authority");
    let mut used = BTreeSet::new();
    for effect in &tx.effects {
        let Effect::Change { account, .. } = effect else {
            continue;
        };
        let Some(active) = account_name(cx.head, account).and_then(|name| cx.accounts.get(name))
        else {
            return Err(unknown(account, now));
        };
        if !signers.contains(active.as_bytes()) {
            let single = |key: &PublicKey| json!({"weight_threshold": 1, "account_auths": [], "key_auths": [[key.to_text(cx.codec.prefix()), 1]], "address_auths": []});
            let data = json!({"id": account, "auth": single(active), "owner": single(active)});
            let format = "Missing Active Authority ${id}";
            return Err(Failure::new(MISSING_ACTIVE, at(336), format, data, now));
        }
        used.insert(*active.as_bytes());
    }
    if used.len() < signers.len() {
        let format = "Unnecessary signature(s) detected";
        return Err(Failure::new(IRRELEVANT, at(342), format, json!({}), now));
    }
    Ok(())
}

fn unknown(id: &str, now: u64) -> Failure {
    let format = "maybe_found != nullptr: Unable to find Object ${id}";
    let at = At("index.hpp", 113, "get");
    Failure::new(ASSERT, at, format, json!({"id": id}), now)
}

fn evaluate(effect: &Effect, state: &State, now: u64) -> Result<(), Failure> {
    let Effect::Change {
        witness: id,
        account,
        fee,
        ..
    } = effect
    else {
        return Ok(());
    };
    let found = witness(state, id, ObjectId::WITNESS).ok_or_else(|| unknown(id, now))?;
    if account_id(found) != *account {
        let at = At("witness_evaluator.cpp", 60, "do_evaluate");
        let format = "db().get(op.witness).witness_account == op.witness_account: ";
        return Err(Failure::new(ASSERT, at, format, json!({}), now));
    }
    if fee.1 != "1.3.0" {
        return Err(unknown(&fee.1, now));
    }
    if fee.0 < FEE {
        let at = At("evaluator.hpp", 120, "evaluate");
        let data = json!({"core_fee_paid": fee.0, "required": FEE});
        let format = "Insufficient Fee Paid";
        return Err(Failure::new(LOW_FEE, at, format, data, now));
    }
    Ok(())
}
