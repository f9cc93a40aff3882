//! Agreement: the endpoints' reports of one tick → one view that enough providers share, or the named reason why there
//! is none. Pure: time and the ids already known come in as arguments.
//!
//! 1. `votes`: which reports count at all (right chain, no head from the future), and what ids they name;
//! 2. `forks`: who is on one fork, by the id at the highest common height;
//! 3. freshness, against the highest head that a quorum *supports* (never against a lone head);
//! 4. `state`: registered keys, url and props, read at settled heads;
//! 5. `chain`: head and blocks; `schedules`; `facts`: authorities, names, finality keys.
//!
//! Where blocks are faster than a reading (Antelope), a state belongs to some head between two
//! ([`crate::chain::Observation::slack`]): it is compared with another's only once both have passed the height where the
//! difference may have come from.

mod chain;
mod facts;
mod forks;
mod schedules;
mod state;
#[cfg(test)]
mod tests;
mod votes;

use std::collections::{BTreeMap, BTreeSet};

use super::types::{Disagreement, EndpointReport, View};
use crate::chain::BlockId;
use crate::clock::Millis;
use forks::{Group, Relation};
use votes::{Vote, Votes};

/// A head this far ahead of the local clock, plus one interval, is not believed.
const FUTURE_MS: Millis = 5_000;
/// An endpoint so many intervals behind the agreed head has no vote …
const STALE_INTERVALS: Millis = 2;
/// … or so many on chains with turns: there two intervals are one second, which is a slow network and no standstill.
const STALE_INTERVALS_OF_TURNS: Millis = 6;

/// What agreement needs to know of the configuration and of the ticks before.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Providers that must agree.
    pub quorum: usize,
    /// The provider of each endpoint, by endpoint index: one vote each.
    pub providers: Vec<String>,
    /// Time between slots.
    pub interval_ms: Millis,
    /// An endpoint whose head is further behind the agreed one than this has no vote (see [`Rules::staleness`]).
    pub stale_ms: Millis,
    /// The expected chain id, lower-case hex: an observation that names another has no vote. `None` trusts the caller.
    pub chain_id: Option<String>,
    /// Producers that endpoints at different heads differed about, and the head number that all fresh endpoints must
    /// have passed before the difference counts as a disagreement. Kept by the pool.
    pub disputes: BTreeMap<String, u64>,
}

// === impl Rules ===

impl Rules {
    /// How far behind an endpoint may be on a chain with this interval and so many slots per turn: two intervals, with
    /// turns six.
    #[must_use]
    pub fn staleness(interval_ms: Millis, turn: u32) -> Millis {
        interval_ms.saturating_mul(if turn > 1 {
            STALE_INTERVALS_OF_TURNS
        } else {
            STALE_INTERVALS
        })
    }

    /// The same in blocks.
    #[must_use]
    pub fn stale_blocks(&self) -> u64 {
        let blocks = self.stale_ms.checked_div(self.interval_ms.max(1));
        blocks.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }

    /// Distinct providers.
    #[must_use]
    pub fn provider_count(&self) -> usize {
        self.providers.iter().collect::<BTreeSet<_>>().len()
    }

    /// Whether the quorum is a majority of the providers. Where it is not, no fresh answer may contradict.
    #[must_use]
    pub fn is_majority(&self) -> bool {
        self.quorum.saturating_mul(2) > self.provider_count()
    }
}

/// The view that enough providers share. `known(num)` = ids agreed in earlier ticks, to compare endpoints that have no
/// height in common in this one.
///
/// # Errors
/// The [`Disagreement`]: every kind of it means that nothing may be decided on this tick.
pub fn agree(
    rules: &Rules,
    reports: &[EndpointReport],
    known: &(dyn Fn(u64) -> Option<BlockId> + Sync),
    now_ms: Millis,
) -> Result<View, Disagreement> {
    let votes = Votes::count(rules, reports, now_ms);
    let groups = forks::groups(rules, &votes.list, known);
    let Some(best) = groups.first() else {
        return Err(too_few(rules, &votes, 0, None));
    };
    if best.providers < rules.quorum {
        return Err(no_quorum(rules, &votes, best, known));
    }
    // The quorum's own head may stand still: when one of the same fork is well ahead of it, what the quorum says is
    // old. A liar can stretch that no further than the slots that really passed since: a moment, not a veto.
    let newest = best.members.iter().max_by_key(|m| m.seen.head.time);
    if let Some(newest) = newest.filter(|newest| is_stale(rules, newest, best.top)) {
        let fresh = best.members.iter().copied();
        let fresh = votes::providers(fresh.filter(|m| !is_stale(rules, newest, m)));
        return Err(too_few(rules, &votes, fresh, Some(newest)));
    }
    // Only a provider with endpoints on both sides makes two groups with a quorum possible.
    for other in &groups[1..] {
        let stands = other.providers >= rules.quorum && !is_stale(rules, best.top, other.top);
        if stands
            && rules.is_majority()
            && let Relation::Fork(height) = forks::relation(rules, best.top, other.top, known)
        {
            return Err(fork(height, best.top, other.top));
        }
    }
    if !rules.is_majority() {
        let outsider = votes.list.iter().find(|vote| {
            !best.members.iter().any(|m| m.index == vote.index) && !is_stale(rules, best.top, vote)
        });
        if let Some(outsider) = outsider {
            return Err(contradicted(rules, best, outsider, known));
        }
    }
    let voters: Vec<&Vote<'_>> = best
        .members
        .iter()
        .copied()
        .filter(|vote| !is_stale(rules, best.top, vote))
        .collect();
    let (head, head_slot) = chain::head(best.top, &voters);
    Ok(View {
        observed_at: now_ms,
        irreversible: chain::irreversible(rules.quorum, &voters).min(head.num),
        participation: chain::participation(&voters),
        schedules: schedules::agreed(rules, &voters),
        producers: state::producers(rules, &voters)?,
        blocks: chain::blocks(rules, &best.members, &votes.list, best.top),
        active_keys: facts::active_keys(rules, &voters),
        aliases: facts::aliases(rules, &voters),
        finalizers: facts::finalizers(rules, &voters),
        election: facts::election(rules, &voters),
        agreeing: votes::providers(voters.iter().copied()),
        clock_offset: chain::clock_offset(reports),
        head,
        head_slot,
    })
}

