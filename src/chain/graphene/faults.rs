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

/// What `fault` means on Golos, whose nodes number their exceptions otherwise: golos-blockchain
/// `protocol/exceptions.hpp`; the outer codes are those of its `json_rpc` plugin.
#[must_use]
pub fn classify_golos(fault: &RpcFault) -> Accepted {
    let seen = Top::of(fault);
    match fault.code {
        -32601 => return Accepted::Refused(Rejection::NoSuchMethod),
        -32700 | -32600 | -32602 => return Accepted::Refused(Rejection::BadRequest),
        _ => {}
    }
    match seen.code {
        Some(3_080_000) => Accepted::Already,
        Some(3_020_000..=3_020_400) => Accepted::Refused(Rejection::MissingAuthority),
        Some(3_030_000 | 3_060_000 | 3_070_000) => Accepted::Refused(Rejection::BadSignature),
        // Which exception a refused time or reference block is differs between versions; the members do not.
        _ if seen.has("max_til_exp") => Accepted::Refused(Rejection::ExpirationTooFar),
        _ if seen.has("tapos_block_summary") => Accepted::Refused(Rejection::ReferenceBlock),
        Some(3_100_000) => Accepted::Refused(Rejection::Expired),
        _ if seen.has("trx.exp") => Accepted::Refused(Rejection::Expired),
        // A missing object: an account or a witness that is not there.
        Some(1_020_200) => Accepted::Refused(Rejection::UnknownAccount),
        Some(1_010_000..=1_010_100) => Accepted::Refused(Rejection::NoSuchMethod),
        Some(1_020_100 | 1_020_400 | 4 | 7) => Accepted::Refused(Rejection::BadRequest),
        // Bandwidth, funds, and the logic exception that bandwidth is in newer versions.
        Some(2_010_000 | 2_020_000) => Accepted::Refused(Rejection::Resources),
        Some(2_030_000) if seen.has("account_vshares") => Accepted::Refused(Rejection::Resources),
        Some(2_030_000 | 3_010_000 | 3_090_000 | 3_110_000) => {
            Accepted::Refused(Rejection::Invalid)
        }
        Some(10) if seen.format.starts_with("is_canonical(") => {
            Accepted::Refused(Rejection::BadSignature)
        }
        _ => Accepted::Unsure,
    }
}

/// What `fault` means on BitShares; from the replies of a real witness_node 7.0.2 kept in
/// `tests/data/vectors/bitshares-rpc-captures.json`, and bitshares-core `protocol/exceptions.hpp`.
#[must_use]
pub fn classify_bitshares(fault: &RpcFault) -> Accepted {
    let seen = Top::of(fault);
    match fault.code {
        -32601 => return Accepted::Refused(Rejection::NoSuchMethod),
        -32700 | -32600 | -32602 => return Accepted::Refused(Rejection::BadRequest),
        _ => {}
    }
    let starts = |beginnings: &[&str]| beginnings.iter().any(|b| seen.format.starts_with(b));
    match seen.code.or(Some(fault.code)) {
        Some(3_030_001) => Accepted::Already,
        // 4010001 active, 2 owner, 3 other.
        Some(4_010_001..=4_010_003) => Accepted::Refused(Rejection::MissingAuthority),
        Some(4_010_004 | 4_010_005) => Accepted::Refused(Rejection::BadSignature),
        Some(4_010_007) => Accepted::Refused(Rejection::Resources),
        Some(4 | 7) => Accepted::Refused(Rejection::BadRequest),
        // A plain assertion: told apart by what was asserted.
        Some(10) if seen.has("max_til_exp") => Accepted::Refused(Rejection::ExpirationTooFar),
        Some(10) if seen.has("trx.exp") => Accepted::Refused(Rejection::Expired),
        Some(10) if starts(&["trx.ref_block_prefix"]) => {
            Accepted::Refused(Rejection::ReferenceBlock)
        }
        Some(10) if starts(&["maybe_found", "account_ptr:"]) => {
            Accepted::Refused(Rejection::UnknownAccount)
        }
        Some(10) if starts(&["new_url->size()", "db().get(op.witness)"]) => {
            Accepted::Refused(Rejection::Invalid)
        }
        Some(10) if starts(&["is_canonical("]) => Accepted::Refused(Rejection::BadSignature),
        Some(10) if seen.format.contains("nsufficient ") => Accepted::Refused(Rejection::Resources),
        _ => Accepted::Unsure,
    }
}

/// The code of an exception and its first frame.
struct Top<'a> {
    code: Option<i64>,
    format: &'a str,
    data: Option<&'a Value>,
}

impl<'a> Top<'a> {
    fn of(fault: &'a RpcFault) -> Self {
        let first = fault.data.get("stack").and_then(|stack| stack.get(0));
        Self {
            code: fault.data.get("code").and_then(Value::as_i64),
            format: first
                .and_then(|f| f.get("format"))
                .and_then(Value::as_str)
                .unwrap_or_default(),
            data: first.and_then(|f| f.get("data")),
        }
    }

    fn has(&self, member: &str) -> bool {
        self.data.is_some_and(|data| data.get(member).is_some())
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
