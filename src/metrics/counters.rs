//! The counters that this process itself keeps: webhook requests, alerts, truncation. Their names come from the table.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::Collector;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

use super::chain::seconds;
use super::names::Name;
use crate::clock::Millis;

/// HTTP statuses that the webhook can answer.
pub const WEBHOOK_CODES: [u16; 10] = [200, 400, 401, 403, 405, 408, 411, 413, 429, 503];

/// How the sending of a message can end (label `outcome`).
pub const NOTIFY_OUTCOMES: [&str; 4] = ["delivered", "retried", "refused", "left_out"];

/// Counters of the webhook and of direct escalation.
#[derive(Debug, Clone)]
pub struct Counters {
    registry: Registry,
    requests: IntCounterVec,
    alerts: IntCounterVec,
    truncated: IntCounter,
    notifications: IntCounterVec,
    pings: GaugeVec,
    /// The families in text, until one of them changes: scrapes come more often than webhooks.
    text: Arc<Mutex<Option<String>>>,
}

// === impl Counters ===

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    /// All at 0, every known series present.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let requests = register(&registry, vec_of(Name::WebhookRequests));
        let alerts = register(&registry, vec_of(Name::WebhookAlerts));
        let truncated = register(
            &registry,
            IntCounter::with_opts(opts(Name::WebhookTruncated))
                .expect("the table's names are valid"),
        );
        let notifications = register(&registry, vec_of(Name::Notifications));
        let pings = register(
            &registry,
            GaugeVec::new(opts(Name::PingSuccess), Name::PingSuccess.metric().labels)
                .expect("the table's names are valid"),
        );
        let counters = Self {
            notifications,
            pings,
            registry,
            requests,
            alerts,
            truncated,
            text: Arc::default(),
        };
        for code in WEBHOOK_CODES {
            counters
                .requests
                .with_label_values(&[code.to_string().as_str()]);
        }
        for (action, status, reason) in known_alerts() {
            counters.alerts.with_label_values(&[action, status, reason]);
        }
        counters
    }

    /// A webhook request was answered with `code`.
    pub fn request(&self, code: u16) {
        self.requests
            .with_label_values(&[code.to_string().as_str()])
            .inc();
        self.changed();
    }

    /// An alert was dealt with. All three values are from bounded sets.
    pub fn alert(&self, action: &str, status: &str, reason: &str) {
        self.alerts
            .with_label_values(&[action, status, reason])
            .inc();
        self.changed();
    }

    /// Alertmanager says that it left `n` alerts out.
    pub fn truncated(&self, n: u64) {
        self.truncated.inc_by(n);
        self.changed();
    }

    /// A receiver that may be sent something: its series exist from the start.
    pub fn expect_notifications(&self, receiver: &str) {
        for outcome in NOTIFY_OUTCOMES {
            self.notifications.with_label_values(&[receiver, outcome]);
        }
        self.changed();
    }

    /// The sending of a message ended; `outcome` is one of [`NOTIFY_OUTCOMES`].
    pub fn notification(&self, receiver: &str, outcome: &str) {
        self.notifications
            .with_label_values(&[receiver, outcome])
            .inc();
        self.changed();
    }

    /// So many messages were not sent to it and will not be.
    pub fn notifications_left_out(&self, receiver: &str, n: u32) {
        self.notifications
            .with_label_values(&[receiver, "left_out"])
            .inc_by(n.into());
        self.changed();
    }

    /// A checker elsewhere took a ping at `now`.
    pub fn pinged(&self, ping: &str, now: Millis) {
        self.pings.with_label_values(&[ping]).set(seconds(now));
        self.changed();
    }

    /// Requests answered with `code` so far.
    #[must_use]
    pub fn requests(&self, code: u16) -> u64 {
        self.requests
            .with_label_values(&[code.to_string().as_str()])
            .get()
    }

    /// Alerts with this fate so far.
    #[must_use]
    pub fn alerts(&self, action: &str, status: &str, reason: &str) -> u64 {
        self.alerts
            .with_label_values(&[action, status, reason])
            .get()
    }

    /// Alerts left out so far.
    #[must_use]
    pub fn truncated_so_far(&self) -> u64 {
        self.truncated.get()
    }

    /// Appends the families to a page.
    pub fn render(&self, page: &mut String) {
        let mut text = self.text();
        let text = text.get_or_insert_with(|| {
            let mut text = String::new();
            TextEncoder::new()
                .encode_utf8(&self.registry.gather(), &mut text)
                .expect("families of the table are well formed and a string takes every write");
            text
        });
        page.push_str(text);
    }

    /// After every change, so that a text made meanwhile goes, too.
    fn changed(&self) {
        *self.text() = None;
    }

    fn text(&self) -> MutexGuard<'_, Option<String>> {
        // Whole or absent, whoever panicked.
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fates that are worth a series from the start.
fn known_alerts() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let fates = [
        ("accepted", "ok"),
        ("duplicate", "duplicate"),
        ("ignored", "resolved"),
        ("ignored", "missing_label"),
        ("ignored", "malformed"),
    ];
    ["failover", "disable"]
        .into_iter()
        .flat_map(move |action| fates.into_iter().map(move |(s, r)| (action, s, r)))
        .chain([
            ("heartbeat", "accepted", "ok"),
            ("heartbeat", "ignored", "unknown_source"),
            ("drill", "accepted", "ok"),
            ("other", "ignored", "not_actionable"),
        ])
}

fn opts(name: Name) -> Opts {
    Opts::new(name.metric().name, name.metric().help)
}

fn vec_of(name: Name) -> IntCounterVec {
    IntCounterVec::new(opts(name), name.metric().labels).expect("the table's names are valid")
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry
        .register(Box::new(collector.clone()))
        .expect("the table's names are unique");
    collector
}
