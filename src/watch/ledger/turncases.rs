//! The ledger by turns, case by case: whole and partial turns, effective keys, versions that nobody read, saved pieces.

use super::Ledger;
use super::sim::{Disk, key};
use super::turns::MARGIN;
use super::turnsim::{Content, Sim, rules};
use crate::keys::PublicKey;

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

/// The last blocks of every turn are lost at the hand-over: the others still produce, and p1 fails alone.
#[test]
fn blocks_lost_at_every_hand_over_are_no_trouble_of_the_whole_network() {
    for leap in [true, false] {
        let mut story = Story::new(leap);
        let mut seen = false;
        for _ in 0..36 * 4 {
            let lost = (story.sim.slot + 1) % 12 >= 10;
            let next = story.sim.next_owner().to_owned();
            story.slots(1, if lost { &next } else { "p1" });
            if let Some(others) = story.ledger.figures("p1").others_since_run {
                assert_eq!(others.producing, others.of);
                seen |= others.of == 2;
            }
        }
        assert!(seen);
        // An empty turn of one of them tells all the same.
        while story.sim.next_owner() != "p2" {
            story.slots(1, "p1");
        }
        story.slots(12, "p2");
        while story.sim.next_owner() != "p2" {
            story.slots(1, "p1");
        }
        let others = story.ledger.figures("p1").others_since_run.unwrap();
        assert_eq!((others.producing, others.of), (1, 2));
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
        if !leap {
            // In force with the next turn.
            story.slots(6, "p1");
        }
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
        // Where headers tell, the first turn was under version 1: the last head seen rules up to the block after it. Where
        // time decides, a version may have come into force with that turn already.
        let told = if leap { 12 } else { 0 };
        assert_eq!(missed(Some(key(1))), told);
        assert_eq!(missed(Some(key(2))), 0);
        assert_eq!(missed(Some(key(3))), told);
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
    // Of p2's blocks nobody knows which of the two keys signed.
    assert_eq!(two.keys[&Some(key(1))].produced, before);
    assert_eq!(two.keys[&None].produced, 12);
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
