//! Recorded failovers of real steemd, hived and witness_node (BitShares), replayed tick by tick through `Chain::read`, agreement and the ledger:
//! what comes out must equal the truth derived beforehand from headers and schedules.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use slotkeeper::actuator::decide::{Step, decide};
use slotkeeper::actuator::facts::{self, Arm, Facts, Standby, Underway};
use slotkeeper::actuator::{Action, Authority, Cause, Request, Stage};
use slotkeeper::chain::{self, ChainSpec, Memory, Method, Protocol, Reply, RpcFault};
use slotkeeper::clock::Millis;
use slotkeeper::config::{DisableWhen, FaultConfig, GuardMode, WhenExhausted};
use slotkeeper::guard;
use slotkeeper::keys::PublicKey;
use slotkeeper::rpc::agree::{Rules, agree};
use slotkeeper::rpc::{EndpointReport, View};
use slotkeeper::watch::fault::{self, Evidence};
use slotkeeper::watch::{Fault, FaultClause, Ledger, LedgerRules, Readiness};

pub(crate) const FAULT: FaultConfig = FaultConfig {
    consecutive_misses: 2,
    consecutive_misses_node_healthy: 3,
    allowed_misses: 5,
    miss_window: Duration::from_secs(86_400),
};

/// A recording and the truth about it.
pub(crate) struct Recording {
    pub(crate) spec: ChainSpec,
    pub(crate) lines: Vec<Value>,
    pub(crate) truth: Value,
    /// Wall clock at t = 0.
    pub(crate) start: Millis,
}

/// One tick of a replay.
pub(crate) struct Tick {
    pub(crate) now: Millis,
    pub(crate) view: View,
    pub(crate) misses: Vec<slotkeeper::watch::ledger::MissEvent>,
    pub(crate) caught_up: bool,
    pub(crate) fault: Fault,
    pub(crate) fault_since: Option<Millis>,
    pub(crate) registered: Option<PublicKey>,
    pub(crate) last_block: Option<(u64, Millis)>,
}

pub(crate) fn millis(text: &str) -> Millis {
    let text = text.trim_end_matches('Z');
    let zoned: jiff::Timestamp = format!("{text}Z").parse().unwrap();
    zoned.as_millisecond()
}

