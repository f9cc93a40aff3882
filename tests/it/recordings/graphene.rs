//! Recorded failovers of real steemd, hived and witness_node (BitShares), replayed every second: two missed slots of the
//! watched producer's old key, and one switch.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use slotkeeper::chain::{self, Reply, RpcFault};
use slotkeeper::clock::Millis;
use slotkeeper::keys::PublicKey;
use slotkeeper::watch::{Fault, FaultClause};

use super::guard::the_guard_decides_once_with_the_fault;
use super::replay::{Endpoint, Pace, Tick, replay};
use super::tape::{Recording, millis};

/// A look every second, shortly before its end.
fn pace(recording: &Recording) -> Pace {
    Pace {
        step: 1_000,
        look: 900,
        interval: 3_000,
        stale: 2 * 3_000,
        keys: vec![recording.old_key()],
        reaches_back: true,
    }
}

/// What one endpoint has answered so far.
#[derive(Default)]
struct Seen {
    newest: BTreeMap<String, Value>,
    /// The first answer to each call in this tick: two readings of the head differ when a block fell between.
    first: BTreeMap<String, Value>,
}

impl Endpoint for Seen {
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
            let (ledger, ticks) =
                replay::<Seen>(&recording, &pace(&recording), quorum, restart_every);
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
