//! Direct escalation, end to end: a slotkeeper process with heartbeats, and people's services on loopback that record what
//! they are sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::clock::{Stopwatch, now_ms};
use slotkeeper::devnet::chain::node_key;
use slotkeeper::keys::Signer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::rig::{ALICE, PATIENCE, Rig, RigConfig, free_ports, series};

/// A web server that records each request and answers what it is told to.
#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    got: Vec<Got>,
    /// Answers to give first; then 202.
    answers: Vec<String>,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) at: i64,
}

impl Stub {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let state = Arc::new(Mutex::new(State::default()));
        let stub = Self {
            url,
            state: state.clone(),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, state.clone()));
            }
        });
        stub
    }

    /// The next requests are answered so, one each: `429 x\r\nRetry-After: 1`.
    pub(crate) fn answer(&self, answers: &[&str]) {
        let mut state = self.state.lock().expect("lock");
        state.answers = answers.iter().rev().map(|a| (*a).to_owned()).collect();
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.state.lock().expect("lock").got.clone()
    }

    pub(crate) fn json(&self) -> Vec<Value> {
        let got = self.got();
        got.iter()
            .map(|g| serde_json::from_str(&g.body).expect("JSON"))
            .collect()
    }

    /// PagerDuty: `(event_action, summary or dedup_key)` of events about what begins so.
    fn events(&self, about: &str) -> Vec<(String, String)> {
        self.json()
            .iter()
            .map(|e| (text(&e["event_action"]), text(&e["dedup_key"])))
            .filter(|(_, key)| key.starts_with(about))
            .collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn serve(mut stream: tokio::net::TcpStream, state: Arc<Mutex<State>>) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => bytes.extend_from_slice(&piece[..n]),
            _ => return,
        }
        let so_far = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = so_far.split_once("\r\n\r\n") else {
            continue;
        };
        let length: usize = head
            .lines()
            .find_map(|l| {
                l.to_ascii_lowercase()
                    .strip_prefix("content-length:")
                    .map(str::to_owned)
            })
            .map_or(0, |n| n.trim().parse().expect("length"));
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let answer = {
        let mut state = state.lock().expect("lock");
        state.got.push(Got {
            head,
            body,
            at: now_ms(),
        });
        state.answers.pop()
    };
    let answer = answer.unwrap_or_else(|| "202 Accepted".into());
    let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(text.as_bytes()).await;
}

