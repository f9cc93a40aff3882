//! The ledger by turns against the plain truth of simulated chains with numbered schedules: random faults, hand-over forks,
//! key changes, restarts; and views that lag, are skipped, or carry no schedule.

use std::collections::{BTreeMap, BTreeSet};

use super::Ledger;
use super::sim::Disk;
use super::turns::MARGIN;
use super::turnsim::{Dice, FIRST_SLOT, Sim, TURN, TrueSlot, rules};
use crate::keys::PublicKey;

/// The last slot that may be judged, said in the other way round: of the last turn that is over by the margin.
fn horizon(head_slot: u64) -> u64 {
    let turns_over = (head_slot + 1 - MARGIN) / TURN;
    turns_over * TURN - 1
}

/// Empty turns of `producer` within `truth`: last slot, block after it, key.
fn empty_turns(
    truth: &BTreeMap<u64, TrueSlot>,
    producer: &str,
    to: u64,
) -> Vec<(u64, u64, PublicKey)> {
    let first = *truth.keys().next().unwrap_or(&0);
    let mut turns = Vec::new();
    for turn in first.div_ceil(TURN)..=to / TURN {
        let slots: Vec<&TrueSlot> = (turn * TURN..(turn + 1) * TURN)
            .filter_map(|s| truth.get(&s))
            .collect();
        let last = turn * TURN + TURN - 1;
        let Some(one) = slots.first().filter(|_| last <= to) else {
            continue;
        };
        let whole = slots.len() == 12
            && slots
                .iter()
                .all(|s| !s.filled && s.owner == producer && s.key == one.key);
        if whole {
            turns.push((last, one.block, one.key));
        }
    }
    turns
}

/// What the ledger remembers of slots: never wrong; `None` where something is not known.
fn never_wrong(ledger: &Ledger, truth: &BTreeMap<u64, TrueSlot>, to: u64) -> usize {
    let mut unknown = 0;
    for outcome in ledger.state.outcomes.iter().filter(|o| o.slot <= to) {
        let true_slot = &truth[&outcome.slot];
        assert_eq!(outcome.produced, true_slot.filled, "{outcome:?}");
        match &outcome.producer {
            Some(owner) => assert_eq!(*owner, true_slot.owner, "{outcome:?}"),
            None => unknown += 1,
        }
        match outcome.key {
            Some(key) => assert_eq!(key, true_slot.key, "{outcome:?}"),
            None => unknown += usize::from(!outcome.produced),
        }
    }
    unknown
}

/// Everything that the ledger says equals the truth.
fn assert_exact(ledger: &Ledger, sim: &Sim, context: &str) {
    let to = horizon(sim.head().slot);
    assert!(ledger.slots().caught_up, "{context}");
    let truth = sim.truth(1);
    let judged: BTreeMap<&u64, &TrueSlot> = truth.range(..=to).collect();
    assert_eq!(ledger.slots().slots, judged.len() as u64, "{context}");
    let missed = judged.values().filter(|s| !s.filled).count();
    assert_eq!(ledger.slots().missed, missed as u64, "{context}");
    let mut want: BTreeMap<(String, PublicKey), (u64, u64)> = BTreeMap::new();
    for slot in judged.values() {
        let of = want.entry((slot.owner.clone(), slot.key)).or_default();
        of.0 += u64::from(!slot.filled);
        of.1 += u64::from(slot.filled);
    }
    let mut got: BTreeMap<(String, PublicKey), (u64, u64)> = BTreeMap::new();
    for name in ledger.names() {
        let figures = ledger.figures(name);
        assert_eq!(figures.retracted, 0, "{context}: {name}");
        for (key, counts) in &figures.keys {
            if (counts.missed, counts.produced) != (0, 0) {
                let key = key.unwrap_or_else(|| panic!("{context}: {name}: {figures:?}"));
                got.insert((name.to_owned(), key), (counts.missed, counts.produced));
            }
        }
        let newest = sim.blocks.iter().rev().find(|b| b.block.producer == name);
        let newest = newest.filter(|b| b.block.num > 1).map(|b| b.block.num);
        assert_eq!(figures.last_block.map(|b| b.0), newest, "{context}: {name}");
        assert_eq!(figures.unknown, 0, "{context}: {name}");
        let in_force = &sim.head().rules;
        assert_eq!(figures.scheduled, in_force.order.iter().any(|n| n == name));
        let Some(current) = in_force.key_of(name) else {
            continue;
        };
        assert_eq!(figures.key, Some(current), "{context}: {name}");
        let from = sim.tenure_from(name);
        let ours: Vec<(u64, u64, PublicKey)> = empty_turns(&truth, name, to)
            .into_iter()
            .filter(|(_, before, key)| *key == current && *before > from)
            .collect();
        assert_eq!(figures.window.len(), ours.len(), "{context}: {name}");
        let floor = newest.unwrap_or(0);
        let run = ours.iter().filter(|(_, before, _)| *before > floor).count();
        assert_eq!(figures.consecutive as usize, run, "{context}: {name}");
        assert_eq!(figures.run.len(), run, "{context}: {name}");
    }
    assert_eq!(got, want, "{context}");
    assert_eq!(never_wrong(ledger, &truth, to), 0, "{context}");
}

