//! The simulated chain in virtual time: rounds, misses, irreversibility, forks.

use std::collections::BTreeMap;

use slotkeeper::chain::Protocol;
use slotkeeper::devnet::chain::{Chain, ChainConfig, SlotRecord};
use slotkeeper::devnet::nodes::NodeState;

const START: u64 = 1_795_232_352_000;

fn config(seed: u64, others: usize) -> ChainConfig {
    ChainConfig {
        protocol: Protocol::Steem,
        interval_ms: 3000,
        seed,
        witness: "alice".to_owned(),
        nodes: vec!["A".to_owned(), "B".to_owned()],
        others,
        idle: 0,
        total_missed: 0,
        identity: None,
    }
}

fn chain(seed: u64) -> Chain {
    Chain::new(config(seed, 20), START).unwrap()
}

fn missed(chain: &Chain, name: &str) -> u64 {
    chain.head().witness(name).unwrap().total_missed
}

/// Steps until a slot of that witness has passed; returns it.
fn next_turn(chain: &mut Chain, name: &str) -> SlotRecord {
    for _ in 0..100 {
        chain.step();
        let last = chain.slots().last().unwrap();
        if last.scheduled == name {
            return last.clone();
        }
    }
    panic!("no turn of {name} in 100 slots");
}

#[test]
fn the_same_seed_gives_the_same_chain() {
    let run = |seed| {
        let mut c = chain(seed);
        c.advance_to(START + 300_000);
        (
            c.head().head_id.clone(),
            c.slots().cloned().collect::<Vec<_>>(),
        )
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).0, run(8).0);
}

#[test]
fn intervals_and_protocols_are_bounded() {
    assert!(
        Chain::new(
            ChainConfig {
                interval_ms: 99,
                ..config(1, 20)
            },
            START
        )
        .is_err()
    );
    assert!(
        Chain::new(
            ChainConfig {
                protocol: Protocol::Antelope,
                ..config(1, 20)
            },
            START
        )
        .is_err()
    );
    assert!(
        Chain::new(
            ChainConfig {
                nodes: Vec::new(),
                ..config(1, 20)
            },
            START
        )
        .is_err()
    );
    let mut fast = Chain::new(
        ChainConfig {
            interval_ms: 100,
            ..config(1, 20)
        },
        START,
    )
    .unwrap();
    assert_eq!(fast.advance_to(START + 1000), 10);
}

/// Duty by the observer's rule: the schedule read while the previous block was head, and `(current_aslot + s) % n`.
#[test]
fn every_slot_has_the_producer_that_an_observer_computes() {
    let mut c = chain(3);
    for name in ["wit04", "wit11"] {
        c.set_node(name, NodeState::Crashed).unwrap();
    }
    let mut shuffles = 0;
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..500 {
        let before = c.head();
        c.step();
        let slot = c.slots().last().unwrap().clone();
        let s = slot.slot - before.aslot;
        assert!(s >= 1);
        let n = before.shuffled.len() as u64;
        assert_eq!(
            before.shuffled[((before.aslot + s) % n) as usize],
            slot.scheduled
        );
        assert_eq!(slot.time_ms, before.head_ms + s * 3000);
        assert_eq!(
            slot.block.is_some(),
            !["wit04", "wit11"].contains(&slot.scheduled.as_str())
        );
        let after = c.head();
        *counts.entry(slot.scheduled.clone()).or_default() += 1;
        if let Some((num, id, _)) = &slot.block {
            assert_eq!(u64::from_str_radix(&id[..8], 16).unwrap(), *num);
            // Rounds count blocks: a new one is drawn exactly at the announced height.
            if *num == before.next_shuffle {
                shuffles += 1;
                assert_eq!(after.next_shuffle, num + n);
            } else {
                assert_eq!(after.next_shuffle, before.next_shuffle);
                assert_eq!(after.shuffled, before.shuffled);
            }
        } else {
            assert_eq!(after.head_num, before.head_num);
        }
    }
    assert!(shuffles >= 20, "{shuffles} rounds");
    assert_eq!(counts.len(), 21);
    let head = c.head();
    assert_eq!(
        head.recent_slots.count_ones(),
        128 - c.slots().rev_missed(head.aslot)
    );
}

/// Missed slots among the last 128 up to a slot.
trait RevMissed {
    fn rev_missed(self, upto: u64) -> u32;
}

impl<'a, I: Iterator<Item = &'a SlotRecord>> RevMissed for I {
    fn rev_missed(self, upto: u64) -> u32 {
        let n = self
            .filter(|s| s.slot <= upto && s.slot + 128 > upto && s.block.is_none())
            .count();
        u32::try_from(n).unwrap()
    }
}

#[test]
fn a_miss_is_charged_when_the_next_block_lands() {
    let mut c = chain(5);
    c.advance_to(START + 200_000);
    c.set_node("A", NodeState::Crashed).unwrap();
    let slot = next_turn(&mut c, "alice");
    assert!(slot.block.is_none());
    assert_eq!(
        missed(&c, "alice"),
        0,
        "nothing says so before the next block"
    );
    let before = c.head().head_num;
    while c.head().head_num == before {
        c.step();
    }
    let expected = c
        .slots()
        .filter(|s| s.scheduled == "alice" && s.block.is_none())
        .count() as u64;
    assert_eq!(missed(&c, "alice"), expected);
    // The standby's key is not registered: it stays silent.
    assert!(c.slots().all(|s| s.node.as_deref() != Some("B")));
    let b = c.node("B").unwrap().public_key();
    c.operator_sets_key("alice", &b).unwrap();
    c.step();
    let turn = loop {
        let t = next_turn(&mut c, "alice");
        if t.registered_key == b.to_text("TST") {
            break t;
        }
    };
    assert_eq!(turn.node.as_deref(), Some("B"));
}

