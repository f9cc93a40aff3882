//! The dialect of BitShares nodes: `call` with an API's number or name, HTTP statuses for refused calls, no batches. Pure.
//!
//! Inside the devnet witnesses go by account as everywhere; on the wire they are objects (`objects`). Shapes, codes and
//! formats are those observed on witness_node 7.0.2 (`tests/data/vectors/bitshares-rpc-captures.json`). Prefix and chain
//! id are those that all simulated chains of the family share; there is no maintenance, so no slots are left out.

mod objects;
mod operation;
pub(super) mod verify;

use serde_json::{Value, json};

pub(super) use self::objects::{owner, signatory};
pub(super) use self::operation::{by_hand, effect};
use super::chain::{Chain, ViewSpec};
use super::errors::{ASSERT, At, Failure, PARSE};
use super::rpc::Answer;

/// Furthest expiration, seconds after the head block: what the committee starts with.
pub(super) const MAX_EXPIRATION_S: u64 = 86_400;
/// What `witness_update` costs, in the asset's smallest unit.
pub(super) const FEE: i64 = 2_000_000;

const DATABASE: [&str; 12] = [
    "get_accounts",
    "get_block",
    "get_block_header",
    "get_chain_id",
    "get_dynamic_global_properties",
    "get_global_properties",
    "get_objects",
    "get_recent_transaction_by_id",
    "get_required_fees",
    "get_witness_by_account",
    "lookup_witness_accounts",
    "verify_authority",
];

/// HTTP status of a reply, by the code of its error.
pub(super) fn status(reply: &Value) -> u16 {
    match reply["error"]["code"].as_i64() {
        Some(-32603) => 500,
        Some(code) if code <= -32600 => 400,
        _ => 200,
    }
}

/// Answers one body.
pub(super) fn answer(chain: &mut Chain, body: &[u8], spec: ViewSpec, via: &str) -> Answer {
    let refuse = |id: &Value, code: i64, message: &str| json!({"id": id, "jsonrpc": "2.0", "error": {"code": code, "message": message}});
    let null = Value::Null;
    let request: Value = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(_) => return Answer::Now(refuse(&null, -32700, "Invalid JSON message")),
    };
    if request.is_array() {
        return Answer::Now(refuse(&null, -32600, "Batch requests not supported"));
    }
    let (id, params) = (&request["id"], &request["params"]);
    if params.is_object() {
        return Answer::Now(refuse(&null, -32602, "Named parameters not supported"));
    }
    let Some(method) = request["method"].as_str() else {
        return Answer::Now(refuse(id, -32600, "Missing or invalid method"));
    };
    // A bare method is one of api 0.
    let (api, method, arguments) = if method == "call" {
        (
            params[0].clone(),
            params[1].as_str().unwrap_or_default(),
            params[2].as_array().cloned().unwrap_or_default(),
        )
    } else {
        let arguments = params.as_array().cloned().unwrap_or_default();
        (json!(0), method, arguments)
    };
    let database = api == 0 || api == "database";
    let known = if database {
        DATABASE.contains(&method)
    } else {
        api == "network_broadcast" && method == "broadcast_transaction"
    };
    if !known {
        return Answer::Now(refuse(id, -32601, "Method not found"));
    }
    let result = if database {
        read(chain, method, &arguments, spec)
    } else {
        argument(&arguments, 0, chain.head().head_ms)
            .and_then(|tx| chain.accept(tx, spec, via).map(|_| Value::Null))
    };
    Answer::Now(match result {
        Ok(result) => json!({"id": id, "jsonrpc": "2.0", "result": result}),
        Err(failure) => json!({"id": id, "jsonrpc": "2.0", "error": worded(&failure)}),
    })
}

fn argument(arguments: &[Value], i: usize, now: u64) -> Result<&Value, Failure> {
    arguments.get(i).ok_or_else(|| {
        let format = "a0 != e: too few arguments passed to method";
        Failure::new(
            ASSERT,
            At("api_connection.hpp", 55, "call_generic"),
            format,
            json!({}),
            now,
        )
    })
}

fn read(
    chain: &Chain,
    method: &str,
    arguments: &[Value],
    spec: ViewSpec,
) -> Result<Value, Failure> {
    let view = chain.view(spec);
    let now = view.state.head_ms;
    let argument = |i| argument(arguments, i, now);
    let list = |i| argument(i).map(|v| v.as_array().map_or(&[][..], Vec::as_slice));
    let text = |i| argument(i).map(|v| v.as_str().unwrap_or_default());
    let number = |i| {
        let given: &Value = argument(i)?;
        let number = given.as_u64().or_else(|| given.as_str()?.parse().ok());
        number.ok_or_else(|| {
            let at = At("string.cpp", 55, "to_uint64");
            Failure::new(PARSE, at, "Couldn't parse uint64_t", json!({}), now)
        })
    };
    Ok(match method {
        "get_accounts" => list(0)?.iter().map(|name| view.account(name)).collect(),
        "get_block" => view.linked_block(number(0)?),
        "get_block_header" => view.linked_header(number(0)?),
        "get_chain_id" => crate::hex::encode(&chain.codec.chain_id).into(),
        "get_dynamic_global_properties" => view.dynamic_properties(),
        "get_global_properties" => view.global_properties(),
        "get_objects" => list(0)?.iter().map(|id| view.object(id)).collect(),
        "get_recent_transaction_by_id" => view.recent_transaction(text(0)?),
        "get_required_fees" => {
            let asset = text(1)?;
            let fee = json!({"amount": FEE, "asset_id": asset});
            list(0)?.iter().map(|_| fee.clone()).collect()
        }
        "get_witness_by_account" => view.witness_of(text(0)?).ok_or_else(|| {
            let at = At("database_api.cpp", 3064, "get_account_from_string");
            let format = "account_ptr: no such account";
            Failure::new(ASSERT, at, format, json!({}), now)
        })?,
        "lookup_witness_accounts" => {
            let limit = usize::try_from(number(1)?).unwrap_or(usize::MAX);
            view.lookup(text(0)?, limit)
        }
        _ => chain
            .verify_authority(argument(0)?, spec)
            .map(|()| true.into())?,
    })
}

/// The error member as these nodes write it: the exception's own code outside too.
fn worded(failure: &Failure) -> Value {
    let mut error = failure.to_json();
    let kind = error["data"]["message"].as_str().unwrap_or_default();
    let text = error["message"].as_str().unwrap_or_default();
    let text = text.strip_prefix(kind).unwrap_or(text);
    let text = text.strip_prefix(':').unwrap_or(text);
    error["message"] = format!("Execution error: {kind}: {text}").into();
    error["code"] = error["data"]["code"].clone();
    error
}
