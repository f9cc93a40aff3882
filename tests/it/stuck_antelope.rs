//! A registered key that the chain does not bring into force (Antelope): what is said, and the way out by hand.

use serde_json::Value;
use slotkeeper::actuator::{Journal, SqliteJournal};
use slotkeeper::chain::Protocol;
use slotkeeper::devnet::chain::node_key;
use slotkeeper::keys::Signer;

use crate::rig::{ALICE, Rig, RigConfig, series};

/// Four producers; one leaves, and the chain elects no new schedule while fewer stand than its last one had.
async fn stuck() -> Rig {
    let rig = Rig::start(RigConfig {
        protocol: Protocol::Antelope,
        interval_ms: 250,
        others: 3,
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    let registered = rig.truth().registered;
    let other = registered.keys().find(|name| *name != ALICE).expect("one");
    rig.devnet
        .with_antelope(|chain| chain.operator_unregisters(other))
        .expect("unregistered");
    rig
}

async fn slots(rig: &Rig, n: usize) {
    let before = rig.truth().slots.len();
    rig.until("slots pass", |rig| rig.truth().slots.len() >= before + n)
        .await;
}

/// The decision that started an attempt.
async fn acted(rig: &Rig) -> Value {
    let answer = rig.get("/api/v1/decisions").await;
    let decisions = answer["decisions"].as_array().cloned().unwrap_or_default();
    let acted = decisions.into_iter().find(|d| d["attempt"].is_object());
    acted.expect("a decision to act")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_put_back_by_hand_before_it_is_in_force_is_no_switch_that_took_effect() {
    let rig = stuck().await;
    let (a, b) = (rig.key("A"), rig.key("B"));
    rig.devnet.crash_node("A").expect("A");
    rig.until("key B is registered", |rig| rig.registered() == b)
        .await;
    // The registration becomes irreversible: what changes the key then is no fork.
    slots(&rig, 40).await;
    assert_eq!(rig.truth().effective[ALICE], a, "never in force");
    assert_eq!(acted(&rig).await["attempt"]["stage"], "included");
    // Why, in the status and to an operator, who is refused whatever he says.
    let why = "the chain elects no new schedule now: 3 producers are active and voted for, and its newest schedule has 4";
    rig.until_status("the reason is shown", |status| {
        let detail = status["producers"][0]["waiting"]["detail"].as_str();
        detail.is_some_and(|detail| detail.contains(why))
    })
    .await;
    let args = ["producer", "switchover", "devnet/alice", "--to", &a];
    let more = ["--override", "I know better", "--timeout", "20s"];
    let ran = rig.cli(&[&args[..], &more[..]].concat()).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for said in ["attempt_open", "until then", why] {
        assert!(ran.err.contains(said), "{said}: {ran:?}");
    }
    assert_eq!(rig.registered(), b, "nothing was sent");
    let key = node_key(ALICE, "A").expect("key").public_key();
    rig.devnet.operator_sets_key(ALICE, &key).expect("put back");
    rig.until_status("the switch is over", |status| {
        status["producers"][0]["attempt"]["stage"] == "irreversible"
    })
    .await;
    let attempt = acted(&rig).await["attempt"].clone();
    assert_eq!(attempt["overtaken"], true, "{attempt}");
    let note = attempt["note"].as_str().unwrap_or_default();
    assert!(note.contains("before it was seen in force"), "{attempt}");
    let page = rig.metrics().await;
    let ended = |outcome: &str| {
        let label = format!("outcome=\"{outcome}\"");
        series(&page, "slotkeeper_actuator_switches_total", &[&label])
    };
    assert_eq!(ended("adopted"), Some(1.0));
    assert_eq!(
        (ended("effective"), ended("expired")),
        (Some(0.0), Some(0.0))
    );
    let left = series(&page, "slotkeeper_actuator_budget_remaining", &[]);
    assert_eq!(left, Some(2.0), "it spends budget all the same");
    // Once its time is over nothing is in the way of an operator any more.
    rig.until_open_attempts(0.0).await;
    let args = ["producer", "switchover", "devnet/alice", "--to", &b];
    let more = ["--override", "B is healthy", "--timeout", "1s"];
    rig.cli(&[&args[..], &more[..]].concat()).await;
    rig.until("the operator's switch is registered", |rig| {
        rig.registered() == b
    })
    .await;
    let file = rig.directory.path().join("slotkeeper.db");
    let (directory, id) = (rig.stop().await, attempt["id"].clone());
    let journal = SqliteJournal::open(&file).expect("journal");
    let events = journal.events(500).await.expect("events");
    drop(directory);
    let of_it = events
        .iter()
        .filter(|e| e.attempt_id.as_deref() == id.as_str());
    let mut kinds: Vec<&str> = of_it.map(|e| e.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["included", "irreversible", "sent", "signed"]);
    assert!(events.iter().any(|e| e.kind == "adopted"), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disable_that_cannot_change_the_schedule_is_said_beforehand_and_done() {
    let rig = Rig::start(RigConfig {
        protocol: Protocol::Antelope,
        interval_ms: 250,
        others: 3,
        extra: "guard: {mode: off}".into(),
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    let in_vain = "disabling cannot change the schedule now: 3 other producers are active and the schedule has 4";
    rig.until_status("known before anybody asks", |status| {
        let note = status["producers"][0]["disable_note"].as_str();
        note.is_some_and(|note| note.contains(in_vain))
    })
    .await;
    let ran = rig
        .cli(&[
            "producer",
            "disable",
            "devnet/alice",
            "--override",
            "repairs",
        ])
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains(in_vain), "beforehand: {ran:?}");
    assert!(ran.out.contains(in_vain), "and with the result: {ran:?}");
    let null = slotkeeper::keys::PublicKey::NULL.to_text(&rig.devnet.prefix());
    assert_eq!(rig.registered(), null);
    let note = acted(&rig).await["note"].clone();
    assert!(note.as_str().is_some_and(|n| n.contains(in_vain)), "{note}");
    slots(&rig, 60).await;
    assert_eq!(rig.truth().effective[ALICE], rig.key("A"), "as foretold");
    let file = rig.directory.path().join("slotkeeper.db");
    let _directory = rig.stop().await;
    let journal = SqliteJournal::open(&file).expect("journal");
    let events = journal.events(500).await.expect("events");
    for kind in ["decided", "signed"] {
        let mut all = events.iter().filter(|e| e.kind == kind);
        assert!(
            all.any(|e| e.detail.contains(in_vain)),
            "{kind}: {events:?}"
        );
    }
}
