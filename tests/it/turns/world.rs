//! The devnet with its faults, three endpoints, and an exporter's ledger that is restarted and killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use slotkeeper::chain::{self, Chain, ChainSpec, Memory, Protocol, Schedule};
use slotkeeper::clock::Millis;
use slotkeeper::devnet::antelope::{AntelopeConfig, HandoverFork};
use slotkeeper::devnet::chain::{SlotRecord, ViewSpec, node_key};
use slotkeeper::devnet::nodes::NodeState;
use slotkeeper::devnet::{DevnetConfig, Stepped};
use slotkeeper::keys::Signer;
use slotkeeper::rpc::agree::{Rules, agree};
use slotkeeper::rpc::{EndpointError, EndpointReport, RpcOutcome};
use slotkeeper::watch::{Ledger, LedgerRules};

use super::plan::{Dice, Done, Kept, Plan, Read};

pub(super) const ALICE: &str = "alice";
const NODES: [&str; 2] = ["A", "B"];
const ENDPOINTS: usize = 3;
const START_MS: u64 = 1_750_000_000_000;

/// What is wrong with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Silent,
    Lags(u64),
    Fork(u32),
    /// It has only the newest blocks.
    Pruned,
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) devnet: Stepped,
    pub(super) ledger: Ledger,
    pub(super) kept: Kept,
    pub(super) done: Done,
    /// Block at which counting begins.
    pub(super) anchor: Option<u64>,
    /// Slot of the newest agreed head.
    pub(super) head_slot: u64,
    /// Slots as forks had them that were left later.
    pub(super) undone: BTreeMap<u64, Vec<SlotRecord>>,
    chain: Arc<dyn Chain>,
    rules: LedgerRules,
    agreement: Rules,
    dice: Dice,
    names: Vec<String>,
    aliases: Arc<BTreeMap<String, String>>,
    viewed: bool,
    identity: bool,
    trouble: [Option<(Trouble, u64)>; ENDPOINTS],
    down: BTreeMap<String, u64>,
    slots: u64,
    blind_until: u64,
    next_tick: u64,
    quiet: bool,
    turns: BTreeSet<u64>,
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let devnet = Stepped::new(
            &DevnetConfig {
                protocol: plan.protocol,
                interval_ms: plan.interval_ms(),
                seed: plan.seed,
                others: plan.others(),
                history_slots: plan.round() * 4,
                antelope: AntelopeConfig {
                    finality: plan.finality,
                    ..AntelopeConfig::default()
                },
                ..DevnetConfig::default()
            },
            START_MS,
        )
        .expect("a devnet");
        let symbol = if plan.protocol == Protocol::Antelope {
            "EOS"
        } else {
            "TESTS"
        };
        let chain = chain::open(ChainSpec {
            name: "devnet".to_owned(),
            protocol: plan.protocol,
            chain_id: devnet.chain_id(),
            address_prefix: devnet.prefix().to_owned(),
            core_symbol: symbol.to_owned(),
            block_interval: Millis::try_from(plan.interval_ms()).expect("small"),
        });
        let rules = LedgerRules {
            interval: chain.spec().block_interval,
            turn: chain.turn(),
            miss_window: 86_400_000,
            watch_all: true,
            watched: [(ALICE.to_owned(), vec![])].into(),
        };
        let agreement = Rules {
            quorum: 2,
            providers: ["x", "y", "z"].map(str::to_owned).to_vec(),
            interval_ms: rules.interval,
            stale_ms: Rules::staleness(rules.interval, chain.turn()),
            chain_id: None,
            disputes: BTreeMap::new(),
        };
        let names = devnet.truth(0).registered.into_keys().collect();
        Self {
            ledger: Ledger::new(rules.clone()),
            kept: Kept::default(),
            done: Done::default(),
            anchor: None,
            head_slot: 0,
            undone: BTreeMap::new(),
            dice: Dice(plan.seed),
            aliases: Arc::default(),
            viewed: false,
            identity: true,
            trouble: [None; ENDPOINTS],
            down: BTreeMap::new(),
            slots: 0,
            blind_until: 0,
            next_tick: 0,
            quiet: true,
            turns: BTreeSet::new(),
            plan,
            devnet,
            chain,
            rules,
            agreement,
            names,
        }
    }

    /// Turns of alice so far.
    pub(super) fn turns(&self) -> usize {
        self.turns.len()
    }

    /// One slot: something may break or heal, the chain moves, the exporter may look.
    pub(super) fn slot(&mut self) {
        self.quiet = self.slots < self.plan.round() * 2;
        if !self.quiet {
            self.nodes();
            self.keys();
            self.forks();
            self.endpoints();
        }
        self.step();
        if self.slots >= self.next_tick {
            let pace = if self.plan.turn() > 1 { 12 } else { 2 };
            self.next_tick = self.slots + 1 + self.dice.below(pace);
            self.look();
        }
    }

    /// Ends all faults and lets the exporter come to the head.
    pub(super) fn settle(&mut self) {
        self.quiet = true;
        for name in std::mem::take(&mut self.down).into_keys() {
            self.devnet
                .set_node(&name, NodeState::Healthy)
                .expect("a node");
        }
        self.trouble = [None; ENDPOINTS];
        for _ in 0..self.plan.round() * 3 {
            self.step();
            self.tick();
        }
        // Behind a long silence, old blocks come in portions.
        let came = (0..100).any(|_| {
            self.tick();
            self.ledger.slots().caught_up
        });
        assert!(came, "seed {}: never caught up", self.plan.seed);
    }

    fn step(&mut self) {
        self.slots += 1;
        if let Some(slot) = self.devnet.step()
            && slot.scheduled == ALICE
        {
            self.turns.insert(slot.slot / self.plan.turn());
        }
    }

    fn chance(&mut self, rounds: u64) -> bool {
        let odds = (rounds * self.plan.round()).max(1);
        self.dice.below(odds) == 0
    }

    /// Nodes crash and come back.
    fn nodes(&mut self) {
        let now = self.slots;
        let back: Vec<String> = self
            .down
            .iter()
            .filter(|(_, until)| **until <= now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in back {
            self.down.remove(&name);
            self.devnet
                .set_node(&name, NodeState::Healthy)
                .expect("a node");
        }
        if self.chance(6) {
            let name = NODES[self.dice.below(2) as usize].to_owned();
            self.crash(name, 3);
        }
        // One other at most, so that blocks go on becoming irreversible.
        if self.chance(6) && self.down.keys().all(|name| NODES.contains(&name.as_str())) {
            let at = self.dice.below(self.names.len() as u64) as usize;
            let name = self.names[at].clone();
            if name != ALICE {
                self.crash(name, 2);
            }
        }
        if self.plan.turn() > 1 && self.chance(8) {
            let node = NODES[self.dice.below(2) as usize];
            let percent = [0, 0, 20, 60][self.dice.below(4) as usize];
            let chain = self.devnet.antelope().expect("turns are Antelope's");
            chain.set_partial(node, percent).expect("a node");
        }
    }

    fn crash(&mut self, name: String, rounds: u64) {
        let state = [NodeState::Crashed, NodeState::Lagging(5)][self.dice.below(2) as usize];
        let until = self.slots + 1 + self.dice.below(rounds * self.plan.round());
        self.devnet.set_node(&name, state).expect("a node");
        self.down.insert(name, until);
    }

    /// Alice's key changes between her two nodes.
    fn keys(&mut self) {
        if self.chance(if self.plan.silences { 3 } else { 12 }) {
            let node = NODES[self.dice.below(2) as usize];
            let key = node_key(ALICE, node).expect("key").public_key();
            // Refused when it is that key already, or one is pending.
            let _ = self.devnet.operator_sets_key(ALICE, &key);
        }
    }

    /// Blocks are taken back and replaced.
    fn forks(&mut self) {
        if self.plan.turn() > 1 && self.chance(20) {
            let blocks = self.dice.below(4);
            let chain = self.devnet.antelope().expect("turns are Antelope's");
            chain.set_handover_fork(Some(HandoverFork {
                blocks,
                after: None,
            }));
        }
        if !self.chance(10) {
            return;
        }
        let depth = 1 + self.dice.below(3);
        let drop = match self.dice.below(4) {
            0 => Some(ALICE.to_owned()),
            1 => Some(self.names[self.dice.below(self.names.len() as u64) as usize].clone()),
            _ => None,
        };
        let fill = self.dice.below(4) == 0;
        let old = self.devnet.truth(64).slots;
        if self.devnet.reorg(depth, drop.as_deref(), fill).is_ok() {
            self.done.reorgs += 1;
            for slot in old {
                self.undone.entry(slot.slot).or_default().push(slot);
            }
        }
    }

    /// At most one endpoint is in trouble, or all are silent.
    fn endpoints(&mut self) {
        for trouble in &mut self.trouble {
            if let Some((what, until)) = *trouble
                && until <= self.slots
            {
                if let Trouble::Fork(id) = what {
                    self.devnet.drop_branch(id);
                }
                *trouble = None;
            }
        }
        if self.chance(3) && self.trouble.iter().all(Option::is_none) {
            let what = match self.dice.below(8) {
                0..3 => Trouble::Silent,
                3..6 => Trouble::Lags(1 + self.dice.below(20)),
                6 => Trouble::Pruned,
                _ => Trouble::Fork(self.devnet.fork_minority(1 + self.dice.below(3))),
            };
            let until = self.slots + 1 + self.dice.below(2 * self.plan.round());
            self.trouble[self.dice.below(ENDPOINTS as u64) as usize] = Some((what, until));
        }
        let round = self.plan.round();
        if self.plan.silences && self.slots >= self.blind_until && self.chance(12) {
            let rounds = if self.plan.turn() > 1 { 20 } else { 6 };
            self.blind_until = self.slots + self.dice.below(rounds * round);
        } else if self.slots >= self.blind_until && self.chance(3) {
            self.blind_until = self.slots + 2 + self.dice.below(round / 5);
        }
    }

    /// The exporter's moment: it looks, unless it cannot, and is restarted at times.
    fn look(&mut self) {
        if self.slots < self.blind_until {
            self.done.blind += 1;
            self.viewed = false;
            return;
        }
        if !self.quiet && self.dice.below(60) == 0 {
            // Killed after a tick that was not saved.
            let saved = self.kept.clone();
            self.tick_unsaved();
            self.kept = saved;
            self.done.kills += 1;
            self.restart();
            return;
        }
        self.tick();
        if !self.quiet && self.dice.below(40) == 0 {
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.done.restarts += 1;
        let rows: Vec<(String, String)> = self.kept.rows.clone().into_iter().collect();
        self.ledger = Ledger::restore(self.rules.clone(), &rows).expect("its own rows");
        self.viewed = false;
        self.identity = true;
        self.aliases = Arc::default();
    }

    fn tick(&mut self) {
        self.tick_unsaved();
        let dirty = self.ledger.dirty_rows();
        for (row, json) in &dirty.rows {
            if json.is_empty() {
                self.kept.rows.remove(row);
            } else {
                self.kept.rows.insert(row.clone(), json.clone());
            }
        }
        self.ledger.saved(&dirty);
    }

    fn tick_unsaved(&mut self) {
        self.done.ticks += 1;
        let now = Millis::try_from(self.devnet.head().1).expect("a time") + 200;
        let memory = Memory {
            identity: std::mem::take(&mut self.identity),
            producers: vec![ALICE.to_owned()],
            blocks: self.ledger.wanted(now, self.viewed),
            authorities: vec![],
            aliases: Arc::clone(&self.aliases),
        };
        let calls = self.chain.survey(&memory);
        let reports: Vec<EndpointReport> = (0..ENDPOINTS)
            .map(|index| EndpointReport {
                index,
                observation: Some(self.observe(index, &memory, &calls)),
                latency: Duration::from_millis(5),
                clock_offset: None,
            })
            .collect();
        let now = Millis::try_from(self.devnet.head().1).expect("a time") + 200;
        let agreed = agree(&self.agreement, &reports, &|n| self.ledger.known(n), now);
        self.viewed = agreed.is_ok();
        let Ok(view) = agreed else {
            self.done.blind += 1;
            return;
        };
        if let Some(aliases) = &view.aliases {
            self.aliases = Arc::new(aliases.clone());
        }
        self.anchor.get_or_insert(view.irreversible);
        self.head_slot = view.head_slot;
        let before = self.ledger.slots().judged;
        let applied = self.ledger.apply(&view);
        let what = format!("seed {}, head {}", self.plan.seed, view.head.num);
        assert_eq!(applied.odd, None, "{what}");
        assert_eq!(applied.skipped, None, "{what}");
        for report in &reports {
            if let Some(Ok(seen)) = &report.observation {
                self.ledger.sight(&seen.blocks);
            }
        }
        if let Some(undone) = applied.reorg {
            let ancestor = before.saturating_sub(undone);
            self.kept.read.retain(|Read { schedule: s, .. }| {
                let shuffled = s.until.saturating_sub(s.order.len() as u64);
                s.read_at <= ancestor || (s.version.is_none() && shuffled <= ancestor)
            });
        }
        for schedule in view.schedules {
            let read = self.read(schedule);
            self.kept.read.push(read);
        }
        for miss in applied.misses {
            self.kept
                .misses
                .insert(miss.slot, (miss.producer, miss.key));
        }
    }

    /// A reading, with what it takes to tell later whether its fork still stands.
    fn read(&self, schedule: Schedule) -> Read {
        let heads = schedule.version.as_ref().map(|version| {
            let id = |wanted: u64| {
                let slots = self.devnet.newest_slots(64);
                let blocks = slots.filter_map(|s| s.block.as_ref());
                let mut found = blocks.filter(|(num, ..)| *num == wanted);
                found.next().map(|(_, id, _)| id.clone())
            };
            let heads = [schedule.read_at, version.read_by];
            heads.map(|num| (num, id(num))).to_vec()
        });
        Read {
            schedule,
            heads: heads.unwrap_or_default(),
        }
    }

    /// What one endpoint makes of the calls. The chain may move in the middle.
    fn observe(
        &mut self,
        index: usize,
        memory: &Memory,
        calls: &[chain::Call],
    ) -> Result<chain::Observation, EndpointError> {
        let trouble = self.trouble[index].map(|(what, _)| what);
        let view = match trouble {
            Some(Trouble::Silent) => {
                return Err(EndpointError {
                    outcome: RpcOutcome::Timeout,
                    detail: "silent".to_owned(),
                });
            }
            Some(Trouble::Lags(blocks)) => ViewSpec::Lag(blocks),
            Some(Trouble::Fork(id)) => ViewSpec::Branch(id),
            None if !self.quiet && self.dice.below(4) == 0 => ViewSpec::Lag(1),
            _ => ViewSpec::Branch(0),
        };
        let moves = !self.quiet && self.dice.below(12) == 0;
        let at = self.dice.below(calls.len().max(1) as u64) as usize;
        let mut replies = Vec::with_capacity(calls.len());
        for (i, call) in calls.iter().enumerate() {
            if moves && i == at {
                self.step();
            }
            replies.push(self.devnet.ask(view, call));
        }
        let mut seen = self.chain.read(memory, &replies).unwrap_or_else(|e| {
            panic!("seed {}: {e}: {calls:?} {replies:?}", self.plan.seed);
        });
        if trouble == Some(Trouble::Pruned) {
            let oldest = seen.head.num.saturating_sub(5);
            seen.blocks.retain(|b| b.num >= oldest);
        }
        Ok(seen)
    }
}
