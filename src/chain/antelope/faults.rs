//! What a node's refusal means, by nodeos' `error.code`; never by a message. Pure.
//! Source: the replies of a real nodeos 4.1 kept in `tests/data/vectors/antelope-rpc-captures.json`, and the table of
//! exceptions in spring's `exceptions.hpp` for the ranges.

use serde_json::Value;

use crate::chain::{Accepted, Rejection, Reply};

/// What an answer to `send_transaction2` means.
///
/// With `return_failure_trace` a node answers 202 for failures too: only a trace without exception whose receipt says
/// `executed` is a success.
#[must_use]
pub fn accepted(reply: &Reply) -> Accepted {
    let answer = match reply {
        Ok(answer) => answer,
        Err(fault) => return classify(fault.code),
    };
    let Some(trace) = answer.get("processed") else {
        return Accepted::Unsure;
    };
    if let Some(except) = trace.get("except").filter(|e| !e.is_null()) {
        return except
            .get("code")
            .and_then(Value::as_i64)
            .map_or(Accepted::Unsure, classify);
    }
    let status = trace
        .get("receipt")
        .and_then(|receipt| receipt.get("status"));
    match status.and_then(Value::as_str) {
        Some("executed") => Accepted::Now,
        Some("expired") => Accepted::Refused(Rejection::Expired),
        // Failed without an exception, or delayed: neither in nor refused as far as can be told.
        _ => Accepted::Unsure,
    }
}

/// What nodeos' `error.code` means for a transaction; 404 stands for an endpoint that is not offered.
#[must_use]
pub fn classify(code: i64) -> Accepted {
    let why = match code {
        // The check for duplicates comes before that of signatures: these very bytes were accepted before.
        3_040_008 => return Accepted::Already,
        3_040_005 => Rejection::Expired,
        3_040_006 => Rejection::ExpirationTooFar,
        3_040_007 => Rejection::ReferenceBlock,
        // The plain transaction exception: an actor or permission that does not exist.
        3_040_000 => Rejection::UnknownAccount,
        3_040_001..=3_049_999 => Rejection::Invalid,
        // Duplicate and irrelevant signatures.
        3_090_001 | 3_090_002 => Rejection::BadSignature,
        // 3 unsatisfied (also: signed for another chain), 4 missing, 5 irrelevant: a permission used outside its links.
        3_090_000..=3_099_999 => Rejection::MissingAuthority,
        // A contract's own assertion and kin.
        3_050_000..=3_059_999 => Rejection::Invalid,
        // RAM, NET, CPU, the node's own deadline.
        3_080_000..=3_089_999 => Rejection::Resources,
        // Names, keys, packed transactions that do not parse; the HTTP plugin's own.
        400 | 3_010_000..=3_019_999 | 3_200_006 => Rejection::BadRequest,
        // An unknown path; a feature or plugin that is off.
        404 | 3_100_008 | 3_110_000..=3_119_999 => Rejection::NoSuchMethod,
        _ => return Accepted::Unsure,
    };
    Accepted::Refused(why)
}
