//! JSON-RPC 2.0 framing: calls → body, body → replies. Pure; knows nothing of HTTP or of any chain.

use serde_json::{Value, json};

use crate::chain::{Call, Reply, RpcFault};

/// What a body turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parsed {
    /// One reply per call, in the order of the calls.
    Replies(Vec<Reply>),
    /// A batch was asked and something other than an array came back: this endpoint takes no batches.
    NoBatches,
    /// Not JSON-RPC: what is wrong with it (never its content).
    Malformed(String),
}

/// A message on a connection that several requests share.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// The answer to the request of that id (an error may name none).
    Reply(Option<u64>, Reply),
    /// Something nobody asked for.
    Notice,
    /// Not JSON-RPC: what is wrong with it (never its content).
    Malformed(String),
}

/// The body that asks one call. Its id is 1.
pub(super) fn single(call: &Call) -> Vec<u8> {
    numbered(call, 1)
}

/// The body that asks one call under an id of its own.
pub(super) fn numbered(call: &Call, id: u64) -> Vec<u8> {
    request(call, id).to_string().into_bytes()
}

/// One message of a connection that several requests share.
pub(super) fn parse_message(body: &[u8]) -> Said {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return Said::Malformed(why_not_json(&error, body)),
    };
    let id = id_of(&value).and_then(|id| u64::try_from(id).ok());
    let notice = id.is_none() && value.get("method").is_some_and(Value::is_string);
    match reply(value) {
        Some(reply) => Said::Reply(id, reply),
        // `{"method":"notice","params":[…]}` ([fc] websocket_api.cpp).
        None if notice => Said::Notice,
        None => Said::Malformed("the message has neither result nor error".into()),
    }
}

/// The body that asks several calls in order. Ids count from 1.
pub(super) fn batch(calls: &[Call]) -> Vec<u8> {
    let requests = calls.iter().zip(1_u64..).map(|(c, id)| request(c, id));
    Value::Array(requests.collect()).to_string().into_bytes()
}

/// The answer to [`single`].
pub(super) fn parse_single(body: &[u8]) -> Parsed {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return not_json(&error, body),
    };
    // A gateway that knows one call only may still wrap its answer.
    let value = match value {
        Value::Array(mut list) if list.len() == 1 => list.remove(0),
        other => other,
    };
    let id = id_of(&value);
    match (reply(value), id) {
        (Some(Ok(_)), id) if id != Some(1) => {
            Parsed::Malformed("the reply carries another request's id".into())
        }
        (Some(reply), _) => Parsed::Replies(vec![reply]),
        (None, _) => Parsed::Malformed("the reply has neither result nor error".into()),
    }
}

/// Whether a body begins as the answer to a batch does.
pub(super) fn is_list(body: &[u8]) -> bool {
    first(body) == Some(b'[')
}

/// The answer to [`batch`] of `count` calls: matched by id, in whatever order it came.
pub(super) fn parse_batch(body: &[u8], count: usize) -> Parsed {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return not_json(&error, body),
    };
    let Value::Array(list) = value else {
        return Parsed::NoBatches;
    };
    let mut slots: Vec<Option<Reply>> = vec![None; count];
    let answered = list.len();
    for item in list {
        let slot = id_of(&item)
            .and_then(|id| usize::try_from(id).ok())
            .and_then(|id| id.checked_sub(1))
            .and_then(|index| slots.get_mut(index));
        match (slot, reply(item)) {
            (Some(slot @ None), Some(reply)) => *slot = Some(reply),
            (Some(Some(_)), _) => return Parsed::Malformed("one id was answered twice".into()),
            (None, Some(_)) => {
                return Parsed::Malformed("a reply carries an id that was not asked".into());
            }
            (_, None) => {
                return Parsed::Malformed("a reply has neither result nor error".into());
            }
        }
    }
    match slots.into_iter().collect::<Option<Vec<Reply>>>() {
        Some(replies) => Parsed::Replies(replies),
        None => Parsed::Malformed(format!("{answered} of {count} calls were answered")),
    }
}

fn request(call: &Call, id: u64) -> Value {
    // `params` is always sent: nodes refuse a request without it.
    json!({"jsonrpc": "2.0", "id": id, "method": call.method, "params": call.params})
}

/// Takes the message apart: a result may be a megabyte and is not copied.
fn reply(value: Value) -> Option<Reply> {
    let Value::Object(mut object) = value else {
        return None;
    };
    match object.remove("error") {
        Some(error) if !error.is_null() => Some(Err(fault(error))),
        _ => object.remove("result").map(Ok),
    }
}

fn fault(mut error: Value) -> RpcFault {
    RpcFault {
        code: error.get("code").and_then(integer).unwrap_or(0),
        message: error
            .get("message")
            .and_then(Value::as_str)
            .or_else(|| error.as_str())
            .unwrap_or_default()
            .to_owned(),
        data: error.get_mut("data").map_or(Value::Null, Value::take),
    }
}

fn id_of(value: &Value) -> Option<i64> {
    value.get("id").and_then(integer)
}

