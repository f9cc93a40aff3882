//! Operator commands through the built binary against a running slotkeeper.

use serde_json::Value;
use slotkeeper::chain::Protocol;

use crate::rig::{ALICE, Ran, Rig, RigConfig, series};

const NULL: &str = "TST1111111111111111111111111111111114T1Anm";

fn quiet() -> RigConfig {
    RigConfig {
        extra: "guard: {mode: off}".into(),
        ..RigConfig::default()
    }
}

/// Runs `producer VERB devnet/alice …`.
async fn producer(rig: &Rig, verb: &str, more: &[&str]) -> Ran {
    rig.cli(&[&["producer", verb, "devnet/alice"], more].concat())
        .await
}

fn done(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

fn refused(ran: &Ran, because: &str) {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains(because), "{because}: {ran:?}");
}

/// There and back; address and properties stand as they stood, with either protocol's way of signing.
pub(crate) async fn there_and_back(protocol: Protocol, seed: u64) {
    let rig = Rig::start(RigConfig {
        protocol,
        seed,
        ..quiet()
    })
    .await;
    rig.until_able().await;
    let before = rig.properties();
    let (a, b) = (rig.key("A"), rig.key("B"));

    let ran = producer(&rig, "switchover", &["--wait"]).await;
    done(&ran);
    assert!(
        ran.out.contains(&b) && ran.out.contains("irreversible"),
        "{ran:?}"
    );
    assert_eq!(rig.registered(), b);
    assert_eq!(rig.properties(), before);

    // Not at once again: an attempt is open, which nothing overrides.
    let ran = producer(&rig, "switchover", &["--override", "I insist"]).await;
    refused(&ran, "attempt_open");
    rig.until_open_attempts(0.0).await;
    // Then it rests, which an operator may override.
    let ran = producer(&rig, "switchover", &["--to", &a]).await;
    refused(&ran, "cooldown");
    // The hint is given where an override is all it takes: not in a moment in which endpoints stand at different heads.
    assert!(
        ran.err.contains("--override") || ran.err.contains("different heads"),
        "{ran:?}"
    );
    let ran = producer(&rig, "switchover", &["--to", &a, "--override", "back home"]).await;
    done(&ran);
    assert_eq!(rig.registered(), a);
    assert_eq!(rig.properties(), before);
    assert_eq!(rig.switches().len(), 2);
    // Both were said to be an operator's, and spent no budget.
    let decisions = rig.get("/api/v1/decisions").await;
    let acted = decisions["decisions"].as_array().expect("list");
    assert!(
        acted.iter().all(|d| d["cause"] == "operator"),
        "{decisions}"
    );
    let page = rig.metrics().await;
    assert_eq!(
        series(&page, "slotkeeper_actuator_budget_remaining", &[ALICE]),
        Some(3.0)
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switchover_and_back_on_hive() {
    there_and_back(Protocol::Hive, 201).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switchover_and_back_on_steem() {
    there_and_back(Protocol::Steem, 202).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switchover_and_back_on_golos() {
    there_and_back(Protocol::Golos, 203).await;
}

/// No compare-and-swap, rounds longer than their schedule: a crash still makes exactly one switch, by witness_update.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_on_golos_makes_one_switch() {
    let rig = Rig::start(RigConfig {
        protocol: Protocol::Golos,
        seed: 204,
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    let before = rig.properties();
    let b = rig.key("B");
    rig.devnet.crash_node("A").expect("node");
    rig.until("the standby's key is registered", |rig| {
        rig.registered() == b
    })
    .await;
    rig.slots_of_alice(3).await;
    assert_eq!(rig.switches().len(), 1);
    assert_eq!(rig.properties(), before);
    let last = rig.truth().transactions.last().cloned().expect("sent");
    assert_eq!(last.operations[0][0], "witness_update");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disable_then_enable_with_the_active_key() {
    let rig = Rig::start(quiet()).await;
    rig.until_able().await;
    let before = rig.properties();
    refused(&producer(&rig, "enable", &[]).await, "enabled with");
    done(&producer(&rig, "disable", &[]).await);
    assert_eq!(rig.registered(), NULL);
    assert_eq!(rig.properties(), before);
    rig.until_open_attempts(0.0).await;
    refused(&producer(&rig, "disable", &[]).await, "disabled already");
    let b = rig.key("B");
    done(&producer(&rig, "enable", &["--to", &b, "--override", "repaired"]).await);
    assert_eq!(rig.registered(), b);
    assert_eq!(rig.properties(), before);
    // From the null key only the active key may sign: witness_update.
    let last = rig.truth().transactions.last().cloned().expect("sent");
    assert_eq!(last.operations[0][0], "witness_update");
    rig.stop().await;
}

/// With signing keys alone the null key cannot be left: refused beforehand, unless that is known; then `enable` tells
/// what to do on the machine that has the active key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_signing_keys_alone_enable_is_a_recipe() {
    let rig = Rig::start(RigConfig {
        signing_only: true,
        ..quiet()
    })
    .await;
    rig.until_able().await;
    refused(&producer(&rig, "disable", &[]).await, "reenable: manual");
    assert!(rig.switches().is_empty());
    rig.stop().await;

    let rig = Rig::start(RigConfig {
        signing_only: true,
        producer_extra: "    reenable: manual\n".into(),
        ..quiet()
    })
    .await;
    rig.until_able().await;
    done(&producer(&rig, "disable", &[]).await);
    assert_eq!(rig.registered(), NULL);
    rig.until_open_attempts(0.0).await;
    let ran = producer(&rig, "enable", &["--override", "repaired"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for part in [
        "witness_update",
        "slotkeeper tx sign",
        "slotkeeper tx broadcast",
        rig.key("A").as_str(),
    ] {
        assert!(ran.err.contains(part), "no {part} in the recipe: {ran:?}");
    }
    assert_eq!(rig.registered(), NULL);
    assert_eq!(rig.switches().len(), 1);
    follow_the_recipe(&rig, &ran).await;
    rig.stop().await;
}

/// Does what the recipe says, with the active key's file in place of the one it names.
async fn follow_the_recipe(rig: &Rig, ran: &Ran) {
    let start = ran.err.find('{').expect("the transaction");
    let end = ran.err.rfind('}').expect("the transaction") + 1;
    let transaction: Value = serde_json::from_str(&ran.err[start..end]).expect("JSON");
    assert_eq!(transaction["operations"][0][0], "witness_update");
    let (url, fee, size, rate) = rig.properties();
    let operation = &transaction["operations"][0][1];
    assert_eq!(operation["owner"], ALICE);
    assert_eq!(operation["url"], Value::from(url));
    assert_eq!(operation["props"]["account_creation_fee"], Value::from(fee));
    assert_eq!(operation["props"]["maximum_block_size"], Value::from(size));
    assert!(
        operation["props"]
            .as_object()
            .expect("props")
            .values()
            .any(|v| v == &Value::from(rate))
    );
    assert_eq!(operation["block_signing_key"], Value::from(rig.key("A")));
    let active = rig.directory.path().join("alice-active.wif");
    // The words of a command line of the recipe, up to its redirections.
    let command = |name: &str| -> Vec<String> {
        let line = ran.err.lines().find(|l| l.contains(name)).expect(name);
        let words = line.split_whitespace().skip(1);
        words
            .take_while(|w| *w != "<")
            .map(|w| match w {
                "alice-active.pem" => active.display().to_string(),
                _ => w.to_owned(),
            })
            .collect()
    };
    let signed = run(command("slotkeeper tx sign"), transaction.to_string()).await;
    run(command("slotkeeper tx broadcast"), signed).await;
    let a = rig.key("A");
    rig.until("enabled by hand", |r| r.registered() == a).await;
}

/// Runs a command that must succeed, on a thread of its own, for the devnet answers on ours.
async fn run(arguments: Vec<String>, input: String) -> String {
    let ended = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        crate::tx_sign::slotkeeper(&arguments, &input)
    });
    let output = ended.await.expect("ran");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_reports_and_changes_nothing() {
    let rig = Rig::start(quiet()).await;
    rig.until_able().await;
    let ran = producer(&rig, "rehearse", &[]).await;
    done(&ran);
    assert!(
        ran.out.contains(&rig.key("B")) && ran.out.contains("nothing was"),
        "{ran:?}"
    );
    let ran = producer(&rig, "rehearse", &["--to", &rig.key("A")]).await;
    refused(&ran, "registered already");
    let b = rig.key("B");
    done(&rig.cli(&["disarm"]).await);
    // What an override would have to pass is said, but a rehearsal needs none.
    let ran = producer(&rig, "rehearse", &["--to", &b]).await;
    done(&ran);
    rig.slots_of_alice(1).await;
    assert!(rig.truth().transactions.is_empty());
    assert_eq!(rig.registered(), rig.key("A"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pin_maintenance_and_arming_hold_production_where_it_is() {
    let rig = Rig::start(RigConfig {
        actuator: "armed: false".into(),
        ..RigConfig::default()
    })
    .await;
    rig.until_status("able", |s| s["producers"][0]["able"] == true)
        .await;
    let armed = async |expected: bool| {
        let name = if expected { "armed" } else { "disarmed" };
        rig.until_status(name, |s| s["producers"][0]["armed"] == expected)
            .await;
    };
    armed(false).await;
    done(&rig.cli(&["arm"]).await);
    armed(true).await;
    done(&producer(&rig, "disarm", &[]).await);
    armed(false).await;
    done(&producer(&rig, "arm", &[]).await);
    armed(true).await;
    done(&producer(&rig, "pin", &[]).await);
    rig.until_status("pinned", |s| s["producers"][0]["pinned"] == true)
        .await;
    done(&producer(&rig, "maintenance", &["--until", "1h"]).await);

    // The guard asks, and each of the three holds it back by name.
    rig.devnet.crash_node("A").expect("crash");
    let last = async |reason: &str| {
        let watch = slotkeeper::clock::Stopwatch::start();
        loop {
            let all = rig.get("/api/v1/decisions").await;
            let newest = &all["decisions"][0];
            if newest["reason"] == reason && newest["verdict"] == "wait" {
                return;
            }
            assert!(watch.elapsed() < crate::rig::PATIENCE, "{reason}: {all}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    last("pinned").await;
    let ran = producer(&rig, "failover", &[]).await;
    refused(&ran, "pinned");
    assert!(ran.err.contains("maintenance"), "both are told: {ran:?}");
    done(&producer(&rig, "unpin", &[]).await);
    last("maintenance").await;
    done(&rig.cli(&["disarm"]).await);
    last("disarmed").await;
    done(&producer(&rig, "maintenance", &[]).await);
    rig.slots_of_alice(2).await;
    assert!(rig.switches().is_empty(), "still disarmed");
    let ran = producer(&rig, "maintenance", &["--until", "2020-01-01T00:00:00Z"]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");

    done(&rig.cli(&["arm"]).await);
    let b = rig.key("B");
    rig.until("production moves", |r| r.registered() == b).await;
    rig.slots_of_alice(2).await;
    assert_eq!(rig.switches().len(), 1);
    rig.stop().await;
}

/// Standing orders outlive a restart, whatever the configuration says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standing_orders_outlive_a_restart() {
    let mut rig = Rig::start(RigConfig::default()).await;
    rig.until_able().await;
    done(&producer(&rig, "pin", &[]).await);
    done(&rig.cli(&["disarm"]).await);
    rig.restart_app().await;
    rig.until_status("able", |s| s["producers"][0]["able"] == true)
        .await;
    let status = rig.get("/api/v1/status").await;
    assert_eq!(status["armed"], false, "{status}");
    assert_eq!(status["producers"][0]["pinned"], true, "{status}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_is_a_table_for_people_and_json_for_programs() {
    let rig = Rig::start(quiet()).await;
    rig.until_able().await;
    let ran = rig.cli(&["status"]).await;
    done(&ran);
    for part in [
        "ARMED, able to act",
        "devnet",
        "alice",
        "primary",
        "standby",
        rig.key("A").as_str(),
        rig.key("B").as_str(),
    ] {
        assert!(ran.out.contains(part), "no {part} in\n{}", ran.out);
    }
    let ran = rig.cli(&["status", "--json"]).await;
    done(&ran);
    let status: Value = serde_json::from_str(&ran.out).expect("JSON");
    let alice = &status["producers"][0];
    assert_eq!(alice["registered_key"], Value::from(rig.key("A")));
    assert_eq!(alice["role"], "primary");
    assert_eq!(status["chains"][0]["agreeing"], 3);
    rig.stop().await;
}

/// Only the active key: `witness_update` overwrites address and properties, so they are sent as they stand on chain at
/// that moment, also when somebody has changed them a second before.
async fn echoes_what_stands(protocol: Protocol, seed: u64) {
    let rig = Rig::start(RigConfig {
        protocol,
        seed,
        active_only: true,
        ..quiet()
    })
    .await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    rig.until_status("the fault stands", |s| {
        s["producers"][0]["consecutive_missed"].as_u64() >= Some(1)
    })
    .await;
    let before = rig.properties();
    let (fee, coin) = before.1.split_once(' ').expect("an amount");
    let changed = (
        "https://witness.example/alice?x=\u{e4}&y=\"z\"".to_owned(),
        format!("{}7 {coin}", &fee[..fee.len() - 1]),
        before.2 + 1024,
        // Blurt has no debt coin and so no interest.
        before.3 + u16::from(protocol != Protocol::Blurt),
    );
    assert_ne!(before.1, changed.1);
    rig.devnet
        .with_chain(|chain| {
            chain.operator_sets_properties(ALICE, &changed.0, &changed.1, changed.2, changed.3)
        })
        .expect("operator");
    rig.until("the change stands", |r| r.properties() == changed)
        .await;
    let second = 1000 / rig.config.interval_ms;
    let head = rig.truth().head_num;
    rig.until("a second passes", |r| r.truth().head_num > head + second)
        .await;

    let b = rig.key("B");
    let watch = slotkeeper::clock::Stopwatch::start();
    while rig.registered() != b {
        let alert = crate::webhooks::failover(&rig.key("A"), ALICE);
        let (code, answer) = rig.post("/api/v1/alertmanager", &alert).await;
        assert_eq!(code, 200, "{answer}");
        assert!(
            watch.elapsed() < crate::rig::PATIENCE,
            "never moved: {}",
            rig.get("/api/v1/decisions").await
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(rig.properties(), changed);
    let last = rig.truth().transactions.last().cloned().expect("sent");
    assert_eq!(last.operations[0][0], "witness_update");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn witness_update_echoes_url_and_props_on_steem() {
    echoes_what_stands(Protocol::Steem, 211).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn witness_update_echoes_url_and_props_on_hive() {
    echoes_what_stands(Protocol::Hive, 212).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn witness_update_echoes_url_and_props_on_blurt() {
    echoes_what_stands(Protocol::Blurt, 213).await;
}
