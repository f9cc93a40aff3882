//! The ledger against the plain truth of simulated chains: tables of named cases here, properties over random ones in
//! `stories`.

mod stories;

use std::collections::BTreeMap;

use super::sim::{Sim, TrueSlot, key, name, rules};
use super::{Ledger, LedgerRules};
use crate::chain::BlockId;
use crate::keys::PublicKey;
use crate::watch::KeyCounts;

const ROUND: u64 = 5;

/// What the truth says the counters must be, per producer and key.
fn counts<'a>(
    truth: impl Iterator<Item = &'a TrueSlot>,
) -> BTreeMap<(String, PublicKey), KeyCounts> {
    let mut counts: BTreeMap<(String, PublicKey), KeyCounts> = BTreeMap::new();
    for slot in truth {
        let of = counts.entry((slot.owner.clone(), slot.key)).or_default();
        if slot.filled {
            of.produced += 1;
        } else {
            of.missed += 1;
        }
    }
    counts
}

/// What the ledger says, leaving out counters that stand at zero.
fn counted(ledger: &Ledger) -> BTreeMap<(String, PublicKey), KeyCounts> {
    let mut counts = BTreeMap::new();
    for name in ledger.names() {
        for (key, of) in ledger.figures(name).keys {
            if of != KeyCounts::default() {
                counts.insert((name.to_owned(), key.expect("a known key")), of);
            }
        }
    }
    counts
}

/// Checks everything that follows from the judged fork alone (and not from its history) against the truth.
fn assert_present(ledger: &Ledger, truth: &[TrueSlot], sim: &Sim) {
    for n in 0..ROUND {
        let figures = ledger.figures(&name(n));
        let mine: Vec<&TrueSlot> = truth.iter().filter(|s| s.owner == name(n)).collect();
        let last = mine.iter().rev().find(|s| s.filled);
        assert_eq!(
            figures.last_block.map(|b| b.0),
            last.map(|s| s.block),
            "p{n}"
        );
        let from = sim.tenure_from(&name(n));
        let tenure = || mine.iter().rev().take_while(|s| s.block > from);
        let run = tenure().take_while(|s| !s.filled).count();
        assert_eq!(usize::try_from(figures.consecutive).unwrap(), run, "p{n}");
        assert_eq!(figures.run.len(), run, "p{n}");
        let missed = tenure().filter(|s| !s.filled).count();
        assert_eq!(figures.window.len(), missed, "p{n}");
        let next = figures
            .next_slot
            .map(|t| (t - sim.head().block.time) / super::sim::INTERVAL);
        assert!(next.is_none_or(|ahead| (1..=5).contains(&ahead)));
    }
}

#[test]
fn one_chain_seen_block_by_block() {
    let mut sim = Sim::new(ROUND);
    let mut ledger = Ledger::new(rules());
    sim.tick(&mut ledger);
    for missed in [0, 1, 0, 2, 0, 0, 7, 0, 0, 1, 1, 0] {
        sim.produce(missed, &[]);
        sim.tick(&mut ledger);
        if sim.head().block.num > 2 {
            assert!(ledger.slots().caught_up);
        }
    }
    let truth = sim.truth(1);
    assert_eq!(counted(&ledger), counts(truth.iter()));
    assert_eq!(ledger.slots().slots, truth.len() as u64);
    assert_eq!(ledger.slots().missed, 12);
    assert_present(&ledger, &truth, &sim);
    let share = ledger.figures("p0").others_participation.unwrap();
    let last: Vec<&TrueSlot> = truth
        .iter()
        .rev()
        .take(10)
        .filter(|s| s.owner != "p0")
        .collect();
    let filled = last.iter().filter(|s| s.filled).count();
    #[allow(clippy::cast_precision_loss)]
    let want = filled as f64 / last.len() as f64;
    assert!((share - want).abs() < 1e-9, "{share} {want}");
}

