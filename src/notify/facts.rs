//! What is known at one moment, and the places it comes from. All of them are read-only here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::actuator::ActuatorSnapshot;
use crate::alertmanager::{Alertmanagers, Heartbeats, Undelivered};
use crate::clock::{Millis, Stopwatch};
use crate::config::Config;
use crate::metrics::{HeartbeatFigure, Metrics, Stalled, stalled_loops};
use crate::watch::Snapshot;

/// Facts of one moment.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// Local clock.
    pub(super) now: Millis,
    /// When this process (or this life of it, after a reload) began.
    pub(super) started_at: Millis,
    pub(super) config: &'a Config,
    pub(super) snapshots: &'a [Arc<Snapshot>],
    pub(super) heartbeats: &'a [HeartbeatFigure],
    pub(super) actuator: &'a ActuatorSnapshot,
    /// Loops that stand still.
    pub(super) stalled: &'a [Stalled],
    /// Since `/metrics` was last read, or the start.
    pub(super) since_scrape: Duration,
    /// Since any Alertmanager last answered, or the start; `None` when none is configured.
    pub(super) alertmanagers_silent: Option<Duration>,
    /// Ways on which an Alertmanager lately failed to deliver.
    pub(super) undelivered: &'a [Undelivered],
    /// The last reload worked.
    pub(super) reload_ok: bool,
    /// The last starts of the process, this one included.
    pub(super) starts: &'a [Millis],
    /// Receivers that take no messages, and for how long.
    pub(super) deaf: &'a [(String, Duration)],
}

/// Which receivers have failed to take a message, since when. Each delivery loop notes its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Deaf(Arc<Mutex<BTreeMap<String, Stopwatch>>>);

/// Where facts come from.
#[derive(Clone)]
pub struct Sources {
    /// The configuration.
    pub config: Arc<Config>,
    /// When this life of the process began.
    pub started_at: Millis,
    /// The latest snapshot of each chain.
    pub snapshots: BTreeMap<String, watch::Receiver<Arc<Snapshot>>>,
    /// The actuator's figures.
    pub actuator: watch::Receiver<Arc<ActuatorSnapshot>>,
    /// Heartbeats.
    pub heartbeats: Arc<Heartbeats>,
    /// Alertmanagers.
    pub alertmanagers: Arc<Alertmanagers>,
    /// Loops, scrapes, reloads.
    pub metrics: Arc<Metrics>,
}

// === impl Facts ===

impl Facts<'_> {
    pub(super) fn is_stalled(&self, task: &str) -> bool {
        self.stalled.iter().any(|s| s.task == task)
    }
}

// === impl Deaf ===

impl Deaf {
    /// A sending to `receiver` worked or did not.
    pub(super) fn note(&self, receiver: &str, took: bool) {
        let mut deaf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if took {
            deaf.remove(receiver);
        } else {
            deaf.entry(receiver.to_owned())
                .or_insert_with(Stopwatch::start);
        }
    }

    /// Those that take no messages, each with how long.
    pub(super) fn list(&self) -> Vec<(String, Duration)> {
        let deaf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        deaf.iter()
            .map(|(name, since)| (name.clone(), since.elapsed()))
            .collect()
    }
}

// === impl Sources ===

impl Sources {
    /// Looks at everything and lets `use_them` see it.
    pub(super) fn look<T>(
        &self,
        now: Millis,
        starts: &[Millis],
        deaf: &[(String, Duration)],
        use_them: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let snapshots: Vec<Arc<Snapshot>> = self
            .snapshots
            .values()
            .map(|s| Arc::clone(&s.borrow()))
            .collect();
        let actuator = Arc::clone(&self.actuator.borrow());
        let stalled = stalled_loops(
            &self.config,
            &snapshots,
            &actuator,
            &self.metrics.tasks,
            now,
        );
        use_them(&Facts {
            now,
            started_at: self.started_at,
            config: &self.config,
            snapshots: &snapshots,
            heartbeats: &self.heartbeats.figures(now),
            actuator: &actuator,
            stalled: &stalled,
            since_scrape: self.metrics.since_scrape(),
            alertmanagers_silent: self.alertmanagers.silent_for(),
            undelivered: &self.alertmanagers.undelivered(),
            reload_ok: self.metrics.reload_ok(),
            starts,
            deaf,
        })
    }
}
