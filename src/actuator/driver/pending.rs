//! Decides what is pending: asks Alertmanager where a webhook is behind it, gathers the facts, decides, and carries
//! out or records the decision.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Driver;
use crate::actuator::alert_source::Standing;
use crate::actuator::attempt::Attempt;
use crate::actuator::book::Pending;
use crate::actuator::crash;
use crate::actuator::decide::{Order, Plan, Step, decide};
use crate::actuator::gather::gather;
use crate::actuator::handle::name;
use crate::actuator::journal::{
    DecidedOn, DecisionRecord, Entry, EventRecord, JournalError, RequestStatus,
};
use crate::actuator::offline::unsigned;
use crate::actuator::sign::sign;
use crate::actuator::types::{Cause, Check, Decision, Reason, Request, Stage, Verdict};
use crate::actuator::{new_id, rfc3339};
use crate::clock;
use crate::watch::Snapshot;

/// How long Alertmanager is waited for, beyond its own limit.
const ASK: Duration = Duration::from_millis(1_500);

impl Driver {
    /// Decides every pending request of the chain on the newest snapshot.
    pub(super) async fn decide_pending(&mut self) {
        let waiting = self.waiting();
        if waiting.is_empty() {
            return;
        }
        let asked = self.ask_alertmanagers(&waiting).await;
        self.catch_up().await;
        let snapshot = Arc::clone(&self.snapshots.borrow());
        let mut later = Vec::new();
        for (pending, standing) in waiting.into_iter().zip(asked) {
            let now = clock::now_ms();
            let request = &pending.request;
            let facts = gather(&self.shared, request, standing, &snapshot, now);
            let Plan { decision, next } = decide(&facts);
            match next {
                Step::Nothing => self.record(&pending, &decision, None, &mut later),
                Step::Rehearse(order) => {
                    self.rehearse(&pending, decision, &order, &snapshot, &mut later)
                }
                Step::Switch(order) => {
                    self.switch(&pending, decision, &order, &snapshot, &mut later)
                        .await;
                }
            }
        }
        if later.is_empty() {
            return;
        }
        if let Err(error) = self.shared.journal.write(later).await {
            tracing::error!(%error, "a decision could not be journaled");
        }
        crash::after("decision");
    }

    fn waiting(&self) -> Vec<Pending> {
        let chain = self.chain_name();
        // A request about a chain that is not ours belongs to no loop; the first one refuses it.
        let wakes = &self.shared.wakes;
        let first = wakes.keys().next().is_some_and(|name| name == chain);
        let ours = |p: &&Pending| {
            p.request.chain == chain || (first && !wakes.contains_key(&p.request.chain))
        };
        let book = self.shared.book();
        book.pending.values().filter(ours).cloned().collect()
    }

    /// Asks only where the answer can matter: not for requests that are over anyway.
    async fn ask_alertmanagers(&self, waiting: &[Pending]) -> Vec<Option<Standing>> {
        let snapshot = Arc::clone(&self.snapshots.borrow());
        let mut answers = vec![None; waiting.len()];
        let mut asking = JoinSet::new();
        for (index, pending) in waiting.iter().enumerate() {
            let request = &pending.request;
            if request.cause != Cause::Webhook {
                continue;
            }
            let facts = gather(&self.shared, request, None, &snapshot, clock::now_ms());
            if decide(&facts).decision.verdict == Verdict::Refuse {
                continue;
            }
            let alerts = Arc::clone(&self.shared.alerts);
            let labels = request.labels.clone();
            asking.spawn(async move {
                let answer = tokio::time::timeout(ASK, alerts.standing(&labels)).await;
                (index, answer.unwrap_or(Standing::Unreachable))
            });
        }
        while let Some(done) = asking.join_next().await {
            if let Ok((index, standing)) = done
                && let Some(place) = answers.get_mut(index)
            {
                *place = Some(standing);
            }
        }
        answers
    }

