//! Listeners on free ports, a stand-in actuator that remembers what it was told, and a client that speaks plain HTTP.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use slotkeeper::actuator::{
    ActuatorSnapshot, Check, DecisionRecord, EventRecord, Incoming, InterlockVerdict, JournalError,
    OperateError, OperatorCommand, Reason, SubmitStatus, Submitted,
};
use slotkeeper::alertmanager::{Heartbeats, Intake, Webhook};
use slotkeeper::clock;
use slotkeeper::config::Config;
use slotkeeper::metrics::{Metrics, Task};
use slotkeeper::watch::Snapshot;
use slotkeeper::web::{App, Desk, FOLLOWERS, Limits, Listeners, Sessions, StartError, start};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, broadcast, watch};

use crate::fixtures;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Remembers what it was told.
pub(crate) struct FakeDesk {
    pub(crate) submitted: Mutex<Vec<Incoming>>,
    pub(crate) commands: Mutex<Vec<OperatorCommand>>,
    pub(crate) armed: Mutex<Vec<bool>>,
    pub(crate) broken: AtomicBool,
    pub(crate) events: broadcast::Sender<EventRecord>,
    pub(crate) state: watch::Sender<Arc<ActuatorSnapshot>>,
}

impl FakeDesk {
    fn new() -> Self {
        let mut state = fixtures::actuator();
        state.last_tick.insert("steem".into(), clock::now_ms());
        Self {
            submitted: Mutex::default(),
            commands: Mutex::default(),
            armed: Mutex::default(),
            broken: AtomicBool::new(false),
            events: broadcast::channel(16).0,
            state: watch::channel(Arc::new(state)).0,
        }
    }

    fn refuse(&self) -> Result<(), JournalError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(JournalError::Io("disk full".into()));
        }
        Ok(())
    }
}

impl Intake for FakeDesk {
    fn submit(&self, incoming: Vec<Incoming>) -> Boxed<'_, Result<Vec<Submitted>, JournalError>> {
        Box::pin(async move {
            self.refuse()?;
            let mut known = self.submitted.lock().unwrap();
            Ok(incoming
                .into_iter()
                .map(|one| {
                    let seen = known
                        .iter()
                        .position(|k| k.producer == one.producer && k.fence == one.fence);
                    let place = seen.unwrap_or_else(|| {
                        known.push(one);
                        known.len() - 1
                    });
                    Submitted {
                        request_id: format!("r-{place}"),
                        status: if seen.is_some() {
                            SubmitStatus::Duplicate
                        } else {
                            SubmitStatus::Accepted
                        },
                    }
                })
                .collect())
        })
    }
}

impl Desk for FakeDesk {
    fn state(&self) -> watch::Receiver<Arc<ActuatorSnapshot>> {
        self.state.subscribe()
    }

    fn events(&self) -> broadcast::Receiver<EventRecord> {
        self.events.subscribe()
    }

    fn decisions(
        &self,
        request_id: Option<String>,
        limit: usize,
    ) -> Boxed<'_, Result<Vec<DecisionRecord>, JournalError>> {
        Box::pin(async move {
            self.refuse()?;
            Ok(["r-1", "r-2"]
                .into_iter()
                .filter(|id| request_id.as_deref().is_none_or(|r| r == *id))
                .take(limit)
                .map(|id| DecisionRecord {
                    request_id: id.into(),
                    time: "2025-11-21T07:37:32.000Z".into(),
                    chain: "steem".into(),
                    producer: "alice".into(),
                    action: "failover".into(),
                    cause: "webhook".into(),
                    fence: None,
                    target: None,
                    verdict: "wait".into(),
                    reason: "no_quorum".into(),
                    interlocks: Reason::INTERLOCKS
                        .into_iter()
                        .map(|name| InterlockVerdict {
                            name,
                            verdict: match name {
                                Reason::NoQuorum => Check::Deny,
                                Reason::ClockSkew => Check::Unknown,
                                _ => Check::Pass,
                            },
                            detail: format!("about {}", fixtures::key(1).to_text("STM")),
                        })
                        .collect(),
                    view: None,
                    attempt: None,
                    note: None,
                    unsigned: None,
                })
                .collect())
        })
    }

    fn operate(&self, command: OperatorCommand) -> Boxed<'_, Result<String, OperateError>> {
        Box::pin(async move {
            self.refuse()?;
            if command.producer != "alice" {
                return Err(OperateError::UnknownProducer(command.producer));
            }
            self.commands.lock().unwrap().push(command);
            Ok("r-9".into())
        })
    }

    fn arm_all(&self, armed: bool) -> Boxed<'_, Result<(), OperateError>> {
        Box::pin(async move {
            self.refuse()?;
            self.armed.lock().unwrap().push(armed);
            Ok(())
        })
    }
}

/// Listeners under test.
pub(crate) struct House {
    pub(crate) listeners: Option<Listeners>,
    pub(crate) desk: Arc<FakeDesk>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) heartbeats: Arc<Heartbeats>,
    pub(crate) snapshot: watch::Sender<Arc<Snapshot>>,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) followers: Arc<Semaphore>,
}

