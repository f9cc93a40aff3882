//! What a node checks before it takes a transaction, in the node's own order and with its own words.
//!
//! Order of a real node: the operations by themselves, duplicates, authority, reference block, expiration, then the evaluators
//! against the pending state. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::bitshares;
use super::codec::{Codec, Variant};
use super::dialect::{self, MAX_EXPIRATION_S, MAX_URL, Names};
use super::errors::{
    ASSERT, At, EXPIRATION, Failure, IRRELEVANT, MISSING_ACTIVE, MISSING_OTHER, REPEATED, TAPOS,
    UNKNOWN_KEY,
};
use super::state::State;
use super::time::iso;
use super::transaction::Tx;
use super::witness::{Effect, packed_string};
use crate::keys::PublicKey;

/// What the checks need of the chain.
pub(crate) struct Context<'a> {
    pub(crate) names: &'static Names,
    pub(crate) codec: &'a Codec,
    /// The head, which gives the time.
    pub(crate) head: &'a State,
    /// The head with everything pending applied.
    pub(crate) pending: &'a State,
    /// Active keys by account.
    pub(crate) accounts: &'a HashMap<String, PublicKey>,
    /// Whether a transaction of that id is in a block or pending.
    pub(crate) known: &'a dyn Fn(&str) -> bool,
    /// Prefix of the id of the block that a reference number names, 0 when there is none.
    pub(crate) tapos: &'a dyn Fn(u16) -> u32,
}

/// Checks everything; returns the transaction with the id that its signatures fit.
pub(crate) fn check(tx: &Tx, cx: &Context<'_>) -> Result<Arc<Tx>, Failure> {
    if cx.codec.dialect.names_objects() {
        return bitshares::verify::check(tx, cx);
    }
    let now = cx.head.head_ms;
    inner(tx, cx).map_err(|f| {
        let body = json!({"trx": dialect::tx_to_appbase(&tx.json)});
        f.through(
            At("database.cpp", cx.names.src.apply_tx, "_apply_transaction"),
            "",
            body.clone(),
            now,
        )
        .through(
            At("database.cpp", cx.names.src.push_tx, "push_transaction"),
            "",
            body,
            now,
        )
    })
}

fn inner(tx: &Tx, cx: &Context<'_>) -> Result<Arc<Tx>, Failure> {
    let src = &cx.names.src;
    let now = cx.head.head_ms;
    let database = |line, method| At("database.cpp", line, method);
    validate(tx, cx)?;
    if let Some(v) = tx.variants.iter().find(|v| (cx.known)(&v.txid)) {
        let format = "(skip & skip_transaction_dupe_check) || trx_idx.indices().get<by_trx_id>().find(trx_id) == trx_idx.indices().get<by_trx_id>().end(): Duplicate transaction check failed";
        let data = json!({"trx_ix": v.txid});
        return Err(Failure::new(
            ASSERT,
            database(src.duplicate, "_apply_transaction"),
            format,
            data,
            now,
        ));
    }
    let id = authority_by_any(tx, cx)?;
    let expected = (cx.tapos)(tx.ref_num);
    if tx.ref_prefix != expected {
        let data = json!({"trx.ref_block_prefix": tx.ref_prefix, "tapos_block_summary": expected});
        return Err(Failure::new(
            TAPOS,
            database(src.tapos, "_apply_transaction"),
            "",
            data,
            now,
        ));
    }
    let interval = cx.head.interval_ms;
    if tx.expiration_ms > now + MAX_EXPIRATION_S * 1000 {
        let data = json!({"trx.expiration": iso(tx.expiration_ms, 1000), "now": iso(now, interval), "max_til_exp": MAX_EXPIRATION_S});
        return Err(Failure::new(
            EXPIRATION,
            database(src.too_far, "_apply_transaction"),
            "",
            data,
            now,
        ));
    }
    if now >= tx.expiration_ms {
        let data = json!({"now": iso(now, interval), "trx.exp": iso(tx.expiration_ms, 1000)});
        return Err(Failure::new(
            EXPIRATION,
            database(src.expired, "_apply_transaction"),
            "",
            data,
            now,
        ));
    }
    let mut pending = cx.pending.clone();
    for (i, e) in tx.effects.iter().enumerate() {
        evaluate(e, &pending, cx).map_err(|f| {
            let op = json!({"op": dialect::op_to_appbase(&tx.json["operations"][i])});
            f.through(database(src.apply_op, "_apply_transaction"), "", op, now)
        })?;
        pending.apply_effect(e, now);
    }
    Ok(Arc::new(Tx { id, ..tx.clone() }))
}