/// Integers come as numbers or as text: fc prints large ones as text, some gateways all of them.
fn integer(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

fn not_json(error: &serde_json::Error, body: &[u8]) -> Parsed {
    Parsed::Malformed(why_not_json(error, body))
}

fn first(body: &[u8]) -> Option<u8> {
    body.iter()
        .copied()
        .find(|byte| !byte.is_ascii_whitespace())
}

/// What is wrong with a body that is no JSON.
pub(super) fn why_not_json(error: &serde_json::Error, body: &[u8]) -> String {
    if body.is_empty() {
        "the body is empty".into()
    } else if error.is_eof() {
        "the JSON is cut off".into()
    } else if first(body) == Some(b'<') {
        "HTML came instead of JSON (a proxy or a web page answers there)".into()
    } else {
        format!(
            "not JSON (line {}, column {})",
            error.line(),
            error.column()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(value: Value) -> Reply {
        Ok(value)
    }

    #[test]
    fn batches_match_by_id_in_any_order() {
        let body = br#"[{"id":2,"result":null},{"id":"1","result":{"a":1}}]"#;
        assert_eq!(
            parse_batch(body, 2),
            Parsed::Replies(vec![ok(json!({"a": 1})), ok(Value::Null)])
        );
    }

    #[test]
    fn errors_inside_a_batch_stay_with_their_call() {
        let body = br#"[{"id":1,"error":{"code":"-32000","message":"m","data":{"code":10}}},{"id":2,"result":1}]"#;
        let Parsed::Replies(replies) = parse_batch(body, 2) else {
            panic!("not parsed");
        };
        let fault = replies[0].as_ref().expect_err("an error");
        assert_eq!(
            (fault.code, fault.message.as_str(), &fault.data),
            (-32000, "m", &json!({"code": 10}))
        );
        assert_eq!(replies[1], ok(json!(1)));
    }

    #[test]
    fn odd_bodies_have_their_verdict() {
        let malformed: [(&[u8], &str); 8] = [
            (b"", "the body is empty"),
            (
                b"<html>secret</html>",
                "HTML came instead of JSON (a proxy or a web page answers there)",
            ),
            (br#"[{"id":1,"res"#, "the JSON is cut off"),
            (b"nonsense", "not JSON (line 1, column 2)"),
            (br#"[{"id":1,"result":1}]"#, "1 of 2 calls were answered"),
            (
                br#"[{"id":1,"result":1},{"id":1,"result":2}]"#,
                "one id was answered twice",
            ),
            (
                br#"[{"id":7,"result":1}]"#,
                "a reply carries an id that was not asked",
            ),
            (br#"[{"id":1}]"#, "a reply has neither result nor error"),
        ];
        for (body, why) in malformed {
            assert_eq!(parse_batch(body, 2), Parsed::Malformed(why.into()));
        }
        for body in [&br#"{"error":{"code":-32600}}"#[..], b"7", b"null"] {
            assert_eq!(parse_batch(body, 2), Parsed::NoBatches);
        }
    }

    #[test]
    fn a_single_result_needs_its_own_id_but_an_error_does_not() {
        assert_eq!(
            parse_single(br#"{"id":1,"error":null,"result":3}"#),
            Parsed::Replies(vec![ok(json!(3))])
        );
        assert!(matches!(
            parse_single(br#"{"id":2,"result":3}"#),
            Parsed::Malformed(_)
        ));
        let Parsed::Replies(replies) = parse_single(br#"{"id":null,"error":"no"}"#) else {
            panic!("not parsed");
        };
        assert_eq!(replies[0].as_ref().expect_err("an error").message, "no");
        assert!(matches!(parse_single(b"[]"), Parsed::Malformed(_)));
    }

    #[test]
    fn messages_of_a_shared_connection_are_replies_notices_or_nonsense() {
        let table = [
            (
                r#"{"id":7,"result":null}"#,
                Said::Reply(Some(7), ok(Value::Null)),
            ),
            (r#"{"method":"notice","params":[3,[]]}"#, Said::Notice),
            (
                r#"{"id":7}"#,
                Said::Malformed("the message has neither result nor error".into()),
            ),
            ("", Said::Malformed("the body is empty".into())),
            (
                r#"{"id":7,"method":"notice"}"#,
                Said::Malformed("the message has neither result nor error".into()),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(parse_message(text.as_bytes()), expected, "{text}");
        }
        let Said::Reply(None, Err(fault)) =
            parse_message(br#"{"id":null,"error":{"code":-32700}}"#)
        else {
            panic!("not parsed");
        };
        assert_eq!(fault.code, -32700);
    }

    #[test]
    fn requests_always_carry_params_and_count_their_ids() {
        let call = |method: &str| Call {
            method: method.into(),
            params: json!([]),
        };
        let value: Value =
            serde_json::from_slice(&batch(&[call("a"), call("b")])).expect("it is JSON");
        assert_eq!(
            value,
            json!([
                {"jsonrpc":"2.0","id":1,"method":"a","params":[]},
                {"jsonrpc":"2.0","id":2,"method":"b","params":[]},
            ])
        );
    }
}
