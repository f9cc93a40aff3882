//! What the devnet says to a transaction is what the recorded nodes said to its like.

use serde_json::{Value, json};
use slotkeeper::chain::Protocol;
use slotkeeper::chain::graphene::{Serialization, TESTNET_CHAIN_ID, Transaction, digest};
use slotkeeper::devnet::chain::active_key;
use slotkeeper::keys::{Nonce, PublicKey, Signer};

use super::bench::{Bench, hex_of, set};
use super::call;
use super::reads::captures;

/// Asserts that two errors are the same but for names, keys and times.
fn same_error(case: &str, ours: &Value, theirs: &Value, owner: &str) {
    let (ours, theirs) = (&ours["error"], &theirs["error"]);
    assert!(theirs.is_object(), "{case}: no such recorded error");
    assert!(ours.is_object(), "{case}: was accepted");
    let message = theirs["message"].as_str().unwrap().replace(owner, "alice");
    assert_eq!(ours["message"], message.as_str(), "{case}");
    assert_eq!(ours["code"], theirs["code"], "{case}");
    for field in ["code", "name", "message"] {
        assert_eq!(
            ours["data"][field], theirs["data"][field],
            "{case}: data.{field}"
        );
    }
    let (a, b) = (
        ours["data"]["stack"].as_array().unwrap(),
        theirs["data"]["stack"].as_array().unwrap(),
    );
    assert_eq!(a.len(), b.len(), "{case}: frames");
    for (x, y) in a.iter().zip(b) {
        for field in ["level", "file", "line", "method", "hostname"] {
            assert_eq!(x["context"][field], y["context"][field], "{case}: {field}");
        }
        assert_eq!(x["format"], y["format"], "{case}");
        let keys = |v: &Value| {
            let mut k: Vec<String> = v["data"].as_object().unwrap().keys().cloned().collect();
            k.sort();
            k
        };
        assert_eq!(keys(x), keys(y), "{case}");
    }
}

/// The name of a case in either file of captures.
fn pick(hive: bool, steem_name: &'static str, hive_name: &'static str) -> &'static str {
    if hive { hive_name } else { steem_name }
}

