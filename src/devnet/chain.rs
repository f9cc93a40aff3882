//! The simulated chain: branches, nodes that produce, pending transactions, and the record of what really happened.
//!
//! Takes time as an argument ([`Chain::advance_to`]) and draws its rounds from a seed: the same calls give the same chain. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::codec::Codec;
use super::dialect::{self, Names};
use super::errors::Failure;
use super::nodes::{Node, NodeState};
use super::state::{Block, GENESIS_MS, State, Witness};
use super::time::iso;
use super::verify::{self, Context, Tx};
use crate::chain::Protocol;
use crate::keys::{PublicKey, SecretKey, Signer};

/// States kept behind the head: how far an endpoint can lag and a reorg can reach.
const KEEP_STATES: usize = 512;
/// Slots kept in the record.
const KEEP_SLOTS: usize = 200_000;

/// What a chain starts with.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// Steem, Hive or Blurt.
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
    /// Missed slots with which the watched witness starts.
    pub total_missed: u64,
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

/// One line of blocks with the states after them.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    /// `blocks[i]` has height `i + 1`.
    pub(crate) blocks: Vec<Arc<Block>>,
    /// The latest states, the head's last.
    states: VecDeque<Arc<State>>,
    mempool: Vec<Arc<Tx>>,
    included: HashMap<String, (u64, usize)>,
    salt: u64,
    production: Production,
}

