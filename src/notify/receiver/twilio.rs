//! A text message by Twilio: the title and as much of the rest as fits.

use reqwest::Url;
use secrecy::ExposeSecret;

use super::http::{Http, send};
use super::{Outcome, Receiver, Who, secret};
use crate::actuator::journal::Soon;
use crate::config::TwilioConfig;
use crate::notify::Message;

pub(super) struct Twilio {
    pub(super) http: Http,
    pub(super) config: TwilioConfig,
    pub(super) who: Who,
}

/// Two parts of a text message in a small alphabet; longer ones cost more and say no more.
const LONGEST: usize = 300;

impl Receiver for Twilio {
    fn send<'a>(&'a self, message: &'a Message) -> Soon<'a, Outcome> {
        Box::pin(async move {
            let c = &self.config;
            let token = match secret(&c.token_file) {
                Ok(token) => token,
                Err(problem) => return Outcome::Refused(problem),
            };
            let base = c.url.trim_end_matches('/');
            let url = format!("{base}/2010-04-01/Accounts/{}/Messages.json", c.account_sid);
            let (Ok(url), Some(form)) = (url.parse(), self.form(message)) else {
                return Outcome::Refused("the url cannot be read".into());
            };
            let request = self
                .http
                .post(url)
                .basic_auth(&c.account_sid, Some(token.expose_secret()))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form);
            send(request).await
        })
    }
}

impl Twilio {
    /// The fields as a form: a URL's query is written the same way.
    fn form(&self, message: &Message) -> Option<String> {
        let fields = [
            ("From", self.config.from.as_str()),
            ("To", self.config.to.as_str()),
            ("Body", &text(message, &self.who.source)),
        ];
        let url = Url::parse_with_params("http://form/", fields).ok()?;
        url.query().map(str::to_owned)
    }
}

fn text(message: &Message, source: &str) -> String {
    let whole = format!(
        "slotkeeper on {source}: {}. {}",
        message.title(),
        message.body()
    );
    whole.trim_end().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_message_is_short_and_its_form_is_escaped() {
        let mut message = Message::test(0);
        message.detail = "a & b = c ".repeat(200);
        assert_eq!(text(&message, "host").chars().count(), LONGEST);
        message.detail = "a&b".into();
        let twilio = Twilio {
            http: Http::new().unwrap(),
            config: TwilioConfig {
                account_sid: "AC1".into(),
                token_file: "x".into(),
                from: "+1".into(),
                to: "+2".into(),
                url: "https://api.twilio.com".into(),
            },
            who: Who {
                source: "host".into(),
                page: None,
            },
        };
        assert_eq!(
            twilio.form(&message).unwrap(),
            "From=%2B1&To=%2B2&Body=slotkeeper+on+host%3A+test+message.+a%26b"
        );
    }
}