impl Recording {
    pub(crate) fn open(name: &str) -> Self {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
        let packed = std::fs::File::open(dir.join(format!("{name}-failover.jsonl.gz"))).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed)
            .read_to_string(&mut text)
            .unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap())
            .filter(|l| l.get("event").is_none())
            .collect();
        let truth = std::fs::read_to_string(dir.join(format!("{name}-failover.truth.json")));
        // A head cannot be seen before its time: the latest start that the answers allow.
        let start = lines
            .iter()
            .filter_map(|l| {
                let time = l
                    .pointer("/body/result/time")
                    .or_else(|| l.pointer("/body/head_block_time"))?
                    .as_str()?;
                let t = l["t"].as_f64()?;
                #[allow(clippy::cast_possible_truncation)]
                Some(millis(time) - (t * 1000.0) as Millis)
            })
            .max()
            .unwrap();
        let (protocol, prefix, symbol) = match name {
            "steem" => (Protocol::Steem, "TST", "TESTS"),
            "bitshares" => (Protocol::BitShares, "BTS", "BTS"),
            "nodeos" => (Protocol::Antelope, "EOS", "SYS"),
            _ => (Protocol::Hive, "TST", "TESTS"),
        };
        Self {
            spec: ChainSpec {
                name: name.to_owned(),
                protocol,
                chain_id: [0x18; 32],
                address_prefix: prefix.to_owned(),
                core_symbol: symbol.to_owned(),
                block_interval: if name == "nodeos" { 500 } else { 3_000 },
            },
            lines,
            truth: serde_json::from_str(&truth.unwrap()).unwrap(),
            start,
        }
    }

    pub(crate) fn key(&self, value: &Value) -> PublicKey {
        PublicKey::parse(value.as_str().unwrap(), &self.spec.address_prefix).unwrap()
    }

    pub(crate) fn watched(&self) -> String {
        self.name(&self.truth["watched"])
    }

    /// What a producer of the truth is called: by account, also where the chain says ids.
    fn name(&self, value: &Value) -> String {
        match value.as_str().unwrap() {
            "1.6.1" => "init0".to_owned(),
            other => other.to_owned(),
        }
    }

    /// The key that signed a block of the watched producer: the truth's word, or (where blocks name no key) the old one
    /// until the slots were missed, the new one from then on.
    fn signed_with(&self, block: &Value) -> PublicKey {
        if block["signing_key"].is_string() {
            return self.key(&block["signing_key"]);
        }
        let missed = &self.truth["missed_slots_of_watched"][0]["time"];
        if millis(block["time"].as_str().unwrap()) < millis(missed.as_str().unwrap()) {
            self.old_key()
        } else {
            self.key(&self.truth["new_key"])
        }
    }

    /// The first registered key, as the first answer shows it.
    fn old_key(&self) -> PublicKey {
        let line = self
            .lines
            .iter()
            .find_map(|l| l.pointer("/body/result/signing_key"));
        self.key(line.unwrap())
    }

    /// Replays every second; the ledger comes back beside the ticks. `restart_every`: save and restore so often.
    pub(crate) fn replay(
        &self,
        quorum: usize,
        restart_every: Option<usize>,
    ) -> (Ledger, Vec<Tick>) {
        let chain = chain::open(self.spec.clone());
        let rules = LedgerRules {
            interval: 3_000,
            turn: 1,
            miss_window: 86_400_000,
            watch_all: false,
            watched: [(self.watched(), vec![self.old_key()])].into(),
        };
        let agreement = Rules {
            quorum,
            providers: vec!["a".to_owned(), "b".to_owned()],
            interval_ms: 3_000,
            stale_ms: 2 * 3_000,
            chain_id: None,
            disputes: BTreeMap::new(),
        };
        let mut ledger = Ledger::new(rules.clone());
        let mut rows: BTreeMap<String, String> = BTreeMap::new();
        let mut seen: [Seen; 2] = Default::default();
        let mut ticks = Vec::new();
        let mut lines = self.lines.iter().peekable();
        for second in 0_u32.. {
            if lines.peek().is_none() {
                break;
            }
            let end = f64::from(second) + 0.9;
            for endpoint in &mut seen {
                endpoint.begin();
            }
            while let Some(line) = lines.next_if(|l| l["t"].as_f64().unwrap() < end) {
                seen[usize::from(line["endpoint"] == "b")].take(line);
            }
            let now = self.start + Millis::from(second) * 1000 + 900;
            let memory = Memory {
                identity: false,
                producers: vec![self.watched()],
                blocks: ledger.wanted(now, true),
                authorities: vec![],
                aliases: std::sync::Arc::default(),
            };
            let reports: Vec<EndpointReport> = seen
                .iter()
                .enumerate()
                .map(|(index, endpoint)| {
                    let replies = endpoint.answer(&chain.survey(&memory));
                    EndpointReport {
                        index,
                        observation: Some(Ok(chain.read(&memory, &replies).unwrap())),
                        latency: Duration::from_millis(2),
                        clock_offset: None,
                    }
                })
                .collect();
            let view = agree(&agreement, &reports, &|n| ledger.known(n), now);
            let view = view.unwrap_or_else(|e| panic!("second {second}: {e}"));
            let applied = ledger.apply(&view);
            assert_eq!(applied.odd, None);
            assert_eq!((applied.reorg, applied.skipped), (None, None));
            let figures = ledger.figures(&self.watched());
            let (fault, fault_since) = fault::judge(
                &FAULT,
                &Evidence {
                    figures: &figures,
                    caught_up: ledger.slots().caught_up,
                    enabled: true,
                    in_force: true,
                    node_up: None,
                },
            );
            ticks.push(Tick {
                now,
                misses: applied.misses,
                caught_up: ledger.slots().caught_up,
                fault,
                fault_since,
                registered: figures.key,
                last_block: figures.last_block,
                view,
            });
            let dirty = ledger.dirty_rows();
            rows.extend(dirty.rows.iter().cloned());
            ledger.saved(&dirty);
            if restart_every.is_some_and(|n| (second as usize + 1).is_multiple_of(n)) {
                let saved: Vec<(String, String)> = rows.clone().into_iter().collect();
                ledger = Ledger::restore(rules.clone(), &saved).unwrap();
            }
        }
        (ledger, ticks)
    }
}