/// Who produces on a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Production {
    All,
    /// Every third witness; never the watched one, whose nodes follow the main branch.
    Minority,
    Nobody,
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
    accounts: HashMap<String, PublicKey>,
    branches: BTreeMap<u32, Branch>,
    next_slot: u64,
    next_branch: u32,
    slots: VecDeque<SlotRecord>,
    txs: Vec<TxRecord>,
    reorgs: u64,
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
    /// When the protocol is not of the Steem family, or the interval is below 100 ms.
    pub fn new(config: ChainConfig, start_ms: u64) -> Result<Chain, String> {
        let names = dialect::names(config.protocol).ok_or_else(|| {
            format!(
                "the devnet speaks steem, hive and blurt; not {}",
                config.protocol
            )
        })?;
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
        // An account that is no witness (yet): the real case of a first witness_update.
        accounts.insert("bob".to_owned(), active_key("bob")?.public_key());
        let next_slot = start_ms.saturating_sub(GENESIS_MS) / config.interval_ms + 1;
        let state = State::genesis(
            witnesses,
            config.interval_ms,
            config.seed,
            next_slot,
            dialect::PREFIX,
        );
        let main = Branch {
            blocks: Vec::new(),
            states: VecDeque::from([Arc::new(state)]),
            mempool: Vec::new(),
            included: HashMap::new(),
            salt: 0,
            production: Production::All,
        };
        Ok(Chain {
            codec: Codec::testnet(config.protocol),
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
    fn run_slot(&self, branch: &mut Branch, slot: u64, force: Option<bool>) -> SlotRecord {
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
        self.codec.seal(&mut block, &node.key, branch.salt).ok()?;
        Some(block)
    }

    fn context<'a>(
        &'a self,
        head: &'a State,
        pending: &'a State,
        known: &'a dyn Fn(&str) -> bool,
        tapos: &'a dyn Fn(u16) -> u32,
    ) -> Context<'a> {
        Context {
            names: self.names,
            codec: &self.codec,
            head,
            pending,
            accounts: &self.accounts,
            known,
            tapos,
        }
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

    /// Checks a transaction (condenser form) against a view and takes it into that branch's pending ones.
    pub(crate) fn accept(
        &mut self,
        raw: &Value,
        spec: ViewSpec,
        via: &str,
    ) -> Result<Arc<Tx>, Failure> {
        let view = self.view(spec);
        let head = view.state.clone();
        let tx = verify::parse(raw, &self.codec, head.head_ms)?;
        let mut pending = (*head).clone();
        for waiting in &view.branch.mempool {
            for effect in &waiting.effects {
                pending.apply_effect(effect, head.head_ms);
            }
        }
        let branch = view.branch;
        let known = |id: &str| {
            branch
                .included
                .get(id)
                .is_some_and(|(num, _)| *num <= head.head_num)
                || branch.mempool.iter().any(|t| t.id == id)
        };
        let tx = verify::check(
            &tx,
            &self.context(&head, &pending, &known, &|n| branch.tapos(n, head.head_num)),
        )?;
        let id = match spec {
            ViewSpec::Branch(id) if self.branches.contains_key(&id) => id,
            _ => 0,
        };
        if let Some(branch) = self.branches.get_mut(&id) {
            branch.mempool.push(tx.clone());
        }
        self.txs.push(TxRecord {
            txid: tx.id.clone(),
            via: via.to_owned(),
            accepted_ms: head.head_ms,
            operations: tx.json["operations"].clone(),
            branch: id,
        });
        Ok(tx)
    }

    /// Whether a transaction's signatures suffice (`verify_authority`): nothing else is checked, nothing is kept.
    pub(crate) fn verify_authority(&self, raw: &Value, spec: ViewSpec) -> Result<(), Failure> {
        let head = self.view(spec).state;
        let tx = verify::parse(raw, &self.codec, head.head_ms)?;
        verify::authority_by_any(&tx, &self.context(&head, &head, &|_| false, &|_| 0)).map(|_| ())
    }

    /// What a person would do by hand: `witness_update` with the active key, changing only the signing key.
    ///
    /// # Errors
    /// The node's message when it refuses.
    pub fn operator_sets_key(&mut self, witness: &str, key: &PublicKey) -> Result<String, String> {
        let head = self.head();
        let w = head
            .witness(witness)
            .ok_or_else(|| format!("no witness {witness}"))?;
        let mut props = json!({"account_creation_fee": w.account_creation_fee, "maximum_block_size": w.maximum_block_size});
        if let Some(debt) = self.names.debt {
            props[format!("{debt}_interest_rate")] = w.interest_rate.into();
        }
        let ref_num = head.head_num & 0xffff;
        let mut tx = json!({
            "ref_block_num": ref_num,
            "ref_block_prefix": self.main().tapos(u16::try_from(ref_num).unwrap_or(0), head.head_num),
            "expiration": iso(head.head_ms / 1000 * 1000 + 60_000, 1000),
            "operations": [["witness_update", {
                "owner": witness, "url": w.url, "block_signing_key": head.key_text(key),
                "props": props, "fee": format!("0.000 {}", dialect::CORE),
            }]],
            "extensions": [],
        });
        self.codec.sign(&mut tx, &[&active_key(witness)?])?;
        self.accept(&tx, ViewSpec::Branch(0), "operator")
            .map(|tx| tx.id.clone())
            .map_err(|f| {
                f.to_json()["message"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
    }

    /// Replaces the last `depth` blocks for everybody. Slots of `drop` stay empty this time; with `fill`, slots that
    /// had been missed get their block after all (it only came late). Transactions go back to the pending ones.
    ///
    /// # Errors
    /// When that many blocks cannot be taken back any more.
    pub fn reorg(&mut self, depth: u64, drop: Option<&str>, fill: bool) -> Result<(), String> {
        let mut branch = self.branches.remove(&0).expect("branch 0 is always there");
        let result = self.replay(&mut branch, depth, drop, fill);
        self.branches.insert(0, branch);
        result
    }

    fn replay(
        &mut self,
        branch: &mut Branch,
        depth: u64,
        drop: Option<&str>,
        fill: bool,
    ) -> Result<(), String> {
        let before = branch.head();
        let target = before.head_num.saturating_sub(depth);
        if depth == 0 || target < before.lib || depth >= branch.states.len() as u64 {
            return Err(format!(
                "cannot take back {depth} blocks: head {}, irreversible {}",
                before.head_num, before.lib
            ));
        }
        branch.truncate(depth);
        self.reorgs += 1;
        branch.salt = self.reorgs;
        let from = branch.head().aslot + 1;
        for slot in from..self.next_slot {
            let Some(at) = self.slots.iter().rposition(|r| r.slot == slot) else {
                continue;
            };
            let old = &self.slots[at];
            let produced = old.node.is_some() || fill;
            let force = produced && drop != Some(old.scheduled.as_str());
            let new = self.run_slot(branch, slot, Some(force));
            if let Some(entry) = self.slots.get_mut(at) {
                *entry = new;
            }
        }
        Ok(())
    }

    /// A branch that leaves the main one `back` blocks behind its head and is continued by a minority. Returns its id.
    pub fn fork_minority(&mut self, back: u64) -> u32 {
        self.fork(back, Production::Minority)
    }

    /// A branch that stands still at the present head. Returns its id.
    pub fn fork_frozen(&mut self) -> u32 {
        self.fork(0, Production::Nobody)
    }

    fn fork(&mut self, back: u64, production: Production) -> u32 {
        let mut branch = self.main().clone();
        let back = back.min(branch.states.len().saturating_sub(1) as u64);
        branch.truncate(back);
        branch.mempool.clear();
        let id = self.next_branch;
        self.next_branch += 1;
        branch.salt = u64::from(id) << 32;
        branch.production = production;
        if production == Production::Minority {
            let from = branch.head().aslot + 1;
            for slot in from..self.next_slot {
                self.run_slot(&mut branch, slot, None);
            }
        }
        self.branches.insert(id, branch);
        id
    }

    /// Forgets a branch that no endpoint shows any more.
    pub(crate) fn drop_branch(&mut self, id: u32) {
        if id != 0 {
            self.branches.remove(&id);
        }
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

impl Branch {
    pub(crate) fn head(&self) -> Arc<State> {
        self.states
            .back()
            .expect("a branch always keeps its head state")
            .clone()
    }

    fn behind(&self, n: u64) -> Arc<State> {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        let at = self.states.len().saturating_sub(1).saturating_sub(n);
        self.states.get(at).cloned().unwrap_or_else(|| self.head())
    }

    pub(crate) fn block(&self, num: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(num.checked_sub(1)?).ok()?)
    }

    /// Where a transaction stands: in a block, or pending.
    pub(crate) fn find(&self, txid: &str) -> (Option<u64>, bool) {
        (
            self.included.get(txid).map(|(n, _)| *n),
            self.mempool.iter().any(|t| t.id == txid),
        )
    }

    fn tapos(&self, reference: u16, head: u64) -> u32 {
        let back = (head & 0xffff).wrapping_sub(u64::from(reference)) & 0xffff;
        let prefix = |b: &Arc<Block>| {
            let raw: [u8; 20] = crate::hex::decode_array(&b.id).ok()?;
            Some(crate::chain::graphene::tapos(&raw).1)
        };
        head.checked_sub(back)
            .and_then(|n| self.block(n))
            .and_then(prefix)
            .unwrap_or(0)
    }

    fn push(&mut self, head: &State, block: Block) {
        for (i, tx) in block.txs.iter().enumerate() {
            self.included.insert(tx.id.clone(), (block.num, i));
        }
        self.states.push_back(Arc::new(head.apply(&block)));
        if self.states.len() > KEEP_STATES {
            self.states.pop_front();
        }
        self.blocks.push(Arc::new(block));
    }

    /// Takes back the last blocks; their transactions become pending again.
    fn truncate(&mut self, depth: u64) {
        let mut back = Vec::new();
        for _ in 0..depth {
            if self.states.len() < 2 {
                break;
            }
            self.states.pop_back();
            if let Some(block) = self.blocks.pop() {
                for tx in &block.txs {
                    self.included.remove(&tx.id);
                }
                back.splice(0..0, block.txs.iter().cloned());
            }
        }
        back.append(&mut self.mempool);
        self.mempool = back;
    }
}
