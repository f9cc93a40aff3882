//! Every metric name, once ([`names`]), and the page of `/metrics`: rendered from the latest snapshots, the actuator's
//! figures and this process's own counters. Never asks a chain, never waits.
//!
//! What depends on snapshots alone is rendered once for each and kept as it is sent, and so are the actuator's figures; what
//! moves with the clock or with requests is rendered for each scrape. No family is in two of these three parts.

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

use hyper::body::Bytes;

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
    chains: Mutex<Chains>,
    actuator: Mutex<CachedActuator>,
    /// Since the last scrape; `None` before the first.
    scraped: Mutex<Option<Stopwatch>>,
    /// Since this page exists.
    born: Stopwatch,
}

/// Snapshots are rendered ahead for scrapes at least this frequent.
const SCRAPED_LATELY: Duration = Duration::from_secs(60);

/// The page's parts, to be sent one after another.
#[derive(Debug, Clone)]
pub struct Page([Bytes; 3]);

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

/// All chains' part.
#[derive(Debug)]
struct Chains {
    each: BTreeMap<String, CachedChain>,
    page: Bytes,
}

#[derive(Debug)]
struct CachedChain {
    keys: ChainKeys,
    /// The snapshot that the page shows. Held, so that its address cannot be reused by another.
    snapshot: Option<Arc<Snapshot>>,
    /// Its lines, for as long as another chain's may have to be joined with them.
    bodies: Bodies,
}

#[derive(Debug, Default)]
struct CachedActuator {
    /// What `page` shows, held for the same reason.
    snapshot: Option<Arc<ActuatorSnapshot>>,
    page: Bytes,
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
            chains: Mutex::new(Chains::new(config)),
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
        if self.scraped_lately() {
            lock(&self.chains).refresh(std::slice::from_ref(snapshot));
        }
    }

    /// The same for the actuator's figures.
    pub fn warm_actuator(&self, snapshot: &Arc<ActuatorSnapshot>) {
        if self.scraped_lately() {
            lock(&self.actuator).refresh(snapshot);
        }
    }

    /// The page, where all but what moves is rendered already: then it costs so little that it may be made where an event
    /// loop waits.
    #[must_use]
    pub fn at_hand(&self, inputs: &Inputs<'_>) -> Option<Page> {
        // Who renders holds the locks: that is not at hand either.
        let chains = self.chains.try_lock().ok()?;
        let actuator = self.actuator.try_lock().ok()?;
        let shown = inputs.snapshots.iter().all(|s| chains.shows(s))
            && same(actuator.snapshot.as_ref(), inputs.actuator);
        let parts = shown.then(|| (chains.page.clone(), actuator.page.clone()));
        drop((chains, actuator));
        parts.map(|(chains, actuator)| Page([self.moving(inputs), chains, actuator]))
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
            *lock(&self.chains) = Chains::new(config);
        }
    }

    /// The page.
    #[must_use]
    pub fn render(&self, inputs: &Inputs<'_>) -> Page {
        let moving = self.moving(inputs);
        let chains = {
            let mut chains = lock(&self.chains);
            chains.refresh(inputs.snapshots);
            chains.page.clone()
        };
        let mut actuator = lock(&self.actuator);
        actuator.refresh(inputs.actuator);
        Page([moving, chains, actuator.page.clone()])
    }

    /// What moves with the clock or with requests.
    fn moving(&self, inputs: &Inputs<'_>) -> Bytes {
        *lock(&self.scraped) = Some(Stopwatch::start());
        let mut moving = Bodies::default();
        self.process_lines(&mut moving);
        heartbeat_lines(&mut moving, inputs.heartbeats);
        for snapshot in inputs.snapshots {
            chain::render_ages(&mut moving, snapshot, inputs.now);
            moving.put(
                Name::TaskLastTick,
                &[&watch_task(&snapshot.chain)],
                seconds(snapshot.tick_at),
            );
        }
        actuator::render_ticks(&mut moving, inputs.actuator);
        let mut page = page::join(&[&moving]);
        self.counters.render(&mut page);
        page.into()
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

// === impl Page ===

impl Page {
    /// The parts, in order.
    #[must_use]
    pub fn parts(self) -> [Bytes; 3] {
        self.0
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.concat()).into_owned()
    }
}

// === impl Chains ===

impl Chains {
    fn new(config: &Config) -> Self {
        let each = config.chains.iter().map(|c| {
            let cached = CachedChain {
                keys: ChainKeys::new(config, &c.spec.name),
                snapshot: None,
                bodies: Bodies::default(),
            };
            (c.spec.name.clone(), cached)
        });
        Self {
            each: each.collect(),
            page: Bytes::new(),
        }
    }

    fn shows(&self, snapshot: &Arc<Snapshot>) -> bool {
        let cached = self.each.get(&snapshot.chain);
        cached.is_some_and(|c| same(c.snapshot.as_ref(), snapshot))
    }

    /// Renders what the page does not show yet.
    fn refresh(&mut self, snapshots: &[Arc<Snapshot>]) {
        let mut changed = false;
        for snapshot in snapshots {
            if self.shows(snapshot) {
                continue;
            }
            if let Some(cached) = self.each.get_mut(&snapshot.chain) {
                cached.bodies = chain::render(snapshot, &mut cached.keys);
                cached.snapshot = Some(Arc::clone(snapshot));
                changed = true;
            }
        }
        if !changed {
            return;
        }
        let parts: Vec<&Bodies> = self.each.values().map(|c| &c.bodies).collect();
        self.page = page::join(&parts).into();
        // A single chain's lines are all on the page now and joined with nobody's: they need not be held twice.
        if let [only] = self.each.values_mut().collect::<Vec<_>>().as_mut_slice() {
            only.bodies = Bodies::default();
        }
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
        self.page = page::join(&[&bodies]).into();
        self.snapshot = Some(Arc::clone(snapshot));
    }
}

fn same<T>(kept: Option<&Arc<T>>, now: &Arc<T>) -> bool {
    kept.is_some_and(|kept| Arc::ptr_eq(kept, now))
}
