//! Who is on one fork with whom: by the id at the highest height that both name.

use std::collections::BTreeMap;

use super::Rules;
use super::votes::{self, Vote};
use crate::chain::BlockId;
use crate::clock::Millis;

/// Tolerance when head numbers are held against head times: some chains tell time in whole seconds.
const CLOCK_GRAIN_MS: Millis = 2_000;

/// How two votes stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// The same id at the highest common height.
    Same,
    /// Different ids there.
    Fork(u64),
    /// Nothing in common, not even with what is already known; or heads that cannot both be right, for one is more
    /// blocks ahead than slots have passed.
    Unknown,
}

/// Votes that are all on one fork.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) members: Vec<&'a Vote<'a>>,
    /// Distinct providers among the members.
    pub(super) providers: usize,
    /// The vote whose head is the highest that a quorum of the members' providers has (the lowest of all where the
    /// members are fewer than the quorum).
    pub(super) top: &'a Vote<'a>,
}

/// Compares two votes.
pub(super) fn relation(
    rules: &Rules,
    a: &Vote<'_>,
    b: &Vote<'_>,
    known: &(dyn Fn(u64) -> Option<BlockId> + Sync),
) -> Relation {
    match by_ids(a, b, known) {
        Relation::Same if !plausible(rules, a, b) => Relation::Unknown,
        relation => relation,
    }
}

/// Every block fills a slot: a head cannot be more blocks ahead than slots fit into the time between.
fn plausible(rules: &Rules, a: &Vote<'_>, b: &Vote<'_>) -> bool {
    let (low, high) = if a.seen.head.num <= b.seen.head.num {
        (&a.seen.head, &b.seen.head)
    } else {
        (&b.seen.head, &a.seen.head)
    };
    let blocks = Millis::try_from(high.num - low.num).unwrap_or(Millis::MAX);
    let needed = blocks
        .saturating_sub(2)
        .max(0)
        .saturating_mul(rules.interval_ms);
    needed
        <= high
            .time
            .saturating_sub(low.time)
            .saturating_add(CLOCK_GRAIN_MS)
}

fn by_ids(a: &Vote<'_>, b: &Vote<'_>, known: &(dyn Fn(u64) -> Option<BlockId> + Sync)) -> Relation {
    let common = a.ids.iter().rev().find(|(num, _)| b.ids.contains_key(num));
    if let Some((num, id)) = common {
        return if b.ids.get(num) == Some(id) {
            Relation::Same
        } else {
            Relation::Fork(*num)
        };
    }
    match (against(a, known), against(b, known)) {
        (Some((_, true)), Some((_, true))) => Relation::Same,
        (Some((_, true)), Some((num, false))) | (Some((num, false)), Some((_, true))) => {
            Relation::Fork(num)
        }
        // Both off the known fork: it may have been undone, and nothing tells whether they are on one.
        _ => Relation::Unknown,
    }
}

/// The highest height at which `vote` can be compared with what is known, and whether it agrees there.
fn against(
    vote: &Vote<'_>,
    known: &(dyn Fn(u64) -> Option<BlockId> + Sync),
) -> Option<(u64, bool)> {
    vote.ids
        .iter()
        .rev()
        .find_map(|(num, id)| known(*num).map(|ours| (*num, ours == **id)))
}

/// The groups of votes on one fork, the best first: most providers, then the highest supported head, then the first
/// configured. A vote that lags below a split may be in several.
pub(super) fn groups<'a>(
    rules: &Rules,
    list: &'a [Vote<'a>],
    known: &(dyn Fn(u64) -> Option<BlockId> + Sync),
) -> Vec<Group<'a>> {
    let mut by_head: Vec<&Vote<'a>> = list.iter().collect();
    by_head.sort_by_key(|vote| (std::cmp::Reverse(vote.seen.head.num), vote.index));
    let mut groups: Vec<Group<'a>> = Vec::new();
    for pivot in list {
        let mut members = vec![pivot];
        for vote in &by_head {
            let fits = vote.index != pivot.index
                && members
                    .iter()
                    .all(|m| relation(rules, m, vote, known) == Relation::Same);
            if fits {
                members.push(vote);
            }
        }
        members.sort_by_key(|vote| vote.index);
        if groups.iter().any(|g| same_members(&g.members, &members)) {
            continue;
        }
        let top = supported(rules.quorum, &members).unwrap_or(pivot);
        groups.push(Group {
            providers: votes::providers(members.iter().copied()),
            top,
            members,
        });
    }
    groups.sort_by_key(|group| {
        (
            std::cmp::Reverse(group.providers),
            std::cmp::Reverse(group.top.seen.head.num),
            group.members.first().map(|vote| vote.index),
        )
    });
    groups
}

/// The vote with the highest head that `quorum` providers have: a lone head far ahead moves nothing.
fn supported<'a>(quorum: usize, members: &[&'a Vote<'a>]) -> Option<&'a Vote<'a>> {
    let mut best: BTreeMap<&str, &'a Vote<'a>> = BTreeMap::new();
    for vote in members {
        let slot = best.entry(vote.provider).or_insert(vote);
        if vote.seen.head.num > slot.seen.head.num {
            *slot = vote;
        }
    }
    let mut tops: Vec<&'a Vote<'a>> = best.into_values().collect();
    tops.sort_by_key(|vote| (std::cmp::Reverse(vote.seen.head.num), vote.index));
    tops.get(quorum.saturating_sub(1)).or(tops.last()).copied()
}

fn same_members(a: &[&Vote<'_>], b: &[&Vote<'_>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.index == b.index)
}
