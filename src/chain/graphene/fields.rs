//! Reading fc's JSON: integers that may be strings, zone-less times, and errors that name the field. Pure.

use serde_json::Value;

use crate::chain::ReadError;
use crate::clock::Millis;

/// An error about one field.
pub(crate) fn bad(what: impl Into<String>, problem: impl Into<String>) -> ReadError {
    ReadError {
        what: what.into(),
        problem: problem.into(),
    }
}

/// The member `name` of an object.
pub(crate) fn field<'a>(value: &'a Value, name: &str) -> Result<&'a Value, ReadError> {
    value.get(name).ok_or_else(|| bad(name, "is missing"))
}

/// An unsigned integer. fc prints integers above 0xffffffff as strings, so every one may be either.
pub(crate) fn integer(value: &Value, name: &str) -> Result<u64, ReadError> {
    as_integer(field(value, name)?).ok_or_else(|| bad(name, "is not an unsigned integer"))
}

/// An unsigned integer from a number or a string.
pub(crate) fn as_integer(value: &Value) -> Option<u64> {
    match value {
        Value::Number(n) => n.as_u64(),
        Value::String(s) => s.parse().ok(),
        _ => None,
    }
}

/// A string member.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, ReadError> {
    field(value, name)?
        .as_str()
        .ok_or_else(|| bad(name, "is not a string"))
}

/// A chain time: `YYYY-MM-DDTHH:MM:SS`, UTC without a zone (devnets with short intervals add milliseconds).
pub(crate) fn time(value: &Value, name: &str) -> Result<Millis, ReadError> {
    parse_time(text(value, name)?)
        .ok_or_else(|| bad(name, "is not a time like 2026-11-21T03:38:53"))
}

/// [`time`] of a string.
pub(crate) fn parse_time(text: &str) -> Option<Millis> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

/// A time as the chain writes it, whole seconds.
pub(crate) fn format_seconds(seconds: i64) -> Option<String> {
    let stamp = jiff::Timestamp::from_second(seconds).ok()?;
    Some(stamp.strftime("%Y-%m-%dT%H:%M:%S").to_string())
}

/// A block id: lower-case hex of 20 bytes.
pub(crate) fn block_id(value: &Value, name: &str) -> Result<crate::chain::BlockId, ReadError> {
    let id = text(value, name)?;
    if id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(crate::chain::BlockId(id.to_ascii_lowercase()))
    } else {
        Err(bad(name, "is not a block id of 40 hex characters"))
    }
}
