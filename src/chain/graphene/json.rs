//! Transactions as JSON, in both forms nodes speak. Pure.
//!
//! *Condenser*: `["witness_update", {…}]`, amounts as text. *Appbase*: `{"type":"witness_update_operation","value":{…}}`,
//! amounts as NAI objects on Hive. Reading takes either, numbers as integer or text; an unknown field is an
//! error, because what is not understood would not be signed.

use serde_json::{Map, Value, json};

use super::TxError;
use super::asset::Asset;
use super::chain_properties::ChainProperties;
use super::codec::{format_time, parse_time};
use super::dialect::{Dialect, OperationKind};
use super::objects::WitnessChange;
use super::operation::{Operation, WitnessProps, sorted};
use super::transaction::{SignedTransaction, Transaction};
use crate::chain::Protocol;
use crate::hex;
use crate::keys::{PublicKey, Signature};

/// How amounts and operations are wrapped on output.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Condenser,
    Appbase,
}

/// One JSON object being read: remembers where it is and which fields were asked for.
pub(super) struct Object<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

pub(super) fn bad<T>(path: impl Into<String>, problem: impl Into<String>) -> Result<T, TxError> {
    Err(TxError::Json {
        path: path.into(),
        problem: problem.into(),
    })
}

impl<'a> Object<'a> {
    pub(super) fn new(value: &'a Value, path: &str, known: &[&str]) -> Result<Self, TxError> {
        let Some(map) = value.as_object() else {
            return bad(path, "an object is needed here");
        };
        if let Some(name) = map.keys().find(|k| !known.contains(&k.as_str())) {
            let name: String = name.chars().take(60).collect();
            return bad(
                join(path, &name),
                format!("unknown field; known here: {}", known.join(", ")),
            );
        }
        Ok(Self {
            path: path.into(),
            map,
        })
    }

    pub(super) fn at(&self, name: &str) -> String {
        join(&self.path, name)
    }

