//! Follows attempts from sent to irreversible, and takes in what endpoints answer meanwhile.

use std::sync::Arc;

use super::{Driver, Report};
use crate::actuator::attempt::{Attempt, Sighting};
use crate::actuator::book::{Name, Pending};
use crate::actuator::crash;
use crate::actuator::handle::name;
use crate::actuator::journal::{Entry, EventRecord, RequestStatus};
use crate::actuator::types::{Cause, Stage};
use crate::clock::{self, Millis};
use crate::watch::Snapshot;

impl Driver {
    /// One step of every unfinished attempt of the chain.
    pub(super) async fn follow(&mut self, snapshot: &Arc<Snapshot>) {
        let chain = self.chain_name().to_owned();
        let unfinished: Vec<Attempt> = {
            let book = self.shared.book();
            let all = book.attempts.iter().filter(|((c, _), _)| *c == chain);
            all.flat_map(|(_, list)| list)
                .filter(|a| !a.stage.is_over() || a.open)
                .cloned()
                .collect()
        };
        self.save_again().await;
        self.ask_about(&unfinished);
        for mut attempt in unfinished {
            let Some(seen) = self.sighting(&attempt, snapshot) else {
                continue;
            };
            let before = attempt.clone();
            let next = attempt.advance(&seen);
            if next.changed {
                self.keep(&before, &attempt).await;
            }
            if next.resend {
                self.send(&attempt, true);
            }
            if attempt.swaps && attempt.lapsed(seen.head.1, seen.registered) {
                self.reconsider(&attempt).await;
            }
        }
    }

    /// The request behind a lapsed attempt waits again: where the chain compares, it may be signed again with the same
    /// keys without waiting for finality, which can stall.
    async fn reconsider(&self, attempt: &Attempt) {
        let request = {
            let mut book = self.shared.book();
            let found = book.acting.get(&attempt.request_id);
            // An operator is told how it ended and decides for himself.
            let Some(request) = found.filter(|r| r.cause != Cause::Operator).cloned() else {
                return;
            };
            book.acting.remove(&request.id);
            let pending = Pending {
                request: request.clone(),
                last: None,
                durable: true,
            };
            book.pending.insert(request.id.clone(), pending);
            request
        };
        let entry = Entry::Request(request, RequestStatus::Pending);
        if let Err(error) = self.shared.journal.write(vec![entry]).await {
            // It is pending in memory; after a crash its expiry brings it back.
            tracing::error!(%error, attempt = attempt.id, "a request could not be journaled as pending");
        }
    }

    /// What the journal did not take must get there: a row that still says `open` would refuse the next switch.
    async fn save_again(&mut self) {
        let unsaved: Vec<Attempt> = {
            let book = self.shared.book();
            let all = book.attempts.values().flatten();
            all.filter(|a| self.unsaved.contains(&a.id))
                .cloned()
                .collect()
        };
        // Closed ones first: an open one may wait for their place.
        let (open, closed): (Vec<_>, Vec<_>) = unsaved.into_iter().partition(|a| a.open);
        for attempt in closed.into_iter().chain(open) {
            let id = attempt.id.clone();
            let entry = Entry::Attempt(Box::new(attempt));
            if self.shared.journal.write(vec![entry]).await.is_ok() {
                self.unsaved.remove(&id);
            }
        }
    }

    /// Takes in what a task brought back.
    pub(super) async fn note(&mut self, report: Report) {
        match report {
            // Kept until the next snapshot.
            Report::Heard(heard) => {
                for (attempt, outcomes) in heard {
                    self.asking.remove(&attempt);
                    self.heard.insert(attempt, outcomes);
                }
            }
            Report::Sent { attempt, answers } => {
                self.sending.remove(&attempt);
                let found = {
                    let book = self.shared.book();
                    let mut all = book.attempts.values().flatten();
                    all.find(|a| a.id == attempt).cloned()
                };
                if let Some(before) = found {
                    let mut after = before.clone();
                    if after.note_answers(clock::now_ms(), &answers) {
                        if let Some(trouble) = &after.note {
                            tracing::error!(attempt, "{trouble}");
                        }
                        self.keep(&before, &after).await;
                    }
                }
            }
        }
    }

