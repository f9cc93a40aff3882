//! The dialect of Golos nodes: the method `call` alone, its own error codes, blocks without ids, a list in place of the
//! schedule. Pure.
//!
//! Shapes and codes follow golos-blockchain/chain-node (`plugins/json_rpc`, `protocol/exceptions.hpp`); none were
//! recorded from a running node. Prefix, symbols and chain id are those that all simulated chains of the family share.

use serde_json::{Map, Value, json};

use super::chain::{Chain, ViewSpec};
use super::errors::Failure;
use super::methods::accounts;
use super::rpc::Answer;

/// Blocks of a round, however many witnesses are scheduled.
pub(super) const ROUND_BLOCKS: u64 = 21;

const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMETER: i64 = -32002;
const MISSING_AUTHORITY: i64 = -32004;
const INVALID_OPERATION: i64 = -32005;
const INVALID_TRANSACTION: i64 = -32006;

const APIS: [(&str, &[&str]); 4] = [
    (
        "database_api",
        &[
            "get_accounts",
            "get_block",
            "get_block_header",
            "get_config",
            "get_dynamic_global_properties",
        ],
    ),
    (
        "witness_api",
        &["get_active_witnesses", "get_witness_by_account"],
    ),
    ("network_broadcast_api", &["broadcast_transaction"]),
    ("operation_history", &["get_transaction"]),
];

/// Answers one call.
pub(super) fn call(chain: &mut Chain, request: &Value, spec: ViewSpec, via: &str) -> Answer {
    let id = request.get("id").cloned().unwrap_or(Value::Null);
    Answer::Now(match run(chain, request, spec, via) {
        Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}),
        Err(error) => json!({"jsonrpc": "2.0", "error": error, "id": id}),
    })
}

fn refuse(code: i64, message: &str) -> Value {
    json!({"code": code, "message": message})
}

fn run(chain: &mut Chain, request: &Value, spec: ViewSpec, via: &str) -> Result<Value, Value> {
    let invalid = |message: &str| refuse(INVALID_REQUEST, message);
    if request["jsonrpc"] != "2.0" {
        return Err(invalid("jsonrpc value is not \"2.0\""));
    }
    if request["method"] != "call" {
        return Err(invalid("A member \"method\" is not \"call\""));
    }
    let params = request
        .get("params")
        .ok_or_else(|| invalid("A member \"params\" does not exist"))?;
    let (api, method, arguments) = match params.as_array().map(Vec::as_slice) {
        Some([api, method]) => (api, method, json!([])),
        Some([api, method, arguments]) => (api, method, arguments.clone()),
        _ => {
            return Err(invalid(
                "A member \"params\" should be [\"api\", \"method\", \"args\"]",
            ));
        }
    };
    let (api, method) = (
        api.as_str().unwrap_or_default(),
        method.as_str().unwrap_or_default(),
    );
    let Some((_, methods)) = APIS.iter().find(|(name, _)| *name == api) else {
        return Err(refuse(
            METHOD_NOT_FOUND,
            &format!("Could not find API {api}"),
        ));
    };
    if !methods.contains(&method) {
        return Err(refuse(
            METHOD_NOT_FOUND,
            &format!("Could not find method {method}"),
        ));
    }
    let Some(arguments) = arguments.as_array() else {
        return Err(invalid("A member \"args\" should be array"));
    };
    let first = arguments.first().unwrap_or(&Value::Null);
    let wanted = usize::from(!matches!(
        method,
        "get_config" | "get_dynamic_global_properties" | "get_active_witnesses"
    ));
    if arguments.len() != wanted {
        return Err(exception(
            INVALID_PARAMETER,
            (
                1_020_100,
                "invalid_arguments_count",
                "Invalid argument count",
            ),
            "Expected ${required} parameter, received ${n}",
            json!({"required": wanted, "n": arguments.len()}),
        ));
    }
    if method == "broadcast_transaction" {
        return match chain.accept(first, spec, via) {
            Ok(_) => Ok(json!({})),
            Err(failure) => Err(worded(&failure)),
        };
    }
    let view = chain.view(spec);
    let number = || {
        let given = first.as_u64().or_else(|| first.as_str()?.parse().ok());
        given.ok_or_else(|| {
            exception(
                INVALID_PARAMETER,
                (1_020_400, "invalid_parameter", "Invalid parameter value"),
                "Invalid value \"${value}\" for parameter \"${param}\"",
                json!({"param": "block_num", "value": first}),
            )
        })
    };
    Ok(match method {
        "get_accounts" => accounts(chain, first),
        "get_block" => plain(view.block(number()?, false)),
        "get_block_header" => view.header(number()?),
        "get_config" => view.config(),
        "get_dynamic_global_properties" => view.properties(false),
        "get_active_witnesses" => json!(*view.state.shuffled),
        "get_witness_by_account" => view.witness(first.as_str().unwrap_or_default(), false),
        _ => {
            let txid = first.as_str().unwrap_or_default();
            let (block, _) = view.branch.find(txid);
            let found = block
                .filter(|num| *num <= view.state.head_num)
                .and_then(|num| {
                    let transactions = view.block(num, false)["transactions"].take();
                    let all = transactions.as_array()?;
                    all.iter().find(|tx| tx["transaction_id"] == txid).cloned()
                });
            found.ok_or_else(|| {
                exception(
                    INVALID_PARAMETER,
                    (1_020_200, "missing_object", "Missing object"),
                    "Missing ${type} with id \"${id}\"",
                    json!({"type": "transaction", "id": txid}),
                )
            })?
        }
    })
}