    /// Signs, makes durable, sends.
    async fn switch(
        &mut self,
        pending: &Pending,
        mut decision: Decision,
        order: &Order,
        snapshot: &Arc<Snapshot>,
        later: &mut Vec<Entry>,
    ) {
        let request = &pending.request;
        let key = name(&request.chain, &request.producer);
        let sealed = {
            let keyring = self.shared.keyrings.get(&key).cloned().unwrap_or_default();
            sign(&*self.chain, &keyring, order, &request.producer, snapshot)
        };
        let sealed = match sealed {
            Ok(sealed) => sealed,
            Err(why) => {
                spoil(&mut decision, Reason::AuthorityInvalid, &why);
                self.record(pending, &decision, Some(why), later);
                return;
            }
        };
        let now = clock::now_ms();
        let (drafted_at, observed_at) = snapshot
            .agreement
            .as_ref()
            .map_or((now, now), |v| (v.head.time, v.observed_at));
        let attempt = Attempt {
            id: new_id("a"),
            request_id: request.id.clone(),
            chain: request.chain.clone(),
            action: request.action,
            cause: request.cause,
            overridden: request.cause == Cause::Operator && request.override_reason.is_some(),
            swaps: self.chain.compares_and_swaps(order.by.method),
            sealed,
            stage: Stage::Signed,
            open: true,
            signed_at: now,
            drafted_at,
            sent_at: None,
            maybe_taken: false,
            included_at: None,
            block: None,
            registered_block: None,
            registered_for_good: false,
            proposed_at: None,
            pending_at: None,
            effective_at: None,
            effective_time: None,
            effective_block: None,
            overtaken_by: None,
            ended_at: None,
            note: None,
        };
        let lapsed = self.shared.book().open_attempt(&key).cloned();
        let mut entries = Vec::new();
        let lapsed = lapsed.map(|mut old| {
            old.replace(now);
            entries.push(Entry::Attempt(Box::new(old.clone())));
            old
        });
        let record = self.in_words(request, &decision, None);
        let events = [
            self.decided(request, &record),
            self.event(
                request,
                "signed",
                match &decision.warning {
                    Some(why) => format!("a switch to {} is signed; {why}", self.shown(order)),
                    None => format!("a switch to {} is signed", self.shown(order)),
                },
                Some(&attempt),
            ),
        ];
        entries.push(Entry::Attempt(Box::new(attempt.clone())));
        entries.push(Entry::Request(request.clone(), RequestStatus::Acting));
        entries.push(Entry::Decision {
            record: Box::new(record),
            attempt_id: Some(attempt.id.clone()),
        });
        entries.extend(events.iter().cloned().map(Entry::Event));
        if let Err(error) = self.shared.journal.write(entries).await {
            tracing::error!(%error, request = request.id, "the switch could not be journaled, so it is not sent");
            if matches!(error, JournalError::Conflict(_)) {
                spoil(&mut decision, Reason::AttemptOpen, &error.to_string());
                self.record(pending, &decision, None, later);
            }
            return; // still pending: decided again on the next tick
        }
        {
            let mut book = self.shared.book();
            if let Some(old) = lapsed {
                book.count_switch(&key, "expired");
                book.put_attempt(old);
            }
            book.put_attempt(attempt.clone());
            book.pending.remove(&request.id);
            book.acting.insert(request.id.clone(), request.clone());
            book.count_decision(request, Verdict::Act, Reason::Ok);
            let took = clock::now_ms().saturating_sub(observed_at);
            book.time_stage(&request.chain, "signed", took);
        }
        crash::after("decision");
        crash::after("signed");
        crash::after("before-send");
        self.send(&attempt, false);
        tracing::warn!(
            chain = request.chain,
            producer = request.producer,
            cause = request.cause.as_str(),
            txid = attempt.sealed.id,
            "switching to {}",
            self.shown(order)
        );
        for event in events {
            self.shared.announce(event);
        }
    }

    /// Everything but the broadcast: it ends with the signed bytes in hand and drops them.
    fn rehearse(
        &self,
        pending: &Pending,
        mut decision: Decision,
        order: &Order,
        snapshot: &Snapshot,
        later: &mut Vec<Entry>,
    ) {
        let request = &pending.request;
        let key = name(&request.chain, &request.producer);
        let keyring = self.shared.keyrings.get(&key).cloned().unwrap_or_default();
        let note = match sign(&*self.chain, &keyring, order, &request.producer, snapshot) {
            Ok(sealed) => format!(
                "rehearsed: transaction {} to {} would be signed by {}; nothing was sent",
                sealed.id,
                self.shown(order),
                self.shared.show(&request.chain, &order.by.signer)
            ),
            Err(why) => {
                spoil(&mut decision, Reason::AuthorityInvalid, &why);
                decision.verdict = Verdict::Refuse;
                why
            }
        };
        let rehearsed = decision.verdict == Verdict::Act;
        self.record(pending, &decision, Some(note.clone()), later);
        if rehearsed {
            let event = self.event(request, "rehearsed", note, None);
            later.push(Entry::Event(event.clone()));
            self.shared.announce(event);
        }
    }