/// Behind by more than [`Rules::stale_ms`] *and* by more than one block: after missed slots the newest block alone may be many
/// intervals ahead of the one before, and hearing of it a moment later is not staleness.
fn is_stale(rules: &Rules, top: &Vote<'_>, vote: &Vote<'_>) -> bool {
    let behind = top.seen.head.time.saturating_sub(vote.seen.head.time);
    behind > rules.stale_ms && vote.seen.head.num.saturating_add(1) < top.seen.head.num
}

fn no_quorum(
    rules: &Rules,
    votes: &Votes<'_>,
    best: &Group<'_>,
    known: &(dyn Fn(u64) -> Option<BlockId> + Sync),
) -> Disagreement {
    let newest = votes.list.iter().max_by_key(|v| v.seen.head.time);
    let newest = newest.unwrap_or(best.top);
    let fresh: Vec<&Vote<'_>> = votes
        .list
        .iter()
        .filter(|vote| !is_stale(rules, newest, vote))
        .collect();
    let count = votes::providers(fresh.iter().copied());
    if count >= rules.quorum {
        for (i, a) in fresh.iter().enumerate() {
            for b in &fresh[i + 1..] {
                if let Relation::Fork(height) = forks::relation(rules, a, b, known) {
                    return fork(height, a, b);
                }
            }
        }
    }
    too_few(rules, votes, best.providers.min(count), Some(newest))
}

fn too_few(
    rules: &Rules,
    votes: &Votes<'_>,
    fresh: usize,
    newest: Option<&Vote<'_>>,
) -> Disagreement {
    let mut why = votes.troubles.clone();
    for vote in &votes.list {
        match newest {
            Some(newest) if is_stale(rules, newest, vote) => why.push(format!(
                "{}: head {} is {} blocks behind",
                vote.provider,
                vote.seen.head.num,
                newest.seen.head.num.saturating_sub(vote.seen.head.num)
            )),
            Some(newest) if newest.index != vote.index && newest.provider != vote.provider => {
                why.push(format!(
                    "{}: head {} cannot be compared with the others yet",
                    vote.provider, vote.seen.head.num
                ));
            }
            _ => {}
        }
    }
    if why.is_empty() {
        why.push("no endpoint has answered yet".into());
    }
    Disagreement::TooFew {
        fresh,
        quorum: rules.quorum,
        why: why.join("; "),
    }
}

fn fork(height: u64, a: &Vote<'_>, b: &Vote<'_>) -> Disagreement {
    Disagreement::Fork {
        height,
        detail: format!(
            "{} says {}, {} says {}",
            a.provider,
            a.says(height),
            b.provider,
            b.says(height)
        ),
    }
}

fn contradicted(
    rules: &Rules,
    best: &Group<'_>,
    outsider: &Vote<'_>,
    known: &(dyn Fn(u64) -> Option<BlockId> + Sync),
) -> Disagreement {
    let conflict = best.members.iter().find_map(|m| {
        if let Relation::Fork(height) = forks::relation(rules, m, outsider, known) {
            Some((m, height))
        } else {
            None
        }
    });
    let detail = match conflict {
        Some((member, height)) => format!(
            "at block {height}, {} says {}, {} says {}",
            member.provider,
            member.says(height),
            outsider.provider,
            outsider.says(height)
        ),
        None => format!(
            "head {} of {} cannot be compared with head {} of {} yet",
            outsider.seen.head.num, outsider.provider, best.top.seen.head.num, best.top.provider
        ),
    };
    Disagreement::Contradicted { detail }
}
