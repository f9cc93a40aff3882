//! The ways to reach somebody, one small file each, behind one trait. Secrets are read from their files at each sending
//! (they are rotated) and appear in no error, log or `Debug`.

mod http;
mod mail;
mod pagerduty;
mod slack;
mod twilio;
mod webhook;

use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;

use super::message::Message;
use crate::actuator::journal::Soon;
use crate::config::{Listener, NotifyConfig, Via};

pub(super) use http::{Http, send, url_of};

/// One way to reach somebody.
pub trait Receiver: Send + Sync {
    /// Sends one message, once.
    fn send<'a>(&'a self, message: &'a Message) -> Soon<'a, Outcome>;
}

/// Who speaks.
#[derive(Debug, Clone)]
pub(super) struct Who {
    /// The name of this machine.
    source: String,
    /// Where people find the status page.
    page: Option<String>,
}

/// How a sending went. Words never hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has taken it.
    Delivered,
    /// It did not work; trying again may.
    Retry {
        /// Why.
        why: String,
        /// The receiver asked to wait this long.
        after: Option<Duration>,
    },
    /// It will not work until somebody mends something.
    Refused(String),
}

/// A secret longer than this is some other file.
const MAX_SECRET: usize = 4096;

/// The receiver of a configuration entry.
///
/// # Errors
/// When its client cannot be set up.
pub fn open(config: &NotifyConfig, web: &Listener) -> Result<Box<dyn Receiver>, String> {
    let who = Who {
        source: source(),
        page: web.external_url.clone(),
    };
    Ok(match &config.via {
        Via::Pagerduty {
            routing_key_file,
            url,
        } => Box::new(pagerduty::Pagerduty {
            http: Http::new()?,
            url: url.clone(),
            routing_key_file: routing_key_file.clone(),
            who,
        }),
        Via::Slack { url_file } => Box::new(slack::Slack {
            http: Http::new()?,
            url_file: url_file.clone(),
            who,
        }),
        Via::Webhook {
            url_file,
            token_file,
        } => Box::new(webhook::Webhook {
            http: Http::new()?,
            url_file: url_file.clone(),
            token_file: token_file.clone(),
            who,
        }),
        Via::Mail(config) => Box::new(mail::Mail::new(config, who)?),
        Via::Twilio(config) => Box::new(twilio::Twilio {
            http: Http::new()?,
            config: config.clone(),
            who,
        }),
    })
}

/// Reads a secret's file.
pub(super) fn secret(file: &Path) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_SECRET {
        return Err(format!(
            "{} is empty or too long to be a secret",
            file.display()
        ));
    }
    Ok(SecretString::from(text))
}

/// The name of this machine.
fn source() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

// === impl Outcome ===

impl Outcome {
    /// Label `outcome`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry { .. } => "retried",
            Self::Refused(_) => "refused",
        }
    }
}
