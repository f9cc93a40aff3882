//! What people have said: armed, pinned, maintenance, and keys that somebody else registered.

use super::{Said, deny, no_view, pass, unknown};
use crate::actuator::facts::Facts;
use crate::actuator::target::Choice;

pub(super) fn disarmed(f: &Facts, _: &Choice) -> Said {
    match f.arm.allows(f.request.cause) {
        Ok(()) => pass("armed"),
        Err(why) => deny(why),
    }
}

pub(super) fn pinned(f: &Facts, _: &Choice) -> Said {
    if f.arm.pinned {
        deny("pinned by an operator: hands off until `producer unpin`")
    } else {
        pass("not pinned")
    }
}

pub(super) fn maintenance(f: &Facts, _: &Choice) -> Said {
    if let Some(until) = f.arm.maintenance_until.filter(|until| *until > f.now) {
        let left = until.saturating_sub(f.now) / 1000;
        return deny(format!("in maintenance for another {left} s"));
    }
    // A webhook's silences are judged by `alert_not_active`, which asks afresh.
    match &f.silence {
        Some(silence) if f.request.cause == crate::actuator::types::Cause::Guard => {
            deny(format!("silenced in Alertmanager: {silence}"))
        }
        _ => pass("no maintenance"),
    }
}

/// A null key, an unregistered producer or a key we do not know is somebody's decision: never undone.
pub(super) fn operator_override(f: &Facts, _: &Choice) -> Said {
    let (Ok(view), Some(rules)) = (&f.view, &f.rules) else {
        return no_view();
    };
    if view.settling {
        return unknown("endpoints at different heads name different keys");
    }
    let Some(registered) = view.registered else {
        return deny("the chain does not know the producer (unregistered)");
    };
    if registered.is_null() || !view.enabled {
        return deny("production was disabled (null key or shut down): that is left alone");
    }
    if rules.keys.iter().any(|k| k.key == registered) {
        pass("the registered key is one of ours")
    } else {
        deny(format!(
            "{} is registered, which is not one of the configured keys: somebody chose it, so it is left alone",
            f.show(&registered)
        ))
    }
}
