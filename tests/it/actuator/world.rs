//! A chain in memory that one producer's key lives on: takes real signed Steem transactions as a compare-and-swap,
//! can lose broadcasts and replies, publishes snapshots, and survives the actuator.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::actuator::journal::{Entry, Loaded, Soon};
use slotkeeper::actuator::{
    Action, ActuatorHandle, Authority, Cause, Driver, EventRecord, Incoming, Journal, JournalError,
    Keyring, Link, NoAlertmanager, Parts, SqliteJournal, SubmitStatus, Wire,
};
use slotkeeper::actuator::{AlertSource, DecisionRecord};
use slotkeeper::chain::{
    self, BlockId, BlockRef, Call, Chain, Method, ProducerState, Reply, RpcFault,
};
use slotkeeper::clock::now_ms;
use slotkeeper::config::{self, Config};
use slotkeeper::keys::{PublicKey, SecretKey, Signer};
use slotkeeper::rpc::{AgreedProducer, Disagreement, EndpointError, RpcOutcome, View};
use slotkeeper::watch::{Fault, FaultClause, ProducerSnapshot, Readiness, Snapshot};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(super) const INTERVAL: i64 = 3_000;

pub(super) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed_sha256(&format!("key {n}")).unwrap()
}

pub(super) fn key(n: u8) -> PublicKey {
    secret(n).public_key()
}

/// The chain.
pub(super) struct World {
    state: Mutex<State>,
    pub(super) sender: watch::Sender<Arc<Snapshot>>,
}

pub(super) struct State {
    pub(super) head: u64,
    /// Chain time runs ahead of the local clock here, which the views' clock offset allows.
    pub(super) time: i64,
    pub(super) key: PublicKey,
    /// Every change by transaction: block, from, to.
    pub(super) switches: Vec<(u64, PublicKey, PublicKey)>,
    /// Blocks that are irreversible after so many more.
    pub(super) finality: u64,
    pub(super) drop_broadcasts: bool,
    pub(super) lose_replies: bool,
    pub(super) quorum: bool,
    pub(super) fault: Fault,
    pub(super) ready: BTreeMap<PublicKey, Readiness>,
    pub(super) broadcasts: usize,
    seen: BTreeSet<String>,
    pool: Vec<Value>,
    tick: u64,
}

// === impl World ===

impl World {
    pub(super) fn new() -> Arc<Self> {
        let world = Arc::new(Self {
            state: Mutex::new(State {
                head: 1_000,
                time: now_ms() / 1000 * 1000,
                key: key(1),
                switches: vec![],
                finality: 5,
                drop_broadcasts: false,
                lose_replies: false,
                quorum: true,
                fault: Fault::Yes(FaultClause::Consecutive),
                ready: (1..=3).map(|n| (key(n), Readiness::Ready)).collect(),
                broadcasts: 0,
                seen: BTreeSet::new(),
                pool: vec![],
                tick: 0,
            }),
            sender: watch::Sender::new(Arc::new(Snapshot::empty())),
        });
        world.publish();
        world
    }

    pub(super) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap())
    }

    /// One block: takes what the pool holds, then shows itself.
    pub(super) fn step(&self) {
        self.with(|s| {
            s.head += 1;
            s.time += INTERVAL;
            for transaction in std::mem::take(&mut s.pool) {
                let (from, to, expiry) = parse(&transaction);
                // The chain's own compare-and-swap and expiry.
                if from == s.key && s.time <= expiry {
                    s.switches.push((s.head, from, to));
                    s.key = to;
                    s.fault = Fault::No;
                }
            }
        });
        self.publish();
    }

    pub(super) fn publish(&self) {
        let snapshot = self.with(|s| {
            s.tick += 1;
            snapshot(s)
        });
        self.sender.send_replace(Arc::new(snapshot));
    }

    fn receive(&self, call: &Call) -> Result<Reply, EndpointError> {
        let lost = EndpointError {
            outcome: RpcOutcome::Timeout,
            detail: "no answer".into(),
        };
        self.with(|s| {
            s.broadcasts += 1;
            if s.drop_broadcasts {
                return Err(lost.clone());
            }
            let transaction = call.params[0].clone();
            let fresh = s.seen.insert(transaction.to_string());
            if fresh {
                s.pool.push(transaction);
            }
            if s.lose_replies {
                return Err(lost);
            }
            Ok(if fresh {
                Ok(json!({}))
            } else {
                Err(duplicate())
            })
        })
    }
}

/// What steemd says to a transaction it has.
fn duplicate() -> RpcFault {
    RpcFault {
        code: -32000,
        message: "Duplicate transaction check failed".into(),
        data: json!({"code": 10, "name": "assert_exception", "stack": [{
            "format": "Duplicate transaction check failed", "data": {"trx_id": ""}}]}),
    }
}

