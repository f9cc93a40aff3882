//! What the devnet says to a transaction is what the recorded nodes said to its like.

use serde_json::{Value, json};
use slotkeeper::devnet::antelope::{AntelopeConfig, chain_id};
use slotkeeper::keys::{PublicKey, SecretKey, Signer};

use super::{Bench, active, failover, key_of, regproducer, signed, text_of};
use crate::devnet::reads::{captures, same_shape};

async fn bench() -> Bench {
    Bench::still(AntelopeConfig::default()).await
}

/// Status, and the inner error without what differs from case to case.
fn shape(status: u16, body: &Value) -> (u16, Value, Value, Value) {
    let e = &body["error"];
    (
        status,
        e["code"].clone(),
        e["name"].clone(),
        e["what"].clone(),
    )
}

fn as_recorded(name: &str, (status, body): &(u16, Value)) {
    let recorded = &captures("antelope")[name];
    let theirs = shape(
        u16::try_from(recorded["http"].as_u64().unwrap()).unwrap(),
        &recorded["body"],
    );
    assert_eq!(shape(*status, body), theirs, "{name}: {body}");
    assert_eq!(body["code"], recorded["body"]["code"], "{name}");
    assert_eq!(body["message"], recorded["body"]["message"], "{name}");
    let methods = |b: &Value| -> Vec<Value> {
        let details = b["error"]["details"].as_array().unwrap();
        details.iter().map(|d| d["method"].clone()).collect()
    };
    assert_eq!(methods(body), methods(&recorded["body"]), "{name}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_switch_is_taken_on_every_path_and_enters_the_next_block() {
    let bench = bench().await;
    for (i, (path, capture)) in [
        ("push_transaction", "push_ok"),
        ("send_transaction", "send_ok"),
        ("send_transaction2", "send2_ok"),
    ]
    .into_iter()
    .enumerate()
    {
        let actions = json!([regproducer("failover", &key_of("B"))]);
        let tx = bench.draft(actions, 30 + i as i64).await;
        let (status, body) = bench.push(path, &tx, &[&failover()]).await;
        assert_eq!(status, 202, "{path}: {body}");
        same_shape(path, &captures("antelope")[capture]["body"], &body);
        assert_eq!(body["processed"]["receipt"]["status"], "executed");
        assert_eq!(body["processed"]["except"], Value::Null);
        let id = body["transaction_id"].clone();
        let state = bench.get("get_transaction_status", json!({"id": id})).await;
        assert_eq!(state["state"], "LOCALLY_APPLIED", "{state}");
        bench.steps(1);
        let state = bench.get("get_transaction_status", json!({"id": id})).await;
        assert_eq!(state["state"], "IN_BLOCK");
        same_shape(
            "status",
            &captures("antelope")["get_transaction_status"]["body"],
            &state,
        );
        let block = bench
            .get(
                "get_block",
                json!({"block_num_or_id": state["block_number"]}),
            )
            .await;
        assert_eq!(block["transactions"][0]["trx"]["id"], id);
    }
    let truth = bench.net.truth();
    assert_eq!(truth.registered["alice"], text_of("B"));
    assert_eq!(truth.effective["alice"], text_of("A"), "not yet in force");
    assert_eq!(truth.transactions.len(), 3);
    assert_eq!(
        truth.transactions[0].operations[0]["data"]["producer_key"],
        text_of("B")
    );
    let unknown = bench
        .get("get_transaction_status", json!({"id": "ab".repeat(32)}))
        .await;
    assert_eq!(unknown["state"], "UNKNOWN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_carry_the_recorded_status_code_and_words() {
    let bench = bench().await;
    let to_b = || json!([regproducer("active", &key_of("B"))]);
    let stranger = SecretKey::from_seed_sha256("a stranger").unwrap();

    // A duplicate, pending and in a block.
    let tx = bench.draft(to_b(), 3_600).await;
    assert_eq!(
        bench.push("push_transaction", &tx, &[&active()]).await.0,
        202
    );
    as_recorded(
        "push_duplicate",
        &bench.push("push_transaction", &tx, &[&active()]).await,
    );
    bench.steps(1);
    as_recorded(
        "send2_duplicate",
        &bench.push("send_transaction2", &tx, &[&active()]).await,
    );
    // Even when it is signed by nobody: duplicates come first.
    as_recorded(
        "push_duplicate",
        &bench.push("push_transaction", &tx, &[]).await,
    );

    let tx = bench.draft(to_b(), 31).await;
    for (name, path, keys) in [
        (
            "push_transaction_wrong_key",
            "push_transaction",
            vec![&stranger],
        ),
        (
            "send_transaction_wrong_key",
            "send_transaction",
            vec![&stranger],
        ),
        ("push_transaction_no_sig", "push_transaction", vec![]),
        ("send_transaction_no_sig", "send_transaction", vec![]),
    ] {
        as_recorded(name, &bench.push(path, &tx, &keys).await);
    }
    let a = active();
    as_recorded(
        "extra_sig",
        &bench.push("push_transaction", &tx, &[&a, &stranger]).await,
    );
    as_recorded(
        "dup_sig",
        &bench.push("push_transaction", &tx, &[&a, &a]).await,
    );
    // A wrong chain id shows as a wrong key.
    let foreign = signed(&tx, &[&a], &[7; 32]);
    as_recorded(
        "wrong_chain_id",
        &bench.ask("push_transaction", foreign).await,
    );

    let past = bench.draft(to_b(), -86_400).await;
    as_recorded(
        "expired",
        &bench.push("push_transaction", &past, &[&a]).await,
    );
    let far = bench.draft(to_b(), 3_700).await;
    as_recorded(
        "exp_too_far",
        &bench.push("push_transaction", &far, &[&a]).await,
    );
    let mut fork = bench.draft(to_b(), 40).await;
    fork["ref_block_prefix"] = 1.into();
    as_recorded(
        "bad_tapos",
        &bench.push("push_transaction", &fork, &[&a]).await,
    );

    let retry = json!({"retry_trx": true, "transaction": signed(&tx, &[&a], &chain_id())});
    as_recorded(
        "send2_retry_disabled",
        &bench.ask("send_transaction2", retry).await,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_and_the_permissions_refuse_as_recorded() {
    let bench = bench().await;
    let a = active();
    let push = |action: Value, key: SecretKey| {
        let bench = &bench;
        async move {
            let tx = bench.draft(json!([action]), 30).await;
            bench.push("push_transaction", &tx, &[&key]).await
        }
    };
    let with = |change: &dyn Fn(&mut Value)| {
        let mut action = regproducer("active", &key_of("B"));
        change(&mut action);
        action
    };
    let long = with(&|x| x["data"]["url"] = "x".repeat(512).into());
    as_recorded("url_too_long", &push(long, active()).await);
    let unknown = with(&|x| x["authorization"][0]["permission"] = "nosuch".into());
    as_recorded("unknown_permission", &push(unknown, active()).await);
    let unknown = with(&|x| x["authorization"][0]["actor"] = "nosuchacct12".into());
    as_recorded("unknown_account", &push(unknown, active()).await);
    // Somebody else's permission suffices for the node, and not for the contract.
    let bob = with(&|x| x["authorization"][0]["actor"] = "bob".into());
    let key = slotkeeper::devnet::chain::active_key("bob").unwrap();
    as_recorded("actor_mismatch", &push(bob, key).await);
    let null = with(&|x| x["data"]["producer_key"] = PublicKey::NULL.to_text("EOS").into());
    let (status, body) = push(null, active()).await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!(3_050_003)));
    let gone = json!({"account": "eosio", "name": "unregprod",
        "authorization": [{"actor": "bob", "permission": "active"}], "data": {"producer": "bob"}});
    let key = slotkeeper::devnet::chain::active_key("bob").unwrap();
    as_recorded("unregprod_not_found", &push(gone, key).await);

    // A permission is good for what is linked to it, once it is linked.
    let update = json!({"account": "eosio", "name": "updateauth",
        "authorization": [{"actor": "alice", "permission": "active"}],
        "data": {"account": "alice", "permission": "other", "parent": "active",
            "auth": {"threshold": 1, "keys": [{"key": text_of("B"), "weight": 1}], "accounts": [], "waits": []}}});
    assert_eq!(push(update.clone(), active()).await.0, 202);
    let b = || slotkeeper::devnet::chain::node_key("alice", "B").unwrap();
    let by_other = |name: &str| {
        let mut action = regproducer("other", &key_of("B"));
        if name != "regproducer" {
            action["name"] = name.into();
            action["data"] = json!({"producer": "alice"});
        }
        action
    };
    as_recorded(
        "failover_before_link",
        &push(by_other("regproducer"), b()).await,
    );
    let link = json!({"account": "eosio", "name": "linkauth",
        "authorization": [{"actor": "alice", "permission": "active"}],
        "data": {"account": "alice", "code": "eosio", "type": "regproducer", "requirement": "other"}});
    assert_eq!(push(link, active()).await.0, 202);
    assert_eq!(push(by_other("regproducer"), b()).await.0, 202);
    as_recorded(
        "failover_key_other_action",
        &push(by_other("unregprod"), b()).await,
    );
    // Not even the failover permission may touch permissions.
    let mut climb = update;
    climb["authorization"][0]["permission"] = "failover".into();
    climb["data"]["permission"] = "active".into();
    climb["data"]["parent"] = "owner".into();
    let (status, body) = push(climb, failover()).await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!(3_090_005)));
    // Active stands above all of them.
    let tx = bench
        .draft(json!([regproducer("active", &key_of("A"))]), 31)
        .await;
    assert_eq!(bench.push("push_transaction", &tx, &[&a]).await.0, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn send_transaction2_hides_failures_in_a_trace_unless_told_not_to() {
    let bench = bench().await;
    let recorded = captures("antelope");
    let stranger = SecretKey::from_seed_sha256("a stranger").unwrap();
    let tx = bench
        .draft(json!([regproducer("active", &key_of("B"))]), 30)
        .await;
    let (status, body) = bench.push("send_transaction2", &tx, &[&stranger]).await;
    assert_eq!(status, 202);
    same_shape(
        "send2_wrong_key",
        &recorded["send2_wrong_key"]["body"],
        &body,
    );
    let except = &body["processed"]["except"];
    assert_eq!(except["code"], 3_090_003);
    assert_eq!(body["processed"]["receipt"], Value::Null);
    let strict = json!({"return_failure_trace": false, "transaction": signed(&tx, &[&stranger], &chain_id())});
    as_recorded(
        "push_transaction_wrong_key",
        &bench.ask("send_transaction2", strict).await,
    );
    // A dry run changes nothing.
    let dry = json!({"transaction": signed(&tx, &[&active()], &chain_id())});
    let (status, body) = bench.ask("compute_transaction", dry).await;
    assert_eq!((status, &body["processed"]["except"]), (200, &Value::Null));
    assert_eq!(bench.net.truth().transactions.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_transaction_is_refused_and_nothing_breaks() {
    let bench = bench().await;
    let tx = bench
        .draft(json!([regproducer("active", &key_of("B"))]), 30)
        .await;
    let good = signed(&tx, &[&active()], &chain_id());
    let packed = good["packed_trx"].as_str().unwrap().to_owned();
    let with = |k: &str, v: Value| {
        let mut body = good.clone();
        body[k] = v;
        body
    };
    for bad in [
        with("packed_trx", json!("zz")),
        with("packed_trx", json!("")),
        with("packed_trx", json!(packed[..packed.len() - 2].to_owned())),
        with("packed_trx", json!(format!("{packed}00"))),
        with("packed_trx", json!("ff".repeat(40))),
        with("packed_trx", json!(7)),
        with("signatures", json!(["SIG_K1_x"])),
        with("signatures", json!("none")),
        with("compression", json!("zlib")),
    ] {
        let (status, body) = bench.ask("push_transaction", bad.clone()).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (500, &json!(3_010_010)),
            "{bad}"
        );
    }
    // Every byte cut off, every byte turned: refused or, where the byte does not matter, not signed for.
    for i in 0..packed.len() / 2 {
        let mut bytes = slotkeeper::hex::decode(&packed).unwrap();
        bytes[i] ^= 0xff;
        let (status, _) = bench
            .ask(
                "push_transaction",
                with("packed_trx", slotkeeper::hex::encode(&bytes).into()),
            )
            .await;
        assert_eq!(status, 500, "byte {i}");
    }
    assert_eq!(
        bench.push("push_transaction", &tx, &[&active()]).await.0,
        202
    );
    assert_eq!(active().public_key().to_text("EOS").len(), 53);
}
