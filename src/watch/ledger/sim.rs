//! A small chain for the ledger's tests, and the plain truth about it: every slot, its owner, its key.

use std::collections::{BTreeMap, BTreeSet};

use super::{Applied, Ledger, LedgerRules};
use crate::chain::{Block, BlockId, BlockRef, ProducerState, Schedule};
use crate::clock::Millis;
use crate::keys::PublicKey;
use crate::rpc::{AgreedProducer, View};

pub(super) const INTERVAL: Millis = 3_000;
const GENESIS: Millis = 1_700_000_000_000;
const FIRST_SLOT: u64 = 1_000_000;
/// Blocks that a fork may take back.
pub(super) const REVERSIBLE: u64 = 7;

/// One block of the simulated chain.
#[derive(Debug, Clone)]
pub(super) struct SimBlock {
    pub(super) block: Block,
    pub(super) slot: u64,
    /// Registered keys after it.
    keys: BTreeMap<String, PublicKey>,
    /// Producers of the blocks after it, until its round is over.
    order: Vec<String>,
    until: u64,
}

/// A slot as it really was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TrueSlot {
    pub(super) slot: u64,
    /// The block that fills it, or the next one after it.
    pub(super) block: u64,
    pub(super) owner: String,
    pub(super) key: PublicKey,
    pub(super) filled: bool,
    pub(super) round_end: u64,
}

/// The chain, as the newest fork has it.
#[derive(Debug, Clone)]
pub(super) struct Sim {
    pub(super) blocks: Vec<SimBlock>,
    round: u64,
    forks: u64,
    irreversible: u64,
    /// What any node says of its count of missed blocks: never to be believed.
    pub(super) reported_missed: u64,
}

pub(super) fn key(n: u8) -> PublicKey {
    let mut bytes = [n; 33];
    bytes[0] = 2;
    PublicKey::from_bytes(bytes)
}

pub(super) fn name(n: u64) -> String {
    format!("p{n}")
}

fn mix(a: u64, b: u64) -> u64 {
    let mut x = a
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(b)
        .wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 29;
    x.wrapping_mul(0x94D0_49BB_1331_11EB) ^ (x >> 32)
}

impl Sim {
    /// Block 1 of a chain with `round` producers, each with key 1.
    pub(super) fn new(round: u64) -> Self {
        let mut sim = Self {
            blocks: Vec::new(),
            round,
            forks: 0,
            irreversible: 1,
            reported_missed: 0,
        };
        let keys = (0..round).map(|n| (name(n), key(1))).collect();
        let first = SimBlock {
            block: Block {
                num: 1,
                id: BlockId("genesis".into()),
                previous: BlockId("nothing".into()),
                time: GENESIS,
                producer: name(0),
                signing_key: Some(key(1)),
                key_changes: vec![],
                schedule_version: None,
                slot: None,
            },
            slot: FIRST_SLOT,
            keys,
            order: sim.shuffle(0),
            until: 1 + round,
        };
        sim.blocks.push(first);
        sim
    }

    fn shuffle(&self, seed: u64) -> Vec<String> {
        let mut order: Vec<u64> = (0..self.round).collect();
        order.sort_by_key(|n| mix(seed, *n));
        order.into_iter().map(name).collect()
    }

    pub(super) fn head(&self) -> &SimBlock {
        self.blocks.last().unwrap()
    }

    fn at(&self, num: u64) -> Option<&SimBlock> {
        self.blocks
            .get(usize::try_from(num.checked_sub(1)?).unwrap())
    }

    /// Misses `missed` slots, then produces a block that carries `changes`.
    pub(super) fn produce(&mut self, missed: u64, changes: &[(&str, PublicKey)]) {
        let head = self.head().clone();
        let num = head.block.num + 1;
        let slot = head.slot + missed + 1;
        let owner = head.order[usize::try_from(slot % self.round).unwrap()].clone();
        let mut keys = head.keys.clone();
        for (who, key) in changes {
            keys.insert((*who).to_owned(), *key);
        }
        let (order, until) = if num == head.until {
            (self.shuffle(mix(num, self.forks)), num + self.round)
        } else {
            (head.order.clone(), head.until)
        };
        self.blocks.push(SimBlock {
            block: Block {
                num,
                id: BlockId(format!("{num}-{}-{slot}", self.forks)),
                previous: head.block.id.clone(),
                time: Self::time(slot),
                signing_key: Some(head.keys[&owner]),
                producer: owner,
                key_changes: changes.iter().map(|(w, k)| ((*w).to_owned(), *k)).collect(),
                schedule_version: None,
                slot: None,
            },
            slot,
            keys,
            order,
            until,
        });
        self.irreversible = self.irreversible.max(num.saturating_sub(REVERSIBLE));
    }

    /// Every round's schedule, as if each had been read in time.
    pub(super) fn schedules(&self) -> Vec<Schedule> {
        let mut schedules: Vec<Schedule> = self
            .blocks
            .iter()
            .map(|b| Schedule {
                read_at: b.block.num,
                until: b.until,
                order: b.order.clone(),
                turn: 1,
                version: None,
            })
            .collect();
        schedules.dedup_by_key(|s| s.until);
        schedules
    }

