//! What differs between the chains of the Graphene family on the wire: prefixes, symbols, field names, source lines in errors.
//!
//! Owns the constants of the test nets (observed on real steemd 0.24.0 and hived 1.25.0 testnet builds; Blurt's fields follow its
//! public source) and the conversions between the condenser and the appbase form of operations and assets. Pure.

use serde_json::{Map, Value, json};

use crate::chain::Protocol;

/// Names and figures of one chain's test net.
#[derive(Debug)]
pub(crate) struct Names {
    /// `STEEM`, `HIVE` or `BLURT`: the prefix of the `get_config` names.
    pub(crate) config: &'static str,
    /// Name of the debt asset in fields (`sbd`, `hbd`), none on Blurt.
    pub(crate) debt: Option<&'static str>,
    /// Name of the core asset in fields.
    pub(crate) core: &'static str,
    /// Node version reported.
    pub(crate) version: &'static str,
    /// Revision reported.
    pub(crate) revision: &'static str,
    /// Source file and lines that the node's errors name.
    pub(crate) src: Sources,
}

/// Places in the node's source that its error stacks name.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) operations: &'static str,
    pub(crate) evaluator: &'static str,
    pub(crate) stale_key_line: u32,
    pub(crate) feed_line: u32,
    pub(crate) duplicate: u32,
    pub(crate) tapos: u32,
    pub(crate) too_far: u32,
    pub(crate) expired: u32,
    pub(crate) apply_op: u32,
    pub(crate) apply_tx: u32,
    pub(crate) push_tx: u32,
    pub(crate) find_api: u32,
    pub(crate) find_method: u32,
    pub(crate) api_prefix: &'static str,
}

/// Address prefix of all three test nets.
pub(crate) const PREFIX: &str = "TST";
/// Core symbol of all three test nets (three decimals).
pub(crate) const CORE: &str = "TESTS";
/// Debt symbol of the test nets (three decimals).
pub(crate) const DEBT: &str = "TBD";
/// The chain id of the test nets of the family.
pub(crate) const CHAIN_ID: &str =
    "18dcf0a285365fc58b71f18b3d3fec954aa0c141c44e4e5cb4cf777b9eab274e";
/// Furthest expiration a node accepts, seconds after the head block.
pub(crate) const MAX_EXPIRATION_S: u64 = 3600;
/// Longest url, bytes.
pub(crate) const MAX_URL: usize = 2048;

static STEEM: Names = Names {
    config: "STEEM",
    debt: Some("sbd"),
    core: "steem",
    version: "0.24.0",
    revision: "0e27a9c8ee1540cdded278e0930ae837833aa28a",
    src: STEEM_SOURCES,
};

static HIVE: Names = Names {
    config: "HIVE",
    debt: Some("hbd"),
    core: "hive",
    version: "1.25.0",
    revision: "1584099c3054a97f02abfb4788b23f02eea98728",
    src: Sources {
        operations: "hive_operations.cpp",
        evaluator: "hive_evaluator.cpp",
        stale_key_line: 131,
        feed_line: 2478,
        duplicate: 4423,
        tapos: 4456,
        too_far: 4463,
        expired: 4466,
        apply_op: 4488,
        apply_tx: 4494,
        push_tx: 1187,
        find_api: 238,
        find_method: 241,
        api_prefix: "data.",
    },
};

static BLURT: Names = Names {
    config: "BLURT",
    debt: None,
    core: "blurt",
    version: "0.8.2",
    revision: "0000000000000000000000000000000000000000",
    src: Sources {
        operations: "blurt_operations.cpp",
        evaluator: "blurt_evaluator.cpp",
        ..STEEM_SOURCES
    },
};

// Golos kept the first names of the code it came from.
static GOLOS: Names = Names {
    config: "STEEMIT",
    debt: Some("sbd"),
    core: "steem",
    version: "0.30.0",
    revision: "0000000000000000000000000000000000000000",
    src: STEEM_SOURCES,
};

// Its own replies are in `bitshares`; of these only what all chains share is asked.
static BITSHARES: Names = Names {
    config: "GRAPHENE",
    debt: None,
    core: "bts",
    version: "7.0.2",
    revision: "0000000000000000000000000000000000000000",
    src: STEEM_SOURCES,
};

const STEEM_SOURCES: Sources = Sources {
    operations: "steem_operations.cpp",
    evaluator: "steem_evaluator.cpp",
    stale_key_line: 156,
    feed_line: 2508,
    duplicate: 3642,
    tapos: 3674,
    too_far: 3681,
    expired: 3684,
    apply_op: 3706,
    apply_tx: 3712,
    push_tx: 915,
    find_api: 206,
    find_method: 209,
    api_prefix: "",
};

/// The names of one protocol, or `None` for one of another family.
pub(crate) fn names(protocol: Protocol) -> Option<&'static Names> {
    match protocol {
        Protocol::Steem => Some(&STEEM),
        Protocol::Hive => Some(&HIVE),
        Protocol::Blurt => Some(&BLURT),
        Protocol::Golos => Some(&GOLOS),
        Protocol::BitShares => Some(&BITSHARES),
        Protocol::Antelope => None,
    }
}

