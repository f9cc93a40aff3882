//! A transaction as JSON, as bytes, and as nodes take it: digest, id, reference block. Pure.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::TxError;
use super::abi::TRANSACTION;
use super::abi::Type;
use super::pack::{bad, members, object};
use super::unpack;
use crate::hex;
use crate::keys::{KeyError, PublicKey, Signature};

/// A transaction and the signatures beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    bytes: Vec<u8>,
    json: Value,
    /// In the order of the JSON.
    pub signatures: Vec<Signature>,
}

/// Fields that may be left out, and what they are then.
const DEFAULTS: [&str; 3] = ["max_net_usage_words", "max_cpu_usage_ms", "delay_sec"];
const EMPTY: [&str; 2] = ["context_free_actions", "transaction_extensions"];

impl Transaction {
    /// Reads either form: readable (`expiration`, `actions` …, maybe `signatures`), or packed as nodes take it
    /// (`packed_trx`, `signatures` …). Only actions that slotkeeper knows; see [`super`].
    ///
    /// # Errors
    /// What is missing, unknown or of another type, and where.
    pub fn from_json(value: &Value) -> Result<Self, TxError> {
        let map = value
            .as_object()
            .ok_or_else(|| bad("transaction", "an object is needed here"))?;
        let signatures = signatures(map)?;
        if map.contains_key("packed_trx") {
            return Self::packed(value, signatures);
        }
        let mut readable = map.clone();
        readable.remove("signatures");
        if let Some(data) = readable.remove("context_free_data") {
            none(&data, "context_free_data")?;
        }
        for name in DEFAULTS {
            readable.entry(name).or_insert_with(|| json!(0));
        }
        for name in EMPTY {
            readable.entry(name).or_insert_with(|| json!([]));
        }
        let mut bytes = Vec::with_capacity(256);
        object(TRANSACTION, &Value::Object(readable), "", &mut bytes)?;
        Self::from_bytes(bytes, signatures)
    }

    fn packed(value: &Value, signatures: Vec<Signature>) -> Result<Self, TxError> {
        let known = [
            "signatures",
            "compression",
            "packed_context_free_data",
            "packed_trx",
        ];
        let map = members(value, "", &mut known.into_iter())?;
        let compression = map.get("compression");
        if compression.is_some_and(|c| *c != json!(0) && *c != json!("none")) {
            return Err(bad("compression", "only 0 (none) is understood"));
        }
        let free = map.get("packed_context_free_data").and_then(Value::as_str);
        if !matches!(free, None | Some("" | "00")) {
            return Err(bad("packed_context_free_data", "must be empty"));
        }
        let text = map
            .get("packed_trx")
            .and_then(Value::as_str)
            .ok_or_else(|| bad("packed_trx", "hex is needed here"))?;
        let bytes = hex::decode(text).map_err(|e| bad("packed_trx", e.to_string()))?;
        Self::from_bytes(bytes, signatures)
    }

    /// Reads the unsigned bytes.
    ///
    /// # Errors
    /// Bytes that are no transaction of known actions.
    pub fn from_bytes(bytes: Vec<u8>, signatures: Vec<Signature>) -> Result<Self, TxError> {
        let json = unpack::whole(&Type::Object(TRANSACTION), &bytes, "packed_trx")?;
        Ok(Self {
            bytes,
            json,
            signatures,
        })
    }

    /// The unsigned bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The readable form, without signatures: as unpacked from the bytes, so what is shown is what is signed.
    #[must_use]
    pub fn to_json(&self) -> &Value {
        &self.json
    }

    /// What nodes take: the body of `push_transaction` and `send_transaction`, and the member `transaction` of
    /// `send_transaction2`.
    #[must_use]
    pub fn to_push(&self) -> Value {
        push(&self.bytes, &self.signatures)
    }

    /// What is signed: `sha256(chain id ‖ bytes ‖ 32 zero bytes)`. The zeros stand for the context-free data, of which
    /// there is none.
    #[must_use]
    pub fn digest(&self, chain_id: &[u8; 32]) -> [u8; 32] {
        digest(chain_id, &self.bytes)
    }

    /// The transaction id: `sha256(bytes)`, lower-case hex. Signatures do not enter.
    #[must_use]
    pub fn id(&self) -> String {
        txid(&self.bytes)
    }

    /// The keys that made the signatures, over this digest.
    ///
    /// # Errors
    /// A signature from which no key recovers.
    pub fn signers(&self, digest: &[u8; 32]) -> Result<Vec<PublicKey>, KeyError> {
        self.signatures.iter().map(|s| s.recover(digest)).collect()
    }
}

/// See [`Transaction::digest`].
pub(super) fn digest(chain_id: &[u8; 32], bytes: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(chain_id)
        .chain_update(bytes)
        .chain_update([0; 32])
        .finalize()
        .into()
}

/// See [`Transaction::id`].
pub(super) fn txid(bytes: &[u8]) -> String {
    hex::encode(&<[u8; 32]>::from(Sha256::digest(bytes)))
}

/// See [`Transaction::to_push`].
pub(super) fn push(bytes: &[u8], signatures: &[Signature]) -> Value {
    let signatures: Vec<String> = signatures.iter().map(Signature::to_sig_k1).collect();
    json!({
        "signatures": signatures,
        "compression": 0,
        // A packed empty list.
        "packed_context_free_data": "00",
        "packed_trx": hex::encode(bytes),
    })
}

/// `ref_block_num` and `ref_block_prefix` of a block id, whose first four bytes are the block's number.
#[must_use]
pub fn tapos(block_id: &[u8; 32]) -> (u16, u32) {
    let [_, _, a, b, _, _, _, _, p, q, r, s, ..] = *block_id;
    (u16::from_be_bytes([a, b]), u32::from_le_bytes([p, q, r, s]))
}

fn signatures(map: &Map<String, Value>) -> Result<Vec<Signature>, TxError> {
    let Some(value) = map.get("signatures") else {
        return Ok(Vec::new());
    };
    let list = value
        .as_array()
        .ok_or_else(|| bad("signatures", "a list is needed here"))?;
    list.iter()
        .enumerate()
        .map(|(i, value)| {
            let at = format!("signatures[{i}]");
            let text = value
                .as_str()
                .ok_or_else(|| bad(&at, "a text is needed here"))?;
            Signature::from_sig_k1(text).map_err(|e| bad(&at, e.to_string()))
        })
        .collect()
}

fn none(value: &Value, path: &str) -> Result<(), TxError> {
    match value.as_array() {
        Some(list) if list.is_empty() => Ok(()),
        _ => Err(bad(path, "must be an empty list")),
    }
}
