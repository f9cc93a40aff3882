//! The simulated chain: branches, nodes that produce, pending transactions, and the record of what really happened.
//!
//! Takes time as an argument ([`Chain::advance_to`]) and draws its rounds from a seed: the same calls give the same chain. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::bitshares;
use super::branch::{Branch, Production};
use super::codec::Codec;
use super::dialect::{self, Names};
use super::golos;
use super::identity::Identity;
use super::nodes::{Node, NodeState};
use super::state::{Block, GENESIS_MS, Rounds, State};
use super::verify;
use super::witness::Witness;
use crate::chain::Protocol;
use crate::chain::graphene::Signatory;
use crate::keys::{PublicKey, SecretKey, Signer};

/// Slots kept in the record.
const KEEP_SLOTS: usize = 200_000;

/// What a chain starts with.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// Any of the Graphene family.
    pub protocol: Protocol,
    /// Block interval, milliseconds, at least 100.
    pub interval_ms: u64,
    /// Decides the order of every round.
    pub seed: u64,
    /// The watched witness.
    pub witness: String,
    /// Names of its nodes; the first one's key is registered.
    pub nodes: Vec<String>,
    /// Further witnesses, named `wit01` …, each with one node of the same name.
    pub others: usize,
    /// Witness objects beyond these, without votes or nodes (`idle00001` …): never scheduled, there to be watched in numbers.
    pub idle: usize,
    /// Missed slots with which the watched witness starts.
    pub total_missed: u64,
    /// Other names than those of the test nets.
    pub identity: Option<Identity>,
}

/// One slot as it really went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRecord {
    /// Absolute slot number.
    pub slot: u64,
    /// Start, Unix milliseconds.
    pub time_ms: u64,
    /// Whose it was.
    pub scheduled: String,
    /// The key registered for that witness when the slot came.
    pub registered_key: String,
    /// The key that the schedule in force accepted for it; on Graphene the registered one.
    pub effective_key: String,
    /// Version of the schedule in force (Antelope).
    pub schedule_version: Option<u64>,
    /// The node that produced; none when missed.
    pub node: Option<String>,
    /// The block: height, id, signing key.
    pub block: Option<(u64, String, String)>,
}

/// One accepted transaction.
#[derive(Debug, Clone)]
pub struct TxRecord {
    /// Hex id.
    pub txid: String,
    /// Who took it: an endpoint's name, or `operator`.
    pub via: String,
    /// Time of the head when it was accepted, Unix milliseconds.
    pub accepted_ms: u64,
    /// Its operations in the condenser form.
    pub operations: Value,
    /// On which branch.
    pub branch: u32,
}

/// Which chain an endpoint shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewSpec {
    /// A branch's head; 0 is the main branch.
    Branch(u32),
    /// The main branch, so many blocks behind.
    Lag(u64),
}

/// A chain as one endpoint sees it.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) chain: &'a Chain,
    pub(crate) branch: &'a Branch,
    pub(crate) state: Arc<State>,
}

/// The simulated chain.
#[derive(Debug)]
pub struct Chain {
    pub(crate) codec: Codec,
    pub(crate) names: &'static Names,
    pub(crate) config: ChainConfig,
    pub(crate) nodes: Vec<Node>,
    pub(super) accounts: HashMap<String, PublicKey>,
    pub(super) branches: BTreeMap<u32, Branch>,
    pub(super) next_slot: u64,
    pub(super) next_branch: u32,
    pub(super) slots: VecDeque<SlotRecord>,
    pub(super) txs: Vec<TxRecord>,
    pub(super) reorgs: u64,
}

/// The secret of a test account's active authority.
///
/// # Errors
/// When the seed gives no valid key, which sha256 practically never does.
pub fn active_key(account: &str) -> Result<SecretKey, String> {
    SecretKey::from_seed_sha256(&format!("devnet {account} active")).map_err(|e| e.to_string())
}

/// The secret of a node of a witness.
///
/// # Errors
/// As [`active_key`].
pub fn node_key(witness: &str, node: &str) -> Result<SecretKey, String> {
    SecretKey::from_seed_sha256(&format!("devnet {witness} {node}")).map_err(|e| e.to_string())
}

