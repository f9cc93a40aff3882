//! The guard: alone as a complete kill-switch, and beside Prometheus as the one that acts when nobody else does.

use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::clock::{Stopwatch, now_ms};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::rig::{ALICE, PATIENCE, Rig, RigConfig, free_ports};
use crate::webhooks::{alert, failover};

const NULL: &str = "TST1111111111111111111111111111111114T1Anm";

/// The smallest useful configuration, in the shape of `examples/minimal.yml`: no Prometheus, no Alertmanager, no
/// heartbeats, no guard section.
fn minimal(rig: &Rig) -> String {
    let url = |name: &str| rig.devnet.endpoint_of(name).expect("endpoint").url();
    let endpoints: Vec<String> = ["full1", "full2", "full3"]
        .iter()
        .map(|name| format!("{{url: \"{}\", provider: {name}}}", url(name)))
        .collect();
    let keys: Vec<String> = ["A", "B", "C"]
        .iter()
        .map(|name| {
            format!(
                "{{signing_key: {}, node: \"{}\"}}",
                rig.key(name),
                url(name)
            )
        })
        .collect();
    format!(
        "chains:\n  - {{name: devnet, protocol: hive, chain_id: \"{}\", address_prefix: TST, core_symbol: TESTS, \
         block_interval: 300ms, poll_interval: 100ms, endpoints: [{}]}}\n\
         producers:\n  - {{chain: devnet, name: {ALICE}, when_exhausted: disable, reenable: manual,\n     \
         disable_when: {{consecutive_misses: 3, no_ready_standby_for: 2s}}, cooldown: 30s,\n     \
         keys: [{}],\n     \
         authority: [{{method: witness_set_properties, key_files: [alice-A.wif, alice-B.wif, alice-C.wif]}}]}}\n\
         web: {{listen: \"127.0.0.1:{}\"}}\n\
         control: {{listen: \"127.0.0.1:{}\", token_file: control.token}}\n\
         actuator: {{armed: true, alertmanagers: []}}\n",
        slotkeeper::hex::encode(&slotkeeper::chain::graphene::TESTNET_CHAIN_ID),
        endpoints.join(", "),
        keys.join(", "),
        rig.config.ports.0,
        rig.config.ports.1,
    )
}

