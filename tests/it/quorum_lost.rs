//! No quorum from before the alert until long after it: nothing is lost, and the switch comes with agreement.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use slotkeeper::clock::Stopwatch;
use slotkeeper::devnet::Fault;
use slotkeeper::watch;

use crate::rig::{ALICE, PATIENCE, Rig, RigConfig};
use crate::webhooks::failover;

/// So many blocks pass without agreement: as many as in ten minutes of a chain with 3 s blocks, which the ledger has to
/// fill in before the fault can be corroborated.
const BLOCKS: u64 = 200;

/// One tick with agreement.
#[derive(Debug, Clone, Copy)]
struct Agreed {
    tick: u64,
    head: u64,
    /// Last block that the ledger has judged.
    judged: u64,
    /// The ledger has come to the head and shows the fault.
    fault: bool,
}

/// The alert is presented each second and refreshed long beyond `max_alert_age`; agreement comes back, and the switch
/// follows within two ticks.
///
/// Counted in agreed views, not in time. By the second one the ledger must have filled in everything up to the first one's
/// head. Only blocks of after that may take another tick: on a slow machine this fast chain grows while it answers. And the
/// switch must be decided on the first view that shows the fault and reaches the actuator.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_without_a_quorum_then_switched_within_two_ticks() {
    let rig = Rig::start(RigConfig {
        interval_ms: 200,
        // The shortest tick of a main net.
        poll_ms: Some(500),
        seed: 401,
        // A standby that is not probed cannot look unwell, and with this much patience no answer comes too late on any machine:
        // what is left is how many ticks it takes.
        probed: false,
        chain_extra: vec!["soft_timeout: 20s", "hard_timeout: 20s"],
        extra: "guard: {mode: off}".into(),
        actuator: "armed: true, max_alert_age: 15s".into(),
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

    let mut snapshots = rig.app().snapshots("devnet").expect("devnet");
    let agreed = Arc::new(Mutex::new(Vec::new()));
    let seen = agreed.clone();
    let watching = tokio::spawn(async move {
        while snapshots.changed().await.is_ok() {
            let snapshot = snapshots.borrow_and_update().clone();
            if let Ok(view) = &snapshot.agreement {
                seen.lock().expect("lock").push(Agreed {
                    tick: snapshot.tick,
                    head: view.head.num,
                    judged: snapshot.slots.judged,
                    fault: snapshot.slots.caught_up
                        && matches!(snapshot.producers[ALICE].fault, watch::Fault::Yes(_)),
                });
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
    let waiting = decisions(&rig, &ids[0]).await;
    let newest = waiting.first().expect("decided");
    assert_eq!(newest["reason"], "no_quorum", "{newest}");
    assert!(newest["view"].is_null(), "{newest}");
    // It stays pending between two presentations: none comes from here on.
    assert_eq!(rig.post("/api/v1/alertmanager", &body()).await.0, 200);
    agreed.lock().expect("lock").clear();
    for name in ["full1", "full3"] {
        rig.devnet
            .endpoint_of(name)
            .expect("endpoint")
            .clear_fault();
    }
    let b = rig.key("B");
    rig.until("production moves", |r| r.registered() == b).await;
    let decided = decisions(&rig, &ids[0]).await;
    let views = agreed.lock().expect("lock").clone();
    within_two_ticks(&views, &decided);

    rig.slots_of_alice(3).await;
    assert_eq!(rig.switches().len(), 1);
    watching.abort();
    rig.stop().await;
}

/// Decisions of a request, newest first.
async fn decisions(rig: &Rig, id: &str) -> Vec<Value> {
    let path = format!("/api/v1/decisions?request_id={id}");
    let answer = rig.get(&path).await;
    answer["decisions"].as_array().cloned().unwrap_or_default()
}

/// `views`: what the watcher published, where the machine was fast enough to see each; `decided`: newest first.
fn within_two_ticks(views: &[Agreed], decided: &[Value]) {
    let first = views.first().expect("agreed");
    let ready = views.iter().find(|v| v.fault).expect("the fault shows");
    let second = views.iter().find(|v| v.tick > first.tick).unwrap_or(first);
    assert!(
        second.judged >= first.head,
        "the backlog of the first agreed view is not filled in by the second: {views:?}"
    );
    // Ready later than that is the chain's doing: on every view between, it was ahead of what was asked for, and all
    // that the view before had shown was judged.
    for pair in views.windows(2) {
        if pair[1].tick <= ready.tick && pair[0].tick >= first.tick && pair[1].tick > second.tick {
            assert!(pair[1].judged >= pair[0].head, "{views:?}");
        }
    }
    let act = decided.first().expect("decided");
    assert_eq!(act["verdict"], "act", "{decided:?}");
    assert!(head_of(act) >= Some(ready.head), "{act} {views:?}");
    // Nothing else held it up. (A view can grow old before a slow machine decides on it.)
    for waited in &decided[1..] {
        assert!(
            head_of(waited) < Some(ready.head) || waited["reason"] == "stale_view",
            "{waited} {views:?}"
        );
    }
}

/// The head of the view that a decision was taken on; `None` without a view.
fn head_of(decision: &Value) -> Option<u64> {
    decision["view"]["head"].as_u64()
}
