//! The webhook: one authenticated body → heartbeats noted, requests submitted, one answer row for each alert.
//!
//! Only journals, never decides: it answers within milliseconds, or Alertmanager would deliver again. Label values never
//! choose a key or a command: `action` picks one of a fixed few, `signing_key` is parsed as the fence and nothing else.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::flood::Flood;
use super::heartbeat::Heartbeats;
use super::payload::{Alert, Payload};
use crate::actuator::{Action, Cause, Incoming, JournalError, SubmitStatus, Submitted};
use crate::clock::{Millis, Stopwatch};
use crate::config::Config;
use crate::keys::PublicKey;
use crate::metrics::Counters;

/// Largest body taken.
pub const MAX_BODY: usize = 1024 * 1024;

/// Where requests go. The actuator, or a stand-in.
pub trait Intake: Send + Sync {
    /// Takes requests in; they are durable when it returns.
    fn submit(
        &self,
        incoming: Vec<Incoming>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Submitted>, JournalError>> + Send + '_>>;
}

/// The webhook's part of the process.
pub struct Webhook {
    counters: Counters,
    heartbeats: Arc<Heartbeats>,
    intake: Arc<dyn Intake>,
    /// Key prefix of each configured chain.
    prefixes: BTreeMap<String, String>,
    flood: Mutex<Flood>,
    since: Stopwatch,
}

/// What became of one alert: a row of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The request it made or refreshed; `null` where it made none.
    pub request_id: Option<String>,
    /// As sent.
    pub fingerprint: Option<String>,
    /// Label `chain`.
    pub chain: Option<String>,
    /// Label `producer`.
    pub producer: Option<String>,
    /// Label `action`.
    pub action: Option<String>,
    /// `accepted`, `duplicate` or `ignored`.
    pub status: &'static str,
    /// `ok`, `duplicate`, or why it was ignored.
    pub reason: &'static str,
}

/// The answer to a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200.
    Results(Vec<Row>),
    /// 400: not a payload, and why.
    Unparsable(String),
    /// 429.
    Flood,
    /// 503: could not be made durable; Alertmanager shall deliver again.
    Unavailable(String),
}

/// Why an alert is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ignored {
    Resolved,
    NotActionable,
    MissingLabel,
    Malformed,
    UnknownSource,
}

/// What one alert asks for.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Heartbeat {
        source: String,
        evaluated_at: Millis,
    },
    Request(Box<Incoming>),
    Ignore(Ignored),
}

// === impl Ignored ===

impl Ignored {
    fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::NotActionable => "not_actionable",
            Self::MissingLabel => "missing_label",
            Self::Malformed => "malformed",
            Self::UnknownSource => "unknown_source",
        }
    }
}

// === impl Webhook ===

impl Webhook {
    /// For this configuration.
    #[must_use]
    pub fn new(
        config: &Config,
        counters: Counters,
        heartbeats: Arc<Heartbeats>,
        intake: Arc<dyn Intake>,
    ) -> Self {
        Self {
            counters,
            heartbeats,
            intake,
            prefixes: config
                .chains
                .iter()
                .map(|c| (c.spec.name.clone(), c.spec.address_prefix.clone()))
                .collect(),
            flood: Mutex::new(Flood::default()),
            since: Stopwatch::start(),
        }
    }

    /// The counters it keeps.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Deals with one authenticated body received at `now`.
    pub async fn receive(&self, body: &[u8], now: Millis) -> Answer {
        let payload = match Payload::parse(body) {
            Ok(payload) => payload,
            Err(error) => return Answer::Unparsable(error.to_string()),
        };
        if !self.admit(payload.alerts.len()) {
            tracing::warn!(alerts = payload.alerts.len(), "webhook flood refused");
            return Answer::Flood;
        }
        if payload.version != "4" {
            tracing::warn!(
                version = payload.version,
                "a webhook payload of a version that was never tested here; read as version 4"
            );
        }
        self.note_truncated(&payload);
        let mut rows = Vec::with_capacity(payload.alerts.len());
        let mut requests = Vec::new();
        for raw in payload.alerts {
            let alert = serde_json::from_value::<Alert>(raw).ok();
            let meaning = alert
                .as_ref()
                .map_or(Meaning::Ignore(Ignored::Malformed), |a| self.meaning(a));
            let mut row = Row::of(alert.as_ref());
            match meaning {
                Meaning::Ignore(why) => row.ignored(why),
                Meaning::Heartbeat {
                    source,
                    evaluated_at,
                } => {
                    if self.heartbeats.beat(&source, evaluated_at, now) {
                        row.status = "accepted";
                        row.reason = "ok";
                    } else {
                        tracing::warn!(source, "heartbeat of a source that is not configured");
                        row.ignored(Ignored::UnknownSource);
                    }
                }
                Meaning::Request(incoming) => requests.push((rows.len(), *incoming)),
            }
            rows.push(row);
        }
        if let Err(error) = self.submit(requests, &mut rows).await {
            tracing::error!(%error, "alerts could not be journaled; Alertmanager will deliver them again");
            return Answer::Unavailable(error.to_string());
        }
        for row in &rows {
            self.counters
                .alert(bounded(row.action.as_deref()), row.status, row.reason);
            tracing::debug!(?row, "alert");
        }
        Answer::Results(rows)
    }

