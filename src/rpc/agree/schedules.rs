//! Which schedules the voters agree on, and from when to when.

use std::collections::{BTreeMap, BTreeSet};

use super::Rules;
use super::votes::Vote;
use crate::chain::{Schedule, Version};
use crate::keys::PublicKey;

/// What a numbered schedule says.
type Content<'v> = (u64, u32, &'v [String], &'v [PublicKey]);

/// Where one provider saw it in force, or the quorum did.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Still in force in the state of some head from here on.
    read_at: u64,
    /// In force by the state of this head.
    read_by: u64,
}

/// Schedules that a quorum names, those without a number by their last block, the numbered ones by their number.
pub(super) fn agreed(rules: &Rules, voters: &[&Vote<'_>]) -> Vec<Schedule> {
    let mut schedules = unnumbered(rules, voters);
    schedules.extend(numbered(rules, voters));
    schedules
}

/// One read at a lower head reaches further back, so `read_at` is the lowest head that a quorum read it at or below: a lone
/// liar can neither bring in a schedule nor stretch one into the past.
fn unnumbered(rules: &Rules, voters: &[&Vote<'_>]) -> Vec<Schedule> {
    let mut found: BTreeMap<(u64, u32, &[String]), BTreeMap<&str, u64>> = BTreeMap::new();
    for (provider, schedule) in read(voters).filter(|(_, s)| s.version.is_none()) {
        let key = (schedule.until, schedule.turn, schedule.order.as_slice());
        let readers = found.entry(key).or_default();
        let read_at = readers.entry(provider).or_insert(schedule.read_at);
        *read_at = (*read_at).min(schedule.read_at);
    }
    // Where a quorum is no majority, two orders for one round leave both in doubt.
    let disputed: BTreeSet<u64> = found
        .keys()
        .filter(|(until, ..)| found.keys().filter(|(other, ..)| other == until).count() > 1)
        .map(|(until, ..)| *until)
        .collect();
    found
        .into_iter()
        .filter(|((until, ..), _)| rules.is_majority() || !disputed.contains(until))
        .filter_map(|((until, turn, order), readers)| {
            Some(Schedule {
                read_at: lowest(readers.into_values(), rules.quorum)?,
                until,
                order: order.to_vec(),
                turn,
                version: None,
            })
        })
        .collect()
}

/// A numbered one reaches in both directions no further than a quorum saw it. Two that cannot both be right (one number
/// with two contents, or the lower number in force after the higher) are both left out; where the quorum is a majority,
/// only those count that a quorum names.
fn numbered(rules: &Rules, voters: &[&Vote<'_>]) -> Vec<Schedule> {
    let mut found: BTreeMap<Content<'_>, BTreeMap<&str, Seen>> = BTreeMap::new();
    for (provider, schedule) in read(voters) {
        let Some(version) = &schedule.version else {
            continue;
        };
        let key = (
            version.number,
            schedule.turn,
            schedule.order.as_slice(),
            version.keys.as_slice(),
        );
        let now = Seen {
            read_at: schedule.read_at,
            read_by: version.read_by,
        };
        let seen = found.entry(key).or_default().entry(provider).or_insert(now);
        seen.read_at = seen.read_at.max(now.read_at);
        seen.read_by = seen.read_by.min(now.read_by);
    }
    let needed = if rules.is_majority() { rules.quorum } else { 1 };
    let named: Vec<(&Content<'_>, Seen)> = found
        .iter()
        .filter_map(|(content, readers)| Some((content, reach(readers, needed)?)))
        .collect();
    let disputed = |content: &Content<'_>, seen: Seen| {
        named.iter().any(|(other, theirs)| {
            let (low, high) = if content.0 < other.0 {
                (seen, *theirs)
            } else {
                (*theirs, seen)
            };
            *other != content && (other.0 == content.0 || high.read_by <= low.read_at)
        })
    };
    named
        .iter()
        .filter(|(content, seen)| !disputed(content, *seen))
        .filter_map(|(content, _)| {
            let seen = reach(found.get(content)?, rules.quorum)?;
            let (number, turn, order, keys) = **content;
            Some(Schedule {
                read_at: seen.read_at,
                until: u64::MAX,
                order: order.to_vec(),
                turn,
                version: Some(Version {
                    number,
                    read_by: seen.read_by,
                    keys: keys.to_vec(),
                }),
            })
        })
        .collect()
}

/// The highest head at which `needed` of them saw it still in force, and the lowest by which so many saw it in force.
fn reach(readers: &BTreeMap<&str, Seen>, needed: usize) -> Option<Seen> {
    let mut still: Vec<u64> = readers.values().map(|seen| seen.read_at).collect();
    still.sort_by_key(|head| std::cmp::Reverse(*head));
    Some(Seen {
        read_at: *still.get(needed.saturating_sub(1))?,
        read_by: lowest(readers.values().map(|seen| seen.read_by), needed)?,
    })
}

/// The `needed`-th lowest.
fn lowest(heads: impl Iterator<Item = u64>, needed: usize) -> Option<u64> {
    let mut heads: Vec<u64> = heads.collect();
    heads.sort_unstable();
    heads.get(needed.saturating_sub(1)).copied()
}

/// Schedules that belong to their head, with their readers.
fn read<'v>(voters: &[&'v Vote<'v>]) -> impl Iterator<Item = (&'v str, &'v Schedule)> {
    voters
        .iter()
        .filter(|vote| vote.seen.settled)
        .filter_map(|vote| Some((vote.provider, vote.seen.schedule.as_ref()?)))
}
