//! What the handle and the chain loops share: configuration, journal, book, and how they tell each other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, broadcast, watch};

use super::activation::{self, Pace, Waiting};
use super::alert_source::AlertSource;
use super::arm::may_arm;
use super::authority::Keyring;
use super::book::{Book, Name};
use super::handle::{locked, name};
use super::journal::{EventRecord, Journal};
use super::state::{ActuatorSnapshot, Given};
use crate::clock::{self, Millis, millis};
use crate::config::Config;
use crate::keys::PublicKey;
use crate::watch::Snapshot;

/// See the module.
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) alerts: Arc<dyn AlertSource>,
    pub(super) keyrings: BTreeMap<Name, Keyring>,
    pub(super) snapshots: BTreeMap<String, watch::Receiver<Arc<Snapshot>>>,
    pub(super) wakes: BTreeMap<String, Notify>,
    pub(super) book: Mutex<Book>,
    pub(super) state: watch::Sender<Arc<ActuatorSnapshot>>,
    pub(super) events: broadcast::Sender<EventRecord>,
    /// Why a producer's setup may not be armed; computed once.
    pub(super) fit: BTreeMap<Name, Result<(), String>>,
    pub(super) ticks: Mutex<BTreeMap<String, Millis>>,
    /// Held while an order about arming is read, made durable and taken in.
    pub(super) orders: tokio::sync::Mutex<()>,
}

// === impl Shared ===

impl Shared {
    pub(super) fn fitness(config: &Config) -> BTreeMap<Name, Result<(), String>> {
        let producers = config.producers.iter().filter(|p| !p.keys.is_empty());
        producers
            .map(|p| (name(&p.chain, &p.name), may_arm(config, p)))
            .collect()
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        locked(&self.book)
    }

    pub(super) fn wake(&self, chain: &str) {
        if let Some(wake) = self.wakes.get(chain) {
            wake.notify_one();
        }
    }

    pub(super) fn wake_all(&self) {
        self.wakes.values().for_each(Notify::notify_one);
    }

    /// The newest agreed registered key and the chain time at which it was read.
    pub(super) fn registered(&self, chain: &str, producer: &str) -> Option<(PublicKey, Millis)> {
        let snapshot = Arc::clone(&self.snapshots.get(chain)?.borrow());
        let view = snapshot.agreement.as_ref().ok()?;
        let agreed = view.producers.get(producer).filter(|p| !p.settling)?;
        Some((agreed.state.as_ref()?.registered_key, view.head.time))
    }

    /// The registered key that a person who speaks now has before his eyes: the agreed one, else the last that was.
    pub(super) fn last_seen(&self, chain: &str, producer: &str) -> Option<PublicKey> {
        if let Some((key, _)) = self.registered(chain, producer) {
            return Some(key);
        }
        let snapshot = Arc::clone(&self.snapshots.get(chain)?.borrow());
        let watched = snapshot.producers.get(producer)?;
        Some(watched.state.as_ref()?.registered_key)
    }

    /// A key as its chain writes it.
    pub(super) fn show(&self, chain: &str, key: &PublicKey) -> String {
        key.to_text(self.prefix(chain))
    }

    pub(super) fn prefix(&self, chain: &str) -> &str {
        self.config
            .chain(chain)
            .map_or("", |c| c.spec.address_prefix.as_str())
    }

    /// Tells listeners; nobody listening is fine.
    pub(super) fn announce(&self, event: EventRecord) {
        let _ = self.events.send(event);
    }

    /// The producer's registered key, while it is not in force yet.
    pub(super) fn waiting(
        &self,
        book: &Book,
        snapshot: &Snapshot,
        producer: &str,
    ) -> Option<Waiting> {
        let chain = snapshot.chain.as_str();
        let head = &snapshot.last_view.as_ref()?.head;
        let state = snapshot.producers.get(producer)?.state.as_ref()?;
        if !activation::is_waiting(state) {
            return None;
        }
        let known = book.known.get(&name(chain, producer));
        let known = known.filter(|k| k.key == state.registered_key);
        let ours = book.attempts.iter().filter(|((c, _), _)| c == chain);
        let interval = self.config.chain(chain)?.spec.block_interval;
        let pace = Pace {
            measured: activation::measured(ours.flat_map(|(_, list)| list)),
            to_final: snapshot
                .irreversible
                .as_ref()
                .map_or(0, |b| head.time.saturating_sub(b.time)),
            turn: interval.saturating_mul(12),
        };
        activation::waiting(
            state,
            known.map_or(head.time, |k| k.since),
            head.time,
            &pace,
            snapshot.election.as_deref(),
            &|key| self.show(chain, key),
        )
    }

    /// Publishes the figures as they are now.
    pub(super) fn publish(&self) {
        let now = clock::now_ms();
        let before = Arc::clone(&self.state.borrow());
        let mut producers = BTreeMap::new();
        let book = self.book();
        for p in self.config.producers.iter().filter(|p| !p.keys.is_empty()) {
            let key = name(&p.chain, &p.name);
            let fit = self.fit.get(&key).cloned().unwrap_or(Ok(()));
            let head_time = self
                .snapshots
                .get(&p.chain)
                .and_then(|s| s.borrow().last_view.as_ref().map(|v| v.head.time));
            let snapshot = self.snapshots.get(&p.chain);
            let snapshot = snapshot.map(|s| Arc::clone(&s.borrow()));
            let waiting = snapshot.and_then(|s| self.waiting(&book, &s, &p.name));
            let given = Given {
                now,
                prefix: self.prefix(&p.chain),
                arm: book.arm.effective(&p.chain, &p.name, &fit, now),
                head_time,
                budget: (p.budget_switches, millis(p.budget_per)),
                waiting,
                before: before.producers.get(&key),
            };
            producers.insert(key.clone(), book.standing(&key, given));
        }
        let wanted = self.config.actuator.armed;
        let snapshot = ActuatorSnapshot {
            at: now,
            armed: book.arm.armed,
            armed_difference: (book.arm.armed != wanted).then(|| {
                format!(
                    "the configuration says armed: {wanted}, the state file says {}: the state file holds (`slotkeeper {}` changes it)",
                    book.arm.armed,
                    if wanted { "arm" } else { "disarm" }
                )
            }),
            journal_writable: self.journal.writable(),
            journal_write_failures: self.journal.write_failures(),
            producers,
            decisions: book.counters.decisions.clone(),
            switches: book.counters.switches.clone(),
            stages: book.counters.stages.clone(),
            last_tick: self
                .ticks
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .clone(),
            pending: book.pending.len(),
        };
        drop(book);
        self.state.send_replace(Arc::new(snapshot));
    }
}
