//! One endpoint after another shows every fault we know: no false switch, no missed switch, and the fault is visible.

mod chains;
mod common;

use slotkeeper::chain::Protocol;
use slotkeeper::devnet::Fault;

use self::common::{Case, all, cases, decided, until_reason, until_visible};
use crate::rig::{ALICE, Rig, RigConfig, series};

/// Slots of alice that must pass under a fault without a switch.
const QUIET_SLOTS: usize = 4;

/// One story: the fault stands on `faulty` (an index into the configured endpoints), nothing is switched; then the
/// primary dies, and production moves to the standby exactly once.
async fn story(case: &Case, config: RigConfig, faulty: usize) {
    let rig = Rig::start(config).await;
    rig.until_able().await;
    let name = rig.config.endpoints[faulty];
    let label = format!(
        "endpoint=\"{}",
        rig.devnet
            .endpoint_of(name)
            .expect("endpoint")
            .url()
            .trim_end_matches('/')
    );
    rig.devnet
        .endpoint_of(name)
        .expect("endpoint")
        .set_fault(case.fault.clone());
    rig.slots_of_alice(QUIET_SLOTS).await;
    assert_eq!(
        rig.switches(),
        Vec::<String>::new(),
        "{}: false switch",
        case.name
    );
    until_visible(case, &rig, &label).await;
    rig.devnet.crash_node("A").expect("crash");
    let standby = rig.key("B");
    rig.until(&format!("{}: production moves", case.name), |rig| {
        rig.registered() == standby
    })
    .await;
    rig.slots_of_alice(QUIET_SLOTS).await;
    assert_eq!(rig.switches().len(), 1, "{}: exactly one switch", case.name);
    let last = rig
        .truth()
        .slots
        .iter()
        .rev()
        .find(|s| s.scheduled == ALICE)
        .cloned();
    assert!(
        last.is_some_and(|s| s.block.is_some()),
        "{}: the standby produces",
        case.name
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_endpoints_any_one_faulty() {
    let stories = cases(Protocol::Hive)
        .into_iter()
        .enumerate()
        .map(|(i, case)| async move {
            // The first, the second, the third in turn: the black hole is at the first.
            let faulty = if case.name == "black hole" { 0 } else { i % 3 };
            story(
                &case,
                RigConfig {
                    seed: i as u64,
                    ..RigConfig::default()
                },
                faulty,
            )
            .await;
        })
        .collect();
    all(stories).await;
}

/// Two endpoints with `quorum: 1`, one of them the primary's own node. The other one is faulty; when the primary dies,
/// its own endpoint dies with it, so that nothing is left unless the faulty one still answers truthfully.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_endpoints_one_of_them_the_primarys_own() {
    let stories = cases(Protocol::Hive)
        .into_iter()
        .enumerate()
        .map(|(i, case)| async move {
            let config = RigConfig {
                seed: 40 + i as u64,
                endpoints: vec!["full1", "A"],
                quorum: Some(1),
                ..RigConfig::default()
            };
            let rig = Rig::start(config).await;
            rig.until_able().await;
            rig.devnet
                .endpoint_of("A")
                .expect("A")
                .set_fault(case.fault.clone());
            rig.slots_of_alice(QUIET_SLOTS).await;
            assert_eq!(
                rig.switches(),
                Vec::<String>::new(),
                "{}: false switch",
                case.name
            );
            rig.devnet.crash_node("A").expect("crash");
            let standby = rig.key("B");
            rig.until(&format!("{}: production moves", case.name), |r| {
                r.registered() == standby
            })
            .await;
            rig.slots_of_alice(QUIET_SLOTS).await;
            assert_eq!(rig.switches().len(), 1, "{}: exactly one switch", case.name);
            rig.stop().await;
        })
        .collect();
    all(stories).await;
}

/// One endpoint: whatever it does, nothing is switched while it does it, and the reason has a name. On every fault but the
/// fork no slot of alice is missed on the chain that it shows, so there is nothing to act on; on the fork there is, but
/// the others miss as many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_endpoint_never_switches_on_a_fault() {
    let stories = cases(Protocol::Hive)
        .into_iter()
        .enumerate()
        .filter(|(_, case)| case.name != "counter dip")
        .map(|(i, case)| async move {
            let fork = matches!(case.fault, Fault::MinorityFork { .. });
            let mut config = RigConfig {
                seed: 80 + i as u64,
                endpoints: vec!["full1"],
                quorum: Some(1),
                ..RigConfig::default()
            };
            if fork {
                // Seen from the fork, her own node may look astray for a moment, and then one miss is a fault: too few
                // slots to tell a fork by. Whatever her node looks like, here it takes three.
                config.probed = false;
                config.extra +=
                    "\nfault: {consecutive_misses: 3, consecutive_misses_node_healthy: 3}";
            }
            let rig = Rig::start(config).await;
            rig.until_able().await;
            rig.devnet
                .endpoint_of("full1")
                .expect("full1")
                .set_fault(case.fault.clone());
            rig.slots_of_alice(QUIET_SLOTS).await;
            assert_eq!(
                rig.switches(),
                Vec::<String>::new(),
                "{}: false switch",
                case.name
            );
            // Asked for a switch in the midst of it, it names the reason why not.
            let alert = crate::webhooks::failover(&rig.key("A"), ALICE);
            let (code, answer) = rig.post("/api/v1/alertmanager", &alert).await;
            assert_eq!(code, 200, "{}: {answer}", case.name);
            let id = answer["results"][0]["request_id"]
                .as_str()
                .expect("id")
                .to_owned();
            let decision = decided(&rig, &id).await;
            assert_ne!(decision["verdict"], "act", "{}: {decision}", case.name);
            let reason = decision["reason"].as_str().unwrap_or_default();
            assert!(
                !reason.is_empty() && reason != "ok",
                "{}: {decision}",
                case.name
            );
            if fork {
                // The fault stands there, and only the others' slots say whose it is.
                until_reason(&rig, "low_participation").await;
            }
            assert!(rig.switches().is_empty(), "{}: false switch", case.name);
            rig.stop().await;
        })
        .collect();
    all(stories).await;
}

