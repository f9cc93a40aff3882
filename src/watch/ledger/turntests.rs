//! The ledger by turns against the plain truth of simulated chains with numbered schedules: random faults, hand-over forks,
//! key changes, restarts; and views that lag, are skipped, or carry no schedule.

use std::collections::{BTreeMap, BTreeSet};

use super::Ledger;
use super::sim::{Disk, key};
use super::turns::MARGIN;
use super::turnsim::{Content, Dice, FIRST_SLOT, Sim, TURN, TrueSlot, rules};
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
            if down && sim.slot - sim.head().slot < 100 {
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
            if down && sim.slot - sim.head().slot < 100 {
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

/// A chain of three with one failing producer: the story that all tables below change one thing of.
struct Story {
    sim: Sim,
    ledger: Ledger,
}

impl Story {
    fn new(leap: bool) -> Self {
        let sim = Sim::new(3, leap);
        let mut ledger = Ledger::new(rules());
        sim.tick(&mut ledger);
        sim.tick(&mut ledger);
        Self { sim, ledger }
    }

    /// So many slots; of `down` every one is missed.
    fn slots(&mut self, count: u64, down: &str) {
        for _ in 0..count {
            if self.sim.next_owner() == down {
                self.sim.miss();
            } else {
                self.sim.produce(None);
                self.sim.tick(&mut self.ledger);
            }
        }
    }

    /// `p1` gets this key: in force with the next block.
    fn switch(&mut self, to: u8) {
        let old = &self.sim.head().rules;
        let mut keys = old.keys.clone();
        keys[1] = key(to);
        let content = Content {
            number: old.number + 1,
            order: old.order.clone(),
            keys,
        };
        self.sim.produce(Some(content));
        self.sim.tick(&mut self.ledger);
    }
}

#[test]
fn a_turn_counts_when_it_is_over_by_the_margin_and_whole() {
    for leap in [true, false] {
        let mut story = Story::new(leap);
        // Whose first slot of all is not judged is p0, p1 or p2; go to the beginning of a turn of p1.
        while story.sim.next_owner() != "p1" {
            story.slots(1, "");
        }
        let empty = |story: &Story| story.ledger.figures("p1").consecutive;
        story.slots(12, "p1");
        for n in 1..MARGIN {
            story.slots(1, "p1");
            assert_eq!(empty(&story), 0, "{n} slots after it");
            assert_eq!(story.ledger.slots().missed, 0, "{n} slots after it");
            assert!(story.ledger.slots().caught_up);
        }
        story.slots(1, "p1");
        assert_eq!((empty(&story), story.ledger.slots().missed), (1, 12));
        // The next turn but one block: slots are counted, turns are not; the block ends the run at once.
        story.slots(18, "p1");
        assert_eq!(story.sim.next_owner(), "p1");
        story.slots(11, "p1");
        assert_eq!(empty(&story), 1);
        story.slots(1, "");
        assert_eq!(empty(&story), 0);
        story.slots(12, "p1");
        assert_eq!((empty(&story), story.ledger.slots().missed), (0, 23));
        let figures = story.ledger.figures("p1");
        assert_eq!(figures.window.len(), 1);
        assert_eq!(figures.keys[&Some(key(1))].missed, 23);
    }
}

#[test]
fn the_fault_of_the_old_key_ends_when_the_new_one_is_effective() {
    for leap in [true, false] {
        let mut story = Story::new(leap);
        while story.sim.next_owner() != "p1" {
            story.slots(1, "");
        }
        story.slots(36 + 18, "p1");
        assert_eq!(story.ledger.figures("p1").consecutive, 2);
        // A registered key does not matter: only the schedule does.
        story.switch(2);
        let figures = story.ledger.figures("p1");
        assert_eq!((figures.key, figures.consecutive), (Some(key(2)), 0));
        assert_eq!(figures.window.len(), 0);
        story.slots(36, "p1");
        let figures = story.ledger.figures("p1");
        assert_eq!((figures.consecutive, figures.unknown), (1, 0));
        assert_eq!(figures.keys[&Some(key(1))].missed, 24);
        assert_eq!(figures.keys[&Some(key(2))].missed, 12);
    }
}

#[test]
fn a_version_that_nobody_read_charges_nobody() {
    for leap in [true, false] {
        let mut story = Story::new(leap);
        while story.sim.next_owner() != "p1" {
            story.slots(1, "");
        }
        // Unseen: two versions come, and p1 misses a turn under the first of them.
        story.sim.miss();
        let unseen = |story: &mut Story, slots: u64| {
            for _ in 0..slots {
                match story.sim.next_owner() {
                    "p1" => story.sim.miss(),
                    _ => story.sim.produce(None),
                }
            }
        };
        unseen(&mut story, 11);
        for (to, number) in [(2, 2), (3, 3)] {
            let mut keys = story.sim.head().rules.keys.clone();
            keys[1] = key(to);
            let order = story.sim.head().rules.order.clone();
            story.sim.produce(Some(Content {
                number,
                order,
                keys,
            }));
            unseen(&mut story, 35);
        }
        unseen(&mut story, 12);
        story.sim.tick(&mut story.ledger);
        story.sim.tick(&mut story.ledger);
        assert!(story.ledger.slots().caught_up);
        let figures = story.ledger.figures("p1");
        let missed = |k: Option<PublicKey>| figures.keys.get(&k).map_or(0, |c| c.missed);
        // The first turn was under version 1: the last head seen rules up to the block after it.
        assert_eq!(missed(Some(key(1))), 12);
        assert_eq!(missed(Some(key(2))), 0);
        assert_eq!(missed(Some(key(3))), if leap { 12 } else { 0 });
        assert_eq!(story.ledger.slots().missed, 36);
        assert_eq!(figures.key, Some(key(3)));
    }
}

#[test]
fn between_two_readings_only_what_both_versions_say_is_known() {
    let mut story = Story::new(false);
    while story.sim.next_owner() != "p1" {
        story.slots(1, "");
    }
    let before = story.ledger.figures("p2").keys[&Some(key(1))].produced;
    // Unseen: p1 misses its turn, p2 gets another key (p1 keeps its own).
    for _ in 0..12 {
        story.sim.miss();
    }
    let rules = story.sim.head().rules.clone();
    let mut keys = rules.keys.clone();
    keys[2] = key(2);
    story.sim.produce(Some(Content {
        number: 2,
        order: rules.order.clone(),
        keys,
    }));
    for _ in 0..40 {
        story.sim.produce(None);
    }
    story.sim.tick(&mut story.ledger);
    story.sim.tick(&mut story.ledger);
    let (one, two) = (story.ledger.figures("p1"), story.ledger.figures("p2"));
    assert_eq!((one.keys[&Some(key(1))].missed, one.window.len()), (12, 1));
    assert!(!one.keys.contains_key(&None));
    // The block after the last reading was under its version; of p2's others nobody knows which of the two keys signed.
    assert_eq!(two.keys[&Some(key(1))].produced - before, 1);
    assert_eq!(two.keys[&None].produced, 11);
}

#[test]
fn a_state_file_of_before_is_read_and_pieces_that_are_missing_are_noticed() {
    let mut story = Story::new(true);
    story.slots(400, "p1");
    let mut disk = Disk::default();
    disk.save(&mut story.ledger);
    assert_eq!(disk.restore(rules()).state, story.ledger.state);
    // Saved again and again: what is on disk is what is in memory, and no piece is left over.
    for _ in 0..60 {
        story.slots(7, "p1");
        disk.save(&mut story.ledger);
        assert_eq!(disk.restore(rules()).state, story.ledger.state);
    }
    let rows = disk.rows();
    assert!(rows.len() < 60, "{}", rows.len());
    let lost = rows.iter().position(|(row, _)| row.starts_with("b/"));
    let mut without = rows.clone();
    without.remove(lost.unwrap());
    let error = Ledger::restore(rules(), &without).unwrap_err();
    assert!(error.to_string().contains("blocks are missing"), "{error}");
    // Before, everything of the chain was in one row.
    let state = &story.ledger.state;
    let (_, chain) = rows.iter().find(|(row, _)| row == "chain").unwrap();
    let mut whole: serde_json::Value = serde_json::from_str(chain).unwrap();
    whole["recent"] = serde_json::to_value(&state.recent).unwrap();
    whole["slots"] = serde_json::to_value(&state.slots).unwrap();
    whole["outcomes"] = serde_json::to_value(&state.outcomes).unwrap();
    let of_before = [("chain".to_owned(), whole.to_string())];
    let restored = Ledger::restore(rules(), &of_before).unwrap();
    assert_eq!(restored.state.recent, state.recent);
    assert_eq!(restored.state.slots, state.slots);
    assert_eq!(restored.state.outcomes, state.outcomes);
}
