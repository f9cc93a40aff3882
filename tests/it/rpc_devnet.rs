//! The pool against the devnet: a living chain, real dialects, and each of the devnet's endpoint faults in turn.

use std::collections::BTreeMap;
use std::time::Duration;

use slotkeeper::chain::{self, BlockId, ChainSpec, Memory, Protocol};
use slotkeeper::clock::now_ms;
use slotkeeper::config::ChainConfig;
use slotkeeper::devnet::chain::node_key;
use slotkeeper::devnet::{Devnet, DevnetConfig, Fault};
use slotkeeper::keys::{PublicKey, Signer};
use slotkeeper::rpc::agree::agree;
use slotkeeper::rpc::{EndpointStatus, Pool, RpcOutcome, View};

use super::rpc_server::endpoint;

const INTERVAL: u64 = 500;
/// Agreed blocks to see with the fault standing.
const BLOCKS: u64 = 6;
/// Ticks that end a test that has failed.
const TOO_MANY: usize = 400;

struct Watch {
    pool: std::sync::Arc<Pool>,
    ids: BTreeMap<u64, BlockId>,
}

// === impl Watch ===

impl Watch {
    fn new(net: &Devnet, endpoints: usize, quorum: usize) -> Self {
        let spec = ChainSpec {
            name: "devnet".into(),
            protocol: Protocol::Steem,
            chain_id: slotkeeper::chain::graphene::TESTNET_CHAIN_ID,
            address_prefix: "TST".into(),
            core_symbol: "TESTS".into(),
            block_interval: i64::try_from(INTERVAL).unwrap(),
        };
        let endpoints = net.endpoints().take(endpoints).map(|one| {
            let mut config = endpoint(&one.url(), one.name());
            config.soft_timeout = Duration::from_secs(1);
            config.hard_timeout = Duration::from_secs(3);
            config
        });
        let config = ChainConfig {
            spec: spec.clone(),
            poll_interval: Duration::from_millis(INTERVAL / 3),
            quorum,
            quorum_explicit: true,
            min_participation: 0.67,
            endpoints: endpoints.collect(),
            watch_all: false,
        };
        let pool = Pool::new(chain::open(spec), &config).unwrap();
        Self {
            pool,
            ids: BTreeMap::new(),
        }
    }

    /// One tick, asking for the blocks after the newest agreed one, as the ledger does.
    async fn tick(&mut self) -> Option<View> {
        let next = self.ids.keys().next_back().map_or(1, |num| num + 1);
        let memory = Memory {
            identity: true,
            producers: vec!["alice".into()],
            blocks: (next..next + 4).collect(),
            authorities: Vec::new(),
            aliases: std::sync::Arc::default(),
        };
        let reports = self.pool.ask(&memory).await;
        let known = |num| self.ids.get(&num).cloned();
        let view = agree(&self.pool.rules(), &reports, &known, now_ms()).ok()?;
        self.pool.note_view(&view);
        for block in &view.blocks {
            self.ids.insert(block.num, block.id.clone());
        }
        self.ids.insert(view.head.num, view.head.id.clone());
        Some(view)
    }
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::Refused,
        Fault::BlackHole,
        Fault::SlowDrip { byte_ms: 50 },
        Fault::TlsFailure,
        Fault::HttpStatus {
            status: 429,
            retry_after: Some(30),
        },
        Fault::HttpStatus {
            status: 503,
            retry_after: None,
        },
        Fault::Html,
        Fault::TruncatedJson,
        Fault::HugeBody { bytes: 100 << 20 },
        Fault::WrongChainId,
        Fault::StaleHead { blocks: 20 },
        Fault::FrozenHead,
        Fault::MinorityFork { back: 3 },
        Fault::TotalMissedDip { by: 5 },
        Fault::RedirectHttps { status: 301 },
        Fault::LostReply,
    ]
}

