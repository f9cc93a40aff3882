//! What the ledger holds for the whole chain: the part that is saved, and the part that follows from the last view.
//! Data only.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::rounds::Rounds;
use super::slots::{Outcomes, Shares, SlotClock, SlotRecord};
use super::versions::Versions;
use crate::chain::{Block, BlockId, BlockRef};
use crate::clock::Millis;

/// Chain-wide state, as saved. `recent`, `slots` and `outcomes` are saved in pieces (see `chunks`); state files of before
/// hold them here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChainState {
    /// Judged blocks from the newest irreversible one on; the last one is the position.
    #[serde(default, skip_serializing)]
    pub(super) recent: VecDeque<Judged>,
    /// What was counted per reversible slot.
    #[serde(default, skip_serializing)]
    pub(super) slots: BTreeMap<u64, SlotRecord>,
    #[serde(default, skip_serializing)]
    pub(super) outcomes: Outcomes,
    pub(super) rounds: Rounds,
    #[serde(default)]
    pub(super) versions: Versions,
    pub(super) slots_total: u64,
    pub(super) missed_total: u64,
    /// Every block after this one, up to the position, was judged: key changes cannot hide there.
    pub(super) unbroken_after: u64,
    /// What happened up to this block is partly unknown (skipped): no run of misses crosses it.
    pub(super) unknown_until: u64,
    /// Where to begin, when there is no position.
    pub(super) resume_at: Option<u64>,
    /// The newest irreversible block whose id is known.
    pub(super) irreversible: Option<BlockRef>,
    /// Missed slots after the position that are judged already, while the block after them is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<Part>,
    /// Heads after the position at which keys were read, oldest first: they may still be left for another fork.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(super) read_at: VecDeque<(u64, BlockId)>,
}

/// A judged block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Judged {
    pub(super) block: BlockRef,
    pub(super) slot: u64,
}

/// How far into the gap after the position slots are judged (all missed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// The last slot judged.
    pub(super) slot: u64,
    /// The block that stands after the gap: were it another, the gap would have to be judged again.
    pub(super) next: BlockId,
}

/// What follows from the last view, never saved.
#[derive(Debug, Default)]
pub(super) struct Now {
    pub(super) head: Option<BlockRef>,
    pub(super) clock: Option<SlotClock>,
    pub(super) observed_at: Millis,
    pub(super) irreversible: u64,
    pub(super) caught_up: bool,
    /// A fork was found: ask for every block after this one again.
    pub(super) refetch: Option<u64>,
    /// Views in a row that brought nothing although behind.
    pub(super) idle: u32,
    /// Next slot of each producer of the round.
    pub(super) next_slot: HashMap<String, u64>,
    pub(super) scheduled: BTreeSet<String>,
    pub(super) shares: Option<Shares>,
    /// Agreed blocks after the position, each linked to the one before it: those of turns that are not over.
    pub(super) held: VecDeque<Block>,
    /// Slots were judged, or taken back.
    pub(super) moved: bool,
    /// The next block waits for its schedule to be read.
    pub(super) waits: bool,
}
