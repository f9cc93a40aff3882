//! Whether the agreed view is fit to act on: quorum, age, the network's health, the clock.

use super::{Said, deny, no_view, pass, unknown};
use crate::actuator::facts::{Facts, Rules, Seen};
use crate::actuator::target::Choice;
use crate::clock::Millis;

/// Greatest difference between the local clock and the endpoints' clocks (or the head's time, when ahead of us).
const MAX_SKEW: Millis = 5_000;

pub(super) fn no_quorum(f: &Facts, _: &Choice) -> Said {
    match &f.view {
        Err(why) => deny(why),
        Ok(v) if !v.anchored => {
            unknown("no agreed irreversible block is known yet, and a switch must refer to one")
        }
        Ok(v) => pass(format!(
            "{} providers agree, {} needed",
            v.agreeing.0, v.agreeing.1
        )),
    }
}

pub(super) fn stale_view(f: &Facts, _: &Choice) -> Said {
    with(f, |v, rules| {
        let age = f.now.saturating_sub(v.observed_at);
        if age < rules.max_view_age.saturating_neg() {
            // A view that stands still would otherwise look fresh until the clock has caught up.
            deny("the local clock has jumped back since the view was taken: waiting for the next")
        } else if age > rules.max_view_age {
            deny(format!(
                "the agreed view is {age} ms old, more than the {} ms allowed",
                rules.max_view_age
            ))
        } else {
            pass(format!("the agreed view is {} ms old", age.max(0)))
        }
    })
}

/// The others' slots, not ours: our own outage must not look like the network's. And the others since our first miss:
/// with a shuffled schedule three misses fit into fewer than two rounds, so that two rounds can still hold the slots
/// from before an endpoint went astray on a fork of few.
pub(super) fn low_participation(f: &Facts, _: &Choice) -> Said {
    with(f, |v, rules| {
        let rounds = match (f.others_participation, v.participation) {
            (Some(share), _) => Some((share, "the other producers filled")),
            (None, Some(share)) => Some((
                share,
                "the ledger is shorter than two rounds; by the nodes' own figure",
            )),
            (None, None) => None,
        }
        .map(|(share, whose)| {
            (
                share,
                format!("{whose} {:.0} % of the slots", share * 100.0),
            )
        });
        let since = f.others_since_run.map(|others| {
            let share = others.share();
            let text = format!(
                "since the first miss {} of {} other producers produced when it was last their turn ({:.0} %)",
                others.producing,
                others.of,
                share * 100.0
            );
            (share, text)
        });
        let lowest = [rounds, since]
            .into_iter()
            .flatten()
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((share, what)) = lowest else {
            return pass(
                "warning: no participation figure is to be had (short ledger, silent nodes)",
            );
        };
        let text = format!("{what}, {:.0} % needed", rules.min_participation * 100.0);
        if share < rules.min_participation {
            deny(format!("trouble of the whole network: {text}"))
        } else {
            pass(text)
        }
    })
}

pub(super) fn chain_halted(f: &Facts, _: &Choice) -> Said {
    with(f, |v, rules| {
        let age = f.now.saturating_sub(v.head_time);
        if age > rules.max_head_age {
            deny(format!(
                "the agreed head is {} s old, more than {} s: the chain stands still",
                age / 1000,
                rules.max_head_age / 1000
            ))
        } else {
            pass(format!("the agreed head is {} ms old", age.max(0)))
        }
    })
}

pub(super) fn clock_skew(f: &Facts, _: &Choice) -> Said {
    with(f, |v, rules| match v.clock_offset {
        Some(offset) if offset.abs() > MAX_SKEW => deny(format!(
            "the local clock differs from the endpoints' by {} ms: check NTP",
            offset
        )),
        Some(offset) => pass(format!(
            "the local clock is within {} ms of the endpoints'",
            offset.abs()
        )),
        None => {
            let age = f.now.saturating_sub(v.head_time);
            if (MAX_SKEW.saturating_neg()..=rules.max_head_age).contains(&age) {
                pass(format!(
                    "the head's time is {age} ms behind the local clock"
                ))
            } else {
                deny(format!(
                    "the head's time is {age} ms behind the local clock: check NTP (the endpoints send no Date)"
                ))
            }
        }
    })
}

fn with(f: &Facts, judge: impl FnOnce(&Seen, &Rules) -> Said) -> Said {
    match (&f.view, &f.rules) {
        (Ok(view), Some(rules)) => judge(view, rules),
        (Err(_), _) => no_view(),
        (_, None) => unknown("no settings for this producer"),
    }
}