/// Rules an operation has to keep whatever the state.
fn validate(tx: &Tx, cx: &Context<'_>) -> Result<(), Failure> {
    let now = cx.head.head_ms;
    let fail = |line, format: &str| {
        Err(Failure::new(
            ASSERT,
            At(cx.names.src.operations, line, "validate"),
            format,
            json!({}),
            now,
        ))
    };
    let url = |url: &str| {
        if url.len() > MAX_URL {
            let format = format!(
                "url.size() <= {}_MAX_WITNESS_URL_LENGTH: URL is too long",
                cx.names.config
            );
            return fail(240, &format);
        }
        if url.is_empty() {
            return fail(242, "url.size() > 0: URL size must be greater than 0");
        }
        Ok(())
    };
    for effect in &tx.effects {
        match effect {
            Effect::Update { url: u, .. } => url(u)?,
            Effect::Set { props, .. } => {
                if !props.contains_key("key") {
                    return fail(
                        253,
                        "props.find( \"key\" ) != props.end(): No signing key provided",
                    );
                }
                if let Some(packed) = props.get("url") {
                    match packed_string(packed) {
                        Some(u) => url(&u)?,
                        None => return fail(260, "url property does not unpack to a string"),
                    }
                }
                for name in ["key", "new_signing_key"] {
                    if props.get(name).is_some_and(|v| v.len() != 33) {
                        return fail(256, "signing key does not unpack to a public key");
                    }
                }
            }
            Effect::Feed { .. } | Effect::Change { .. } => {}
        }
    }
    Ok(())
}

/// The id of the first serialization that the signatures fit. Hive tries its new form, then the old one; the error is the last one's.
pub(crate) fn authority_by_any(tx: &Tx, cx: &Context<'_>) -> Result<String, Failure> {
    if cx.codec.dialect.names_objects() {
        return bitshares::verify::authority(tx, cx).map(|()| tx.id.clone());
    }
    let mut last = None;
    for variant in &tx.variants {
        match authority(tx, variant, cx) {
            Ok(()) => return Ok(variant.txid.clone()),
            Err(f) => last = Some(f),
        }
    }
    let now = cx.head.head_ms;
    let wrapped = last.unwrap_or_else(|| {
        Failure::new(
            ASSERT,
            At("transaction.cpp", 200, "verify_authority"),
            "no serialization",
            json!({}),
            now,
        )
    });
    Err(wrapped.through(
        At("transaction.cpp", 232, "verify_authority"),
        "",
        json!({"*this": dialect::tx_to_appbase(&tx.json)}),
        now,
    ))
}

