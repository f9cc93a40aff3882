//! The simulated Antelope chain: branches, nodes that produce their turns, pending transactions. Takes time as an
//! argument: the same calls give the same chain. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::branch::{Branch, Production};
use super::bytes::Writer;
use super::genesis::{self, ChainConfig};
use super::record::ScheduleRecord;
use super::schedule::Rules;
use super::state::{Block, EPOCH_MS, State, TURN};
use super::verify;
use crate::devnet::chain::{SlotRecord, TxRecord, ViewSpec};
use crate::devnet::nodes::{Node, NodeState};
use crate::hex;
use crate::keys::{Nonce, Signer};

/// Slots kept in the record.
const KEEP_SLOTS: usize = 200_000;

/// Last blocks of a turn that get lost when the next producer did not see them in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoverFork {
    /// How many.
    pub blocks: u64,
    /// Only behind this producer's turns; `None` = behind everybody's.
    pub after: Option<String>,
}

/// The simulated chain.
#[derive(Debug)]
pub struct Chain {
    pub(in crate::devnet) config: ChainConfig,
    pub(super) rules: Rules,
    pub(super) chain_id: [u8; 32],
    pub(in crate::devnet) nodes: Vec<Node>,
    pub(super) branches: BTreeMap<u32, Branch>,
    pub(super) next_slot: u64,
    pub(super) next_branch: u32,
    pub(in crate::devnet) slots: VecDeque<SlotRecord>,
    pub(super) txs: Vec<TxRecord>,
    pub(super) schedules: Vec<ScheduleRecord>,
    pub(super) reorgs: u64,
    /// Nodes that miss slots at random: name and per cent.
    partial: HashMap<String, u8>,
    handover: Option<HandoverFork>,
}

/// A chain as one endpoint sees it.
pub(super) struct View<'a> {
    pub(super) chain: &'a Chain,
    pub(super) branch: &'a Branch,
    /// The head.
    pub(super) head: Arc<State>,
    /// The block in the making on it: what nodeos reads tables and schedules from.
    pub(super) next: State,
    /// Time of that block, Unix milliseconds.
    pub(super) next_ms: u64,
}

impl Chain {
    /// A chain whose first slot is the first one after `start_ms`.
    ///
    /// # Errors
    /// When a name is none here, or the interval is below 100 ms.
    pub fn new(config: ChainConfig, start_ms: u64) -> Result<Chain, String> {
        if config.interval_ms < 100 {
            return Err(format!(
                "block interval {} ms: at least 100 ms",
                config.interval_ms
            ));
        }
        let next_slot = start_ms.saturating_sub(EPOCH_MS) / config.interval_ms + 1;
        let (state, nodes) = genesis::make(&config, next_slot)?;
        let rules = Rules {
            finality: config.antelope.finality,
            election_slots: config.antelope.election_slots,
            irreversible_lag: config.antelope.irreversible_lag,
        };
        let first = ScheduleRecord::genesis(&state);
        Ok(Chain {
            chain_id: config
                .identity
                .as_ref()
                .map_or_else(super::chain_id, |names| names.chain_id),
            config,
            rules,
            nodes,
            branches: BTreeMap::from([(0, Branch::from_genesis(state))]),
            next_slot,
            next_branch: 1,
            slots: VecDeque::new(),
            txs: Vec::new(),
            schedules: vec![first],
            reorgs: 0,
            partial: HashMap::new(),
            handover: None,
        })
    }

    /// The chain's id.
    pub fn chain_id(&self) -> [u8; 32] {
        self.chain_id
    }

    pub(super) fn slot_ms(&self, slot: u64) -> u64 {
        EPOCH_MS + slot * self.config.interval_ms
    }

