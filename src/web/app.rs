//! What both listeners stand on: the latest pictures, the actuator's desk, the webhook. Shared, never owned by a request.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::desk::Desk;
use super::server::BoxFuture;
use super::session::Sessions;
use crate::actuator::ActuatorSnapshot;
use crate::alertmanager::{Heartbeats, Webhook};
use crate::clock::Millis;
use crate::config::Config;
use crate::metrics::{Inputs, Metrics, Page};
use crate::watch::Snapshot;

/// Reads the configuration again and puts it in force; the error says what is wrong with it.
pub type Reload = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Everything the routes need.
pub struct App {
    /// The configuration.
    pub config: Arc<Config>,
    /// The latest snapshot of each chain.
    pub snapshots: BTreeMap<String, watch::Receiver<Arc<Snapshot>>>,
    /// The actuator.
    pub desk: Arc<dyn Desk>,
    /// The page of `/metrics`, counters, tasks.
    pub metrics: Arc<Metrics>,
    /// Heartbeats, for status and metrics.
    pub heartbeats: Arc<Heartbeats>,
    /// The webhook.
    pub webhook: Webhook,
    /// Behind `POST /-/reload`.
    pub reload: Reload,
    /// True when the process is going down.
    pub shutdown: watch::Receiver<bool>,
    /// Logins on the control page.
    pub sessions: Sessions,
    /// Places for followers of `/api/v1/events`.
    pub followers: Arc<Semaphore>,
}

/// Followers of `/api/v1/events` at a time.
pub const FOLLOWERS: usize = 32;

// === impl App ===

impl App {
    /// The latest snapshots, in order of chain name.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        self.snapshots
            .values()
            .map(|s| Arc::clone(&s.borrow()))
            .collect()
    }

    /// The actuator's latest figures.
    #[must_use]
    pub fn actuator(&self) -> Arc<ActuatorSnapshot> {
        Arc::clone(&self.desk.state().borrow())
    }

    /// Whether the process is going down.
    #[must_use]
    pub fn stopping(&self) -> bool {
        *self.shutdown.borrow() || self.shutdown.has_changed().is_err()
    }

    /// The page of `/metrics` at `now`.
    #[must_use]
    pub fn metrics_page(&self, now: Millis) -> Page {
        self.with_inputs(now, |inputs| self.metrics.render(inputs))
    }

    /// The same, where nothing has to be rendered for it but what moves with the clock.
    #[must_use]
    pub fn page_at_hand(&self, now: Millis) -> Option<Page> {
        self.with_inputs(now, |inputs| self.metrics.at_hand(inputs))
    }

    fn with_inputs<T>(&self, now: Millis, page: impl FnOnce(&Inputs<'_>) -> T) -> T {
        page(&Inputs {
            now,
            snapshots: &self.snapshots(),
            heartbeats: &self.heartbeats.figures(now),
            actuator: &self.actuator(),
        })
    }

    /// The prefix of keys in text on `chain`.
    #[must_use]
    pub fn prefix(&self, chain: &str) -> &str {
        self.config
            .chain(chain)
            .map_or("", |c| c.spec.address_prefix.as_str())
    }
}