fn authority(tx: &Tx, variant: &Variant, cx: &Context<'_>) -> Result<(), Failure> {
    let now = cx.head.head_ms;
    let prefix = cx.codec.prefix();
    let mut signers: BTreeSet<[u8; 33]> = BTreeSet::new();
    let mut texts = Vec::new();
    for signature in &tx.signatures {
        let crypto = At("elliptic_secp256k1.cpp", 160, "public_key");
        let wanted = cx.codec.dialect.wants_canonical_signatures();
        if !signature.is_low_s() || (wanted && !signature.is_fc_canonical()) {
            let format = "is_canonical( c, canon_type ): signature is not canonical";
            return Err(Failure::new(ASSERT, crypto, format, json!({}), now));
        }
        let Ok(key) = signature.recover(&variant.digest) else {
            let format = "unable to reconstruct public key from signature";
            return Err(Failure::new(
                (0, "exception", "unspecified"),
                crypto,
                format,
                json!({}),
                now,
            ));
        };
        if !signers.insert(*key.as_bytes()) {
            let at = At("transaction.cpp", 91, "get_signature_keys");
            return Err(
                Failure::new(REPEATED, at, "Duplicate Signature detected", json!({}), now).through(
                    At("transaction.cpp", 97, "get_signature_keys"),
                    "",
                    json!({}),
                    now,
                ),
            );
        }
        texts.push(key.to_text(prefix));
    }
    texts.sort();
    let containers = || -> Vec<Value> {
        tx.json["operations"]
            .as_array()
            .map(|ops| ops.iter().map(dialect::op_to_appbase).collect())
            .unwrap_or_default()
    };
    let through = |f: Failure| {
        let data = json!({"auth_containers": containers(), "sigs": texts});
        f.through(
            At("transaction_util.hpp", 103, "verify_authority"),
            "",
            data,
            now,
        )
    };
    let single = |key: &PublicKey| json!({"weight_threshold": 1, "account_auths": [], "key_auths": [[key.to_text(prefix), 1]]});
    let mut used = BTreeSet::new();
    for effect in &tx.effects {
        let Effect::Set { props, .. } = effect else {
            continue;
        };
        let raw: Option<[u8; 33]> = props.get("key").and_then(|v| v.as_slice().try_into().ok());
        let key = raw.unwrap_or([0; 33]);
        if key == [0; 33] || !signers.contains(&key) {
            let data = json!({"auth": single(&PublicKey::from_bytes(key)), "sigs": texts});
            return Err(through(Failure::new(
                MISSING_OTHER,
                At("transaction_util.hpp", 80, "verify_authority"),
                "Missing Authority",
                data,
                now,
            )));
        }
        used.insert(key);
    }
    for effect in &tx.effects {
        let owner = match effect {
            Effect::Update { owner, .. } => owner,
            Effect::Feed { publisher, .. } => publisher,
            Effect::Set { .. } | Effect::Change { .. } => continue,
        };
        let Some(active) = cx.accounts.get(owner) else {
            let data =
                json!({"auth_containers": containers(), "sigs": texts, "what": "unknown key"});
            return Err(Failure::wrapped(
                UNKNOWN_KEY,
                At("transaction_util.hpp", 103, "verify_authority"),
                data,
                now,
            ));
        };
        if !signers.contains(active.as_bytes()) {
            let data = json!({"id": owner, "auth": single(active), "owner": single(active)});
            return Err(through(Failure::new(
                MISSING_ACTIVE,
                At("transaction_util.hpp", 86, "verify_authority"),
                "Missing Active Authority ${id}",
                data,
                now,
            )));
        }
        used.insert(*active.as_bytes());
    }
    if used.len() < signers.len() {
        return Err(through(Failure::new(
            IRRELEVANT,
            At("transaction_util.hpp", 98, "verify_authority"),
            "Unnecessary signature(s) detected",
            json!({}),
            now,
        )));
    }
    Ok(())
}

/// What the evaluators check against the pending state.
fn evaluate(effect: &Effect, state: &State, cx: &Context<'_>) -> Result<(), Failure> {
    let now = cx.head.head_ms;
    let evaluator = |line| At(cx.names.src.evaluator, line, "do_apply");
    let unknown = || {
        Failure::wrapped(
            UNKNOWN_KEY,
            evaluator(150),
            json!({"what": "unknown key"}),
            now,
        )
    };
    match effect {
        Effect::Update { .. } | Effect::Change { .. } => Ok(()),
        Effect::Set { owner, props } => {
            let witness = state.witness(owner).ok_or_else(unknown)?;
            let raw: Option<[u8; 33]> = props.get("key").and_then(|v| v.as_slice().try_into().ok());
            let key = PublicKey::from_bytes(raw.unwrap_or([0; 33]));
            if key == witness.signing_key {
                return Ok(());
            }
            let format =
                "signing_key == witness.signing_key: 'key' does not match witness signing key.";
            let data = json!({"key": state.key_text(&key), "signing_key": state.key_text(&witness.signing_key)});
            Err(Failure::new(
                ASSERT,
                evaluator(cx.names.src.stale_key_line),
                format,
                data,
                now,
            ))
        }
        Effect::Feed { publisher, price } => {
            state.witness(publisher).ok_or_else(unknown)?;
            let symbol = |a: &str| {
                a.split_once(' ')
                    .map(|(_, s)| s.to_owned())
                    .unwrap_or_default()
            };
            if symbol(&price.0) == dialect::DEBT && symbol(&price.1) == dialect::CORE {
                return Ok(());
            }
            let (debt, core) = if cx.names.config == "HIVE" {
                ("HBD", "HIVE")
            } else {
                ("SBD", "STEEM")
            };
            let format = format!(
                "is_asset_type( o.exchange_rate.base, {debt}_SYMBOL ) && is_asset_type( o.exchange_rate.quote, {core}_SYMBOL ): Price feed must be a {debt}/{core} price"
            );
            Err(Failure::new(
                ASSERT,
                evaluator(cx.names.src.feed_line),
                &format,
                json!({}),
                now,
            ))
        }
    }
}
