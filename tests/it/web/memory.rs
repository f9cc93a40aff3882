//! What Alertmanager told us outlives a restart: heartbeats and silences, through the real journal. And a stand-in
//! Alertmanager that is asked over real sockets.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use slotkeeper::actuator::{AlertSource, Journal, SqliteJournal, Standing};
use slotkeeper::alertmanager::{Alertmanagers, Heartbeats, keep};
use slotkeeper::clock;
use slotkeeper::config::{AlertmanagerConfig, Config};
use slotkeeper::metrics::Tasks;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::harness::until;
use crate::fixtures::{NOW, config};

fn journal(dir: &Path) -> Arc<SqliteJournal> {
    Arc::new(SqliteJournal::open(&dir.join("slotkeeper.db")).unwrap())
}

#[tokio::test]
async fn a_restart_forgets_no_heartbeat() {
    let dir = TempDir::new().unwrap();
    let sources = config().heartbeats;
    {
        let journal = journal(dir.path());
        let before = Arc::new(Heartbeats::new(&sources, NOW));
        let (stop, shutdown) = watch::channel(false);
        let task = Arc::new(Tasks::default()).register("heartbeats", Duration::from_secs(60));
        let keeper = tokio::spawn(keep::run(
            Arc::clone(&before),
            Arc::clone(&journal) as Arc<dyn Journal>,
            shutdown,
            task,
        ));
        assert!(before.beat("prometheus-a", NOW - 1_000, NOW));
        // The last save is at the shutdown.
        stop.send_replace(true);
        keeper.await.unwrap();
    }
    let journal = journal(dir.path());
    let after = Heartbeats::new(&sources, NOW + 15_000);
    keep::restore(&after, journal.as_ref()).await.unwrap();
    let figures = after.figures(NOW + 15_000);
    assert_eq!(figures[0].heard_at, Some(NOW));
    assert_eq!(figures[0].evaluated_at, Some(NOW - 1_000));
    assert!(!figures[0].overdue);
    assert!(
        after.all_overdue(NOW + 20_001),
        "no fresh grace after a restart"
    );
}

/// A stand-in Alertmanager: gives the same answer to everything and tells what it was asked.
/// `COUNT` in the answer is how often it was asked.
async fn alertmanager(answer: String) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, questions) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut count = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            count += 1;
            let answer = answer.replace("COUNT", &count.to_string());
            let mut head = Vec::new();
            let mut byte = [0; 1];
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
                head.push(byte[0]);
            }
            let _ = asked.send(String::from_utf8_lossy(&head).into_owned());
            let reply = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{answer}",
                answer.len()
            );
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    });
    (url, questions)
}

fn asking(urls: &[&str]) -> Config {
    let mut config = config();
    config.actuator.alertmanagers = urls
        .iter()
        .map(|url| AlertmanagerConfig {
            url: (*url).to_owned(),
            token_file: None,
            ca_file: None,
        })
        .collect();
    config
}

