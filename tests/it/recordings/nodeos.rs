//! A recorded failover of a real nodeos (Leap, four producers), replayed every half second through `Chain::read`, agreement
//! and the ledger: 72 missed slots of the watched producer are six empty turns of its old key, and one switch.

use std::collections::BTreeMap;

use serde_json::Value;
use slotkeeper::chain::{self, Reply, RpcFault};
use slotkeeper::clock::Millis;
use slotkeeper::keys::PublicKey;
use slotkeeper::watch::{Fault, FaultClause};

use super::guard::the_guard_decides_once_with_the_fault;
use super::replay::{Endpoint, Pace, Tick, replay};
use super::tape::{Recording, millis};

const INTERVAL: Millis = 500;
const TURN: u64 = 12;
/// Slots after a turn before it is judged.
const MARGIN: u64 = 6;

/// What one endpoint has answered last, by path and block; and what it says of its head next.
#[derive(Default)]
struct Seen(BTreeMap<String, Value>, Option<Value>);

impl Endpoint for Seen {
    fn take(&mut self, line: &Value) {
        let path = line["path"].as_str().unwrap();
        let block = &line["request"]["block_num"];
        self.0
            .insert(format!("{path} {block}"), line["body"].clone());
    }

    fn look_ahead<'a>(&mut self, mut coming: impl Iterator<Item = &'a Value>) {
        let next = coming.find(|line| line["path"].as_str().unwrap().ends_with("get_info"));
        self.1 = next.map(|line| line["body"].clone());
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

/// A look every half second, shortly before its end.
const PACE: Pace = Pace {
    step: INTERVAL,
    look: 400,
    interval: INTERVAL,
    stale: 3_000,
    keys: Vec::new(),
    reaches_back: false,
};

#[test]
fn a_real_failover_of_nodeos_comes_out_as_it_was() {
    let recording = Recording::open("nodeos");
    assert_eq!(u64::from(chain::open(recording.spec.clone()).turn()), TURN);
    let truth = &recording.truth;
    let watched = recording.watched();
    let lost = truth["missed_slots_of_watched"].as_array().unwrap();
    let old = recording.key(&lost[0]["effective_key"]);
    let new = recording.key(&truth["new_key"]);
    for (quorum, restart_every) in [(2, None), (1, None), (2, Some(1)), (2, Some(7))] {
        let context = format!("quorum {quorum}, restart every {restart_every:?}");
        let (ledger, ticks) = replay::<Seen>(&recording, &PACE, quorum, restart_every);
        assert!(ticks.iter().skip(3).all(|t| t.caught_up), "{context}");

        // Every slot up to the last turn that is over by the margin.
        let last = ticks.last().unwrap();
        let slot = last.view.head_slot;
        let over = (slot + 1 - MARGIN) / TURN * TURN;
        let until = last.view.head.time - Millis::try_from(slot - over).unwrap() * INTERVAL;
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
            .flat_map(|t| &t.misses)
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
        assert_eq!(last.last_block.map(|b| b.0), newest, "{context}");

        six_empty_turns(&ticks, &want, (old, new), &context);
        the_guard_decides_once_with_the_fault(&recording, &ticks, (old, new), &context);
    }
}

/// Turns are counted when they are over by the margin, the fault stands from the second one until the new key is in force.
fn six_empty_turns(
    ticks: &[Tick],
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
        let over = ends
            .iter()
            .filter(|end| **end + margin <= second.view.head.time);
        let over = u32::try_from(over.count()).unwrap();
        let want = if n < effective { over } else { 0 };
        assert_eq!(second.missed, (want, want as usize, 0), "{context}");
        if want >= 2 {
            let clause = FaultClause::Consecutive;
            assert_eq!(second.fault, Fault::Yes(clause), "{context}");
            assert_eq!(second.fault_since, Some(ends[1]), "{context}");
        } else if second.caught_up {
            assert_eq!(second.fault, Fault::No, "{context}");
        }
        if (1..effective).contains(&n) {
            assert_eq!(second.effective, Some(old), "{context}");
        }
    }
    // The new key was registered long before it was effective, and the old one went on missing.
    let registered = ticks
        .iter()
        .position(|t| t.registered == Some(new))
        .unwrap();
    assert!(registered + 100 < effective, "{context}");
}