/// Two of three faulty: no switch, `no_quorum` journaled and counted, not able; both back: switched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_majority_waits_and_says_so() {
    let chosen = [
        "refused",
        "black hole",
        "503",
        "wrong chain id",
        "frozen head",
        "html",
    ];
    let stories = cases(Protocol::Hive)
        .into_iter()
        .enumerate()
        .filter(|(_, case)| chosen.contains(&case.name))
        .map(|(i, case)| async move {
            let rig = Rig::start(RigConfig {
                seed: 120 + i as u64,
                ..RigConfig::default()
            })
            .await;
            rig.until_able().await;
            for name in ["full1", "full3"] {
                rig.devnet
                    .endpoint_of(name)
                    .expect("endpoint")
                    .set_fault(case.fault.clone());
            }
            rig.until_status("not able", |s| s["producers"][0]["able"] == false)
                .await;
            rig.devnet.crash_node("A").expect("crash");
            rig.slots_of_alice(QUIET_SLOTS).await;
            assert_eq!(
                rig.switches(),
                Vec::<String>::new(),
                "{}: no quorum, no switch",
                case.name
            );
            let page = rig.metrics().await;
            assert_eq!(
                series(&page, "slotkeeper_actuator_able", &[ALICE]),
                Some(0.0),
                "{}: able without a quorum",
                case.name
            );
            for name in ["full1", "full3"] {
                rig.devnet
                    .endpoint_of(name)
                    .expect("endpoint")
                    .clear_fault();
            }
            let standby = rig.key("B");
            rig.until(&format!("{}: production moves", case.name), |r| {
                r.registered() == standby
            })
            .await;
            rig.slots_of_alice(QUIET_SLOTS).await;
            assert_eq!(rig.switches().len(), 1, "{}: exactly one switch", case.name);
            rig.stop().await;
        })
        .collect();
    all(stories).await;
}

/// A request that finds no quorum is journaled with that reason and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_quorum_is_journaled_and_counted() {
    let rig = Rig::start(RigConfig {
        extra: "guard: {mode: off}".into(),
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    for name in ["full1", "full2", "full3"] {
        rig.devnet
            .endpoint_of(name)
            .expect("endpoint")
            .set_fault(Fault::Refused);
    }
    rig.until_status("not able", |s| s["producers"][0]["able"] == false)
        .await;
    let (code, answer) = rig
        .post(
            "/api/v1/alertmanager",
            &crate::webhooks::failover(&rig.key("A"), ALICE),
        )
        .await;
    assert_eq!(code, 200);
    let id = answer["results"][0]["request_id"]
        .as_str()
        .expect("id")
        .to_owned();
    let path = format!("/api/v1/decisions?request_id={id}");
    let watch = slotkeeper::clock::Stopwatch::start();
    loop {
        let decisions = rig.get(&path).await;
        let newest = &decisions["decisions"][0];
        if newest["reason"] == "no_quorum" {
            assert_eq!(newest["verdict"], "wait");
            break;
        }
        assert!(
            watch.elapsed() < crate::rig::PATIENCE,
            "no decision: {decisions}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let page = rig.metrics().await;
    let counted = series(
        &page,
        "slotkeeper_actuator_decisions_total",
        &["reason=\"no_quorum\"", "verdict=\"wait\""],
    );
    assert!(counted.is_some_and(|n| n >= 1.0), "{counted:?}");
    assert!(rig.switches().is_empty());
    rig.stop().await;
}
