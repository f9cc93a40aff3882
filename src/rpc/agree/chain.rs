//! What the voters agree on of the chain itself: head and blocks, and medians of what moves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::votes::{self, Vote};
use super::{Rules, is_stale};
use crate::chain::{Block, BlockId, BlockRef};
use crate::clock::Millis;
use crate::rpc::types::EndpointReport;

/// The agreed head with its slot: of the voters at that height the version that most providers give.
pub(super) fn head(top: &Vote<'_>, voters: &[&Vote<'_>]) -> (BlockRef, u64) {
    let at_top = voters
        .iter()
        .copied()
        .filter(|vote| vote.seen.head.num == top.seen.head.num);
    let best = most_named(at_top.map(|vote| (vote, (&vote.seen.head, vote.seen.head_slot))));
    best.map_or_else(
        || (top.seen.head.clone(), top.seen.head_slot),
        |((head, slot), _, _)| (head.clone(), slot),
    )
}

/// The highest irreversible number that a quorum of providers has reached.
pub(super) fn irreversible(quorum: usize, voters: &[&Vote<'_>]) -> u64 {
    let mut best: BTreeMap<&str, u64> = BTreeMap::new();
    for vote in voters {
        let slot = best.entry(vote.provider).or_insert(0);
        *slot = (*slot).max(vote.seen.irreversible);
    }
    let mut numbers: Vec<u64> = best.into_values().collect();
    numbers.sort_by_key(|num| Reverse(*num));
    numbers
        .get(quorum.saturating_sub(1))
        .or(numbers.last())
        .copied()
        .unwrap_or(0)
}

/// The median of the nodes' own figures.
pub(super) fn participation(voters: &[&Vote<'_>]) -> Option<f64> {
    let mut figures: Vec<f64> = voters
        .iter()
        .filter_map(|vote| vote.seen.participation)
        .filter(|share| share.is_finite())
        .collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

/// The median of the endpoints' clocks against ours.
pub(super) fn clock_offset(reports: &[EndpointReport]) -> Option<Millis> {
    let mut offsets: Vec<Millis> = reports.iter().filter_map(|r| r.clock_offset).collect();
    offsets.sort_unstable();
    offsets.get(offsets.len() / 2).copied()
}

/// The blocks asked for whose id a quorum of the group names, ascending and chained: each follows the one before it.
pub(super) fn blocks(
    rules: &Rules,
    group: &[&Vote<'_>],
    all: &[Vote<'_>],
    top: &Vote<'_>,
) -> Vec<Block> {
    let numbers: BTreeSet<u64> = group
        .iter()
        .flat_map(|vote| vote.seen.blocks.iter().map(|block| block.num))
        .collect();
    let mut agreed: Vec<Block> = Vec::with_capacity(numbers.len());
    for num in numbers {
        let Some(block) = block(rules, group, all, top, num) else {
            continue;
        };
        let chained = agreed
            .last()
            .is_none_or(|before| before.num + 1 != block.num || before.id == block.previous);
        if !chained {
            // Two heights that do not fit cannot both be right; the ledger asks again.
            break;
        }
        agreed.push(block);
    }
    agreed
}

fn block(
    rules: &Rules,
    group: &[&Vote<'_>],
    all: &[Vote<'_>],
    top: &Vote<'_>,
    num: u64,
) -> Option<Block> {
    let naming = group
        .iter()
        .filter_map(|vote| vote.ids.get(&num).map(|id| (*vote, *id)));
    let (id, providers, _) = most_named(naming)?;
    if providers < rules.quorum {
        return None;
    }
    let denied = |vote: &Vote<'_>| {
        !is_stale(rules, top, vote) && vote.ids.get(&num).is_some_and(|other| *other != id)
    };
    if !rules.is_majority() && all.iter().any(denied) {
        return None;
    }
    content(group, num, id)
}

/// The content of block `num` as most providers give it; `None` when two versions of it have equally many.
fn content(group: &[&Vote<'_>], num: u64, id: &BlockId) -> Option<Block> {
    let mut versions: Vec<(Block, BTreeSet<&str>)> = Vec::new();
    for vote in group {
        let Some(block) = vote
            .seen
            .blocks
            .iter()
            .find(|b| b.num == num && b.id == *id)
        else {
            continue;
        };
        match versions
            .iter_mut()
            .find(|(seen, _)| same_content(seen, block))
        {
            Some((seen, who)) => {
                // Not every dialect names the signing key or the schedule: an answer that does completes one that does not.
                seen.signing_key = seen.signing_key.or(block.signing_key);
                seen.schedule_version = seen.schedule_version.or(block.schedule_version);
                who.insert(vote.provider);
            }
            None => versions.push((block.clone(), [vote.provider].into())),
        }
    }
    versions.sort_by_key(|(_, who)| Reverse(who.len()));
    let rival = versions.get(1).map_or(0, |(_, who)| who.len());
    versions
        .into_iter()
        .next()
        .filter(|(_, who)| who.len() > rival)
        .map(|(block, _)| block)
}

fn same_content(a: &Block, b: &Block) -> bool {
    let keys_differ = matches!((a.signing_key, b.signing_key), (Some(a), Some(b)) if a != b);
    let versions_differ =
        matches!((a.schedule_version, b.schedule_version), (Some(a), Some(b)) if a != b);
    !keys_differ
        && !versions_differ
        && a.previous == b.previous
        && a.time == b.time
        && a.producer == b.producer
        && a.key_changes == b.key_changes
        && a.slot == b.slot
}

/// The value that most providers name, how many they are, and whether nobody names another.
pub(super) fn most_named<'a: 'v, 'v, T: PartialEq>(
    said: impl IntoIterator<Item = (&'v Vote<'a>, T)>,
) -> Option<(T, usize, bool)> {
    let mut camps: Vec<(T, Vec<&'v Vote<'a>>)> = Vec::new();
    for (vote, value) in said {
        match camps.iter_mut().find(|(seen, _)| *seen == value) {
            Some((_, who)) => who.push(vote),
            None => camps.push((value, vec![vote])),
        }
    }
    let unanimous = camps.len() == 1;
    let mut best: Option<(T, usize)> = None;
    for (value, who) in camps {
        let count = votes::providers(who);
        if best.as_ref().is_none_or(|(_, most)| count > *most) {
            best = Some((value, count));
        }
    }
    best.map(|(value, count)| (value, count, unanimous))
}