/// Whether the fault can be seen in the endpoint's standing.
fn shows(fault: &Fault, status: &EndpointStatus) -> bool {
    let counted = |outcome: RpcOutcome| status.requests[&outcome] > 0 && !status.up;
    match fault {
        Fault::Refused | Fault::LostReply | Fault::TlsFailure => counted(RpcOutcome::Refused),
        Fault::BlackHole | Fault::SlowDrip { .. } => counted(RpcOutcome::Timeout),
        Fault::HttpStatus { status: 429, .. } => {
            counted(RpcOutcome::RateLimited) && counted(RpcOutcome::Skipped)
        }
        Fault::HttpStatus { .. } => counted(RpcOutcome::ServerError),
        Fault::Html | Fault::TruncatedJson => counted(RpcOutcome::Malformed),
        Fault::HugeBody { .. } => counted(RpcOutcome::TooLarge),
        Fault::WrongChainId => {
            counted(RpcOutcome::WrongChain) && status.chain_id_match == Some(false)
        }
        Fault::StaleHead { .. } | Fault::FrozenHead => status.lag.is_some_and(|lag| lag > 2),
        Fault::MinorityFork { .. } => !status.up || status.lag.is_some_and(|lag| lag > 2),
        // Where it leads nothing answers TLS.
        Fault::RedirectHttps { .. } => !status.up && status.error.is_some(),
        // Its own counter is nobody's evidence.
        Fault::TotalMissedDip { .. } | Fault::UnpaidDip { .. } => status.up,
        // What a node need not have, or a gateway words otherwise, is no fault of the endpoint.
        Fault::NoMethod { .. } | Fault::NullIsError | Fault::Slow { .. } => status.up,
    }
}

/// The chain goes on being seen, block by block and with the right key, while endpoint `at` of `endpoints` has `fault`.
async fn goes_on(fault: Fault, at: usize, endpoints: usize, quorum: usize) {
    let net = Devnet::start(DevnetConfig {
        interval_ms: INTERVAL,
        ..DevnetConfig::default()
    })
    .await
    .unwrap();
    let key: PublicKey = node_key("alice", "A").unwrap().public_key();
    let mut watch = Watch::new(&net, endpoints, quorum);
    let mut start = None;
    let mut seen = 0;
    let mut ticks = 0;
    while seen < BLOCKS || !shows(&fault, &watch.pool.statuses()[at]) {
        ticks += 1;
        assert!(
            ticks < TOO_MANY,
            "{fault:?}: {seen} blocks, {:?}",
            watch.pool.statuses()[at]
        );
        if let Some(view) = watch.tick().await {
            let first = *start.get_or_insert_with(|| {
                net.endpoint(at).set_fault(fault.clone());
                view.head.num
            });
            seen = view.head.num.saturating_sub(first);
            let alice = view.producers["alice"].state.as_ref().unwrap();
            assert_eq!(alice.registered_key, key, "{fault:?}");
        }
        tokio::time::sleep(Duration::from_millis(INTERVAL / 3)).await;
    }
    // Every block that was agreed on is one of the main branch.
    let slots = net.truth().slots;
    let truth: BTreeMap<u64, &str> = slots
        .iter()
        .filter_map(|slot| slot.block.as_ref())
        .map(|(num, id, _)| (*num, id.as_str()))
        .collect();
    for (num, id) in &watch.ids {
        assert_eq!(
            truth.get(num),
            Some(&id.0.as_str()),
            "{fault:?}: block {num}"
        );
    }
    net.shutdown();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_fault_of_any_one_of_three_endpoints_leaves_the_chain_in_view_and_shows() {
    let runs: Vec<_> = faults()
        .into_iter()
        .enumerate()
        .map(|(n, fault)| tokio::spawn(goes_on(fault, n % 3, 3, 2)))
        .collect();
    for run in runs {
        run.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_two_endpoints_and_quorum_one_only_a_contradiction_hides_the_chain() {
    let contradicts = |fault: &Fault| matches!(fault, Fault::MinorityFork { .. });
    let runs: Vec<_> = faults()
        .into_iter()
        .filter(|fault| !contradicts(fault))
        .enumerate()
        .map(|(n, fault)| tokio::spawn(goes_on(fault, n % 2, 2, 1)))
        .collect();
    for run in runs {
        run.await.unwrap();
    }
}