/// A story of so many turns, seen after every block.
fn seen_closely(seed: u64, turns: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let leap = dice.roll(2) == 0;
    let mut sim = Sim::new(1 + dice.roll(5), leap);
    let mut ledger = Ledger::new(rules());
    let mut disk = Disk::default();
    let context = format!("seed {seed}, leap {leap}");
    sim.tick(&mut ledger);
    sim.tick(&mut ledger);
    disk.save(&mut ledger);
    let mut dead: BTreeSet<String> = BTreeSet::new();
    let (mut noticed, mut compared) = (true, 0);
    for turn in 0..turns {
        // Who is down in this turn; some for several.
        if dice.roll(4) == 0 {
            let name = sim.next_owner().to_owned();
            if !dead.remove(&name) {
                dead.insert(name);
            }
        }
        let partial = dice.roll(4) == 0;
        if dice.roll(6) == 0 {
            // The hand-over: some of the last blocks are not built upon.
            let unheard = sim.slot - dice.roll(5);
            let late = sim.blocks.iter().rev().take_while(|b| b.slot > unheard);
            let depth = late.count() as u64;
            sim.fork(depth);
            // Nothing shows it before the next block.
            noticed = false;
        }
        for _ in 0..TURN {
            let down = dead.contains(sim.next_owner()) || (partial && dice.roll(3) == 0);
            // Never so long without any block that the story would say nothing.
            // And without versions in headers a change shows by a block of the turn that it begins with.
            if down && sim.slot - sim.head().slot < 100 && !sim.turns_over() {
                sim.miss();
                continue;
            }
            let change = (dice.roll(30) == 0).then(|| sim.next_rules(&mut dice));
            sim.produce(change);
            let applied = sim.tick(&mut ledger);
            assert_eq!(applied.reorg.unwrap_or(0), 0, "{context}");
            if !std::mem::replace(&mut noticed, true) {
                // The block at the height of a dead one was not asked for before.
                sim.tick(&mut ledger);
            }
            if dice.roll(8) == 0 {
                disk.save(&mut ledger);
            }
            if dice.roll(40) == 0 {
                disk.save(&mut ledger);
                ledger = disk.restore(rules());
                sim.tick(&mut ledger);
                // What waited in memory is asked for again.
                sim.tick(&mut ledger);
            }
        }
        if turn % 4 == 0 && noticed && sim.head().slot > FIRST_SLOT + 40 {
            assert_exact(&ledger, &sim, &context);
            compared += 1;
        }
    }
    assert!(
        sim.head().rules.number > 3 && compared > turns / 8,
        "{context}"
    );
}

#[test]
fn over_thousands_of_turns_the_figures_are_exactly_the_record() {
    for seed in 1..=16 {
        seen_closely(seed, 150);
    }
}

