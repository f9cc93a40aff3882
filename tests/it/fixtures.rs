//! A configuration and a snapshot that look like a real Steem producer with one standby, made by hand.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use slotkeeper::actuator::{
    Action, ActuatorSnapshot, AttemptStanding, Durations, ProducerStanding, Reason, Stage, Verdict,
    Waiting,
};
use slotkeeper::chain::{BlockId, BlockRef, ChainSpec, Method, ProducerState, Protocol};
use slotkeeper::clock::Millis;
use slotkeeper::config::{
    ActuatorConfig, AuthorityConfig, ChainConfig, Config, ControlListener, DisableWhen,
    EndpointConfig, FaultConfig, GuardConfig, GuardMode, HeartbeatConfig, KeyConfig, Listener,
    ProducerConfig, WhenExhausted,
};
use slotkeeper::keys::PublicKey;
use slotkeeper::rpc::{EndpointStatus, RpcOutcome, View};
use slotkeeper::watch::{
    ChainSlots, Fault, KeyCounts, NodeHealth, ProducerSnapshot, Readiness, RecentSlot, SlotOutcome,
    Snapshot,
};

/// 2025-11-21 07:37:32 UTC.
pub(crate) const NOW: Millis = 1_763_710_652_000;

/// A key that no secret is known for: fine for showing.
pub(crate) fn key(n: u8) -> PublicKey {
    let mut bytes = [n; 33];
    bytes[0] = 2;
    PublicKey::from_bytes(bytes)
}

pub(crate) fn endpoint(label: &str) -> EndpointConfig {
    EndpointConfig {
        url: label.into(),
        label: label.into(),
        provider: label.trim_start_matches("https://").into(),
        allow_insecure: false,
        soft_timeout: Duration::from_secs(1),
        hard_timeout: Duration::from_secs(3),
    }
}

pub(crate) fn config() -> Config {
    Config {
        web: Listener {
            listen: "127.0.0.1:0".into(),
            external_url: None,
            config_file: None,
        },
        control: ControlListener {
            listen: "127.0.0.1:0".into(),
            token_file: None,
            config_file: None,
        },
        state_file: PathBuf::from("slotkeeper.db"),
        chains: vec![ChainConfig {
            spec: ChainSpec {
                name: "steem".into(),
                protocol: Protocol::Steem,
                chain_id: [0; 32],
                address_prefix: "STM".into(),
                core_symbol: "STEEM".into(),
                block_interval: 3000,
            },
            poll_interval: Duration::from_secs(1),
            quorum: 2,
            quorum_explicit: false,
            min_participation: 0.67,
            endpoints: [
                "https://a.example",
                "https://b.example",
                "https://c.example",
            ]
            .map(endpoint)
            .to_vec(),
            watch_all: false,
        }],
        producers: vec![producer("alice", &[key(1), key(2)])],
        actuator: ActuatorConfig {
            armed: false,
            max_alert_age: Duration::from_secs(120),
            alertmanagers: vec![],
        },
        fault: FaultConfig {
            consecutive_misses: 2,
            consecutive_misses_node_healthy: 3,
            allowed_misses: 5,
            miss_window: Duration::from_secs(86_400),
        },
        guard: GuardConfig {
            mode: GuardMode::Off,
            patience: Duration::from_secs(30),
            labels: vec![("alertname".into(), "ProducerFault".into())],
        },
        heartbeats: vec![HeartbeatConfig {
            source: "prometheus-a".into(),
            max_silence: Duration::from_secs(20),
            max_age: Duration::from_secs(30),
        }],
        notify: vec![],
        pings: vec![],
        warnings: vec![],
    }
}

pub(crate) fn producer(name: &str, keys: &[PublicKey]) -> ProducerConfig {
    ProducerConfig {
        chain: "steem".into(),
        name: name.into(),
        keys: keys
            .iter()
            .map(|k| KeyConfig {
                signing_key: *k,
                node: Some(endpoint("https://node.example")),
                assume_ready: false,
                finalizer_key: None,
            })
            .collect(),
        authority: vec![AuthorityConfig {
            method: Method::WitnessUpdate,
            key_files: vec![],
            passphrase_file: None,
            permission: None,
        }],
        when_exhausted: WhenExhausted::Hold,
        disable_when: DisableWhen {
            consecutive_misses: 10,
            no_ready_standby_for: Duration::from_secs(600),
        },
        reenable_manual: false,
        cooldown: Duration::from_secs(60),
        budget_switches: 3,
        budget_per: Duration::from_secs(86_400),
    }
}

pub(crate) fn state(registered: PublicKey) -> ProducerState {
    ProducerState {
        registered_key: registered,
        effective_key: registered,
        enabled: !registered.is_null(),
        url: "https://alice.example".into(),
        props: serde_json::json!({"account_creation_fee": "3.000 STEEM"}),
        reported_missed: Some(417),
        last_block: Some(99_990),
        version: Some("0.23.1".into()),
        feed_time: Some(NOW - 1_800_000),
        coming: None,
        unpaid_blocks: Some(7),
    }
}

