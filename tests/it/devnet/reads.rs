//! Reading calls answer with the fields of the recorded replies.

use serde_json::{Value, json};
use slotkeeper::chain::Protocol;
use slotkeeper::devnet::{Devnet, DevnetConfig};

use super::{call, client, post, start};

/// The captures of one chain.
pub(crate) fn captures(name: &str) -> Value {
    let path = format!(
        "{}/tests/data/vectors/{name}-rpc-captures.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all["captures"].clone()
}

/// Asserts that `ours` has exactly the fields of `theirs`, with values of the same JSON type, all the way down.
pub(crate) fn same_shape(at: &str, theirs: &Value, ours: &Value) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let names = |m: &serde_json::Map<String, Value>| {
                let mut n: Vec<String> = m.keys().cloned().collect();
                n.sort();
                n
            };
            assert_eq!(names(a), names(b), "{at}");
            for (k, v) in a {
                same_shape(&format!("{at}.{k}"), v, &b[k]);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if let (Some(x), Some(y)) = (a.first(), b.first()) {
                same_shape(&format!("{at}[]"), x, y);
            }
        }
        _ => {
            let kind = |v: &Value| match v {
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                Value::Null => "null",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            // fc writes big numbers as strings, so one field may be either.
            let number_like =
                |v: &Value| v.is_number() || v.as_str().is_some_and(|s| s.parse::<u128>().is_ok());
            assert!(
                kind(theirs) == kind(ours) || (number_like(theirs) && number_like(ours)),
                "{at}: {theirs} / {ours}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_have_the_recorded_fields() {
    let condenser = |m: &str| format!("condenser_api.{m}");
    let db = |m: &str| format!("database_api.{m}");
    for (protocol, name) in [(Protocol::Steem, "steem"), (Protocol::Hive, "hive")] {
        let net = start(protocol).await;
        let url = net.endpoint(0).url();
        let recorded = captures(name);
        let hive = name == "hive";
        let cases = [
            (
                condenser("get_dynamic_global_properties"),
                json!([]),
                if hive { "dgpo" } else { "dgpo_condenser" },
            ),
            (
                db("get_dynamic_global_properties"),
                json!({}),
                "dgpo_database",
            ),
            (
                condenser("get_witness_by_account"),
                json!(["alice"]),
                if hive { "witness_ok" } else { "" },
            ),
            (
                db("find_witnesses"),
                json!({"owners": ["alice", "nobody"]}),
                "find_witnesses",
            ),
            (
                condenser("get_witness_by_account"),
                json!(["nobody"]),
                "witness_unknown",
            ),
            (
                condenser("get_witness_schedule"),
                json!([]),
                if hive { "schedule" } else { "witness_schedule" },
            ),
            (
                db("get_witness_schedule"),
                json!({}),
                if hive {
                    "schedule_database"
                } else {
                    "witness_schedule_db"
                },
            ),
            (
                condenser("get_active_witnesses"),
                json!([]),
                "active_witnesses",
            ),
            (condenser("get_version"), json!([]), "version"),
            (
                db("get_version"),
                json!({}),
                if hive {
                    "version_database"
                } else {
                    "version_db"
                },
            ),
            (
                condenser("get_hardfork_version"),
                json!([]),
                "hardfork_version",
            ),
            (condenser("get_block_header"), json!([3]), "block_header"),
            (
                condenser("get_block_header"),
                json!([1_000_000]),
                "get_block_future",
            ),
            (
                "block_api.get_block_header".into(),
                json!({"block_num": 3}),
                if hive {
                    "block_api_header"
                } else {
                    "block_header_api"
                },
            ),
            (
                condenser("get_block"),
                json!([3]),
                if hive { "block" } else { "get_block" },
            ),
            (
                "block_api.get_block".into(),
                json!({"block_num": 3}),
                if hive {
                    "block_api_block"
                } else {
                    "block_api_get_block"
                },
            ),
            (
                "transaction_status_api.find_transaction".into(),
                json!({"transaction_id": "00"}),
                "find_transaction_unknown",
            ),
        ];
        for (method, params, capture) in cases {
            let ours = call(&url, &method, params).await;
            let theirs = &recorded[capture]["body"];
            if !theirs.is_null() {
                same_shape(&format!("{name} {method} {capture}"), theirs, &ours);
            }
        }
        net.shutdown();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_worded_as_recorded() {
    for (protocol, name) in [(Protocol::Steem, "steem"), (Protocol::Hive, "hive")] {
        let net = start(protocol).await;
        let url = net.endpoint(0).url();
        let recorded = captures(name);
        let hive = name == "hive";
        let one = |m: &str, p: Value| json!({"jsonrpc": "2.0", "id": 1, "method": m, "params": p});
        let mut cases = vec![
            (
                if hive { "bad_method" } else { "unknown_method" },
                one(
                    &format!(
                        "condenser_api.{}",
                        if hive { "no_such_method" } else { "nosuch" }
                    ),
                    json!([]),
                ),
            ),
            (
                if hive { "bad_api" } else { "unknown_api" },
                one(
                    if hive {
                        "no_such_api.x"
                    } else {
                        "nosuch_api.x"
                    },
                    json!([]),
                ),
            ),
            (
                "no_params",
                json!({"jsonrpc": "2.0", "id": 1, "method": "condenser_api.get_dynamic_global_properties"}),
            ),
        ];
        if hive {
            cases.push(("bad_params", one("condenser_api.get_block", json!(["x"]))));
        } else {
            cases.push(("bad_params", one("condenser_api.get_block", json!([]))));
            cases.push((
                "get_block_range",
                one(
                    "block_api.get_block_range",
                    json!({"starting_block_num": 1, "count": 1}),
                ),
            ));
            cases.push((
                "call_style",
                one(
                    "call",
                    json!(["database_api", "get_dynamic_global_properties", []]),
                ),
            ));
            cases.push((
                "get_transaction",
                one("condenser_api.get_transaction", json!(["00"])),
            ));
        }
        for (capture, request) in cases {
            let ours = post(&url, &request).await;
            let theirs = &recorded[capture]["body"];
            for field in ["code", "message"] {
                assert_eq!(
                    ours["error"][field], theirs["error"][field],
                    "{name} {capture}"
                );
            }
            for field in ["code", "name", "message"] {
                assert_eq!(
                    ours["error"]["data"][field], theirs["error"]["data"][field],
                    "{name} {capture}"
                );
            }
            let first = |v: &Value| v["error"]["data"]["stack"][0].clone();
            for field in ["format", "data"] {
                assert_eq!(
                    first(&ours)[field],
                    first(theirs)[field],
                    "{name} {capture}"
                );
            }
            for field in ["file", "line", "method", "level"] {
                assert_eq!(
                    first(&ours)["context"][field],
                    first(theirs)["context"][field],
                    "{name} {capture}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_answer_in_order_and_connections_close_silently() {
    let net = start(Protocol::Steem).await;
    let url = net.endpoint(0).url();
    let batch = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "condenser_api.get_witness_by_account", "params": ["alice"]},
        {"jsonrpc": "2.0", "id": "two", "method": "call", "params": ["condenser_api", "get_version", []]},
        {"jsonrpc": "2.0", "id": 3, "method": "nosuch_api.x", "params": []},
    ]);
    let replies = post(&url, &batch).await;
    let ids: Vec<&Value> = replies
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["id"])
        .collect();
    assert_eq!(ids, [&json!(1), &json!("two"), &json!(3)]);
    assert_eq!(replies[0]["result"]["owner"], "alice");

    // A second request on one connection finds it closed, although nothing announced that.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(net.endpoint(0).addr())
        .await
        .unwrap();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"condenser_api.get_version","params":[]}"#;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    assert!(all.starts_with("HTTP/1.1 200 OK\r\n"), "{all}");
    assert!(!all.to_lowercase().contains("connection:"), "{all}");
    assert!(!all.to_lowercase().contains("\r\ndate:"), "{all}");

    let huge = client()
        .post(&url)
        .body(vec![b' '; 2 * 1024 * 1024])
        .send()
        .await;
    assert!(huge.is_err() || huge.unwrap().status() == 413);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_producing() {
    let net = start(Protocol::Hive).await;
    let head = net.truth().head_num;
    let mut slots = net.slots();
    for _ in 0..3 {
        slots.changed().await.unwrap();
    }
    let truth = net.truth();
    assert!(truth.head_num >= head + 3);
    let reply = call(
        &net.endpoint(1).url(),
        "condenser_api.get_dynamic_global_properties",
        json!([]),
    )
    .await;
    assert!(reply["result"]["head_block_number"].as_u64().unwrap() >= head + 3);
    assert_eq!(reply["result"]["participation_count"], 128);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_witnesses_can_be_asked_for_a_thousand_at_a_time() {
    let config = DevnetConfig {
        interval_ms: 1000,
        idle: 10_000,
        ..DevnetConfig::default()
    };
    let net = Devnet::start(config).await.unwrap();
    let url = net.endpoint(0).url();
    let names = |n: usize| (1..=n).map(|i| format!("idle{i:05}")).collect::<Vec<_>>();
    let found = call(
        &url,
        "database_api.find_witnesses",
        json!({"owners": names(1000)}),
    )
    .await;
    assert_eq!(found["result"]["witnesses"].as_array().unwrap().len(), 1000);
    let refused = call(
        &url,
        "database_api.find_witnesses",
        json!({"owners": names(1001)}),
    )
    .await;
    assert_eq!(refused["error"]["code"], -32003);
    assert!(
        net.truth().slots.iter().all(|s| s.block.is_some()),
        "they never get a slot"
    );
}
