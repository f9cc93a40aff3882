//! Which reports have a vote, and the block ids each of them names.

use std::collections::{BTreeMap, BTreeSet};

use super::{FUTURE_MS, Rules};
use crate::chain::{BlockId, Observation};
use crate::clock::Millis;
use crate::rpc::types::EndpointReport;

/// One endpoint's usable answer.
#[derive(Debug)]
pub(super) struct Vote<'a> {
    pub(super) index: usize,
    pub(super) provider: &'a str,
    pub(super) seen: &'a Observation,
    /// Ids it names, by height: its head, its blocks, and what its blocks say of the ones before.
    pub(super) ids: BTreeMap<u64, &'a BlockId>,
}

/// All usable answers, and why the others are not.
#[derive(Debug)]
pub(super) struct Votes<'a> {
    pub(super) list: Vec<Vote<'a>>,
    /// One phrase per endpoint without a vote.
    pub(super) troubles: Vec<String>,
}

// === impl Votes ===

impl<'a> Votes<'a> {
    pub(super) fn count(rules: &'a Rules, reports: &'a [EndpointReport], now: Millis) -> Self {
        let latest = now
            .saturating_add(FUTURE_MS)
            .saturating_add(rules.interval_ms);
        let mut votes = Self {
            list: Vec::with_capacity(reports.len()),
            troubles: Vec::new(),
        };
        for report in reports {
            let Some(provider) = rules.providers.get(report.index) else {
                continue;
            };
            let trouble = match &report.observation {
                None => "not heard in time".to_owned(),
                Some(Err(error)) => error.detail.clone(),
                Some(Ok(seen)) => match unusable(rules, seen, latest, now) {
                    Some(trouble) => trouble,
                    None => {
                        votes.list.push(Vote::new(report.index, provider, seen));
                        continue;
                    }
                },
            };
            votes.troubles.push(format!("{provider}: {trouble}"));
        }
        votes
    }
}

fn unusable(rules: &Rules, seen: &Observation, latest: Millis, now: Millis) -> Option<String> {
    let foreign = rules
        .chain_id
        .as_ref()
        .zip(seen.chain_id.as_ref())
        .is_some_and(|(ours, theirs)| ours != theirs);
    if foreign {
        return Some("answers for another chain".into());
    }
    (seen.head.time > latest).then(|| {
        format!(
            "its head is {} s in the future (is the local clock right?)",
            seen.head.time.saturating_sub(now) / 1000
        )
    })
}

// === impl Vote ===

impl<'a> Vote<'a> {
    fn new(index: usize, provider: &'a str, seen: &'a Observation) -> Self {
        let mut ids = BTreeMap::new();
        for block in &seen.blocks {
            if let Some(before) = block.num.checked_sub(1) {
                ids.insert(before, &block.previous);
            }
        }
        for block in &seen.blocks {
            ids.insert(block.num, &block.id);
        }
        ids.insert(seen.head.num, &seen.head.id);
        Self {
            index,
            provider,
            seen,
            ids,
        }
    }

    /// The id it names at `height`, shortened for people.
    pub(super) fn says(&self, height: u64) -> String {
        self.ids.get(&height).map_or_else(
            || format!("nothing at {height}"),
            |id| id.0.chars().take(16).collect(),
        )
    }
}

/// Distinct providers among `votes`.
pub(super) fn providers<'a: 'v, 'v>(votes: impl IntoIterator<Item = &'v Vote<'a>>) -> usize {
    votes
        .into_iter()
        .map(|vote| vote.provider)
        .collect::<BTreeSet<_>>()
        .len()
}