    /// Start of the next slot, Unix milliseconds.
    pub fn next_slot_ms(&self) -> u64 {
        self.slot_ms(self.next_slot)
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
        self.lose_at_handover(slot);
        self.next_slot += 1;
        let ids: Vec<u32> = self.branches.keys().copied().collect();
        for id in ids {
            let Some(mut branch) = self.branches.remove(&id) else {
                continue;
            };
            let record = self.run_slot(&mut branch, slot, None);
            if id == 0 {
                self.note_schedules(&branch.head());
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
        let schedule = self.rules.in_force(&head, slot);
        let owner = schedule.owner(slot);
        let scheduled = owner.map_or("", |(name, _)| name).to_owned();
        let text = |key: &crate::keys::PublicKey| key.to_text(super::PREFIX);
        let mut record = SlotRecord {
            slot,
            time_ms: self.slot_ms(slot),
            scheduled: scheduled.clone(),
            registered_key: text(&head.registered_key(&scheduled)),
            effective_key: owner.map_or_else(String::new, |(_, a)| text(&a.first())),
            schedule_version: Some(schedule.version),
            node: None,
            block: None,
        };
        let allowed = match branch.production {
            Production::All => true,
            Production::Minority => schedule
                .producers
                .iter()
                .position(|(p, _)| *p == scheduled)
                .is_some_and(|i| i % 3 == 1 && scheduled != self.config.producer),
            Production::Nobody => false,
        };
        let node = self
            .nodes
            .iter()
            .filter(|n| n.witness == scheduled)
            .filter(|n| owner.is_some_and(|(_, a)| a.accepts(&n.public_key())))
            .find(|n| force.unwrap_or_else(|| n.produces() && !self.sleeps(n, slot)));
        let Some(node) = node.filter(|_| allowed) else {
            return record;
        };
        if let Some(block) = self.build(branch, &head, slot, node) {
            record.node = Some(node.name.clone());
            record.block = Some((block.num, block.id.clone(), text(&block.signing_key)));
        }
        record
    }

    /// Whether a node with the fault "partial" leaves this slot out.
    fn sleeps(&self, node: &Node, slot: u64) -> bool {
        let Some(percent) = self.partial.get(&node.name) else {
            return false;
        };
        let dice = Sha256::new()
            .chain_update(self.config.seed.to_le_bytes())
            .chain_update(slot.to_le_bytes())
            .chain_update(&node.name)
            .finalize();
        u16::from_le_bytes([dice[0], dice[1]]) % 100 < u16::from(*percent)
    }

    fn build(
        &self,
        branch: &mut Branch,
        head: &Arc<State>,
        slot: u64,
        node: &Node,
    ) -> Option<Block> {
        let in_force = self.rules.in_force(head, slot);
        let mut next = head.begin(slot, &self.rules);
        let mut block = Block {
            num: head.head_num + 1,
            slot,
            time_ms: self.slot_ms(slot),
            id: String::new(),
            previous: head.head_id.clone(),
            producer: node.witness.clone(),
            schedule_version: self.rules.header_version(&in_force),
            signature: String::new(),
            signing_key: node.public_key(),
            transaction_mroot: "00".repeat(32),
            action_mroot: String::new(),
            txs: Vec::new(),
        };
        // Pending transactions are checked again: the state they were accepted on may be gone.
        for tx in std::mem::take(&mut branch.mempool) {
            let known = |id: &str| branch.included.contains_key(id);
            let tapos = |n| branch.tapos(n, head.head_num);
            let cx = verify::Context {
                block_ms: block.time_ms,
                finality: self.rules.finality,
                known: &known,
                tapos: &tapos,
            };
            match verify::execute(&tx, &mut next, &cx) {
                Ok(()) => block.txs.push(tx),
                Err(_) => {
                    branch.failed.insert(tx.id.clone());
                }
            }
        }
        seal(&mut block, node, branch.salt, &self.chain_id)?;
        next.close(&block);
        branch.push(next, block.clone());
        Some(block)
    }

    /// What an endpoint with that view sees; the main branch when the branch is gone.
    pub(super) fn view(&self, spec: ViewSpec) -> View<'_> {
        let main = self.main();
        let (branch, head) = match spec {
            ViewSpec::Branch(id) => {
                let branch = self.branches.get(&id).unwrap_or(main);
                (branch, branch.head())
            }
            ViewSpec::Lag(n) => (main, main.behind(n)),
        };
        let slot = match spec {
            ViewSpec::Branch(0) => self.next_slot,
            _ => head.slot + 1,
        };
        let next = head.begin(slot, &self.rules);
        View {
            chain: self,
            branch,
            head,
            next,
            next_ms: self.slot_ms(slot),
        }
    }

    /// The main branch's head state.
    pub fn head(&self) -> Arc<State> {
        self.main().head()
    }

    pub(super) fn main(&self) -> &Branch {
        self.branches
            .get(&0)
            .expect("branch 0 is made with the chain and put back after every step")
    }

    /// Changes a node's condition.
    ///
    /// # Errors
    /// When there is no node of that name.
    pub fn set_node(&mut self, name: &str, state: NodeState) -> Result<(), String> {
        if !self.nodes.iter().any(|n| n.name == name) {
            return Err(format!("no node {name}"));
        }
        let frozen = (state == NodeState::Frozen).then(|| self.fork_frozen());
        let mut old = None;
        if let Some(node) = self.nodes.iter_mut().find(|n| n.name == name) {
            node.state = state;
            old = std::mem::replace(&mut node.frozen_on, frozen);
        }
        if let Some(id) = old {
            self.drop_branch(id);
        }
        Ok(())
    }

    /// Makes a node miss this share of its slots, at random; 0 ends it.
    ///
    /// # Errors
    /// When there is no node of that name.
    pub fn set_partial(&mut self, name: &str, percent: u8) -> Result<(), String> {
        if !self.nodes.iter().any(|n| n.name == name) {
            return Err(format!("no node {name}"));
        }
        if percent == 0 {
            self.partial.remove(name);
        } else {
            self.partial.insert(name.to_owned(), percent.min(100));
        }
        Ok(())
    }

    /// Loses the last blocks of turns from now on; `None` ends it.
    pub fn set_handover_fork(&mut self, fork: Option<HandoverFork>) {
        self.handover = fork.filter(|f| f.blocks > 0);
    }

    /// Whether the slot begins a turn behind one whose last blocks are to be lost.
    fn lose_at_handover(&mut self, slot: u64) {
        let Some(fork) = self.handover.clone() else {
            return;
        };
        let head = self.head();
        let mine = fork.after.as_ref().is_none_or(|p| *p == head.producer);
        let before = slot.saturating_sub(1);
        if !slot.is_multiple_of(TURN) || !mine || head.slot != before {
            return;
        }
        // No deeper than the turn: the next producer saw the one before.
        let depth = fork.blocks.min(TURN).min(self.blocks_of_turn(&head, slot));
        self.lose(depth);
    }

    fn blocks_of_turn(&self, head: &State, slot: u64) -> u64 {
        let first = slot - TURN;
        let main = self.main();
        (0..TURN)
            .take_while(|back| {
                head.head_num
                    .checked_sub(*back)
                    .and_then(|n| main.block(n))
                    .is_some_and(|b| b.slot >= first && b.producer == head.producer)
            })
            .count() as u64
    }
}

/// Writes roots, id and signature of a block. Header layout as on a real chain; what is signed is simpler: the devnet
/// keeps no tree of block ids.
fn seal(block: &mut Block, node: &Node, salt: u64, chain_id: &[u8; 32]) -> Option<()> {
    if !block.txs.is_empty() {
        let mut all = Sha256::new();
        for tx in &block.txs {
            all.update(&tx.id);
        }
        block.transaction_mroot = hex::encode(&all.finalize());
    }
    let actions = Sha256::new()
        .chain_update(chain_id)
        .chain_update(&block.previous)
        .chain_update(block.slot.to_le_bytes())
        .chain_update(salt.to_le_bytes())
        .chain_update(&block.transaction_mroot)
        .finalize();
    block.action_mroot = hex::encode(&actions);
    let root = |text: &str| hex::decode_array::<32>(text).unwrap_or([0; 32]);
    let mut header = Writer::default();
    // Real slots fit into 32 bits until 2068; those of a net faster than the real ones do not.
    let slot = u32::try_from(block.slot & 0xffff_ffff).ok()?;
    header
        .raw(&slot.to_le_bytes())
        .name(&block.producer)
        .raw(&0_u16.to_le_bytes())
        .raw(&root(&block.previous))
        .raw(&root(&block.transaction_mroot))
        .raw(&root(&block.action_mroot))
        .raw(&u32::try_from(block.schedule_version).ok()?.to_le_bytes())
        .raw(&[0, 0]);
    let digest: [u8; 32] = Sha256::digest(&header.0).into();
    let mut id = digest;
    id[..4].copy_from_slice(&u32::try_from(block.num).ok()?.to_be_bytes());
    block.id = hex::encode(&id);
    block.signature = node.key.sign(&digest, Nonce::Antelope).ok()?.to_sig_k1();
    Some(())
}
