//! JSON to any address, with a bearer token where one is needed.

use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::http::{Http, send, url_of};
use super::{Outcome, Receiver, Who, secret};
use crate::actuator::journal::Soon;
use crate::notify::Message;

pub(super) struct Webhook {
    pub(super) http: Http,
    pub(super) url_file: PathBuf,
    pub(super) token_file: Option<PathBuf>,
    pub(super) who: Who,
}

impl Receiver for Webhook {
    fn send<'a>(&'a self, message: &'a Message) -> Soon<'a, Outcome> {
        Box::pin(async move {
            let url = match url_of(&self.url_file) {
                Ok(url) => url,
                Err(problem) => return Outcome::Refused(problem),
            };
            let mut request = self.http.post(url).json(&body(message, &self.who));
            if let Some(file) = &self.token_file {
                match secret(file) {
                    Ok(token) => request = request.bearer_auth(token.expose_secret()),
                    Err(problem) => return Outcome::Refused(problem),
                }
            }
            send(request).await
        })
    }
}

/// Times are Unix seconds. Fields may be added, not changed.
fn body(message: &Message, who: &Who) -> Value {
    let seconds = |ms: i64| json!(ms / 1000);
    json!({
        "version": "1",
        "source": who.source,
        "page": who.page,
        "id": message.id,
        "event": message.act.as_str(),
        "severity": message.severity.as_str(),
        "summary": message.summary,
        "title": message.title(),
        "detail": message.body(),
        "since": seconds(message.since),
        "time": seconds(message.at),
    })
}
