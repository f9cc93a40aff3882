//! A recorded failover of a real nodeos (Leap, four producers), replayed every half second through `Chain::read`, agreement
//! and the ledger: 72 missed slots of the watched producer are six empty turns of its old key, and one switch.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use slotkeeper::chain::{self, Memory, Reply, RpcFault};
use slotkeeper::clock::Millis;
use slotkeeper::keys::PublicKey;
use slotkeeper::rpc::EndpointReport;
use slotkeeper::rpc::agree::{Rules, agree};
use slotkeeper::watch::fault::{self, Evidence};
use slotkeeper::watch::{Fault, FaultClause, Ledger, LedgerRules};

use crate::recordings::{FAULT, Recording, Tick, millis, the_guard_decides_once_with_the_fault};

const INTERVAL: Millis = 500;
const TURN: u64 = 12;
/// Slots after a turn before it is judged.
const MARGIN: u64 = 6;

/// What one endpoint has answered last, by path and block; and what it says of its head next.
#[derive(Default)]
struct Seen(BTreeMap<String, Value>, Option<Value>);

impl Seen {
    fn take(&mut self, line: &Value) {
        let path = line["path"].as_str().unwrap();
        let block = &line["request"]["block_num"];
        self.0
            .insert(format!("{path} {block}"), line["body"].clone());
    }

    fn answer(&self, calls: &[chain::Call]) -> Vec<Reply> {
        let mut heads = 0;
        calls
            .iter()
            .map(|call| {
                // The observer read the head once: after the reading it was no further than at the next one.
                heads += u32::from(call.method.ends_with("get_info"));
                if heads == 2
                    && call.method.ends_with("get_info")
                    && let Some(after) = &self.1
                {
                    return Ok(after.clone());
                }
                // The observer asked for rows of the same table by another path.
                let path = call.method.replace("get_table_rows", "get_producers");
                let key = format!("{path} {}", call.params["block_num"]);
                self.0.get(&key).cloned().ok_or_else(|| {
                    assert!(path.contains("get_block_info"), "{key}");
                    RpcFault {
                        code: 3_100_002,
                        message: "unknown block".to_owned(),
                        data: Value::Null,
                    }
                })
            })
            .collect()
    }
}

/// The effective key and the tick itself.
struct Seconds {
    tick: Tick,
    effective: Option<PublicKey>,
    turns: (u32, usize, u32),
    head: (u64, Millis),
}

