//! One line of blocks: the states after them, what is pending, which transactions are in. Pure.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::state::{Block, State};
use super::transaction::Tx;
use crate::hex;

/// States kept behind the head: how far an endpoint can lag and a reorg can reach.
const KEEP_STATES: usize = 1024;

/// One line of blocks with the states after them.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    /// `blocks[i]` has height `i + 1`.
    pub(super) blocks: Vec<Arc<Block>>,
    /// The latest states, the head's last.
    states: VecDeque<Arc<State>>,
    pub(super) mempool: Vec<Arc<Tx>>,
    pub(super) included: HashMap<String, (u64, usize)>,
    /// Were in a block that is gone, and are in none now.
    pub(super) forked_out: HashSet<String>,
    /// Were pending and no longer pass.
    pub(super) failed: HashSet<String>,
    /// Mixed into block ids, so that two branches never share one.
    pub(super) salt: u64,
    pub(super) production: Production,
}

/// Who produces on a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Production {
    All,
    /// Every third producer; never the watched one, whose nodes follow the main branch.
    Minority,
    Nobody,
}

impl Branch {
    pub(super) fn from_genesis(state: State) -> Branch {
        Branch {
            blocks: Vec::new(),
            states: VecDeque::from([Arc::new(state)]),
            mempool: Vec::new(),
            included: HashMap::new(),
            forked_out: HashSet::new(),
            failed: HashSet::new(),
            salt: 0,
            production: Production::All,
        }
    }

    pub(super) fn head(&self) -> Arc<State> {
        self.states
            .back()
            .expect("a branch always keeps its head state")
            .clone()
    }

    /// The state so many blocks back, or the oldest kept.
    pub(super) fn behind(&self, n: u64) -> Arc<State> {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        let at = self.states.len().saturating_sub(1).saturating_sub(n);
        self.states.get(at).cloned().unwrap_or_else(|| self.head())
    }

    /// How many blocks can be taken back.
    pub(super) fn depth(&self) -> u64 {
        self.states.len() as u64
    }

    pub(super) fn block(&self, num: u64) -> Option<&Arc<Block>> {
        self.blocks.get(usize::try_from(num.checked_sub(1)?).ok()?)
    }

    /// The prefix that a reference number stands for, seen from `head`.
    pub(super) fn tapos(&self, reference: u16, head: u64) -> Option<u32> {
        let back = (head & 0xffff).wrapping_sub(u64::from(reference)) & 0xffff;
        self.block(head.checked_sub(back)?).map(|b| prefix(&b.id))
    }

    pub(super) fn push(&mut self, state: State, block: Block) {
        for (i, tx) in block.txs.iter().enumerate() {
            self.included.insert(tx.id.clone(), (block.num, i));
            self.forked_out.remove(&tx.id);
        }
        self.states.push_back(Arc::new(state));
        if self.states.len() > KEEP_STATES {
            self.states.pop_front();
        }
        self.blocks.push(Arc::new(block));
    }

    /// Takes back the last blocks; their transactions become pending again.
    pub(super) fn truncate(&mut self, depth: u64) {
        let mut back = Vec::new();
        for _ in 0..depth {
            if self.states.len() < 2 {
                break;
            }
            self.states.pop_back();
            if let Some(block) = self.blocks.pop() {
                for tx in &block.txs {
                    self.included.remove(&tx.id);
                    self.forked_out.insert(tx.id.clone());
                }
                back.splice(0..0, block.txs.iter().cloned());
            }
        }
        back.append(&mut self.mempool);
        self.mempool = back;
    }
}

/// The four bytes of an id that a reference to the block carries.
pub(super) fn prefix(id: &str) -> u32 {
    let bytes: [u8; 32] = hex::decode_array(id).unwrap_or([0; 32]);
    u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]])
}
