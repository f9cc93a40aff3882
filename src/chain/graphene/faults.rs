//! What a node's refusal means. Classified by `data.code`, within one code by the member names of
//! `data.stack[0].data`, then by its `format` (a constant of the node's source); never by the rendered message.
//! Sources: the replies of real steemd 0.24.0 and hived 1.25.0 kept in `tests/data/vectors/*-rpc-captures.json`.

use serde_json::Value;

use crate::chain::{Accepted, Rejection, RpcFault};

/// What `fault`, the answer to a broadcast, means.
#[must_use]
pub fn classify(fault: &RpcFault) -> Accepted {
    let top = fault.data.get("stack").and_then(|stack| stack.get(0));
    let has = |name: &str| {
        top.and_then(|t| t.get("data"))
            .and_then(|data| data.get(name))
            .is_some()
    };
    let format = top
        .and_then(|t| t.get("format"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let code = fault.data.get("code").and_then(Value::as_i64);
    let name = fault
        .data
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();

    // The dispatcher's own codes say that the call never reached the chain.
    match fault.code {
        -32002 => return Accepted::Refused(Rejection::NoSuchMethod),
        -32003 if offered_but_off(format) => {
            return Accepted::Refused(Rejection::NoSuchMethod);
        }
        -32003 => return Accepted::Refused(Rejection::BadRequest),
        _ => {}
    }
    match (code, name) {
        // protocol/exceptions.hpp: 3010000 active, 3020000 owner, 3030000 posting, 3040000 other.
        (Some(3_010_000 | 3_020_000 | 3_030_000 | 3_040_000), _)
        | (None, "tx_missing_active_auth" | "tx_missing_other_auth") => {
            Accepted::Refused(Rejection::MissingAuthority)
        }
        (Some(3_050_000 | 3_060_000), _) | (None, "tx_irrelevant_sig" | "tx_duplicate_sig") => {
            Accepted::Refused(Rejection::BadSignature)
        }
        (Some(4_030_100), _) | (None, "transaction_expiration_exception") => {
            // One code for both ends of the window.
            if has("max_til_exp") {
                Accepted::Refused(Rejection::ExpirationTooFar)
            } else if has("trx.exp") {
                Accepted::Refused(Rejection::Expired)
            } else {
                Accepted::Unsure
            }
        }
        (Some(4_030_200), _) | (None, "transaction_tapos_exception") => {
            Accepted::Refused(Rejection::ReferenceBlock)
        }
        // std::out_of_range from looking the account up.
        (Some(13), _) => Accepted::Refused(Rejection::UnknownAccount),
        (Some(4 | 7), _) => Accepted::Refused(Rejection::BadRequest),
        (Some(10), _) => assertion(&has, format),
        _ if has("rc_needed") => Accepted::Refused(Rejection::Resources),
        _ => Accepted::Unsure,
    }
}

/// Code 10 is every plain assertion: the members and the format tell them apart.
fn assertion(has: &dyn Fn(&str) -> bool, format: &str) -> Accepted {
    if has("trx_ix") {
        // The duplicate check: these very bytes were accepted before.
        Accepted::Already
    } else if has("signing_key") && has("key") {
        Accepted::Refused(Rejection::FenceMismatch)
    } else if has("rc_needed") || format.contains("sufficient funds") {
        Accepted::Refused(Rejection::Resources)
    } else if ["url.size()", "props.find(", "is_asset_type("]
        .iter()
        .any(|start| format.starts_with(start))
    {
        Accepted::Refused(Rejection::Invalid)
    } else {
        Accepted::Unsure
    }
}

/// The method exists but the operator has switched it off.
fn offered_but_off(format: &str) -> bool {
    format.starts_with("_account_history_api:") || format.starts_with("false:")
}
