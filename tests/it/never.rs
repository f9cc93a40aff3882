//! Never in silence: states in which a slotkeeper that looks perfect would not switch. Each story ends with production on
//! the standby, or with something that rings.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::clock::Stopwatch;
use slotkeeper::devnet::Fault;

use crate::rig::{ALICE, PATIENCE, Rig, RigConfig, free_ports, series};
use crate::webhooks::failover;

async fn until_moved(rig: &Rig) {
    let standby = rig.key("B");
    rig.until("production moves", |rig| rig.registered() == standby)
        .await;
}

/// Waits until the newest decision has this reason.
async fn until_reason(rig: &Rig, reason: &str) {
    let watch = Stopwatch::start();
    loop {
        let said = rig.get("/api/v1/decisions").await;
        if said["decisions"][0]["reason"] == reason {
            return;
        }
        assert!(watch.elapsed() < PATIENCE, "never decided {reason}: {said}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn ready(rig: &Rig) -> u16 {
    let url = format!(
        "http://{}/-/ready",
        rig.app.as_ref().expect("it runs").web_address()
    );
    reqwest::get(url).await.map_or(0, |r| r.status().as_u16())
}

fn fault(rig: &Rig, name: &str, fault: Fault) {
    let endpoint = rig.devnet.endpoint_of(name).expect("endpoint");
    endpoint.set_fault(fault);
}

/// Endpoints as they are out there: each of them odd in its own way, and from the very first question on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_odd_from_the_start() {
    let no = |method: &str| Fault::NoMethod {
        method: method.to_owned(),
    };
    let three = |f: Fault| {
        (
            RigConfig::default(),
            ["full1", "full2", "full3"].map(|n| (n, f.clone())).to_vec(),
        )
    };
    let pair = |f: Fault| {
        (
            RigConfig {
                endpoints: vec!["full1", "full2"],
                quorum: Some(1),
                ..RigConfig::default()
            },
            vec![("full1", f)],
        )
    };
    let stories = [
        // Gateways that refuse a block that is not there yet.
        three(Fault::NullIsError),
        // Nodes without the plugins that a node need not have.
        three(no("transaction_status_api.find_transaction")),
        three(no("condenser_api.get_accounts")),
        // One of two is not there, from the beginning.
        pair(Fault::BlackHole),
        pair(Fault::Refused),
        pair(no("condenser_api.get_witness_schedule")),
    ];
    for (n, (config, faults)) in stories.into_iter().enumerate() {
        let mut rig = Rig::without_app(RigConfig {
            seed: 300 + n as u64,
            ..config
        })
        .await;
        for (name, f) in faults {
            fault(&rig, name, f);
        }
        rig.start_app().await;
        rig.until_able().await;
        rig.devnet.crash_node("A").expect("crash");
        until_moved(&rig).await;
        if n == 0 {
            // A block that is refused costs nobody a vote, not for a single tick.
            let page = rig.metrics().await;
            let refused: Vec<&str> = page
                .lines()
                .filter(|l| {
                    l.starts_with("slotkeeper_rpc_requests_total{") && l.contains("rpc_error")
                })
                .collect();
            assert_eq!(refused.len(), 3, "{page}");
            assert!(refused.iter().all(|l| l.ends_with(" 0")), "{refused:?}");
        }
        rig.stop().await;
    }
}

/// All endpoints take longer than the soft limit for each answer: late answers count in the next round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_endpoints_are_still_a_quorum() {
    let rig = Rig::start(RigConfig {
        interval_ms: 1_000,
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    for name in ["full1", "full2", "full3"] {
        fault(&rig, name, Fault::Slow { ms: 600 });
    }
    rig.devnet.crash_node("A").expect("crash");
    until_moved(&rig).await;
    rig.stop().await;
}

/// Endpoints that agree on everything but deliver no blocks: no fault can be seen. It must ring before one comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_blocks_it_is_not_able_and_says_why() {
    let mut rig = Rig::without_app(RigConfig::default()).await;
    let no_blocks = Fault::NoMethod {
        method: "condenser_api.get_block".to_owned(),
    };
    for name in ["full1", "full2", "full3"] {
        fault(&rig, name, no_blocks.clone());
    }
    rig.start_app().await;
    rig.until_status("a quorum all the same", |s| {
        s["chains"][0]["agreeing"].as_u64() >= Some(2)
    })
    .await;
    rig.slots_of_alice(2).await;
    let page = rig.metrics().await;
    for (name, labels) in [
        ("slotkeeper_actuator_able", vec![ALICE]),
        ("slotkeeper_chain_ledger_caught_up", vec!["devnet"]),
    ] {
        assert_eq!(series(&page, name, &labels), Some(0.0), "{name}");
    }
    // They get them back: nothing else is needed.
    for name in ["full1", "full2", "full3"] {
        rig.devnet
            .endpoint_of(name)
            .expect("endpoint")
            .clear_fault();
    }
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    until_moved(&rig).await;
    rig.stop().await;
}

/// The node answers every probe and does not produce.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_answers_but_does_not_produce() {
    for (seed, lag) in [(320, None), (321, Some(30))] {
        let rig = Rig::start(RigConfig {
            seed,
            ..RigConfig::default()
        })
        .await;
        rig.until_able().await;
        match lag {
            None => rig.devnet.freeze_node("A").expect("freeze"),
            Some(blocks) => rig.devnet.lag_node("A", blocks).expect("lag"),
        }
        until_moved(&rig).await;
        rig.stop().await;
    }
}