    pub(super) fn get(&self, name: &str) -> Result<&'a Value, TxError> {
        match self.map.get(name) {
            Some(value) => Ok(value),
            None => bad(self.at(name), "missing"),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, TxError> {
        match self.get(name)?.as_str() {
            Some(text) => Ok(text),
            None => bad(self.at(name), "text is needed here"),
        }
    }

    /// fc prints large integers as text, so either is taken.
    pub(super) fn number<T: TryFrom<i128>>(&self, name: &str) -> Result<T, TxError> {
        let value = self.get(name)?;
        let number: Option<i128> = match value {
            Value::Number(n) => n
                .as_i64()
                .map(i128::from)
                .or_else(|| n.as_u64().map(i128::from)),
            Value::String(s) if s.bytes().all(|b| b.is_ascii_digit() || b == b'-') => {
                s.parse().ok()
            }
            _ => None,
        };
        match number.map(T::try_from) {
            Some(Ok(n)) => Ok(n),
            Some(Err(_)) => bad(self.at(name), "the number is out of range"),
            None => bad(self.at(name), "a whole number is needed here"),
        }
    }

    pub(super) fn asset(&self, name: &str, dialect: &Dialect) -> Result<Asset, TxError> {
        let path = self.at(name);
        let asset = match self.get(name)? {
            Value::String(text) => match text.parse() {
                Ok(asset) => asset,
                Err(error) => return bad(path, format!("{error}")),
            },
            value => {
                let o = Object::new(value, &path, &["amount", "precision", "nai"])?;
                let nai = o.text("nai")?;
                match Asset::from_nai(o.number("amount")?, o.number("precision")?, nai, dialect) {
                    Some(asset) => asset,
                    None => return bad(o.at("nai"), "not the core or debt asset"),
                }
            }
        };
        match dialect.check_asset(&asset) {
            Ok(()) => Ok(asset),
            Err(error) => bad(path, error.to_string()),
        }
    }

    pub(super) fn key(&self, name: &str, dialect: &Dialect) -> Result<PublicKey, TxError> {
        PublicKey::parse(self.text(name)?, &dialect.address_prefix)
            .or_else(|error| bad(self.at(name), error.to_string()))
    }

    pub(super) fn no_extensions(&self) -> Result<(), TxError> {
        match self.map.get("extensions") {
            None => Ok(()),
            Some(Value::Array(list)) if list.is_empty() => Ok(()),
            Some(_) => bad(self.at("extensions"), "must be an empty list"),
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.into()
    } else {
        format!("{path}.{name}")
    }
}

impl Transaction {
    /// Reads a transaction in condenser or appbase form, with the signatures it has.
    ///
    /// # Errors
    /// [`TxError::Json`] with the place: a missing, unknown or malformed field, an asset or key of another chain.
    pub fn from_json(value: &Value, dialect: &Dialect) -> Result<SignedTransaction, TxError> {
        let o = Object::new(
            value,
            "",
            &[
                "ref_block_num",
                "ref_block_prefix",
                "expiration",
                "operations",
                "extensions",
                "signatures",
                // What nodes add when they show a transaction that is in a block.
                "transaction_id",
                "block_num",
                "transaction_num",
            ],
        )?;
        o.no_extensions()?;
        let Some(expiration) = parse_time(o.text("expiration")?) else {
            return bad(
                "expiration",
                "a time such as 2026-11-21T12:34:56 (UTC, between 1970 and 2106) is needed here",
            );
        };
        let Some(list) = o.get("operations")?.as_array() else {
            return bad("operations", "a list is needed here");
        };
        let operations = list
            .iter()
            .enumerate()
            .map(|(i, op)| read_operation(op, &format!("operations[{i}]"), dialect))
            .collect::<Result<_, _>>()?;
        let signatures = match o.map.get("signatures") {
            None => vec![],
            Some(Value::Array(list)) => list
                .iter()
                .enumerate()
                .map(|(i, s)| {
                    let path = format!("signatures[{i}]");
                    match s.as_str().map(Signature::from_hex) {
                        Some(Ok(signature)) => Ok(signature),
                        Some(Err(error)) => bad(path, error.to_string()),
                        None => bad(path, "text is needed here"),
                    }
                })
                .collect::<Result<_, _>>()?,
            Some(_) => return bad("signatures", "a list is needed here"),
        };
        Ok(SignedTransaction {
            tx: Self {
                ref_block_num: o.number("ref_block_num")?,
                ref_block_prefix: o.number("ref_block_prefix")?,
                expiration,
                operations,
            },
            signatures,
        })
    }
}

fn read_operation(value: &Value, path: &str, dialect: &Dialect) -> Result<Operation, TxError> {
    let (name, body, path) = match value {
        Value::Array(pair) if pair.len() == 2 => (
            pair[0].as_str().or_else(|| named(&pair[0], dialect)),
            &pair[1],
            format!("{path}[1]"),
        ),
        Value::Object(_) => {
            let o = Object::new(value, path, &["type", "value"])?;
            let name = o.text("type")?;
            (
                name.strip_suffix("_operation"),
                o.get("value")?,
                o.at("value"),
            )
        }
        _ => (None, value, path.to_owned()),
    };
    let kind = OperationKind::ALL
        .into_iter()
        .find(|k| Some(k.name()) == name);
    let Some(kind) = kind else {
        return bad(
            path,
            "an operation [\"name\", {…}] or {\"type\":\"name_operation\",\"value\":{…}} is needed here ([21, {…}] on bitshares); known: witness_update, witness_set_properties, feed_publish, chain_properties_update",
        );
    };
    dialect.operation_id(kind)?;
    match kind {
        OperationKind::WitnessUpdate if dialect.names_objects() => {
            WitnessChange::read(body, &path, dialect).map(Operation::WitnessChange)
        }
        OperationKind::ChainPropertiesUpdate => {
            let o = Object::new(body, &path, &["owner", "props"])?;
            Ok(Operation::ChainPropertiesUpdate {
                owner: o.text("owner")?.into(),
                props: ChainProperties::read(o.get("props")?, &o.at("props"), dialect)?,
            })
        }
        OperationKind::WitnessUpdate => read_witness_update(body, &path, dialect),
        OperationKind::WitnessSetProperties => read_set_properties(body, &path),
        OperationKind::FeedPublish => {
            let o = Object::new(body, &path, &["publisher", "exchange_rate"])?;
            let rate = Object::new(
                o.get("exchange_rate")?,
                &o.at("exchange_rate"),
                &["base", "quote"],
            )?;
            Ok(Operation::FeedPublish {
                publisher: o.text("publisher")?.into(),
                base: rate.asset("base", dialect)?,
                quote: rate.asset("quote", dialect)?,
            })
        }
    }
}

/// The name of an operation given by its number, where the chain's JSON does so.
fn named(number: &Value, dialect: &Dialect) -> Option<&'static str> {
    let number = number.as_u64().filter(|_| dialect.names_objects())?;
    OperationKind::ALL
        .into_iter()
        .find(|kind| dialect.operation_id(*kind).map(u64::from) == Ok(number))
        .map(OperationKind::name)
}

fn read_witness_update(body: &Value, path: &str, dialect: &Dialect) -> Result<Operation, TxError> {
    let o = Object::new(
        body,
        path,
        &["owner", "url", "block_signing_key", "props", "fee"],
    )?;
    let mut known = vec!["account_creation_fee", "maximum_block_size"];
    known.extend(dialect.interest_rate_name());
    let props = Object::new(o.get("props")?, &o.at("props"), &known)?;
    Ok(Operation::WitnessUpdate {
        owner: o.text("owner")?.into(),
        url: o.text("url")?.into(),
        block_signing_key: o.key("block_signing_key", dialect)?,
        props: WitnessProps {
            account_creation_fee: props.asset("account_creation_fee", dialect)?,
            maximum_block_size: props.number("maximum_block_size")?,
            interest_rate: dialect
                .interest_rate_name()
                .map(|name| props.number(name))
                .transpose()?,
        },
        fee: o.asset("fee", dialect)?,
    })
}

fn read_set_properties(body: &Value, path: &str) -> Result<Operation, TxError> {
    let o = Object::new(body, path, &["owner", "props", "extensions"])?;
    o.no_extensions()?;
    let Some(list) = o.get("props")?.as_array() else {
        return bad(
            o.at("props"),
            "a list of [\"name\", \"hex\"] is needed here",
        );
    };
    let mut props = Vec::with_capacity(list.len());
    for (i, pair) in list.iter().enumerate() {
        let path = format!("{}[{i}]", o.at("props"));
        match pair.as_array().map(Vec::as_slice) {
            Some([Value::String(name), Value::String(value)]) => match hex::decode(value) {
                Ok(value) => props.push((name.clone(), value)),
                Err(error) => return bad(path, format!("{name} is not hex: {error}")),
            },
            _ => return bad(path, "a pair [\"name\", \"hex\"] is needed here"),
        }
    }
    sorted(&props)?;
    Ok(Operation::WitnessSetProperties {
        owner: o.text("owner")?.into(),
        props,
    })
}

impl SignedTransaction {
    /// The condenser form, ready for `condenser_api.broadcast_transaction`.
    #[must_use]
    pub fn to_json(&self, dialect: &Dialect) -> Value {
        self.render(dialect, Form::Condenser)
    }

