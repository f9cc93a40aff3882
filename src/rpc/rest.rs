//! Path framing (nodeos): call → address and body, status and body → reply. Pure; knows nothing of connections or of any
//! chain.

use reqwest::Url;
use serde_json::Value;

use super::failure::{failure, status as bad_status};
use super::jsonrpc;
use super::types::{EndpointError, RpcOutcome};
use crate::chain::{Call, Reply, RpcFault};

/// Where `call` goes: its path below the path of `base`. Credentials and query of `base` stay.
pub(super) fn address(base: &Url, call: &Call) -> Url {
    let mut url = base.clone();
    let prefix = base.path().trim_end_matches('/');
    let path = call.method.trim_start_matches('/');
    url.set_path(&format!("{prefix}/{path}"));
    url
}

/// The body of `call`.
pub(super) fn body(call: &Call) -> Vec<u8> {
    call.params.to_string().into_bytes()
}

/// What came back. A success is the result; an error that the node itself put into words is the call's error. 429 and 503
/// say only that the endpoint is busy, in whatever words.
pub(super) fn reply(status: reqwest::StatusCode, body: &[u8]) -> Result<Reply, EndpointError> {
    let parsed = serde_json::from_slice::<Value>(body);
    if status.is_success() {
        return match parsed {
            Ok(value) => Ok(Ok(value)),
            Err(error) => Err(failure(
                RpcOutcome::Malformed,
                jsonrpc::why_not_json(&error, body),
            )),
        };
    }
    if matches!(status.as_u16(), 429 | 503) {
        return Err(bad_status(status));
    }
    parsed
        .ok()
        .and_then(|value| fault(status.as_u16(), &value))
        .map(Err)
        .ok_or_else(|| bad_status(status))
}

/// `{code, message, error: {code, name, what, details: [{message, …}]}}` ([spring] http_plugin, `error_results`).
fn fault(status: u16, value: &Value) -> Option<RpcFault> {
    let error = value.get("error")?.as_object()?;
    value.get("message")?.as_str()?;
    let text = |value: Option<&Value>| {
        value
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    // Errors of the HTTP plugin itself have no number of their own ("Unknown Endpoint" is 0): the status names them.
    let code = error
        .get("code")
        .and_then(Value::as_i64)
        .filter(|code| *code != 0)
        .unwrap_or_else(|| i64::from(status));
    let detail = error
        .get("details")
        .and_then(|list| list.get(0))
        .and_then(|first| text(first.get("message")));
    let message = match (text(error.get("what")), detail) {
        (Some(what), Some(detail)) => format!("{what}: {detail}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => text(value.get("message")).unwrap_or_default(),
    };
    Some(RpcFault {
        code,
        message,
        data: value.get("error").cloned().unwrap_or(Value::Null),
    })
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_goes_below_the_base_and_credentials_and_query_stay() {
        let call = |method: &str| Call {
            method: method.into(),
            params: json!({"block_num": 7}),
        };
        for (base, method, expected) in [
            (
                "https://node.example",
                "/v1/chain/get_info",
                "https://node.example/v1/chain/get_info",
            ),
            (
                "https://node.example/eos/",
                "/v1/chain/get_info",
                "https://node.example/eos/v1/chain/get_info",
            ),
            (
                "https://u:p@node.example/eos?key=1",
                "v1/chain/get_info",
                "https://u:p@node.example/eos/v1/chain/get_info?key=1",
            ),
        ] {
            let base = Url::parse(base).expect("a URL");
            assert_eq!(address(&base, &call(method)).as_str(), expected);
        }
        assert_eq!(body(&call("x")), br#"{"block_num":7}"#);
    }

    #[test]
    fn statuses_and_bodies_have_their_meaning() {
        let known = json!({"code": 500, "message": "Internal Service Error", "error": {
            "code": 3_040_008, "name": "tx_duplicate", "what": "Duplicate transaction",
            "details": [{"message": "duplicate transaction abc", "file": "f", "line_number": 1, "method": "m"}],
        }});
        let unknown_path = json!({"code": 404, "message": "Not Found", "error": {
            "code": 0, "name": "exception", "what": "unspecified",
            "details": [{"message": "Unknown Endpoint", "file": "f", "line_number": 1, "method": "m"}],
        }});
        let status = |code: u16| StatusCode::from_u16(code).expect("a status");
        for code in [200, 201, 202] {
            assert_eq!(reply(status(code), b"{\"a\":1}"), Ok(Ok(json!({"a": 1}))));
        }
        for code in [400, 401, 409, 422, 500, 502] {
            let fault = reply(status(code), known.to_string().as_bytes());
            let fault = fault.expect("a reply").expect_err("an error");
            assert_eq!(fault.code, 3_040_008);
            assert_eq!(
                fault.message,
                "Duplicate transaction: duplicate transaction abc"
            );
            assert_eq!(fault.data, known["error"]);
        }
        let fault = reply(status(404), unknown_path.to_string().as_bytes());
        assert_eq!(fault.expect("a reply").expect_err("an error").code, 404);
        for (code, body, outcome) in [
            (200, "<html>", RpcOutcome::Malformed),
            (200, "", RpcOutcome::Malformed),
            (200, "{\"a\":", RpcOutcome::Malformed),
            (404, "<html>", RpcOutcome::HttpError),
            (404, "{\"error\":\"Not Found\"}", RpcOutcome::HttpError),
            (404, "{\"error\":{\"code\":7}}", RpcOutcome::HttpError),
            (502, "", RpcOutcome::ServerError),
            (500, "{\"code\":500}", RpcOutcome::ServerError),
        ] {
            let error = reply(status(code), body.as_bytes()).expect_err(body);
            assert_eq!(error.outcome, outcome, "{code} {body}");
        }
        for (code, outcome) in [
            (429, RpcOutcome::RateLimited),
            (503, RpcOutcome::ServerError),
        ] {
            let error = reply(status(code), known.to_string().as_bytes()).expect_err("busy");
            assert_eq!(error.outcome, outcome);
        }
    }
}
