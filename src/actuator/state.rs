//! What the actuator shows of itself: every figure that `actuator_*` metrics, `/api/v1/status` and readiness need.

use std::collections::BTreeMap;

use super::activation::Waiting;
use super::attempt::Attempt;
use super::book::{Durations, Name};
use super::facts;
use super::types::{Action, Cause, Reason, Stage, Verdict};
use crate::clock::Millis;

/// How a switch ends, all counted from the start on. The last two: it was registered, and before it came into force somebody
/// registered another key, one of ours or not.
pub(super) const OUTCOMES: [&str; 5] = [
    "effective",
    "expired",
    "failed",
    "adopted",
    "operator_override",
];

/// Figures of the actuator, published on every change.
#[derive(Debug, Clone, Default)]
pub struct ActuatorSnapshot {
    /// When it was made, local clock.
    pub at: Millis,
    /// The global switch.
    pub armed: bool,
    /// The configuration says otherwise than the state file: in words.
    pub armed_difference: Option<String>,
    /// The journal took its last write.
    pub journal_writable: bool,
    /// `journal_write_failures_total`.
    pub journal_write_failures: u64,
    /// Every producer with keys, by (chain, producer).
    pub producers: BTreeMap<(String, String), ProducerStanding>,
    /// `actuator_decisions_total` by (chain, producer, action, verdict, reason).
    pub decisions: BTreeMap<(String, String, Action, Verdict, Reason), u64>,
    /// `actuator_switches_total` by (chain, producer, outcome); every outcome from the start.
    pub switches: BTreeMap<(String, String, &'static str), u64>,
    /// `actuator_stage_duration_seconds` by (chain, stage); bounds in [`super::STAGE_BUCKETS`].
    pub stages: BTreeMap<(String, &'static str), Durations>,
    /// When each chain's loop last went round, local clock.
    pub last_tick: BTreeMap<String, Millis>,
    /// Requests waiting.
    pub pending: usize,
}

/// One producer's standing.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducerStanding {
    /// May act (global and own switch, setup fit), or why not.
    pub armed: Result<(), String>,
    /// Could act: every transition signable, quorum there, journal writable; or why not.
    pub able: Result<(), String>,
    /// Hands off.
    pub pinned: bool,
    /// No action before this local time.
    pub maintenance_until: Option<Millis>,
    /// The newest attempt that is not finished, else the newest.
    pub attempt: Option<AttemptStanding>,
    /// Attempts that occupy the producer (0 or 1).
    pub open_attempts: u64,
    /// A registered key that is not in force yet.
    pub waiting: Option<Waiting>,
    /// Chain time of the last effective switch (ours), Unix milliseconds.
    pub last_switch: Option<Millis>,
    /// Switches left in the current period.
    pub budget_remaining: u32,
}

/// An attempt for status.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AttemptStanding {
    /// Its id.
    pub id: String,
    /// The request behind it.
    pub request_id: String,
    /// Transaction id.
    pub txid: String,
    /// How far it is.
    pub stage: Stage,
    /// Old key, in the chain's text form.
    pub from: String,
    /// New key.
    pub to: String,
    /// When it was signed, local clock.
    pub signed_at: Millis,
    /// Why it ended badly, or what endpoints said.
    pub note: Option<String>,
}

// === impl AttemptStanding ===

impl AttemptStanding {
    /// `before`: the one shown so far, whose texts hold on if it is the same attempt (a key's text takes microseconds, and
    /// every producer is shown again on every change).
    pub(super) fn of(attempt: &Attempt, prefix: &str, before: Option<&Self>) -> Self {
        let before = before.filter(|b| b.id == attempt.id);
        let change = &attempt.sealed.change;
        Self {
            id: attempt.id.clone(),
            request_id: attempt.request_id.clone(),
            txid: attempt.sealed.id.clone(),
            stage: attempt.stage,
            from: before.map_or_else(|| change.from.to_text(prefix), |b| b.from.clone()),
            to: before.map_or_else(|| change.to.to_text(prefix), |b| b.to.clone()),
            signed_at: attempt.signed_at,
            note: attempt.note.clone(),
        }
    }
}

// === building ===

pub(super) struct Given<'a> {
    pub(super) now: Millis,
    pub(super) prefix: &'a str,
    pub(super) arm: facts::Arm,
    pub(super) head_time: Option<Millis>,
    pub(super) budget: (u32, Millis),
    pub(super) waiting: Option<Waiting>,
    /// The standing published so far.
    pub(super) before: Option<&'a ProducerStanding>,
}

impl super::book::Book {
    pub(super) fn standing(&self, name: &Name, given: Given<'_>) -> ProducerStanding {
        let newest = self
            .attempts_of(name)
            .rev()
            .find(|a| !a.stage.is_over())
            .or_else(|| self.attempts_of(name).next_back());
        let shown = given.before.and_then(|b| b.attempt.as_ref());
        let (limit, per) = given.budget;
        let since = given.head_time.unwrap_or(given.now).saturating_sub(per);
        ProducerStanding {
            armed: given.arm.allows(Cause::Guard),
            able: self
                .able
                .get(name)
                .cloned()
                .unwrap_or_else(|| Err("no agreed view yet".into())),
            pinned: given.arm.pinned,
            maintenance_until: given.arm.maintenance_until.filter(|u| *u > given.now),
            attempt: newest.map(|a| AttemptStanding::of(a, given.prefix, shown)),
            waiting: given.waiting,
            open_attempts: u64::from(self.open_attempt(name).is_some()),
            last_switch: self
                .attempts_of(name)
                .filter_map(|a| a.effective_time)
                .max(),
            budget_remaining: limit.saturating_sub(self.spent_since(name, since)),
        }
    }
}
