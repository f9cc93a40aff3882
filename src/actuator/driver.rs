//! One loop per chain: on every snapshot it follows the attempts under way and decides what is pending, at once when
//! a request comes in. The only place that broadcasts, and only what the journal holds.

mod blind;
mod follow;
mod keys;
mod pending;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use wire::{Answers, Wire};

use super::attempt::{Answer, Attempt};
use super::authority;
use super::gather::{max_view_age, readiness};
use super::handle::name;
use super::journal::Soon;
use super::shared::Shared;
use super::types::Cause;
use crate::chain::{Call, Chain, Outcome, Reply};
use crate::clock::{self, Millis};
use crate::config::WhenExhausted;
use crate::rpc::{EndpointError, Pool};
use crate::watch::{Readiness, Snapshot};

/// With no tick for this long, pending requests are decided all the same (they then see a stale view).
const IDLE: Duration = Duration::from_secs(2);
/// A transaction in flight is waited for when shutting down, at most this long.
const DRAIN: Duration = Duration::from_secs(4);

/// The loop of one chain.
pub struct Driver {
    shared: Arc<Shared>,
    chain: Arc<dyn Chain>,
    wire: Arc<dyn Wire>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    tasks: JoinSet<Report>,
    /// Attempts with a broadcast or a question under way: one of each at a time.
    sending: BTreeSet<String>,
    asking: BTreeSet<String>,
    /// What endpoints said of an attempt since the last tick.
    heard: BTreeMap<String, Vec<Outcome>>,
    /// Attempts whose last change the journal did not take: written again on every tick.
    unsaved: BTreeSet<String>,
}

/// What a task of the loop brings back.
enum Report {
    Sent {
        attempt: String,
        answers: Vec<Answer>,
    },
    /// By attempt, what each endpoint knows of it.
    Heard(Vec<(String, Vec<Outcome>)>),
}

