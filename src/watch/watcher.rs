//! The poll loop of one chain: asks, agrees, judges slots, probes nodes, publishes the [`Snapshot`], saves the ledger.
//! The only I/O of this room, through the pool, the probes and the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::ledger::{Ledger, LedgerRules};
use super::picture;
use super::probes::{Probes, Yardstick};
use super::rotation::Rotation;
use super::{LedgerStore, ProducerSnapshot, Snapshot};
use crate::chain::{Chain, Election, Finalizer, Memory};
use crate::clock::{Millis, millis, now_ms};
use crate::config::{Config, FaultConfig, ProducerConfig};
use crate::keys::PublicKey;
use crate::rpc::agree::agree;
use crate::rpc::{Disagreement, EndpointReport, EndpointSetupError, Pool, View};

/// Chain id and authorities are asked again after so many block intervals (a minute at 3 s, never less than five
/// seconds): endpoints move behind load balancers.
const IDENTITY_INTERVALS: Millis = 20;
/// See [`IDENTITY_INTERVALS`].
const IDENTITY_FLOOR: Millis = 5_000;
/// Authorities that no tick has agreed on yet are asked for again so often.
const AUTHORITY_RETRY: Millis = 5_000;

/// The watcher of one chain.
pub struct Watcher {
    chain: Arc<dyn Chain>,
    pool: Arc<Pool>,
    store: Arc<dyn LedgerStore>,
    pub(super) plan: Plan,
    ledger: Ledger,
    probes: Probes,
    rotation: Rotation,
    pictures: BTreeMap<String, Arc<ProducerSnapshot>>,
    last_view: Option<Arc<View>>,
    agreement: Result<Arc<View>, Disagreement>,
    /// As last agreed; asked for on identity ticks only.
    finalizers: Arc<BTreeMap<String, Finalizer>>,
    /// As last agreed; asked for along with authorities.
    election: Option<Arc<Election>>,
    caught_up: bool,
    tick: u64,
    /// What object ids are called, as last agreed.
    aliases: Arc<BTreeMap<String, String>>,
    identity_at: Option<Millis>,
    authorities_at: Option<Millis>,
    store_failures: u64,
    store_failing: bool,
    /// What the log last said of the endpoints.
    pub(super) told: super::log::Told,
    sender: watch::Sender<Arc<Snapshot>>,
}

/// What the configuration says about this chain.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    poll: Duration,
    interval: Millis,
    pub(super) turn: u32,
    quorum: usize,
    providers: usize,
    watch_all: bool,
    fault: FaultConfig,
    /// Configured producers by name.
    pub(super) producers: BTreeMap<String, ProducerConfig>,
}

// === impl Watcher ===

impl Watcher {
    /// The watcher of the chain called `chain_name`. Nothing is sent before [`Watcher::run`].
    ///
    /// # Errors
    /// When the configuration has no such chain, or the URL of a key's node cannot be used.
    pub fn new(
        chain: Arc<dyn Chain>,
        pool: Arc<Pool>,
        config: &Config,
        chain_name: &str,
        store: Arc<dyn LedgerStore>,
    ) -> Result<Self, EndpointSetupError> {
        let Some(configured) = config.chain(chain_name) else {
            return Err(EndpointSetupError {
                label: chain_name.to_owned(),
                problem: "no chain of this name is configured".to_owned(),
            });
        };
        let producers: BTreeMap<String, ProducerConfig> = config
            .producers
            .iter()
            .filter(|p| p.chain == chain_name)
            .map(|p| (p.name.clone(), p.clone()))
            .collect();
        let providers: BTreeSet<&str> = configured
            .endpoints
            .iter()
            .map(|e| e.provider.as_str())
            .collect();
        let plan = Plan {
            name: chain_name.to_owned(),
            poll: configured.poll_interval,
            interval: configured.spec.block_interval,
            turn: chain.turn(),
            quorum: configured.quorum,
            providers: providers.len(),
            watch_all: configured.watch_all,
            fault: config.fault,
            producers,
        };
        let agreement = Err(Disagreement::TooFew {
            fresh: 0,
            quorum: plan.quorum,
            why: "nothing was asked yet".to_owned(),
        });
        let ledger = Ledger::new(plan.ledger_rules());
        let pictures = plan
            .producers
            .keys()
            .map(|name| (name.clone(), Arc::new(picture::blank())))
            .collect();
        let probes = Probes::new(Arc::clone(&chain), config)?;
        let mut watcher = Self {
            chain,
            pool,
            store,
            plan,
            ledger,
            probes,
            rotation: Rotation::default(),
            pictures,
            last_view: None,
            agreement,
            finalizers: Arc::default(),
            election: None,
            caught_up: false,
            tick: 0,
            aliases: Arc::default(),
            identity_at: None,
            authorities_at: None,
            store_failures: 0,
            store_failing: false,
            told: super::log::Told::default(),
            sender: watch::Sender::new(Arc::new(Snapshot::empty())),
        };
        watcher.publish(now_ms());
        Ok(watcher)
    }

