//! Every metric name, once ([`names`]), and the page of `/metrics`: rendered from the latest snapshots, the actuator's
//! figures and this process's own counters. Never asks a chain, never waits.
//!
//! What depends on a snapshot alone is rendered once for each snapshot and kept, and so are the actuator's figures; what
//! moves with the clock or with requests is rendered for each scrape.

mod actuator;
mod chain;
mod counters;
mod health;
pub mod names;
mod page;
mod tasks;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::actuator::ActuatorSnapshot;
use crate::clock::{Millis, Stopwatch};
use crate::config::Config;
use crate::watch::Snapshot;

pub use chain::{ChainKeys, agreeing, seconds};
pub use counters::{Counters, NOTIFY_OUTCOMES, WEBHOOK_CODES};
pub use health::stalled_loops;
pub use names::Name;
pub use page::{Bodies, CONTENT_TYPE};
pub use tasks::{Stalled, Task, Tasks};

/// The page of `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    /// Counters that the webhook keeps.
    pub counters: Counters,
    /// The loops of this process.
    pub tasks: Arc<Tasks>,
    process: Mutex<Process>,
    chains: Mutex<BTreeMap<String, CachedChain>>,
    actuator: Mutex<CachedActuator>,
    /// Since the last scrape; `None` before the first.
    scraped: Mutex<Option<Stopwatch>>,
    /// Since this page exists.
    born: Stopwatch,
}

/// Snapshots are rendered ahead for scrapes at least this frequent.
const SCRAPED_LATELY: Duration = Duration::from_secs(60);
/// A page of cached parts up to this size is put together in less time than a change of threads takes.
const SMALL: usize = 512 * 1024;

/// One heartbeat source as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatFigure {
    /// Its name.
    pub source: String,
    /// When last heard, local clock; `None` = never.
    pub heard_at: Option<Millis>,
    /// Its newest `evaluated_at`.
    pub evaluated_at: Option<Millis>,
    /// Late by the configured rules.
    pub overdue: bool,
}

/// What a scrape is rendered from.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Local clock.
    pub now: Millis,
    /// The latest snapshot of each chain.
    pub snapshots: &'a [Arc<Snapshot>],
    /// Every configured heartbeat source.
    pub heartbeats: &'a [HeartbeatFigure],
    /// The actuator's figures.
    pub actuator: &'a Arc<ActuatorSnapshot>,
}

#[derive(Debug, Clone, Copy)]
struct Process {
    started_at: Millis,
    reload_ok: bool,
    reloaded_at: Millis,
}

#[derive(Debug)]
struct CachedChain {
    keys: ChainKeys,
    /// The snapshot that `bodies` shows. Held, so that its address cannot be reused by another.
    snapshot: Option<Arc<Snapshot>>,
    bodies: Bodies,
}

#[derive(Debug, Default)]
struct CachedActuator {
    /// What `bodies` shows, held for the same reason.
    snapshot: Option<Arc<ActuatorSnapshot>>,
    bodies: Bodies,
}

// === impl Metrics ===

impl Metrics {
    /// For this configuration, in a process that started at `started_at`.
    #[must_use]
    pub fn new(config: &Config, started_at: Millis) -> Self {
        Self {
            counters: Counters::new(),
            tasks: Arc::new(Tasks::default()),
            process: Mutex::new(Process {
                started_at,
                reload_ok: true,
                reloaded_at: started_at,
            }),
            chains: Mutex::new(cached_chains(config)),
            actuator: Mutex::default(),
            scraped: Mutex::default(),
            born: Stopwatch::start(),
        }
    }

    /// Since the page was last read, by anybody; since the start when never.
    #[must_use]
    pub fn since_scrape(&self) -> Duration {
        lock(&self.scraped).unwrap_or(self.born).elapsed()
    }

    /// Whether the last reload worked.
    #[must_use]
    pub fn reload_ok(&self) -> bool {
        lock(&self.process).reload_ok
    }

    /// Renders a fresh snapshot's part ahead of the next scrape, if anybody has scraped lately: a scrape then only
    /// joins what is there.
    pub fn warm(&self, snapshot: &Arc<Snapshot>) {
        if self.scraped_lately()
            && let Some(cached) = lock(&self.chains).get_mut(&snapshot.chain)
        {
            cached.refresh(snapshot);
        }
    }

    /// The same for the actuator's figures.
    pub fn warm_actuator(&self, snapshot: &Arc<ActuatorSnapshot>) {
        if self.scraped_lately() {
            lock(&self.actuator).refresh(snapshot);
        }
    }

