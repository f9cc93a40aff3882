//! Is all well enough to tell a checker elsewhere so? Pure.
//!
//! What counts: every loop goes round; every chain was polled and a quorum answers on it; the journal can be written;
//! every producer that is armed could be switched; every heartbeat source has been heard and is not overdue. A producer
//! that is disarmed, pinned or in maintenance counts as well whatever it could do: that is an operator's choice, and a
//! page from elsewhere would tell him what he knows. (What is left disarmed by mistake is a condition of its own.)

use super::facts::Facts;

/// What is not well; empty = all is.
pub(super) fn ailments(facts: &Facts<'_>) -> Vec<String> {
    let mut out: Vec<String> = facts
        .stalled
        .iter()
        .map(|s| format!("task {} is stuck", s.task))
        .collect();
    for chain in &facts.config.chains {
        let name = &chain.spec.name;
        let polled = facts
            .snapshots
            .iter()
            .find(|s| s.chain == *name && s.tick > 0);
        match polled.map(|s| &s.agreement) {
            None => out.push(format!("{name} has not been polled yet")),
            Some(Err(_)) => out.push(format!("no quorum on {name}")),
            Some(Ok(_)) => {}
        }
    }
    if !facts.actuator.journal_writable {
        out.push("the journal cannot be written".into());
    }
    for ((chain, producer), standing) in &facts.actuator.producers {
        if standing.armed.is_ok() && standing.able.is_err() {
            out.push(format!("{chain}/{producer} could not be switched"));
        }
    }
    for source in &facts.config.heartbeats {
        let fresh = facts
            .heartbeats
            .iter()
            .any(|h| h.source == source.source && h.heard_at.is_some() && !h.overdue);
        if !fresh {
            out.push(format!("heartbeat {} is not there", source.source));
        }
    }
    out
}
