//! Facts asked for now and then, on which the voters agree as a whole: authorities, the names behind ids, finality keys.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Rules;
use super::chain::most_named;
use super::votes::Vote;
use crate::chain::{Election, Finalizer};
use crate::clock::Millis;
use crate::keys::PublicKey;

/// Keys of authorities that a quorum names alike.
pub(super) fn active_keys(rules: &Rules, voters: &[&Vote<'_>]) -> BTreeMap<String, Vec<PublicKey>> {
    let names: BTreeSet<&String> = voters
        .iter()
        .flat_map(|vote| vote.seen.active_keys.keys())
        .collect();
    names
        .into_iter()
        .filter_map(|name| {
            let said = voters.iter().filter(|v| v.seen.settled).filter_map(|vote| {
                let mut keys = vote.seen.active_keys.get(name)?.clone();
                keys.sort_by_key(|key| *key.as_bytes());
                Some((*vote, keys))
            });
            Some((name.clone(), quorate(rules, said)?))
        })
        .collect()
}

/// The names behind ids: one map, or none. A name that some know and others do not yet waits for the next time.
pub(super) fn aliases(rules: &Rules, voters: &[&Vote<'_>]) -> Option<BTreeMap<String, String>> {
    let said = voters
        .iter()
        .filter_map(|vote| Some((*vote, vote.seen.aliases.as_ref()?)));
    quorate(rules, said).cloned()
}

/// Who stands for election: one list, or none. An endpoint that is a block behind may differ once; the next time tells.
pub(super) fn election(rules: &Rules, voters: &[&Vote<'_>]) -> Option<Election> {
    let said = voters
        .iter()
        .filter_map(|vote| Some((*vote, vote.seen.election.as_ref()?)));
    quorate(rules, said).cloned()
}

/// Finality keys that a quorum names alike, per producer, with the latest vote that a quorum has seen of it: nodes hear of
/// votes at different times. `None` when no quorum was asked or knows any.
pub(super) fn finalizers(
    rules: &Rules,
    voters: &[&Vote<'_>],
) -> Option<BTreeMap<String, Finalizer>> {
    let tellers: Vec<(&Vote<'_>, &BTreeMap<String, Finalizer>)> = voters
        .iter()
        .filter_map(|vote| Some((*vote, vote.seen.finalizers.as_ref()?)))
        .collect();
    // That they were asked is a fact of its own: with a quorum of tellers an absent producer has no finality key.
    quorate(rules, tellers.iter().map(|(vote, _)| (*vote, ())))?;
    let names: BTreeSet<&String> = tellers.iter().flat_map(|(_, map)| map.keys()).collect();
    let agreed = names.into_iter().filter_map(|name| {
        let said = tellers.iter().map(|(vote, map)| {
            let keys = map
                .get(name)
                .map(|one| (one.active_key.as_str(), one.pending_key.as_deref()));
            (*vote, keys)
        });
        let (active_key, pending_key) = quorate(rules, said)??;
        Some((
            name.clone(),
            Finalizer {
                active_key: active_key.to_owned(),
                pending_key: pending_key.map(str::to_owned),
                last_vote: last_vote(rules, &tellers, name),
            },
        ))
    });
    Some(agreed.collect())
}

/// The latest vote that a quorum of providers has seen: a lone one cannot make a finalizer look alive.
fn last_vote(
    rules: &Rules,
    tellers: &[(&Vote<'_>, &BTreeMap<String, Finalizer>)],
    name: &str,
) -> Option<(u64, Millis)> {
    let mut best: BTreeMap<&str, (u64, Millis)> = BTreeMap::new();
    for (vote, map) in tellers {
        if let Some(last) = map.get(name).and_then(|one| one.last_vote) {
            let slot = best.entry(vote.provider).or_insert(last);
            *slot = last.max(*slot);
        }
    }
    let mut votes: Vec<(u64, Millis)> = best.into_values().collect();
    votes.sort_by_key(|vote| Reverse(*vote));
    votes.get(rules.quorum.saturating_sub(1)).copied()
}

/// The value that a quorum names; where the quorum is no majority, only if nobody names another.
fn quorate<'a: 'v, 'v, T: PartialEq>(
    rules: &Rules,
    said: impl IntoIterator<Item = (&'v Vote<'a>, T)>,
) -> Option<T> {
    let (value, providers, unanimous) = most_named(said)?;
    (providers >= rules.quorum && (rules.is_majority() || unanimous)).then_some(value)
}
