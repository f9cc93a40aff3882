//! What the actuator remembers between ticks: pending requests, attempts, arm state, the keys last seen, counters.
//! A mirror of the journal, pure but for the mutex around it; [`super::handle`] and [`super::driver`] keep both in step.

use std::collections::{BTreeMap, VecDeque};

use super::arm::ArmState;
use super::attempt::Attempt;
use super::incoming::Incoming;
use super::types::{Action, Cause, Reason, Request, Stage, Verdict};
use crate::clock::Millis;
use crate::keys::PublicKey;

/// Finished attempts remembered per producer.
const REMEMBER: usize = 200;

/// Chain and producer.
pub(super) type Name = (String, String);

/// The book.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) pending: BTreeMap<String, Pending>,
    /// Requests whose attempt is under way, by request id.
    pub(super) acting: BTreeMap<String, Request>,
    pub(super) attempts: BTreeMap<Name, VecDeque<Attempt>>,
    pub(super) arm: ArmState,
    pub(super) known: BTreeMap<Name, Known>,
    pub(super) able: BTreeMap<Name, Result<(), String>>,
    pub(super) counters: Counters,
    /// Set while shutting down: nothing is accepted any more.
    pub(super) closing: bool,
}

/// A request that waits.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) request: Request,
    /// What was journaled and counted last, so that only changes are.
    pub(super) last: Option<(Verdict, Reason)>,
    /// The journal holds it: a failing write of another presentation does not take it back.
    pub(super) durable: bool,
}

/// The key a producer was last seen with.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Known {
    pub(super) key: PublicKey,
    /// Chain time of the head at which it was first seen.
    pub(super) since: Millis,
    /// Chain time of the last change among listed keys that we did not make: starts the cooldown as ours would.
    pub(super) adopted: Option<Millis>,
}

/// Counters since start.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    pub(super) decisions: BTreeMap<(String, String, Action, Verdict, Reason), u64>,
    pub(super) switches: BTreeMap<(String, String, &'static str), u64>,
    pub(super) stages: BTreeMap<(String, &'static str), Durations>,
}

/// A histogram of durations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durations {
    /// Cumulative counts per bound of [`STAGE_BUCKETS`].
    pub buckets: [u64; STAGE_BUCKETS.len()],
    /// Seconds in all.
    pub sum: f64,
    /// How many.
    pub count: u64,
}

/// Upper bounds of stage durations, seconds.
pub const STAGE_BUCKETS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 3.0, 6.0, 15.0, 60.0, 300.0,
];

/// What became of a submitted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Intake {
    /// New, or pending under this id: to be journaled.
    Accepted(Box<Request>),
    /// An attempt has answered it already.
    Duplicate(String),
}

// === impl Book ===

impl Book {
    /// Takes a request in, or recognizes it. `tenure_over`: the agreed view names the fence again since this chain time.
    pub(super) fn take(
        &mut self,
        incoming: Incoming,
        now: Millis,
        new_id: impl FnOnce() -> String,
        registered: Option<(PublicKey, Millis)>,
    ) -> Intake {
        if let Some(pending) = self
            .pending
            .values_mut()
            .find(|p| same(&p.request, &incoming))
        {
            let request = &mut pending.request;
            request.evaluated_at = request.evaluated_at.max(incoming.evaluated_at);
            request.labels = incoming.labels;
            request.fingerprint = incoming.fingerprint.or(request.fingerprint.take());
            request.override_reason = incoming.override_reason.or(request.override_reason.take());
            return Intake::Accepted(Box::new(request.clone()));
        }
        if let Some(id) = self.duplicate_of(&incoming, registered) {
            return Intake::Duplicate(id);
        }
        let request = Request {
            id: new_id(),
            chain: incoming.chain,
            producer: incoming.producer,
            action: incoming.action,
            cause: incoming.cause,
            fence: incoming.fence,
            to: incoming.to,
            override_reason: incoming.override_reason,
            fingerprint: incoming.fingerprint,
            labels: incoming.labels,
            evaluated_at: incoming.evaluated_at,
            received_at: now,
        };
        self.pending.insert(
            request.id.clone(),
            Pending {
                request: request.clone(),
                last: None,
                durable: false,
            },
        );
        Intake::Accepted(Box::new(request))
    }