fn replay(
    recording: &Recording,
    quorum: usize,
    restart_every: Option<usize>,
) -> (Ledger, Vec<Seconds>) {
    let chain = chain::open(recording.spec.clone());
    assert_eq!(u64::from(chain.turn()), TURN);
    let watched = recording.watched();
    let rules = LedgerRules {
        interval: INTERVAL,
        turn: chain.turn(),
        miss_window: 86_400_000,
        watch_all: false,
        watched: [(watched.clone(), vec![])].into(),
    };
    let agreement = Rules {
        quorum,
        providers: vec!["a".to_owned(), "b".to_owned()],
        interval_ms: INTERVAL,
        stale_ms: 3_000,
        chain_id: None,
        disputes: BTreeMap::new(),
    };
    let mut ledger = Ledger::new(rules.clone());
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    let mut seen: [Seen; 2] = Default::default();
    let mut ticks = Vec::new();
    let mut lines = recording.lines.iter().peekable();
    for half in 0_u32.. {
        if lines.peek().is_none() {
            break;
        }
        let end = f64::from(half) * 0.5 + 0.4;
        while let Some(line) = lines.next_if(|l| l["t"].as_f64().unwrap() < end) {
            seen[usize::from(line["endpoint"] == "b")].take(line);
        }
        for (index, endpoint) in seen.iter_mut().enumerate() {
            let name = ["a", "b"][index];
            let next = lines.clone().find(|l| {
                l["endpoint"] == name && l["path"].as_str().unwrap().ends_with("get_info")
            });
            endpoint.1 = next.map(|l| l["body"].clone());
        }
        let now = recording.start + Millis::from(half) * INTERVAL + 400;
        let memory = Memory {
            identity: false,
            producers: vec![watched.clone()],
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
        let view = view.unwrap_or_else(|e| {
            panic!(
                "half second {half}, quorum {quorum}, restart {restart_every:?}: {e}; wanted {:?}",
                memory.blocks
            )
        });
        let applied = ledger.apply(&view);
        assert_eq!(applied.odd, None);
        assert_eq!((applied.reorg, applied.skipped), (None, None));
        let figures = ledger.figures(&watched);
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
        let state = view.producers[&watched].state.as_ref();
        ticks.push(Seconds {
            effective: figures.key,
            turns: (figures.consecutive, figures.window.len(), figures.unknown),
            head: (view.head_slot, view.head.time),
            tick: Tick {
                now,
                misses: applied.misses,
                caught_up: ledger.slots().caught_up,
                fault,
                fault_since,
                registered: state.map(|s| s.registered_key),
                last_block: figures.last_block,
                view,
            },
        });
        let dirty = ledger.dirty_rows();
        for (row, json) in &dirty.rows {
            if json.is_empty() {
                rows.remove(row);
            } else {
                rows.insert(row.clone(), json.clone());
            }
        }
        ledger.saved(&dirty);
        // The recording does not reach back to the irreversible block: only what has begun is restarted.
        let begun = ledger.slots().judged > 0;
        if begun && restart_every.is_some_and(|n| (half as usize + 1).is_multiple_of(n)) {
            let saved: Vec<(String, String)> = rows.clone().into_iter().collect();
            ledger = Ledger::restore(rules.clone(), &saved).unwrap();
        }
    }
    (ledger, ticks)
}

#[test]
fn a_real_failover_of_nodeos_comes_out_as_it_was() {
    let recording = Recording::open("nodeos");
    let truth = &recording.truth;
    let watched = recording.watched();
    let lost = truth["missed_slots_of_watched"].as_array().unwrap();
    let old = recording.key(&lost[0]["effective_key"]);
    let new = recording.key(&truth["new_key"]);
    for (quorum, restart_every) in [(2, None), (1, None), (2, Some(1)), (2, Some(7))] {
        let context = format!("quorum {quorum}, restart every {restart_every:?}");
        let (ledger, ticks) = replay(&recording, quorum, restart_every);
        assert!(ticks.iter().skip(3).all(|t| t.tick.caught_up), "{context}");

        // Every slot up to the last turn that is over by the margin.
        let last = ticks.last().unwrap();
        let over = (last.head.0 + 1 - MARGIN) / TURN * TURN;
        let until = last.head.1 - Millis::try_from(last.head.0 - over).unwrap() * INTERVAL;
        let slots: Vec<&Value> = truth["all_slots"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|s| millis(s["time"].as_str().unwrap()) < until)
            .collect();
        let missed = slots.iter().filter(|s| s["produced_by"].is_null()).count();
        assert_eq!((lost.len(), missed), (72, 72));
        assert_eq!(ledger.slots().slots, slots.len() as u64, "{context}");
        assert_eq!(ledger.slots().missed, 72, "{context}");

        // Every miss, its time and its key.
        let got: Vec<(Millis, &str, Option<PublicKey>)> = ticks
            .iter()
            .flat_map(|t| &t.tick.misses)
            .map(|m| (m.time, m.producer.as_str(), m.key))
            .collect();
        let want: Vec<(Millis, &str, Option<PublicKey>)> = lost
            .iter()
            .map(|m| {
                let key = recording.key(&m["effective_key"]);
                (
                    millis(m["time"].as_str().unwrap()),
                    watched.as_str(),
                    Some(key),
                )
            })
            .collect();
        assert_eq!(got, want, "{context}");

        // Every block, under the key that was effective.
        let counts = ledger.figures(&watched).keys;
        for key in [old, new] {
            let mine = slots.iter().filter(|s| {
                s["produced_by"] == *watched && recording.key(&s["effective_key"]) == key
            });
            let counted = counts[&Some(key)];
            assert_eq!(counted.produced, mine.count() as u64, "{context}");
            assert_eq!(counted.missed, if key == old { 72 } else { 0 }, "{context}");
        }
        assert_eq!(counts.len(), 2, "no unknown key: {context}");
        let newest = truth["produced_blocks_of_watched"].as_array().unwrap();
        let newest = newest.last().unwrap()["block"].as_u64();
        assert_eq!(last.tick.last_block.map(|b| b.0), newest, "{context}");

        six_empty_turns(&ticks, &want, (old, new), &context);
        let ticks: Vec<Tick> = ticks.into_iter().map(|t| t.tick).collect();
        the_guard_decides_once_with_the_fault(&recording, &ticks, (old, new), &context);
    }
}

/// Turns are counted when they are over by the margin, the fault stands from the second one until the new key is in force.
fn six_empty_turns(
    ticks: &[Seconds],
    missed: &[(Millis, &str, Option<PublicKey>)],
    (old, new): (PublicKey, PublicKey),
    context: &str,
) {
    let ends: Vec<Millis> = missed
        .chunks(usize::try_from(TURN).unwrap())
        .map(|turn| turn.last().unwrap().0)
        .collect();
    assert_eq!(ends.len(), 6);
    let margin = Millis::try_from(MARGIN).unwrap() * INTERVAL;
    let effective = ticks.iter().position(|t| t.effective == Some(new));
    let effective = effective.unwrap_or_else(|| panic!("{context}"));
    for (n, second) in ticks.iter().enumerate() {
        let context = format!("tick {n}, {context}");
        let over = ends.iter().filter(|end| **end + margin <= second.head.1);
        let over = u32::try_from(over.count()).unwrap();
        let want = if n < effective { over } else { 0 };
        assert_eq!(second.turns, (want, want as usize, 0), "{context}");
        if want >= 2 {
            let clause = FaultClause::Consecutive;
            assert_eq!(second.tick.fault, Fault::Yes(clause), "{context}");
            assert_eq!(second.tick.fault_since, Some(ends[1]), "{context}");
        } else if second.tick.caught_up {
            assert_eq!(second.tick.fault, Fault::No, "{context}");
        }
        if (1..effective).contains(&n) {
            assert_eq!(second.effective, Some(old), "{context}");
        }
    }
    // The new key was registered long before it was effective, and the old one went on missing.
    let registered = ticks
        .iter()
        .position(|t| t.tick.registered == Some(new))
        .unwrap();
    assert!(registered + 100 < effective, "{context}");
}