// === impl Driver ===

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        chain: Arc<dyn Chain>,
        wire: Arc<dyn Wire>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> Self {
        Self {
            shared,
            chain,
            wire,
            snapshots,
            tasks: JoinSet::new(),
            sending: BTreeSet::new(),
            asking: BTreeSet::new(),
            heard: BTreeMap::new(),
            unsaved: BTreeSet::new(),
        }
    }

    /// The chain it serves.
    #[must_use]
    pub fn chain_name(&self) -> &str {
        &self.chain.spec().name
    }

    /// Runs until `shutdown` says true (or the watcher is gone), then waits for what is in flight.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let shared = Arc::clone(&self.shared);
        let chain = self.chain_name().to_owned();
        // `start` makes one per chain.
        while let Some(wake) = shared.wakes.get(&chain) {
            tokio::select! {
                // A closed channel means that whoever could stop us is gone.
                () = told_to_stop(&mut shutdown) => break,
                changed = self.snapshots.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
                    self.tick(&snapshot).await;
                }
                () = wake.notified() => self.look().await,
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    match done {
                        // What is heard counts with the next snapshot: until then no figure changes.
                        Ok(heard @ Report::Heard(_)) => {
                            self.note(heard).await;
                            continue;
                        }
                        Ok(report) => self.note(report).await,
                        // Which attempt it was about is lost with it: better asked or sent once more (the same bytes)
                        // than never again.
                        Err(error) => {
                            tracing::error!(%error, chain, "a request to the endpoints broke off");
                            self.sending.clear();
                            self.asking.clear();
                        }
                    }
                }
                () = tokio::time::sleep(IDLE) => self.look().await,
            }
            self.refresh();
        }
        let drain = async {
            while let Some(done) = self.tasks.join_next().await {
                if let Ok(report) = done {
                    self.note(report).await;
                }
            }
        };
        if tokio::time::timeout(DRAIN, drain).await.is_err() {
            tracing::warn!(
                chain,
                "shutting down with a request to an endpoint under way"
            );
        }
    }

    async fn tick(&mut self, snapshot: &Arc<Snapshot>) {
        self.take_in(snapshot).await;
        self.decide_pending().await;
    }

    /// What a snapshot means for what is under way; always before anything is decided on it.
    async fn take_in(&mut self, snapshot: &Arc<Snapshot>) {
        self.note_keys(snapshot).await;
        self.follow(snapshot).await;
    }

    /// Decides, after taking in a snapshot that has come meanwhile: a change of key that nobody has noted yet must not
    /// be decided on without the rest that it starts.
    async fn look(&mut self) {
        self.catch_up().await;
        self.decide_pending().await;
    }

    async fn catch_up(&mut self) {
        if self.snapshots.has_changed().unwrap_or(false) {
            let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
            self.take_in(&snapshot).await;
        }
    }

    /// Sends an attempt's bytes to every endpoint, unless somebody has disarmed, pinned or silenced it since, or the
    /// world has changed. The caller has made sure that the journal holds them. `again`: not for the first time.
    fn send(&mut self, attempt: &Attempt, again: bool) {
        if self.sending.contains(&attempt.id) {
            return;
        }
        if let Err(why) = self.may_send(attempt, again) {
            tracing::warn!(attempt = attempt.id, "not sent: {why}");
            return;
        }
        self.sending.insert(attempt.id.clone());
        let chain = Arc::clone(&self.chain);
        let sending = self.wire.transmit(chain.broadcast(&attempt.sealed));
        let id = attempt.id.clone();
        self.tasks.spawn(async move {
            let answers = sending.await.into_iter().map(|answer| match answer {
                Ok(reply) => Answer::from_reply(chain.accepted(&reply)),
                Err(EndpointError { detail, .. }) => Answer::Unsure(detail),
            });
            Report::Sent {
                attempt: id,
                answers: answers.collect(),
            }
        });
    }

    /// Signing was decided a moment ago, a broken connection ago, or by a process before this one with another
    /// configuration: what could have changed since and still be obeyed is asked again before every broadcast.
    fn may_send(&self, attempt: &Attempt, again: bool) -> Result<(), String> {
        let key = name(&attempt.chain, attempt.producer());
        let change = &attempt.sealed.change;
        let now = clock::now_ms();
        let snapshot = Arc::clone(&self.snapshots.borrow());
        configured(&self.shared, attempt)?;
        let view = snapshot.agreement.as_ref().map_err(ToString::to_string)?;
        let agreed = view.producers.get(attempt.producer());
        let state = agreed
            .filter(|p| !p.settling)
            .and_then(|p| p.state.as_ref());
        if state.is_none_or(|s| s.registered_key != change.from) {
            return Err("the registered key is not the one it replaces, or not known now".into());
        }
        if view.head.time > attempt.sealed.expiry {
            return Err("its expiration has passed".into());
        }
        if attempt.overridden {
            return Ok(());
        }
        let fit = self.shared.fit.get(&key).cloned().unwrap_or(Ok(()));
        {
            let book = self.shared.book();
            let arm = book
                .arm
                .effective(&attempt.chain, attempt.producer(), &fit, now);
            arm.allows(attempt.cause)?;
            if arm.pinned {
                return Err("pinned meanwhile".into());
            }
            if arm.maintenance_until.is_some_and(|until| until > now) {
                return Err("in maintenance meanwhile".into());
            }
        }
        if !again {
            return Ok(()); // the decision was made just now, and it asked Alertmanager and the probes
        }
        if attempt.cause != Cause::Operator {
            let fence = self.shared.show(&attempt.chain, &change.from);
            let silence =
                self.shared
                    .alerts
                    .cached_silence(&attempt.chain, attempt.producer(), &fence);
            if let Some(by) = silence {
                return Err(format!("silenced in Alertmanager meanwhile: {by}"));
            }
        }
        if change.to.is_null() {
            return Ok(());
        }
        match readiness(&self.shared, &snapshot, attempt) {
            Readiness::Ready => Ok(()),
            Readiness::NotReady(why) => Err(format!("its target is no longer ready: {why}")),
            Readiness::Unknown => Err("its target's node has not answered yet".into()),
        }
    }

    /// Works out who is able and publishes the figures.
    fn refresh(&mut self) {
        let now = clock::now_ms();
        let snapshot = Arc::clone(&self.snapshots.borrow());
        let chain = self.chain_name().to_owned();
        for producer in &self.shared.config.producers {
            if producer.chain == chain && !producer.keys.is_empty() {
                let able = self.able(&snapshot, &producer.name, now);
                self.shared
                    .book()
                    .able
                    .insert(name(&chain, &producer.name), able);
            }
        }
        self.shared
            .ticks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(chain, now);
        self.shared.publish();
    }

    /// Able = the journal takes writes, there is a fresh agreed view, a fault would be seen in it ([`blind`]), and a
    /// change away from the current key can be signed (to whichever listed key: no method's authority depends on the
    /// new key).
    fn able(&self, snapshot: &Snapshot, producer: &str, now: Millis) -> Result<(), String> {
        if !self.shared.journal.writable() {
            return Err("the journal cannot be written".into());
        }
        let view = snapshot
            .agreement
            .as_ref()
            .map_err(|e| format!("no quorum: {e}"))?;
        let chain = self.chain_name();
        let limit = self.shared.config.chain(chain).map_or(3_000, max_view_age);
        let age = now.saturating_sub(view.observed_at);
        if age > limit {
            return Err(format!("the agreed view is {age} ms old"));
        }
        let Some(state) = view.producers.get(producer).and_then(|p| p.state.as_ref()) else {
            return Err("the agreed view does not have the producer".into());
        };
        let interval = self.chain.spec().block_interval;
        if let Some(why) = blind::blind(snapshot, view, producer, interval, self.chain.turn(), now)
        {
            return Err(why);
        }
        let Some(keyring) = self.shared.keyrings.get(&name(chain, producer)) else {
            return Err("no authority is configured".into());
        };
        let watched = snapshot.producers.get(producer);
        let active = watched.map(|p| p.active_keys.clone()).unwrap_or_default();
        let show = |key: &_| self.shared.show(chain, key);
        authority::choose(&keyring.authorities, state.registered_key, &active, &show)
            .map(|_| ())
            .map_err(|lack| match lack {
                authority::Lack::Unavailable(why)
                | authority::Lack::Invalid(why)
                | authority::Lack::Unknown(why) => why,
            })
    }
}

