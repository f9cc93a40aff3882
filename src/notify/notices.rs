//! What is told once: a switch and how it went, and changes that somebody else made. From the actuator's events; pure.

use serde::{Deserialize, Serialize};

use crate::actuator::EventRecord;
use crate::clock::Millis;
use crate::config::Severity;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notice {
    /// Its own name: the same event read twice is one notice.
    pub(super) id: String,
    /// What it is about: all that is told of one switch belongs together.
    pub(super) about: String,
    /// How bad.
    pub(super) severity: Severity,
    /// In one line.
    pub(super) summary: String,
    /// What is known, and what to do.
    pub(super) detail: String,
    /// When, local clock.
    pub(super) at: Millis,
}

/// The notice of an event; `None` for what nobody has to be told of.
pub(super) fn of(event: &EventRecord) -> Option<Notice> {
    let who = format!("{}/{}", event.chain, event.producer);
    let (severity, summary) = match event.kind.as_str() {
        "sent" => (Severity::Warning, format!("{who}: a switch was sent")),
        "effective" => (Severity::Info, format!("{who}: the switch is in effect")),
        "failed" | "expired" => (
            Severity::Critical,
            format!("{who}: a switch {}", ended(event)),
        ),
        "adopted" | "operator_override" => (
            Severity::Warning,
            format!("{who}: somebody else changed the signing key"),
        ),
        _ => return None,
    };
    let mut detail = event.detail.clone();
    if let Some(txid) = &event.txid {
        detail.push_str(&format!(" (transaction {txid})"));
    }
    let about = match &event.attempt_id {
        Some(attempt) => format!("switch/{attempt}"),
        None => format!("{}/{who}@{}", event.kind, event.at),
    };
    Some(Notice {
        id: format!("{}/{about}", event.kind),
        about,
        severity,
        summary,
        detail,
        at: event.at,
    })
}

fn ended(event: &EventRecord) -> &'static str {
    if event.kind == "expired" {
        "expired before it entered a block"
    } else {
        "failed"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, attempt: Option<&str>) -> EventRecord {
        EventRecord {
            at: 7,
            kind: kind.into(),
            chain: "hive".into(),
            producer: "alice".into(),
            detail: "why".into(),
            attempt_id: attempt.map(str::to_owned),
            txid: attempt.map(|_| "ab12".to_owned()),
            ..EventRecord::default()
        }
    }

    #[test]
    fn a_switch_is_one_story_and_each_step_of_it_is_told_once() {
        let sent = of(&event("sent", Some("a1"))).unwrap();
        let done = of(&event("effective", Some("a1"))).unwrap();
        assert_eq!(sent.about, done.about);
        assert_ne!(sent.id, done.id);
        assert_eq!(sent, of(&event("sent", Some("a1"))).unwrap());
        assert_eq!(sent.detail, "why (transaction ab12)");
        assert_eq!(sent.severity, Severity::Warning);
        assert_eq!(done.severity, Severity::Info);
        assert_eq!(
            of(&event("failed", Some("a1"))).unwrap().severity,
            Severity::Critical
        );
    }

    #[test]
    fn somebody_elses_change_is_told_and_most_events_are_not() {
        let adopted = of(&event("adopted", None)).unwrap();
        assert_eq!(adopted.about, "adopted/hive/alice@7");
        assert!(of(&event("operator_override", None)).is_some());
        for kind in [
            "decided",
            "signed",
            "included",
            "irreversible",
            "armed",
            "pinned",
        ] {
            assert_eq!(of(&event(kind, Some("a1"))), None, "{kind}");
        }
    }
}