#[test]
fn a_gap_is_not_charged_to_the_one_who_ends_it() {
    // Everybody else is dead for a while: the gap holds slots of the very witness that produces next.
    let mut c = chain(9);
    c.advance_to(START + 300_000);
    let names: Vec<String> = (1..=20).map(|i| format!("wit{i:02}")).collect();
    c.set_node("A", NodeState::Crashed).unwrap();
    for n in &names {
        c.set_node(n, NodeState::Crashed).unwrap();
    }
    let aslot = c.head().aslot;
    for _ in 0..50 {
        c.step();
    }
    assert_eq!(c.head().aslot, aslot);
    let empty = |c: &Chain| {
        c.slots()
            .filter(|s| s.scheduled == "alice" && s.block.is_none())
            .count() as u64
    };
    c.set_node("A", NodeState::Healthy).unwrap();
    let turn = next_turn(&mut c, "alice");
    assert!(turn.block.is_some());
    assert!(empty(&c) >= 2);
    assert_eq!(
        missed(&c, "alice"),
        0,
        "her own earlier slots of the gap are not charged"
    );
    assert!(missed(&c, "wit01") >= 2);
}

#[test]
fn irreversibility_follows_three_quarters_of_the_witnesses() {
    let mut c = chain(2);
    c.advance_to(START + 600_000);
    let head = c.head();
    let lag = head.head_num - head.lib;
    assert!((5..=42).contains(&lag), "{lag}");
    // Five of 21 may be dead; with six, nothing becomes irreversible any more.
    for i in 1..=5 {
        c.set_node(&format!("wit{i:02}"), NodeState::Crashed)
            .unwrap();
    }
    c.advance_to(START + 1_200_000);
    let five = c.head();
    assert!(five.lib > head.head_num);
    c.set_node("wit06", NodeState::Crashed).unwrap();
    c.advance_to(START + 1_500_000);
    let stalled = c.head().lib;
    c.advance_to(START + 2_400_000);
    assert_eq!(c.head().lib, stalled);
    assert!(c.head().head_num > five.head_num);
    assert!(c.head().recent_slots.count_ones() < 128 * 16 / 21);
}

#[test]
fn a_reorg_replaces_blocks_and_keeps_the_transactions() {
    let mut c = chain(4);
    c.advance_to(START + 300_000);
    let b = c.node("B").unwrap().public_key();
    let txid = c.operator_sets_key("alice", &b).unwrap();
    c.step();
    c.step();
    let (num, _) = c.included(&txid).unwrap();
    let before = c.head();
    assert_eq!(num, before.head_num - 1);
    c.reorg(2, None, false).unwrap();
    let after = c.head();
    assert_eq!(after.head_num, before.head_num);
    assert_ne!(after.head_id, before.head_id);
    assert!(
        c.included(&txid).is_some(),
        "it went back to the pending ones and into the new fork"
    );
    assert_eq!(
        c.slots().last().unwrap().block.as_ref().unwrap().1,
        after.head_id
    );

    // Taking back its reference block too makes it invalid for good: why ours refers to an irreversible one.
    c.reorg(3, None, false).unwrap();
    assert!(c.included(&txid).is_none());
    c.step();
    assert!(c.included(&txid).is_none());

    // Dropping a witness's block makes a miss of it; filling makes it good again.
    while c.slots().last().unwrap().scheduled != "alice"
        || c.slots().last().unwrap().block.is_none()
    {
        c.step();
    }
    c.step();
    let base = missed(&c, "alice");
    c.reorg(2, Some("alice"), false).unwrap();
    assert_eq!(missed(&c, "alice"), base + 1);
    c.reorg(1, None, true).unwrap();
    assert_eq!(missed(&c, "alice"), base);
    assert!(c.reorg(0, None, false).is_err());
    assert!(c.reorg(1_000, None, false).is_err());
    assert_eq!(c.reorgs(), 4);
}

#[test]
fn more_than_21_witnesses_share_the_last_place_and_null_keys_drop_out() {
    let mut c = Chain::new(config(6, 30), START).unwrap();
    c.advance_to(START + 3000 * 21 * 12);
    let seen: std::collections::BTreeSet<&str> = c.slots().map(|s| s.scheduled.as_str()).collect();
    assert_eq!(seen.len(), 31, "the time-share place goes round");
    assert_eq!(c.head().shuffled.len(), 21);
    let mut c = chain(6);
    c.advance_to(START + 100_000);
    c.operator_sets_key("alice", &slotkeeper::keys::PublicKey::NULL)
        .unwrap();
    c.advance_to(START + 400_000);
    assert_eq!(c.head().shuffled.len(), 20);
    assert!(!c.head().shuffled.iter().any(|n| n == "alice"));
}

#[test]
fn frozen_and_lagging_nodes_do_not_produce() {
    for state in [NodeState::Frozen, NodeState::Lagging(3)] {
        let mut c = chain(1);
        c.advance_to(START + 100_000);
        c.set_node("A", state).unwrap();
        assert!(next_turn(&mut c, "alice").block.is_none(), "{state:?}");
        c.set_node("A", NodeState::Healthy).unwrap();
        assert!(next_turn(&mut c, "alice").block.is_some(), "{state:?}");
    }
    assert!(chain(1).set_node("nobody", NodeState::Frozen).is_err());
}
