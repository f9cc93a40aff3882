//! JSON → bytes, by the table in [`super::abi`]. Pure. An unknown field is an error: what is not understood would not be
//! signed.

use serde_json::{Map, Value};

use super::TxError;
use super::abi::{self, Type};
use super::name::Name;
use crate::chain::graphene::parse_time;
use crate::hex;
use crate::keys::TypedKey;

/// Appends `value`, laid out as `kind`.
pub(super) fn pack(
    kind: &Type,
    value: &Value,
    path: &str,
    out: &mut Vec<u8>,
) -> Result<(), TxError> {
    match kind {
        Type::Name => {
            let name: Name = text(value, path)?
                .parse()
                .map_err(|e| bad(path, format!("{e}")))?;
            out.extend(name.0.to_le_bytes());
        }
        Type::Key => {
            let key = TypedKey::parse(text(value, path)?).map_err(|e| bad(path, e.to_string()))?;
            out.extend(key.to_packed());
        }
        Type::Text => bytes(out, text(value, path)?.as_bytes(), path)?,
        Type::U8 => out.extend(number::<u8>(value, path)?.to_le_bytes()),
        Type::U16 => out.extend(number::<u16>(value, path)?.to_le_bytes()),
        Type::U32 => out.extend(number::<u32>(value, path)?.to_le_bytes()),
        Type::Var => varuint(out, number(value, path)?),
        Type::Time => {
            let seconds = text(value, path)
                .ok()
                // Nodes write half seconds; an expiration has none.
                .and_then(|t| parse_time(t.strip_suffix(".000").unwrap_or(t)))
                .ok_or_else(|| bad(path, "a time like 2026-11-21T12:34:56 is needed here"))?;
            out.extend(seconds.to_le_bytes());
        }
        Type::List(item) => {
            let items = list(value, path)?;
            count(out, items.len(), path)?;
            for (i, value) in items.iter().enumerate() {
                pack(item, value, &format!("{path}[{i}]"), out)?;
            }
        }
        Type::Nothing => {
            if !list(value, path)?.is_empty() {
                return Err(bad(
                    path,
                    "must be empty: slotkeeper does not understand it, so it does not sign it",
                ));
            }
            out.push(0);
        }
        Type::Object(fields) => object(fields, value, path, out)?,
        Type::Variant(name, inner) => {
            let (which, value) = match value.as_array().map(Vec::as_slice) {
                Some([which, value]) => (which, value),
                _ => return Err(bad(path, format!("[{name:?}, {{…}}] is needed here"))),
            };
            if which.as_str() != Some(*name) && which.as_u64() != Some(0) {
                return Err(bad(path, format!("only {name} is known here")));
            }
            out.push(0);
            pack(inner, value, &format!("{path}[1]"), out)?;
        }
        Type::Action => action(value, path, out)?,
    }
    Ok(())
}

/// Appends the fields of an object in their order.
pub(super) fn object(
    fields: &[(&str, Type)],
    value: &Value,
    path: &str,
    out: &mut Vec<u8>,
) -> Result<(), TxError> {
    let map = members(value, path, &mut fields.iter().map(|(name, _)| *name))?;
    for (name, kind) in fields {
        pack(kind, member(map, path, name)?, &join(path, name), out)?;
    }
    Ok(())
}

fn action(value: &Value, path: &str, out: &mut Vec<u8>) -> Result<(), TxError> {
    let known = ["account", "name", "authorization", "data"];
    let map = members(value, path, &mut known.into_iter())?;
    let account = member(map, path, "account")?;
    let name = member(map, path, "name")?;
    pack(&Type::Name, account, &join(path, "account"), out)?;
    pack(&Type::Name, name, &join(path, "name"), out)?;
    let at = join(path, "authorization");
    pack(
        &Type::List(&abi::LEVEL),
        member(map, path, "authorization")?,
        &at,
        out,
    )?;
    let at = join(path, "data");
    let fields = known_action(account, name, path)?;
    let mut data = Vec::new();
    match member(map, path, "data")? {
        // As nodes give it when they do not decode it. What does not decode here is not signed.
        Value::String(text) => {
            data = hex::decode(text).map_err(|e| bad(&at, e.to_string()))?;
            super::unpack::whole(&Type::Object(fields), &data, &at)?;
        }
        value => object(fields, value, &at, &mut data)?,
    }
    bytes(out, &data, &at)
}

/// The layout of the action's data.
fn known_action(
    account: &Value,
    name: &Value,
    path: &str,
) -> Result<&'static [(&'static str, Type)], TxError> {
    let texts = account.as_str().zip(name.as_str());
    texts
        .and_then(|(account, name)| abi::action(account, name))
        .ok_or_else(|| bad(join(path, "name"), unknown_action()))
}

/// Why an action is refused.
pub(super) fn unknown_action() -> String {
    let names: Vec<&str> = abi::ACTIONS.iter().map(|(name, _)| *name).collect();
    format!(
        "slotkeeper signs only these actions of the account eosio: {}",
        names.join(", ")
    )
}

// === small parts ===

pub(super) fn bad(path: impl Into<String>, problem: impl Into<String>) -> TxError {
    TxError {
        path: path.into(),
        problem: problem.into(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The members of an object that has no others than `known`.
pub(super) fn members<'a>(
    value: &'a Value,
    path: &str,
    known: &mut dyn Iterator<Item = &str>,
) -> Result<&'a Map<String, Value>, TxError> {
    let known: Vec<&str> = known.collect();
    let map = value
        .as_object()
        .ok_or_else(|| bad(path, "an object is needed here"))?;
    match map.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let name: String = name.chars().take(60).collect();
            Err(bad(
                join(path, &name),
                format!("unknown field; known here: {}", known.join(", ")),
            ))
        }
        None => Ok(map),
    }
}

fn member<'a>(map: &'a Map<String, Value>, path: &str, name: &str) -> Result<&'a Value, TxError> {
    map.get(name)
        .ok_or_else(|| bad(join(path, name), "missing"))
}

fn text<'a>(value: &'a Value, path: &str) -> Result<&'a str, TxError> {
    value
        .as_str()
        .ok_or_else(|| bad(path, "a text is needed here"))
}

fn list<'a>(value: &'a Value, path: &str) -> Result<&'a [Value], TxError> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| bad(path, "a list is needed here"))
}

/// A whole number, as a number or as text (nodes print some as text).
fn number<T: TryFrom<u64>>(value: &Value, path: &str) -> Result<T, TxError> {
    let number = match value {
        Value::Number(n) => n.as_u64(),
        Value::String(s) => s.parse().ok(),
        _ => None,
    };
    number.and_then(|n| T::try_from(n).ok()).ok_or_else(|| {
        let bits = 8 * size_of::<T>();
        bad(
            path,
            format!("a whole number of {bits} bits is needed here"),
        )
    })
}

fn varuint(out: &mut Vec<u8>, mut n: u32) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn count(out: &mut Vec<u8>, n: usize, path: &str) -> Result<(), TxError> {
    varuint(out, u32::try_from(n).map_err(|_| bad(path, "is too long"))?);
    Ok(())
}

fn bytes(out: &mut Vec<u8>, data: &[u8], path: &str) -> Result<(), TxError> {
    count(out, data.len(), path)?;
    out.extend(data);
    Ok(())
}
