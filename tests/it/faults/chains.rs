//! The list of faults on every other chain: a [`Row`] and a test of three lines are all that another one needs.

use slotkeeper::chain::Protocol;
use slotkeeper::devnet::Fault;
use slotkeeper::devnet::antelope::{AntelopeConfig, HandoverFork};

use super::common::{Case, all, cases, decided, until_reason, until_visible};
use crate::rig::{ALICE, Rig, RigConfig, series};

/// A chain as these stories run it.
struct Row {
    protocol: Protocol,
    interval_ms: u64,
    others: usize,
    /// Asked over websockets instead of HTTP.
    websockets: bool,
    /// Slots of alice that must pass under a fault without a switch.
    quiet: usize,
    /// What the chain does all the time, and is no fault.
    habit: fn(&Rig),
}

fn none(_: &Rig) {}

/// Two blocks are lost at every hand-over between producers, as on real chains under load.
fn micro_forks(rig: &Rig) {
    rig.devnet.with_antelope(|chain| {
        chain.set_handover_fork(Some(HandoverFork {
            blocks: 2,
            after: None,
        }));
    });
}

#[rustfmt::skip] // a table
const ROWS: [Row; 6] = [
    Row { protocol: Protocol::Steem, interval_ms: 300, others: 4, websockets: false, quiet: 3, habit: none },
    Row { protocol: Protocol::Blurt, interval_ms: 300, others: 4, websockets: false, quiet: 3, habit: none },
    Row { protocol: Protocol::Golos, interval_ms: 300, others: 4, websockets: false, quiet: 3, habit: none },
    Row { protocol: Protocol::BitShares, interval_ms: 300, others: 4, websockets: false, quiet: 3, habit: none },
    Row { protocol: Protocol::BitShares, interval_ms: 300, others: 4, websockets: true, quiet: 3, habit: none },
    Row { protocol: Protocol::Antelope, interval_ms: 120, others: 3, websockets: false, quiet: 24, habit: micro_forks },
];

fn row(protocol: Protocol, websockets: bool) -> &'static Row {
    let is = |row: &&Row| row.protocol == protocol && row.websockets == websockets;
    ROWS.iter().find(is).expect("the chain has a row")
}

impl Row {
    fn name(&self) -> String {
        let how = if self.websockets {
            " over websockets"
        } else {
            ""
        };
        format!("{}{how}", self.protocol)
    }

    fn config(&self, seed: usize) -> RigConfig {
        RigConfig {
            protocol: self.protocol,
            interval_ms: self.interval_ms,
            others: self.others,
            websockets: self.websockets,
            seed: seed as u64,
            antelope: AntelopeConfig {
                election_slots: 12,
                irreversible_lag: Some(8),
                ..AntelopeConfig::default()
            },
            ..RigConfig::default()
        }
    }
}

async fn any_one_faulty(row: &'static Row) {
    let stories = cases(row.protocol)
        .into_iter()
        .enumerate()
        .map(|(i, case)| async move {
            // The first, the second, the third in turn: the black hole is at the first.
            let faulty = if case.name == "black hole" { 0 } else { i % 3 };
            one_fault(row, &case, row.config(200 + i), faulty).await;
        })
        .collect();
    all(stories).await;
}

/// The fault stands on `faulty` (an index into the configured endpoints), nothing is switched; then the primary dies, and
/// production moves to the standby exactly once.
async fn one_fault(row: &Row, case: &Case, config: RigConfig, faulty: usize) {
    let name = format!("{}: {}", row.name(), case.name);
    let rig = Rig::start(config).await;
    rig.until_able().await;
    (row.habit)(&rig);
    let faulty = rig.config.endpoints[faulty];
    let endpoint = rig.devnet.endpoint_of(faulty).expect("endpoint");
    let label = label(&rig.rpc_url(faulty));
    endpoint.set_fault(case.fault.clone());
    rig.slots_of_alice(row.quiet).await;
    until_visible(case, &rig, &label).await;
    assert_eq!(rig.switches().len(), 0, "{name}: false switch");
    rig.devnet.crash_node("A").expect("crash");
    let standby = rig.key("B");
    rig.until(&format!("{name}: production moves"), |rig| {
        rig.registered() == standby
    })
    .await;
    rig.until(&format!("{name}: the standby produces"), |rig| {
        let slots = rig.truth().slots;
        slots.iter().any(|s| s.node.as_deref() == Some("B"))
    })
    .await;
    rig.until_status(&format!("{name}: the switch is done with"), |status| {
        status["producers"][0]["switch_pending"] != true
    })
    .await;
    rig.slots_of_alice(row.quiet).await;
    assert_eq!(rig.switches().len(), 1, "{name}: exactly one switch");
    rig.stop().await;
}

