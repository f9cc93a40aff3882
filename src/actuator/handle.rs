//! The door of the actuator: requests, operator commands and questions come in here. Everything accepted is durable
//! before the caller hears so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use super::arm::may_arm;
use super::book::{Book, Intake, Name};
use super::crash;
use super::incoming::{Incoming, OperateError, OperatorCommand, SubmitStatus, Submitted, Verb};
use super::journal::{DecisionRecord, Entry, EventRecord, Journal, JournalError, RequestStatus};
use super::shared::Shared;
use super::state::ActuatorSnapshot;
use super::types::{Action, Cause};
use crate::clock;
use crate::config::ProducerConfig;

/// The actuator, for whoever may ask it. Cheap to clone.
#[derive(Clone)]
pub struct ActuatorHandle {
    pub(super) shared: Arc<Shared>,
}

// === impl ActuatorHandle ===

impl ActuatorHandle {
    /// Whether this producer is configured with keys, so that something could be done for it.
    #[must_use]
    pub fn keeps(&self, chain: &str, producer: &str) -> bool {
        let configured = self.shared.config.producer(chain, producer);
        configured.is_some_and(|p| !p.keys.is_empty())
    }

    /// Takes requests in: each is durable when this returns, or is a duplicate of one that was answered.
    ///
    /// # Errors
    /// When they could not be made durable; none of them is pending then.
    pub async fn submit(&self, incoming: Vec<Incoming>) -> Result<Vec<Submitted>, JournalError> {
        let now = clock::now_ms();
        let mut results = Vec::with_capacity(incoming.len());
        let mut entries = Vec::new();
        let mut fresh = Vec::new();
        let mut chains = Vec::new();
        {
            let mut book = self.shared.book();
            if book.closing {
                return Err(JournalError::Closed);
            }
            for one in incoming {
                let registered = self.shared.registered(&one.chain, &one.producer);
                chains.push(one.chain.clone());
                let mut made = None;
                let intake = book.take(
                    one,
                    now,
                    || made.insert(super::new_id("r")).clone(),
                    registered,
                );
                fresh.extend(made);
                results.push(match intake {
                    Intake::Accepted(request) => {
                        let request_id = request.id.clone();
                        entries.push(Entry::Request(*request, RequestStatus::Pending));
                        Submitted {
                            request_id,
                            status: SubmitStatus::Accepted,
                        }
                    }
                    Intake::Duplicate(request_id) => Submitted {
                        request_id,
                        status: SubmitStatus::Duplicate,
                    },
                });
            }
        }
        if entries.is_empty() {
            return Ok(results);
        }
        if let Err(error) = self.shared.journal.write(entries).await {
            let mut book = self.shared.book();
            for id in fresh {
                // The same request may have been presented again meanwhile, and that may have been journaled.
                if book.pending.get(&id).is_some_and(|p| !p.durable) {
                    book.pending.remove(&id);
                }
            }
            tracing::error!(%error, "a request could not be journaled");
            return Err(error);
        }
        {
            let mut book = self.shared.book();
            for done in &results {
                if let Some(pending) = book.pending.get_mut(&done.request_id) {
                    pending.durable = true;
                }
            }
        }
        crash::after("request");
        for chain in chains {
            self.shared.wake(&chain);
        }
        Ok(results)
    }