/// One process with a ten-line configuration: A dies, B takes over; B dies, C takes over; C dies, production is
/// disabled; and then it is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_and_ten_lines_are_a_complete_kill_switch() {
    let rig = Rig::without_app(RigConfig {
        nodes: vec!["A", "B", "C"],
        ports: free_ports(),
        seed: 301,
        ..RigConfig::default()
    })
    .await;
    let text = minimal(&rig);
    assert!(text.lines().count() <= 10, "{text}");
    std::fs::write(rig.config_file(), text).expect("config");
    let mut process = rig.spawn_process(&[]);
    rig.until_status("able", |s| s["producers"][0]["able"] == true)
        .await;
    // Armed by its configuration, but the state file is new: it would hold for two minutes, in case it was lost.
    let ran = rig.cli(&["arm"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    rig.until_able().await;

    let mut keys = vec![rig.key("B"), rig.key("C"), NULL.to_owned()];
    for (node, key) in ["A", "B", "C"].iter().zip(&keys) {
        rig.devnet.crash_node(node).expect("crash");
        rig.until(&format!("{node} dead, so {key}"), |r| {
            r.registered() == *key
        })
        .await;
    }
    let head = rig.truth().head_num;
    rig.until("the chain goes on", |r| r.truth().head_num >= head + 20)
        .await;
    // The nodes come back: what the guard disabled, only a person enables.
    for node in ["A", "B", "C"] {
        rig.devnet.restore_node(node).expect("restore");
    }
    rig.until("the chain goes on", |r| r.truth().head_num >= head + 40)
        .await;
    assert_eq!(rig.switches().len(), 3);
    assert_eq!(rig.registered(), NULL);
    let decisions = rig.get("/api/v1/decisions").await;
    let mut acted: Vec<String> = decisions["decisions"]
        .as_array()
        .expect("list")
        .iter()
        .filter(|d| d["verdict"] == "act")
        .inspect(|d| assert_eq!(d["cause"], "guard", "{d}"))
        .map(|d| d["target"].as_str().expect("target").to_owned())
        .collect();
    acted.sort();
    keys.sort();
    assert_eq!(acted, keys);
    process.kill().await.expect("killed");
    rig.stop().await;
}

/// `fallback` with one heartbeat source that may be silent for `silence`.
fn fallback(silence: &str, patience: &str, seed: u64) -> RigConfig {
    RigConfig {
        extra: format!(
            "guard: {{mode: fallback, patience: {patience}}}\n\
             heartbeats: [{{source: prom, max_silence: {silence}, max_age: {silence}}}]"
        ),
        seed,
        ..RigConfig::default()
    }
}

async fn heartbeat(rig: &Rig) {
    let now = now_ms() / 1000;
    let body = json!({"version": "4", "status": "firing", "alerts": [{
        "status": "firing", "fingerprint": "11",
        "labels": {"alertname": "SlotkeeperHeartbeat", "action": "heartbeat", "source": "prom"},
        "annotations": {"evaluated_at": now.to_string()},
        "startsAt": "2026-11-21T03:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
    }]});
    let (code, answer) = rig.post("/api/v1/alertmanager", &body).await;
    assert_eq!(
        (code, &answer["results"][0]["status"]),
        (200, &json!("accepted")),
        "{answer}"
    );
}

/// Every decision that the guard asked for.
async fn guards(rig: &Rig) -> Vec<Value> {
    let all = rig.get("/api/v1/decisions").await;
    let list = all["decisions"].as_array().expect("list").clone();
    list.into_iter().filter(|d| d["cause"] == "guard").collect()
}

async fn until_fault(rig: &Rig) {
    rig.until_status("the fault stands", |s| {
        s["producers"][0]["consecutive_missed"].as_u64() >= Some(1)
    })
    .await;
}

async fn moved_by_the_guard(rig: &Rig) {
    let b = rig.key("B");
    rig.until("production moves", |r| r.registered() == b).await;
    rig.slots_of_alice(2).await;
    assert_eq!(rig.switches().len(), 1);
    assert!(
        guards(rig).await.iter().any(|d| d["verdict"] == "act"),
        "not the guard's doing"
    );
}

/// Every source overdue: it acts at once, however long its patience.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fallback_acts_when_every_heartbeat_is_overdue() {
    let rig = Rig::start(fallback("2s", "1h", 311)).await;
    heartbeat(&rig).await;
    rig.until_able().await;
    rig.until_status("overdue", |s| s["heartbeats"][0]["overdue"] == true)
        .await;
    rig.devnet.crash_node("A").expect("crash");
    moved_by_the_guard(&rig).await;
    rig.stop().await;
}

/// The pipeline is alive as far as heartbeats tell, but nobody asks about this fault: patience, then it acts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fallback_acts_when_a_fault_outlasts_its_patience() {
    let rig = Rig::start(fallback("1h", "4s", 312)).await;
    heartbeat(&rig).await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    until_fault(&rig).await;
    assert!(rig.switches().is_empty(), "it had no patience");
    assert!(guards(&rig).await.is_empty(), "it asked at once");
    moved_by_the_guard(&rig).await;
    rig.stop().await;
}

