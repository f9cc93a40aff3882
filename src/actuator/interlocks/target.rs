//! Whether there is a key to go to, somebody to sign, and the right to do it.

use super::{Said, deny, no_view, pass};
use crate::actuator::authority::{self, Lack, Usable};
use crate::actuator::facts::Facts;
use crate::actuator::target::Choice;
use crate::actuator::types::{Cause, Check};

pub(super) fn no_ready_standby(_: &Facts, choice: &Choice) -> Said {
    (choice.check, choice.detail.clone())
}

pub(super) fn authority_invalid(f: &Facts, choice: &Choice) -> Said {
    if choice.target.is_some_and(|t| t.is_null()) && !may_null(f) {
        return deny(
            "nothing configured here could register a key again after disabling (that needs witness_update with the active key); set `reenable: manual` to say that is known",
        );
    }
    match usable(f) {
        None => no_view(),
        Some(Ok(u)) => pass(format!("{} may sign", f.show(&u.signer))),
        Some(Err(Lack::Invalid(why))) => deny(why),
        Some(Err(Lack::Unknown(why))) => (Check::Unknown, why),
        Some(Err(Lack::Unavailable(_))) => pass("no key at hand to judge; see key_unavailable"),
    }
}

pub(super) fn key_unavailable(f: &Facts, _: &Choice) -> Said {
    match usable(f) {
        None => no_view(),
        Some(Err(Lack::Unavailable(why))) => deny(why),
        Some(_) => pass("a key is at hand"),
    }
}

/// Leases come with several instances; one instance alone needs none.
pub(super) fn lease_not_held(_: &Facts, _: &Choice) -> Said {
    pass("no lease is configured")
}

/// The authority for a change away from the registered key; `None` while that is not known.
pub(in crate::actuator) fn usable(f: &Facts) -> Option<Result<Usable, Lack>> {
    let from = f.registered()?;
    Some(authority::choose(
        &f.authority,
        from,
        &f.active_keys,
        &|key| f.show(key),
    ))
}

/// Nulling is easy to do and, with signing keys alone, impossible to undo.
fn may_null(f: &Facts) -> bool {
    f.rules.as_ref().is_some_and(|r| r.reenable_manual)
        || authority::can_reenable(&f.authority, &f.active_keys)
        || (f.request.cause == Cause::Operator && f.request.override_reason.is_some())
}