    fn time(slot: u64) -> Millis {
        GENESIS + Millis::try_from(slot - FIRST_SLOT).unwrap() * INTERVAL
    }

    /// Drops the last `depth` blocks: what comes now is another fork.
    pub(super) fn fork(&mut self, depth: u64) {
        let keep = self.blocks.len() - usize::try_from(depth).unwrap();
        self.blocks.truncate(keep);
        self.forks += 1;
    }

    pub(super) fn irreversible(&self) -> u64 {
        self.irreversible
    }

    /// The block after which the current key of `producer` was last registered (1: ever since).
    pub(super) fn tenure_from(&self, producer: &str) -> u64 {
        let current = self.head().keys[producer];
        self.blocks
            .iter()
            .rev()
            .take_while(|b| b.keys[producer] == current)
            .last()
            .map_or(1, |b| b.block.num)
    }

    /// The view of one tick with what the ledger wants to see.
    pub(super) fn view(&self, ledger: &Ledger) -> View {
        self.view_after(ledger, true)
    }

    /// [`Self::view`]; `viewed`: the tick before it brought one too.
    pub(super) fn view_after(&self, ledger: &Ledger, viewed: bool) -> View {
        let head = self.head();
        let now = head.block.time + 500;
        let wanted: BTreeSet<u64> = ledger.wanted(now, viewed).into_iter().collect();
        let state = |key: PublicKey| ProducerState {
            registered_key: key,
            effective_key: key,
            enabled: !key.is_null(),
            url: "https://example.org".into(),
            props: serde_json::Value::Null,
            reported_missed: Some(self.reported_missed),
            last_block: None,
            version: None,
            feed_time: None,
            coming: None,
            unpaid_blocks: None,
        };
        View {
            observed_at: now,
            head: BlockRef {
                num: head.block.num,
                id: head.block.id.clone(),
                time: head.block.time,
            },
            head_slot: head.slot,
            irreversible: self.irreversible(),
            participation: None,
            schedules: vec![Schedule {
                read_at: head.block.num,
                until: head.until,
                order: head.order.clone(),
                turn: 1,
                version: None,
            }],
            producers: head
                .keys
                .iter()
                .map(|(name, key)| {
                    let agreed = AgreedProducer {
                        state: Some(state(*key)),
                        settling: false,
                    };
                    (name.clone(), agreed)
                })
                .collect(),
            blocks: wanted
                .into_iter()
                .filter_map(|num| Some(self.at(num)?.block.clone()))
                .collect(),
            active_keys: BTreeMap::new(),
            agreeing: 3,
            clock_offset: None,
            aliases: None,
            finalizers: None,
            election: None,
        }
    }

    /// One tick.
    pub(super) fn tick(&self, ledger: &mut Ledger) -> Applied {
        let applied = ledger.apply(&self.view(ledger));
        assert_eq!(applied.odd, None);
        applied
    }

    /// Ticks until the ledger has caught up with the head; panics when it does not come there.
    pub(super) fn catch_up(&self, ledger: &mut Ledger) {
        for _ in 0..100 {
            self.tick(ledger);
            if ledger.slots().caught_up {
                return;
            }
        }
        panic!("the ledger does not catch up: {:?}", ledger.slots());
    }

    /// Every slot after block `anchor` on the newest fork.
    pub(super) fn truth(&self, anchor: u64) -> Vec<TrueSlot> {
        let mut slots = Vec::new();
        for pair in self.blocks.windows(2) {
            let (before, block) = (&pair[0], &pair[1]);
            if block.block.num <= anchor {
                continue;
            }
            for slot in before.slot + 1..=block.slot {
                let owner = before.order[usize::try_from(slot % self.round).unwrap()].clone();
                slots.push(TrueSlot {
                    slot,
                    block: block.block.num,
                    key: before.keys[&owner],
                    owner,
                    filled: slot == block.slot,
                    round_end: before.until,
                });
            }
        }
        slots
    }
}

/// Rules that watch everyone.
pub(super) fn rules() -> LedgerRules {
    LedgerRules {
        interval: INTERVAL,
        turn: 1,
        miss_window: 86_400_000,
        watch_all: true,
        watched: BTreeMap::new(),
    }
}

/// A state file, for ledgers that are saved and restored.
#[derive(Debug, Default, Clone)]
pub(super) struct Disk(BTreeMap<String, String>);

impl Disk {
    pub(super) fn save(&mut self, ledger: &mut Ledger) {
        let dirty = ledger.dirty_rows();
        for (row, json) in &dirty.rows {
            if json.is_empty() {
                self.0.remove(row);
            } else {
                self.0.insert(row.clone(), json.clone());
            }
        }
        ledger.saved(&dirty);
        assert!(ledger.dirty_rows().rows.is_empty());
    }

    pub(super) fn rows(&self) -> Vec<(String, String)> {
        self.0.clone().into_iter().collect()
    }

    pub(super) fn restore(&self, rules: LedgerRules) -> Ledger {
        Ledger::restore(rules, &self.rows()).unwrap()
    }
}
