//! The watcher over a devnet, real HTTP included: what it publishes must be what really happened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use slotkeeper::chain::{self, ChainSpec, Protocol};
use slotkeeper::config::{ChainConfig, Config, EndpointConfig, KeyConfig};
use slotkeeper::devnet::{self, Devnet, DevnetConfig};
use slotkeeper::keys::{PublicKey, Signer as _};
use slotkeeper::rpc::Pool;
use slotkeeper::watch::{
    Fault, FaultClause, LedgerStore, Readiness, Snapshot, StoreError, StoreFuture, Watcher,
};
use tokio::sync::watch;

use crate::fixtures;

const INTERVAL_MS: u64 = 200;
const POLL: Duration = Duration::from_millis(70);
/// Nothing here takes so long; it only ends a test that would hang.
const DEADLINE: Duration = Duration::from_secs(90);

/// A state file in memory that can be made to fail.
#[derive(Default)]
struct Memory {
    rows: Mutex<BTreeMap<String, String>>,
    fails: Mutex<bool>,
}

impl LedgerStore for Memory {
    fn load<'a>(&'a self, _chain: &'a str) -> StoreFuture<'a, Vec<(String, String)>> {
        let rows = self.rows.lock().unwrap().clone().into_iter().collect();
        Box::pin(async move { Ok(rows) })
    }

    fn save<'a>(&'a self, _chain: &'a str, rows: Vec<(String, String)>) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            if *self.fails.lock().unwrap() {
                return Err(StoreError {
                    what: "saving the ledger".into(),
                    problem: "disk full".into(),
                });
            }
            self.rows.lock().unwrap().extend(rows);
            Ok(())
        })
    }
}

/// A devnet, a store, and a watcher that can be stopped and started again.
struct House {
    devnet: Devnet,
    config: Config,
    store: Arc<Memory>,
}

struct Running {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

fn endpoint(url: &str, provider: &str) -> EndpointConfig {
    EndpointConfig {
        url: url.to_owned(),
        label: url.to_owned(),
        provider: provider.to_owned(),
        allow_insecure: false,
        soft_timeout: Duration::from_millis(500),
        hard_timeout: Duration::from_secs(1),
    }
}

fn node_key(node: &str) -> PublicKey {
    devnet::chain::node_key("alice", node).unwrap().public_key()
}

impl House {
    async fn build() -> Self {
        let devnet = Devnet::start(DevnetConfig {
            interval_ms: INTERVAL_MS,
            others: 6,
            ..DevnetConfig::default()
        })
        .await
        .unwrap();
        let url = |name: &str| devnet.endpoint_of(name).unwrap().url();
        let mut config = fixtures::config();
        config.chains = vec![ChainConfig {
            spec: ChainSpec {
                name: "steem".into(),
                protocol: Protocol::Steem,
                chain_id: chain::graphene::TESTNET_CHAIN_ID,
                address_prefix: "TST".into(),
                core_symbol: "TESTS".into(),
                block_interval: i64::try_from(INTERVAL_MS).unwrap(),
            },
            poll_interval: POLL,
            quorum: 2,
            quorum_explicit: false,
            min_participation: 0.67,
            endpoints: ["full1", "full2", "full3"]
                .map(|name| endpoint(&url(name), name))
                .to_vec(),
            watch_all: false,
        }];
        let mut alice = fixtures::producer("alice", &[]);
        alice.keys = ["A", "B"]
            .map(|node| KeyConfig {
                signing_key: node_key(node),
                node: Some(endpoint(&url(node), node)),
                assume_ready: false,
                finalizer_key: None,
            })
            .to_vec();
        config.producers = vec![alice];
        Self {
            devnet,
            config,
            store: Arc::default(),
        }
    }