    /// Records a decision that starts no attempt, when it differs from the last one of the request.
    fn record(
        &self,
        pending: &Pending,
        decision: &Decision,
        note: Option<String>,
        later: &mut Vec<Entry>,
    ) {
        let request = &pending.request;
        let now = (decision.verdict, decision.reason);
        let over = decision.verdict != Verdict::Wait;
        {
            let mut book = self.shared.book();
            if over {
                book.pending.remove(&request.id);
            } else if let Some(p) = book.pending.get_mut(&request.id) {
                p.last = Some(now);
            }
            if pending.last == Some(now) {
                return;
            }
            book.count_decision(&self.countable(request), decision.verdict, decision.reason);
        }
        let mut record = self.in_words(request, decision, note);
        if over {
            let snapshot = Arc::clone(&self.snapshots.borrow());
            let kept = &self.shared.config;
            record.unsigned = kept
                .producer(&request.chain, &request.producer)
                .and_then(|p| unsigned(&*self.chain, p, request, decision, &snapshot));
        }
        let said = decided(&record);
        match decision.reason {
            Reason::NoQuorum => {
                tracing::error!(chain = request.chain, producer = request.producer, "{said}")
            }
            Reason::Ok => {
                tracing::info!(chain = request.chain, producer = request.producer, "{said}");
            }
            _ => tracing::warn!(chain = request.chain, producer = request.producer, "{said}"),
        }
        let event = self.decided(request, &record);
        later.push(Entry::Decision {
            record: Box::new(record),
            attempt_id: None,
        });
        if over {
            later.push(Entry::Request(request.clone(), RequestStatus::Done));
        }
        later.push(Entry::Event(event.clone()));
        self.shared.announce(event);
    }

    /// Names that came from outside and are not ours must not become series without end: they are counted as one.
    fn countable<'a>(&self, request: &'a Request) -> Cow<'a, Request> {
        let config = &self.shared.config;
        if config.producer(&request.chain, &request.producer).is_some() {
            return Cow::Borrowed(request);
        }
        let mut anonymous = request.clone();
        anonymous.producer.clear();
        if config.chain(&request.chain).is_none() {
            anonymous.chain.clear();
        }
        Cow::Owned(anonymous)
    }

    fn in_words(
        &self,
        request: &Request,
        decision: &Decision,
        note: Option<String>,
    ) -> DecisionRecord {
        let show = |key| self.shared.show(&request.chain, key);
        DecisionRecord {
            request_id: request.id.clone(),
            time: rfc3339(decision.time),
            chain: request.chain.clone(),
            producer: request.producer.clone(),
            action: request.action.as_str().into(),
            cause: request.cause.as_str().into(),
            fence: request.fence.as_ref().map(show),
            target: decision.target.as_ref().map(show),
            verdict: decision.verdict.as_str().into(),
            reason: decision.reason.as_str().into(),
            interlocks: decision.interlocks.clone(),
            view: decision.view.map(|(head, time)| DecidedOn {
                head,
                head_time: rfc3339(time),
            }),
            attempt: None,
            note: match (note, &decision.warning) {
                (Some(note), Some(warning)) => Some(format!("{note}; {warning}")),
                (note, warning) => note.or_else(|| warning.clone()),
            },
            unsigned: None,
        }
    }

    fn decided(&self, request: &Request, record: &DecisionRecord) -> EventRecord {
        EventRecord {
            verdict: Some(record.verdict.clone()),
            reason: Some(record.reason.clone()),
            ..self.event(request, "decided", decided(record), None)
        }
    }

    fn event(
        &self,
        request: &Request,
        kind: &str,
        detail: String,
        attempt: Option<&Attempt>,
    ) -> EventRecord {
        EventRecord {
            at: clock::now_ms(),
            kind: kind.into(),
            chain: request.chain.clone(),
            producer: request.producer.clone(),
            detail,
            request_id: Some(request.id.clone()),
            attempt_id: attempt.map(|a| a.id.clone()),
            txid: attempt.map(|a| a.sealed.id.clone()),
            ..EventRecord::default()
        }
    }

    fn shown(&self, order: &Order) -> String {
        if order.to.is_null() {
            "the null key (disabling)".into()
        } else {
            self.shared.show(self.chain_name(), &order.to)
        }
    }
}

/// One line for a person.
fn decided(record: &DecisionRecord) -> String {
    let why = record
        .interlocks
        .iter()
        .find(|v| v.name.as_str() == record.reason)
        .map(|v| &v.detail)
        // Of one that acts, what to know before it is sent.
        .or(record.note.as_ref())
        .map_or_else(String::new, |detail| format!(": {detail}"));
    format!(
        "{} of {}/{} by {}: {} ({}){why}",
        record.action, record.chain, record.producer, record.cause, record.verdict, record.reason
    )
}

/// A decision to act that could not be carried out: it waits, for this reason.
fn spoil(decision: &mut Decision, reason: Reason, why: &str) {
    decision.verdict = Verdict::Wait;
    decision.reason = reason;
    if let Some(v) = decision.interlocks.iter_mut().find(|v| v.name == reason) {
        v.verdict = Check::Deny;
        v.detail = why.to_owned();
    }
}