    /// The request that the same producer, fence and tenure already had answered: by an open attempt, or by one that
    /// took effect while the fence has not been registered again since.
    fn duplicate_of(
        &self,
        incoming: &Incoming,
        registered: Option<(PublicKey, Millis)>,
    ) -> Option<String> {
        if !matches!(incoming.cause, Cause::Webhook | Cause::Guard)
            || !matches!(incoming.action, Action::Failover | Action::Disable)
        {
            return None;
        }
        let fence = incoming.fence?;
        let attempts = self
            .attempts
            .get(&(incoming.chain.clone(), incoming.producer.clone()))?;
        let last = attempts
            .iter()
            .rev()
            .find(|a| a.sealed.change.from == fence || a.sealed.change.to == fence)?;
        if last.sealed.change.from != fence {
            return None; // we registered the fence again after that: a new tenure
        }
        let answered = match last.stage {
            Stage::Signed | Stage::Sent | Stage::Included => true,
            Stage::Effective | Stage::Irreversible => {
                let back = registered.is_some_and(|(key, time)| {
                    key == fence && last.effective_time.is_none_or(|t| time > t)
                });
                !back
            }
            Stage::Expired | Stage::Failed => false,
        };
        answered.then(|| last.request_id.clone())
    }

    /// All attempts of a producer, oldest first.
    pub(super) fn attempts_of(&self, name: &Name) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.attempts.get(name).into_iter().flatten()
    }

    /// The attempt that occupies a producer.
    pub(super) fn open_attempt(&self, name: &Name) -> Option<&Attempt> {
        self.attempts_of(name).rev().find(|a| a.open)
    }

    /// Inserts or replaces an attempt.
    pub(super) fn put_attempt(&mut self, attempt: Attempt) {
        let name = (attempt.chain.clone(), attempt.producer().to_owned());
        let list = self.attempts.entry(name).or_default();
        match list.iter_mut().find(|a| a.id == attempt.id) {
            Some(place) => *place = attempt,
            None => list.push_back(attempt),
        }
        while list.len() > REMEMBER && list.front().is_some_and(|a| a.stage.is_over() && !a.open) {
            list.pop_front();
        }
    }

    /// Chain time of the last change of key that starts a cooldown.
    pub(super) fn last_switch(&self, name: &Name) -> Option<Millis> {
        let ours = self
            .attempts_of(name)
            .filter_map(|a| a.effective_time)
            .max();
        ours.max(self.known.get(name).and_then(|k| k.adopted))
    }

    /// Switches that spent budget since this chain time.
    pub(super) fn spent_since(&self, name: &Name, since: Millis) -> u32 {
        let n = self
            .attempts_of(name)
            .filter(|a| a.spends_budget() && a.effective_time.is_some_and(|t| t > since))
            .count();
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    pub(super) fn count_decision(&mut self, request: &Request, verdict: Verdict, reason: Reason) {
        let key = (
            request.chain.clone(),
            request.producer.clone(),
            request.action,
            verdict,
            reason,
        );
        let n = self.counters.decisions.entry(key).or_default();
        *n = n.saturating_add(1);
    }

    pub(super) fn count_switch(&mut self, name: &Name, outcome: &'static str) {
        let key = (name.0.clone(), name.1.clone(), outcome);
        let n = self.counters.switches.entry(key).or_default();
        *n = n.saturating_add(1);
    }

    pub(super) fn time_stage(&mut self, chain: &str, stage: &'static str, millis: Millis) {
        let seconds = std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        self.counters
            .stages
            .entry((chain.to_owned(), stage))
            .or_default()
            .add(seconds.as_secs_f64());
    }
}

/// Whether a request is the pending one presented again. The alert's labels and fingerprint may differ (two Prometheis);
/// what is asked for may not.
fn same(pending: &Request, incoming: &Incoming) -> bool {
    pending.chain == incoming.chain
        && pending.producer == incoming.producer
        && pending.action == incoming.action
        && pending.cause == incoming.cause
        && pending.fence == incoming.fence
        && pending.to == incoming.to
}

// === impl Durations ===

impl Durations {
    fn add(&mut self, seconds: f64) {
        for (bucket, bound) in self.buckets.iter_mut().zip(STAGE_BUCKETS) {
            if seconds <= bound {
                *bucket = bucket.saturating_add(1);
            }
        }
        self.sum += seconds;
        self.count = self.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests;
