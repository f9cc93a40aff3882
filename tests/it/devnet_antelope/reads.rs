//! Reading paths answer with the fields of the recorded replies.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slotkeeper::devnet::antelope::{AntelopeConfig, Finality};
use slotkeeper::devnet::chain::SlotRecord;

use super::{Bench, text_of};
use crate::devnet::reads::{captures, same_shape};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_have_the_recorded_fields() {
    let bench = Bench::still(AntelopeConfig::default()).await;
    let recorded = captures("antelope");
    let head = bench.get("get_info", json!({})).await["head_block_num"].clone();
    for (name, path, body) in [
        ("get_info", "get_info", json!({})),
        (
            "get_producers",
            "get_producers",
            json!({"json": true, "limit": 2}),
        ),
        ("get_producers_bin", "get_producers", json!({"limit": 1})),
        (
            "get_table_rows",
            "get_table_rows",
            json!({"code": "eosio", "scope": "eosio", "table": "producers", "limit": 1, "json": true}),
        ),
        (
            "get_table_rows_missing",
            "get_table_rows",
            json!({"code": "eosio", "scope": "eosio", "table": "producers", "json": true,
                "lower_bound": "nosuchone", "upper_bound": "nosuchone"}),
        ),
        ("get_producer_schedule", "get_producer_schedule", json!({})),
        (
            "get_block_info",
            "get_block_info",
            json!({"block_num": head}),
        ),
        ("get_block", "get_block", json!({"block_num_or_id": head})),
        (
            "get_block_header",
            "get_block_header",
            json!({"block_num_or_id": head}),
        ),
    ] {
        let ours = bench.get(path, body).await;
        same_shape(name, &recorded[name]["body"], &ours);
    }
    // The recorded account has one permission that we ask for by another name.
    let ours = bench
        .get("get_account", json!({"account_name": "alice"}))
        .await;
    same_shape("get_account", &recorded["get_account"]["body"], &ours);
    let failover = &ours["permissions"][1];
    assert_eq!(
        (&failover["perm_name"], &failover["parent"]),
        (&json!("failover"), &json!("active"))
    );
    let linked = failover["linked_actions"].as_array().unwrap();
    assert!(linked.contains(&json!({"account": "eosio", "action": "regproducer"})));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_questions_are_worded_as_recorded() {
    let bench = Bench::still(AntelopeConfig {
        transaction_status: false,
        ..AntelopeConfig::default()
    })
    .await;
    let recorded = captures("antelope");
    for (name, path, body) in [
        (
            "get_block_unknown",
            "get_block_info",
            json!({"block_num": 101_195}),
        ),
        ("get_finalizer_info", "get_finalizer_info", json!({})),
        (
            "get_raw_abi_404",
            "get_raw_abi",
            json!({"account_name": "eosio"}),
        ),
        // The node option is off, so the path is not there.
        (
            "get_raw_abi_404",
            "get_transaction_status",
            json!({"id": "00".repeat(32)}),
        ),
    ] {
        let (status, ours) = bench.ask(path, body).await;
        assert_eq!(status, recorded[name]["http"], "{path}");
        assert_eq!(ours, recorded[name]["body"], "{path}");
    }
    let url = format!("{}/v1/chain/get_block_info", bench.url);
    let reply = crate::devnet::client()
        .post(url)
        .body("{\"x")
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status().as_u16(), 400);
    let body: Value = reply.json().await.unwrap();
    let theirs = &recorded["bad_json"]["body"];
    assert_eq!(body["error"]["code"], theirs["error"]["code"]);
    assert_eq!(body["error"]["details"][0], theirs["error"]["details"][0]);
    let (status, body) = bench
        .ask("get_transaction_status", json!({"id": "zz"}))
        .await;
    assert_eq!((status, body["code"].as_u64()), (404, Some(404)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_info_answers_get_too_and_posts_without_a_body() {
    let bench = Bench::still(AntelopeConfig::default()).await;
    let url = format!("{}/v1/chain/get_info", bench.url);
    let got: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    let posted: Value = crate::devnet::client()
        .post(&url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(got, posted);
    assert_eq!(
        got["chain_id"],
        slotkeeper::hex::encode(&bench.net.chain_id())
    );
    // What needs a body says so.
    let reply = reqwest::get(format!("{}/v1/chain/get_block_info", bench.url))
        .await
        .unwrap();
    assert_eq!(reply.status().as_u16(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_is_cut_by_bounds_and_limit_and_says_where_to_go_on() {
    let bench = Bench::still(AntelopeConfig::default()).await;
    let ask = |more: Value| {
        let mut body =
            json!({"code": "eosio", "scope": "eosio", "table": "producers", "json": true});
        for (k, v) in more.as_object().unwrap() {
            body[k] = v.clone();
        }
        bench.get("get_table_rows", body)
    };
    let owners = |reply: &Value| -> Vec<String> {
        let rows = reply["rows"].as_array().unwrap();
        rows.iter()
            .map(|r| r["owner"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = ask(json!({})).await;
    assert_eq!(owners(&all), ["alice", "bpa", "bpb"]);
    assert_eq!(
        (&all["more"], &all["next_key"]),
        (&json!(false), &json!(""))
    );
    let first = ask(json!({"limit": 2})).await;
    assert_eq!(owners(&first), ["alice", "bpa"]);
    assert_eq!(first["more"], true);
    let rest = ask(json!({"lower_bound": first["next_key"]})).await;
    assert_eq!(owners(&rest), ["bpb"]);
    let one = ask(json!({"lower_bound": "alice", "upper_bound": "alice"})).await;
    assert_eq!(owners(&one), ["alice"]);
    assert_eq!(one["rows"][0]["producer_key"], text_of("A"));
    // A lower bound is no filter: who is not there gives the next one.
    let next = bench
        .get(
            "get_producers",
            json!({"json": true, "lower_bound": "bob", "limit": 1}),
        )
        .await;
    assert_eq!(next["rows"][0]["owner"], "bpa");
    assert_eq!(next["more"], "bpb");
}

/// What three answers say of every slot is what the devnet's record says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_and_schedules_tell_the_same_story_as_the_record() {
    let bench = Bench::still(AntelopeConfig::default()).await;
    bench.net.crash_node("bpa").unwrap();
    bench.steps(80);
    let truth = bench.net.truth();
    let head = bench.get("get_info", json!({})).await["head_block_num"]
        .as_u64()
        .unwrap();
    let schedule = bench.get("get_producer_schedule", json!({})).await;
    let order: Vec<&str> = schedule["active"]["producers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["producer_name"].as_str().unwrap())
        .collect();
    let mut produced = BTreeMap::new();
    for num in head - 40..=head {
        let block = bench.get("get_block_info", json!({"block_num": num})).await;
        assert_eq!(block["schedule_version"], 1);
        produced.insert(num, block);
    }
    let filled: Vec<&SlotRecord> = truth.slots.iter().filter(|s| s.block.is_some()).collect();
    for slot in filled {
        let Some(block) = produced.get(&slot.block.as_ref().unwrap().0) else {
            continue;
        };
        assert_eq!(block["producer"], slot.scheduled);
        assert_eq!(block["id"], slot.block.as_ref().unwrap().1);
    }
    let n = order.len() as u64;
    for slot in &truth.slots {
        let at = usize::try_from(slot.slot / 12 % n).unwrap();
        assert_eq!(order[at], slot.scheduled);
        assert_eq!(slot.schedule_version, Some(1));
    }
    let empty: Vec<&SlotRecord> = truth.missed("bpa").collect();
    assert!(empty.len() >= 12, "{}", empty.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn savanna_shows_finalizers_and_a_constant_version_in_headers() {
    let bench = Bench::still(AntelopeConfig {
        finality: Finality::Savanna,
        ..AntelopeConfig::default()
    })
    .await;
    let info = bench.get("get_info", json!({})).await;
    let (head, lib) = (
        info["head_block_num"].as_u64().unwrap(),
        info["last_irreversible_block_num"].as_u64().unwrap(),
    );
    assert!(head - lib <= 4, "{head} {lib}");
    let block = bench
        .get("get_block_info", json!({"block_num": head}))
        .await;
    assert_eq!(block["schedule_version"], 1_u64 << 31);
    let finalizers = bench.get("get_finalizer_info", json!({})).await;
    let policy = &finalizers["active_finalizer_policy"];
    assert_eq!(policy["finalizers"].as_array().unwrap().len(), 3);
    assert_eq!(finalizers["pending_finalizer_policy"], Value::Null);
    let mine = |v: &Value| v["description"] == "alice";
    let voted = |f: &Value| f["last_tracked_votes"].as_array().unwrap().iter().any(mine);
    assert!(voted(&finalizers));
    // A dead node does not vote.
    bench.net.crash_node("A").unwrap();
    assert!(!voted(&bench.get("get_finalizer_info", json!({})).await));
}
