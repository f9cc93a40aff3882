//! What BitShares writes differently from the Steem family: object ids in place of names, amounts as `{amount,
//! asset_id}`, and a `witness_update` whose fields are optional. Pure.
//!
//! Sources: bitshares-core `protocol/witness.hpp` and `protocol/asset.hpp`. On the wire an id is its instance alone
//! (`1.6.65` → `41`), an optional field one byte 0 or 1 and then the value.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::TxError;
use super::codec::{bytes, varint};
use super::dialect::Dialect;
use super::json::{Object, bad};
use crate::keys::PublicKey;

/// An object's id, `space.type.instance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    /// 1: what the protocol names, 2: what nodes keep beside it.
    pub space: u8,
    /// Within the space: 2 account, 3 asset, 6 witness.
    pub kind: u8,
    /// Number of the object.
    pub instance: u64,
}

/// A text that is no object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an object id such as 1.6.65")]
pub struct BadObjectId;

/// `witness_update` where objects are named: what is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessChange {
    /// The fee, in the asset's smallest unit.
    pub fee: i64,
    /// Asset the fee is paid in: `1.3.0` is the core asset.
    pub fee_asset: ObjectId,
    /// The witness object, `1.6.x`.
    pub witness: ObjectId,
    /// The account it belongs to, `1.2.x`: its active authority signs.
    pub witness_account: ObjectId,
    /// At most 126 bytes, or the chain refuses it; not checked here.
    pub new_url: Option<String>,
    /// The key to register.
    pub new_signing_key: Option<PublicKey>,
}

// === impl ObjectId ===

impl ObjectId {
    /// An object of the protocol's space.
    #[must_use]
    pub const fn protocol(kind: u8, instance: u64) -> Self {
        Self {
            space: 1,
            kind,
            instance,
        }
    }

    /// Accounts, `1.2.x`.
    pub const ACCOUNT: u8 = 2;
    /// Assets, `1.3.x`.
    pub const ASSET: u8 = 3;
    /// Witnesses, `1.6.x`.
    pub const WITNESS: u8 = 6;

    /// The id in `text`, when it is one of the protocol's objects of this kind.
    #[must_use]
    pub fn of_kind(text: &str, kind: u8) -> Option<Self> {
        let id: Self = text.parse().ok()?;
        (id.space == 1 && id.kind == kind).then_some(id)
    }
}

impl FromStr for ObjectId {
    type Err = BadObjectId;

    fn from_str(text: &str) -> Result<Self, BadObjectId> {
        fn number<T: FromStr>(text: Option<&str>) -> Result<T, BadObjectId> {
            let text = text.filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()));
            text.and_then(|t| t.parse().ok()).ok_or(BadObjectId)
        }
        let mut parts = text.split('.');
        let id = Self {
            space: number(parts.next())?,
            kind: number(parts.next())?,
            instance: number(parts.next())?,
        };
        // fc packs 48 bits of instance into one number with space and type.
        if parts.next().is_some() || id.instance >= 1 << 48 {
            return Err(BadObjectId);
        }
        Ok(id)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.space, self.kind, self.instance)
    }
}

// === impl WitnessChange ===

impl WitnessChange {
    /// Appends the fields.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.fee.to_le_bytes());
        varint(out, self.fee_asset.instance);
        varint(out, self.witness.instance);
        varint(out, self.witness_account.instance);
        out.push(u8::from(self.new_url.is_some()));
        if let Some(url) = &self.new_url {
            bytes(out, url.as_bytes());
        }
        out.push(u8::from(self.new_signing_key.is_some()));
        if let Some(key) = &self.new_signing_key {
            out.extend(key.as_bytes());
        }
    }

    /// Reads the operation's object.
    pub(super) fn read(body: &Value, path: &str, dialect: &Dialect) -> Result<Self, TxError> {
        let o = Object::new(
            body,
            path,
            &[
                "fee",
                "witness",
                "witness_account",
                "new_url",
                "new_signing_key",
            ],
        )?;
        let fee = Object::new(o.get("fee")?, &o.at("fee"), &["amount", "asset_id"])?;
        let present = |name: &str| body.get(name).is_some_and(|v| !v.is_null());
        Ok(Self {
            fee: fee.number("amount")?,
            fee_asset: id(&fee, "asset_id", ObjectId::ASSET)?,
            witness: id(&o, "witness", ObjectId::WITNESS)?,
            witness_account: id(&o, "witness_account", ObjectId::ACCOUNT)?,
            new_url: present("new_url")
                .then(|| o.text("new_url").map(str::to_owned))
                .transpose()?,
            new_signing_key: present("new_signing_key")
                .then(|| o.key("new_signing_key", dialect))
                .transpose()?,
        })
    }

    /// The operation's object.
    pub(super) fn to_json(&self, dialect: &Dialect) -> Value {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };
        put(
            "fee",
            json!({"amount": self.fee, "asset_id": self.fee_asset.to_string()}),
        );
        put("witness", self.witness.to_string().into());
        put("witness_account", self.witness_account.to_string().into());
        if let Some(url) = &self.new_url {
            put("new_url", url.clone().into());
        }
        if let Some(key) = &self.new_signing_key {
            put(
                "new_signing_key",
                key.to_text(&dialect.address_prefix).into(),
            );
        }
        Value::Object(body)
    }
}

fn id(o: &Object<'_>, name: &str, kind: u8) -> Result<ObjectId, TxError> {
    match ObjectId::of_kind(o.text(name)?, kind) {
        Some(id) => Ok(id),
        None => bad(
            o.at(name),
            format!("an object id 1.{kind}.x is needed here"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_nothing_else_is_one() {
        for text in ["1.6.65", "2.12.0", "1.2.1151765", "1.3.281474976710655"] {
            assert_eq!(text.parse::<ObjectId>().expect(text).to_string(), text);
        }
        for text in [
            "",
            "1",
            "1.6",
            "1.6.",
            "1.6.1.0",
            "1.6.+1",
            "a.b.c",
            "1.6.-1",
            "256.1.1",
            "1.6.281474976710656",
            " 1.6.1",
            "init0",
        ] {
            assert_eq!(text.parse::<ObjectId>(), Err(BadObjectId), "{text:?}");
        }
        assert!(ObjectId::of_kind("1.2.7", ObjectId::WITNESS).is_none());
        assert!(ObjectId::of_kind("2.6.7", ObjectId::WITNESS).is_none());
    }
}
