//! Whether the request itself is fit to act on: producer, fence, age, and the alert behind it.

use super::{Said, deny, no_view, pass, unknown};
use crate::actuator::alert_source::Standing;
use crate::actuator::facts::Facts;
use crate::actuator::target::Choice;
use crate::actuator::types::Cause;

pub(super) fn unknown_producer(f: &Facts, _: &Choice) -> Said {
    if f.rules.is_none() {
        return deny(format!(
            "no keys are configured for producer {} on chain {}",
            f.request.producer, f.request.chain
        ));
    }
    match &f.view {
        Ok(v) if !v.settling && v.registered.is_none() => deny(format!(
            "chain {} does not know a producer {}",
            f.request.chain, f.request.producer
        )),
        _ => pass("configured"),
    }
}

/// The chain's own fence: the key said to be at fault must still be the registered one.
pub(super) fn fence_mismatch(f: &Facts, _: &Choice) -> Said {
    let Ok(view) = &f.view else {
        return no_view();
    };
    if view.settling {
        return unknown("endpoints at different heads name different keys");
    }
    match (f.request.fence, view.registered) {
        (Some(fence), Some(registered)) if fence == registered => {
            pass("the key at fault is the registered one")
        }
        (Some(fence), Some(registered)) => deny(format!(
            "the request blames {}, but {} is registered",
            f.show(&fence),
            f.show(&registered)
        )),
        (None, _) => deny("the request names no key at fault"),
        (_, None) => deny("the chain names no key for the producer"),
    }
}

/// A request to look is only good while it is fresh; re-presenting it refreshes it.
pub(super) fn stale_alert(f: &Facts, _: &Choice) -> Said {
    let Some(rules) = &f.rules else {
        return unknown("no settings for this producer");
    };
    let Some(at) = f.request.evaluated_at else {
        return deny("the request does not say when its alert was evaluated");
    };
    let age = f.now.saturating_sub(at);
    if age < rules.max_alert_age.saturating_neg() {
        // Else it would never grow old, and could be replayed for ever.
        deny(format!(
            "evaluated {} s in the future: check the clocks of Prometheus and of this host",
            age.saturating_neg() / 1000
        ))
    } else if age > rules.max_alert_age {
        deny(format!(
            "last evaluated {} s ago, more than the {} s allowed",
            age / 1000,
            rules.max_alert_age / 1000
        ))
    } else {
        pass(format!("evaluated {} s ago", age.max(0) / 1000))
    }
}

pub(super) fn alert_not_active(f: &Facts, _: &Choice) -> Said {
    if f.request.cause == Cause::Drill {
        return pass("a drill is not looked up");
    }
    match &f.standing {
        None => unknown("Alertmanager has not been asked yet"),
        Some(Standing::NotConfigured) => {
            pass("no Alertmanager is configured, so silences are not looked up")
        }
        Some(Standing::Active) => pass("the alert is active"),
        Some(Standing::Suppressed(by)) => deny(format!("the alert is suppressed: {by}")),
        Some(Standing::Absent) => deny("no Alertmanager has this alert (any more)"),
        Some(Standing::Unreachable) => match &f.silence {
            Some(silence) => deny(format!(
                "no Alertmanager answered, and a silence known from before covers it: {silence}"
            )),
            None => pass("no Alertmanager answered; no silence known from before covers it"),
        },
    }
}