#[test]
fn a_nodes_own_counter_is_never_evidence() {
    let mut sim = Sim::new(ROUND);
    let mut ledger = Ledger::new(rules());
    sim.tick(&mut ledger);
    for reported in [100, 95, 100, 0, 1_000] {
        sim.reported_missed = reported;
        sim.produce(0, &[]);
        sim.tick(&mut ledger);
    }
    assert_eq!(ledger.slots().missed, 0);
    assert!(counted(&ledger).values().all(|c| c.missed == 0));
}

/// Produces whole rounds in which only `producer` misses, until it has missed `misses` slots.
fn miss(sim: &mut Sim, ledger: &mut Ledger, producer: &str, misses: u32) {
    let mut left = misses;
    while left > 0 {
        let mut probe = sim.clone();
        probe.produce(0, &[]);
        let its = probe.head().block.producer == producer;
        sim.produce(u64::from(its), &[]);
        left -= u32::from(its);
        sim.tick(ledger);
    }
}

#[test]
fn ten_minutes_without_a_view_are_filled_in_by_the_second_view() {
    let mut sim = Sim::new(ROUND);
    let mut ledger = Ledger::new(rules());
    sim.tick(&mut ledger);
    for _ in 0..20 {
        sim.produce(0, &[]);
        sim.tick(&mut ledger);
    }
    for _ in 0..200 {
        sim.produce(0, &[]);
    }
    ledger.apply(&sim.view_after(&ledger, false));
    assert!(!ledger.slots().caught_up);
    // However long the tick before took: up to its own head and two blocks on.
    sim.produce(0, &[]);
    sim.produce(0, &[]);
    sim.tick(&mut ledger);
    assert!(ledger.slots().caught_up);
}

/// The next block is by one of `able`: all slots before it are missed.
fn produce_by(sim: &mut Sim, able: &[&str]) {
    for missed in 0.. {
        let mut probe = sim.clone();
        probe.produce(missed, &[]);
        if able.contains(&probe.head().block.producer.as_str()) {
            *sim = probe;
            return;
        }
    }
}

#[test]
fn misses_on_a_fork_of_few_are_told_from_a_producers_own() {
    let mut two_rounds_were_blind = false;
    let pairs = [["p1", "p2"], ["p1", "p3"], ["p1", "p4"], ["p2", "p3"]];
    // The fork begins at every place of a round, and after many shuffles.
    for (start, few) in (10..60).flat_map(|start| pairs.map(|few| (start, few))) {
        let mut sim = Sim::new(ROUND);
        let mut ledger = Ledger::new(rules());
        sim.tick(&mut ledger);
        for _ in 0..start {
            sim.produce(0, &[]);
            sim.tick(&mut ledger);
        }
        assert_eq!(ledger.figures("p0").others_since_run, None);
        loop {
            produce_by(&mut sim, &few);
            sim.tick(&mut ledger);
            let figures = ledger.figures("p0");
            if figures.consecutive >= 3 {
                let others = figures.others_since_run.unwrap();
                assert_eq!((others.producing, others.of), (2, 4), "{start}");
                two_rounds_were_blind |= figures.others_participation.unwrap() >= 0.67;
            }
            if figures.consecutive >= 8 {
                break;
            }
        }
        // All come back but p0: a pass later the fault is its own.
        loop {
            produce_by(&mut sim, &["p1", "p2", "p3", "p4"]);
            sim.tick(&mut ledger);
            if ledger.figures("p0").consecutive >= 12 {
                break;
            }
        }
        let others = ledger.figures("p0").others_since_run.unwrap();
        assert_eq!((others.producing, others.of), (4, 4), "{start}");
    }
    assert!(two_rounds_were_blind, "the table never shows why");
}

#[test]
fn a_producer_that_fails_alone_has_all_others_from_its_first_miss_on() {
    for start in 0..40 {
        let mut sim = Sim::new(ROUND);
        let mut ledger = Ledger::new(rules());
        sim.tick(&mut ledger);
        for _ in 0..start {
            sim.produce(0, &[]);
            sim.tick(&mut ledger);
        }
        for _ in 0..20 {
            produce_by(&mut sim, &["p1", "p2", "p3", "p4"]);
            sim.tick(&mut ledger);
            let figures = ledger.figures("p0");
            let others = figures.others_since_run;
            assert_eq!(others.is_some(), figures.consecutive > 0, "{start}");
            assert!(
                others.is_none_or(|o| o.producing == o.of),
                "{start}: {others:?}"
            );
        }
    }
}