    /// Whether a page of these has only to be joined, and is small: then it may be rendered where an event loop waits.
    #[must_use]
    pub fn is_quick(&self, snapshots: &[Arc<Snapshot>], actuator: &Arc<ActuatorSnapshot>) -> bool {
        // Who renders holds the locks: that is not quick either.
        let (Ok(chains), Ok(cached)) = (self.chains.try_lock(), self.actuator.try_lock()) else {
            return false;
        };
        let mut size = cached.bodies.size();
        let fresh = snapshots.iter().all(|snapshot| {
            chains.get(&snapshot.chain).is_some_and(|cached| {
                size = size.saturating_add(cached.bodies.size());
                same(cached.snapshot.as_ref(), snapshot)
            })
        });
        fresh && same(cached.snapshot.as_ref(), actuator) && size <= SMALL
    }

    fn scraped_lately(&self) -> bool {
        lock(&self.scraped).is_some_and(|s| s.elapsed() < SCRAPED_LATELY)
    }

    /// A reload was tried at `now`. When it worked, `config` is in force.
    pub fn reloaded(&self, now: Millis, config: Option<&Config>) {
        let mut process = lock(&self.process);
        process.reload_ok = config.is_some();
        if let Some(config) = config {
            process.reloaded_at = now;
            *lock(&self.chains) = cached_chains(config);
        }
    }

    /// The page.
    #[must_use]
    pub fn render(&self, inputs: &Inputs<'_>) -> String {
        *lock(&self.scraped) = Some(Stopwatch::start());
        let mut own = Bodies::default();
        self.process_lines(&mut own);
        heartbeat_lines(&mut own, inputs.heartbeats);
        let mut actuator = lock(&self.actuator);
        actuator.refresh(inputs.actuator);
        let mut chains = lock(&self.chains);
        let mut moving = Bodies::default();
        for snapshot in inputs.snapshots {
            chain::render_ages(&mut moving, snapshot, inputs.now);
            if let Some(cached) = chains.get_mut(&snapshot.chain) {
                cached.refresh(snapshot);
            }
            moving.put(
                Name::TaskLastTick,
                &[&watch_task(&snapshot.chain)],
                seconds(snapshot.tick_at),
            );
        }
        let mut parts = vec![&own, &actuator.bodies, &moving];
        parts.extend(
            inputs
                .snapshots
                .iter()
                .filter_map(|s| chains.get(&s.chain))
                .map(|c| &c.bodies),
        );
        let mut page = page::join(&parts);
        self.counters.render(&mut page);
        page
    }

    fn process_lines(&self, out: &mut Bodies) {
        let process = *lock(&self.process);
        out.put(Name::BuildInfo, &[env!("CARGO_PKG_VERSION")], true);
        out.put(Name::ProcessStart, &[], seconds(process.started_at));
        out.put(Name::ConfigReload, &[], process.reload_ok);
        out.put(Name::ConfigReloadTime, &[], seconds(process.reloaded_at));
        for (task, at) in self.tasks.last_ticks() {
            out.put(Name::TaskLastTick, &[&task], seconds(at));
        }
    }
}

/// The name under which a chain's poll loop is listed among the tasks: its snapshots are its ticks.
#[must_use]
pub fn watch_task(chain: &str) -> String {
    format!("watch/{chain}")
}

fn cached_chains(config: &Config) -> BTreeMap<String, CachedChain> {
    config
        .chains
        .iter()
        .map(|c| {
            let cached = CachedChain {
                keys: ChainKeys::new(config, &c.spec.name),
                snapshot: None,
                bodies: Bodies::default(),
            };
            (c.spec.name.clone(), cached)
        })
        .collect()
}

fn heartbeat_lines(out: &mut Bodies, heartbeats: &[HeartbeatFigure]) {
    for h in heartbeats {
        let source = &[h.source.as_str()];
        if let Some(at) = h.heard_at {
            out.put(Name::HeartbeatTime, source, seconds(at));
        }
        if let Some(at) = h.evaluated_at {
            out.put(Name::HeartbeatEvaluated, source, seconds(at));
        }
        out.put(Name::HeartbeatOverdue, source, h.overdue);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What a panicking renderer leaves behind is at worst an old page part, replaced at the next snapshot.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl CachedChain ===

impl CachedChain {
    fn refresh(&mut self, snapshot: &Arc<Snapshot>) {
        if same(self.snapshot.as_ref(), snapshot) {
            return;
        }
        self.bodies = chain::render(snapshot, &mut self.keys);
        self.snapshot = Some(Arc::clone(snapshot));
    }
}

// === impl CachedActuator ===

impl CachedActuator {
    fn refresh(&mut self, snapshot: &Arc<ActuatorSnapshot>) {
        if same(self.snapshot.as_ref(), snapshot) {
            return;
        }
        let mut bodies = Bodies::default();
        actuator::render(&mut bodies, snapshot);
        self.bodies = bodies;
        self.snapshot = Some(Arc::clone(snapshot));
    }
}

fn same<T>(kept: Option<&Arc<T>>, now: &Arc<T>) -> bool {
    kept.is_some_and(|kept| Arc::ptr_eq(kept, now))
}
