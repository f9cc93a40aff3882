//! The paths under `/v1/chain`: which question is which, and what comes back with which status. Pure.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::chain::Chain;
use super::errors::{At, BAD_REQUEST, Failure, bad_request, unknown_endpoint};
use super::schedule::Finality;
use crate::devnet::chain::ViewSpec;
use crate::devnet::faults::Fault;

/// Answers one request.
pub(in crate::devnet) fn answer(
    chain: &mut Chain,
    method: &Method,
    path: &str,
    body: &[u8],
    spec: ViewSpec,
    via: &str,
) -> (StatusCode, Value) {
    match run(chain, method, path, body, spec, via) {
        Ok(reply) => reply,
        Err(f) => (f.status(), f.body()),
    }
}

fn run(
    chain: &mut Chain,
    method: &Method,
    path: &str,
    body: &[u8],
    spec: ViewSpec,
    via: &str,
) -> Result<(StatusCode, Value), Failure> {
    let name = path
        .strip_prefix("/v1/chain/")
        .ok_or_else(unknown_endpoint)?;
    if *method != Method::POST && *method != Method::GET {
        return Err(unknown_endpoint());
    }
    let params = params(body)?;
    let ok = |v| Ok((StatusCode::OK, v));
    match name {
        "get_info" => ok(chain.view(spec).info()),
        "get_producer_schedule" => ok(chain.view(spec).schedules()),
        "get_producers" => ok(chain.view(spec).producers(&needed(params)?)),
        "get_table_rows" => chain.view(spec).table(&needed(params)?).and_then(ok),
        "get_block_info" => {
            let params = needed(params)?;
            let num = &params["block_num"];
            chain.view(spec).block_info(num).and_then(ok)
        }
        "get_block" => {
            let params = needed(params)?;
            let wanted = &params["block_num_or_id"];
            chain.view(spec).block(wanted).and_then(ok)
        }
        "get_block_header" => {
            let params = needed(params)?;
            let wanted = &params["block_num_or_id"];
            chain.view(spec).block_header(wanted).and_then(ok)
        }
        "get_account" => {
            let params = needed(params)?;
            let name = params["account_name"].as_str().unwrap_or_default();
            chain.view(spec).account(name).and_then(ok)
        }
        "get_transaction_status" if chain.config.antelope.transaction_status => {
            let params = needed(params)?;
            let id = params["id"].as_str().unwrap_or_default();
            chain.view(spec).transaction_status(id).and_then(ok)
        }
        "get_finalizer_info" if chain.rules.finality == Finality::Savanna => {
            ok(chain.view(spec).finalizer_info())
        }
        "push_transaction" | "send_transaction" | "send_transaction2" | "compute_transaction" => {
            chain.push(name, &needed(params)?, spec, via)
        }
        _ => Err(unknown_endpoint()),
    }
}

/// The body as JSON; `None` for none.
fn params(body: &[u8]) -> Result<Option<Value>, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    serde_json::from_slice(body)
        .map(Some)
        .map_err(|e| bad_request(&e.to_string()))
}

fn needed(params: Option<Value>) -> Result<Value, Failure> {
    params.filter(Value::is_object).ok_or_else(|| {
        Failure::new(
            BAD_REQUEST,
            At("http_plugin.hpp", 253, "parse_params"),
            "A Request body is required",
        )
    })
}

/// Spoils the reply on `path` as the fault says.
pub(in crate::devnet) fn spoil(fault: &Fault, path: &str, reply: &mut (StatusCode, Value)) {
    match fault {
        Fault::NoMethod { method } if method == path => {
            let f = unknown_endpoint();
            *reply = (f.status(), f.body());
        }
        Fault::WrongChainId => {
            if let Some(id) = reply.1.get_mut("chain_id") {
                *id = json!("ff".repeat(32));
            }
        }
        Fault::UnpaidDip { by } => {
            let rows = reply.1.get_mut("rows").and_then(Value::as_array_mut);
            for row in rows.into_iter().flatten() {
                if let Some(unpaid) = row.get_mut("unpaid_blocks") {
                    *unpaid = unpaid.as_u64().unwrap_or(0).saturating_sub(*by).into();
                }
            }
        }
        _ => {}
    }
}