#[test]
fn a_key_that_comes_back_starts_a_new_tenure() {
    let mut sim = Sim::new(ROUND);
    let mut ledger = Ledger::new(rules());
    sim.tick(&mut ledger);
    miss(&mut sim, &mut ledger, "p1", 3);
    let figures = ledger.figures("p1");
    assert_eq!((figures.consecutive, figures.window.len()), (3, 3));
    // A→B: the misses of A are not B's.
    sim.produce(0, &[("p1", key(2))]);
    sim.tick(&mut ledger);
    let figures = ledger.figures("p1");
    assert_eq!(
        (figures.key, figures.consecutive, figures.window.len()),
        (Some(key(2)), 0, 0)
    );
    assert_eq!(figures.tenure_since, Some(sim.head().block.time));
    miss(&mut sim, &mut ledger, "p1", 1);
    assert_eq!(ledger.figures("p1").consecutive, 1);
    // B→A: nor are the old misses of A those of its new tenure.
    sim.produce(0, &[("p1", key(1))]);
    sim.tick(&mut ledger);
    let figures = ledger.figures("p1");
    assert_eq!(
        (figures.key, figures.consecutive, figures.window.len()),
        (Some(key(1)), 0, 0)
    );
    // The counters per key go on over tenures.
    miss(&mut sim, &mut ledger, "p1", 1);
    let figures = ledger.figures("p1");
    assert_eq!(figures.consecutive, 1);
    assert_eq!(figures.keys[&Some(key(1))].missed, 4);
    assert_eq!(figures.keys[&Some(key(2))].missed, 1);
}

#[test]
fn misses_before_a_switch_takes_effect_belong_to_the_old_key() {
    let mut sim = Sim::new(ROUND);
    let mut ledger = Ledger::new(rules());
    sim.tick(&mut ledger);
    // The slot right before the block with the switch is missed; the view that shows it already names the new key.
    loop {
        let mut probe = sim.clone();
        probe.produce(0, &[]);
        if probe.head().block.producer == "p1" {
            break;
        }
        sim.produce(0, &[]);
        sim.tick(&mut ledger);
    }
    sim.produce(1, &[("p1", key(2))]);
    sim.tick(&mut ledger);
    let figures = ledger.figures("p1");
    assert_eq!(figures.key, Some(key(2)));
    assert_eq!(figures.keys[&Some(key(1))].missed, 1);
    assert_eq!(figures.keys[&Some(key(2))].missed, 0);
    assert_eq!(figures.consecutive, 0);
}

