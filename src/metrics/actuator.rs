//! The actuator's figures as sample lines. Pure.

use super::chain::seconds;
use super::names::Name;
use super::page::Bodies;
use crate::actuator::{ActuatorSnapshot, STAGE_BUCKETS};

/// Every line about the actuator. Decisions appear when they first happen: their reasons times producers would fill pages
/// with zeroes.
pub(super) fn render(out: &mut Bodies, actuator: &ActuatorSnapshot) {
    for ((chain, producer), standing) in &actuator.producers {
        let labels = &[chain.as_str(), producer.as_str()];
        out.put(Name::ActuatorArmed, labels, standing.armed.is_ok());
        out.put(Name::ActuatorAble, labels, standing.able.is_ok());
        out.put(Name::ActuatorPinned, labels, standing.pinned);
        out.put(Name::ActuatorOpen, labels, standing.open_attempts);
        out.put(Name::ActuatorBudget, labels, standing.budget_remaining);
        if let Some(waiting) = &standing.waiting {
            out.put(
                Name::ProducerActivationSince,
                labels,
                seconds(waiting.since),
            );
            out.put(
                Name::ProducerActivationExpected,
                labels,
                seconds(waiting.expected),
            );
        }
        if let Some(at) = standing.last_switch {
            out.put(Name::ActuatorLastSwitch, labels, seconds(at));
        }
    }
    for ((chain, producer, action, verdict, reason), count) in &actuator.decisions {
        out.put(
            Name::ActuatorDecisions,
            &[
                chain,
                producer,
                action.as_str(),
                verdict.as_str(),
                reason.as_str(),
            ],
            *count,
        );
    }
    for ((chain, producer, outcome), count) in &actuator.switches {
        out.put(Name::ActuatorSwitches, &[chain, producer, outcome], *count);
    }
    for ((chain, stage), d) in &actuator.stages {
        out.histogram(
            Name::ActuatorStage,
            &[chain, stage],
            &STAGE_BUCKETS,
            &d.buckets,
            d.sum,
            d.count,
        );
    }
    out.put(Name::ActuatorPending, &[], actuator.pending as u64);
    out.put(Name::JournalFailures, &[], actuator.journal_write_failures);
    out.put(Name::JournalWritable, &[], actuator.journal_writable);
}

/// When each chain's loop last went round: beside the other loops' ticks.
pub(super) fn render_ticks(out: &mut Bodies, actuator: &ActuatorSnapshot) {
    for (chain, at) in &actuator.last_tick {
        let task = format!("actuator/{chain}");
        out.put(Name::TaskLastTick, &[&task], seconds(*at));
    }
}
