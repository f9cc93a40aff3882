//! The ledger by turns against the plain truth of simulated chains with numbered schedules: random faults, hand-over forks,
//! key changes, restarts; and views that lag, are skipped, or carry no schedule.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::sim::{Disk, key, name};
use super::turns::MARGIN;
use super::{Applied, Ledger, LedgerRules};
use crate::chain::{Block, BlockId, BlockRef, Schedule, Version};
use crate::clock::Millis;
use crate::keys::PublicKey;
use crate::rpc::View;

const TURN: u64 = 12;
const INTERVAL: Millis = 500;
/// The last slot of a turn.
const FIRST_SLOT: u64 = 1_000_007;
const GENESIS: Millis = 1_700_000_000_000;

/// Numbers that look random and are the same every time.
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Content {
    number: u64,
    order: Vec<String>,
    keys: Vec<PublicKey>,
}

impl Content {
    fn owner(&self, slot: u64) -> (&str, PublicKey) {
        let at = usize::try_from(slot / TURN).unwrap() % self.order.len();
        (&self.order[at], self.keys[at])
    }

    fn key_of(&self, name: &str) -> Option<PublicKey> {
        let at = self.order.iter().position(|n| n == name)?;
        Some(self.keys[at])
    }
}

#[derive(Debug, Clone)]
struct SimBlock {
    block: Block,
    slot: u64,
    /// In force in its state: rules the next block and the missed slots before that.
    rules: Rc<Content>,
}

/// A slot as it really was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TrueSlot {
    owner: String,
    key: PublicKey,
    filled: bool,
    /// The block that fills it, or the next one after it.
    block: u64,
}

#[derive(Debug, Clone)]
struct Sim {
    blocks: Vec<SimBlock>,
    /// The last slot that has passed: time never goes back, whatever forks do.
    slot: u64,
    irreversible: u64,
    /// Headers carry the version, and finality trails far behind.
    leap: bool,
    forks: u64,
}

impl Sim {
    fn new(producers: u64, leap: bool) -> Self {
        let rules = Rc::new(Content {
            number: 1,
            order: (0..producers).map(name).collect(),
            keys: (0..producers).map(|_| key(1)).collect(),
        });
        let block = Block {
            num: 1,
            id: BlockId("genesis".into()),
            previous: BlockId("nothing".into()),
            time: GENESIS,
            producer: rules.owner(FIRST_SLOT).0.to_owned(),
            signing_key: None,
            key_changes: vec![],
            schedule_version: leap.then_some(1),
        };
        Self {
            blocks: vec![SimBlock {
                block,
                slot: FIRST_SLOT,
                rules,
            }],
            slot: FIRST_SLOT,
            irreversible: 1,
            leap,
            forks: 0,
        }
    }

    fn head(&self) -> &SimBlock {
        self.blocks.last().unwrap()
    }

    fn at(&self, num: u64) -> Option<&SimBlock> {
        self.blocks
            .get(usize::try_from(num.checked_sub(1)?).unwrap())
    }

    /// Whose slot comes next.
    fn next_owner(&self) -> &str {
        self.head().rules.owner(self.slot + 1).0
    }

    fn miss(&mut self) {
        self.slot += 1;
    }

    /// Fills the next slot; `change` is in force from this block's state on.
    fn produce(&mut self, change: Option<Content>) {
        self.slot += 1;
        let head = self.head();
        let num = head.block.num + 1;
        let rules = head.rules.clone();
        let block = Block {
            num,
            id: BlockId(format!("{num}-{}-{}", self.forks, self.slot)),
            previous: head.block.id.clone(),
            time: GENESIS + Millis::try_from(self.slot - FIRST_SLOT).unwrap() * INTERVAL,
            producer: rules.owner(self.slot).0.to_owned(),
            signing_key: None,
            key_changes: vec![],
            schedule_version: self.leap.then_some(rules.number),
        };
        self.blocks.push(SimBlock {
            block,
            slot: self.slot,
            rules: change.map_or(rules, Rc::new),
        });
        let trail = if self.leap { 80 } else { 3 };
        self.irreversible = self.irreversible.max(num.saturating_sub(trail));
    }