/// slotkeeper is restarted while the fault stands and nothing was done: the fault still stands, with no new miss needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_outlives_a_restart() {
    let mut rig = Rig::start(RigConfig {
        probed: false,
        seed: 330,
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    let (code, said) = rig.post("/api/v1/disarm", &json!({})).await;
    assert!(code < 300, "{code} {said}");
    rig.devnet.crash_node("A").expect("crash");
    until_reason(&rig, "disarmed").await;
    for _ in 0..2 {
        let app = rig.app.take().expect("it runs");
        app.stop().await;
        rig.slots_of_alice(2).await;
        rig.start_app().await;
        let missed = |s: &Value| s["producers"][0]["consecutive_missed"].as_u64() >= Some(2);
        rig.until_status("the misses are remembered", missed).await;
    }
    let (code, said) = rig.post("/api/v1/arm", &json!({})).await;
    assert!(code < 300, "{code} {said}");
    until_moved(&rig).await;
    assert_eq!(rig.switches().len(), 1);
    rig.stop().await;
}

/// Both standbys are sick: it rings and waits; the first one to recover takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_for_a_standby_and_takes_the_first_that_is_ready() {
    let rig = Rig::start(RigConfig {
        nodes: vec!["A", "B", "C"],
        seed: 340,
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    for node in ["B", "C", "A"] {
        rig.devnet.crash_node(node).expect("crash");
    }
    until_reason(&rig, "no_ready_standby").await;
    let page = rig.metrics().await;
    for node in ["B", "C"] {
        let key = rig.key(node);
        assert_eq!(
            series(&page, "slotkeeper_standby_ready", &[&key]),
            Some(0.0)
        );
    }
    rig.devnet.restore_node("C").expect("restore");
    let third = rig.key("C");
    rig.until("the third takes over", |rig| rig.registered() == third)
        .await;
    assert_eq!(rig.switches().len(), 1);
    rig.stop().await;
}

/// Alertmanager delivered the alert and then hangs, answers nonsense, or is gone: the alert is fresh, so it counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_acts_though_alertmanager_has_died_since() {
    // Accepts and never answers.
    let hung = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    // Answers every connection with a 500.
    let broken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let addresses = [&hung, &broken].map(|l| l.local_addr().expect("address"));
    std::thread::spawn(move || {
        for stream in broken.incoming() {
            let _ = stream.and_then(|mut s| {
                s.write_all(b"HTTP/1.1 500 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            });
        }
    });
    let (gone, _) = free_ports();
    let list = addresses
        .map(|a| a.port())
        .into_iter()
        .chain([gone])
        .map(|port| format!("{{url: \"http://127.0.0.1:{port}\"}}"))
        .collect::<Vec<_>>()
        .join(", ");
    let rig = Rig::start(RigConfig {
        extra: "guard: {mode: off}".into(),
        actuator: format!("armed: true, alertmanagers: [{list}]"),
        seed: 350,
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    rig.until_status("the fault stands", |s| {
        s["producers"][0]["consecutive_missed"].as_u64() >= Some(1)
    })
    .await;
    let (code, said) = rig
        .post("/api/v1/alertmanager", &failover(&rig.key("A"), ALICE))
        .await;
    assert_eq!(code, 200, "{said}");
    until_moved(&rig).await;
    drop(hung);
    rig.stop().await;
}

/// The state file is deleted under a running slotkeeper: what it journals survives nothing. It rings, everywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_file_deleted_while_running_rings() {
    let rig = Rig::start(RigConfig {
        seed: 360,
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    std::fs::remove_file(rig.directory.path().join("slotkeeper.db")).expect("removed");
    rig.until_status("not able", |s| s["producers"][0]["able"] == false)
        .await;
    assert_eq!(ready(&rig).await, 503);
    let page = rig.metrics().await;
    let failures = series(&page, "slotkeeper_journal_write_failures_total", &[]);
    assert!(failures.is_some_and(|n| n >= 1.0), "{failures:?}");
    rig.stop().await;
}

/// A key file that cannot be opened (here: not there) is no reason not to start, but it must ring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_loaded_rings_and_names_itself() {
    let mut rig = Rig::without_app(RigConfig {
        signing_only: true,
        seed: 370,
        ..RigConfig::default()
    })
    .await;
    std::fs::remove_file(rig.directory.path().join("alice-A.wif")).expect("removed");
    rig.start_app().await;
    rig.devnet.crash_node("A").expect("crash");
    until_reason(&rig, "key_unavailable").await;
    let page = rig.metrics().await;
    let able = series(&page, "slotkeeper_actuator_able", &[ALICE]);
    assert_eq!(able, Some(0.0));
    rig.stop().await;
}

/// A reload must never end the watch: a configuration that cannot be read is refused, and one that cannot be started
/// (its port is taken) gives way to the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_cannot_work_leaves_the_old_configuration_in_force() {
    let rig = Rig::without_app(RigConfig {
        ports: free_ports(),
        actuator: "armed: false".into(),
        seed: 380,
        ..RigConfig::default()
    })
    .await;
    let mut running = rig.spawn_process(&[]);
    rig.until_status("able", |s| s["producers"][0]["able"] == true)
        .await;
    let (code, _) = rig.post("/api/v1/arm", &json!({})).await;
    assert!(code < 300, "{code}");
    rig.until_able().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let port = taken.local_addr().expect("address").port();
    let good = rig.yaml();
    let elsewhere = good.replace(
        &format!("127.0.0.1:{}", rig.config.ports.0),
        &format!("127.0.0.1:{port}"),
    );
    for (n, text) in ["chains: 7".to_owned(), elsewhere].iter().enumerate() {
        std::fs::write(rig.config_file(), text).expect("config");
        let _ = rig.try_post("/-/reload", &json!({})).await;
        let watch = Stopwatch::start();
        loop {
            assert!(
                running.try_wait().expect("a child").is_none(),
                "{n}: it ended\n{}",
                rig.log()
            );
            let status = rig.get("/api/v1/status").await;
            if !status.is_null() {
                let page = rig.metrics().await;
                let reloaded = series(&page, "slotkeeper_config_last_reload_successful", &[]);
                if reloaded == Some(0.0) {
                    break;
                }
            }
            assert!(watch.elapsed() < PATIENCE, "{n}: never back\n{}", rig.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if n == 0 {
            // A good one in between, so that the next failure is seen as such.
            std::fs::write(rig.config_file(), &good).expect("config");
            let (code, said) = rig.post("/-/reload", &json!({})).await;
            assert!(code < 300, "{code} {said}");
            let watch = Stopwatch::start();
            while watch.elapsed() < PATIENCE {
                let page = if rig.get("/api/v1/status").await.is_null() {
                    String::new()
                } else {
                    rig.metrics().await
                };
                if series(&page, "slotkeeper_config_last_reload_successful", &[]) == Some(1.0) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    until_moved(&rig).await;
    let _ = running.kill().await;
    rig.stop().await;
}
