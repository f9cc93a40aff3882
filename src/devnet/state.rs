//! What the simulated chain knows at one block: witnesses, schedule, head, irreversibility.
//!
//! `State::apply` is the chain's only rule for moving on: a new state from the old one and a block. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::bitshares;
use super::transaction::Tx;
use super::witness::{Effect, Witness};
use crate::keys::PublicKey;

/// Unix milliseconds at which slot 0 lies: 2016-01-01, the epoch that real nodes of the family use.
pub const GENESIS_MS: u64 = 1_451_606_400_000;

/// Places in a round; names beyond the scheduled ones are padded with empty strings on the wire.
pub(crate) const MAX_WITNESSES: usize = 21;

/// One block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Height.
    pub num: u64,
    /// Absolute slot: intervals since [`GENESIS_MS`].
    pub slot: u64,
    /// Start of the slot, Unix milliseconds.
    pub time_ms: u64,
    /// Hex id; the first four bytes are the height.
    pub id: String,
    /// Hex id of the block before.
    pub previous: String,
    /// Who produced it.
    pub witness: String,
    /// Hex of the merkle root.
    pub merkle_root: String,
    /// Hex signature over the header.
    pub signature: String,
    /// The key that signed it.
    pub signing_key: PublicKey,
    /// The transactions in it.
    pub txs: Vec<Arc<Tx>>,
}

/// How rounds go.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rounds {
    /// They end at blocks whose number is a multiple of this; 0 = a round has as many blocks as witnesses.
    pub(crate) blocks: u64,
    /// Who has votes is scheduled, with the null key too, and nobody in turn (BitShares).
    pub(crate) by_votes: bool,
}

/// The chain at one block.
#[derive(Debug, Clone)]
pub struct State {
    /// Block interval, milliseconds.
    pub interval_ms: u64,
    /// Seed of the shuffles.
    pub seed: u64,
    /// Height of the head.
    pub head_num: u64,
    /// Hex id of the head.
    pub head_id: String,
    /// Time of the head, Unix milliseconds.
    pub head_ms: u64,
    /// Slot of the head.
    pub aslot: u64,
    /// Who produced the head.
    pub current_witness: String,
    /// One bit per slot, the head's in bit 0.
    pub recent_slots: u128,
    /// Last irreversible height.
    pub lib: u64,
    /// The schedule in force.
    pub shuffled: Arc<Vec<String>>,
    /// The height at which the next round is drawn.
    pub next_shuffle: u64,
    /// Counts rounds, turning the time-share place.
    pub round: u64,
    pub(crate) rounds: Rounds,
    /// A witness that misses a slot and has produced none of so many blocks gets the null key (Golos).
    pub(crate) shutdown_after: Option<u64>,
    witnesses: Vec<Arc<Witness>>,
    index: Arc<HashMap<String, usize>>,
    prefix: Arc<str>,
}

impl State {
    /// The state before the first block, with the given witnesses; the head lies one slot before `first_slot`.
    pub(crate) fn genesis(
        witnesses: Vec<Witness>,
        interval_ms: u64,
        seed: u64,
        first_slot: u64,
        prefix: &str,
        rounds: Rounds,
    ) -> State {
        let index = witnesses
            .iter()
            .enumerate()
            .map(|(i, w)| (w.owner.clone(), i))
            .collect();
        let aslot = first_slot.saturating_sub(1);
        let mut state = State {
            interval_ms,
            seed,
            head_num: 0,
            head_id: "0".repeat(40),
            head_ms: GENESIS_MS + aslot * interval_ms,
            aslot,
            current_witness: String::new(),
            recent_slots: u128::MAX,
            lib: 0,
            shuffled: Arc::new(Vec::new()),
            next_shuffle: 0,
            round: 0,
            rounds,
            shutdown_after: None,
            witnesses: witnesses.into_iter().map(Arc::new).collect(),
            index: Arc::new(index),
            prefix: prefix.into(),
        };
        state.shuffle();
        state
    }

    /// The witness of that name.
    pub fn witness(&self, owner: &str) -> Option<&Arc<Witness>> {
        self.index.get(owner).and_then(|i| self.witnesses.get(*i))
    }

    /// All witnesses in order of their ids.
    pub fn witnesses(&self) -> &[Arc<Witness>] {
        &self.witnesses
    }

    /// Whose slot it is, by the schedule in force.
    pub fn scheduled(&self, slot: u64) -> &str {
        match u64::try_from(self.shuffled.len()) {
            Ok(n) if n > 0 => usize::try_from(slot % n)
                .ok()
                .and_then(|i| self.shuffled.get(i))
                .map_or("", |s| s),
            _ => "",
        }
    }

    /// Start of a slot, Unix milliseconds.
    pub fn slot_ms(&self, slot: u64) -> u64 {
        GENESIS_MS + slot * self.interval_ms
    }

    fn edit(&mut self, owner: &str) -> Option<&mut Witness> {
        let i = *self.index.get(owner)?;
        self.witnesses.get_mut(i).map(Arc::make_mut)
    }