fn parse(transaction: &Value) -> (PublicKey, PublicKey, i64) {
    let operation = &transaction["operations"][0];
    assert_eq!(operation[0], "witness_set_properties", "{transaction}");
    let property = |name: &str| {
        let all = operation[1]["props"].as_array().unwrap();
        let found = all.iter().find(|p| p[0] == name).unwrap();
        PublicKey::from_hex(found[1].as_str().unwrap()).unwrap()
    };
    let expiry: jiff::Timestamp = format!("{}Z", transaction["expiration"].as_str().unwrap())
        .parse()
        .unwrap();
    (
        property("key"),
        property("new_signing_key"),
        expiry.as_millisecond(),
    )
}

fn snapshot(s: &State) -> Snapshot {
    let state = ProducerState {
        registered_key: s.key,
        effective_key: s.key,
        enabled: !s.key.is_null(),
        url: "https://alice.example".into(),
        props: Value::Null,
        reported_missed: None,
        last_block: None,
        version: None,
        feed_time: None,
        coming: None,
        unpaid_blocks: None,
    };
    let block = |num: u64, time| BlockRef {
        num,
        id: BlockId(format!("{num:08x}{}", "ab".repeat(16))),
        time,
    };
    let view = View {
        observed_at: now_ms(),
        head: block(s.head, s.time),
        head_slot: s.head,
        irreversible: s.head - s.finality,
        participation: Some(0.95),
        schedules: vec![],
        producers: [(
            "alice".to_owned(),
            AgreedProducer {
                state: Some(state.clone()),
                settling: false,
            },
        )]
        .into(),
        blocks: vec![],
        active_keys: BTreeMap::new(),
        agreeing: 1,
        clock_offset: Some(0),
        aliases: None,
        finalizers: None,
        election: None,
    };
    let late = i64::try_from(s.finality).unwrap() * INTERVAL;
    let mut all = Snapshot::empty();
    all.chain = "steem".into();
    all.tick = s.tick;
    all.tick_at = now_ms();
    all.irreversible = Some(block(s.head - s.finality, s.time - late));
    all.last_view = Some(Arc::new(view.clone()));
    all.agreement = if s.quorum {
        Ok(Arc::new(view))
    } else {
        Err(Disagreement::TooFew {
            fresh: 0,
            quorum: 1,
            why: "refused".into(),
        })
    };
    all.slots.judged = s.head;
    all.slots.schedule_until = Some(s.head + 21);
    all.quorum = 1;
    all.providers = 1;
    all.producers = [("alice".to_owned(), Arc::new(alice(s, state)))].into();
    all
}

fn alice(s: &State, state: ProducerState) -> ProducerSnapshot {
    ProducerSnapshot {
        state: Some(state),
        state_time: Some(s.time),
        settling: false,
        keys: BTreeMap::new(),
        retracted: 0,
        consecutive_missed: if s.fault == Fault::No { 0 } else { 2 },
        window_missed: 0,
        last_missed: None,
        tenure_since: None,
        last_block: None,
        next_slot: None,
        scheduled: true,
        fault: s.fault,
        fault_since: None,
        others_participation: Some(1.0),
        others_since_run: None,
        nodes: BTreeMap::new(),
        ready: s.ready.clone(),
        no_ready_standby_since: None,
        active_keys: BTreeMap::new(),
        conflicting_blocks: 0,
    }
}

/// The way to it.
pub(super) struct Cable(pub(super) Arc<World>);

impl Wire for Cable {
    fn ask_all(&self, _: Vec<Call>) -> Soon<'static, Vec<Result<Vec<Reply>, EndpointError>>> {
        // No transaction status plugin: the registered key is the only witness.
        Box::pin(async { vec![Ok(vec![Err(duplicate())])] })
    }

    fn transmit(&self, call: Call) -> Soon<'static, Vec<Result<Reply, EndpointError>>> {
        let world = Arc::clone(&self.0);
        Box::pin(async move { vec![world.receive(&call)] })
    }
}

/// A journal whose process dies after (or right before) its n-th write.
pub(super) struct Dying {
    pub(super) inner: SqliteJournal,
    pub(super) left: AtomicUsize,
    /// The last write reaches the disk.
    pub(super) durable: bool,
    pub(super) dead: AtomicBool,
}

impl Journal for Dying {
    fn write(&self, entries: Vec<Entry>) -> Soon<'static, Result<(), JournalError>> {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| {
                Some(n.saturating_sub(1))
            })
            .unwrap();
        match before {
            0 => {
                self.dead.store(true, Ordering::SeqCst);
                Box::pin(std::future::pending())
            }
            1 if self.durable => {
                let written = self.inner.write(entries);
                self.dead.store(true, Ordering::SeqCst);
                Box::pin(async move {
                    // Durable, but nobody lives to hear of it.
                    let _ = written.await;
                    std::future::pending().await
                })
            }
            1 => {
                self.dead.store(true, Ordering::SeqCst);
                Box::pin(std::future::pending())
            }
            _ => self.inner.write(entries),
        }
    }
    fn load(&self) -> Result<Loaded, JournalError> {
        self.inner.load()
    }
    fn decisions(
        &self,
        id: Option<String>,
        limit: usize,
    ) -> Soon<'static, Result<Vec<DecisionRecord>, JournalError>> {
        self.inner.decisions(id, limit)
    }
    fn events(&self, limit: usize) -> Soon<'static, Result<Vec<EventRecord>, JournalError>> {
        self.inner.events(limit)
    }
    fn ledger(&self, chain: &str) -> Soon<'static, Result<Vec<(String, String)>, JournalError>> {
        self.inner.ledger(chain)
    }
    fn kv_all(&self, kind: &str) -> Soon<'static, Result<Vec<(String, Value)>, JournalError>> {
        self.inner.kv_all(kind)
    }
    fn writable(&self) -> bool {
        self.inner.writable()
    }
    fn write_failures(&self) -> u64 {
        self.inner.write_failures()
    }
}

