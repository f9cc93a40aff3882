//! Errors as nodeos words them: `{code, message, error: {code, name, what, details}}`, and the same as a trace's `except`.
//!
//! Codes, names, words and source lines are those observed on nodeos 4.1. Pure.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::devnet::time::iso;

/// A kind of exception: code, name, what.
pub(super) type Kind = (i64, &'static str, &'static str);

pub(super) const UNSPECIFIED: Kind = (0, "exception", "unspecified");
pub(super) const ASSERT: Kind = (10, "assert_exception", "Assert Exception");
pub(super) const PACKED: Kind = (
    3_010_010,
    "packed_transaction_type_exception",
    "Invalid packed transaction",
);
pub(super) const TRANSACTION: Kind = (3_040_000, "transaction_exception", "Transaction exception");
pub(super) const EXPIRED: Kind = (3_040_005, "expired_tx_exception", "Expired Transaction");
pub(super) const TOO_FAR: Kind = (
    3_040_006,
    "tx_exp_too_far_exception",
    "Transaction Expiration Too Far",
);
pub(super) const TAPOS: Kind = (
    3_040_007,
    "invalid_ref_block_exception",
    "Invalid Reference Block",
);
pub(super) const DUPLICATE: Kind = (3_040_008, "tx_duplicate", "Duplicate transaction");
pub(super) const NO_ACTIONS: Kind = (
    3_040_010,
    "tx_no_action",
    "Transaction should have at least one required authority",
);
pub(super) const ACTION: Kind = (
    3_050_001,
    "action_validate_exception",
    "Action validate exception",
);
pub(super) const CONTRACT: Kind = (
    3_050_003,
    "eosio_assert_message_exception",
    "eosio_assert_message assertion failure",
);
pub(super) const REPEATED: Kind = (
    3_090_001,
    "tx_duplicate_sig",
    "Duplicate signature included",
);
pub(super) const IRRELEVANT_SIG: Kind = (
    3_090_002,
    "tx_irrelevant_sig",
    "Irrelevant signature included",
);
pub(super) const UNSATISFIED: Kind = (
    3_090_003,
    "unsatisfied_authorization",
    "Provided keys, permissions, and delays do not satisfy declared authorizations",
);
pub(super) const MISSING: Kind = (
    3_090_004,
    "missing_auth_exception",
    "Missing required authority",
);
pub(super) const IRRELEVANT_AUTH: Kind = (
    3_090_005,
    "irrelevant_auth_exception",
    "Irrelevant authority included",
);
pub(super) const UNKNOWN_BLOCK: Kind = (3_100_002, "unknown_block_exception", "Unknown block");
pub(super) const UNSUPPORTED: Kind = (
    3_100_008,
    "unsupported_feature",
    "Feature is currently unsupported",
);
pub(super) const BAD_REQUEST: Kind = (3_200_006, "invalid_http_request", "invalid http request");

/// Where in the node's source.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(
    pub(super) &'static str,
    pub(super) u32,
    pub(super) &'static str,
);

/// An exception on its way out.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    details: Vec<(String, At)>,
    /// For a trace: the first message unrendered, with its data.
    format: Option<(&'static str, Value)>,
}

impl Failure {
    pub(super) fn new(kind: Kind, at: At, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            details: vec![(message.into(), at)],
            format: None,
        }
    }

    /// A frame added while the exception went up.
    pub(super) fn through(mut self, at: At, message: &str) -> Failure {
        self.details.push((message.to_owned(), at));
        self
    }

    /// How a trace shows the first message.
    pub(super) fn formatted(mut self, format: &'static str, data: Value) -> Failure {
        self.format = Some((format, data));
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        match self.kind.0 {
            0 if self.message() == "Unknown Endpoint" => StatusCode::NOT_FOUND,
            3_040_008 => StatusCode::CONFLICT,
            3_100_002 | 3_200_006 => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn message(&self) -> &str {
        self.details.first().map_or("", |(m, _)| m)
    }

    /// Its words, for people.
    pub(super) fn text(&self) -> String {
        format!("{} ({}): {}", self.kind.1, self.kind.0, self.message())
    }

    /// The reply's body.
    pub(super) fn body(&self) -> Value {
        let status = self.status();
        let outer = match self.kind.0 {
            3_040_008 => "Conflict",
            3_100_002 => "Unknown Block",
            3_200_006 => "Invalid Request",
            _ if status == StatusCode::NOT_FOUND => "Not Found",
            _ => "Internal Service Error",
        };
        let detail = |(message, At(file, line, method)): &(String, At)| json!({"message": message, "file": file, "line_number": line, "method": method});
        let (code, name, what) = self.kind;
        json!({"code": status.as_u16(), "message": outer, "error": {
            "code": code, "name": name, "what": what,
            "details": self.details.iter().map(detail).collect::<Vec<_>>(),
        }})
    }

    /// The same in a trace.
    pub(super) fn except(&self, now_ms: u64) -> Value {
        let frame = |(i, (message, At(file, line, method))): (usize, &(String, At))| {
            let (format, data) = match (&self.format, i) {
                (Some((format, data)), 0) => ((*format).to_owned(), data.clone()),
                _ => (message.clone(), json!({})),
            };
            json!({"context": {"level": if i == 0 { "error" } else { "warn" }, "file": file, "line": line,
                "method": method, "hostname": "", "thread_name": "nodeos", "timestamp": iso(now_ms, 1)},
                "format": format, "data": data})
        };
        let (code, name, what) = self.kind;
        json!({"code": code, "name": name, "message": what,
            "stack": self.details.iter().enumerate().map(frame).collect::<Vec<_>>()})
    }
}

/// What a node answers on a path it does not have.
pub(super) fn unknown_endpoint() -> Failure {
    Failure::new(
        UNSPECIFIED,
        At("beast_http_session.hpp", 185, "handle_request"),
        "Unknown Endpoint",
    )
}

/// What a node answers when the body is no good.
pub(super) fn bad_request(message: &str) -> Failure {
    Failure::new(
        BAD_REQUEST,
        At("http_plugin.hpp", 270, "parse_params"),
        "Unable to parse valid input from POST body",
    )
    .through(At("json.cpp", 461, "from_string"), message)
}

/// An assertion of the contract.
pub(super) fn contract(message: &str) -> Failure {
    Failure::new(
        CONTRACT,
        At("cf_system.cpp", 14, "eosio_assert"),
        format!("assertion failure with message: {message}"),
    )
    .through(
        At("apply_context.cpp", 135, "exec_one"),
        "pending console output: ",
    )
}
