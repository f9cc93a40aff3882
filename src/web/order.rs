//! The body of an operator command, from JSON or from a form of the control page, and its checks. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::actuator::Verb;
use crate::clock::Millis;
use crate::config::parse_duration;
use crate::keys::PublicKey;

/// As given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Order {
    to: Option<String>,
    until: Option<Value>,
    override_reason: Option<String>,
}

/// Target, end of maintenance, reason to override.
pub(super) type Checked = (Option<PublicKey>, Option<Millis>, Option<String>);

/// The verb of a path.
#[must_use]
pub(super) fn verb(text: &str) -> Option<Verb> {
    Some(match text {
        "arm" => Verb::Arm,
        "disarm" => Verb::Disarm,
        "pin" => Verb::Pin,
        "unpin" => Verb::Unpin,
        "maintenance" => Verb::Maintenance,
        "failover" => Verb::Failover,
        "switchover" => Verb::Switchover,
        "disable" => Verb::Disable,
        "enable" => Verb::Enable,
        "rehearse" => Verb::Rehearse,
        _ => return None,
    })
}

// === impl Order ===

impl Order {
    /// From a JSON body; an empty one asks for nothing special.
    pub(super) fn from_json(body: &[u8]) -> Result<Self, String> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        serde_json::from_slice(body).map_err(|e| {
            format!("the body must be {{\"to\"?, \"until\"?, \"override_reason\"?}}: {e}")
        })
    }

    /// From a form: empty fields were left out.
    pub(super) fn from_form(form: &BTreeMap<String, String>) -> Result<Self, String> {
        let field = |name: &str| {
            form.get(name)
                .map(|v| v.trim().to_owned())
                .filter(|v| !v.is_empty())
        };
        Ok(Self {
            to: field("to"),
            until: field("until").map(Value::String),
            override_reason: field("override_reason"),
        })
    }

    /// Reads key and time. `prefix` is the chain's; `now` is where spans count from.
    pub(super) fn check(self, prefix: &str, now: Millis) -> Result<Checked, String> {
        let to = self
            .to
            .map(|text| {
                PublicKey::parse(&text, prefix)
                    .map_err(|e| format!("to: {text:?} is no key of this chain: {e}"))
            })
            .transpose()?;
        let until = self.until.map(|value| moment(&value, now)).transpose()?;
        let reason = self.override_reason.map(|r| r.trim().to_owned());
        if reason.as_deref() == Some("") {
            return Err("override_reason is empty: say why, it is journaled".into());
        }
        Ok((to, until, reason))
    }
}

/// RFC 3339, Unix seconds, or a span from now.
fn moment(value: &Value, now: Millis) -> Result<Millis, String> {
    let wrong = || {
        format!(
            "until: {value} is no time: use RFC 3339 such as 2026-12-01T08:00:00Z, Unix seconds, or a span such as 30m"
        )
    };
    match value {
        Value::Number(n) => n
            .as_f64()
            .filter(|s| (1e9..1e10).contains(s))
            .map(|s| (s * 1000.0).round() as Millis)
            .ok_or_else(wrong),
        Value::String(text) => {
            if let Ok(time) = text.parse::<jiff::Timestamp>() {
                return Ok(time.as_millisecond());
            }
            let span = parse_duration(text).map_err(|_| wrong())?;
            Millis::try_from(span.as_millis())
                .ok()
                .and_then(|span| now.checked_add(span))
                .ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_763_710_652_000;

    #[test]
    fn times_are_read_in_three_forms() {
        for (json, at) in [
            (r#"{"until":"2025-11-21T08:07:32Z"}"#, NOW + 1_800_000),
            (r#"{"until":"30m"}"#, NOW + 1_800_000),
            (r#"{"until":1763712452}"#, NOW + 1_800_000),
        ] {
            let checked = Order::from_json(json.as_bytes()).unwrap().check("STM", NOW);
            assert_eq!(checked.unwrap().1, Some(at), "{json}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (json, said) in [
            (r#"{"overide_reason":"x"}"#, "overide_reason"),
            (r#"{"until":"soon"}"#, "until"),
            (r#"{"until":true}"#, "until"),
            (r#"{"to":"STMx"}"#, "to:"),
            (r#"{"override_reason":" "}"#, "say why"),
            ("[", "body must be"),
        ] {
            let error = Order::from_json(json.as_bytes())
                .and_then(|o| o.check("STM", NOW))
                .unwrap_err();
            assert!(error.contains(said), "{json}: {error}");
        }
        assert_eq!(
            Order::from_json(b"\n").unwrap().check("STM", NOW),
            Ok((None, None, None))
        );
    }
}
