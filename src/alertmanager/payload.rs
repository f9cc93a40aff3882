//! The webhook payload, version 4, as far as we read it (prometheus/alertmanager `notify/webhook`; fields measured on
//! 0.25 to 0.33). Newer releases add fields: unknown ones are accepted. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::clock::Millis;

/// One webhook message. Alerts stay raw JSON until each is read on its own: one bad alert must not spoil the rest.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Payload {
    /// Always "4" so far; other values are read all the same, as far as they go.
    #[serde(default)]
    pub version: String,
    /// Alerts that Alertmanager left out because of `max_alerts`.
    #[serde(default, rename = "truncatedAlerts")]
    pub truncated: Option<i64>,
    /// The alerts.
    pub alerts: Vec<Value>,
}

/// One alert.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Alert {
    /// `firing` or `resolved`: the group's own status says firing while any alert fires.
    pub status: String,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Hash of the label set.
    #[serde(default)]
    pub fingerprint: String,
}

/// A body that is no payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is no Alertmanager webhook payload: {0}")]
pub(super) struct NotAPayload(String);

// === impl Payload ===

impl Payload {
    /// Reads a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, NotAPayload> {
        serde_json::from_slice(body).map_err(|e| NotAPayload(e.to_string()))
    }

    /// Alerts left out, as a count.
    #[must_use]
    pub(super) fn truncated(&self) -> u64 {
        self.truncated
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(0)
    }
}

// === impl Alert ===

impl Alert {
    /// A label that is there and not empty (in Alertmanager an empty label is an absent one).
    #[must_use]
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    /// Annotation `evaluated_at` in Unix milliseconds: `None` when absent, `Some(Err)` when it is no time.
    #[must_use]
    pub(super) fn evaluated_at(&self) -> Option<Result<Millis, ()>> {
        let text = self.annotations.get("evaluated_at")?.trim();
        if text.is_empty() {
            return None;
        }
        Some(parse_seconds(text).ok_or(()))
    }
}

/// Unix seconds, maybe with a fraction or an exponent (Go templates print large floats as `1.763e+09`), between the
/// years 2001 and 2286: anything else is a mistake in a template and not a time.
#[must_use]
pub(super) fn parse_seconds(text: &str) -> Option<Millis> {
    let seconds: f64 = text.parse().ok()?;
    if !(1e9..1e10).contains(&seconds) {
        return None;
    }
    // In range by the check above, so the cast cannot saturate.
    Some((seconds * 1000.0).round() as Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_accepted_and_missing_ones_too() {
        let body = br#"{"version":"5","notification_reason":"repeat interval elapsed","routeLabels":{},"truncatedAlerts":3,
            "alerts":[{"status":"firing","labels":{"a":"b"},"mood":"fine"},{"status":7}]}"#;
        let payload = Payload::parse(body).unwrap();
        assert_eq!(payload.truncated(), 3);
        assert_eq!(payload.alerts.len(), 2);
        let first: Alert = serde_json::from_value(payload.alerts[0].clone()).unwrap();
        assert_eq!(first.label("a"), Some("b"));
        assert!(serde_json::from_value::<Alert>(payload.alerts[1].clone()).is_err());
    }

    #[test]
    fn what_is_no_payload_is_said_to_be_none() {
        for body in [
            "",
            "{",
            "[]",
            "{}",
            "null",
            "{\"alerts\":{}}",
            "{\"alerts\":[]",
        ] {
            assert!(Payload::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn seconds_are_read_in_every_form_a_template_prints() {
        for (text, ms) in [
            ("1763710652", Some(1_763_710_652_000)),
            ("1763710652.25", Some(1_763_710_652_250)),
            ("1.763710652e+09", Some(1_763_710_652_000)),
            ("1763710652000", None),
            ("0", None),
            ("-1763710652", None),
            ("NaN", None),
            ("inf", None),
            ("now", None),
            ("", None),
        ] {
            assert_eq!(parse_seconds(text), ms, "{text}");
        }
    }
}
