//! `slotkeeper tx broadcast`, the built binary: same bytes to all, a verdict for each, exit codes.

use std::process::Output;

use serde_json::{Value, json};

use super::rpc_server::{Act, Server};
use super::tx_sign::slotkeeper;

const SIGNED: &str = r#"{"operations":[],"signatures":["1f00"]}"#;

fn refusal(data: Value) -> Act {
    let error = json!({"code": -32000, "message": "a node's words", "data": data});
    Act::json(&json!({"id": 1, "error": error}).to_string())
}

async fn broadcast(urls: Vec<String>, stdin: &str) -> Output {
    let stdin = stdin.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut args = vec!["tx", "broadcast", "--protocol", "steem"];
        for url in &urls {
            args.extend(["--endpoint", url]);
        }
        slotkeeper(&args, &stdin)
    })
    .await
    .unwrap()
}

fn outcomes(out: &Output) -> Vec<(String, Value)> {
    let object: Value = serde_json::from_slice(&out.stdout).unwrap();
    let results = object["results"].as_array().unwrap();
    let pair = |r: &Value| {
        (
            r["outcome"].as_str().unwrap().to_owned(),
            r["reason"].clone(),
        )
    };
    results.iter().map(pair).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_go_to_every_endpoint_once_and_each_answer_is_told() {
    let accepting = Server::start(|_| Act::json(r#"{"id":1,"result":{}}"#)).await;
    let duplicate = Server::start(|_| {
        refusal(json!({"code": 10, "stack": [{"format": "!x", "data": {"trx_ix": 1}}]}))
    })
    .await;
    let expired = Server::start(|_| {
        refusal(json!({"code": 4030100, "stack": [{"format": "", "data": {"trx.exp": "t"}}]}))
    })
    .await;
    let closing = Server::start(|_| Act::Close).await;
    let servers = [&accepting, &duplicate, &expired, &closing];
    let urls: Vec<String> = servers
        .iter()
        .map(|s| format!("http://user:hunter2@{}/?key=hunter2", s.addr))
        .collect();
    // As `tx sign` writes it.
    let input = format!(r#"{{"txid":"00","transaction":{SIGNED}}}"#);
    let out = broadcast(urls, &input).await;
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let told = |outcome: &str, reason: Value| (outcome.to_owned(), reason);
    assert_eq!(
        outcomes(&out),
        [
            told("accepted", Value::Null),
            told("already", Value::Null),
            told("refused", json!("expired")),
            told("failed", json!("refused")),
        ]
    );
    for server in servers {
        let requests = server.requests();
        assert_eq!(requests.len(), 1, "once each");
        assert_eq!(requests[0].body, accepting.requests()[0].body);
        let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
        assert_eq!(body["method"], "condenser_api.broadcast_transaction");
        assert_eq!(
            body["params"],
            json!([serde_json::from_str::<Value>(SIGNED).unwrap()])
        );
    }
    let text = format!("{out:?}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_taken_is_a_failure() {
    let expired = Server::start(|_| refusal(json!({"code": 3010000}))).await;
    let out = broadcast(vec![expired.url()], SIGNED).await;
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(
        outcomes(&out),
        [("refused".to_owned(), json!("missing_authority"))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_and_nothing_is_sent() {
    let server = Server::start(|_| Act::json(r#"{"id":1,"result":{}}"#)).await;
    for (url, stdin, code, words) in [
        (
            server.url(),
            r#"{"operations":[],"signatures":[]}"#,
            1,
            "is not signed",
        ),
        (server.url(), r#"{"a":1}"#, 1, "holds no transaction"),
        (server.url(), "", 1, "stdin is empty"),
        (
            "http://node.example/".to_owned(),
            SIGNED,
            2,
            "--allow-insecure",
        ),
        ("node.example".to_owned(), SIGNED, 2, "no URL"),
    ] {
        let out = broadcast(vec![url], stdin).await;
        assert_eq!(out.status.code(), Some(code), "{out:?}");
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(text.contains(words), "{text}");
    }
    let args = [
        "tx",
        "broadcast",
        "--protocol",
        "bitcoin",
        "--endpoint",
        &server.url(),
    ];
    let out = slotkeeper(&args, SIGNED);
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(server.requests().is_empty());
}