/// What one endpoint has answered so far.
#[derive(Default)]
struct Seen {
    newest: BTreeMap<String, Value>,
    /// The first answer to each call in this tick: two readings of the head differ when a block fell between.
    first: BTreeMap<String, Value>,
}

impl Seen {
    fn begin(&mut self) {
        self.first.clear();
    }

    fn take(&mut self, line: &Value) {
        let request = &line["request"];
        let key = format!(
            "{} {}",
            request["method"].as_str().unwrap(),
            request["params"]
        );
        let body = line["body"].clone();
        self.first
            .entry(key.clone())
            .or_insert_with(|| body.clone());
        self.newest.insert(key, body);
    }

    fn answer(&self, calls: &[chain::Call]) -> Vec<Reply> {
        let mut asked = BTreeSet::new();
        calls
            .iter()
            .map(|call| {
                let key = format!("{} {}", call.method, call.params);
                let first = self.first.get(&key).filter(|_| asked.insert(key.clone()));
                let Some(body) = first.or_else(|| self.newest.get(&key)) else {
                    // What the observer never asked for: blocks, and on BitShares names and what a switch will cost.
                    let unasked = [
                        "get_required_fees",
                        "get_global_properties",
                        "lookup_witness_accounts",
                    ];
                    if unasked.iter().any(|method| key.contains(method)) {
                        return Err(RpcFault {
                            code: -32601,
                            message: "not recorded".to_owned(),
                            data: Value::Null,
                        });
                    }
                    assert!(key.contains("get_block"), "{key}");
                    return Ok(Value::Null);
                };
                match body.get("result") {
                    Some(result) => Ok(result.clone()),
                    None => Err(RpcFault {
                        code: body["error"]["code"].as_i64().unwrap(),
                        message: body["error"]["message"].to_string(),
                        data: body["error"]["data"].clone(),
                    }),
                }
            })
            .collect()
    }
}

