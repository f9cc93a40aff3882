//! Reading a transaction as it is sent: its fields, its operations, its bytes under each serialization. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bitshares;
use super::codec::{Codec, Variant};
use super::errors::{At, BAD_CAST, Failure, PARSE};
use super::time::parse_iso;
use super::witness::Effect;
use crate::chain::Protocol;
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
    pub(super) ref_num: u16,
    pub(super) ref_prefix: u32,
    pub(super) variants: Vec<Variant>,
    pub(super) signatures: Vec<Signature>,
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
        let read = if codec.dialect.names_objects() {
            bitshares::effect(op, codec.prefix())
        } else {
            effect(op, codec.prefix())
        };
        let mut effect = read.map_err(|e| bad(&e))?;
        // Golos has its properties set by an operation of their own and ignores these.
        if let (Effect::Update { props, .. }, Protocol::Golos) =
            (&mut effect, codec.dialect.protocol)
        {
            *props = Value::Null;
        }
        effects.push(effect);
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
