//! PagerDuty Events v2. One incident for each episode: trigger, reminder and end share a `dedup_key`, so a message told
//! twice is one incident still.

use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::http::{Http, send};
use super::{Outcome, Receiver, Who, secret};
use crate::actuator::journal::Soon;
use crate::notify::{Act, Message};

pub(super) struct Pagerduty {
    pub(super) http: Http,
    pub(super) url: String,
    pub(super) routing_key_file: PathBuf,
    pub(super) who: Who,
}

/// PagerDuty refuses a longer summary, and a longer key.
const SUMMARY: usize = 1024;
const DEDUP_KEY: usize = 255;

impl Receiver for Pagerduty {
    fn send<'a>(&'a self, message: &'a Message) -> Soon<'a, Outcome> {
        Box::pin(async move {
            let key = match secret(&self.routing_key_file) {
                Ok(key) => key,
                Err(problem) => return Outcome::Refused(problem),
            };
            let Ok(url) = self.url.parse() else {
                return Outcome::Refused("the url cannot be read".into());
            };
            let event = event(message, key.expose_secret(), &self.who);
            send(self.http.post(url).json(&event)).await
        })
    }
}

fn event(message: &Message, key: &str, who: &Who) -> Value {
    let dedup_key = cut(&message.id, DEDUP_KEY);
    if message.act == Act::Resolve {
        return json!({"routing_key": key, "event_action": "resolve", "dedup_key": dedup_key});
    }
    let summary = format!("slotkeeper: {}", message.title());
    let timestamp = jiff::Timestamp::from_millisecond(message.at).map(|t| t.to_string());
    let mut event = json!({
        "routing_key": key,
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "slotkeeper",
        "payload": {
            "summary": cut(&summary, SUMMARY),
            "source": who.source,
            "severity": message.severity.as_str(),
            "component": "slotkeeper",
            "timestamp": timestamp.ok(),
            "custom_details": {"detail": message.body(), "kind": message.act.as_str()},
        },
    });
    if let Some(page) = &who.page {
        event["client_url"] = json!(page);
        event["links"] = json!([{"href": page, "text": "status of slotkeeper"}]);
    }
    event
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;

    #[test]
    fn an_episode_is_one_incident_from_trigger_to_resolve() {
        let mut message = Message {
            id: "heartbeat/a@5".into(),
            act: Act::Trigger,
            severity: Severity::Critical,
            summary: "heartbeat a is overdue".into(),
            detail: "Last heard 21 s ago.".into(),
            since: 5_000,
            at: 5_000,
            left_out: Some("Left out before this message: 2.".into()),
        };
        let mut who = Who {
            source: "host".into(),
            page: None,
        };
        assert_eq!(
            event(&message, "KEY", &who),
            json!({
                "routing_key": "KEY", "event_action": "trigger", "dedup_key": "heartbeat/a@5", "client": "slotkeeper",
                "payload": {
                    "summary": "slotkeeper: heartbeat a is overdue", "source": "host", "severity": "critical",
                    "component": "slotkeeper", "timestamp": "1970-01-01T00:00:05Z",
                    "custom_details": {
                        "detail": "Last heard 21 s ago.\nLeft out before this message: 2.", "kind": "trigger"
                    },
                },
            })
        );
        who.page = Some("https://keeper.example".into());
        let linked = event(&message, "KEY", &who);
        assert_eq!(linked["client_url"], "https://keeper.example");
        assert_eq!(linked["links"][0]["href"], "https://keeper.example");
        message.act = Act::Resolve;
        assert_eq!(
            event(&message, "KEY", &who),
            json!({"routing_key": "KEY", "event_action": "resolve", "dedup_key": "heartbeat/a@5"})
        );
    }
}
