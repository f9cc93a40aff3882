//! The interlocks: each is one named reason not to act. A new one is a function in one of the files here and a line in
//! [`ALL`], which is also the table of who it binds and what a denial means:
//!
//! - *binds*: [`Binds::Denies`] stops the request; [`Binds::Warns`] stops an operator unless `--override REASON` is
//!   given; [`Binds::Never`] does not apply to that cause.
//! - *denied*: [`Denied::Waits`] keeps an automatic request pending (decided again every tick until it is out of date);
//!   [`Denied::Ends`] refuses it for good. An operator's command is answered at once: it only waits for what
//!   [`Interlock::operator_waits`] names and for what is unknown.

mod fault;
mod pace;
mod request;
mod standing;
pub(super) mod target;
mod view;

use super::facts::Facts;
use super::target::Choice;
use super::types::{Check, Reason};

/// What one interlock says: the verdict and why, for a person at 3 a.m.
pub type Said = (Check, String);

/// Whether an interlock binds a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binds {
    /// A denial stops it.
    Denies,
    /// A denial stops it unless overridden with a reason.
    Warns,
    /// Does not apply.
    Never,
}

/// What a denial means for an automatic request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It may pass: stay pending.
    Waits,
    /// It will not: refuse.
    Ends,
}

/// One interlock.
#[derive(Debug, Clone, Copy)]
pub struct Interlock {
    /// Its name.
    pub name: Reason,
    /// Does it bind requests by webhook and guard.
    pub webhook: Binds,
    /// Does it bind the guard's requests.
    pub guard: Binds,
    /// Does it bind operators.
    pub operator: Binds,
    /// What a denial means for the automatic causes.
    pub denied: Denied,
    /// A denial makes an operator's command wait rather than end.
    pub operator_waits: bool,
    /// The check.
    pub check: fn(&Facts, &Choice) -> Said,
}

const fn row(
    name: Reason,
    webhook: Binds,
    guard: Binds,
    operator: Binds,
    denied: Denied,
    check: fn(&Facts, &Choice) -> Said,
) -> Interlock {
    Interlock {
        name,
        webhook,
        guard,
        operator,
        denied,
        operator_waits: matches!(name, Reason::NoQuorum | Reason::StaleView),
        check,
    }
}

use Binds::{Denies, Never, Warns};
use Denied::{Ends, Waits};
use Reason as R;

/// Every interlock, in order of precedence.
#[rustfmt::skip] // a table
pub const ALL: [Interlock; 22] = [
    //                        webhook guard   operator denied
    row(R::Disarmed,          Denies, Denies, Warns,  Waits, standing::disarmed),
    row(R::UnknownProducer,   Denies, Denies, Never,  Ends,  request::unknown_producer),
    row(R::FenceMismatch,     Denies, Denies, Never,  Ends,  request::fence_mismatch),
    row(R::StaleAlert,        Denies, Denies, Never,  Ends,  request::stale_alert),
    row(R::AlertNotActive,    Denies, Never,  Never,  Waits, request::alert_not_active),
    row(R::NoQuorum,          Denies, Denies, Denies, Waits, view::no_quorum),
    row(R::StaleView,         Denies, Denies, Denies, Waits, view::stale_view),
    row(R::NotCorroborated,   Denies, Denies, Warns,  Waits, fault::not_corroborated),
    row(R::LowParticipation,  Denies, Denies, Warns,  Waits, view::low_participation),
    row(R::ChainHalted,       Denies, Denies, Warns,  Waits, view::chain_halted),
    row(R::ClockSkew,         Denies, Denies, Warns,  Waits, view::clock_skew),
    row(R::OperatorOverride,  Denies, Denies, Never,  Ends,  standing::operator_override),
    row(R::Pinned,            Denies, Denies, Warns,  Waits, standing::pinned),
    row(R::Maintenance,       Denies, Denies, Warns,  Waits, standing::maintenance),
    row(R::AttemptOpen,       Denies, Denies, Denies, Waits, pace::attempt_open),
    row(R::SwitchPending,     Denies, Denies, Denies, Waits, pace::switch_pending),
    row(R::Cooldown,          Denies, Denies, Warns,  Waits, pace::cooldown),
    row(R::BudgetExhausted,   Denies, Denies, Warns,  Waits, pace::budget_exhausted),
    row(R::NoReadyStandby,    Denies, Denies, Warns,  Waits, target::no_ready_standby),
    row(R::AuthorityInvalid,  Denies, Denies, Denies, Waits, target::authority_invalid),
    row(R::KeyUnavailable,    Denies, Denies, Denies, Waits, target::key_unavailable),
    row(R::LeaseNotHeld,      Denies, Denies, Warns,  Waits, target::lease_not_held),
];

fn pass(why: impl Into<String>) -> Said {
    (Check::Pass, why.into())
}

fn deny(why: impl Into<String>) -> Said {
    (Check::Deny, why.into())
}

fn unknown(why: impl Into<String>) -> Said {
    (Check::Unknown, why.into())
}

/// What view-bound interlocks say while there is no agreed view: `no_quorum` denies, they only do not know.
fn no_view() -> Said {
    unknown("no agreed view to judge by")
}

#[cfg(test)]
mod tests;
