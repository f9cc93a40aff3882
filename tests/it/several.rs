//! Several producers of one chain at once: each is judged and moved by itself.

use slotkeeper::actuator::{OperatorCommand, Verb};
use slotkeeper::devnet::chain::{active_key, node_key};
use slotkeeper::keys::{SecretKey, Signer};
use slotkeeper::rpc::RpcOutcome;
use slotkeeper::watch::Snapshot;

use crate::rig::{ALICE, Rig, RigConfig};

const CHAIN: &str = "devnet";

/// A second kept producer beside alice, whose node has no endpoint to probe.
const OTHER: &str = "wit01";

/// Configuration of a kept producer beside alice, and its second key.
fn beside(name: &str) -> (String, SecretKey) {
    let own = node_key(name, name).expect("key");
    let standby = SecretKey::from_seed_sha256(&format!("{name}'s standby")).expect("key");
    let text = |key: &SecretKey| key.public_key().to_text("TST");
    let yaml = format!(
        "\n  - chain: {CHAIN}\n    name: {name}\n    keys:\n      - {{signing_key: \"{}\", assume_ready: true}}\n      \
         - {{signing_key: \"{}\", assume_ready: true}}\n    authority:\n      \
         - {{method: witness_update, key_files: [{name}-active.wif]}}\n",
        text(&own),
        text(&standby)
    );
    (yaml, standby)
}

fn give_active_key(rig: &Rig, name: &str) {
    let active = active_key(name).expect("key");
    rig.private(&format!("{name}-active.wif"), &active.to_wif());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_producers_that_die_in_the_same_round_are_both_moved_once() {
    let (producer_extra, standby) = beside(OTHER);
    let rig = Rig::without_app(RigConfig {
        producer_extra,
        ..RigConfig::default()
    })
    .await;
    give_active_key(&rig, OTHER);
    let mut rig = rig;
    rig.start_app().await;
    rig.until_status("both able", |s| {
        s["producers"]
            .as_array()
            .is_some_and(|all| all.len() == 2 && all.iter().all(|p| p["able"] == true))
    })
    .await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    rig.devnet.crash_node(OTHER).expect("crash");
    let (b, other) = (rig.key("B"), standby.public_key().to_text("TST"));
    rig.until("both are moved", |r| {
        let registered = r.truth().registered;
        registered[ALICE] == b && registered[OTHER] == other
    })
    .await;
    rig.slots_of_alice(4).await;
    let truth = rig.truth();
    let of = |name: &str| {
        truth
            .transactions
            .iter()
            .filter(|tx| tx.on_main && tx.operations.to_string().contains(&format!("\"{name}\"")))
            .count()
    };
    assert_eq!((of(ALICE), of(OTHER)), (1, 1));
    rig.stop().await;
}

/// Proper answers of each endpoint so far.
fn answered(snapshot: &Snapshot) -> Vec<u64> {
    let all = snapshot.endpoints.iter();
    all.map(|e| e.requests[&RpcOutcome::Ok]).collect()
}

/// However many switches are under way, an endpoint is asked about all of them in one request per tick, or it would be
/// flooded at the worst moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_switches_under_way_are_one_question_per_tick() {
    let names: Vec<String> = (1..=4).map(|n| format!("wit{n:02}")).collect();
    let mut rig = Rig::without_app(RigConfig {
        producer_extra: names.iter().map(|name| beside(name).0).collect(),
        ..RigConfig::default()
    })
    .await;
    for name in &names {
        give_active_key(&rig, name);
    }
    rig.start_app().await;
    rig.until_able().await;
    for name in &names {
        let order = OperatorCommand {
            chain: CHAIN.to_owned(),
            producer: name.clone(),
            verb: Verb::Switchover,
            to: None,
            until: None,
            override_reason: Some("all at once".to_owned()),
        };
        rig.app().actuator().operate(order).await.expect("taken");
    }
    let under_way = |rig: &Rig| {
        let state = rig.app().actuator().state();
        let all = state.borrow();
        let attempts = all.producers.values().filter_map(|p| p.attempt.as_ref());
        attempts.filter(|a| !a.stage.is_over()).count()
    };
    rig.until("four attempts", |r| under_way(r) == 4).await;
    let mut snapshots = rig.app().snapshots(CHAIN).expect("the chain");
    let before = snapshots.borrow_and_update().clone();
    let later = snapshots
        .wait_for(|s| s.tick >= before.tick + 20)
        .await
        .expect("ticks")
        .clone();
    // All producers but alice have no node any more, so nothing has become irreversible.
    assert_eq!(under_way(&rig), 4);
    let ticks = later.tick - before.tick;
    for (before, later) in answered(&before).into_iter().zip(answered(&later)) {
        let asked = later - before;
        // The tick's own, and one about all switches (two while some were first asked about apart), not one about each.
        assert!(
            asked > ticks && asked <= 3 * ticks,
            "{asked} requests in {ticks} ticks"
        );
    }
    rig.stop().await;
}