    /// Asks every endpoint where these attempts stand, all at once; those that are being asked about already and those that
    /// are over are left out.
    fn ask_about(&mut self, attempts: &[Attempt]) {
        let mut about = Vec::new();
        for attempt in attempts {
            if !attempt.stage.is_over() && self.asking.insert(attempt.id.clone()) {
                about.push((attempt.id.clone(), attempt.sealed.clone()));
            }
        }
        if about.is_empty() {
            return;
        }
        let chain = Arc::clone(&self.chain);
        let questions = about.iter().map(|(_, sealed)| chain.follow(sealed));
        let asking = self.wire.ask_all(questions.collect());
        self.tasks.spawn(async move {
            // Every attempt comes back, whatever the answers: it would never be asked about again otherwise.
            let answers = asking
                .await
                .into_iter()
                .chain(std::iter::repeat(Vec::new()));
            let heard = about
                .into_iter()
                .zip(answers)
                .map(|((id, sealed), answers)| {
                    let replies = answers.iter().flatten();
                    (id, replies.map(|r| chain.outcome(&sealed, r)).collect())
                });
            Report::Heard(heard.collect())
        });
    }

    fn sighting(&mut self, attempt: &Attempt, snapshot: &Snapshot) -> Option<Sighting> {
        let view = snapshot.agreement.as_ref().ok()?;
        let agreed = view
            .producers
            .get(attempt.producer())
            .filter(|p| !p.settling);
        let state = agreed.and_then(|a| a.state.as_ref());
        Some(Sighting {
            now: clock::now_ms(),
            head: (view.head.num, view.head.time),
            irreversible: snapshot.irreversible.as_ref().map(|b| (b.num, b.time)),
            registered: state.map(|s| s.registered_key),
            effective: state.map(|s| s.effective_key),
            coming: state.and_then(|s| s.coming),
            outcomes: self.heard.remove(&attempt.id).unwrap_or_default(),
        })
    }

    /// Makes a changed attempt durable, with its events, and lets its request go or come back.
    async fn keep(&mut self, before: &Attempt, after: &Attempt) {
        let key = name(&after.chain, after.producer());
        let events = self.reached(before, after);
        let mut entries = vec![Entry::Attempt(Box::new(after.clone()))];
        entries.extend(events.iter().cloned().map(Entry::Event));
        let over = after.effective_at.is_some() || after.stage.is_over();
        let released = over
            .then(|| self.shared.book().acting.remove(&after.request_id))
            .flatten();
        let mut again = None;
        if let Some(request) = released {
            let failed = matches!(after.stage, Stage::Expired | Stage::Failed);
            // Its cause may stand still: decide it again. An operator is told and decides for himself.
            if failed && request.cause != Cause::Operator {
                entries.push(Entry::Request(request.clone(), RequestStatus::Pending));
                again = Some(request);
            } else {
                entries.push(Entry::Request(request, RequestStatus::Done));
            }
        }
        let written = self.shared.journal.write(entries).await;
        if let Err(error) = written {
            // The chain is the truth; the next tick tries again, the next start finds out again.
            tracing::error!(%error, attempt = after.id, "a stage could not be journaled");
            self.unsaved.insert(after.id.clone());
        } else {
            self.unsaved.remove(&after.id);
        }
        {
            let mut book = self.shared.book();
            book.put_attempt(after.clone());
            if let Some(request) = again {
                book.pending.insert(
                    request.id.clone(),
                    Pending {
                        request,
                        last: None,
                        durable: true,
                    },
                );
            }
            count(&mut book, &key, before, after, self.overtaken(after));
        }
        for event in events {
            tracing::info!(
                chain = after.chain,
                producer = after.producer(),
                txid = after.sealed.id,
                "{}: {}",
                event.kind,
                event.detail
            );
            let kind = event.kind.clone();
            self.shared.announce(event);
            crash::after(&kind);
        }
    }