    /// The state after `block`, which must extend this one (the caller built it so).
    pub(crate) fn apply(&self, block: &Block) -> State {
        let mut next = self.clone();
        let shutdown_after = self.shutdown_after;
        let missed = block.slot.saturating_sub(self.aslot).saturating_sub(1);
        for tx in &block.txs {
            for effect in &tx.effects {
                next.apply_effect(effect, self.head_ms);
            }
        }
        // The node charges each skipped slot to its witness, save to the one who produces this very block.
        let by_votes = self.rounds.by_votes;
        // BitShares charges nobody for a gap of a round or more, and spares nobody else.
        let charged = !by_votes || missed < self.shuffled.len() as u64;
        if self.head_num > 0 && charged {
            for s in 1..=missed {
                let owner = self.scheduled(self.aslot + s).to_owned();
                if (by_votes || owner != block.witness)
                    && let Some(w) = next.edit(&owner)
                {
                    w.total_missed += 1;
                    let idle = self.head_num.saturating_sub(w.last_confirmed);
                    if shutdown_after.is_some_and(|limit| idle > limit) {
                        w.signing_key = PublicKey::NULL;
                    }
                }
            }
        }
        let shift = u32::try_from(missed + 1).unwrap_or(u32::MAX);
        next.recent_slots = self.recent_slots.checked_shl(shift).unwrap_or(0) | 1;
        next.head_num = block.num;
        next.head_id.clone_from(&block.id);
        next.head_ms = block.time_ms;
        next.aslot = block.slot;
        next.current_witness.clone_from(&block.witness);
        if let Some(w) = next.edit(&block.witness) {
            w.last_aslot = block.slot;
            w.last_confirmed = block.num;
        }
        next.lib = next.irreversible().max(self.lib);
        if next.head_num >= next.next_shuffle {
            next.shuffle();
        }
        next
    }

    /// The 75 % rule: three quarters of the scheduled witnesses have confirmed it; 70 % on BitShares.
    fn irreversible(&self) -> u64 {
        let mut confirmed: Vec<u64> = self
            .shuffled
            .iter()
            .filter_map(|n| self.witness(n))
            .map(|w| w.last_confirmed)
            .collect();
        confirmed.sort_unstable();
        let offset = if self.rounds.by_votes {
            confirmed.len() * 3 / 10
        } else {
            confirmed.len() / 4
        };
        confirmed.get(offset).copied().unwrap_or(0)
    }

    /// Draws the next round: the twenty with most votes and a key, and one of the others in turn; then shuffles them.
    fn shuffle(&mut self) {
        let mut able: Vec<&Arc<Witness>> = self
            .witnesses
            .iter()
            .filter(|w| {
                if self.rounds.by_votes {
                    w.votes > 0
                } else {
                    !w.signing_key.is_null()
                }
            })
            .collect();
        able.sort_by(|a, b| b.votes.cmp(&a.votes).then(a.id.cmp(&b.id)));
        let voted = if self.rounds.by_votes {
            able.len()
        } else {
            MAX_WITNESSES - 1
        };
        let mut rest = able.split_off(able.len().min(voted));
        // Without votes a witness's virtual turn never comes.
        rest.retain(|w| w.votes > 0);
        let mut names: Vec<String> = able.iter().map(|w| w.owner.clone()).collect();
        if !rest.is_empty() {
            let turn = usize::try_from(self.round % rest.len() as u64).unwrap_or(0);
            names.extend(rest.get(turn).map(|w| w.owner.clone()));
        }
        let mut rng = SplitMix(self.seed ^ self.head_num.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for i in (1..names.len()).rev() {
            names.swap(i, rng.below(i + 1));
        }
        // With every key null nobody could ever produce again; the real node keeps the last schedule then.
        if !names.is_empty() {
            self.shuffled = Arc::new(names);
        }
        self.next_shuffle = match self.head_num.checked_div(self.rounds.blocks) {
            Some(rounds) => (rounds + 1) * self.rounds.blocks,
            None => self.head_num + self.shuffled.len().max(1) as u64,
        };
        self.round += 1;
    }

    /// What one accepted operation changes. `now_ms` is the time of the block before, as in the node's evaluators.
    pub(crate) fn apply_effect(&mut self, effect: &Effect, now_ms: u64) {
        match effect {
            Effect::Update {
                owner,
                url,
                key,
                props,
            } => {
                if self.witness(owner).is_none() {
                    let id = self.witnesses.len();
                    Arc::make_mut(&mut self.index).insert(owner.clone(), id);
                    self.witnesses
                        .push(Arc::new(Witness::new(id, owner, *key, now_ms)));
                }
                if let Some(w) = self.edit(owner) {
                    w.url.clone_from(url);
                    w.signing_key = *key;
                    if let Some(fee) = props["account_creation_fee"].as_str() {
                        fee.clone_into(&mut w.account_creation_fee);
                    }
                    if let Some(size) = props["maximum_block_size"].as_u64() {
                        w.maximum_block_size = u32::try_from(size).unwrap_or(u32::MAX);
                    }
                    let rate = props["sbd_interest_rate"]
                        .as_u64()
                        .or(props["hbd_interest_rate"].as_u64());
                    if let Some(rate) = rate {
                        w.interest_rate = u16::try_from(rate).unwrap_or(u16::MAX);
                    }
                }
            }
            Effect::Set { owner, props } => {
                if let Some(w) = self.edit(owner) {
                    for (name, value) in props {
                        w.set_property(name, value, now_ms);
                    }
                }
            }
            Effect::Change {
                witness, url, key, ..
            } => {
                let owner = bitshares::owner(self, witness).map(str::to_owned);
                if let Some(w) = owner.and_then(|owner| self.edit(&owner)) {
                    w.url = url.clone().unwrap_or_else(|| w.url.clone());
                    w.signing_key = key.unwrap_or(w.signing_key);
                }
            }
            Effect::Feed { publisher, price } => {
                if let Some(w) = self.edit(publisher) {
                    w.feed = price.clone();
                    w.feed_ms = now_ms;
                }
            }
        }
    }

    /// Text form of a key on this chain.
    pub fn key_text(&self, key: &PublicKey) -> String {
        key.to_text(&self.prefix)
    }
}

/// A small seeded generator (SplitMix64): the same seed gives the same rounds on every machine.
#[derive(Debug)]
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap_or(0)
    }
}