    /// Every snapshot from now on; the newest one is there at once.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.sender.subscribe()
    }

    /// Loads the saved ledger, then ticks until `shutdown` says true (or its sender is gone). A tick under way is
    /// finished; ticks never overlap, and one that ran late delays the next.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        self.load().await;
        let mut ticks = tokio::time::interval(self.plan.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                _ = ticks.tick() => {}
            }
            self.tick().await;
        }
    }

    async fn load(&mut self) {
        let rows = match self.store.load(&self.plan.name).await {
            Ok(rows) => rows,
            Err(error) => {
                self.store_failures = self.store_failures.saturating_add(1);
                tracing::error!(chain = %self.plan.name, %error, "the saved ledger could not be loaded: counting begins anew");
                return;
            }
        };
        match Ledger::restore(self.plan.ledger_rules(), &rows) {
            Ok(ledger) => self.ledger = ledger,
            Err(error) => {
                self.store_failures = self.store_failures.saturating_add(1);
                tracing::error!(chain = %self.plan.name, %error, "the saved ledger could not be read: counting begins anew");
            }
        }
    }

    /// One tick: ask, agree, judge, probe, publish, save.
    async fn tick(&mut self) {
        let memory = self.memory(now_ms());
        self.probes.send();
        let reports = self.pool.ask(&memory).await;
        let now = now_ms();
        let agreed = agree(
            &self.pool.rules(),
            &reports,
            &|num| self.ledger.known(num),
            now,
        );
        let before = self.agreement.is_ok();
        match agreed {
            Ok(view) => {
                if !before {
                    tracing::info!(chain = %self.plan.name, head = view.head.num, agreeing = view.agreeing, "providers agree");
                }
                self.take_view(view, &reports, now).await;
            }
            Err(disagreement) => {
                if before || self.tick == 0 {
                    tracing::error!(chain = %self.plan.name, reason = %disagreement, "providers do not agree: nothing can be decided");
                }
                self.agreement = Err(disagreement);
                self.probe(None, now).await;
            }
        }
        self.publish(now);
        self.tick = self.tick.saturating_add(1);
        self.save().await;
    }

    /// What to ask in this tick.
    fn memory(&mut self, now: Millis) -> Memory {
        let every = self
            .plan
            .interval
            .saturating_mul(IDENTITY_INTERVALS)
            .max(IDENTITY_FLOOR);
        let due = |at: Option<Millis>, every: Millis| {
            at.is_none_or(|at| now.saturating_sub(at) >= every || now < at)
        };
        let identity = due(self.identity_at, every);
        if identity {
            self.identity_at = Some(now);
        }
        let kept = self.plan.kept();
        let unknown = kept
            .iter()
            .filter_map(|name| Some((self.plan.producers.get(*name)?, self.pictures.get(*name)?)))
            .any(|(producer, picture)| {
                let known = |authority: &String| picture.active_keys.contains_key(authority);
                !producer.authorities().iter().all(known)
            });
        let every = if unknown { AUTHORITY_RETRY } else { every };
        let authorities = if due(self.authorities_at, every) {
            self.authorities_at = Some(now);
            kept.iter()
                .filter_map(|name| self.plan.producers.get(*name))
                .flat_map(ProducerConfig::authorities)
                .collect()
        } else {
            Vec::new()
        };
        let mut others: BTreeSet<String> = self.plan.producers.keys().cloned().collect();
        if self.plan.watch_all {
            others.extend(self.ledger.names().map(str::to_owned));
        }
        let scheduled = self.ledger.scheduled();
        let always = kept.into_iter().chain(
            scheduled
                .iter()
                .filter(|name| self.plan.watch_all || self.plan.producers.contains_key(*name))
                .map(String::as_str),
        );
        Memory {
            identity,
            producers: self.rotation.next(always, &others, self.plan.poll),
            blocks: self.ledger.wanted(now, self.agreement.is_ok()),
            authorities,
            aliases: Arc::clone(&self.aliases),
        }
    }

    async fn take_view(&mut self, view: View, reports: &[EndpointReport], now: Millis) {
        let view = Arc::new(view);
        self.pool.note_view(&view);
        if let Some(aliases) = &view.aliases
            && *self.aliases != *aliases
        {
            self.aliases = Arc::new(aliases.clone());
        }
        let applied = self.ledger.apply(&view);
        for report in reports {
            if let Some(Ok(observation)) = &report.observation {
                self.ledger.sight(&observation.blocks);
            }
        }
        self.log_ledger(&applied);
        self.probe(Some(&view), now).await;
        let slots = self.ledger.slots();
        let mut changed = self.ledger.take_touched();
        changed.extend(view.producers.keys().cloned());
        changed.extend(self.plan.kept().into_iter().map(str::to_owned));
        changed.extend(self.ledger.scheduled().iter().cloned());
        if std::mem::replace(&mut self.caught_up, slots.caught_up) != slots.caught_up {
            changed.extend(self.pictures.keys().cloned());
        }
        for name in changed {
            if !self.plan.watch_all && !self.plan.producers.contains_key(&name) {
                continue;
            }
            let mut figures = self.ledger.figures(&name);
            let kept = self
                .plan
                .producers
                .get(&name)
                .is_some_and(|p| !p.keys.is_empty());
            if !kept && !figures.scheduled {
                // They would change with every block for each of thousands.
                figures.others_participation = None;
                figures.others_since_run = None;
            }
            let old = self.pictures.remove(&name);
            let mut next = old.map_or_else(picture::blank, Arc::unwrap_or_clone);
            let before = (next.fault, next.state.as_ref().map(|s| s.registered_key));
            picture::take_view(&mut next, &name, &view);
            picture::take_figures(&mut next, figures, slots.caught_up, &self.plan.fault);
            if kept {
                self.log_producer(&name, before, &next);
            }
            self.pictures.insert(name, Arc::new(next));
        }
        if let Some(finalizers) = &view.finalizers
            && *finalizers != *self.finalizers
        {
            self.finalizers = Arc::new(finalizers.clone());
        }
        let election = view.election.clone().map(Arc::new);
        self.election = election.or_else(|| self.election.take());
        self.last_view = Some(Arc::clone(&view));
        self.agreement = Ok(view);
    }

    /// Takes in the nodes' answers, and what they mean for readiness.
    async fn probe(&mut self, view: Option<&View>, now: Millis) {
        let ledger = &self.ledger;
        let changes = self
            .probes
            .collect(Yardstick {
                head: view.map(|v| &v.head),
                known: &|num| ledger.known(num),
                interval: self.plan.interval,
                now,
            })
            .await;
        for change in changes {
            self.log_probe(&change);
        }
        for producer in self.plan.producers.values().filter(|p| !p.keys.is_empty()) {
            let old = self.pictures.remove(&producer.name);
            let mut next = old.map_or_else(picture::blank, Arc::unwrap_or_clone);
            picture::take_probes(&mut next, producer, &self.probes, now);
            self.pictures.insert(producer.name.clone(), Arc::new(next));
        }
    }

    fn publish(&mut self, now: Millis) {
        let endpoints = self.pool.statuses();
        self.log_endpoints(&endpoints, now);
        let snapshot = Snapshot {
            chain: self.plan.name.clone(),
            tick_at: now,
            tick: self.tick,
            agreement: self.agreement.clone(),
            last_view: self.last_view.clone(),
            irreversible: self.ledger.irreversible().cloned(),
            providers: self.plan.providers,
            quorum: self.plan.quorum,
            endpoints,
            slots: self.ledger.slots(),
            finalizers: Arc::clone(&self.finalizers),
            election: self.election.clone(),
            producers: self.pictures.clone(),
            store_failures: self.store_failures,
        };
        self.sender.send_replace(Arc::new(snapshot));
    }

    /// Saves what changed, in one transaction; what could not be saved is tried again after the next tick.
    async fn save(&mut self) {
        let dirty = self.ledger.dirty_rows();
        if dirty.rows.is_empty() {
            return;
        }
        match self.store.save(&self.plan.name, dirty.rows.clone()).await {
            Ok(()) => {
                self.ledger.saved(&dirty);
                if std::mem::take(&mut self.store_failing) {
                    tracing::info!(chain = %self.plan.name, "the ledger is saved again");
                }
            }
            Err(error) => {
                self.store_failures = self.store_failures.saturating_add(1);
                if !std::mem::replace(&mut self.store_failing, true) {
                    tracing::error!(chain = %self.plan.name, %error, "the ledger could not be saved: it is tried again every tick");
                }
            }
        }
    }

    pub(super) fn text(&self, key: &PublicKey) -> String {
        key.to_text(&self.chain.spec().address_prefix)
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher")
            .field("chain", &self.plan.name)
            .field("tick", &self.tick)
            .finish_non_exhaustive()
    }
}

// === impl Plan ===

impl Plan {
    /// Producers with keys: those that are kept producing.
    fn kept(&self) -> Vec<&str> {
        self.producers
            .values()
            .filter(|p| !p.keys.is_empty())
            .map(|p| p.name.as_str())
            .collect()
    }

    fn ledger_rules(&self) -> LedgerRules {
        LedgerRules {
            interval: self.interval,
            turn: self.turn,
            miss_window: millis(self.fault.miss_window),
            watch_all: self.watch_all,
            watched: self
                .producers
                .iter()
                .map(|(name, p)| {
                    let keys = p.keys.iter().map(|k| k.signing_key).collect();
                    (name.clone(), keys)
                })
                .collect(),
        }
    }
}