fn label(url: &str) -> String {
    format!("endpoint=\"{}", url.trim_end_matches('/'))
}

/// Waits until every endpoint is up again, on the right chain, and both nodes are ready.
async fn until_well(rig: &Rig) {
    rig.until_able().await;
    let watch = slotkeeper::clock::Stopwatch::start();
    loop {
        let page = rig.metrics().await;
        let well = rig.config.endpoints.iter().all(|name| {
            let label = label(&rig.rpc_url(name));
            let is = |metric: &str, value: f64| series(&page, metric, &[&label]) == Some(value);
            is("slotkeeper_rpc_up", 1.0) && is("slotkeeper_rpc_chain_id_match", 1.0)
        });
        if well {
            return;
        }
        assert!(watch.elapsed() < crate::rig::PATIENCE, "not well: {page}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// One endpoint: whatever it does, nothing is switched while it does it, and the reason has a name. The fork comes last:
/// seen from it alice misses all her slots, and only those of the others tell whose fault it is.
async fn one_endpoint(row: &Row, half: usize) {
    let mut config = row.config(300 + half);
    config.endpoints = vec!["full1"];
    config.quorum = Some(1);
    // Seen from the fork her own node looks astray, and then one miss is a fault: too few slots to tell a fork by.
    config.probed = false;
    config.extra += "\nfault: {consecutive_misses: 3, consecutive_misses_node_healthy: 3}";
    let rig = Rig::start(config).await;
    rig.until_able().await;
    (row.habit)(&rig);
    let mut list: Vec<Case> = cases(row.protocol)
        .into_iter()
        .filter(|case| case.name != "counter dip")
        .skip(half)
        .step_by(2)
        .collect();
    list.sort_by_key(|case| matches!(case.fault, Fault::MinorityFork { .. }));
    for case in list {
        let name = format!("{}: {}", row.name(), case.name);
        let endpoint = rig.devnet.endpoint_of("full1").expect("full1");
        endpoint.set_fault(case.fault.clone());
        rig.slots_of_alice(row.quiet).await;
        // Asked for a switch in the midst of it, it names the reason why not.
        let alert = crate::webhooks::failover(&rig.key("A"), ALICE);
        let (code, answer) = rig.post("/api/v1/alertmanager", &alert).await;
        assert_eq!(code, 200, "{name}: {answer}");
        let id = answer["results"][0]["request_id"].as_str().expect("id");
        let decision = decided(&rig, id).await;
        assert_ne!(decision["verdict"], "act", "{name}: {decision}");
        let reason = decision["reason"].as_str().unwrap_or_default();
        assert!(!reason.is_empty() && reason != "ok", "{name}: {decision}");
        if matches!(case.fault, Fault::MinorityFork { .. }) {
            until_reason(&rig, "low_participation").await;
        }
        assert!(rig.switches().is_empty(), "{name}: false switch");
        endpoint.clear_fault();
        until_well(&rig).await;
        assert!(rig.switches().is_empty(), "{name}: false switch after it");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_one_endpoint_faulty_on_steem() {
    any_one_faulty(row(Protocol::Steem, false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_one_endpoint_faulty_on_blurt() {
    any_one_faulty(row(Protocol::Blurt, false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_one_endpoint_faulty_on_golos() {
    any_one_faulty(row(Protocol::Golos, false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_one_endpoint_faulty_on_bitshares() {
    any_one_faulty(row(Protocol::BitShares, false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_one_endpoint_faulty_on_bitshares_over_websockets() {
    any_one_faulty(row(Protocol::BitShares, true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_one_endpoint_faulty_on_antelope() {
    any_one_faulty(row(Protocol::Antelope, false)).await;
}

/// Two rigs per chain with half of the list each, the slowest chain first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_endpoint_never_switches_on_a_fault_on_any_chain() {
    let halves = ROWS.iter().rev().flat_map(|row| [(row, 0), (row, 1)]);
    all(halves.map(|(row, half)| one_endpoint(row, half)).collect()).await;
}