    /// Carries out an operator's command, or hands it to the deciding loop.
    ///
    /// # Errors
    /// When it makes no sense, is forbidden, or cannot be made durable. Interlocks are judged later: follow the
    /// request id in [`ActuatorHandle::decisions`].
    pub async fn operate(&self, command: OperatorCommand) -> Result<String, OperateError> {
        let name = format!("{}/{}", command.chain, command.producer);
        let producer = self
            .shared
            .config
            .producer(&command.chain, &command.producer)
            .filter(|p| !p.keys.is_empty())
            .ok_or(OperateError::UnknownProducer(name))?;
        let Some(action) = command.verb.action() else {
            // In a task of its own: a caller who hangs up while the disk is slow must not leave an order that the journal
            // holds and memory does not.
            let (this, producer) = (self.clone(), producer.clone());
            let order = async move { this.standing_order(&producer, &command).await };
            return in_full(order).await;
        };
        if action == Action::Disable
            && let Some(chain) = self.shared.config.chain(&command.chain)
            && let Err(why) = crate::chain::open(chain.spec.clone()).can_disable()
        {
            return Err(OperateError::Invalid(format!(
                "disable does nothing for the network here: {why}"
            )));
        }
        if let Some(to) = command.to {
            if action == Action::Disable {
                return Err(OperateError::Invalid(
                    "disable registers the null key; it takes no --to".into(),
                ));
            }
            if !producer.lists(&to) {
                return Err(OperateError::Invalid(format!(
                    "{} is not one of the keys configured for {}/{}: slotkeeper only ever registers those",
                    self.shared.show(&command.chain, &to),
                    command.chain,
                    command.producer
                )));
            }
        }
        let fence = self.shared.last_seen(&command.chain, &command.producer);
        let done = self
            .submit(vec![Incoming {
                chain: command.chain,
                producer: command.producer,
                action,
                cause: Cause::Operator,
                fence,
                fingerprint: None,
                labels: Vec::new(),
                evaluated_at: None,
                to: command.to,
                override_reason: command.override_reason,
            }])
            .await?;
        done.into_iter()
            .next()
            .map(|s| s.request_id)
            .ok_or(OperateError::Journal(JournalError::Closed))
    }

    /// Arm, disarm, pin, unpin, maintenance: durable when this returns.
    async fn standing_order(
        &self,
        producer: &ProducerConfig,
        command: &OperatorCommand,
    ) -> Result<String, OperateError> {
        let now = clock::now_ms();
        // Two orders at once must not each write back what it read before the other.
        let _one_at_a_time = self.shared.orders.lock().await;
        let (mut row, kind, detail);
        {
            let book = self.shared.book();
            row = book.arm.row(&command.chain, &command.producer);
        }
        match command.verb {
            Verb::Arm => {
                may_arm(&self.shared.config, producer).map_err(OperateError::Refused)?;
                row.armed = true;
                (kind, detail) = ("armed", "armed by an operator".to_owned());
            }
            Verb::Disarm => {
                row.armed = false;
                (kind, detail) = ("disarmed", "disarmed by an operator".to_owned());
            }
            Verb::Pin => {
                row.pinned = true;
                (kind, detail) = ("pinned", "pinned by an operator: hands off".to_owned());
            }
            Verb::Unpin => {
                row.pinned = false;
                (kind, detail) = ("unpinned", "unpinned by an operator".to_owned());
            }
            _ => {
                if command.until.is_some_and(|until| until <= now) {
                    return Err(OperateError::Invalid(
                        "--until lies in the past; leave it out to end a maintenance".into(),
                    ));
                }
                row.maintenance_until = command.until;
                (kind, detail) = (
                    "maintenance",
                    match command.until {
                        Some(until) => format!("in maintenance until {}", super::rfc3339(until)),
                        None => "maintenance ended by an operator".to_owned(),
                    },
                );
            }
        }
        let id = super::new_id("r");
        let event = EventRecord {
            at: now,
            kind: kind.into(),
            chain: command.chain.clone(),
            producer: command.producer.clone(),
            detail: match &command.override_reason {
                Some(why) => format!("{detail} ({why})"),
                None => detail,
            },
            request_id: Some(id.clone()),
            attempt_id: None,
            txid: None,
            ..EventRecord::default()
        };
        if !row.armed || row.pinned || row.maintenance_until.is_some() {
            // What forbids holds at once; only what allows waits for the disk.
            self.shared.book().arm.restrict(&row);
        }
        self.shared
            .journal
            .write(vec![Entry::Arm(row.clone()), Entry::Event(event.clone())])
            .await?;
        self.shared.book().arm.set(row);
        self.shared.announce(event);
        self.shared.publish();
        self.shared.wake(&command.chain);
        Ok(id)
    }

