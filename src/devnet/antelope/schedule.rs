//! How a newly elected schedule comes into force, and what becomes irreversible: the rules before Savanna and with it. Pure.
//!
//! Before Savanna (Leap): the contract proposes at most every so many slots; the proposal is pending once its block is
//! irreversible, and active once the block that made it pending is. Irreversible is what two thirds of the producers,
//! each by a block of its own, have built on twice. A second proposal is refused while one waits.
//!
//! With Savanna: blocks are final a few blocks later by voting; a proposal is active from the start of the first turn
//! whose predecessor began after it, once it is final. Headers no longer carry the version.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::state::{Policy, Schedule, State, TURN};
use super::transaction::SigningAuthority;

/// Most producers in a schedule.
const PLACES: usize = 21;

/// How blocks become irreversible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finality {
    /// Leap and before: by producing on top.
    Leap,
    /// Spring with Savanna: by voting.
    Savanna,
}

/// What differs from net to net.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) finality: Finality,
    /// Slots between two elections.
    pub(super) election_slots: u64,
    /// Irreversible lies exactly so many blocks back; `None` = as the chain itself would have it.
    pub(super) irreversible_lag: Option<u64>,
}

impl Rules {
    /// Height that is irreversible once `next` (its head already the new block's number) stands.
    fn irreversible(&self, state: &mut State, num: u64, producer: &str) -> u64 {
        state.last_produced.insert(producer.to_owned(), num);
        let lag = match (self.irreversible_lag, self.finality) {
            (Some(lag), _) => Some(lag),
            (None, Finality::Savanna) => Some(3),
            (None, Finality::Leap) => None,
        };
        if let Some(lag) = lag {
            return state.lib.max(num.saturating_sub(lag));
        }
        let scheduled = || state.active.producers.iter().map(|(p, _)| p);
        let n = state.active.producers.len();
        let mut heights: Vec<u64> = scheduled()
            .map(|p| state.last_produced.get(p).copied().unwrap_or(0))
            .collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        let proposed = heights.get(n * 2 / 3).copied().unwrap_or(0);
        let mut implied: Vec<u64> = scheduled()
            .map(|p| {
                if p == producer {
                    proposed
                } else {
                    state.implied.get(p).copied().unwrap_or(0)
                }
            })
            .collect();
        implied.sort_unstable();
        let at = implied.get(n.saturating_sub(1) / 3).copied().unwrap_or(0);
        state.implied.insert(producer.to_owned(), proposed);
        state.lib.max(at)
    }

    /// The schedule that says whose `slot` is, with `head` as the block before it.
    pub(super) fn in_force(&self, head: &State, slot: u64) -> Arc<Schedule> {
        if self.finality == Finality::Savanna
            && let Some((schedule, num, proposed_slot)) = &head.proposed
        {
            let turn = slot / TURN;
            let starts = head.slot / TURN < turn;
            let before = turn.saturating_sub(1) * TURN;
            if starts && *proposed_slot < before && *num <= head.lib {
                return schedule.clone();
            }
        }
        head.active.clone()
    }

    /// The version that a header carries.
    pub(super) fn header_version(&self, in_force: &Schedule) -> u64 {
        match self.finality {
            Finality::Leap => in_force.version,
            Finality::Savanna => 1 << 31,
        }
    }

    /// Opens the block after `state`'s head: schedules move on, the contract counts the head's block and elects.
    pub(super) fn open(&self, state: &mut State, slot: u64) {
        let parent = (state.slot, state.producer.clone());
        let num = state.head_num + 1;
        let in_force = self.in_force(state, slot);
        let producer = in_force.owner(slot).map(|(p, _)| p.clone());
        let producer = producer.unwrap_or_default();
        state.shown_pending = state.pending.as_ref().map(|(s, _)| s.clone());
        match self.finality {
            Finality::Leap => {
                let had_pending = state.pending.is_some();
                let lib = self.irreversible(state, num, &producer);
                state.lib = lib;
                if let Some((schedule, needs)) = state.pending.take_if(|(_, needs)| lib >= *needs) {
                    let _ = needs;
                    self.enter(state, schedule);
                }
                if !had_pending
                    && let Some((schedule, _, _)) = state.proposed.take_if(|(_, at, _)| *at <= lib)
                {
                    state.shown_pending = Some(schedule.clone());
                    state.pending = Some((schedule, num));
                }
            }
            Finality::Savanna => {
                state.lib = self.irreversible(state, num, &producer);
                if in_force.version != state.active.version {
                    state.proposed = None;
                    self.enter(state, in_force);
                }
                let lib = state.lib;
                if let Some((policy, _)) = state.policy_pending.take_if(|(_, at)| *at <= lib) {
                    state.policy = policy;
                }
            }
        }
        if state.head_num > 0 {
            *state.unpaid.entry(parent.1).or_default() += 1;
            if parent.0.saturating_sub(state.elected_at) > self.election_slots {
                self.elect(state, num, parent.0, slot);
            }
        }
    }

    fn enter(&self, state: &mut State, schedule: Arc<Schedule>) {
        // Newcomers start where the chain is now, else they would hold irreversibility back.
        for (p, _) in &schedule.producers {
            let lib = state.lib;
            state.implied.entry(p.clone()).or_insert(lib);
            state.last_produced.entry(p.clone()).or_insert(lib);
        }
        state.active = schedule;
    }

    /// The contract's election: proposes the producers with the most votes, unless fewer stand than sat before.
    fn elect(&self, state: &mut State, num: u64, parent_slot: u64, slot: u64) {
        state.elected_at = parent_slot;
        let mut top: Vec<(&String, u64, &SigningAuthority)> = state
            .producers
            .iter()
            .filter(|(_, p)| p.active && p.votes > 0)
            .filter(|(name, _)| {
                self.finality == Finality::Leap
                    || state
                        .finalizers
                        .get(*name)
                        .is_some_and(|f| !f.active.is_empty())
            })
            .filter_map(|(name, p)| Some((name, p.votes, p.authority.as_ref()?)))
            .collect();
        top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        top.truncate(PLACES);
        if top.is_empty() || top.len() < state.elected_size {
            return;
        }
        let mut producers: Vec<(String, SigningAuthority)> = top
            .into_iter()
            .map(|(name, _, a)| (name.clone(), a.clone()))
            .collect();
        producers.sort_by(|a, b| a.0.cmp(&b.0));
        // Before Savanna the node refuses while one is proposed; a newer proposal replaces one there.
        let refused = self.finality == Finality::Leap && state.proposed.is_some();
        let latest = match (&state.pending, &state.proposed) {
            (Some((s, _)), _) => s,
            (None, Some((s, _, _))) => s,
            (None, None) => &state.active,
        };
        if refused || latest.producers == producers {
            return;
        }
        let schedule = Schedule {
            version: latest.version + 1,
            producers,
        };
        state.elected_size = schedule.producers.len();
        state.proposed = Some((Arc::new(schedule), num, slot));
    }
}

/// A new finalizer policy is proposed as soon as a key is activated.
pub(super) fn propose_policy(state: &mut State, producer: &str, key: &str) {
    let latest = state
        .policy_pending
        .as_ref()
        .map_or(&state.policy, |(p, _)| p);
    let mut policy: Policy = (**latest).clone();
    if !policy.finalizers.contains_key(producer) {
        return;
    }
    policy.generation += 1;
    policy
        .finalizers
        .insert(producer.to_owned(), key.to_owned());
    state.policy_pending = Some((Arc::new(policy), state.head_num + 1));
}