    async fn submit(
        &self,
        requests: Vec<(usize, Incoming)>,
        rows: &mut [Row],
    ) -> Result<(), JournalError> {
        if requests.is_empty() {
            return Ok(());
        }
        let (places, incoming): (Vec<usize>, Vec<Incoming>) = requests.into_iter().unzip();
        let submitted = self.intake.submit(incoming).await?;
        for (place, done) in places.into_iter().zip(submitted) {
            let Some(row) = rows.get_mut(place) else {
                continue;
            };
            (row.status, row.reason) = match done.status {
                SubmitStatus::Accepted => ("accepted", "ok"),
                SubmitStatus::Duplicate => ("duplicate", "duplicate"),
            };
            row.request_id = Some(done.request_id);
        }
        Ok(())
    }

    fn admit(&self, alerts: usize) -> bool {
        self.flood
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admit(alerts, self.since.elapsed())
    }

    fn note_truncated(&self, payload: &Payload) {
        let left_out = payload.truncated();
        if left_out > 0 {
            self.counters.truncated(left_out);
            tracing::warn!(
                left_out,
                "Alertmanager left alerts out of its message: remove max_alerts from the webhook receiver, or faults go unseen"
            );
        }
    }

    fn meaning(&self, alert: &Alert) -> Meaning {
        read(alert, &self.prefixes).unwrap_or_else(Meaning::Ignore)
    }
}

fn read(alert: &Alert, prefixes: &BTreeMap<String, String>) -> Result<Meaning, Ignored> {
    match alert.status.as_str() {
        "firing" => {}
        // Resolved means "no longer fires" and that is not "healthy": it never acts.
        "resolved" => return Err(Ignored::Resolved),
        _ => return Err(Ignored::Malformed),
    }
    let label = |name: &str| {
        alert
            .label(name)
            .map(str::to_owned)
            .ok_or(Ignored::MissingLabel)
    };
    let evaluated_at = || match alert.evaluated_at() {
        None => Err(Ignored::MissingLabel),
        Some(at) => at.map_err(|()| Ignored::Malformed),
    };
    let (action, cause) = match alert.label("action") {
        Some("failover") => (Action::Failover, Cause::Webhook),
        Some("disable") => (Action::Disable, Cause::Webhook),
        Some("drill") => (Action::Rehearse, Cause::Drill),
        Some("heartbeat") => {
            return Ok(Meaning::Heartbeat {
                source: label("source")?,
                evaluated_at: evaluated_at()?,
            });
        }
        _ => return Err(Ignored::NotActionable),
    };
    let chain = label("chain")?;
    let producer = label("producer")?;
    // A drill may leave the fence out: it asks whether the path works, not whether this key is at fault.
    let fence = match (label("signing_key"), cause) {
        (Ok(text), _) => match prefixes.get(&chain) {
            Some(prefix) => Some(PublicKey::parse(&text, prefix).map_err(|_| Ignored::Malformed)?),
            // The actuator says `unknown_producer` of a chain that is not configured.
            None => None,
        },
        (Err(_), Cause::Drill) => None,
        (Err(missing), _) => return Err(missing),
    };
    Ok(Meaning::Request(Box::new(Incoming {
        chain,
        producer,
        action,
        cause,
        fence,
        fingerprint: Some(alert.fingerprint.clone()).filter(|f| !f.is_empty()),
        labels: alert
            .labels
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        evaluated_at: Some(evaluated_at()?),
        to: None,
        override_reason: None,
    })))
}

/// The label `action` as a metric label: whoever can post must not be able to make series.
fn bounded(action: Option<&str>) -> &'static str {
    match action {
        Some("failover") => "failover",
        Some("disable") => "disable",
        Some("heartbeat") => "heartbeat",
        Some("drill") => "drill",
        _ => "other",
    }
}

