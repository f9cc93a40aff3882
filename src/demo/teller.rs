//! What every telling has: a timeline, somebody to tell it to, and the public HTTP of slotkeeper and Alertmanager. Asks
//! slotkeeper's insides nothing.

use std::time::Duration;

use serde_json::Value;

use super::monitoring::Monitoring;
use super::timeline::{Event, Kind, Timeline, of_decision};
use super::world::Ports;
use crate::clock::Stopwatch;

/// Why a story has no end.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// The world would not act.
    #[error("slotkeeper was not armed and able within {0:?}; its own words: {1}")]
    NotAble(Duration, String),
    /// The standby did not produce.
    #[error("the standby did not produce within {0:?}; the last event was {1}")]
    NoEnd(Duration, &'static str),
    /// Something local failed.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// Who tells a story.
pub(super) struct Teller<'a> {
    watch: Stopwatch,
    timeline: Timeline,
    client: reqwest::Client,
    ports: Ports,
    /// Alertmanager's base URL, where there is one.
    alertmanager: Option<String>,
    tell: &'a mut dyn FnMut(&Event, &Timeline),
}

// === impl Teller ===

impl<'a> Teller<'a> {
    /// A story about `producer`; every event goes to `tell` as it is seen.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub(super) fn new(
        producer: &str,
        ports: Ports,
        monitoring: Option<&Monitoring>,
        watch: Stopwatch,
        tell: &'a mut dyn FnMut(&Event, &Timeline),
    ) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .build()?;
        Ok(Self {
            watch,
            timeline: Timeline::new(producer),
            client,
            ports,
            alertmanager: monitoring.map(|pair| pair.alertmanager_url.clone()),
            tell,
        })
    }

    /// Since the demo started.
    pub(super) fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    /// Whether `kind` has been told.
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.timeline.has(kind)
    }

    /// Tells an event, unless it has been told.
    pub(super) fn say(
        &mut self,
        kind: Kind,
        slot: Option<u64>,
        txid: Option<String>,
        note: String,
    ) {
        let t_ms = u64::try_from(self.watch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let event = Event {
            t_ms,
            kind,
            slot,
            txid,
            note,
        };
        if let Some(event) = self.timeline.tell(event).cloned() {
            (self.tell)(&event, &self.timeline);
        }
    }

    /// Looks every `look` until slotkeeper is armed and able, knows all keys ready, and `more` holds of its word on the
    /// producer.
    pub(super) async fn until_able(
        &self,
        patience: Duration,
        look: Duration,
        more: impl Fn(&Value) -> bool,
    ) -> Result<(), StoryError> {
        let mut words = String::from("no answer on /api/v1/status");
        while self.watch.elapsed() < patience {
            if let Some(status) = self.slotkeeper("/api/v1/status").await {
                let producer = &status["producers"][0];
                let ready = producer["keys"].as_array().is_some_and(|keys| {
                    keys.iter().all(|key| key["ready"].as_bool() == Some(true))
                });
                if producer["armed"] == true && producer["able"] == true && ready && more(producer)
                {
                    return Ok(());
                }
                words = producer.to_string();
            }
            tokio::time::sleep(look).await;
        }
        Err(StoryError::NotAble(patience, words))
    }

    /// Whether Alertmanager has the alert.
    pub(super) async fn look_at_alerts(&mut self) {
        let Some(alertmanager) = &self.alertmanager else {
            return;
        };
        if self.has(Kind::AlertFiring) {
            return;
        }
        let url = format!("{alertmanager}/api/v2/alerts?filter=action%3D%22failover%22");
        let alerts = self.get(&url).await;
        let alerts = alerts.as_ref().and_then(Value::as_array);
        let producer = self.timeline.producer();
        if alerts.is_some_and(|list| list.iter().any(|a| a["labels"]["producer"] == producer)) {
            let note = "Alertmanager has the alert".into();
            self.say(Kind::AlertFiring, None, None, note);
        }
    }

    /// What slotkeeper has decided, and how far that has come.
    pub(super) async fn look_at_decisions(&mut self) {
        let Some(answer) = self.slotkeeper("/api/v1/decisions").await else {
            return;
        };
        let mut records: Vec<Value> = answer["decisions"].as_array().cloned().unwrap_or_default();
        // Newest first on the wire; the story goes forward.
        records.sort_by_key(|record| record["time"].to_string());
        for record in &records {
            for (kind, txid, note) in of_decision(record) {
                self.say(kind, None, txid, note);
            }
        }
    }

    /// The story has not ended within `patience`.
    pub(super) fn no_end(&self, patience: Duration) -> StoryError {
        let last = self.timeline.events().last();
        StoryError::NoEnd(patience, last.map_or("none", |e| e.kind.as_str()))
    }

    /// The end of the story.
    pub(super) fn done(mut self) -> Timeline {
        self.say(Kind::Done, None, None, "production goes on".into());
        self.timeline
    }

    async fn slotkeeper(&self, path: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}{path}", self.ports.web);
        self.get(&url).await
    }

    async fn get(&self, url: &str) -> Option<Value> {
        self.client.get(url).send().await.ok()?.json().await.ok()
    }
}
