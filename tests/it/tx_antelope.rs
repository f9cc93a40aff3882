//! `slotkeeper tx` on Antelope, the built binary: every vector bit for bit, what it refuses, what it sends.

use serde_json::{Value, json};
use slotkeeper::keys::{SecretKey, key_file};

use super::rpc_server::{Act, Server};
use crate::captures_antelope::body;
use crate::tx_sign::slotkeeper;
use crate::vectors_antelope::{Case, cases};

/// A directory with the key of `case` in it, and the path of that file.
fn key_of(case: &Case) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    key_file::save_wif(&file, &SecretKey::from_wif(&case.wif).unwrap(), false).unwrap();
    let path = file.to_str().unwrap().to_owned();
    (dir, path)
}

fn sign(key: &str, rest: &[&str], stdin: &Value) -> std::process::Output {
    let fixed = ["tx", "sign", "--protocol", "antelope", "--key-file", key];
    slotkeeper(&[&fixed[..], rest].concat(), &stdin.to_string())
}

#[test]
fn every_antelope_vector_through_the_binary() {
    for case in cases() {
        let (_dir, key) = key_of(&case);
        let args = ["--chain-id", case.text("chain_id")];
        let out = sign(&key, &args, &case.vector["tx_json"]);
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{}: {stderr}", case.name);
        assert_eq!(stderr, "", "{}", case.name);
        let got: Value = serde_json::from_slice(&out.stdout).unwrap();
        for field in ["serialized", "digest", "txid", "signature"] {
            assert_eq!(got[field], case.vector[field], "{} {field}", case.name);
        }
        assert_eq!(got["public_key"], case.vector["recovered_public_key"]);
        assert_eq!(got["transaction"], case.vector["push_body_packed"]);
        assert_eq!(got["readable"], case.vector["tx_json"]);
        // Signed again, packed or readable, it gets no second signature of the same key.
        let again = sign(&key, &args, &got["transaction"]);
        let again: Value = serde_json::from_slice(&again.stdout).unwrap();
        assert_eq!(got, again, "{}", case.name);
    }
}

#[test]
fn what_is_refused_on_antelope_and_how() {
    let case = &cases()[0];
    let (_dir, key) = key_of(case);
    let id = ["--chain-id", case.text("chain_id")];
    let good = &case.vector["tx_json"];
    let with = |pointer: &str, value: Value| {
        let mut tx = good.clone();
        *tx.pointer_mut(pointer).expect(pointer) = value;
        tx
    };
    let hf26 = [&id[..], &["--serialization", "hf26"]].concat();
    for (out, code, says) in [
        (sign(&key, &[], good), 2, "--chain-id is needed"),
        (sign(&key, &hf26, good), 2, "hive only"),
        (
            sign(&key, &id, &with("/actions/0/name", json!("setabi"))),
            1,
            "actions[0].name: slotkeeper signs only these actions",
        ),
        (
            sign(&key, &id, &with("/actions/0/data/producer", json!("BP"))),
            1,
            "actions[0].data.producer: \"BP\" is no name",
        ),
        (sign(&key, &id, &json!([])), 1, "an object is needed"),
        (
            sign(&key, &id, &json!({"packed_trx": "00", "signatures": []})),
            1,
            "the bytes end too early",
        ),
    ] {
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{says}: {stderr}");
        assert!(stderr.contains(says), "{says}: {stderr}");
        assert!(out.stdout.is_empty(), "{says}");
        assert!(!stderr.contains(&case.wif));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_transaction_is_sent_packed_and_a_failure_in_a_202_is_told() {
    let answering = |body: Value| {
        Server::start(move |_| Act::Keep("202 Accepted", body.to_string().into_bytes()))
    };
    let accepting = answering(body("send2_ok")).await;
    let failing = answering(body("send2_wrong_key")).await;
    let duplicate = Server::start(|_| {
        Act::Keep(
            "409 Conflict",
            body("send2_duplicate").to_string().into_bytes(),
        )
    })
    .await;
    let old = Server::start(|_| {
        Act::Keep(
            "404 Not Found",
            body("get_raw_abi_404").to_string().into_bytes(),
        )
    })
    .await;
    let case = &cases()[0];
    let packed = case.vector["push_body_packed"].clone();
    let mut readable = case.vector["tx_json"].clone();
    readable["signatures"] = packed["signatures"].clone();
    let servers = [&accepting, &failing, &duplicate, &old];
    let urls: Vec<String> = servers.iter().map(|s| s.url()).collect();
    for input in [json!({"txid": "00", "transaction": packed}), readable] {
        let urls = urls.clone();
        let out = tokio::task::spawn_blocking(move || {
            let mut args = vec!["tx", "broadcast", "--protocol", "antelope"];
            for url in &urls {
                args.extend(["--endpoint", url]);
            }
            slotkeeper(&args, &input.to_string())
        })
        .await
        .unwrap();
        assert_eq!(out.status.code(), Some(0), "{out:?}");
        let told: Value = serde_json::from_slice(&out.stdout).unwrap();
        let results: Vec<_> = told["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| (r["outcome"].as_str().unwrap(), r["reason"].clone()))
            .collect();
        assert_eq!(
            results,
            [
                ("accepted", Value::Null),
                ("refused", json!("missing_authority")),
                ("already", Value::Null),
                ("refused", json!("no_such_method")),
            ]
        );
        let detail = told["results"][1]["detail"].as_str().unwrap();
        assert!(detail.starts_with("Provided keys, permissions"), "{detail}");
    }
    for server in servers {
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "once each");
        for request in requests {
            assert_eq!(request.path, "/v1/chain/send_transaction2");
            let sent: Value = serde_json::from_slice(&request.body).unwrap();
            assert_eq!(
                sent,
                json!({"return_failure_trace": true, "retry_trx": false, "transaction": packed})
            );
        }
    }
}