    /// The appbase form, for `network_broadcast_api`; amounts are NAI objects on Hive and Steem.
    #[must_use]
    pub fn to_appbase_json(&self, dialect: &Dialect) -> Value {
        self.render(dialect, Form::Appbase)
    }

    fn render(&self, dialect: &Dialect, form: Form) -> Value {
        let operations: Vec<Value> = self
            .tx
            .operations
            .iter()
            .map(|op| {
                let (name, body) = (op.kind().name(), write_operation(op, dialect, form));
                match (form, dialect.operation_id(op.kind())) {
                    (Form::Condenser, Ok(number)) if dialect.names_objects() => {
                        json!([number, body])
                    }
                    (Form::Condenser, _) => json!([name, body]),
                    (Form::Appbase, _) => {
                        json!({"type": format!("{name}_operation"), "value": body})
                    }
                }
            })
            .collect();
        let signatures: Vec<String> = self.signatures.iter().map(Signature::to_hex).collect();
        json!({
            "ref_block_num": self.tx.ref_block_num,
            "ref_block_prefix": self.tx.ref_block_prefix,
            "expiration": format_time(self.tx.expiration),
            "operations": operations,
            "extensions": [],
            "signatures": signatures,
        })
    }
}

fn write_operation(operation: &Operation, dialect: &Dialect, form: Form) -> Value {
    let asset = |asset: &Asset| write_asset(asset, dialect, form);
    match operation {
        Operation::WitnessUpdate {
            owner,
            url,
            block_signing_key,
            props,
            fee,
        } => {
            let mut rendered = Map::new();
            rendered.insert(
                "account_creation_fee".into(),
                asset(&props.account_creation_fee),
            );
            rendered.insert("maximum_block_size".into(), props.maximum_block_size.into());
            if let (Some(name), Some(rate)) = (dialect.interest_rate_name(), props.interest_rate) {
                rendered.insert(name.into(), rate.into());
            }
            json!({
                "owner": owner,
                "url": url,
                "block_signing_key": block_signing_key.to_text(&dialect.address_prefix),
                "props": rendered,
                "fee": asset(fee),
            })
        }
        Operation::WitnessSetProperties { owner, props } => {
            let mut props: Vec<_> = props.iter().collect();
            props.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            let props: Vec<Value> = props
                .into_iter()
                .map(|(name, value)| json!([name, hex::encode(value)]))
                .collect();
            json!({"owner": owner, "props": props, "extensions": []})
        }
        Operation::FeedPublish {
            publisher,
            base,
            quote,
        } => json!({
            "publisher": publisher,
            "exchange_rate": {"base": asset(base), "quote": asset(quote)},
        }),
        Operation::WitnessChange(change) => change.to_json(dialect),
        Operation::ChainPropertiesUpdate { owner, props } => {
            json!({"owner": owner, "props": props.to_json()})
        }
    }
}

fn write_asset(asset: &Asset, dialect: &Dialect, form: Form) -> Value {
    let numeric = matches!(dialect.protocol, Protocol::Hive | Protocol::Steem);
    if form == Form::Appbase && numeric {
        json!({
            "amount": asset.amount.to_string(),
            "precision": asset.precision,
            "nai": asset.nai(dialect),
        })
    } else {
        asset.to_string().into()
    }
}
