//! A chain in memory that one producer's key lives on: takes real signed Steem transactions as a compare-and-swap,
//! can lose broadcasts and replies, publishes snapshots, and survives the actuator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::actuator::journal::Soon;
use slotkeeper::actuator::{Action, Answers, Cause, Incoming, Wire};
use slotkeeper::chain::{BlockId, BlockRef, Call, ProducerState, Reply, RpcFault};
use slotkeeper::clock::now_ms;
use slotkeeper::keys::{PublicKey, SecretKey, Signer};
use slotkeeper::rpc::{AgreedProducer, Disagreement, EndpointError, RpcOutcome, View};
use slotkeeper::watch::{Fault, FaultClause, ProducerSnapshot, Readiness, Snapshot};
use tokio::sync::watch;

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
        recent: vec![],
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
    fn ask_all(&self, questions: Vec<Vec<Call>>) -> Soon<'static, Vec<Answers>> {
        // No transaction status plugin: the registered key is the only witness.
        Box::pin(async move { vec![vec![Ok(vec![Err(duplicate())])]; questions.len()] })
    }

    fn transmit(&self, call: Call) -> Soon<'static, Vec<Result<Reply, EndpointError>>> {
        let world = Arc::clone(&self.0);
        Box::pin(async move { vec![world.receive(&call)] })
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
