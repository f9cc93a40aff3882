//! No quorum from before the alert until long after it: nothing is lost, and the switch comes with agreement.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use slotkeeper::clock::Stopwatch;
use slotkeeper::devnet::Fault;

use crate::rig::{ALICE, PATIENCE, Rig, RigConfig};
use crate::webhooks::failover;

/// So many blocks pass without agreement: as many as in ten minutes of a chain with 3 s blocks, which the ledger has to
/// fill in before the fault can be corroborated.
const BLOCKS: u64 = 200;

/// `max_alert_age` is 5 s and the alert is presented each second, so it is refreshed many times over; agreement comes
/// back, and the attempt follows within two ticks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_without_a_quorum_then_switched_within_two_ticks() {
    let rig = Rig::start(RigConfig {
        interval_ms: 200,
        // The shortest tick of a main net: deciding, signing and syncing are not counted in ticks of a few milliseconds.
        poll_ms: Some(500),
        seed: 401,
        extra: "guard: {mode: off}".into(),
        actuator: "armed: true, max_alert_age: 5s".into(),
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    for name in ["full1", "full3"] {
        rig.devnet
            .endpoint_of(name)
            .expect("endpoint")
            .set_fault(Fault::Refused);
    }
    rig.until_status("not able", |s| s["producers"][0]["able"] == false)
        .await;
    rig.devnet.crash_node("A").expect("crash");

    // Every tick with agreement, and when the switch was signed.
    let mut snapshots = rig.app().snapshots("devnet").expect("devnet");
    let mut events = rig.app().actuator().events();
    let agreed = Arc::new(Mutex::new(Vec::new()));
    let seen = agreed.clone();
    let watching = tokio::spawn(async move {
        while snapshots.changed().await.is_ok() {
            let snapshot = snapshots.borrow_and_update().clone();
            if snapshot.agreement.is_ok() {
                seen.lock()
                    .expect("lock")
                    .push((snapshot.tick, snapshot.tick_at));
            }
        }
    });

    let body = || failover(&rig.key("A"), ALICE);
    let head = rig.truth().head_num;
    let watch = Stopwatch::start();
    let mut ids = Vec::new();
    while rig.truth().head_num < head + BLOCKS {
        let (code, answer) = rig.post("/api/v1/alertmanager", &body()).await;
        let row = &answer["results"][0];
        assert_eq!(
            (code, row["status"].as_str()),
            (200, Some("accepted")),
            "{answer}"
        );
        ids.push(row["request_id"].as_str().expect("id").to_owned());
        assert!(watch.elapsed() < PATIENCE, "the chain stands");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(rig.switches().is_empty(), "no quorum, no switch");
    ids.dedup();
    assert_eq!(ids.len(), 1, "a re-presented request keeps its id");
    let decisions = rig.get("/api/v1/decisions").await;
    assert_eq!(
        decisions["decisions"][0]["reason"], "no_quorum",
        "{decisions}"
    );
    // It stays pending between two presentations: none comes from here on.
    assert_eq!(rig.post("/api/v1/alertmanager", &body()).await.0, 200);
    agreed.lock().expect("lock").clear();
    for name in ["full1", "full3"] {
        rig.devnet
            .endpoint_of(name)
            .expect("endpoint")
            .clear_fault();
    }
    let signed = loop {
        let event = tokio::time::timeout(PATIENCE, events.recv())
            .await
            .expect("never signed")
            .expect("the actuator lives");
        if event.kind == "signed" {
            break event.at;
        }
    };
    let ticks: Vec<_> = {
        let agreed = agreed.lock().expect("lock");
        agreed
            .iter()
            .copied()
            .filter(|(_, at)| *at <= signed)
            .collect()
    };
    let (first, last) = (
        ticks.first().expect("agreed"),
        ticks.last().expect("agreed"),
    );
    assert!(
        last.0 - first.0 < 2,
        "agreed at tick {}, signed at tick {}: {}",
        first.0,
        last.0,
        rig.get("/api/v1/decisions").await
    );
    let b = rig.key("B");
    rig.until("production moves", |r| r.registered() == b).await;
    rig.slots_of_alice(3).await;
    assert_eq!(rig.switches().len(), 1);
    watching.abort();
    rig.stop().await;
}