    /// The next producer has not heard of the last blocks.
    fn fork(&mut self, depth: u64) {
        let depth = depth.min(self.head().block.num - self.irreversible);
        let keep = self.blocks.len() - usize::try_from(depth).unwrap();
        self.blocks.truncate(keep);
        self.forks += u64::from(depth > 0);
    }

    /// Another schedule: keys, order or members changed.
    fn next_rules(&self, dice: &mut Dice) -> Content {
        let old = &self.head().rules;
        let mut order = old.order.clone();
        let mut keys = old.keys.clone();
        let at = usize::try_from(dice.roll(order.len() as u64)).unwrap();
        match dice.roll(4) {
            0 => {
                order.rotate_left(1);
                keys.rotate_left(1);
            }
            1 if order.len() > 2 => {
                order.remove(at);
                keys.remove(at);
            }
            1 => {
                order.push(format!("q{}", old.number));
                keys.push(key(1));
            }
            _ => keys[at] = key(1 + u8::try_from(dice.roll(3)).unwrap()),
        }
        Content {
            number: old.number + 1,
            order,
            keys,
        }
    }

    /// What `ledger` is shown when an endpoint's head is block `num`; `reading`: the state read, and the head after it.
    fn view(&self, ledger: &Ledger, num: u64, reading: Option<(u64, u64)>) -> View {
        let head = self.at(num).unwrap();
        let now = head.block.time + 200;
        let wanted: BTreeSet<u64> = ledger.wanted(now, true).into_iter().collect();
        let schedules = reading.map(|(of, by)| {
            let rules = &self.at(of).unwrap().rules;
            Schedule {
                read_at: num,
                until: u64::MAX,
                order: rules.order.clone(),
                turn: 12,
                version: Some(Version {
                    number: rules.number,
                    read_by: by,
                    keys: rules.keys.clone(),
                }),
            }
        });
        View {
            observed_at: now,
            head: BlockRef {
                num,
                id: head.block.id.clone(),
                time: head.block.time,
            },
            head_slot: head.slot,
            irreversible: self.irreversible.min(num),
            participation: None,
            schedules: schedules.into_iter().collect(),
            producers: BTreeMap::new(),
            blocks: wanted
                .into_iter()
                .filter(|n| *n <= num)
                .filter_map(|n| Some(self.at(n)?.block.clone()))
                .collect(),
            active_keys: BTreeMap::new(),
            agreeing: 2,
            clock_offset: None,
            aliases: None,
            finalizers: None,
        }
    }

    fn tick(&self, ledger: &mut Ledger) -> Applied {
        let num = self.head().block.num;
        let applied = ledger.apply(&self.view(ledger, num, Some((num, num))));
        assert_eq!(applied.odd, None);
        applied
    }

    /// Every slot after block `anchor` that has a block after it, on the fork that stands.
    fn truth(&self, anchor: u64) -> BTreeMap<u64, TrueSlot> {
        let mut slots = BTreeMap::new();
        let from = usize::try_from(anchor - 1).unwrap();
        for pair in self.blocks[from..].windows(2) {
            let (before, block) = (&pair[0], &pair[1]);
            for slot in before.slot + 1..=block.slot {
                let (owner, key) = before.rules.owner(slot);
                slots.insert(
                    slot,
                    TrueSlot {
                        owner: owner.to_owned(),
                        key,
                        filled: slot == block.slot,
                        block: block.block.num,
                    },
                );
            }
        }
        slots
    }

    /// The block after which the current effective key of `producer` was in force for the first time without a break.
    fn tenure_from(&self, producer: &str) -> u64 {
        let current = self.head().rules.key_of(producer);
        self.blocks
            .iter()
            .rev()
            .take_while(|b| b.rules.key_of(producer) == current)
            .last()
            .map_or(1, |b| b.block.num)
    }
}

fn rules() -> LedgerRules {
    LedgerRules {
        interval: INTERVAL,
        turn: 12,
        miss_window: 86_400_000,
        watch_all: true,
        watched: BTreeMap::new(),
    }
}

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
    for seed in 1..=24 {
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
    for seed in 1..=24 {
        let (k, a) = seen_badly(seed, 120);
        known += k;
        all += a;
    }
    assert!(all > 1_000, "{all}");
    // What cannot be known is little: most of it is told by the versions around it.
    assert!(known * 10 > all * 5, "{known} of {all}");
}
