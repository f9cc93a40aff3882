//! Random stories of misses, switches, forks, gaps and crashes: what the ledger says at the end is the truth.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::watch::ledger::sim::Disk;

/// One step of a random story.
#[derive(Debug, Clone)]
struct Step {
    missed: u64,
    /// Producer and key of a switch in this block.
    switch: Option<(u64, u8)>,
    /// Blocks taken back before this one.
    fork: u64,
    /// The watcher ticks after this block.
    seen: bool,
    /// The process dies (saved or not since the last tick) and starts again.
    crash: Option<bool>,
}

fn steps(forks: bool, all_seen: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = (
        prop_oneof![6 => Just(0u64), 2 => Just(1), 1 => 2..4u64, 1 => 5..12u64],
        prop::option::weighted(0.15, (0..ROUND, 1..4u8)),
        prop_oneof![6 => Just(0u64), 1 => 1..6u64],
        prop::bool::weighted(0.6),
        prop::option::weighted(0.1, any::<bool>()),
    )
        .prop_map(move |(missed, switch, fork, seen, crash)| Step {
            missed,
            switch,
            fork: if forks { fork } else { 0 },
            seen: seen || all_seen,
            crash,
        });
    prop::collection::vec(step, 1..60)
}

/// Plays a story; the ledger ends caught up. Also returns the heads at which it looked.
fn play(steps: &[Step]) -> (Sim, Ledger, BTreeSet<u64>) {
    let mut sim = Sim::new(ROUND);
    let mut ledger = Ledger::new(rules());
    let mut disk = Disk::default();
    let mut heads = BTreeSet::new();
    let mut unsaved = Vec::new();
    let mut last_slot = 0;
    sim.catch_up_from_start(&mut ledger);
    heads.insert(sim.head().block.num);
    disk.save(&mut ledger);
    let mut before = counted_loosely(&ledger);
    for step in steps {
        let room = sim.head().block.num - sim.irreversible();
        if step.fork > 0 && step.fork <= room {
            sim.fork(step.fork);
        }
        let who = step.switch.map(|(n, k)| (name(n), key(k)));
        let change: Vec<(&str, PublicKey)> = who.iter().map(|(n, k)| (n.as_str(), *k)).collect();
        sim.produce(step.missed, &change);
        if step.seen {
            sim.tick(&mut ledger);
            unsaved.push(sim.head().block.num);
            if step.crash != Some(false) {
                disk.save(&mut ledger);
                heads.extend(unsaved.drain(..));
            }
        }
        last_slot = last_slot.max(sim.head().slot);
        if step.crash.is_some() {
            unsaved.clear();
            ledger = disk.restore(rules());
            before = counted_loosely(&ledger);
        }
        let after = counted_loosely(&ledger);
        for (of, old) in &before {
            let new = after[of];
            assert!(
                new.0 >= old.0 && new.1 >= old.1,
                "a counter fell: {of:?} {old:?} {new:?}"
            );
        }
        before = after;
    }
    // Slots that only a dead fork has reached are judged again once the chain comes there.
    while sim.head().slot < last_slot {
        sim.produce(0, &[]);
        sim.tick(&mut ledger);
    }
    sim.catch_up(&mut ledger);
    heads.extend(unsaved);
    heads.insert(sim.head().block.num);
    (sim, ledger, heads)
}

fn counted_loosely(ledger: &Ledger) -> BTreeMap<(String, Option<PublicKey>), (u64, u64)> {
    let names: Vec<String> = ledger.names().map(str::to_owned).collect();
    names
        .into_iter()
        .flat_map(|name| {
            let keys = ledger.figures(&name).keys;
            keys.into_iter()
                .map(move |(key, of)| ((name.clone(), key), (of.missed, of.produced)))
        })
        .collect()
}

impl Sim {
    fn catch_up_from_start(&self, ledger: &mut Ledger) {
        self.tick(ledger);
        self.catch_up(ledger);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Seen block by block, with crashes at any point: exactly the truth.
    #[test]
    fn continuous_observation_is_exact(steps in steps(false, true)) {
        let (sim, ledger, _) = play(&steps);
        let truth = sim.truth(1);
        prop_assert_eq!(counted(&ledger), counts(truth.iter()));
        prop_assert_eq!(ledger.slots().slots, truth.len() as u64);
        assert_present(&ledger, &truth, &sim);
    }

    /// With gaps in observation: the chain's figures exact, every miss either attributed rightly or to nobody, and to
    /// nobody only where neither a schedule nor the round's own blocks tell.
    #[test]
    fn gaps_are_backfilled_and_nothing_is_guessed(steps in steps(false, false)) {
        let (sim, ledger, heads) = play(&steps);
        let truth = sim.truth(1);
        let told = |slot: &&TrueSlot| {
            slot.filled
                || heads.range(slot.round_end - ROUND..slot.round_end).next().is_some()
                || truth.iter().any(|s| {
                    s.filled && s.round_end == slot.round_end && s.slot % ROUND == slot.slot % ROUND
                })
        };
        prop_assert_eq!(counted(&ledger), counts(truth.iter().filter(told)));
        prop_assert_eq!(ledger.slots().slots, truth.len() as u64);
        let missed = truth.iter().filter(|s| !s.filled).count();
        prop_assert_eq!(ledger.slots().missed, missed as u64);
    }

    /// Forks at any point, with crashes: what stands is what the last fork says, what was counted and taken back shows
    /// as retracted, and no counter ever falls.
    #[test]
    fn forks_take_back_without_counting_twice(steps in steps(true, true)) {
        let (sim, ledger, _) = play(&steps);
        let truth = sim.truth(1);
        assert_present(&ledger, &truth, &sim);
        for n in 0..ROUND {
            let figures = ledger.figures(&name(n));
            let missed: u64 = figures.keys.values().map(|c| c.missed).sum();
            let standing = truth.iter().filter(|s| s.owner == name(n) && !s.filled).count();
            prop_assert_eq!(missed - figures.retracted, standing as u64, "p{}", n);
            let produced: u64 = figures.keys.values().map(|c| c.produced).sum();
            let stands = truth.iter().filter(|s| s.owner == name(n) && s.filled).count();
            prop_assert!(produced >= stands as u64);
        }
        prop_assert!(ledger.slots().slots >= truth.len() as u64);
    }
}

/// A head's keys are read before its blocks are judged. When the process dies then and the head is left for another fork
/// meanwhile, no judged block tells that: the reading itself must know what it was read at.
#[test]
fn a_key_read_at_a_head_that_is_left_while_the_process_is_down_is_forgotten() {
    let step = |missed, switch, fork, crash| Step {
        missed,
        switch,
        fork,
        seen: true,
        crash,
    };
    let quiet = [1u64, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    let mut steps: Vec<Step> = quiet.map(|missed| step(missed, None, 0, None)).to_vec();
    steps.push(step(0, Some((1, 2)), 1, None));
    steps.push(step(0, None, 1, Some(false)));
    steps.push(step(0, None, 0, None));
    let (sim, ledger, _) = play(&steps);
    assert_present(&ledger, &sim.truth(1), &sim);
}