/// A block without what other nodes of the family add: its id, its signing key, its transactions' ids.
fn plain(mut block: Value) -> Value {
    let strip = |value: &mut Value, names: &[&str]| {
        if let Some(map) = value.as_object_mut() {
            for name in names {
                map.remove(*name);
            }
        }
    };
    strip(&mut block, &["block_id", "signing_key", "transaction_ids"]);
    if let Some(transactions) = block.get_mut("transactions").and_then(Value::as_array_mut) {
        for tx in transactions {
            strip(tx, &["transaction_id", "block_num", "transaction_num"]);
        }
    }
    block
}

fn exception(outer: i64, kind: (i64, &str, &str), format: &str, data: Value) -> Value {
    let (code, name, message) = kind;
    json!({
        "code": outer,
        "message": format!("{code} {name}: {message}"),
        "data": {"code": code, "name": name, "message": message,
                 "stack": [{"context": {"level": "error"}, "format": format, "data": data}]},
    })
}

/// The same refusal with this chain's codes.
fn worded(failure: &Failure) -> Value {
    let mut error = failure.to_json();
    let data = &error["data"];
    let top = data["stack"][0]["data"].clone();
    let has = |name: &str| {
        top.as_object()
            .is_some_and(|m: &Map<String, Value>| m.contains_key(name))
    };
    let (outer, code, name, message) = match data["code"].as_i64().unwrap_or(0) {
        3_010_000 => (
            MISSING_AUTHORITY,
            3_020_100,
            "tx_missing_active_auth",
            "missing required active authority",
        ),
        3_040_000 => (
            MISSING_AUTHORITY,
            3_020_400,
            "tx_missing_other_auth",
            "missing required other authority",
        ),
        3_050_000 => (
            INVALID_TRANSACTION,
            3_030_000,
            "tx_irrelevant_sig",
            "irrelevant signature included",
        ),
        3_060_000 => (
            INVALID_TRANSACTION,
            3_060_000,
            "tx_duplicate_sig",
            "duplicate signature included",
        ),
        4_030_100 => (
            INVALID_TRANSACTION,
            3_100_000,
            "tx_expired",
            "expired transaction",
        ),
        4_030_200 => (
            INVALID_TRANSACTION,
            3_110_000,
            "tx_invalid_field",
            "invalid transaction field",
        ),
        10 if has("trx_ix") => (
            INVALID_TRANSACTION,
            3_080_000,
            "tx_duplicate_transaction",
            "duplicate transaction",
        ),
        13 => (
            INVALID_PARAMETER,
            1_020_200,
            "missing_object",
            "Missing object",
        ),
        10 if data["stack"][0]["format"]
            .as_str()
            .is_some_and(|f| f.starts_with("is_canonical")) =>
        {
            return error;
        }
        10 => (
            INVALID_OPERATION,
            3_010_000,
            "tx_invalid_operation",
            "invalid operation in transaction",
        ),
        _ => return error,
    };
    error["code"] = outer.into();
    error["data"]["code"] = code.into();
    error["data"]["name"] = name.into();
    error["data"]["message"] = message.into();
    error
}