pub(crate) async fn until(name: &str, rig: &Rig, mut what: impl FnMut() -> bool) {
    let watch = Stopwatch::start();
    while !what() {
        assert!(
            watch.elapsed() < PATIENCE,
            "never happened: {name}\n{}",
            rig.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn heartbeat() -> Value {
    json!({
        "version": "4", "groupKey": "g", "truncatedAlerts": 0, "status": "firing", "receiver": "heartbeat",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am",
        "alerts": [{
            "status": "firing",
            "labels": {"alertname": "SlotkeeperHeartbeat", "action": "heartbeat", "source": "prometheus-a"},
            "annotations": {"evaluated_at": (now_ms() / 1000).to_string()},
            "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "f",
        }],
    })
}

async fn rig(pagerduty: &Stub, slack: &Stub) -> Rig {
    let rig = Rig::without_app(RigConfig {
        extra: format!(
            "guard: {{mode: fallback}}\n\
             heartbeats: [{{source: prometheus-a, max_silence: 4s, max_age: 6s}}]\n\
             notify:\n  \
             - {{name: oncall, pagerduty: {{routing_key_file: pd.key, url: \"{}\"}}}}\n  \
             - {{name: ops, slack: {{url_file: slack.url}}}}\n",
            pagerduty.url
        ),
        actuator: "armed: false".into(),
        ports: free_ports(),
        seed: 601,
        ..RigConfig::default()
    })
    .await;
    rig.private("pd.key", "pd-secret-key");
    rig.private("slack.url", &format!("{}/services/slack-secret", slack.url));
    rig
}

/// Beats once a second until it is dropped.
fn beat(rig: &Rig) -> tokio::task::JoinHandle<()> {
    let url = format!(
        "http://127.0.0.1:{}/api/v1/alertmanager",
        rig.config.ports.1
    );
    tokio::spawn(async move {
        let client = reqwest::Client::new();
        loop {
            let post = client.post(&url).bearer_auth("test-token");
            let _ = post.json(&heartbeat()).send().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}

async fn heard(rig: &Rig) {
    rig.until_status("the heartbeat is heard", |s| {
        s["heartbeats"][0]["overdue"] == false && !s["heartbeats"][0]["age"].is_null()
    })
    .await;
}

/// The heartbeat stops: one page, no second one through a kill and a restart, and its end when it beats again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_that_stops_pages_once_through_a_kill_and_resolves() {
    let (pagerduty, slack) = (Stub::start().await, Stub::start().await);
    let rig = rig(&pagerduty, &slack).await;
    let mut process = rig.spawn_process(&[]);
    let beating = beat(&rig);
    heard(&rig).await;
    assert!(pagerduty.got().is_empty(), "{:?}", pagerduty.got());

    beating.abort();
    let stopped = now_ms();
    until("the page", &rig, || {
        !pagerduty.events("heartbeat/").is_empty()
    })
    .await;
    until("the message", &rig, || !slack.got().is_empty()).await;
    let page = pagerduty.json().remove(0);
    assert_eq!(page["event_action"], "trigger");
    assert_eq!(page["routing_key"], "pd-secret-key");
    assert_eq!(page["payload"]["severity"], "critical");
    assert_eq!(
        page["payload"]["summary"],
        "slotkeeper: heartbeat prometheus-a is overdue"
    );
    let waited = pagerduty.got()[0].at - stopped;
    assert!(waited >= 2_000, "not before max_silence: {waited} ms");
    assert!(
        text(&slack.json()[0]["text"]).contains("heartbeat prometheus-a is overdue"),
        "{:?}",
        slack.got()
    );
    let outcomes = |outcome: &'static str| ["receiver=\"oncall\"", outcome];
    let told = rig.metrics().await;
    let name = "slotkeeper_notifications_total";
    assert_eq!(
        series(&told, name, &outcomes("outcome=\"delivered\"")),
        Some(1.0)
    );
    assert_eq!(
        series(&told, name, &outcomes("outcome=\"refused\"")),
        Some(0.0)
    );

    // A power cut, in the middle of it.
    process.kill().await.expect("killed");
    let mut process = rig.spawn_process(&[]);
    rig.until_status("it is back", |s| s["heartbeats"][0]["overdue"] == true)
        .await;
    // It has looked around, for longer than the grace that a new one would get.
    let told = rig.metrics().await;
    let started = series(&told, "process_start_time_seconds", &[]).expect("start");
    until("a grace passes", &rig, || {
        now_ms() as f64 / 1000.0 > started + 8.0
    })
    .await;
    assert_eq!(pagerduty.events("heartbeat/").len(), 1, "no second page");

    let beating = beat(&rig);
    until("the end", &rig, || {
        pagerduty.events("heartbeat/").len() == 2
    })
    .await;
    let events = pagerduty.events("heartbeat/");
    assert_eq!(events[1].0, "resolve");
    assert_eq!(events[0].1, events[1].1, "one incident");
    until("Slack hears of the end", &rig, || {
        slack
            .json()
            .iter()
            .any(|m| text(&m["text"]).contains("over after"))
    })
    .await;
    beating.abort();
    process.kill().await.expect("killed");

    let log = rig.log();
    for secret in ["pd-secret-key", "slack-secret"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    rig.stop().await;
}

/// A receiver that is down, busy or refuses is tried again, and holds up no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_in_trouble_is_tried_again_and_holds_up_no_other() {
    let (pagerduty, slack) = (Stub::start().await, Stub::start().await);
    let rig = rig(&pagerduty, &slack).await;
    pagerduty.answer(&[
        "503 Service Unavailable",
        "429 Too Many Requests\r\nRetry-After: 1",
    ]);
    slack.answer(&["302 Found\r\nLocation: http://127.0.0.1:1/stolen"]);
    let mut process = rig.spawn_process(&[]);
    let beating = beat(&rig);
    heard(&rig).await;
    beating.abort();
    until("the third try", &rig, || {
        pagerduty.events("heartbeat/").len() == 3
    })
    .await;
    let keys: Vec<String> = pagerduty
        .events("heartbeat/")
        .into_iter()
        .map(|(_, key)| key)
        .collect();
    assert!(keys.iter().all(|k| *k == keys[0]), "{keys:?}");
    until("Slack was asked", &rig, || !slack.got().is_empty()).await;
    let watch = Stopwatch::start();
    loop {
        let page = rig.metrics().await;
        let count = |receiver: &str, outcome: &str| {
            series(
                &page,
                "slotkeeper_notifications_total",
                &[
                    &format!("receiver=\"{receiver}\""),
                    &format!("outcome=\"{outcome}\""),
                ],
            )
        };
        if count("oncall", "retried") == Some(2.0)
            && count("oncall", "delivered") == Some(1.0)
            && count("ops", "refused") == Some(1.0)
        {
            break;
        }
        assert!(watch.elapsed() < PATIENCE, "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    process.kill().await.expect("killed");
    rig.stop().await;
}

/// A checker elsewhere is pinged while all is well, told of a failure when it is not, and systemd hears that we live all
/// the while: a dead pipeline is no reason to be restarted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_stop_when_something_is_wrong_and_the_watchdog_does_not() {
    let checker = Stub::start().await;
    let rig = Rig::without_app(RigConfig {
        extra: "guard: {mode: fallback}\n\
                heartbeats: [{source: prometheus-a, max_silence: 4s, max_age: 6s}]\n\
                pings: [{name: checker, url_file: ping.url, fail_url_file: fail.url, interval: 1s}]\n"
            .into(),
        actuator: "armed: true".into(),
        ports: free_ports(),
        seed: 602,
        ..RigConfig::default()
    })
    .await;
    rig.private("ping.url", &format!("{}/ping-secret", checker.url));
    rig.private("fail.url", &format!("{}/ping-secret/fail", checker.url));
    let socket = rig.directory.path().join("notify.socket");
    let systemd = tokio::net::UnixDatagram::bind(&socket).expect("socket");
    let mut process = rig.spawn_process(&[
        ("NOTIFY_SOCKET", socket.to_str().expect("path")),
        ("WATCHDOG_USEC", "400000"),
    ]);
    let said = Arc::new(Mutex::new(Vec::<String>::new()));
    let hearing = said.clone();
    let listening = tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok(n) = systemd.recv(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
            hearing.lock().expect("lock").push(text);
        }
    });
    let says = |what: &str| {
        let said = said.lock().expect("lock");
        said.iter().filter(|s| s.starts_with(what)).count()
    };
    let pings = |path: &str| {
        let line = format!("GET {path} HTTP/1.1");
        checker
            .got()
            .iter()
            .filter(|g| g.head.starts_with(&line))
            .count()
    };
    until("ready", &rig, || says("READY=1") == 1).await;
    // Nobody has beaten yet: not all sources are there.
    until("the watchdog is fed", &rig, || says("WATCHDOG=1") > 2).await;
    assert_eq!(pings("/ping-secret"), 0);

    let beating = beat(&rig);
    until("two pings", &rig, || pings("/ping-secret") >= 2).await;
    let page = rig.metrics().await;
    let last = "slotkeeper_ping_last_success_timestamp_seconds";
    assert!(
        series(&page, last, &["ping=\"checker\""]).is_some_and(|at| at > 1e9),
        "{page}"
    );
    until("the status says so", &rig, || {
        let said = said.lock().expect("lock");
        said.iter().any(|s| s.contains("all is well"))
    })
    .await;

    beating.abort();
    until("a failure is reported", &rig, || {
        pings("/ping-secret/fail") > 0
    })
    .await;
    let (before, fed) = (pings("/ping-secret"), says("WATCHDOG=1"));
    until("two more failures", &rig, || {
        pings("/ping-secret/fail") >= 3 && says("WATCHDOG=1") > fed + 2
    })
    .await;
    assert_eq!(pings("/ping-secret"), before, "none while it is not well");

    let pid = process.id().expect("it runs").to_string();
    let ended = tokio::process::Command::new("kill")
        .arg(&pid)
        .status()
        .await;
    assert!(ended.expect("kill").success());
    process.wait().await.expect("it ends");
    until("the end", &rig, || says("STOPPING=1") == 1).await;
    assert_eq!(says("READY=1"), 1);
    listening.abort();
    assert!(!rig.log().contains("ping-secret"), "{}", rig.log());
    rig.stop().await;
}

/// A switch is told once: that it was sent and that it is in effect. An orderly restart tells neither again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_is_told_once_also_across_a_restart() {
    let slack = Stub::start().await;
    let mut rig = Rig::without_app(RigConfig {
        extra: "guard: {mode: always}\n\
                notify: [{name: ops, slack: {url_file: slack.url}}]\n"
            .into(),
        seed: 603,
        ..RigConfig::default()
    })
    .await;
    rig.private("slack.url", &slack.url);
    rig.start_app().await;
    rig.until_able().await;
    let told = |what: &str| {
        let messages = slack.json();
        messages
            .iter()
            .filter(|m| text(&m["text"]).contains(what))
            .count()
    };
    rig.devnet.crash_node("A").expect("crash");
    until("it is told", &rig, || {
        told("devnet/alice: a switch was sent") == 1
            && told("devnet/alice: the switch is in effect") == 1
    })
    .await;
    assert_eq!(rig.registered(), rig.key("B"));
    let first = slack.json().remove(0);
    let said = text(&first["attachments"][0]["text"]);
    assert!(said.contains(&rig.key("B")), "to which key: {said}");

    rig.restart_app().await;
    rig.until_status("it looks at the chain", |s| {
        s["producers"][0]["able"] == true
    })
    .await;
    // Something new is told by the same loop, and after what it found in the journal.
    let a = node_key(ALICE, "A").expect("key").public_key();
    rig.devnet.operator_sets_key(ALICE, &a).expect("operator");
    until("the change is told", &rig, || {
        told("somebody else changed the signing key") == 1
    })
    .await;
    assert_eq!(told("a switch was sent"), 1, "{:?}", slack.json());
    assert_eq!(told("the switch is in effect"), 1, "{:?}", slack.json());
    rig.stop().await;
}