#[test]
fn a_gap_with_two_keys_around_it_and_no_block_to_tell_is_of_an_unknown_key() {
    // A short window, so that an absence of 60 blocks is skipped, not backfilled.
    let short = LedgerRules {
        miss_window: 40 * super::sim::INTERVAL,
        ..rules()
    };
    let mut sim = Sim::new(ROUND);
    let mut ledger = Ledger::new(short);
    sim.tick(&mut ledger);
    for _ in 0..10 {
        sim.produce(0, &[]);
        sim.tick(&mut ledger);
    }
    // Unseen: p1 switches, and later misses everything.
    for n in 0..60 {
        let change = [("p1", key(2))];
        sim.produce(0, if n == 5 { &change } else { &[] });
    }
    let skipped = sim.tick(&mut ledger).skipped;
    assert_eq!(skipped, Some((12, 31)));
    // From the anchor on p1 misses (before it has signed anything that would show its key).
    let judged = |sim: &Sim| sim.truth(31).iter().any(|s| s.owner == "p1" && s.filled);
    assert!(
        judged(&sim),
        "the cases below need p1's key to be shown by its blocks"
    );
    sim.catch_up(&mut ledger);
    let figures = ledger.figures("p1");
    // All its blocks after the anchor show the new key: nothing unknown, nothing charged to the old one.
    assert_eq!(figures.keys[&Some(key(2))].missed, 0);
    assert_eq!(figures.unknown, 0);

    // The same, but p1 misses every slot between the anchor and the head, so that no block tells.
    let mut sim = Sim::new(ROUND);
    let mut ledger = Ledger::new(LedgerRules {
        miss_window: 40 * super::sim::INTERVAL,
        ..rules()
    });
    sim.tick(&mut ledger);
    for _ in 0..10 {
        sim.produce(0, &[]);
        sim.tick(&mut ledger);
    }
    let mut missed = 0;
    for n in 0..120 {
        let mut probe = sim.clone();
        probe.produce(0, &[]);
        let its = probe.head().block.producer == "p1";
        let change = [("p1", key(2))];
        sim.produce(u64::from(its), if n == 90 { &change } else { &[] });
        missed += u64::from(its);
    }
    assert!(missed > 20);
    for _ in 0..4 {
        let mut view = sim.view(&ledger);
        view.schedules = sim.schedules();
        ledger.apply(&view);
    }
    let figures = ledger.figures("p1");
    let unknown = figures.keys.get(&None).copied().unwrap_or_default().missed;
    assert!(unknown > 0, "{figures:?}");
    assert_eq!(
        figures.keys[&Some(key(1))].missed,
        0,
        "not the old key's: that was not seen"
    );
    assert!(u64::from(figures.consecutive) + unknown <= missed);
    assert!(ledger.slots().caught_up);
}

#[test]
fn a_schedule_that_does_not_name_the_producer_attributes_nothing() {
    let mut sim = Sim::new(ROUND);
    let mut ledger = Ledger::new(rules());
    sim.tick(&mut ledger);
    sim.produce(0, &[]);
    sim.tick(&mut ledger);
    sim.produce(2, &[]);
    let mut view = sim.view(&ledger);
    for schedule in &mut view.schedules {
        schedule.order.rotate_left(1);
    }
    // A fresh ledger knows only the wrong schedule.
    let mut fresh = Ledger::new(rules());
    view.blocks.clear();
    fresh.apply(&view);
    let view = {
        let mut v = sim.view(&fresh);
        v.schedules.clone_from(&view.schedules);
        v
    };
    fresh.apply(&view);
    assert_eq!(fresh.slots().missed, 2, "the chain's");
    assert!(counted(&fresh).values().all(|c| c.missed == 0), "nobody's");
}

#[test]
fn two_ids_at_one_slot_by_one_producer_are_counted_once() {
    let mut sim = Sim::new(ROUND);
    let mut ledger = Ledger::new(rules());
    sim.tick(&mut ledger);
    sim.produce(0, &[]);
    sim.tick(&mut ledger);
    sim.produce(0, &[]);
    sim.tick(&mut ledger);
    let mut other = sim.head().block.clone();
    let producer = other.producer.clone();
    other.id = BlockId("another".into());
    for _ in 0..3 {
        ledger.sight(std::slice::from_ref(&other));
        ledger.sight(std::slice::from_ref(&sim.head().block));
    }
    assert_eq!(ledger.figures(&producer).conflicting, 1);
    // A different producer at the slot (another fork's schedule) is no such sign.
    other.producer = "p99".into();
    other.id = BlockId("third".into());
    ledger.sight(std::slice::from_ref(&other));
    assert_eq!(ledger.figures("p99").conflicting, 0);
}

#[test]
fn blocks_that_no_endpoint_has_are_given_up_in_the_end() {
    let mut sim = Sim::new(ROUND);
    let mut ledger = Ledger::new(rules());
    sim.tick(&mut ledger);
    sim.produce(0, &[]);
    sim.catch_up(&mut ledger);
    for _ in 0..20 {
        sim.produce(0, &[]);
    }
    let mut skipped = None;
    for _ in 0..200 {
        let mut view = sim.view(&ledger);
        view.blocks.retain(|b| b.num > 8);
        skipped = skipped.or(ledger.apply(&view).skipped);
    }
    assert_eq!(skipped, Some((3, sim.irreversible())));
    assert!(ledger.slots().caught_up);
}