    fn run(&self) -> Running {
        let configured = &self.config.chains[0];
        let chain = chain::open(configured.spec.clone());
        let pool = Pool::new(Arc::clone(&chain), configured).unwrap();
        let store: Arc<dyn LedgerStore> = Arc::clone(&self.store) as _;
        let watcher = Watcher::new(chain, pool, &self.config, "steem", store).unwrap();
        let (stop, stopped) = watch::channel(false);
        Running {
            snapshots: watcher.subscribe(),
            stop,
            task: tokio::spawn(watcher.run(stopped)),
        }
    }
}

impl Running {
    /// The first snapshot from now on of which `holds` is true.
    async fn until(&mut self, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let found = tokio::time::timeout(DEADLINE, self.snapshots.wait_for(|s| holds(s)))
            .await
            .map(|snapshot| Arc::clone(&snapshot.unwrap()));
        found.unwrap_or_else(|_| panic!("never saw {what}: {:#?}", self.snapshots.borrow()))
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(DEADLINE, self.task)
            .await
            .unwrap()
            .unwrap();
    }
}

fn missed(snapshot: &Snapshot, key: PublicKey) -> u64 {
    snapshot.producers["alice"].keys[&Some(key)].missed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_is_seen_and_a_switch_ends_the_fault() {
    let house = House::build().await;
    let (a, b) = (node_key("A"), node_key("B"));
    let mut running = house.run();
    let healthy = running
        .until("a caught-up ledger and healthy nodes", |s| {
            let alice = &s.producers["alice"];
            s.slots.caught_up
                && s.slots.slots > 0
                && alice.fault == Fault::No
                && alice.nodes[&a].up == Some(true)
                && alice.ready[&b] == Readiness::Ready
                && alice.active_keys.contains_key("alice")
                && alice.last_block.is_some()
        })
        .await;
    assert!(healthy.agreement.is_ok());
    assert!(healthy.irreversible.is_some());
    let alice = &healthy.producers["alice"];
    assert_eq!(
        alice.keys.len(),
        2,
        "counters of both keys exist from the start"
    );
    assert_eq!((missed(&healthy, a), missed(&healthy, b)), (0, 0));
    assert!(alice.scheduled && alice.no_ready_standby_since.is_none());
    assert_eq!(alice.state.as_ref().unwrap().registered_key, a);

    house.devnet.crash_node("A").unwrap();
    let faulty = running
        .until("the fault", |s| {
            matches!(s.producers["alice"].fault, Fault::Yes(_))
        })
        .await;
    let alice = &faulty.producers["alice"];
    assert_eq!(
        alice.fault,
        Fault::Yes(FaultClause::NodeDown),
        "one miss is enough"
    );
    assert_eq!(alice.nodes[&a].up, Some(false));
    assert_eq!((alice.consecutive_missed, missed(&faulty, a)), (1, 1));
    assert_eq!(alice.fault_since, alice.last_missed);

    // A restart in the middle: nothing forgotten, nothing counted twice.
    running.stop().await;
    let mut running = house.run();
    running
        .until("a second miss", |s| {
            s.slots.caught_up && s.producers["alice"].consecutive_missed >= 2
        })
        .await;

    house.devnet.operator_sets_key("alice", &b).unwrap();
    let over = running
        .until("blocks under the new key", |s| {
            let alice = &s.producers["alice"];
            s.slots.caught_up && alice.keys[&Some(b)].produced > 0
        })
        .await;
    let alice = &over.producers["alice"];
    assert_eq!(alice.fault, Fault::No);
    assert_eq!((alice.consecutive_missed, missed(&over, b)), (0, 0));
    let truth = house.devnet.truth();
    let really = truth.missed("alice").count();
    assert_eq!(
        missed(&over, a),
        really as u64,
        "every miss under the old key, each once"
    );
    assert!(!alice.keys.contains_key(&None));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_agreement_figures_stand_still_and_are_made_up_for_afterwards() {
    let house = House::build().await;
    let a = node_key("A");
    let mut running = house.run();
    running
        .until("a caught-up ledger", |s| {
            s.slots.caught_up && s.slots.slots > 0
        })
        .await;
    *house.store.fails.lock().unwrap() = true;
    for name in ["full1", "full2"] {
        let endpoint = house.devnet.endpoint_of(name).unwrap();
        endpoint.set_fault(devnet::Fault::Refused);
    }
    let lost = running
        .until("the loss of agreement", |s| s.agreement.is_err())
        .await;
    assert!(
        lost.last_view.is_some(),
        "the last view stays for people to see"
    );
    assert!(lost.store_failures > 0 || house.store.rows.lock().unwrap().len() > 1);
    let before = lost.producers["alice"].clone();

    house.devnet.crash_node("A").unwrap();
    let truth = |house: &House| house.devnet.truth().missed("alice").count();
    let began = tokio::time::Instant::now();
    while truth(&house) < 2 {
        assert!(began.elapsed() < DEADLINE, "the devnet does not go on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let blind = running.snapshots.borrow_and_update().clone();
    assert!(blind.agreement.is_err());
    let alice = &blind.producers["alice"];
    assert_eq!((alice.fault, missed(&blind, a)), (before.fault, 0));

    for name in ["full1", "full2"] {
        house.devnet.endpoint_of(name).unwrap().clear_fault();
    }
    *house.store.fails.lock().unwrap() = false;
    let back = running
        .until("agreement, and the slots made up for", |s| {
            s.agreement.is_ok() && s.slots.caught_up && missed(s, a) >= 2
        })
        .await;
    assert!(matches!(back.producers["alice"].fault, Fault::Yes(_)));
    // Every missed slot of the chain, each once. Of rounds that nobody saw it may stay unknown whose they were.
    let judged = back.last_view.as_ref().unwrap().head.time;
    let truth = house.devnet.truth();
    let really = truth
        .slots
        .iter()
        .filter(|s| s.block.is_none() && i64::try_from(s.time_ms).unwrap() <= judged);
    assert_eq!(back.slots.missed, really.count() as u64);
    assert!(missed(&back, a) <= truth.missed("alice").count() as u64);
    running.stop().await;
}
