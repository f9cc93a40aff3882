//! What an endpoint can be made to do wrong, and how a reply is spoiled. Pure; the transport acts the rest out.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dialect::CHAIN_ID;

/// A fault of one endpoint. As JSON: `{"fault":"http_status","status":429,"retry_after":5}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Connections are refused: nothing listens on the port.
    Refused,
    /// Connections are accepted and never answered.
    BlackHole,
    /// The body comes one byte at a time.
    SlowDrip {
        /// Milliseconds between bytes.
        #[serde(default = "drip_ms")]
        byte_ms: u64,
    },
    /// A TLS client gets garbage, any other a closed connection.
    TlsFailure,
    /// Every call is answered with this HTTP status.
    HttpStatus {
        /// Such as 429 or 503.
        status: u16,
        /// Seconds, sent as `Retry-After`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    },
    /// Status 200 with a web page.
    Html,
    /// Status 200 with the first half of the reply.
    TruncatedJson,
    /// A body that goes on for so long.
    HugeBody {
        /// Length in bytes.
        #[serde(default = "huge")]
        bytes: u64,
    },
    /// Says it belongs to another chain.
    WrongChainId,
    /// Answers from so many blocks behind.
    StaleHead {
        /// Blocks.
        #[serde(default = "stale")]
        blocks: u64,
    },
    /// Its head stands still.
    FrozenHead,
    /// It follows a fork of a third of the witnesses.
    MinorityFork {
        /// How many blocks behind the head the fork begins.
        #[serde(default = "one")]
        back: u64,
    },
    /// Reports fewer missed slots than there were, as a restarted node can.
    TotalMissedDip {
        /// By how many.
        #[serde(default = "dip")]
        by: u64,
    },
    /// Reports fewer unpaid blocks than there are (Antelope), as after a claim that was undone.
    UnpaidDip {
        /// By how many.
        #[serde(default = "dip")]
        by: u64,
    },
    /// Redirects to https.
    RedirectHttps {
        /// 301, 302, 307 or 308.
        #[serde(default = "moved")]
        status: u16,
    },
    /// Does what it is asked, then closes the connection without a reply.
    LostReply,
    /// Refuses one method, as a node without that plugin does.
    NoMethod {
        /// Such as `condenser_api.get_block`.
        method: String,
    },
    /// Answers with an error where a node answers `null`, as some gateways do for blocks that are not there.
    NullIsError,
    /// Takes its time with each request.
    Slow {
        /// Milliseconds before the reply.
        #[serde(default = "slow_ms")]
        ms: u64,
    },
}

fn slow_ms() -> u64 {
    600
}

fn drip_ms() -> u64 {
    200
}
fn huge() -> u64 {
    100 * 1024 * 1024
}
fn stale() -> u64 {
    20
}
fn one() -> u64 {
    1
}
fn dip() -> u64 {
    5
}
fn moved() -> u16 {
    301
}

/// Spoils the reply to `request` as the fault says.
pub(crate) fn spoil(fault: &Fault, request: &Value, reply: &mut Value) {
    match fault {
        Fault::NoMethod { method } => each(reply, &mut |one| {
            let asked = |call: &Value| call["id"] == one["id"] && call["method"] == method.as_str();
            if request
                .as_array()
                .map_or_else(|| asked(request), |all| all.iter().any(asked))
            {
                refuse(one, -32601, "method not found");
            }
        }),
        Fault::NullIsError => each(reply, &mut |one| {
            if one.get("result").is_some_and(Value::is_null) {
                refuse(one, -32000, "bad response from upstream");
            }
        }),
        Fault::WrongChainId => walk(reply, &mut |_, v| {
            if v.as_str() == Some(CHAIN_ID) {
                *v = "ff".repeat(32).into();
            }
        }),
        Fault::TotalMissedDip { by } => walk(reply, &mut |k, v| {
            if k == "total_missed"
                && let Some(n) = v.as_u64()
            {
                *v = n.saturating_sub(*by).into();
            }
        }),
        _ => {}
    }
}

fn each(reply: &mut Value, f: &mut dyn FnMut(&mut Value)) {
    match reply {
        Value::Array(all) => all.iter_mut().for_each(f),
        one => f(one),
    }
}

fn refuse(reply: &mut Value, code: i64, message: &str) {
    *reply = serde_json::json!({
        "jsonrpc": "2.0", "id": reply["id"], "error": {"code": code, "message": message},
    });
}

fn walk(value: &mut Value, change: &mut dyn FnMut(&str, &mut Value)) {
    match value {
        Value::Object(map) => {
            for (k, v) in map.iter_mut() {
                change(k, v);
                walk(v, change);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|v| walk(v, change)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_read_from_json_with_defaults() {
        for (json, fault) in [
            (json!({"fault":"refused"}), Fault::Refused),
            (
                json!({"fault":"slow_drip"}),
                Fault::SlowDrip { byte_ms: 200 },
            ),
            (
                json!({"fault":"http_status","status":429,"retry_after":5}),
                Fault::HttpStatus {
                    status: 429,
                    retry_after: Some(5),
                },
            ),
            (
                json!({"fault":"minority_fork","back":3}),
                Fault::MinorityFork { back: 3 },
            ),
            (
                json!({"fault":"redirect_https"}),
                Fault::RedirectHttps { status: 301 },
            ),
        ] {
            assert_eq!(serde_json::from_value::<Fault>(json).unwrap(), fault);
        }
        assert!(serde_json::from_value::<Fault>(json!({"fault":"nonsense"})).is_err());
    }

    #[test]
    fn replies_are_spoiled_at_any_depth() {
        let mut v = json!({"result":[{"total_missed":100}],"id":CHAIN_ID});
        spoil(&Fault::TotalMissedDip { by: 5 }, &Value::Null, &mut v);
        spoil(&Fault::WrongChainId, &Value::Null, &mut v);
        assert_eq!(
            v,
            json!({"result":[{"total_missed":95}],"id":"ff".repeat(32)})
        );
    }
}