#[test]
fn real_failovers_come_out_as_they_were() {
    for name in ["steem", "hive", "bitshares"] {
        let recording = Recording::open(name);
        let truth = &recording.truth;
        for (quorum, restart_every) in [(2, None), (1, None), (2, Some(1)), (2, Some(7))] {
            let context = format!("{name}, quorum {quorum}, restart every {restart_every:?}");
            let (ledger, ticks) = recording.replay(quorum, restart_every);
            let watched = recording.watched();
            let (old, new) = (recording.old_key(), recording.key(&truth["new_key"]));

            // Slots of the chain.
            let slots = ledger.slots();
            assert_eq!(slots.slots, truth["slots"].as_u64().unwrap(), "{context}");
            assert_eq!(
                slots.missed,
                truth["missed_slots"].as_u64().unwrap(),
                "{context}"
            );
            assert_eq!(
                slots.judged,
                truth["blocks"][1].as_u64().unwrap(),
                "{context}"
            );
            assert!(ticks.iter().skip(1).all(|t| t.caught_up), "{context}");

            // Every miss, its time and its key.
            let got: Vec<(Millis, String, Option<PublicKey>)> = ticks
                .iter()
                .flat_map(|t| &t.misses)
                .map(|m| (m.time, m.producer.clone(), m.key))
                .collect();
            let want: Vec<(Millis, String, Option<PublicKey>)> = truth["missed_slots_of_watched"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| {
                    (
                        millis(m["time"].as_str().unwrap()),
                        watched.clone(),
                        Some(old),
                    )
                })
                .collect();
            assert_eq!(got, want, "{context}");

            // Every block of the watched producer, its time and its key.
            let mut got: Vec<(u64, Millis)> = ticks.iter().filter_map(|t| t.last_block).collect();
            got.dedup();
            let produced = truth["produced_blocks_of_watched"].as_array().unwrap();
            let mut want: Vec<(u64, Millis)> = produced
                .iter()
                .map(|b| {
                    (
                        b["block"].as_u64().unwrap(),
                        millis(b["time"].as_str().unwrap()),
                    )
                })
                .collect();
            // The block the ledger begins at is not judged: nobody saw its slot come.
            let first = truth["blocks"][0].as_u64().unwrap();
            want.retain(|(num, _)| *num > first);
            assert_eq!(got, want, "{context}");
            let counts = ledger.figures(&watched).keys;
            for key in [old, new] {
                let of_key = produced
                    .iter()
                    .filter(|b| b["block"].as_u64().unwrap() > first)
                    .filter(|b| recording.signed_with(b) == key);
                let counted = counts[&Some(key)];
                assert_eq!(counted.produced, of_key.count() as u64, "{context}");
                let misses = if key == old { 2 } else { 0 };
                assert_eq!(counted.missed, misses, "{context}");
            }
            assert_eq!(counts.len(), 2, "no unknown key: {context}");

            // Every block of the span, by whom, when and under which key.
            let all: BTreeMap<u64, &Value> = truth["all_slots"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|s| Some((s.get("block")?.as_u64()?, s)))
                .collect();
            let mut compared = BTreeSet::new();
            for block in ticks.iter().flat_map(|t| &t.view.blocks) {
                let Some(slot) = all.get(&block.num) else {
                    assert!(block.num <= first);
                    continue;
                };
                if slot["id"].is_string() {
                    assert_eq!(block.id.0, slot["id"], "{context}");
                }
                assert_eq!(
                    block.time,
                    millis(slot["time"].as_str().unwrap()),
                    "{context}"
                );
                assert_eq!(
                    block.producer,
                    recording.name(&slot["produced_by"]),
                    "{context}"
                );
                if slot["signing_key"].is_string() || block.producer == watched {
                    assert_eq!(block.signing_key, Some(recording.signed_with(slot)));
                }
                assert!(block.signing_key.is_some(), "{context}");
                compared.insert(block.num);
            }
            assert_eq!(compared.len(), all.len(), "{context}");

            fault_stands_from_the_second_miss_to_the_new_key(&ticks, (old, new), &context);
            the_guard_decides_once_with_the_fault(&recording, &ticks, (old, new), &context);
        }
    }
}

fn fault_stands_from_the_second_miss_to_the_new_key(
    ticks: &[Tick],
    (old, new): (PublicKey, PublicKey),
    context: &str,
) {
    let second = ticks
        .iter()
        .flat_map(|t| &t.misses)
        .map(|m| m.time)
        .max()
        .unwrap();
    // A miss counts once the next block stands: the fault is due with the first view beyond it.
    let due = ticks
        .iter()
        .position(|t| t.view.head.time > second)
        .unwrap();
    let registered = ticks
        .iter()
        .position(|t| t.registered == Some(new))
        .unwrap();
    assert!(due < registered);
    for (n, tick) in ticks.iter().enumerate() {
        let standing = due <= n && n < registered;
        let want = if standing {
            Fault::Yes(FaultClause::Consecutive)
        } else if n == 0 {
            Fault::Unknown // nothing judged yet
        } else {
            Fault::No
        };
        assert_eq!(tick.fault, want, "tick {n}, {context}");
        assert_eq!(
            tick.fault_since,
            standing.then_some(second),
            "tick {n}, {context}"
        );
        if n < registered {
            assert_eq!(tick.registered, Some(old), "tick {n}, {context}");
        }
    }
    assert!(ticks[due].now - second < 3_000 + 2_000, "{context}");
}

