//! What a node, an endpoint and the chain itself can be made to do wrong.

use serde_json::{Value, json};
use slotkeeper::devnet::Fault;
use slotkeeper::devnet::antelope::{AntelopeConfig, HandoverFork};

use super::{Bench, active, ask, key_of, regproducer, text_of};
use crate::devnet::client;

async fn control(bench: &Bench, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/devnet/{path}", bench.url);
    let reply = client()
        .post(url)
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    (reply.status().as_u16(), reply.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_content_show_in_one_endpoint_only() {
    let bench = Bench::still(AntelopeConfig::default()).await;
    bench.steps(3);
    let other = bench.net.endpoint(1).url();
    let info = bench.get("get_info", json!({})).await;
    let head = info["head_block_num"].as_u64().unwrap();
    let switched = |fault: Value| {
        let bench = &bench;
        async move {
            let (status, body) = control(bench, "faults", fault).await;
            assert_eq!(status, 200, "{body}");
        }
    };
    switched(json!({"fault": "wrong_chain_id"})).await;
    assert_eq!(
        bench.get("get_info", json!({})).await["chain_id"],
        "ff".repeat(32)
    );
    assert_eq!(ask(&other, "get_info", &json!({})).await.1, info);

    switched(json!({"fault": "stale_head", "blocks": 7})).await;
    assert_eq!(
        bench.get("get_info", json!({})).await["head_block_num"],
        head - 7
    );
    let (status, _) = bench
        .ask("get_block_info", json!({"block_num": head}))
        .await;
    assert_eq!(status, 400, "not there yet");

    switched(json!({"fault": "frozen_head"})).await;
    bench.steps(5);
    assert_eq!(
        bench.get("get_info", json!({})).await["head_block_num"],
        head
    );
    assert_eq!(
        ask(&other, "get_info", &json!({})).await.1["head_block_num"],
        head + 5
    );

    switched(json!({"fault": "minority_fork", "back": 2})).await;
    bench.steps(40);
    let forked = bench.get("get_info", json!({})).await["head_block_num"]
        .as_u64()
        .unwrap();
    let at = |url: String| async move {
        ask(&url, "get_block_info", &json!({"block_num": head + 5})).await
    };
    let (mine, theirs) = (at(bench.url.clone()).await, at(other.clone()).await);
    assert!(forked < head + 45, "a minority has fewer blocks");
    assert_ne!(mine.1["id"], theirs.1["id"]);

    switched(json!({"fault": "no_method", "method": "/v1/chain/get_table_rows"})).await;
    let (status, body) = bench.ask("get_table_rows", json!({"code": "eosio"})).await;
    assert_eq!(
        (status, &body["error"]["details"][0]["message"]),
        (404, &json!("Unknown Endpoint"))
    );

    let unpaid = |rows: Value| rows["rows"][0]["unpaid_blocks"].as_u64().unwrap();
    let before = unpaid(ask(&other, "get_producers", &json!({"json": true})).await.1);
    switched(json!({"fault": "unpaid_dip", "by": 4})).await;
    assert_eq!(
        unpaid(bench.get("get_producers", json!({"json": true})).await),
        before - 4
    );
    switched(json!({"fault": null})).await;
    assert_eq!(
        unpaid(bench.get("get_producers", json!({"json": true})).await),
        before
    );

    // The same fall, for real.
    let (status, body) = control(&bench, "control", json!({"claim": "alice"})).await;
    assert_eq!(status, 200, "{body}");
    bench.steps(1);
    assert!(unpaid(bench.get("get_producers", json!({"json": true})).await) <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_transport_are_those_of_every_devnet() {
    let bench = Bench::still(AntelopeConfig::default()).await;
    let set = |fault: Fault| bench.net.endpoint(0).set_fault(fault);
    set(Fault::HttpStatus {
        status: 429,
        retry_after: Some(5),
    });
    assert_eq!(bench.ask("get_info", json!({})).await.0, 429);
    set(Fault::Html);
    let (status, body) = bench.ask("get_info", json!({})).await;
    assert!(status == 200 && body.as_str().unwrap().starts_with("<!DOCTYPE"));
    set(Fault::TruncatedJson);
    assert!(bench.ask("get_info", json!({})).await.1.is_string());
    set(Fault::RedirectHttps { status: 308 });
    assert_eq!(bench.ask("get_info", json!({})).await.0, 308);
    // The reply is lost; the transaction is not.
    bench.net.endpoint(0).clear_fault();
    let tx = bench
        .draft(json!([regproducer("active", &key_of("B"))]), 30)
        .await;
    set(Fault::LostReply);
    let body = super::signed(&tx, &[&active()], &bench.net.chain_id()).to_string();
    let sent = client()
        .post(format!("{}/v1/chain/push_transaction", bench.url))
        .body(body)
        .send()
        .await;
    assert!(sent.is_err());
    assert_eq!(bench.net.truth().transactions.len(), 1);
    bench.net.endpoint(0).clear_fault();
    // A dead node refuses; its endpoint comes back with it.
    bench.net.crash_node("A").unwrap();
    let url = bench.net.endpoint_of("A").unwrap().url();
    let asked = || client().get(format!("{url}/v1/chain/get_info")).send();
    bench.until("refused", |_| true).await;
    while asked().await.is_ok() {}
    bench.net.restore_node("A").unwrap();
    while asked().await.is_err() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_can_miss_some_of_its_slots() {
    let bench = Bench::still(AntelopeConfig::default()).await;
    let (status, body) = control(&bench, "control", json!({"partial": "A", "percent": 50})).await;
    assert_eq!(status, 200, "{body}");
    let from = bench.net.truth().slots.len();
    bench.steps(36 * 10);
    let truth = bench.net.truth();
    let mine: Vec<bool> = truth.slots[from..]
        .iter()
        .filter(|s| s.scheduled == "alice")
        .map(|s| s.block.is_some())
        .collect();
    let missed = mine.iter().filter(|b| !**b).count();
    assert!((30..90).contains(&missed), "{missed} of {}", mine.len());
    assert!(
        control(&bench, "control", json!({"partial": "nobody"}))
            .await
            .0
            == 400
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_blocks_of_a_turn_can_be_lost_at_the_hand_over() {
    let bench = Bench::still(AntelopeConfig::default()).await;
    let from = bench.net.truth().slots.len();
    bench.net.with_antelope(|c| {
        c.set_handover_fork(Some(HandoverFork {
            blocks: 2,
            after: Some("alice".to_owned()),
        }));
    });
    bench.steps(36 * 3);
    bench.net.with_antelope(|c| c.set_handover_fork(None));
    let truth = bench.net.truth();
    let turns = truth.slots[from..].chunk_by(|a, b| a.slot / 12 == b.slot / 12);
    let mut seen = 0;
    for turn in turns.filter(|t| t.len() == 12) {
        let filled: Vec<bool> = turn.iter().map(|s| s.block.is_some()).collect();
        let mine = turn[0].scheduled == "alice";
        // The last turn may not have been followed by another.
        if turn[11].slot + 1 >= truth.slots.last().unwrap().slot {
            continue;
        }
        let lost = if mine { 2 } else { 0 };
        assert!(filled[..12 - lost].iter().all(|f| *f), "{filled:?}");
        assert!(filled[12 - lost..].iter().all(|f| !*f), "{filled:?}");
        seen += usize::from(mine);
    }
    assert!(seen >= 2, "{seen}");
    // What is left links up.
    let head = bench.get("get_info", json!({})).await["head_block_num"]
        .as_u64()
        .unwrap();
    for num in head - 30..head {
        let id = bench.get("get_block_info", json!({"block_num": num})).await["id"].clone();
        let next = bench
            .get("get_block_info", json!({"block_num": num + 1}))
            .await;
        assert_eq!(next["previous"], id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_takes_a_switch_back_and_puts_it_in_again() {
    let bench = Bench::still(AntelopeConfig::default()).await;
    let tx = bench
        .draft(json!([regproducer("active", &key_of("B"))]), 3_600)
        .await;
    let (_, body) = bench.push("push_transaction", &tx, &[&active()]).await;
    let id = json!({"id": body["transaction_id"]});
    bench.steps(1);
    let before = bench.get("get_transaction_status", id.clone()).await;
    assert_eq!(before["state"], "IN_BLOCK");
    let scheduled = bench.net.truth().slots.last().unwrap().scheduled.clone();
    // The block's producer does not come by this time: the transaction waits.
    let (status, body) = control(&bench, "control", json!({"reorg": 1, "drop": scheduled})).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(bench.net.truth().registered["alice"], text_of("A"));
    let gone = bench.get("get_transaction_status", id.clone()).await;
    assert_eq!(gone["state"], "FORKED_OUT");
    bench.steps(1);
    let again = bench.get("get_transaction_status", id.clone()).await;
    assert_eq!(again["state"], "IN_BLOCK");
    assert_eq!(again["block_number"], before["block_number"]);
    assert_ne!(again["block_id"], before["block_id"]);
    assert_eq!(bench.net.truth().registered["alice"], text_of("B"));
    assert_eq!(
        control(&bench, "control", json!({"reorg": 500})).await.0,
        400
    );
    // By hand, back again, over the control path.
    let (status, body) = control(&bench, "control", json!({"set_key": "alice", "node": "A"})).await;
    assert_eq!(status, 200, "{body}");
    bench.steps(1);
    assert_eq!(bench.net.truth().registered["alice"], text_of("A"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_produces_by_the_clock_and_the_state_page_tells() {
    let bench = Bench::start(AntelopeConfig::default()).await;
    let before = bench.net.truth().head_num;
    bench
        .until("blocks", |net| net.truth().head_num >= before + 5)
        .await;
    let url = format!("{}/devnet/state?slots=3", bench.url);
    let state: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(state["protocol"], "antelope");
    assert_eq!(state["slots"].as_array().unwrap().len(), 3);
    assert_eq!(state["effective"]["alice"], text_of("A"));
    assert_eq!(state["schedules"][0]["version"], 1);
    assert!(state["last_irreversible_block_num"].as_u64().unwrap() > 0);
}