async fn refusals(protocol: Protocol, file: &str, owner: &str) {
    let bench = Bench::start(protocol).await;
    let recorded = captures(file);
    let hive = protocol == Protocol::Hive;
    let (a, b, active) = (&bench.a, &bench.b, &bench.active);
    let (pa, pb) = (a.public_key(), b.public_key());
    let update = bench.update("alice", "https://w.example", &pa);
    let swap = set(&[("key", hex_of(&pa)), ("new_signing_key", hex_of(&pb))]);
    let mut cases: Vec<(&str, Value)> = Vec::new();

    cases.push((
        "wsp_stale_key",
        bench
            .signed(
                set(&[("key", hex_of(&pb)), ("new_signing_key", hex_of(&pa))]),
                &[b],
            )
            .await,
    ));
    cases.push((
        "wsp_signed_by_active",
        bench.signed(swap.clone(), &[active]).await,
    ));
    cases.push((
        "wsp_from_null",
        bench
            .signed(
                set(&[
                    ("key", hex_of(&PublicKey::NULL)),
                    ("new_signing_key", hex_of(&pb)),
                ]),
                &[a],
            )
            .await,
    ));
    cases.push((
        "wsp_no_key_prop",
        bench
            .signed(set(&[("new_signing_key", hex_of(&pb))]), &[a])
            .await,
    ));
    cases.push((
        pick(hive, "missing_active", "wu_missing_active"),
        bench.signed(update.clone(), &[a]).await,
    ));
    cases.push((
        pick(hive, "no_signature", "wu_no_signature"),
        bench.signed(update.clone(), &[]).await,
    ));
    cases.push((
        pick(hive, "irrelevant_sig", "wu_extra_signature"),
        bench.signed(update.clone(), &[active, b]).await,
    ));
    cases.push((
        pick(hive, "dup_sig", "wu_repeated_signature"),
        bench.signed(update.clone(), &[active, active]).await,
    ));
    cases.push((
        "empty_url",
        bench
            .signed(bench.update("alice", "", &pa), &[active])
            .await,
    ));
    cases.push((
        "long_url",
        bench
            .signed(bench.update("alice", &"x".repeat(2049), &pa), &[active])
            .await,
    ));
    cases.push((
        "unknown_account",
        bench
            .signed(
                bench.update("nosuchacct", "https://w.example", &pa),
                &[active],
            )
            .await,
    ));
    for (name, seconds) in [
        ("expired", -60),
        (pick(hive, "exp_too_far", "expiry_too_far"), 7200),
    ] {
        let mut tx = bench.draft(update.clone(), seconds).await;
        bench.sign_as(&mut tx, &[active], &TESTNET_CHAIN_ID, Serialization::Legacy);
        cases.push((name, tx));
    }
    let mut tx = bench.draft(update.clone(), 30).await;
    tx["ref_block_prefix"] = 12345.into();
    bench.sign_as(&mut tx, &[active], &TESTNET_CHAIN_ID, Serialization::Legacy);
    cases.push((pick(hive, "tapos", "bad_tapos"), tx));
    let mut tx = bench.draft(update.clone(), 30).await;
    bench.sign_as(&mut tx, &[active], &[0; 32], Serialization::Legacy);
    cases.push(("wrong_chain_id", tx));
    // Written and signed with the properties in another order than the node's.
    let mut tx = bench
        .draft(
            set(&[("new_signing_key", hex_of(&pb)), ("key", hex_of(&pa))]),
            30,
        )
        .await;
    let parsed = Transaction::from_json(&tx, &bench.dialect).unwrap().tx;
    let mut bytes = parsed
        .serialize(&bench.dialect, Serialization::Legacy)
        .unwrap();
    let at = bytes.windows(4).position(|w| w == b"\x03key").unwrap();
    bytes[at..at + 88].rotate_left(38);
    assert!(bytes[at..].starts_with(b"\x0fnew_signing_key\x21"));
    let d = digest(&TESTNET_CHAIN_ID, &bytes);
    tx["signatures"] = json!([a.sign(&d, Nonce::Graphene).unwrap().to_hex()]);
    cases.push(("wsp_unsorted", tx));
    if !hive {
        let feed = json!(["feed_publish", {"publisher": "alice", "exchange_rate": {"base": "1.000 TESTS", "quote": "0.250 TBD"}}]);
        cases.push(("feed_publish_inverted", bench.signed(feed, &[active]).await));
    }
    for (case, tx) in &cases {
        let case_name = format!("{file} {case}");
        same_error(
            &case_name,
            &bench.send(tx).await,
            &recorded[*case]["body"],
            if *case == "unknown_account" {
                "~"
            } else {
                owner
            },
        );
    }

    // The same bytes twice: the second time it is known, whether pending or in a block.
    let tx = bench.signed(update, &[active]).await;
    assert_eq!(bench.send_and_wait(&tx).await["result"]["expired"], false);
    same_error(
        file,
        &bench.send(&tx).await,
        &recorded["duplicate"]["body"],
        owner,
    );
    let name = pick(
        hive,
        "network_broadcast_legacy",
        "network_broadcast_appbase",
    );
    let ours = call(
        &bench.url,
        "network_broadcast_api.broadcast_transaction",
        json!({"trx": tx}),
    )
    .await;
    same_error(name, &ours, &recorded[name]["body"], owner);

    // Nothing of all that changed anything.
    assert_eq!(bench.registered().await, pa.to_text("TST"));
    assert_eq!(bench.net.truth().transactions.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steem_refuses_as_recorded() {
    refusals(Protocol::Steem, "steem", "wita").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hive_refuses_as_recorded() {
    refusals(Protocol::Hive, "hive", "wit02").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_takes_effect_and_can_be_followed() {
    for protocol in [Protocol::Steem, Protocol::Hive, Protocol::Blurt] {
        let bench = Bench::start(protocol).await;
        let (pa, pb) = (bench.a.public_key(), bench.b.public_key());
        let swap = set(&[("key", hex_of(&pa)), ("new_signing_key", hex_of(&pb))]);
        let mut tx = bench.draft(swap, 30).await;
        let id = bench.sign_as(
            &mut tx,
            &[&bench.a],
            &TESTNET_CHAIN_ID,
            Serialization::Legacy,
        );
        let reply = bench.send_and_wait(&tx).await["result"].clone();
        assert_eq!(
            (&reply["id"], &reply["expired"]),
            (&json!(id), &json!(false)),
            "{protocol}"
        );
        let status = |s: Value| s["result"].clone();
        let found = status(
            call(
                &bench.url,
                "transaction_status_api.find_transaction",
                json!({"transaction_id": id}),
            )
            .await,
        );
        assert_eq!(
            found,
            json!({"status": "within_reversible_block", "block_num": reply["block_num"]})
        );
        assert_eq!(bench.registered().await, pb.to_text("TST"));
        let block = call(
            &bench.url,
            "condenser_api.get_block",
            json!([reply["block_num"]]),
        )
        .await;
        assert_eq!(block["result"]["transaction_ids"], json!([id]));
        assert_eq!(
            block["result"]["transactions"][0]["operations"],
            tx["operations"]
        );
        // B signs from its next slot on; the chain says so, and so does the truth.
        let mut slots = bench.net.slots();
        let last = loop {
            slots.changed().await.unwrap();
            let t = bench.net.truth();
            if let Some(s) = t
                .slots
                .iter()
                .rev()
                .find(|s| s.scheduled == "alice" && s.block.is_some())
                && s.block.as_ref().unwrap().0 > reply["block_num"].as_u64().unwrap()
            {
                break s.clone();
            }
        };
        assert_eq!(last.node.as_deref(), Some("B"));
        assert_eq!(last.block.unwrap().2, pb.to_text("TST"));

        // Disabling with the signing key is a way of no return; the active key brings it back, in either form of the call.
        let off = set(&[
            ("key", hex_of(&pb)),
            ("new_signing_key", hex_of(&PublicKey::NULL)),
        ]);
        let off = bench.signed(off, &[&bench.b]).await;
        assert_eq!(bench.send_and_wait(&off).await["result"]["expired"], false);
        assert_eq!(bench.registered().await, PublicKey::NULL.to_text("TST"));
        let on = bench
            .signed(
                bench.update("alice", "https://again.example", &pa),
                &[&bench.active],
            )
            .await;
        let parsed = Transaction::from_json(&on, &bench.dialect).unwrap();
        let appbase = parsed.to_appbase_json(&bench.dialect);
        let sent = call(
            &bench.url,
            "network_broadcast_api.broadcast_transaction",
            json!({"trx": appbase}),
        )
        .await;
        assert_eq!(sent["result"], json!({}), "{sent}");
        while bench.registered().await != pa.to_text("TST") {
            slots.changed().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hive_takes_both_serializations() {
    let bench = Bench::start(Protocol::Hive).await;
    for form in [Serialization::Hf26, Serialization::Legacy] {
        let op = bench.update("alice", "https://w.example", &bench.a.public_key());
        let mut tx = bench.draft(op, 30).await;
        let id = bench.sign_as(&mut tx, &[&bench.active], &TESTNET_CHAIN_ID, form);
        let reply = bench.send_and_wait(&tx).await;
        assert_eq!(reply["result"]["id"], id.as_str(), "{form:?}: {reply}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_can_become_witnesses_and_feeds_are_published() {
    let bench = Bench::start(Protocol::Steem).await;
    let key = bench.b.public_key();
    let bob = active_key("bob").unwrap();
    let tx = bench
        .signed(bench.update("bob", "https://bob.example", &key), &[&bob])
        .await;
    assert_eq!(bench.send_and_wait(&tx).await["result"]["expired"], false);
    let feed = json!(["feed_publish", {"publisher": "bob", "exchange_rate": {"base": "0.251 TBD", "quote": "1.000 TESTS"}}]);
    let tx = bench.signed(feed, &[&bob]).await;
    assert_eq!(bench.send_and_wait(&tx).await["result"]["expired"], false);
    let w = call(
        &bench.url,
        "condenser_api.get_witness_by_account",
        json!(["bob"]),
    )
    .await;
    assert_eq!(
        w["result"]["sbd_exchange_rate"],
        json!({"base": "0.251 TBD", "quote": "1.000 TESTS"})
    );
    assert_eq!(w["result"]["url"], "https://bob.example");
    let find = async |args: Value| {
        call(&bench.url, "transaction_status_api.find_transaction", args).await["result"]["status"]
            .clone()
    };
    assert_eq!(find(json!({"transaction_id": "ab"})).await, "unknown");
    assert_eq!(
        find(json!({"transaction_id": "ab", "expiration": "2026-01-01T00:00:00"})).await,
        "too_old"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_transactions_are_refused_not_fatal() {
    let bench = Bench::start(Protocol::Steem).await;
    let good = bench
        .signed(
            bench.update("alice", "u", &bench.a.public_key()),
            &[&bench.active],
        )
        .await;
    let mut bad = vec![
        json!(null),
        json!([]),
        json!("x"),
        json!({}),
        json!({"operations": [[]]}),
    ];
    for (field, value) in [
        ("ref_block_num", json!(70000)),
        ("expiration", json!("soon")),
        ("operations", json!([["transfer", {}]])),
        ("operations", json!([])),
        ("signatures", json!(["00"])),
        ("signatures", json!([7])),
    ] {
        let mut tx = good.clone();
        tx[field] = value;
        bad.push(tx);
    }
    for tx in bad {
        let reply = bench.send(&tx).await;
        assert!(reply["error"]["data"]["code"].is_i64(), "{tx}: {reply}");
    }
    assert_eq!(bench.send(&good).await["result"], json!({}));
}