/// A snapshot that was taken just now.
pub(crate) fn current_snapshot() -> Snapshot {
    let mut snapshot = fixtures::snapshot();
    snapshot.tick_at = clock::now_ms();
    snapshot
}

impl House {
    pub(crate) async fn up(config: Config) -> Self {
        Self::try_up(config, Limits::default()).await.unwrap()
    }

    pub(crate) async fn try_up(config: Config, limits: Limits) -> Result<Self, StartError> {
        let desk = Arc::new(FakeDesk::new());
        let (stop, shutdown) = watch::channel(false);
        let (snapshot, snapshots) = watch::channel(Arc::new(current_snapshot()));
        let metrics = Arc::new(Metrics::new(&config, clock::now_ms()));
        let heartbeats = Arc::new(Heartbeats::new(&config.heartbeats, clock::now_ms()));
        let webhook = Webhook::new(
            &config,
            metrics.counters.clone(),
            Arc::clone(&heartbeats),
            Arc::clone(&desk) as Arc<dyn Intake>,
        );
        let followers = Arc::new(Semaphore::new(FOLLOWERS));
        let broken = Arc::clone(&desk);
        let app = App {
            config: Arc::new(config),
            snapshots: BTreeMap::from([("steem".to_owned(), snapshots)]),
            desk: Arc::clone(&desk) as Arc<dyn Desk>,
            metrics: Arc::clone(&metrics),
            heartbeats: Arc::clone(&heartbeats),
            webhook,
            reload: Box::new(move || {
                let answer = if broken.broken.load(Ordering::Relaxed) {
                    Err("slotkeeper.yml line 3: unknown key".to_owned())
                } else {
                    Ok(())
                };
                Box::pin(std::future::ready(answer))
            }),
            shutdown,
            sessions: Sessions::default(),
            followers: Arc::clone(&followers),
        };
        let listeners = start(app, limits).await?;
        Ok(Self {
            listeners: Some(listeners),
            desk,
            metrics,
            heartbeats,
            snapshot,
            stop,
            followers,
        })
    }

    /// With so many producers, each with a standby, all well.
    pub(crate) async fn crowded(n: usize) -> Self {
        let names: Vec<String> = (0..n).map(|n| format!("producer-{n:03}")).collect();
        let keys = [fixtures::key(1), fixtures::key(2)];
        let mut config = fixtures::config();
        config.producers = names
            .iter()
            .map(|name| fixtures::producer(name, &keys))
            .collect();
        let house = Self::up(config).await;
        let mut snapshot = current_snapshot();
        let alice = snapshot.producers.remove("alice").unwrap();
        snapshot.producers = names
            .iter()
            .map(|name| (name.clone(), Arc::clone(&alice)))
            .collect();
        let mut state = (**house.desk.state.borrow()).clone();
        let standing = state.producers.pop_first().unwrap().1;
        state.producers = names
            .into_iter()
            .map(|name| (("steem".to_owned(), name), standing.clone()))
            .collect();
        house.desk.state.send_replace(Arc::new(state));
        house.snapshot.send_replace(Arc::new(snapshot));
        house
    }

    pub(crate) async fn web(&self, request: &str) -> Answer {
        ask(self.listeners.as_ref().unwrap().web, request.as_bytes()).await
    }

    pub(crate) async fn control(&self, request: &str) -> Answer {
        ask(self.listeners.as_ref().unwrap().control, request.as_bytes()).await
    }

    /// A task of the house, for stalling.
    pub(crate) fn task(&self, name: &str, stall_after: Duration) -> Task {
        self.metrics.tasks.register(name, stall_after)
    }

    pub(crate) async fn down(mut self) {
        self.stop.send_replace(true);
        self.listeners.take().unwrap().stopped().await;
    }
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// One request on its own connection.
pub(crate) async fn ask(addr: std::net::SocketAddr, request: &[u8]) -> Answer {
    let stream = TcpStream::connect(addr).await.unwrap();
    speak(stream, request).await
}

/// Sends a request and reads the answer to its end.
pub(crate) async fn speak<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    request: &[u8],
) -> Answer {
    // A server that refuses early may close before all is written; its answer is what counts.
    let _ = stream.write_all(request).await;
    let mut raw = Vec::new();
    let read = async {
        let mut piece = [0; 4096];
        loop {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(n) => raw.extend_from_slice(&piece[..n]),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(90), read)
        .await
        .expect("no end of the answer within 20 s");
    parse(&raw)
}

fn parse(raw: &[u8]) -> Answer {
    let end = raw
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(raw)));
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head,
        body: raw[end + 4..].to_vec(),
    }
}

/// A request line and headers that close the connection afterwards.
pub(crate) fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}\r\n")
}

pub(crate) fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// Waits for something to become true.
pub(crate) async fn until(what: &str, mut met: impl AsyncFnMut() -> bool) {
    let started = clock::Stopwatch::start();
    while !met().await {
        assert!(
            started.elapsed() < Duration::from_secs(90),
            "{what}: not within 90 s"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A webhook payload from tests/data/webhooks.
pub(crate) fn payload(name: &str) -> String {
    let path = format!(
        "{}/tests/data/webhooks/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{path}: {e}"))
        .replace("SIGNING_KEY", &fixtures::key(1).to_text("STM"))
}