/// One life of the actuator.
pub(super) struct Life {
    pub(super) handle: ActuatorHandle,
    loops: JoinSet<()>,
    stop: watch::Sender<bool>,
}

pub(super) fn config(dir: &Path) -> Config {
    config_of(dir, "alice", &[1, 2, 3])
}

pub(super) fn config_of(dir: &Path, producer: &str, keys: &[u8]) -> Config {
    let keys: Vec<String> = keys
        .iter()
        .map(|n| {
            format!(
                "{{signing_key: \"{}\", assume_ready: true}}",
                key(*n).to_text("STM")
            )
        })
        .collect();
    let text = format!(
        "state_file: s.db
chains:
  - name: steem
    protocol: steem
    quorum: 1
    endpoints: [{{url: \"https://api.example.org\"}}]
producers:
  - chain: steem
    name: {producer}
    keys: [{}]
    authority: [{{method: witness_set_properties, key_files: [k.pem]}}]
actuator: {{armed: true}}
",
        keys.join(", ")
    );
    config::parse(&text, dir).unwrap()
}

impl Life {
    pub(super) async fn begin(
        world: &Arc<World>,
        config: Config,
        journal: Arc<dyn Journal>,
    ) -> Self {
        Self::with_alerts(world, config, journal, Arc::new(NoAlertmanager)).await
    }

    pub(super) async fn with_alerts(
        world: &Arc<World>,
        config: Config,
        journal: Arc<dyn Journal>,
        alerts: Arc<dyn AlertSource>,
    ) -> Self {
        let chain: Arc<dyn Chain> = chain::open(config.chains[0].spec.clone());
        let signers: Vec<Arc<dyn Signer>> = (1..=3)
            .map(|n| Arc::new(secret(n)) as Arc<dyn Signer>)
            .collect();
        let ring = Keyring {
            authorities: vec![Authority {
                method: Method::WitnessSetProperties,
                keys: (1..=3).map(key).collect(),
                missing: vec![],
                permission: None,
                of: "alice".into(),
            }],
            signers,
        };
        let (handle, drivers): (_, Vec<Driver>) = slotkeeper::actuator::start(Parts {
            config: Arc::new(config),
            journal,
            alerts,
            keyrings: [(("steem".to_owned(), "alice".to_owned()), ring)].into(),
            links: [(
                "steem".to_owned(),
                Link {
                    chain,
                    wire: Arc::new(Cable(Arc::clone(world))),
                    snapshots: world.sender.subscribe(),
                },
            )]
            .into(),
            missing_state_hold: Duration::ZERO,
        })
        .await
        .unwrap();
        let (stop, stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        for driver in drivers {
            loops.spawn(driver.run(stopped.clone()));
        }
        Self {
            handle,
            loops,
            stop,
        }
    }

    /// An orderly end.
    pub(super) async fn end(mut self) {
        self.stop.send(true).unwrap();
        while self.loops.join_next().await.is_some() {}
    }

    /// A power cut.
    pub(super) async fn kill(mut self) {
        self.loops.shutdown().await;
    }

    /// What Prometheus does while `key(n)` is at fault.
    pub(super) async fn alert(&self, n: u8) -> Result<SubmitStatus, JournalError> {
        self.alert_at(n, now_ms()).await
    }

    pub(super) async fn alert_at(&self, n: u8, at: i64) -> Result<SubmitStatus, JournalError> {
        let done = self.handle.submit(vec![webhook(n, at)]).await?;
        Ok(done[0].status)
    }

    pub(super) async fn last_reason(&self) -> String {
        let all = self.handle.decisions(None, 1).await.unwrap();
        all.first().map_or(String::new(), |d| d.reason.clone())
    }
}

pub(super) fn webhook(n: u8, at: i64) -> Incoming {
    Incoming {
        chain: "steem".into(),
        producer: "alice".into(),
        action: Action::Failover,
        cause: Cause::Webhook,
        fence: Some(key(n)),
        fingerprint: Some("f".into()),
        labels: vec![],
        evaluated_at: Some(at),
        to: None,
        override_reason: None,
    }
}

/// Steps the world until `done`; panics when it never comes.
pub(super) async fn until(world: &World, what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..400 {
        if done() {
            return;
        }
        world.step();
        // Gives the loop time to see this snapshot before the next replaces it.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}