/// The guard (`always`) and the decision over every recorded tick: exactly one switch is ordered, in the very tick in
/// which the fault first stands, from the old key to the standby's.
pub(crate) fn the_guard_decides_once_with_the_fault(
    recording: &Recording,
    ticks: &[Tick],
    (old, new): (PublicKey, PublicKey),
    context: &str,
) {
    let mut underway = None;
    let mut orders = Vec::new();
    for (n, tick) in ticks.iter().enumerate() {
        let asks = guard::judge(&guard::Facts {
            mode: GuardMode::Always,
            patience: 30_000,
            fault: tick.fault,
            fault_seen_since: Some(tick.now),
            now: tick.now,
            silence: guard::Silence::Heard,
            last_request: None,
            request_counts_for: 120_000,
        });
        if asks.is_none() {
            continue;
        }
        let plan = decide(&known_at(recording, tick, (old, new), underway.clone()));
        if let Step::Switch(order) = plan.next {
            orders.push((n, order.from, order.to));
            underway = Some(Underway {
                id: "a-1".into(),
                to: order.to,
                stage: Stage::Sent,
                lapsed: false,
                swaps: true,
            });
        }
    }
    let due = ticks
        .iter()
        .position(|t| matches!(t.fault, Fault::Yes(_)))
        .unwrap();
    assert_eq!(orders, [(due, old, new)], "{context}");
}

/// What the actuator would know at a recorded tick: armed, both secrets at hand, the standby ready.
fn known_at(
    recording: &Recording,
    tick: &Tick,
    (old, new): (PublicKey, PublicKey),
    attempt: Option<Underway>,
) -> Facts {
    let method = match recording.spec.protocol {
        Protocol::BitShares => Method::WitnessUpdate,
        Protocol::Antelope => Method::Regproducer,
        _ => Method::WitnessSetProperties,
    };
    let swaps = method == Method::WitnessSetProperties;
    let active = vec![old];
    let standby = |key| Standby {
        finalizer: None,
        key,
        ready: Readiness::Ready,
        proven: true,
    };
    let registered = tick.registered;
    Facts {
        now: tick.now,
        request: Request {
            id: "r-1".into(),
            chain: "recorded".into(),
            producer: recording.watched(),
            action: Action::Failover,
            cause: Cause::Guard,
            fence: registered,
            to: None,
            override_reason: None,
            fingerprint: None,
            labels: Vec::new(),
            evaluated_at: Some(tick.now),
            received_at: tick.now,
        },
        prefix: recording.spec.address_prefix.clone(),
        rules: Some(facts::Rules {
            keys: vec![standby(old), standby(new)],
            max_alert_age: 120_000,
            max_view_age: 3_000,
            max_head_age: 30_000,
            min_participation: 0.67,
            cooldown: 60_000,
            budget: 3,
            budget_per: "1 d".into(),
            when_exhausted: WhenExhausted::Hold,
            disable_when: DisableWhen {
                consecutive_misses: 10,
                no_ready_standby_for: Duration::from_secs(600),
            },
            reenable_manual: false,
        }),
        arm: Arm {
            armed: Ok(()),
            hold: None,
            pinned: false,
            maintenance_until: None,
        },
        standing: None,
        silence: None,
        view: Ok(facts::Seen {
            observed_at: tick.view.observed_at,
            head: tick.view.head.num,
            head_time: tick.view.head.time,
            agreeing: (tick.view.agreeing, 1),
            registered,
            effective: registered,
            enabled: true,
            settling: false,
            anchored: true,
            clock_offset: tick.view.clock_offset,
            participation: tick.view.participation,
        }),
        tick_at: tick.now,
        fault: tick.fault,
        consecutive_missed: 2,
        no_ready_standby_since: None,
        others_participation: Some(1.0),
        others_since_run: None,
        attempt,
        last_switch: None,
        switches_spent: 0,
        authority: vec![Authority {
            method,
            keys: if swaps {
                vec![old, new]
            } else {
                active.clone()
            },
            missing: Vec::new(),
            permission: None,
            of: recording.watched(),
        }],
        active_keys: [(recording.watched(), active)].into(),
    }
}
