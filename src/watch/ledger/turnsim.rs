//! A small chain with turns and numbered schedules for the ledger's tests, and the plain truth about it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::sim::{key, name};
use super::{Applied, Ledger, LedgerRules};
use crate::chain::{Block, BlockId, BlockRef, Schedule, Version};
use crate::clock::Millis;
use crate::keys::PublicKey;
use crate::rpc::View;

pub(super) const TURN: u64 = 12;
const INTERVAL: Millis = 500;
/// The last slot of a turn.
pub(super) const FIRST_SLOT: u64 = 1_000_007;
const GENESIS: Millis = 1_700_000_000_000;

/// Numbers that look random and are the same every time.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) number: u64,
    pub(super) order: Vec<String>,
    pub(super) keys: Vec<PublicKey>,
}

impl Content {
    fn owner(&self, slot: u64) -> (&str, PublicKey) {
        let at = usize::try_from(slot / TURN).unwrap() % self.order.len();
        (&self.order[at], self.keys[at])
    }

    pub(super) fn key_of(&self, name: &str) -> Option<PublicKey> {
        let at = self.order.iter().position(|n| n == name)?;
        Some(self.keys[at])
    }
}

#[derive(Debug, Clone)]
pub(super) struct SimBlock {
    pub(super) block: Block,
    pub(super) slot: u64,
    /// In force in its state. Where headers carry it, it rules the next block and the missed slots before that.
    pub(super) rules: Rc<Content>,
    /// Without versions in headers: what is in force from a later slot on, the first one of a turn.
    coming: Option<(u64, Rc<Content>)>,
}

impl SimBlock {
    /// What rules a later `slot`, when no block comes between.
    fn ruling(&self, slot: u64) -> &Rc<Content> {
        match &self.coming {
            Some((from, rules)) if slot >= *from => rules,
            _ => &self.rules,
        }
    }
}

/// A slot as it really was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TrueSlot {
    pub(super) owner: String,
    pub(super) key: PublicKey,
    pub(super) filled: bool,
    /// The block that fills it, or the next one after it.
    pub(super) block: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Sim {
    pub(super) blocks: Vec<SimBlock>,
    /// The last slot that has passed: time never goes back, whatever forks do.
    pub(super) slot: u64,
    pub(super) irreversible: u64,
    /// Headers carry the version, and finality trails far behind.
    leap: bool,
    forks: u64,
}

impl Sim {
    pub(super) fn new(producers: u64, leap: bool) -> Self {
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
            slot: None,
        };
        Self {
            blocks: vec![SimBlock {
                block,
                slot: FIRST_SLOT,
                rules,
                coming: None,
            }],
            slot: FIRST_SLOT,
            irreversible: 1,
            leap,
            forks: 0,
        }
    }

    pub(super) fn head(&self) -> &SimBlock {
        self.blocks.last().unwrap()
    }

    pub(super) fn at(&self, num: u64) -> Option<&SimBlock> {
        self.blocks
            .get(usize::try_from(num.checked_sub(1)?).unwrap())
    }

    /// Whose slot comes next.
    pub(super) fn next_owner(&self) -> &str {
        self.head().ruling(self.slot + 1).owner(self.slot + 1).0
    }

    /// Whether other rules are in force from the next slot on.
    pub(super) fn turns_over(&self) -> bool {
        let coming = self.head().coming.as_ref();
        coming.is_some_and(|(from, _)| *from <= self.slot + 1)
    }

    pub(super) fn miss(&mut self) {
        self.slot += 1;
    }

    /// Fills the next slot; `change` is in force from this block's state on, or without versions in headers from the next
    /// turn on.
    pub(super) fn produce(&mut self, change: Option<Content>) {
        self.slot += 1;
        let head = self.head();
        let num = head.block.num + 1;
        let rules = head.ruling(self.slot).clone();
        let coming = head.coming.clone().filter(|(from, _)| *from > self.slot);
        let block = Block {
            num,
            id: BlockId(format!("{num}-{}-{}", self.forks, self.slot)),
            previous: head.block.id.clone(),
            time: GENESIS + Millis::try_from(self.slot - FIRST_SLOT).unwrap() * INTERVAL,
            producer: rules.owner(self.slot).0.to_owned(),
            signing_key: None,
            key_changes: vec![],
            schedule_version: self.leap.then_some(rules.number),
            slot: None,
        };
        let mut made = SimBlock {
            block,
            slot: self.slot,
            rules,
            coming,
        };
        if let Some(change) = change.map(Rc::new) {
            if self.leap {
                made.rules = change;
            } else {
                made.coming = Some(((self.slot / TURN + 1) * TURN, change));
            }
        }
        self.blocks.push(made);
        let trail = if self.leap { 80 } else { 3 };
        self.irreversible = self.irreversible.max(num.saturating_sub(trail));
    }

    /// The next producer has not heard of the last blocks.
    pub(super) fn fork(&mut self, depth: u64) {
        let depth = depth.min(self.head().block.num - self.irreversible);
        let keep = self.blocks.len() - usize::try_from(depth).unwrap();
        self.blocks.truncate(keep);
        self.forks += u64::from(depth > 0);
    }

    /// Another schedule: keys, order or members changed.
    pub(super) fn next_rules(&self, dice: &mut Dice) -> Content {
        let old = self.head().ruling(self.slot + 1);
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
    pub(super) fn view(&self, ledger: &Ledger, num: u64, reading: Option<(u64, u64)>) -> View {
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
            election: None,
        }
    }

    pub(super) fn tick(&self, ledger: &mut Ledger) -> Applied {
        let num = self.head().block.num;
        let applied = ledger.apply(&self.view(ledger, num, Some((num, num))));
        assert_eq!(applied.odd, None);
        applied
    }

    /// Every slot after block `anchor` that has a block after it, on the fork that stands.
    pub(super) fn truth(&self, anchor: u64) -> BTreeMap<u64, TrueSlot> {
        let mut slots = BTreeMap::new();
        let from = usize::try_from(anchor - 1).unwrap();
        for pair in self.blocks[from..].windows(2) {
            let (before, block) = (&pair[0], &pair[1]);
            for slot in before.slot + 1..=block.slot {
                let (owner, key) = before.ruling(slot).owner(slot);
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

    /// The block before the first slots under the current effective key of `producer`, unbroken since.
    pub(super) fn tenure_from(&self, producer: &str) -> u64 {
        let current = self.head().rules.key_of(producer);
        self.blocks
            .iter()
            .rev()
            .take_while(|b| b.rules.key_of(producer) == current)
            .last()
            .map_or(1, |b| b.block.num - u64::from(!self.leap))
    }
}

pub(super) fn rules() -> LedgerRules {
    LedgerRules {
        interval: INTERVAL,
        turn: 12,
        miss_window: 86_400_000,
        watch_all: true,
        watched: BTreeMap::new(),
    }
}
