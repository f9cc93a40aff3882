//! Silences: which are in force, and whether one says "hands off" for a producer's key. Owns the cache and what of it
//! is kept in the journal; [`super::client`] fetches. Time comes in as an argument.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::matcher::Matcher;
use crate::actuator::journal::Entry;
use crate::clock::Millis;

/// Namespace in the journal.
pub(super) const KIND: &str = "silence";

/// One silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Alertmanager's id.
    pub id: String,
    /// All must fit.
    pub matchers: Vec<Matcher>,
    /// In force from, Unix milliseconds.
    pub starts_at: Millis,
    /// In force until, Unix milliseconds.
    pub ends_at: Millis,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// Silences known, by Alertmanager and id.
#[derive(Debug, Default)]
pub struct Silences {
    known: Mutex<BTreeMap<(String, String), Silence>>,
}

/// A silence as `GET /api/v2/silences` gives it (prometheus/alertmanager `api/v2/openapi.yaml`, `gettableSilence`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    id: String,
    matchers: Vec<Matcher>,
    starts_at: String,
    ends_at: String,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    status: RawStatus,
}

#[derive(Deserialize, Default)]
struct RawStatus {
    #[serde(default)]
    state: String,
}

/// Reads an answer of the API. One that cannot be read is an error for the whole answer: a silence overlooked is a
/// switch in the middle of somebody's maintenance.
pub(super) fn parse(answer: &[u8]) -> Result<Vec<Silence>, String> {
    let raw: Vec<Raw> = serde_json::from_slice(answer).map_err(|e| e.to_string())?;
    raw.into_iter()
        .filter(|s| s.status.state != "expired")
        .map(|s| {
            Ok(Silence {
                starts_at: time(&s.starts_at)?,
                ends_at: time(&s.ends_at)?,
                id: s.id,
                matchers: s.matchers,
                created_by: s.created_by,
                comment: s.comment,
            })
        })
        .collect()
}

fn time(text: &str) -> Result<Millis, String> {
    text.parse::<jiff::Timestamp>()
        .map(|t| t.as_millisecond())
        .map_err(|e| format!("time {text:?}: {e}"))
}

// === impl Silence ===

impl Silence {
    /// Whether it covers an alert with these labels at `now`.
    #[must_use]
    pub fn covers(&self, labels: &[(&str, &str)], now: Millis) -> bool {
        (self.starts_at..self.ends_at).contains(&now)
            && !self.matchers.is_empty()
            && self.matchers.iter().all(|m| m.fits(labels))
    }

    fn describe(&self) -> String {
        format!(
            "silence {} by {} ({})",
            self.id,
            if self.created_by.is_empty() {
                "somebody"
            } else {
                &self.created_by
            },
            if self.comment.is_empty() {
                "no comment"
            } else {
                &self.comment
            },
        )
    }
}

// === impl Silences ===

impl Silences {
    /// Takes up what was known before a restart, of the Alertmanagers that are still configured.
    pub fn restore(&self, kept: Vec<(String, Value)>, alertmanagers: &[String]) {
        let mut known = self.lock();
        for (_, value) in kept {
            if let Ok((alertmanager, silence)) = serde_json::from_value::<(String, Silence)>(value)
                && alertmanagers.contains(&alertmanager)
            {
                known
                    .entry((alertmanager, silence.id.clone()))
                    .or_insert(silence);
            }
        }
    }

    /// One Alertmanager answered: its silences replace those known of it. What must be journaled comes back.
    pub fn replace(&self, alertmanager: &str, fresh: Vec<Silence>) -> Vec<Entry> {
        let mut known = self.lock();
        let mut entries = Vec::new();
        let fresh: BTreeMap<String, Silence> =
            fresh.into_iter().map(|s| (s.id.clone(), s)).collect();
        known.retain(|(owner, id), _| {
            let gone = owner == alertmanager && !fresh.contains_key(id);
            if gone {
                entries.push(entry(owner, id, None));
            }
            !gone
        });
        for (id, silence) in fresh {
            let place = (alertmanager.to_owned(), id);
            if known.get(&place) != Some(&silence) {
                entries.push(entry(alertmanager, &place.1, Some(&silence)));
                known.insert(place, silence);
            }
        }
        entries
    }

