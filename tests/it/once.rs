//! Once: copies of a webhook, restarts, lingering alerts, operators and second instances never make a second switch.

use std::sync::Arc;

use serde_json::{Value, json};
use slotkeeper::clock::now_ms;

use crate::rig::{ALICE, Rig, RigConfig};
use crate::webhooks::{alert, failover};

fn by_webhook() -> RigConfig {
    RigConfig {
        extra: "guard: {mode: off}".into(),
        ..RigConfig::default()
    }
}

async fn until_fault(rig: &Rig) {
    rig.until_status("the fault stands", |s| {
        s["producers"][0]["consecutive_missed"].as_u64() >= Some(1)
    })
    .await;
}

async fn present(rig: &Rig, body: &Value) -> String {
    let (code, answer) = rig.post("/api/v1/alertmanager", body).await;
    assert_eq!(code, 200, "{answer}");
    answer["results"][0]["status"]
        .as_str()
        .expect("status")
        .to_owned()
}

/// Presents the alert until the key has moved, as Alertmanager would.
async fn present_until_moved(rig: &Rig, from: &str, to: &str) {
    let watch = slotkeeper::clock::Stopwatch::start();
    while rig.registered() != to {
        present(rig, &failover(from, ALICE)).await;
        assert!(
            watch.elapsed() < crate::rig::PATIENCE,
            "never moved: {}",
            rig.get("/api/v1/decisions").await
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_copies_of_one_webhook_fifty_at_a_time_and_again_after_a_restart() {
    let mut rig = Rig::start(by_webhook()).await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    until_fault(&rig).await;
    let body = failover(&rig.key("A"), ALICE);
    for again in [false, true] {
        if again {
            rig.restart_app().await;
        }
        let shared = Arc::new(rig);
        let mut running = tokio::task::JoinSet::new();
        let mut sent = 0;
        while sent < 1000 || !running.is_empty() {
            while sent < 1000 && running.len() < 50 {
                let (rig, body) = (shared.clone(), body.clone());
                running.spawn(async move { rig.post("/api/v1/alertmanager", &body).await.0 });
                sent += 1;
            }
            if let Some(code) = running.join_next().await {
                // Above the flood limit 429 is right, and Alertmanager comes again.
                assert!(matches!(code.expect("joined"), 200 | 429));
            }
        }
        rig = Arc::into_inner(shared).expect("nobody else holds it");
        let standby = rig.key("B");
        rig.until("production moves", |r| r.registered() == standby)
            .await;
    }
    rig.slots_of_alice(3).await;
    assert_eq!(rig.switches().len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_for_the_old_key_does_nothing_after_the_switch() {
    let rig = Rig::start(by_webhook()).await;
    rig.until_able().await;
    let (a, b) = (rig.key("A"), rig.key("B"));
    rig.devnet.crash_node("A").expect("crash");
    until_fault(&rig).await;
    present_until_moved(&rig, &a, &b).await;
    rig.devnet.restore_node("A").expect("restore");
    for _ in 0..5 {
        present(&rig, &failover(&a, ALICE)).await;
        rig.slots_of_alice(1).await;
    }
    assert_eq!(rig.switches().len(), 1);
    assert_eq!(rig.registered(), b);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_lingers_after_recovery_does_nothing() {
    let rig = Rig::start(RigConfig {
        // One miss alone is no fault here, so that the node can come back first.
        probed: false,
        ..by_webhook()
    })
    .await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    until_fault(&rig).await;
    rig.devnet.restore_node("A").expect("restore");
    rig.until_status("it produces again", |s| {
        s["producers"][0]["consecutive_missed"] == 0
    })
    .await;
    for _ in 0..5 {
        present(&rig, &failover(&rig.key("A"), ALICE)).await;
        rig.slots_of_alice(1).await;
    }
    assert!(rig.switches().is_empty());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_from_before_a_b_a_does_nothing() {
    let rig = Rig::start(by_webhook()).await;
    rig.until_able().await;
    let (a, b) = (rig.key("A"), rig.key("B"));
    rig.devnet.crash_node("A").expect("crash");
    until_fault(&rig).await;
    let first = failover(&a, ALICE);
    present_until_moved(&rig, &a, &b).await;
    rig.devnet.restore_node("A").expect("restore");
    rig.slots_of_alice(1).await;
    // A person brings production back to A by hand.
    let key_a = slotkeeper::keys::PublicKey::parse(&a, "TST").expect("key");
    rig.devnet
        .operator_sets_key(ALICE, &key_a)
        .expect("operator");
    rig.until("back on A", |r| r.registered() == a).await;
    for _ in 0..5 {
        present(&rig, &first).await;
        rig.slots_of_alice(1).await;
    }
    assert_eq!(rig.switches().len(), 1);
    assert_eq!(rig.registered(), a);
    rig.stop().await;
}

/// What an operator did by hand, and what must never be undone.
async fn operator_set(key: slotkeeper::keys::PublicKey, config: RigConfig) {
    let rig = Rig::start(config).await;
    rig.until_able().await;
    rig.devnet.operator_sets_key(ALICE, &key).expect("operator");
    let text = key.to_text("TST");
    rig.until("the operator's key stands", |r| r.registered() == text)
        .await;
    rig.devnet.crash_node("A").expect("crash");
    for _ in 0..5 {
        present(&rig, &failover(&rig.key("A"), ALICE)).await;
        present(&rig, &failover(&text, ALICE)).await;
        // A disabled witness loses its slots: count by blocks of the chain instead.
        let head = rig.truth().head_num;
        rig.until("the chain goes on", |r| r.truth().head_num >= head + 5)
            .await;
    }
    assert!(rig.switches().is_empty());
    assert_eq!(rig.registered(), text);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_disable_is_never_undone() {
    operator_set(slotkeeper::keys::PublicKey::NULL, RigConfig::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_key_is_never_undone() {
    use slotkeeper::keys::{SecretKey, Signer};
    let foreign = SecretKey::from_seed_sha256("somebody else")
        .expect("key")
        .public_key();
    operator_set(foreign, RigConfig::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listed_key_set_by_hand_is_adopted() {
    let rig = Rig::start(RigConfig::default()).await;
    rig.until_able().await;
    let (a, b) = (rig.key("A"), rig.key("B"));
    let key_b = slotkeeper::keys::PublicKey::parse(&b, "TST").expect("key");
    rig.devnet
        .operator_sets_key(ALICE, &key_b)
        .expect("operator");
    rig.until("on B", |r| r.registered() == b).await;
    rig.slots_of_alice(3).await;
    assert!(rig.switches().is_empty(), "adopted, not fought");
    // Nor is it a latch: when B dies, after the cooldown production goes back to A, which is proven ready.
    rig.devnet.crash_node("B").expect("crash");
    rig.until("production moves", |r| r.registered() == a).await;
    rig.slots_of_alice(3).await;
    assert_eq!(rig.switches().len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_producer_is_left_alone_until_unpinned() {
    let rig = Rig::start(RigConfig::default()).await;
    rig.until_able().await;
    let (code, answer) = rig
        .post("/api/v1/producers/devnet/alice/pin", &json!({}))
        .await;
    assert_eq!(code, 202, "{answer}");
    rig.devnet.crash_node("A").expect("crash");
    rig.slots_of_alice(5).await;
    assert!(rig.switches().is_empty());
    let (code, _) = rig
        .post("/api/v1/producers/devnet/alice/unpin", &json!({}))
        .await;
    assert_eq!(code, 202);
    let b = rig.key("B");
    rig.until("production moves", |r| r.registered() == b).await;
    rig.slots_of_alice(3).await;
    assert_eq!(rig.switches().len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disarmed_means_nothing_is_sent() {
    let rig = Rig::start(RigConfig {
        actuator: "armed: false".into(),
        ..RigConfig::default()
    })
    .await;
    rig.until_status("able", |s| s["producers"][0]["able"] == true)
        .await;
    rig.devnet.crash_node("A").expect("crash");
    rig.slots_of_alice(5).await;
    assert!(rig.switches().is_empty());
    let (code, _) = rig.post("/api/v1/arm", &json!({})).await;
    assert!(code < 300, "{code}");
    let b = rig.key("B");
    rig.until("production moves", |r| r.registered() == b).await;
    rig.slots_of_alice(2).await;
    assert_eq!(rig.switches().len(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_alert_and_a_resolved_one_do_nothing() {
    let rig = Rig::start(by_webhook()).await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    until_fault(&rig).await;
    let a = rig.key("A");
    let old = now_ms() / 1000 - 121;
    present(&rig, &alert(&a, ALICE, "failover", "firing", old)).await;
    let status = present(
        &rig,
        &alert(&a, ALICE, "failover", "resolved", now_ms() / 1000),
    )
    .await;
    assert_eq!(status, "ignored");
    rig.slots_of_alice(3).await;
    assert!(rig.switches().is_empty());
    rig.stop().await;
}

/// Two instances with equal settings on one chain: one switch, no ping-pong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_never_ping_pong() {
    let rig = Rig::start(RigConfig::default()).await;
    let twin_file = rig.directory.path().join("twin.yml");
    let yaml = rig
        .yaml()
        .replace("state_file: slotkeeper.db", "state_file: twin.db");
    std::fs::write(&twin_file, yaml).expect("config");
    let options = slotkeeper::app::Options {
        missing_state_hold: std::time::Duration::ZERO,
        ..slotkeeper::app::Options::default()
    };
    let config = slotkeeper::config::load(&twin_file).expect("config");
    let twin = slotkeeper::app::App::start(config, options)
        .await
        .expect("the twin starts");
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    let b = rig.key("B");
    rig.until("production moves", |r| r.registered() == b).await;
    rig.devnet.restore_node("A").expect("restore");
    rig.slots_of_alice(10).await;
    assert_eq!(rig.registered(), b);
    // Both may have sent the same swap; the chain takes one.
    let included = rig
        .truth()
        .transactions
        .iter()
        .filter(|t| t.block_num.is_some())
        .count();
    assert_eq!(included, 1, "{:?}", rig.truth().transactions);
    twin.stop().await;
    rig.stop().await;
}
