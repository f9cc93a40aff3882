//! Schedules and finalizers of Antelope over time: the captured timelines of a real nodeos through `Chain::read`. What
//! Savanna's nodes answer is written by hand after its source.

use serde_json::{Value, json};
use slotkeeper::chain::antelope::{candidates_call, election};
use slotkeeper::chain::{Activation, Leaving, Memory, Observation};

use crate::captures_antelope::{body, captures, key, memory, read, reply, three, world};
use crate::vectors::load;

#[test]
fn slots_are_those_of_the_chain() {
    let misc = load("misc");
    let list = misc["block_timestamps"].as_array().unwrap();
    assert_eq!(list.len(), 6);
    for v in list {
        let mut info = body("get_info");
        info["head_block_time"] = v["time"].clone();
        let replies = [
            Ok(info.clone()),
            Ok(body("get_producer_schedule")),
            Ok(info),
        ];
        let seen = read(&Memory::default(), &replies);
        assert_eq!(json!(seen.head_slot), v["slot"]);
        for (n, field) in [
            (1, "producer_index_of_1"),
            (3, "producer_index_of_3"),
            (21, "producer_index_of_21"),
        ] {
            let mut schedule = seen.schedule.clone().unwrap();
            schedule.order = (0..n).map(|i| i.to_string()).collect();
            let index = v[field].as_u64().unwrap().to_string();
            assert_eq!(schedule.producer_of(seen.head_slot), Some(index.as_str()));
        }
    }
}

#[test]
fn an_unregistered_producer_is_disabled() {
    let memory = memory(&["bpa", "bpb", "bpc", "bpd"]);
    let seen = read(
        &memory,
        &world(
            &[body("get_producers_after_unregprod")],
            body("get_producer_schedule"),
        ),
    );
    let bpa = seen.producers["bpa"].as_ref().unwrap();
    assert!(!bpa.enabled && bpa.registered_key.is_null());
    // Still scheduled, with the old key.
    assert_eq!(bpa.effective_key, key("U36iFF"));
    assert_eq!(
        bpa.props,
        json!({"location": 100, "producer_authority": null})
    );
    assert!(seen.producers["bpb"].as_ref().unwrap().enabled);
}

/// One line of a timeline: head, irreversible, time, and three schedules.
fn line(text: &str) -> (Value, Value) {
    let of = |name: &str| {
        let rest = text.split(&format!(" {name}=")).nth(1).expect(name);
        rest.split(" pending=")
            .next()
            .unwrap()
            .split(" proposed=")
            .next()
            .unwrap()
            .to_owned()
    };
    let word = |name: &str| of(name).split(' ').next().unwrap().to_owned();
    let mut info = body("get_info");
    info["head_block_num"] = json!(word("head").parse::<u64>().unwrap());
    info["last_irreversible_block_num"] = json!(word("lib").parse::<u64>().unwrap());
    info["head_block_time"] = json!(word("t"));
    let schedule = |name: &str| {
        let json = of(name)
            .replace('(', "[")
            .replace(')', "]")
            .replace('\'', "\"")
            .replace("None", "null");
        let parsed: Value = serde_json::from_str(&json).expect(&json);
        let Some(list) = parsed.get(1).and_then(Value::as_array) else {
            return Value::Null;
        };
        let producers: Vec<Value> = list
            .iter()
            .map(|one| {
                let key = key(one[1].as_str().unwrap()).to_text("EOS");
                let authority = json!([0, {"threshold": 1, "keys": [{"key": key, "weight": 1}]}]);
                json!({"producer_name": one[0], "authority": authority})
            })
            .collect();
        json!({"version": parsed[0], "producers": producers})
    };
    let schedules = json!({
        "active": schedule("active"),
        "pending": schedule("pending"),
        "proposed": schedule("proposed"),
    });
    (info, schedules)
}

fn timeline(name: &str, row: &Value) -> Vec<Observation> {
    let lines = load("antelope-rpc-captures")[name]
        .as_array()
        .unwrap()
        .clone();
    lines
        .iter()
        .map(|text| {
            let (info, schedules) = line(text.as_str().unwrap());
            let row = json!({"rows": [row], "more": false});
            let replies = [Ok(info.clone()), Ok(row), Ok(schedules), Ok(info)];
            read(&memory(&["bpa"]), &replies)
        })
        .collect()
}

#[test]
fn a_new_key_is_proposed_pending_and_effective_in_turn() {
    let seen = timeline(
        "schedule_change_timeline",
        &body("get_table_rows")["rows"][0],
    );
    assert_eq!(seen.len(), 32);
    let mut stages: Vec<_> = seen
        .iter()
        .map(|o| {
            let bpa = o.producers["bpa"].as_ref().unwrap();
            assert_eq!(bpa.registered_key, key("U36iFF"), "at once");
            let version = o.schedule.as_ref().unwrap().version.as_ref().unwrap();
            assert_eq!(version.keys[0], bpa.effective_key);
            (version.number, bpa.effective_key, bpa.coming)
        })
        .collect();
    stages.dedup();
    let (old, new) = (key("gPCqQ1"), key("U36iFF"));
    assert_eq!(
        stages,
        [
            (1, old, None),
            (1, old, Some((new, Activation::Proposed))),
            (1, old, Some((new, Activation::Pending))),
            // The node still names the schedule as pending for a block; it is in force.
            (2, new, None),
        ]
    );
}