pub(crate) fn producer_snapshot(registered: PublicKey, standby: PublicKey) -> ProducerSnapshot {
    ProducerSnapshot {
        state: Some(state(registered)),
        state_time: Some(NOW - 2_000),
        settling: false,
        keys: BTreeMap::from([
            (
                None,
                KeyCounts {
                    missed: 1,
                    produced: 0,
                },
            ),
            (
                Some(registered),
                KeyCounts {
                    missed: 2,
                    produced: 40,
                },
            ),
        ]),
        retracted: 0,
        consecutive_missed: 2,
        window_missed: 2,
        last_missed: Some(NOW - 63_000),
        tenure_since: None,
        last_block: Some((99_990, NOW - 126_000)),
        next_slot: Some(NOW + 21_000),
        scheduled: true,
        fault: Fault::No,
        fault_since: None,
        others_participation: Some(0.98),
        others_since_run: None,
        recent: "ppppppppppppppppm?ppppppppppppppppppppmm"
            .chars()
            .zip(0_i64..)
            .map(|(c, n)| RecentSlot {
                time: NOW - 63_000 * (40 - n),
                outcome: match c {
                    'p' => SlotOutcome::Produced,
                    'm' => SlotOutcome::Missed,
                    _ => SlotOutcome::Unknown,
                },
            })
            .collect(),
        nodes: BTreeMap::from([
            (
                registered,
                NodeHealth {
                    up: Some(false),
                    failures: 4,
                    lag: None,
                    detail: "connection refused".into(),
                },
            ),
            (
                standby,
                NodeHealth {
                    up: Some(true),
                    failures: 0,
                    lag: Some(0),
                    detail: String::new(),
                },
            ),
        ]),
        ready: BTreeMap::from([
            (
                registered,
                Readiness::NotReady("its node does not answer".into()),
            ),
            (standby, Readiness::Ready),
        ]),
        no_ready_standby_since: None,
        active_keys: Default::default(),
        conflicting_blocks: 0,
    }
}

pub(crate) fn view() -> View {
    View {
        observed_at: NOW - 500,
        head: BlockRef {
            num: 100_000,
            id: BlockId("000186a0".into()),
            time: NOW - 2_000,
        },
        head_slot: 100_050,
        irreversible: 99_985,
        participation: Some(0.992_187_5),
        schedules: vec![],
        producers: BTreeMap::new(),
        blocks: vec![],
        active_keys: BTreeMap::new(),
        agreeing: 3,
        clock_offset: None,
        aliases: None,
        finalizers: None,
        election: None,
    }
}

pub(crate) fn snapshot() -> Snapshot {
    let view = Arc::new(view());
    Snapshot {
        chain: "steem".into(),
        tick_at: NOW - 500,
        tick: 12,
        agreement: Ok(Arc::clone(&view)),
        last_view: Some(view),
        irreversible: None,
        providers: 3,
        quorum: 2,
        endpoints: vec![
            status("https://a.example", true),
            status("https://b.example", false),
        ],
        slots: ChainSlots {
            slots: 5_000,
            missed: 7,
            caught_up: true,
            judged: 99_999,
            schedule_until: Some(100_020),
        },
        election: None,
        finalizers: Arc::new(BTreeMap::from([(
            "alice".to_owned(),
            slotkeeper::chain::Finalizer {
                active_key: "PUB_BLS_one".into(),
                pending_key: Some("PUB_BLS_two".into()),
                last_vote: Some((99, NOW - 1_000)),
            },
        )])),
        producers: BTreeMap::from([(
            "alice".to_owned(),
            Arc::new(producer_snapshot(key(1), key(2))),
        )]),
        store_failures: 0,
    }
}

pub(crate) fn status(label: &str, up: bool) -> EndpointStatus {
    EndpointStatus {
        label: label.into(),
        provider: "p".into(),
        up,
        head: up.then_some(100_000),
        head_time: up.then_some(NOW - 2_000),
        lag: up.then_some(0),
        chain_id_match: up.then_some(true),
        secure: true,
        certificate_expiry: up.then_some(1_790_000_000),
        error: (!up).then(|| "connection refused".to_owned()),
        requests: BTreeMap::from([(RpcOutcome::Ok, 12)]),
        latency_buckets: vec![0, 1, 5, 12, 12, 12, 12, 12, 12, 12],
        latency_sum: 0.425,
        latency_count: 12,
    }
}

/// Disarmed, able, one switch behind it.
pub(crate) fn actuator() -> ActuatorSnapshot {
    let alice = || ("steem".to_owned(), "alice".to_owned());
    ActuatorSnapshot {
        at: NOW,
        armed: false,
        armed_difference: None,
        journal_writable: true,
        journal_write_failures: 0,
        producers: BTreeMap::from([(
            alice(),
            ProducerStanding {
                armed: Err("the global switch is off".into()),
                able: Ok(()),
                pinned: false,
                maintenance_until: None,
                attempt: Some(AttemptStanding {
                    id: "a-1".into(),
                    request_id: "r-1".into(),
                    txid: "00ff".into(),
                    stage: Stage::Irreversible,
                    from: key(1).to_text("STM"),
                    to: key(2).to_text("STM"),
                    signed_at: NOW - 90_000,
                    note: None,
                }),
                open_attempts: 0,
                last_switch: Some(NOW - 87_000),
                waiting: Some(Waiting {
                    signing_key: key(2).to_text("STM"),
                    since: NOW - 30_000,
                    stage: "proposed",
                    expected: 74_000,
                    detail: "registered for 30 s (proposed)".into(),
                }),
                budget_remaining: 2,
            },
        )]),
        decisions: BTreeMap::from([(
            (
                alice().0,
                alice().1,
                Action::Failover,
                Verdict::Wait,
                Reason::NoQuorum,
            ),
            3,
        )]),
        switches: BTreeMap::from([((alice().0, alice().1, "effective"), 1)]),
        stages: BTreeMap::from([(
            ("steem".to_owned(), "sent"),
            Durations {
                buckets: [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
                sum: 0.0075,
                count: 1,
            },
        )]),
        last_tick: BTreeMap::from([("steem".to_owned(), NOW - 400)]),
        pending: 1,
    }
}