// === impl Wire ===

impl Wire for Arc<Pool> {
    fn ask_all(&self, questions: Vec<Vec<Call>>) -> Soon<'static, Vec<Answers>> {
        let pool = Self::clone(self);
        Box::pin(async move { pool.call_all(&questions).await })
    }

    fn transmit(&self, call: Call) -> Soon<'static, Vec<Result<Reply, EndpointError>>> {
        let pool = Self::clone(self);
        Box::pin(async move { pool.broadcast(&call).await })
    }
}

/// The configuration may be another than the one it was signed under: only a key that is listed now is ever
/// registered, and only for a producer that is still kept.
fn configured(shared: &Shared, attempt: &Attempt) -> Result<(), String> {
    let to = &attempt.sealed.change.to;
    let producer = shared
        .config
        .producer(&attempt.chain, attempt.producer())
        .filter(|p| !p.keys.is_empty())
        .ok_or("the producer is no longer configured with keys")?;
    if to.is_null() {
        let disables = producer.when_exhausted == WhenExhausted::Disable;
        if attempt.cause == Cause::Operator || disables {
            return Ok(());
        }
        return Err("when_exhausted is hold now, so only an operator may disable".into());
    }
    if producer.lists(to) {
        Ok(())
    } else {
        Err(format!(
            "{} is no longer one of the configured keys",
            shared.show(&attempt.chain, to)
        ))
    }
}

/// The guard that `wait_for` returns must not live across the loop's other waits.
async fn told_to_stop(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}