    /// What became of a switch that somebody overtook, by the words for what that somebody did: see `keys`.
    fn overtaken(&self, attempt: &Attempt) -> &'static str {
        let producer = self
            .shared
            .config
            .producer(&attempt.chain, attempt.producer());
        let by = attempt.overtaken_by.as_ref();
        if producer.zip(by).is_some_and(|(p, key)| p.lists(key)) {
            "adopted"
        } else {
            "operator_override"
        }
    }

    /// The events of what happened between two states of an attempt.
    fn reached(&self, before: &Attempt, after: &Attempt) -> Vec<EventRecord> {
        let mut events = Vec::new();
        let mut push = |at: Millis, kind: &str, detail: String| {
            events.push(EventRecord {
                at,
                kind: kind.into(),
                chain: after.chain.clone(),
                producer: after.producer().to_owned(),
                detail,
                request_id: Some(after.request_id.clone()),
                attempt_id: Some(after.id.clone()),
                txid: Some(after.sealed.id.clone()),
                ..EventRecord::default()
            });
        };
        let to = self.shared.show(&after.chain, &after.sealed.change.to);
        if let (None, Some(at)) = (before.sent_at, after.sent_at) {
            push(at, "sent", format!("an endpoint took the switch to {to}"));
        }
        if let (None, Some(at)) = (before.included_at, after.included_at) {
            let block = after.block.map_or(String::new(), |b| format!(" {b}"));
            push(
                at,
                "included",
                format!("the transaction is in block{block}"),
            );
        }
        if let (None, Some(at)) = (before.proposed_at, after.proposed_at) {
            push(at, "proposed", format!("{to} is in a proposed schedule"));
        }
        if let (None, Some(at)) = (before.pending_at, after.pending_at) {
            push(at, "pending", format!("{to} is in the pending schedule"));
        }
        if let (None, Some(at)) = (before.effective_at, after.effective_at) {
            push(at, "effective", format!("the chain names {to}"));
        }
        if before.changed_key() && !after.changed_key() && !after.stage.is_over() {
            let at = clock::now_ms();
            push(at, "reorg", "a reorg took it back; sending it again".into());
        }
        if let (false, true, Some(at)) = (
            before.stage.is_over(),
            after.stage.is_over(),
            after.ended_at,
        ) {
            let why = after.note.clone();
            let detail = match after.stage {
                // Nothing took effect: its note says what happened instead.
                Stage::Irreversible if after.overtaken_by.is_none() => {
                    format!("{to} is registered irreversibly")
                }
                _ => why.unwrap_or_else(|| "it can no longer enter a block".into()),
            };
            push(at, after.stage.as_str(), detail);
        }
        events
    }
}

fn count(
    book: &mut crate::actuator::book::Book,
    key: &Name,
    before: &Attempt,
    after: &Attempt,
    overtaken: &'static str,
) {
    let steps = [
        ("sent", Some(after.signed_at), before.sent_at, after.sent_at),
        (
            "included",
            after.sent_at,
            before.included_at,
            after.included_at,
        ),
        (
            "proposed",
            after.included_at,
            before.proposed_at,
            after.proposed_at,
        ),
        (
            "pending",
            after.proposed_at.or(after.included_at),
            before.pending_at,
            after.pending_at,
        ),
        (
            "effective",
            after.included_at,
            before.effective_at,
            after.effective_at,
        ),
    ];
    for (stage, from, old, new) in steps {
        if let (Some(from), None, Some(to)) = (from, old, new) {
            book.time_stage(&key.0, stage, to.saturating_sub(from));
        }
    }
    if before.effective_at.is_none() && after.effective_at.is_some() {
        book.count_switch(key, "effective");
    }
    if before.stage.is_over() || !after.stage.is_over() {
        return;
    }
    match after.stage {
        Stage::Irreversible if after.overtaken_by.is_some() => book.count_switch(key, overtaken),
        Stage::Irreversible => {
            if let (Some(from), Some(to)) = (after.effective_at, after.ended_at) {
                book.time_stage(&key.0, "irreversible", to.saturating_sub(from));
            }
        }
        Stage::Expired => book.count_switch(key, "expired"),
        _ => book.count_switch(key, "failed"),
    }
}