    /// The global switch: durable when this returns.
    ///
    /// # Errors
    /// Arming is refused while any producer's setup is unfit (all are named), and when it cannot be made durable.
    pub async fn arm_all(&self, armed: bool) -> Result<(), OperateError> {
        let this = self.clone();
        in_full(async move { this.arm_everything(armed).await }).await
    }

    async fn arm_everything(&self, armed: bool) -> Result<(), OperateError> {
        if armed {
            let producers = self.shared.config.producers.iter();
            let unfit: Vec<String> = producers
                .filter(|p| !p.keys.is_empty())
                .filter_map(|p| may_arm(&self.shared.config, p).err())
                .collect();
            if !unfit.is_empty() {
                return Err(OperateError::Refused(unfit.join("\n")));
            }
        }
        let _one_at_a_time = self.shared.orders.lock().await;
        let row = {
            let mut book = self.shared.book();
            book.arm.armed &= armed; // disarming holds at once, arming when it is durable
            let mut arm = book.arm.clone();
            arm.armed = armed;
            arm.global_row()
        };
        let event = EventRecord {
            at: clock::now_ms(),
            kind: if armed { "armed" } else { "disarmed" }.into(),
            chain: String::new(),
            producer: String::new(),
            detail: "by an operator, for everything".into(),
            request_id: None,
            attempt_id: None,
            txid: None,
            ..EventRecord::default()
        };
        let hold = Entry::Kv {
            kind: super::HOLD.into(),
            key: "until".into(),
            value: None,
        };
        self.shared
            .journal
            .write(vec![Entry::Arm(row), Entry::Event(event.clone()), hold])
            .await?;
        {
            let mut book = self.shared.book();
            book.arm.armed = armed;
            book.arm.hold_until = None;
        }
        self.shared.announce(event);
        self.shared.publish();
        self.shared.wake_all();
        Ok(())
    }

    /// Takes back a request that is still pending: it will not be acted on, now or by the next process.
    ///
    /// # Errors
    /// When that could not be made durable.
    pub(super) async fn withdraw(&self, request_id: &str) -> Result<(), JournalError> {
        let pending = self.shared.book().pending.remove(request_id);
        match pending {
            Some(p) => {
                let entry = Entry::Request(p.request, RequestStatus::Done);
                self.shared.journal.write(vec![entry]).await
            }
            None => Ok(()),
        }
    }

    /// The figures, on every change.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<Arc<ActuatorSnapshot>> {
        self.shared.state.subscribe()
    }

    /// What happens from now on (decisions, stages, arming …).
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<EventRecord> {
        self.shared.events.subscribe()
    }

    /// Decisions as the contract shows them, newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn decisions(
        &self,
        request_id: Option<String>,
        limit: usize,
    ) -> Result<Vec<DecisionRecord>, JournalError> {
        self.shared.journal.decisions(request_id, limit).await
    }

    /// Events, newest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn history(&self, limit: usize) -> Result<Vec<EventRecord>, JournalError> {
        self.shared.journal.events(limit).await
    }

    /// The journal, for small named values (silences, heartbeats).
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::clone(&self.shared.journal)
    }

    /// Accepts nothing from now on; what is journaled stays pending for the next start.
    pub fn close(&self) {
        self.shared.book().closing = true;
    }
}

/// Carries an order through even when nobody waits for it any more.
async fn in_full<T: Send + 'static>(
    order: impl Future<Output = Result<T, OperateError>> + Send + 'static,
) -> Result<T, OperateError> {
    match tokio::spawn(order).await {
        Ok(done) => done,
        // Shutting down: whether it was durable shows at the next start.
        Err(_) => Err(OperateError::Journal(JournalError::Closed)),
    }
}

/// A mutex whose holders never panic halfway: a poisoned one is still good.
pub(super) fn locked(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Chain and producer as one.
pub(super) fn name(chain: &str, producer: &str) -> Name {
    (chain.to_owned(), producer.to_owned())
}