    /// A known silence that covers these labels at `now`, in words.
    #[must_use]
    pub fn covering(&self, labels: &[(&str, &str)], now: Millis) -> Option<String> {
        self.lock()
            .values()
            .find(|s| s.covers(labels, now))
            .map(Silence::describe)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Silence>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(alertmanager: &str, id: &str, silence: Option<&Silence>) -> Entry {
    Entry::Kv {
        kind: KIND.into(),
        key: format!("{alertmanager} {id}"),
        value: silence.and_then(|s| serde_json::to_value((alertmanager, s)).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = br#"[
      {"id":"a1","status":{"state":"active"},"updatedAt":"2025-11-21T07:00:00.000Z","comment":"move to new rack","createdBy":"ops",
       "startsAt":"2025-11-21T07:00:00.000Z","endsAt":"2025-11-21T09:00:00.000Z",
       "matchers":[{"name":"chain","value":"steem","isRegex":false,"isEqual":true},{"name":"producer","value":"ali.*","isRegex":true,"isEqual":true}]},
      {"id":"a2","status":{"state":"expired"},"comment":"","createdBy":"","startsAt":"2025-11-20T07:00:00Z","endsAt":"2025-11-20T09:00:00Z","matchers":[{"name":"chain","value":"steem","isRegex":false}]}
    ]"#;
    const INSIDE: Millis = 1_763_710_652_000; // 07:37:32

    fn labels(producer: &'static str) -> [(&'static str, &'static str); 5] {
        [
            ("chain", "steem"),
            ("producer", producer),
            ("signing_key", "STM1"),
            ("action", "failover"),
            ("alertname", "ProducerFault"),
        ]
    }

    #[test]
    fn a_silence_covers_what_all_its_matchers_fit_while_it_lasts() {
        let silences = Silences::default();
        assert_eq!(silences.replace("am", parse(ANSWER).unwrap()).len(), 1);
        let said = silences.covering(&labels("alice"), INSIDE).unwrap();
        assert_eq!(said, "silence a1 by ops (move to new rack)");
        assert_eq!(silences.covering(&labels("bob"), INSIDE), None);
        assert_eq!(
            silences.covering(&labels("alice"), INSIDE - 3_600_000),
            None
        );
        assert_eq!(
            silences.covering(&labels("alice"), INSIDE + 5_400_000),
            None
        );
    }

    #[test]
    fn a_matcher_on_anything_else_must_fit_too() {
        let mut silence = parse(ANSWER).unwrap().remove(0);
        let matcher = |name: &str, value: &str, is_equal| Matcher {
            name: name.into(),
            value: value.into(),
            is_regex: false,
            is_equal,
        };
        silence.matchers.push(matcher("instance", "x", true));
        assert!(!silence.covers(&labels("alice"), INSIDE));
        silence.matchers[2] = matcher("instance", "x", false);
        assert!(silence.covers(&labels("alice"), INSIDE));
        silence.matchers = vec![matcher("alertname", "ProducerFault", true)];
        assert!(
            silence.covers(&labels("alice"), INSIDE),
            "a silence of the alert as such"
        );
        silence.matchers.clear();
        assert!(!silence.covers(&labels("alice"), INSIDE));
    }

    #[test]
    fn each_alertmanager_replaces_its_own_and_only_changes_are_journaled() {
        let silences = Silences::default();
        let one = parse(ANSWER).unwrap();
        assert_eq!(silences.replace("a", one.clone()).len(), 1);
        assert_eq!(silences.replace("a", one.clone()).len(), 0);
        assert_eq!(silences.replace("b", one).len(), 1);
        assert_eq!(silences.replace("a", vec![]).len(), 1);
        assert!(
            silences.covering(&labels("alice"), INSIDE).is_some(),
            "b still says so"
        );
        silences.replace("b", vec![]);
        assert!(silences.covering(&labels("alice"), INSIDE).is_none());
    }

    #[test]
    fn a_restart_remembers_those_of_configured_alertmanagers() {
        let before = Silences::default();
        let kept: Vec<(String, Value)> = before
            .replace("am", parse(ANSWER).unwrap())
            .into_iter()
            .map(|e| match e {
                Entry::Kv { key, value, .. } => (key, value.unwrap()),
                other => panic!("{other:?}"),
            })
            .collect();
        let after = Silences::default();
        after.restore(kept.clone(), &["other".to_owned()]);
        assert!(after.covering(&labels("alice"), INSIDE).is_none());
        after.restore(kept, &["am".to_owned()]);
        assert!(after.covering(&labels("alice"), INSIDE).is_some());
    }
}
