//! A Slack incoming webhook; Mattermost and others take the same. The URL is the secret.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::http::{Http, send, url_of};
use super::{Outcome, Receiver, Who};
use crate::actuator::journal::Soon;
use crate::config::Severity;
use crate::notify::{Act, Message};

pub(super) struct Slack {
    pub(super) http: Http,
    pub(super) url_file: PathBuf,
    pub(super) who: Who,
}

impl Receiver for Slack {
    fn send<'a>(&'a self, message: &'a Message) -> Soon<'a, Outcome> {
        Box::pin(async move {
            match url_of(&self.url_file) {
                Ok(url) => send(self.http.post(url).json(&body(message, &self.who))).await,
                Err(problem) => Outcome::Refused(problem),
            }
        })
    }
}

fn body(message: &Message, who: &Who) -> Value {
    let title = format!("slotkeeper on {}: {}", who.source, message.title());
    let color = match (message.act, message.severity) {
        (Act::Resolve, _) => "good",
        (_, Severity::Critical) => "danger",
        (_, Severity::Warning) => "warning",
        (_, Severity::Info) => "#439FE0",
    };
    let mut body = json!({
        // Shown by clients and notifications that show no attachment.
        "text": escape(&title),
        "attachments": [{
            "color": color,
            "fallback": escape(&title),
            "text": escape(&message.body()),
            "footer": format!("{} · {}", message.severity.as_str(), message.act.as_str()),
            "ts": message.at / 1000,
        }],
    });
    if let Some(page) = &who.page {
        // A link needs a title to hang on.
        body["attachments"][0]["title"] = json!("status page");
        body["attachments"][0]["title_link"] = json!(page);
    }
    body
}

/// The three characters that mean something to Slack: without this, a name could mention a whole channel.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_message_can_address_a_channel() {
        let mut message = Message::test(61_000);
        message.summary = "<!channel> & co".into();
        let who = Who {
            source: "host".into(),
            page: Some("https://keeper.example".into()),
        };
        let body = body(&message, &who);
        assert_eq!(
            body["attachments"][0]["title_link"],
            "https://keeper.example"
        );
        assert_eq!(
            body["text"],
            "slotkeeper on host: &lt;!channel&gt; &amp; co"
        );
        assert_eq!(body["attachments"][0]["ts"], 61);
        assert_eq!(body["attachments"][0]["color"], "#439FE0");
        message.act = Act::Resolve;
        assert_eq!(
            super::body(&message, &who)["attachments"][0]["color"],
            "good"
        );
    }
}