// === impl Row ===

impl Row {
    fn of(alert: Option<&Alert>) -> Self {
        let label = |name| alert.and_then(|a| a.label(name)).map(str::to_owned);
        Self {
            request_id: None,
            fingerprint: alert
                .map(|a| a.fingerprint.clone())
                .filter(|f| !f.is_empty()),
            chain: label("chain"),
            producer: label("producer"),
            action: label("action"),
            status: "ignored",
            reason: "malformed",
        }
    }

    fn ignored(&mut self, why: Ignored) {
        self.status = "ignored";
        self.reason = why.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PublicKey {
        let mut bytes = [7; 33];
        bytes[0] = 2;
        PublicKey::from_bytes(bytes)
    }

    fn alert(status: &str, labels: &[(&str, &str)], evaluated_at: Option<&str>) -> Alert {
        Alert {
            status: status.into(),
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            annotations: evaluated_at
                .map(|at| ("evaluated_at".to_owned(), at.to_owned()))
                .into_iter()
                .collect(),
            fingerprint: "f00".into(),
        }
    }

    fn why(labels: &[(&str, &str)], evaluated_at: Option<&str>) -> Option<&'static str> {
        let prefixes = BTreeMap::from([("steem".to_owned(), "STM".to_owned())]);
        read(&alert("firing", labels, evaluated_at), &prefixes)
            .err()
            .map(Ignored::as_str)
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let at = Some("1763710652.5");
        let text = key().to_text("STM");
        let whole = |action| {
            [
                ("action", action),
                ("chain", "steem"),
                ("producer", "alice"),
                ("signing_key", text.as_str()),
            ]
        };
        assert_eq!(why(&whole("failover"), at), None);
        assert_eq!(why(&whole("disable"), at), None);
        assert_eq!(why(&whole("drill"), at), None);
        assert_eq!(why(&whole("failover")[..3], at), Some("missing_label"));
        assert_eq!(why(&whole("drill")[..3], at), None);
        assert_eq!(why(&whole("failover")[..2], at), Some("missing_label"));
        assert_eq!(why(&whole("failover"), None), Some("missing_label"));
        assert_eq!(why(&whole("failover"), Some("soon")), Some("malformed"));
        assert_eq!(why(&whole("reboot"), at), Some("not_actionable"));
        assert_eq!(why(&[], at), Some("not_actionable"));
        assert_eq!(why(&[("action", "heartbeat"), ("source", "a")], at), None);
        assert_eq!(
            why(&[("action", "heartbeat"), ("source", "a")], None),
            Some("missing_label")
        );
        assert_eq!(why(&[("action", "heartbeat")], at), Some("missing_label"));
        let mut foreign = whole("failover");
        foreign[3].1 = "unknown";
        assert_eq!(why(&foreign, at), Some("malformed"));
        let mut elsewhere = whole("failover");
        elsewhere[1].1 = "hive";
        assert_eq!(why(&elsewhere, at), None, "the actuator refuses it by name");
    }

    #[test]
    fn resolved_never_means_anything() {
        let prefixes = BTreeMap::new();
        for labels in [
            &[("action", "failover")][..],
            &[("action", "heartbeat")],
            &[],
        ] {
            assert_eq!(
                read(&alert("resolved", labels, None), &prefixes),
                Err(Ignored::Resolved)
            );
        }
        assert_eq!(
            read(&alert("?", &[], None), &prefixes),
            Err(Ignored::Malformed)
        );
    }

    #[test]
    fn a_request_carries_the_alert_and_only_its_fence() {
        let prefixes = BTreeMap::from([("steem".to_owned(), "STM".to_owned())]);
        let text = key().to_text("STM");
        let labels = [
            ("action", "failover"),
            ("chain", "steem"),
            ("producer", "alice"),
            ("signing_key", text.as_str()),
            ("to", "STM1111111111111111111111111111111114T1Anm"),
        ];
        let Ok(Meaning::Request(request)) =
            read(&alert("firing", &labels, Some("1763710652.5")), &prefixes)
        else {
            panic!("no request");
        };
        assert_eq!(request.fence, Some(key()));
        assert_eq!(request.to, None);
        assert_eq!(request.evaluated_at, Some(1_763_710_652_500));
        assert_eq!(request.labels.len(), 5);
        assert_eq!(
            (request.action, request.cause),
            (Action::Failover, Cause::Webhook)
        );
    }
}