/// Authenticated requests come in time, and an interlock refuses them for a reason of its own (Alertmanager does not
/// know the alert): the guard goes behind nobody's back. A heartbeat that is heard is no reason to act either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fallback_does_not_act_while_requests_come() {
    let (url, serving) = alertmanager(json!([])).await;
    let rig = Rig::start(RigConfig {
        actuator: format!("armed: true, alertmanagers: [{{url: \"{url}\"}}]"),
        ..fallback("1h", "3s", 313)
    })
    .await;
    heartbeat(&rig).await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    // Ten slots of alice are 15 s: five times the patience.
    let slots = |r: &Rig| r.truth().missed(ALICE).count();
    let before = slots(&rig);
    let watch = Stopwatch::start();
    while slots(&rig) < before + 10 {
        let (code, _) = rig
            .post("/api/v1/alertmanager", &failover(&rig.key("A"), ALICE))
            .await;
        assert_eq!(code, 200);
        assert!(watch.elapsed() < PATIENCE, "no slots pass");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(rig.switches().is_empty());
    let decisions = loop {
        let answer = rig.get("/api/v1/decisions").await;
        if answer["decisions"].get(0).is_some() {
            break answer;
        }
        assert!(watch.elapsed() < PATIENCE, "never decided: {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(
        decisions["decisions"][0]["reason"], "alert_not_active",
        "{decisions}"
    );
    let asked = guards(&rig).await;
    assert!(asked.is_empty(), "the guard asked: {asked:?}");
    serving.abort();
    rig.stop().await;
}

/// Requests that are too old to be acted on (a dead Prometheus, whose last word Alertmanager repeats) are no sign of
/// life: the guard's patience ends all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_requests_do_not_hold_the_guard() {
    let rig = Rig::start(fallback("1h", "3s", 316)).await;
    heartbeat(&rig).await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    let b = rig.key("B");
    let watch = Stopwatch::start();
    while rig.registered() != b {
        let ten_minutes_ago = now_ms() / 1000 - 600;
        let stale = alert(&rig.key("A"), ALICE, "failover", "firing", ten_minutes_ago);
        assert_eq!(rig.post("/api/v1/alertmanager", &stale).await.0, 200);
        assert!(watch.elapsed() < PATIENCE, "the guard was held");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    moved_by_the_guard(&rig).await;
    rig.stop().await;
}

/// Requests about another key say nothing about this fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_about_another_key_do_not_hold_the_guard() {
    let rig = Rig::start(fallback("1h", "3s", 314)).await;
    heartbeat(&rig).await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    let b = rig.key("B");
    let watch = Stopwatch::start();
    while rig.registered() != b {
        let (code, _) = rig.post("/api/v1/alertmanager", &failover(&b, ALICE)).await;
        assert_eq!(code, 200);
        assert!(watch.elapsed() < PATIENCE, "the guard was held");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    moved_by_the_guard(&rig).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn off_never_acts() {
    let rig = Rig::start(RigConfig {
        extra: "guard: {mode: off}\nheartbeats: [{source: prom, max_silence: 1s, max_age: 1s}]"
            .into(),
        seed: 315,
        ..RigConfig::default()
    })
    .await;
    heartbeat(&rig).await;
    rig.until_able().await;
    rig.until_status("overdue", |s| s["heartbeats"][0]["overdue"] == true)
        .await;
    rig.devnet.crash_node("A").expect("crash");
    until_fault(&rig).await;
    rig.slots_of_alice(8).await;
    assert!(rig.switches().is_empty());
    assert!(guards(&rig).await.is_empty());
    rig.stop().await;
}

/// An Alertmanager that knows one silence, and gives `[]` to everything else.
async fn alertmanager(silences: Value) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            let mut byte = [0; 1];
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte).await, Ok(1)) {
                head.push(byte[0]);
            }
            let body = if head.starts_with(b"GET /api/v2/silences") {
                silences.to_string()
            } else {
                "[]".to_owned()
            };
            let reply = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    });
    (url, serving)
}

/// The silences it has cached bind the guard as they bind a webhook, also when Alertmanager is gone; another
/// producer's do not.
async fn silenced(producer: &str, holds: bool, seed: u64) {
    let stamp = |ms: i64| {
        jiff::Timestamp::from_millisecond(ms)
            .expect("time")
            .to_string()
    };
    let equal = |name: &str, value: &str| json!({"name": name, "value": value, "isRegex": false, "isEqual": true});
    let silence = json!([{
        "id": "5f1c", "status": {"state": "active"}, "updatedAt": stamp(now_ms() - 60_000),
        "comment": "planned work", "createdBy": "ops",
        "startsAt": stamp(now_ms() - 60_000), "endsAt": stamp(now_ms() + 3_600_000),
        "matchers": [equal("chain", "devnet"), equal("producer", producer)],
    }]);
    let (url, serving) = alertmanager(silence).await;
    let mut rig = Rig::start(RigConfig {
        actuator: format!("armed: true, alertmanagers: [{{url: \"{url}\"}}]"),
        seed,
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    until_cached(&rig).await;
    // Alertmanager dies and slotkeeper starts anew: the silence is kept.
    serving.abort();
    rig.restart_app().await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    if !holds {
        moved_by_the_guard(&rig).await;
        rig.stop().await;
        return;
    }
    until_fault(&rig).await;
    rig.slots_of_alice(5).await;
    assert!(rig.switches().is_empty());
    let asked = guards(&rig).await;
    assert!(
        asked
            .iter()
            .any(|d| d["reason"] == "maintenance" && d.to_string().contains("planned work")),
        "{asked:?}"
    );
    rig.stop().await;
}

/// The silences are in the state file.
async fn until_cached(rig: &Rig) {
    let journal = rig.app().actuator().journal();
    let watch = Stopwatch::start();
    while journal.kv_all("silence").await.expect("journal").is_empty() {
        assert!(watch.elapsed() < PATIENCE, "no silence was read");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cached_silence_holds_the_guard() {
    silenced(ALICE, true, 316).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silence_of_another_producer_does_not() {
    silenced("bob", false, 317).await;
}