/// A story seen through views that lag, are skipped, move while the schedule is read, or carry none; with restarts that
/// lose what was not saved.
fn seen_badly(seed: u64, turns: u64) -> (u64, u64) {
    let mut dice = Dice(seed.wrapping_mul(0xD134_2543_DE82_EF95) | 1);
    let leap = dice.roll(2) == 0;
    let mut sim = Sim::new(2 + dice.roll(4), leap);
    let mut ledger = Ledger::new(rules());
    let mut disk = Disk::default();
    sim.tick(&mut ledger);
    sim.tick(&mut ledger);
    disk.save(&mut ledger);
    let mut dead: BTreeSet<String> = BTreeSet::new();
    let mut blind = 0;
    for _ in 0..turns {
        if dice.roll(3) == 0 {
            let name = sim.next_owner().to_owned();
            if !dead.remove(&name) {
                dead.insert(name);
            }
        }
        if dice.roll(5) == 0 {
            sim.fork(dice.roll(9));
        }
        for _ in 0..TURN {
            let down = dead.contains(sim.next_owner()) || dice.roll(20) == 0;
            // And without versions in headers a change shows by a block of the turn that it begins with.
            if down && sim.slot - sim.head().slot < 100 && !sim.turns_over() {
                sim.miss();
                continue;
            }
            let change = (dice.roll(40) == 0).then(|| sim.next_rules(&mut dice));
            sim.produce(change);
            if blind == 0 && dice.roll(60) == 0 {
                blind = dice.roll(90);
            }
            blind = blind.saturating_sub(1);
            if blind > 0 || dice.roll(3) == 0 {
                continue;
            }
            let head = sim.head().block.num;
            let num = head
                .saturating_sub(dice.roll(4))
                .max(sim.irreversible)
                .max(1);
            let by = num + dice.roll(head - num + 1);
            let of = num + dice.roll(by - num + 1);
            let reading = (dice.roll(5) > 0).then_some((of, by));
            let applied = ledger.apply(&sim.view(&ledger, num, reading));
            assert_eq!((applied.odd, applied.skipped), (None, None));
            // Below the view's head nothing of another fork is left, once all was asked for again.
            if ledger.now.refetch.is_none() {
                let slot = sim.at(num).unwrap().slot;
                never_wrong(&ledger, &sim.truth(1), slot);
            }
            if dice.roll(4) > 0 {
                disk.save(&mut ledger);
            }
            if dice.roll(50) == 0 {
                ledger = disk.restore(rules());
            }
        }
    }
    for _ in 0..40 {
        sim.tick(&mut ledger);
    }
    let (context, truth) = (format!("seed {seed}, leap {leap}"), sim.truth(1));
    assert!(ledger.slots().caught_up, "{context}");
    let judged: Vec<&TrueSlot> = truth
        .range(..=horizon(sim.head().slot))
        .map(|(_, s)| s)
        .collect();
    never_wrong(&ledger, &truth, u64::MAX);
    let mut known = 0;
    for name in ledger.names() {
        let figures = ledger.figures(name);
        // Nothing is charged to a key beyond what it missed, save what a fork had counted and took back.
        let mut charged = 0;
        for (key, counts) in figures.keys.iter().filter_map(|(k, c)| Some(((*k)?, c))) {
            let of = |s: &&&TrueSlot| s.owner == name && s.key == key;
            let missed = judged.iter().filter(of).filter(|s| !s.filled).count() as u64;
            assert!(
                counts.missed <= missed + figures.retracted,
                "{context}: {name}"
            );
            charged += counts.missed;
        }
        known += charged.saturating_sub(figures.retracted);
        let turns = empty_turns(&truth, name, horizon(sim.head().slot)).len();
        assert!(figures.window.len() <= turns, "{context}: {name}");
        assert!(figures.consecutive as usize <= turns, "{context}: {name}");
    }
    (known, judged.iter().filter(|s| !s.filled).count() as u64)
}

#[test]
fn whatever_is_seen_nothing_is_guessed() {
    let (mut known, mut all) = (0, 0);
    for seed in 1..=16 {
        let (k, a) = seen_badly(seed, 120);
        known += k;
        all += a;
    }
    assert!(all > 1_000, "{all}");
    // What cannot be known is little: most of it is told by the versions around it.
    assert!(known * 10 > all * 5, "{known} of {all}");
}
