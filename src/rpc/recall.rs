//! What the pool remembers from one agreed view to the next: recent ids, open disputes, the agreed head. Pure.

use std::collections::BTreeMap;

use super::types::View;
use crate::chain::{BlockId, Observation};

/// Ids kept, newest first: enough to compare endpoints a few blocks apart.
const KEPT_IDS: usize = 64;
/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recall {
    /// Number of the agreed head.
    pub(super) head: Option<u64>,
    /// Recently agreed ids.
    pub(super) ids: BTreeMap<u64, BlockId>,
    /// See [`super::agree::Rules::disputes`].
    pub(super) disputes: BTreeMap<String, u64>,
    /// Some endpoint's head moved while it was read: equal heads do not mean equal states.
    moving: bool,
}

// === impl Recall ===

impl Recall {
    /// Takes in an agreed view. `seen`: the newest good answers of the endpoints. `ahead`: blocks that an honest endpoint
    /// may be ahead of the agreed head; a dispute is over at the latest when everybody has passed that, for a head far
    /// ahead must not keep it open.
    pub(super) fn note(&mut self, view: &View, seen: &[&Observation], ahead: u64) {
        self.head = Some(view.head.num);
        // Above the agreed head nothing is known any more (a reorg may have shortened the chain).
        self.ids.retain(|num, _| *num <= view.head.num);
        for block in &view.blocks {
            self.ids.insert(block.num, block.id.clone());
        }
        self.ids.insert(view.head.num, view.head.id.clone());
        while self.ids.len() > KEPT_IDS {
            self.ids.pop_first();
        }
        self.moving = seen.iter().any(|one| one.settled && one.slack > 0);
        // Their states may be of any head up to here.
        let highest = seen
            .iter()
            .map(|one| one.head.num.saturating_add(one.slack))
            .max();
        // Only what is settled is compared, and there the slack is bounded.
        let slack = seen.iter().filter(|one| one.settled).map(|one| one.slack);
        let ahead = ahead.saturating_add(slack.max().unwrap_or(0));
        let latest = view.head.num.saturating_add(ahead);
        let height = highest.map_or(latest, |num| num.min(latest));
        for (name, agreed) in &view.producers {
            let all_same = seen.iter().all(|one| same_state(view, one, name));
            if agreed.settling || (self.moving && !all_same) {
                self.disputes.entry(name.clone()).or_insert(height);
            } else if all_same {
                self.disputes.remove(name);
            }
        }
    }

    /// In what an endpoint contradicts the view, in plain words.
    pub(super) fn contradiction(&self, view: &View, seen: &Observation) -> Option<String> {
        let differs = |num: u64, id: &BlockId| self.ids.get(&num).is_some_and(|ours| ours != id);
        let fork = seen
            .blocks
            .iter()
            .find(|block| differs(block.num, &block.id))
            .map(|block| block.num)
            .or_else(|| differs(seen.head.num, &seen.head.id).then_some(seen.head.num));
        if let Some(num) = fork {
            return Some(format!("on another fork at block {num}"));
        }
        if !seen.settled {
            return None;
        }
        let name = view.producers.iter().find_map(|(name, agreed)| {
            let comparable = (!self.moving && seen.head.num == view.head.num)
                || self
                    .disputes
                    .get(name)
                    .is_some_and(|height| seen.head.num.min(view.head.num) >= *height);
            (comparable && !agreed.settling && !same_state(view, seen, name)).then_some(name)
        })?;
        Some(format!("names another key, url or props for {name}"))
    }
}

fn same_state(view: &View, seen: &Observation, name: &str) -> bool {
    let (Some(agreed), Some(theirs)) = (view.producers.get(name), seen.producers.get(name)) else {
        return true;
    };
    match (&agreed.state, theirs) {
        (Some(ours), Some(theirs)) => ours.agrees_with(theirs),
        (None, None) => true,
        _ => false,
    }
}