#[test]
fn three_of_three_stay_scheduled_when_one_unregisters() {
    let rows = body("get_producers_after_unregprod");
    let row = rows["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["owner"] == "bpa")
        .unwrap()
        .clone();
    let seen = timeline("unregprod_with_only_3_candidates_timeline", &row);
    assert_eq!(seen.len(), 18);
    for o in &seen {
        let bpa = o.producers["bpa"].as_ref().unwrap();
        assert!(!bpa.enabled && bpa.registered_key.is_null() && bpa.coming.is_none());
        assert_eq!(bpa.effective_key, key("U36iFF"));
        assert!(
            o.schedule
                .as_ref()
                .unwrap()
                .order
                .contains(&"bpa".to_owned())
        );
    }
    // It could be known before, and is read along with the authorities; an odd list makes nothing worse.
    let mut wanted = memory(&["bpa"]);
    wanted.authorities = vec!["bpa@failover".to_owned()];
    let account = json!({"account_name": "bpa", "permissions": []});
    let seen = |list: Value| {
        let mut replies = world(&[body("get_table_rows")], body("get_producer_schedule"));
        replies.extend([Ok(account.clone()), Ok(list)]);
        read(&wanted, &replies).election
    };
    let known = seen(three()).expect("read");
    assert!(known.without("bpa").in_vain().is_some(), "{known:?}");
    assert_eq!(known.halted(), None);
    assert_eq!(seen(json!({"rows": 7})), None);
    assert_eq!(candidates_call().method, "/v1/chain/get_producers");
    let mut before = three();
    let leaving = |reply: &Value, name: &str, scheduled| {
        let found = election(reply, scheduled);
        found.map(|found| found.without(name))
    };
    assert_eq!(
        leaving(&before, "bpa", 3),
        Ok(Leaving::Stays {
            others: 2,
            scheduled: 3
        })
    );
    assert_eq!(leaving(&before, "bpa", 2), Ok(Leaving::Leaves));
    assert_eq!(leaving(&before, "bpd", 3), Ok(Leaving::Leaves));
    // One without votes, or unregistered, is no candidate; a cut list does not tell.
    let mut unvoted = before.clone();
    unvoted["rows"][2]["total_votes"] = json!("0.00000000000000000");
    assert_eq!(
        leaving(&unvoted, "bpa", 2),
        Ok(Leaving::Stays {
            others: 1,
            scheduled: 2
        })
    );
    before["more"] = json!("bpd");
    assert_eq!(leaving(&before, "bpa", 3), Ok(Leaving::Unknown));
    assert!(leaving(&json!({}), "bpa", 3).is_err());
}

#[test]
fn finalizers_are_told_apart_by_name_and_votes_by_key() {
    let finalizer =
        |name: &str, key: &str| json!({"description": name, "weight": 1, "public_key": key});
    let vote = |name: &str, key: &str, num: u64| {
        json!({
            "description": name, "public_key": key, "is_vote_strong": true,
            "finalizer_policy_generation": 2, "voted_for_block_id": "00", "voted_for_block_num": num,
            "voted_for_block_timestamp": "2026-11-21T03:22:53.500",
        })
    };
    let answer = json!({
        "active_finalizer_policy": {"generation": 2, "threshold": 2, "finalizers": [
            finalizer("bpa", "PUB_BLS_old"), finalizer("bpb", "PUB_BLS_b"),
        ]},
        "pending_finalizer_policy": {"generation": 3, "threshold": 2, "finalizers": [
            finalizer("bpa", "PUB_BLS_new"), finalizer("bpb", "PUB_BLS_b"),
        ]},
        "last_tracked_votes": [
            vote("bpa", "PUB_BLS_older", 1195), vote("bpb", "PUB_BLS_b", 1190), vote("bpb", "PUB_BLS_b", 1193),
            vote("gone", "PUB_BLS_x", 1),
        ],
    });
    let mut memory = memory(&["bpa"]);
    memory.identity = true;
    let mut replies = world(&[body("get_table_rows")], body("get_producer_schedule"));
    replies.push(Ok(answer));
    let found = read(&memory, &replies).finalizers.unwrap();
    assert_eq!(found.len(), 2);
    let (a, b) = (&found["bpa"], &found["bpb"]);
    assert_eq!((a.newest(), b.newest()), ("PUB_BLS_new", "PUB_BLS_b"));
    assert_eq!((a.active_key.as_str(), a.last_vote), ("PUB_BLS_old", None));
    assert_eq!(a.pending_key.as_deref(), Some("PUB_BLS_new"));
    assert_eq!(b.last_vote.unwrap().0, 1193);
    // Before Savanna the path does not exist: none, and no error.
    *replies.last_mut().unwrap() = reply(&captures()["get_finalizer_info"]);
    assert_eq!(read(&memory, &replies).finalizers, None);
}
