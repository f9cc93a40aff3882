//! Which key a switch goes to. Pure. Alert text never chooses a key; an operator's `--to` chooses among the listed.

use super::facts::{Facts, Rules, Standby};
use super::types::{Action, Cause, Check};
use crate::clock::millis;
use crate::config::WhenExhausted;
use crate::keys::PublicKey;
use crate::watch::Readiness;

/// The choice and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The key to register ([`PublicKey::NULL`] = disable); `None` when there is nothing to go to.
    pub target: Option<PublicKey>,
    /// Whether it is known ready (what `no_ready_standby` says).
    pub check: Check,
    /// Why.
    pub detail: String,
}

/// Chooses.
#[must_use]
pub fn choose(facts: &Facts) -> Choice {
    let Some(rules) = &facts.rules else {
        return Choice::none("no keys are configured for this producer");
    };
    let Some(current) = facts.registered() else {
        return Choice {
            target: None,
            check: Check::Unknown,
            detail: "the registered key is not known now".into(),
        };
    };
    if facts.request.action == Action::Disable {
        return disable_on_request(facts, rules, current);
    }
    if facts.request.action == Action::Enable && !current.is_null() {
        return Choice::none(&format!(
            "production is enabled with {} already; use switchover to change the key",
            facts.show(&current)
        ));
    }
    if let Some(to) = facts.request.to {
        return named(facts, rules, current, to);
    }
    let chosen = first_ready(facts, rules, current);
    if chosen.check == Check::Deny && facts.request.action == Action::Failover {
        return exhausted(facts, rules, chosen);
    }
    chosen
}

/// An operator's `--to`.
fn named(facts: &Facts, rules: &Rules, current: PublicKey, to: PublicKey) -> Choice {
    let Some(standby) = rules.keys.iter().find(|k| k.key == to) else {
        return Choice::none(&format!(
            "{} is not one of the configured keys",
            facts.show(&to)
        ));
    };
    if to == current {
        return Choice::none(&format!("{} is registered already", facts.show(&to)));
    }
    let (check, detail) = match &standby.ready {
        Readiness::Ready => (Check::Pass, format!("{} is ready", facts.show(&to))),
        Readiness::NotReady(why) => (
            Check::Deny,
            format!("{} is not ready: {why}", facts.show(&to)),
        ),
        Readiness::Unknown => (
            Check::Unknown,
            format!("the node of {} has not answered yet", facts.show(&to)),
        ),
    };
    Choice {
        target: Some(to),
        check,
        detail,
    }
}

/// The first ready key after the current one, wrapping; an earlier one only when its node proves it. From a key that
/// is not in the list (or none), every key counts as after it.
fn first_ready(facts: &Facts, rules: &Rules, current: PublicKey) -> Choice {
    let position = rules.keys.iter().position(|k| k.key == current);
    let (earlier, later): (&[Standby], &[Standby]) = match position {
        Some(i) => (&rules.keys[..i], &rules.keys[i.saturating_add(1)..]),
        None => (&[], &rules.keys),
    };
    let ready = |k: &&Standby| k.ready == Readiness::Ready;
    let found = later
        .iter()
        .find(ready)
        .or_else(|| earlier.iter().find(|k| ready(k) && k.proven));
    if let Some(standby) = found {
        return Choice {
            target: Some(standby.key),
            check: Check::Pass,
            detail: format!("{} is ready", facts.show(&standby.key)),
        };
    }
    let others = || later.iter().chain(earlier);
    if others().any(|k| k.ready == Readiness::Unknown) {
        return Choice {
            target: None,
            check: Check::Unknown,
            detail: "no standby is known ready; a probe has not answered yet".into(),
        };
    }
    let why: Vec<String> = others()
        .map(|k| match &k.ready {
            Readiness::NotReady(why) => format!("{}: {why}", facts.show(&k.key)),
            _ => format!(
                "{}: comes before the current key and no node proves it ready",
                facts.show(&k.key)
            ),
        })
        .collect();
    Choice::none(&if why.is_empty() {
        "no standby key is configured".to_owned()
    } else {
        format!("no standby is ready ({})", why.join("; "))
    })
}

/// No standby is left: hold, or disable once its condition holds.
fn exhausted(facts: &Facts, rules: &Rules, none: Choice) -> Choice {
    match rules.when_exhausted {
        WhenExhausted::Hold => Choice {
            detail: format!("{}; when_exhausted: hold", none.detail),
            ..none
        },
        WhenExhausted::Disable => match disable_due(facts, rules) {
            Ok(detail) => Choice {
                target: Some(PublicKey::NULL),
                check: Check::Pass,
                detail: format!("{}; disabling: {detail}{}", none.detail, in_vain(facts)),
            },
            Err(why) => Choice {
                detail: format!(
                    "{}; not disabling yet: {why}{}",
                    none.detail,
                    in_vain(facts)
                ),
                ..none
            },
        },
    }
}

fn disable_on_request(facts: &Facts, rules: &Rules, current: PublicKey) -> Choice {
    if current.is_null() {
        return Choice::none("production is disabled already (the null key is registered)");
    }
    if facts.request.cause != Cause::Operator {
        if rules.when_exhausted == WhenExhausted::Hold {
            return Choice::none("when_exhausted is hold, so only an operator may disable");
        }
        if let Err(why) = disable_due(facts, rules) {
            return Choice::none(&format!("disable_when does not hold: {why}"));
        }
    }
    Choice {
        target: Some(PublicKey::NULL),
        check: Check::Pass,
        detail: format!("disabling needs no standby{}", in_vain(facts)),
    }
}

/// That disabling would be in vain: no reason against it (somebody wants it), but said beforehand.
fn in_vain(facts: &Facts) -> String {
    facts
        .disabling_in_vain()
        .map_or_else(String::new, |why| format!("; {why}"))
}

/// Whether `disable_when` holds, with its figures.
pub(super) fn disable_due(facts: &Facts, rules: &Rules) -> Result<String, String> {
    let when = rules.disable_when;
    let needed = millis(when.no_ready_standby_for);
    let stood = facts.no_ready_standby_for();
    if facts.consecutive_missed < when.consecutive_misses {
        return Err(format!(
            "{} of {} consecutive misses",
            facts.consecutive_missed, when.consecutive_misses
        ));
    }
    if facts.no_ready_standby_since.is_none() || stood < needed {
        return Err(format!(
            "no ready standby for {} s of {} s",
            stood.max(0) / 1000,
            needed / 1000
        ));
    }
    Ok(format!(
        "{} consecutive misses and no ready standby for {} s",
        facts.consecutive_missed,
        stood / 1000
    ))
}

// === impl Choice ===

impl Choice {
    fn none(why: &str) -> Self {
        Self {
            target: None,
            check: Check::Deny,
            detail: why.to_owned(),
        }
    }
}
