//! From a registered key to one that signs: proposed, pending, in force; and with Savanna.

use serde_json::{Value, json};
use slotkeeper::devnet::antelope::{AntelopeConfig, Finality, ScheduleRecord};

use super::{Bench, active, key_of, regproducer, text_of};

/// What `get_producer_schedule` says of alice: the keys in active, pending, proposed.
fn keys(schedule: &Value) -> [Option<String>; 3] {
    ["active", "pending", "proposed"].map(|step| {
        let all = schedule[step]["producers"].as_array()?;
        let alice = all.iter().find(|p| p["producer_name"] == "alice")?;
        Some(alice["authority"][1]["keys"][0]["key"].as_str()?.to_owned())
    })
}

/// Whether the last answer named `key` as in force, with nothing on its way.
fn now_in_force(seen: &[[Option<String>; 3]], key: &str) -> bool {
    let last = seen.last();
    last.is_some_and(|[active, pending, _]| active.as_deref() == Some(key) && pending.is_none())
}

async fn switch(bench: &Bench) {
    let tx = bench
        .draft(json!([regproducer("active", &key_of("B"))]), 30)
        .await;
    assert_eq!(
        bench.push("push_transaction", &tx, &[&active()]).await.0,
        202
    );
}

fn version_2(bench: &Bench) -> Option<ScheduleRecord> {
    let truth = bench.net.truth();
    truth.schedules.into_iter().find(|s| s.version == 2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_is_proposed_then_pending_then_in_force() {
    let bench = Bench::still(AntelopeConfig::default()).await;
    let (a, b) = (text_of("A"), text_of("B"));
    switch(&bench).await;
    let mut seen: Vec<[Option<String>; 3]> = Vec::new();
    for _ in 0..500 {
        bench.steps(1);
        let now = keys(&bench.get("get_producer_schedule", json!({})).await);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        if now_in_force(&seen, &b) {
            break;
        }
    }
    let some = |k: &String| Some(k.clone());
    // As recorded: the one now in force is still shown as pending for a block.
    assert_eq!(
        seen,
        [
            [some(&a), None, None],
            [some(&a), None, some(&b)],
            [some(&a), some(&b), None],
            [some(&b), some(&b), None],
            [some(&b), None, None],
        ]
    );

    // Each step waits for the block of the one before to be irreversible.
    let record = version_2(&bench).unwrap();
    let (proposed, pending, active) = (
        record.proposed.unwrap(),
        record.pending.unwrap(),
        record.active.unwrap(),
    );
    assert!(
        pending.0 > proposed.0 + 24 && active.0 > pending.0 + 24,
        "{record:?}"
    );

    // The record, the headers and the nodes go together: until then key A signed, and from the next block on B.
    bench.steps(80);
    let truth = bench.net.truth();
    for slot in truth.slots.iter().filter(|s| s.scheduled == "alice") {
        let (num, _, signed_by) = slot.block.as_ref().unwrap();
        let new = *num > active.0;
        assert_eq!(slot.schedule_version, Some(if new { 2 } else { 1 }));
        assert_eq!(signed_by, if new { &b } else { &a });
        assert_eq!(slot.effective_key, *signed_by);
        assert_eq!(slot.node.as_deref(), Some(if new { "B" } else { "A" }));
        let header = bench.get("get_block_info", json!({"block_num": num})).await;
        assert_eq!(header["schedule_version"], if new { 2 } else { 1 });
    }
    assert!(truth.slots.iter().any(|s| s.node.as_deref() == Some("B")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_is_on_its_way_the_old_key_has_to_sign() {
    let bench = Bench::still(AntelopeConfig {
        irreversible_lag: Some(20),
        ..AntelopeConfig::default()
    })
    .await;
    switch(&bench).await;
    // Whoever has the next slot: were it alice without a node, the switch would expire before another's block.
    bench.steps(1);
    bench.net.crash_node("A").unwrap();
    bench.steps(300);
    let (truth, record) = (bench.net.truth(), version_2(&bench).unwrap());
    let since = record.active.unwrap().1;
    let alice = || truth.slots.iter().filter(|s| s.scheduled == "alice");
    let crashed = alice().find(|s| s.node.is_none()).unwrap().time_ms;
    let gap: Vec<bool> = alice()
        .filter(|s| s.time_ms >= crashed && s.time_ms <= since)
        .map(|s| s.block.is_some())
        .collect();
    assert!(gap.len() >= 12 && !gap.contains(&true), "{gap:?}");
    assert!(
        alice()
            .filter(|s| s.time_ms > since)
            .all(|s| s.node.as_deref() == Some("B"))
    );
    assert_eq!(truth.total_missed["alice"], gap.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_change_waits_while_one_is_proposed() {
    let bench = Bench::still(AntelopeConfig {
        election_slots: 5,
        irreversible_lag: Some(40),
        ..AntelopeConfig::default()
    })
    .await;
    switch(&bench).await;
    for _ in 0..60 {
        bench.steps(1);
        if version_2(&bench).is_some_and(|r| r.proposed.is_some()) {
            break;
        }
    }
    bench
        .net
        .with_antelope(|c| c.operator_sets_key("alice", &key_of("A")))
        .unwrap();
    bench.steps(200);
    let truth = bench.net.truth();
    let steps = |v: u64| {
        truth
            .schedules
            .iter()
            .find(|s| s.version == v)
            .unwrap()
            .clone()
    };
    let (second, third) = (steps(2), steps(3));
    assert!(third.proposed.unwrap().0 >= second.pending.unwrap().0);
    assert!(third.pending.unwrap().0 > second.active.unwrap().0);
    assert_eq!(truth.effective["alice"], text_of("A"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_candidates_than_seats_leave_the_schedule_as_it_is() {
    let bench = Bench::still(AntelopeConfig::default()).await;
    bench
        .net
        .with_antelope(|c| c.operator_unregisters("alice"))
        .unwrap();
    bench.steps(400);
    let truth = bench.net.truth();
    assert_eq!(truth.schedules.len(), 1, "never proposed");
    assert_eq!(truth.effective["alice"], text_of("A"));
    let rows = bench.get("get_producers", json!({"json": true})).await;
    let rows = rows["rows"].as_array().unwrap();
    let row = rows.last().unwrap();
    assert_eq!(
        (&row["owner"], &row["is_active"]),
        (&json!("alice"), &json!(0))
    );
    assert_eq!(
        row["producer_key"],
        "EOS1111111111111111111111111111111114T1Anm"
    );
    assert!(row.get("producer_authority").is_none());
    // Registering again brings it back.
    switch(&bench).await;
    bench.steps(400);
    assert_eq!(bench.net.truth().effective["alice"], text_of("B"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_savanna_it_is_in_force_within_a_few_turns_and_never_shown_as_proposed() {
    let bench = Bench::still(AntelopeConfig {
        finality: Finality::Savanna,
        ..AntelopeConfig::default()
    })
    .await;
    let b = text_of("B");
    switch(&bench).await;
    let mut pending = 0;
    for _ in 0..300 {
        bench.steps(1);
        let schedule = bench.get("get_producer_schedule", json!({})).await;
        assert_eq!(schedule["proposed"], Value::Null);
        pending += usize::from(!schedule["pending"].is_null());
        if bench.net.truth().effective["alice"] == b {
            break;
        }
    }
    let record = version_2(&bench).unwrap();
    let (proposed, active) = (record.proposed.unwrap(), record.active.unwrap());
    assert!(pending > 0 && record.pending.is_none());
    assert!(active.0 - proposed.0 <= 36, "{record:?}");
    bench.steps(60);
    let truth = bench.net.truth();
    let first = truth
        .slots
        .iter()
        .find(|s| s.schedule_version == Some(2))
        .unwrap();
    assert_eq!(first.slot % 12, 0, "it begins with a turn");
    assert!(truth.slots.iter().any(|s| s.node.as_deref() == Some("B")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_finality_key_makes_a_new_policy() {
    let bench = Bench::still(AntelopeConfig {
        finality: Finality::Savanna,
        ..AntelopeConfig::default()
    })
    .await;
    let key = slotkeeper::devnet::antelope::finalizer_key("alice", "B");
    let act = |key: &str| {
        json!([{"account": "eosio", "name": "actfinkey",
            "authorization": [{"actor": "alice", "permission": "failover"}],
            "data": {"finalizer_name": "alice", "finalizer_key": key}}])
    };
    let tx = bench.draft(act(&key), 30).await;
    let signer = super::failover();
    assert_eq!(bench.push("push_transaction", &tx, &[&signer]).await.0, 202);
    bench.steps(1);
    let named = |info: &Value, policy: &str| {
        let all = info[policy]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let alice = all.into_iter().find(|f| f["description"] == "alice")?;
        Some(alice["public_key"].as_str()?.to_owned())
    };
    let info = bench.get("get_finalizer_info", json!({})).await;
    assert_eq!(
        named(&info, "pending_finalizer_policy").as_deref(),
        Some(key.as_str())
    );
    bench.steps(10);
    let info = bench.get("get_finalizer_info", json!({})).await;
    assert_eq!(
        named(&info, "active_finalizer_policy").as_deref(),
        Some(key.as_str())
    );
    assert_eq!(info["active_finalizer_policy"]["generation"], 2);
    // One that was never registered is refused.
    let tx = bench.draft(act("PUB_BLS_nobody"), 31).await;
    let (status, body) = bench.push("push_transaction", &tx, &[&signer]).await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!(3_050_003)));
}
