//! Do the voters name the same key, url and props for each producer?

use std::collections::{BTreeMap, BTreeSet};

use super::Rules;
use super::votes::{self, Vote};
use crate::chain::ProducerState;
use crate::rpc::types::{AgreedProducer, Disagreement};

/// Voters that say the same of one producer.
struct Camp<'v, 'a> {
    state: &'a Option<ProducerState>,
    voters: Vec<&'v Vote<'a>>,
}

/// Every producer asked for, as agreed.
pub(super) fn producers(
    rules: &Rules,
    voters: &[&Vote<'_>],
) -> Result<BTreeMap<String, AgreedProducer>, Disagreement> {
    let names: BTreeSet<&String> = voters
        .iter()
        .flat_map(|vote| vote.seen.producers.keys())
        .collect();
    names
        .into_iter()
        .map(|name| Ok((name.clone(), producer(rules, voters, name)?)))
        .collect()
}

fn producer(
    rules: &Rules,
    voters: &[&Vote<'_>],
    name: &str,
) -> Result<AgreedProducer, Disagreement> {
    let camps = camps(voters, name);
    let Some(winner) = camps.first() else {
        // The head moved under every reading: what they say belongs to no head. Wait for the next tick.
        let newest = voters
            .iter()
            .filter(|vote| vote.seen.producers.contains_key(name))
            .max_by_key(|vote| vote.seen.head.num);
        return Ok(AgreedProducer {
            state: newest.and_then(|vote| vote.seen.producers.get(name).cloned().flatten()),
            settling: true,
        });
    };
    let enough = votes::providers(winner.voters.iter().copied()) >= rules.quorum;
    let agreed = |settling| AgreedProducer {
        state: winner.state.clone(),
        settling,
    };
    let Some(second) = camps.get(1) else {
        return Ok(agreed(!enough));
    };
    if is_settling(rules, &camps, name) {
        return Ok(agreed(true));
    }
    let rival = votes::providers(second.voters.iter().copied()) >= rules.quorum;
    if rules.is_majority() && enough && !rival {
        return Ok(agreed(false));
    }
    let detail = camps.iter().map(describe).collect::<Vec<_>>().join(", ");
    Err(if rules.is_majority() {
        Disagreement::State {
            producer: name.to_owned(),
            detail,
        }
    } else {
        Disagreement::Contradicted {
            detail: format!("{name}: {detail}"),
        }
    })
}

/// The camps about `name` among settled voters, the one with most providers first, then the one with the higher head.
fn camps<'v, 'a>(voters: &[&'v Vote<'a>], name: &str) -> Vec<Camp<'v, 'a>> {
    let mut camps: Vec<Camp<'v, 'a>> = Vec::new();
    for vote in voters.iter().copied().filter(|vote| vote.seen.settled) {
        let Some(state) = vote.seen.producers.get(name) else {
            continue;
        };
        match camps.iter_mut().find(|camp| same(camp.state, state)) {
            Some(camp) => camp.voters.push(vote),
            None => camps.push(Camp {
                state,
                voters: vec![vote],
            }),
        }
    }
    camps.sort_by_key(|camp| {
        let head = camp.voters.iter().map(|vote| vote.seen.head.num).max();
        std::cmp::Reverse((votes::providers(camp.voters.iter().copied()), head))
    });
    camps
}

fn same(a: &Option<ProducerState>, b: &Option<ProducerState>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.agrees_with(b),
        (None, None) => true,
        _ => false,
    }
}

/// A difference between different heads is a change on its way, until every voter has passed the height at which it was
/// first seen. At the same head it is a contradiction at once; where the head moved during a reading, nobody knows which
/// head the state is of, and only the height counts. It is noted once and every vote has to pass it or grow stale, so that
/// no claim of a moving head keeps a difference settling for ever.
fn is_settling(rules: &Rules, camps: &[Camp<'_, '_>], name: &str) -> bool {
    let Some((winner, others)) = camps.split_first() else {
        return false;
    };
    let passed = rules.disputes.get(name).is_some_and(|height| {
        camps
            .iter()
            .flat_map(|camp| &camp.voters)
            .all(|vote| vote.seen.head.num >= *height)
    });
    !passed
        && others
            .iter()
            .flat_map(|camp| &camp.voters)
            .any(|vote| winner.voters.iter().all(|other| !at_one_head(vote, other)))
}

/// Whether both states are of the same head for sure.
fn at_one_head(a: &Vote<'_>, b: &Vote<'_>) -> bool {
    a.seen.slack == 0 && b.seen.slack == 0 && a.seen.head.num == b.seen.head.num
}

fn describe(camp: &Camp<'_, '_>) -> String {
    let who: BTreeSet<&str> = camp.voters.iter().map(|vote| vote.provider).collect();
    let who = who.into_iter().collect::<Vec<_>>().join(" and ");
    match camp.state {
        Some(state) => format!("{who}: key {}", state.registered_key),
        None => format!("{who}: unknown producer"),
    }
}
