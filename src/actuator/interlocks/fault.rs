//! Whether the agreed view shows the fault: an alert is a request to look, never evidence.

use super::{Said, deny, no_view, pass, unknown};
use crate::actuator::facts::Facts;
use crate::actuator::target::{Choice, disable_due};
use crate::actuator::types::{Action, Cause};
use crate::watch::{Fault, FaultClause};

pub(super) fn not_corroborated(f: &Facts, _: &Choice) -> Said {
    let automatic = f.request.cause != Cause::Operator;
    if !automatic && f.request.action != Action::Failover {
        return pass("planned by an operator: needs no fault");
    }
    if f.view.is_err() {
        return no_view();
    }
    let said = match f.fault {
        Fault::Yes(FaultClause::NodeDown) => {
            pass("a miss while the node of the registered key does not answer")
        }
        Fault::Yes(FaultClause::Consecutive) => {
            pass(format!("{} misses in a row", f.consecutive_missed))
        }
        Fault::Yes(FaultClause::Window) => pass("more misses than allowed in the window"),
        Fault::No => {
            return deny("the agreed view shows no fault of the registered key in its tenure");
        }
        Fault::Unknown => return unknown("the slot ledger has not caught up with the head"),
    };
    match &f.rules {
        Some(rules) if automatic && f.request.action == Action::Disable => {
            match disable_due(f, rules) {
                Ok(_) => said,
                Err(why) => deny(format!("disable_when does not hold: {why}")),
            }
        }
        _ => said,
    }
}