impl Chain {
    /// A chain whose first slot is the first one after `start_ms`.
    ///
    /// # Errors
    /// When the protocol is not of the Graphene family, or the interval is below 100 ms.
    pub fn new(config: ChainConfig, start_ms: u64) -> Result<Chain, String> {
        let names = dialect::names(config.protocol)
            .ok_or_else(|| format!("{} is no chain of the Graphene family", config.protocol))?;
        if config.interval_ms < 100 {
            return Err(format!(
                "block interval {} ms: at least 100 ms",
                config.interval_ms
            ));
        }
        let first = config
            .nodes
            .first()
            .ok_or("the watched witness needs a node")?;
        let mut nodes = Vec::new();
        let mut witnesses = Vec::new();
        let mut accounts = HashMap::new();
        let created = start_ms / 1000 * 1000;
        for node in &config.nodes {
            nodes.push(Node::new(
                node,
                &config.witness,
                node_key(&config.witness, node)?,
            ));
        }
        let mut registered = vec![(config.witness.clone(), node_key(&config.witness, first)?)];
        for i in 1..=config.others {
            let name = format!("wit{i:02}");
            nodes.push(Node::new(&name, &name, node_key(&name, &name)?));
            registered.push((name.clone(), node_key(&name, &name)?));
        }
        for (id, (name, key)) in registered.iter().enumerate() {
            let mut w = Witness::new(id, name, key.public_key(), created);
            w.votes = 1_000_000_000_000_u64.saturating_sub(id as u64 * 1_000_003);
            if id == 0 {
                w.total_missed = config.total_missed;
            }
            witnesses.push(w);
            accounts.insert(name.clone(), active_key(name)?.public_key());
        }
        // One key for all of them: making thousands of keys takes seconds.
        let idle_key = node_key("idle", "idle")?.public_key();
        for i in 1..=config.idle {
            let id = witnesses.len();
            witnesses.push(Witness::new(id, &format!("idle{i:05}"), idle_key, created));
        }
        // An account that is no witness (yet): the real case of a first witness_update.
        accounts.insert("bob".to_owned(), active_key("bob")?.public_key());
        let next_slot = start_ms.saturating_sub(GENESIS_MS) / config.interval_ms + 1;
        let codec = match &config.identity {
            Some(names) => Codec::named(config.protocol, names),
            None => Codec::testnet(config.protocol),
        };
        let state = State::genesis(
            witnesses,
            config.interval_ms,
            config.seed,
            next_slot,
            codec.prefix(),
            match config.protocol {
                Protocol::Golos => Rounds {
                    blocks: golos::ROUND_BLOCKS,
                    by_votes: false,
                },
                Protocol::BitShares => Rounds {
                    blocks: config.others as u64 + 1,
                    by_votes: true,
                },
                _ => Rounds::default(),
            },
        );
        let main = Branch::from_genesis(state);
        Ok(Chain {
            codec,
            names,
            config,
            nodes,
            accounts,
            branches: BTreeMap::from([(0, main)]),
            next_slot,
            next_branch: 1,
            slots: VecDeque::new(),
            txs: Vec::new(),
            reorgs: 0,
        })
    }

    /// Start of the next slot, Unix milliseconds.
    pub fn next_slot_ms(&self) -> u64 {
        GENESIS_MS + self.next_slot * self.config.interval_ms
    }

    /// Runs every slot that starts at or before `now_ms`; returns how many.
    pub fn advance_to(&mut self, now_ms: u64) -> usize {
        let mut n = 0;
        while self.next_slot_ms() <= now_ms {
            self.step();
            n += 1;
        }
        n
    }

    /// Runs one slot on every branch.
    pub fn step(&mut self) {
        let slot = self.next_slot;
        self.next_slot += 1;
        let ids: Vec<u32> = self.branches.keys().copied().collect();
        for id in ids {
            let Some(mut branch) = self.branches.remove(&id) else {
                continue;
            };
            let record = self.run_slot(&mut branch, slot, None);
            if id == 0 {
                self.slots.push_back(record);
                if self.slots.len() > KEEP_SLOTS {
                    self.slots.pop_front();
                }
            }
            self.branches.insert(id, branch);
        }
    }