fn labels() -> Vec<(String, String)> {
    [
        ("alertname", "ProducerFault"),
        ("chain", "steem"),
        ("note", "a \"quoted\" & odd\\value"),
        ("empty", ""),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .to_vec()
}

fn alert(state: &str, silenced_by: &str) -> String {
    serde_json::json!([{
        "labels": {"alertname": "ProducerFault", "chain": "steem", "note": "a \"quoted\" & odd\\value", "more": "x"},
        "annotations": {}, "fingerprint": "00", "receivers": [{"name": "slotkeeper"}],
        "startsAt": "2025-11-21T07:36:30Z", "endsAt": "2025-11-21T07:46:30Z", "updatedAt": "2025-11-21T07:37:30Z",
        "status": {"state": state, "silencedBy": silenced_by.split_terminator(',').collect::<Vec<_>>(), "inhibitedBy": [], "mutedBy": []},
    }])
    .to_string()
}

async fn standing(config: &Config) -> Standing {
    Alertmanagers::new(config)
        .unwrap()
        .standing(&labels())
        .await
}

#[tokio::test]
async fn alertmanagers_are_asked_in_every_state_with_the_alerts_labels() {
    let dir = TempDir::new().unwrap();
    let (url, mut questions) = alertmanager(alert("active", "")).await;
    let mut config = asking(&[&format!("{url}/base")]);
    let token = dir.path().join("token");
    std::fs::write(&token, "sesame\n").unwrap();
    config.actuator.alertmanagers[0].token_file = Some(token);
    assert_eq!(standing(&config).await, Standing::Active);
    let question = questions.recv().await.unwrap();
    for part in [
        "GET /base/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true&filter=alertname%3D%22ProducerFault%22",
        "filter=note%3D%22a+%5C%22quoted%5C%22+%26+odd%5C%5Cvalue%22",
        "uthorization: Bearer sesame\r\n",
    ] {
        assert!(question.contains(part), "{part}\nnot in\n{question}");
    }
    assert!(!question.contains("empty"), "{question}");
}

#[tokio::test]
async fn one_that_says_silenced_outweighs_the_rest_and_a_hung_one_costs_a_second_at_most() {
    let (active, _a) = alertmanager(alert("active", "")).await;
    let (silenced, _s) = alertmanager(alert("suppressed", "5f1c")).await;
    let (absent, _n) = alertmanager("[]".into()).await;
    let hung = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hung = format!("http://{}", hung.local_addr().unwrap());
    for (urls, expected) in [
        (vec![], Standing::NotConfigured),
        (vec![&active, &absent, &hung], Standing::Active),
        (
            vec![&hung, &active, &silenced],
            Standing::Suppressed("silenced by 5f1c".into()),
        ),
        (vec![&absent, &hung], Standing::Absent),
        (vec![&hung], Standing::Unreachable),
    ] {
        let urls: Vec<&str> = urls.into_iter().map(String::as_str).collect();
        // Far more than the one second that each is given; far less than a connection takes to die by itself.
        let said = tokio::time::timeout(Duration::from_secs(60), standing(&asking(&urls)))
            .await
            .expect("a hung Alertmanager is not waited for");
        assert_eq!(said, expected, "{urls:?}");
    }
}

/// Its counters are looked at with the silences; one that keeps no counters is no trouble.
#[tokio::test]
async fn what_an_alertmanager_cannot_deliver_is_noticed() {
    let dir = TempDir::new().unwrap();
    let journal = journal(dir.path());
    let page = "alertmanager_notifications_failed_total{integration=\"slack\"} COUNT\n";
    let (failing, mut questions) = alertmanager(page.into()).await;
    let (other, _) = alertmanager("[]".into()).await;
    let asked = Alertmanagers::new(&asking(&[&format!("{failing}/base"), &other])).unwrap();
    asked.poll(journal.as_ref()).await;
    assert_eq!(asked.undelivered(), [], "what it has failed on before");
    asked.poll(journal.as_ref()).await;
    let undelivered = asked.undelivered();
    let [slack] = &undelivered[..] else {
        panic!("{undelivered:?}");
    };
    assert_eq!(slack.alertmanager, format!("{failing}/base"));
    assert_eq!(slack.integration, "slack");
    let asked: Vec<String> = std::iter::from_fn(|| questions.try_recv().ok()).collect();
    assert!(
        asked.iter().any(|q| q.starts_with("GET /base/metrics ")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn silences_are_polled_and_outlive_a_restart_and_a_dead_alertmanager() {
    let dir = TempDir::new().unwrap();
    let now = clock::now_ms();
    let time = |ms| jiff::Timestamp::from_millisecond(ms).unwrap().to_string();
    let answer = serde_json::json!([{
        "id": "5f1c", "status": {"state": "active"}, "updatedAt": time(now), "comment": "new rack", "createdBy": "ops",
        "startsAt": time(now - 60_000), "endsAt": time(now + 3_600_000),
        "matchers": [{"name": "chain", "value": "steem", "isRegex": false, "isEqual": true},
                     {"name": "producer", "value": "ali.*", "isRegex": true, "isEqual": true},
                     {"name": "alertname", "value": "ProducerFault", "isRegex": false, "isEqual": true}],
    }]);
    let (url, _questions) = alertmanager(answer.to_string()).await;
    {
        let journal = journal(dir.path());
        let live = Arc::new(Alertmanagers::new(&asking(&[&url])).unwrap());
        assert_eq!(live.cached_silence("steem", "alice", "STM7"), None);
        let (stop, shutdown) = watch::channel(false);
        let task = Arc::new(Tasks::default()).register("silences", Duration::from_secs(60));
        let poller = tokio::spawn(Arc::clone(&live).run(
            Arc::clone(&journal) as Arc<dyn Journal>,
            shutdown,
            task,
        ));
        until("the silence is known", async || {
            live.cached_silence("steem", "alice", "STM7").is_some()
        })
        .await;
        assert_eq!(live.cached_silence("steem", "bob", "STM7"), None);
        assert_eq!(live.cached_silence("hive", "alice", "STM7"), None);
        stop.send_replace(true);
        poller.await.unwrap();
    }
    // Now it is dead, and we were restarted.
    let journal = journal(dir.path());
    let later = Alertmanagers::new(&asking(&[&url])).unwrap();
    later.restore(journal.as_ref()).await.unwrap();
    assert_eq!(
        later.cached_silence("steem", "alice", "STM7").unwrap(),
        "silence 5f1c by ops (new rack)"
    );
    assert_eq!(
        later.silence_at("steem", "alice", "STM7", now + 3_600_001),
        None
    );
    let moved = Alertmanagers::new(&asking(&["http://127.0.0.1:1"])).unwrap();
    moved.restore(journal.as_ref()).await.unwrap();
    assert_eq!(
        moved.cached_silence("steem", "alice", "STM7"),
        None,
        "of an Alertmanager that is no longer configured"
    );
}
