//! One line of blocks: the states after them, what is pending, which transactions are in. Pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::state::{Block, State};
use super::transaction::Tx;

/// States kept behind the head: how far an endpoint can lag and a reorg can reach.
const KEEP_STATES: usize = 512;

/// One line of blocks with the states after them.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    /// `blocks[i]` has height `i + 1`.
    pub(crate) blocks: Vec<Arc<Block>>,
    /// The latest states, the head's last.
    pub(super) states: VecDeque<Arc<State>>,
    pub(super) mempool: Vec<Arc<Tx>>,
    pub(super) included: HashMap<String, (u64, usize)>,
    pub(super) salt: u64,
    pub(super) production: Production,
}

/// Who produces on a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Production {
    All,
    /// Every third witness; never the watched one, whose nodes follow the main branch.
    Minority,
    Nobody,
}

impl Branch {
    /// The main branch before its first block.
    pub(super) fn from_genesis(state: State) -> Branch {
        Branch {
            blocks: Vec::new(),
            states: VecDeque::from([Arc::new(state)]),
            mempool: Vec::new(),
            included: HashMap::new(),
            salt: 0,
            production: Production::All,
        }
    }

    pub(crate) fn head(&self) -> Arc<State> {
        self.states
            .back()
            .expect("a branch always keeps its head state")
            .clone()
    }

    pub(super) fn behind(&self, n: u64) -> Arc<State> {
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

    /// What waits for a block.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Arc<Tx>> {
        self.mempool.iter()
    }

    pub(super) fn tapos(&self, reference: u16, head: u64) -> u32 {
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

    pub(super) fn push(&mut self, head: &State, block: Block) {
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
                }
                back.splice(0..0, block.txs.iter().cloned());
            }
        }
        back.append(&mut self.mempool);
        self.mempool = back;
    }
}
