//! The decision: facts in, verdict out. Pure: no I/O, no clock, no randomness; acts only when every interlock that
//! binds the request passes.

use super::authority::Usable;
use super::facts::Facts;
use super::interlocks::{self, Binds, Denied, Interlock};
use super::target;
use super::types::{Action, Cause, Check, Decision, InterlockVerdict, Reason, Verdict};
use crate::keys::PublicKey;

/// What a decision to act comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The registered key.
    pub from: PublicKey,
    /// The key to register.
    pub to: PublicKey,
    /// Who signs and how.
    pub by: Usable,
    /// Savanna: the finalizer key to activate with it.
    pub finalizer: Option<String>,
}

/// A decision and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// For the journal and for people.
    pub decision: Decision,
    /// What to do.
    pub next: Step,
}

/// What to do after a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// Draft, sign, journal, broadcast.
    Switch(Order),
    /// Draft, sign, report: a type of its own, so that a rehearsal or drill cannot reach the broadcast.
    Rehearse(Order),
}

/// Decides.
#[must_use]
pub fn decide(facts: &Facts) -> Plan {
    let choice = target::choose(facts);
    let request = &facts.request;
    let mut verdicts = Vec::with_capacity(interlocks::ALL.len());
    let mut first_denied: Option<Reason> = None;
    let mut first_unknown: Option<Reason> = None;
    let mut ends = false;
    for interlock in &interlocks::ALL {
        let (mut check, mut detail) = (interlock.check)(facts, &choice);
        match binds(interlock, facts) {
            Binds::Denies => {}
            Binds::Never => {
                if check != Check::Pass {
                    check = Check::Pass;
                    detail = format!("does not apply ({detail})");
                }
            }
            Binds::Warns if check == Check::Pass => {}
            // With no target yet there is nothing an override could stand for.
            Binds::Warns if interlock.name == Reason::NoReadyStandby && choice.target.is_none() => {
            }
            Binds::Warns => {
                if rehearses(facts) {
                    check = Check::Pass;
                    detail = format!("would need --override: {detail}");
                } else if let Some(reason) = &request.override_reason {
                    check = Check::Pass;
                    detail = format!("overridden ({reason}): {detail}");
                }
            }
        }
        match check {
            Check::Pass => {}
            Check::Unknown => {
                first_unknown.get_or_insert(interlock.name);
            }
            Check::Deny => {
                first_denied.get_or_insert(interlock.name);
                ends |= ends_request(interlock, facts);
            }
        }
        verdicts.push(InterlockVerdict {
            name: interlock.name,
            verdict: check,
            detail,
        });
    }
    let order = match (
        facts.registered(),
        choice.target,
        interlocks::target::usable(facts),
    ) {
        (Some(from), Some(to), Some(Ok(by))) if from != to => Some(Order {
            from,
            to,
            by,
            finalizer: facts.finalizer_of(&to),
        }),
        _ => None,
    };
    // No override conjures up a target or a signer.
    if first_denied.is_none() && first_unknown.is_none() && order.is_none() {
        first_denied = Some(Reason::NoReadyStandby);
        ends = request.cause == Cause::Operator;
        if let Some(v) = verdicts
            .iter_mut()
            .find(|v| v.name == Reason::NoReadyStandby)
        {
            v.verdict = Check::Deny;
        }
    }
    let reason = first_denied.or(first_unknown).unwrap_or(Reason::Ok);
    let (verdict, next) = match (reason, order) {
        (Reason::Ok, Some(order)) if rehearses(facts) => (Verdict::Act, Step::Rehearse(order)),
        (Reason::Ok, Some(order)) => (Verdict::Act, Step::Switch(order)),
        _ if ends || out_of_date(facts) => (Verdict::Refuse, Step::Nothing),
        _ => (Verdict::Wait, Step::Nothing),
    };
    Plan {
        decision: Decision {
            request_id: request.id.clone(),
            time: facts.now,
            verdict,
            reason,
            interlocks: verdicts,
            target: choice.target,
            warning: choice
                .target
                .filter(PublicKey::is_null)
                .and_then(|_| facts.disabling_in_vain()),
            view: facts.view.as_ref().ok().map(|v| (v.head, v.head_time)),
        },
        next,
    }
}

fn rehearses(facts: &Facts) -> bool {
    facts.request.cause == Cause::Drill || facts.request.action == Action::Rehearse
}

fn binds(interlock: &Interlock, facts: &Facts) -> Binds {
    match facts.request.cause {
        Cause::Webhook => interlock.webhook,
        Cause::Guard => interlock.guard,
        // An operator names no fence, but the key he saw when he spoke is kept as one: a command that had to wait must
        // not strike a key that has taken over meanwhile.
        Cause::Operator
            if interlock.name == Reason::FenceMismatch && facts.request.fence.is_some() =>
        {
            Binds::Denies
        }
        Cause::Operator => interlock.operator,
        // A drill goes the webhook's way and reports everything, but wants no real fault and no real fence.
        Cause::Drill => match interlock.webhook {
            Binds::Denies if interlock.operator != Binds::Denies => Binds::Warns,
            other => other,
        },
    }
}

fn ends_request(interlock: &Interlock, facts: &Facts) -> bool {
    match facts.request.cause {
        Cause::Operator => !interlock.operator_waits,
        _ => interlock.denied == Denied::Ends,
    }
}

/// A command that has waited as long as an alert may is over: nobody wants it to strike out of the blue later.
fn out_of_date(facts: &Facts) -> bool {
    let Some(rules) = &facts.rules else {
        return facts.request.cause == Cause::Operator;
    };
    // Both ways: a clock that was set back must not keep a command alive for hours.
    let age = facts.now.saturating_sub(facts.request.received_at);
    facts.request.cause == Cause::Operator && age.saturating_abs() > rules.max_alert_age
}

#[cfg(test)]
mod tests;