    /// One slot on one branch. `force`: whether the slot is to be filled (a replay after a reorg), else the nodes decide.
    pub(super) fn run_slot(
        &self,
        branch: &mut Branch,
        slot: u64,
        force: Option<bool>,
    ) -> SlotRecord {
        let head = branch.head();
        let scheduled = head.scheduled(slot).to_owned();
        let key = head
            .witness(&scheduled)
            .map_or(PublicKey::NULL, |w| w.signing_key);
        let mut record = SlotRecord {
            slot,
            time_ms: head.slot_ms(slot),
            scheduled: scheduled.clone(),
            registered_key: head.key_text(&key),
            effective_key: head.key_text(&key),
            schedule_version: None,
            node: None,
            block: None,
        };
        let allowed = match branch.production {
            Production::All => true,
            Production::Minority => head.witness(&scheduled).is_some_and(|w| w.id % 3 == 1),
            Production::Nobody => false,
        };
        let node = self
            .nodes
            .iter()
            .find(|n| n.witness == scheduled && n.key.public_key() == key)
            .filter(|n| force.unwrap_or_else(|| n.produces()));
        let Some(node) = node.filter(|_| allowed && !key.is_null()) else {
            return record;
        };
        if let Some(block) = self.build(branch, &head, slot, node) {
            record.node = Some(node.name.clone());
            record.block = Some((
                block.num,
                block.id.clone(),
                head.key_text(&block.signing_key),
            ));
            branch.push(&head, block);
        }
        record
    }

    fn build(
        &self,
        branch: &mut Branch,
        head: &Arc<State>,
        slot: u64,
        node: &Node,
    ) -> Option<Block> {
        let mut block = Block {
            num: head.head_num + 1,
            slot,
            time_ms: head.slot_ms(slot),
            id: String::new(),
            previous: head.head_id.clone(),
            witness: node.witness.clone(),
            merkle_root: String::new(),
            signature: String::new(),
            signing_key: PublicKey::NULL,
            txs: Vec::new(),
        };
        // Pending transactions are checked again: the state they were accepted on may be gone.
        let mut pending = (**head).clone();
        for tx in std::mem::take(&mut branch.mempool) {
            let known = |id: &str| branch.included.contains_key(id);
            if let Ok(tx) = verify::check(
                &tx,
                &self.context(head, &pending, &known, &|n| branch.tapos(n, head.head_num)),
            ) {
                for effect in &tx.effects {
                    pending.apply_effect(effect, head.head_ms);
                }
                block.txs.push(tx);
            }
        }
        let witness = if self.codec.dialect.names_objects() {
            bitshares::signatory(head, &node.witness)
        } else {
            Signatory::Name(node.witness.clone())
        };
        self.codec
            .seal(&mut block, witness, &node.key, branch.salt)
            .ok()?;
        Some(block)
    }

    /// What an endpoint with that view sees; the main branch when the branch is gone.
    pub(crate) fn view(&self, spec: ViewSpec) -> View<'_> {
        let main = self.main();
        match spec {
            ViewSpec::Branch(id) => {
                let branch = self.branches.get(&id).unwrap_or(main);
                View {
                    chain: self,
                    branch,
                    state: branch.head(),
                }
            }
            ViewSpec::Lag(n) => View {
                chain: self,
                branch: main,
                state: main.behind(n),
            },
        }
    }

    /// The main branch's head state.
    pub fn head(&self) -> Arc<State> {
        self.main().head()
    }

    pub(crate) fn main(&self) -> &Branch {
        self.branches
            .get(&0)
            .expect("branch 0 is made with the chain and put back after every step")
    }

    /// Changes a node's condition.
    ///
    /// # Errors
    /// When there is no node of that name.
    pub fn set_node(&mut self, name: &str, state: NodeState) -> Result<(), String> {
        let frozen = (state == NodeState::Frozen).then(|| self.fork_frozen());
        let node = self.nodes.iter_mut().find(|n| n.name == name);
        let Some(node) = node else {
            if let Some(id) = frozen {
                self.drop_branch(id);
            }
            return Err(format!("no node {name}"));
        };
        node.state = state;
        let old = std::mem::replace(&mut node.frozen_on, frozen);
        if let Some(id) = old {
            self.drop_branch(id);
        }
        Ok(())
    }

    /// From now on a witness that misses a slot and has produced none of the last `blocks` blocks gets the null key, as
    /// on Golos.
    pub fn shut_down_after(&mut self, blocks: u64) {
        let heads = self.branches.values_mut();
        for state in heads.filter_map(|branch| branch.states.back_mut()) {
            Arc::make_mut(state).shutdown_after = Some(blocks);
        }
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.name == name)
    }

    /// Every slot of the main branch, oldest first.
    pub fn slots(&self) -> impl Iterator<Item = &SlotRecord> {
        self.slots.iter()
    }

    /// Every accepted transaction, oldest first.
    pub fn transactions(&self) -> &[TxRecord] {
        &self.txs
    }

    /// The height of the main-branch block that holds a transaction, and its place there.
    pub fn included(&self, txid: &str) -> Option<(u64, usize)> {
        self.main().included.get(txid).copied()
    }

    /// How many reorgs there were.
    pub fn reorgs(&self) -> u64 {
        self.reorgs
    }
}
