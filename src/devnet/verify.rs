//! What a node checks before it takes a transaction, in the node's own order and with its own words.
//!
//! Order of a real node: the operations by themselves, duplicates, authority, reference block, expiration, then the evaluators
//! against the pending state. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::codec::{Codec, Variant};
use super::dialect::{self, MAX_EXPIRATION_S, MAX_URL, Names};
use super::errors::{
    ASSERT, At, BAD_CAST, EXPIRATION, Failure, IRRELEVANT, MISSING_ACTIVE, MISSING_OTHER, PARSE,
    REPEATED, TAPOS, UNKNOWN_KEY,
};
use super::state::{Effect, State, packed_string};
use super::time::{iso, parse_iso};
use crate::keys::{PublicKey, Signature};

/// A transaction, decoded.
#[derive(Debug, Clone)]
pub struct Tx {
    /// Hex id, of the serialization that its signatures fit.
    pub id: String,
    /// Condenser form as a node shows it (property maps sorted), with signatures.
    pub json: Value,
    /// What it changes.
    pub effects: Vec<Effect>,
    /// Unix milliseconds.
    pub expiration_ms: u64,
    ref_num: u16,
    ref_prefix: u32,
    variants: Vec<Variant>,
    signatures: Vec<Signature>,
}

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

/// Reads a transaction in the condenser form.
pub(crate) fn parse(raw: &Value, codec: &Codec, now_ms: u64) -> Result<Tx, Failure> {
    let bad = |what: &str| {
        Failure::new(
            PARSE,
            At("variant.cpp", 405, "from_variant"),
            what,
            json!({}),
            now_ms,
        )
    };
    if !raw.is_object() {
        let data = json!({"type": type_name(raw)});
        let format = "Invalid cast from type '${type}' to Object";
        return Err(Failure::new(
            BAD_CAST,
            At("variant.cpp", 575, "get_object"),
            format,
            data,
            now_ms,
        ));
    }
    let mut tx = raw.clone();
    if !tx["extensions"].is_array() {
        tx["extensions"] = json!([]);
    }
    let mut effects = Vec::new();
    for op in tx["operations"]
        .as_array_mut()
        .ok_or_else(|| bad("transaction has no operations"))?
    {
        effects.push(effect(op, codec.prefix()).map_err(|e| bad(&e))?);
    }
    let number = |name: &str| {
        raw[name]
            .as_u64()
            .or_else(|| raw[name].as_str()?.parse().ok())
    };
    let ref_num = number("ref_block_num").and_then(|n| u16::try_from(n).ok());
    let ref_prefix = number("ref_block_prefix").and_then(|n| u32::try_from(n).ok());
    let expiration = raw["expiration"].as_str().and_then(parse_iso);
    let signatures: Option<Vec<Signature>> = match raw.get("signatures") {
        None => Some(Vec::new()),
        Some(list) => list.as_array().and_then(|l| {
            l.iter()
                .map(|s| Signature::from_hex(s.as_str()?).ok())
                .collect()
        }),
    };
    if tx.get("signatures").is_none() {
        tx["signatures"] = json!([]);
    }
    let variants = codec.variants(&tx).map_err(|e| bad(&e))?;
    Ok(Tx {
        id: variants.last().map(|v| v.txid.clone()).unwrap_or_default(),
        json: tx,
        effects,
        expiration_ms: expiration.ok_or_else(|| bad("Couldn't parse the expiration"))?,
        ref_num: ref_num.ok_or_else(|| bad("Couldn't parse uint16_t"))?,
        ref_prefix: ref_prefix.ok_or_else(|| bad("Couldn't parse uint32_t"))?,
        variants,
        signatures: signatures.ok_or_else(|| bad("Couldn't parse a signature"))?,
    })
}

/// Name that fc gives to a JSON type.
pub(crate) fn type_name(v: &Value) -> &'static str {
    match v {
        Value::Null => "null_type",
        Value::Bool(_) => "bool_type",
        Value::Number(n) if n.is_f64() => "double_type",
        Value::Number(n) if n.is_u64() => "uint64_type",
        Value::Number(_) => "int64_type",
        Value::String(_) => "string_type",
        Value::Array(_) => "array_type",
        Value::Object(_) => "object_type",
    }
}

/// Reads one operation, sorting its property map as the node does.
fn effect(op: &mut Value, prefix: &str) -> Result<Effect, String> {
    let name = op[0].as_str().ok_or("operation has no name")?.to_owned();
    let body = op.get_mut(1).ok_or("operation has no content")?;
    let text = |v: &Value, k: &str| {
        v[k].as_str()
            .map(str::to_owned)
            .ok_or_else(|| format!("{name}: {k} is no string"))
    };
    match name.as_str() {
        "witness_update" => Ok(Effect::Update {
            owner: text(body, "owner")?,
            url: text(body, "url")?,
            key: PublicKey::parse(&text(body, "block_signing_key")?, prefix)
                .map_err(|e| e.to_string())?,
            props: body["props"].clone(),
        }),
        "witness_set_properties" => {
            let mut props = BTreeMap::new();
            for pair in body["props"].as_array().ok_or("props is no array")? {
                let (Some(k), Some(v)) = (pair[0].as_str(), pair[1].as_str()) else {
                    return Err("props holds pairs of name and hex".to_owned());
                };
                props.insert(
                    k.to_owned(),
                    crate::hex::decode(v).map_err(|e| format!("{k}: {e}"))?,
                );
            }
            body["props"] = props
                .iter()
                .map(|(k, v)| json!([k, crate::hex::encode(v)]))
                .collect();
            Ok(Effect::Set {
                owner: text(body, "owner")?,
                props,
            })
        }
        "feed_publish" => Ok(Effect::Feed {
            publisher: text(body, "publisher")?,
            price: (
                text(&body["exchange_rate"], "base")?,
                text(&body["exchange_rate"], "quote")?,
            ),
        }),
        other => Err(format!("the devnet does not know the operation {other}")),
    }
}

/// Checks everything; returns the transaction with the id that its signatures fit.
pub(crate) fn check(tx: &Tx, cx: &Context<'_>) -> Result<Arc<Tx>, Failure> {
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
            Effect::Feed { .. } => {}
        }
    }
    Ok(())
}

/// The id of the first serialization that the signatures fit. Hive tries its new form, then the old one; the error is the last one's.
pub(crate) fn authority_by_any(tx: &Tx, cx: &Context<'_>) -> Result<String, Failure> {
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
        if !signature.is_low_s() {
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
            Effect::Set { .. } => continue,
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
        Effect::Update { .. } => Ok(()),
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