/// An asset of the core symbol or the debt symbol, in the condenser (text) or appbase (object) form; `amount` in thousandths.
pub(crate) fn asset(amount: i64, symbol: &str, appbase: bool) -> Value {
    let text = format!("{}.{:03} {symbol}", amount / 1000, amount % 1000);
    if appbase {
        appbase_asset(&text).unwrap_or(Value::String(text))
    } else {
        Value::String(text)
    }
}

/// Vesting shares (six decimals) in either form; `amount` in millionths.
pub(crate) fn vests(amount: i64, appbase: bool) -> Value {
    let text = format!("{}.{:06} VESTS", amount / 1_000_000, amount % 1_000_000);
    if appbase {
        appbase_asset(&text).unwrap_or(Value::String(text))
    } else {
        Value::String(text)
    }
}

/// `"0.100 TESTS"` as `{"amount":"100","precision":3,"nai":…}`.
pub(crate) fn appbase_asset(text: &str) -> Option<Value> {
    let (number, symbol) = text.split_once(' ')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 12 {
        return None;
    }
    let amount: i64 = format!("{whole}{fraction}").parse().ok()?;
    let nai = match symbol {
        "VESTS" => "@@000000037",
        "TBD" | "SBD" | "HBD" => "@@000000013",
        _ => "@@000000021",
    };
    Some(json!({"amount": amount.to_string(), "precision": fraction.len(), "nai": nai}))
}

/// The inverse of [`appbase_asset`].
pub(crate) fn condenser_asset(value: &Value) -> Option<String> {
    let amount: i64 = match value.get("amount")? {
        Value::String(s) => s.parse().ok()?,
        other => other.as_i64()?,
    };
    let precision = usize::try_from(value.get("precision")?.as_u64()?)
        .ok()
        .filter(|p| *p <= 12)?;
    let symbol = match value.get("nai")?.as_str()? {
        "@@000000021" => CORE,
        "@@000000013" => DEBT,
        "@@000000037" => "VESTS",
        _ => return None,
    };
    let digits = format!("{:0>width$}", amount.unsigned_abs(), width = precision + 1);
    let (whole, fraction) = digits.split_at(digits.len() - precision);
    let sign = if amount < 0 { "-" } else { "" };
    let dot = if precision == 0 { "" } else { "." };
    Some(format!("{sign}{whole}{dot}{fraction} {symbol}"))
}

/// Turns every asset below `value` into the other form.
fn convert_assets(value: &Value, to_appbase: bool) -> Value {
    match value {
        Value::Object(map) if !to_appbase && map.contains_key("nai") => {
            condenser_asset(value).map_or_else(|| value.clone(), Value::String)
        }
        Value::Object(map) => {
            let mut out = Map::new();
            for (k, v) in map {
                let is_asset = matches!(
                    k.as_str(),
                    "fee" | "account_creation_fee" | "base" | "quote"
                ) || k.ends_with("_fee");
                let new = match v {
                    Value::String(s) if to_appbase && is_asset => {
                        appbase_asset(s).unwrap_or_else(|| v.clone())
                    }
                    _ => convert_assets(v, to_appbase),
                };
                out.insert(k.clone(), new);
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}

/// `["witness_update", {…}]` as `{"type":"witness_update_operation","value":{…}}`.
pub(crate) fn op_to_appbase(op: &Value) -> Value {
    let name = op.get(0).and_then(Value::as_str).unwrap_or_default();
    let body = op.get(1).unwrap_or(&Value::Null);
    json!({"type": format!("{name}_operation"), "value": convert_assets(body, true)})
}

/// The inverse of [`op_to_appbase`].
pub(crate) fn op_to_condenser(op: &Value) -> Option<Value> {
    let name = op.get("type")?.as_str()?.strip_suffix("_operation")?;
    Some(json!([name, convert_assets(op.get("value")?, false)]))
}

/// A whole transaction in the appbase form.
pub(crate) fn tx_to_appbase(tx: &Value) -> Value {
    let mut out = tx.clone();
    if let Some(ops) = tx.get("operations").and_then(Value::as_array) {
        out["operations"] = ops.iter().map(op_to_appbase).collect();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_round_trip_between_forms() {
        for text in [
            "0.100 TESTS",
            "1.000 TBD",
            "12345.678 TESTS",
            "0.000001 VESTS",
        ] {
            let appbase = appbase_asset(text).unwrap();
            assert_eq!(condenser_asset(&appbase).as_deref(), Some(text));
        }
        assert_eq!(
            appbase_asset("0.100 TESTS").unwrap(),
            json!({"amount":"100","precision":3,"nai":"@@000000021"})
        );
    }

    #[test]
    fn operations_round_trip_between_forms() {
        let op = json!(["witness_update", {"owner":"a","url":"u","props":{"account_creation_fee":"0.100 TESTS","maximum_block_size":65536},"fee":"0.000 TESTS"}]);
        let appbase = op_to_appbase(&op);
        assert_eq!(appbase["type"], "witness_update_operation");
        assert_eq!(appbase["value"]["fee"]["amount"], "0");
        assert_eq!(op_to_condenser(&appbase).unwrap(), op);
    }
}
