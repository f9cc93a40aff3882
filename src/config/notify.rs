//! Direct escalation, as validated: who is told, how, and how often. Names of files only; what is in them is read when it
//! is used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How bad something is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    #[default]
    Info,
    /// Somebody should look today.
    Warning,
    /// Somebody should get up.
    Critical,
}

/// One receiver of direct escalation.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    /// Its name: label `receiver`.
    pub name: String,
    /// How it is reached.
    pub via: Via,
    /// What is less bad is not sent to it.
    pub min_severity: Severity,
    /// How often an open episode is repeated.
    pub reminder: Duration,
    /// How much it is sent at most.
    pub rate_limit: RateLimit,
}

/// At most so many messages in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// This many …
    pub messages: u32,
    /// … in this time.
    pub per: Duration,
}

/// The ways to reach somebody.
#[derive(Debug, Clone)]
pub enum Via {
    /// PagerDuty Events v2.
    Pagerduty {
        /// File with the integration key.
        routing_key_file: PathBuf,
        /// Where events are taken: the main region unless said otherwise.
        url: String,
    },
    /// A Slack incoming webhook, or what takes the same (Mattermost).
    Slack {
        /// File with its URL.
        url_file: PathBuf,
    },
    /// JSON to any address.
    Webhook {
        /// File with the URL.
        url_file: PathBuf,
        /// File with a bearer token.
        token_file: Option<PathBuf>,
    },
    /// Mail.
    Mail(MailConfig),
    /// A text message by Twilio.
    Twilio(TwilioConfig),
}

/// How mail is sent.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// Host of the mail server.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the way to it is protected.
    pub security: MailSecurity,
    /// Whom to log in as; needs `password_file`.
    pub username: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// File with a CA certificate to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Sender.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
}

/// How the way to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// Plain to begin with, then TLS; never without it.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// Not at all: on this machine only.
    Plain,
}

/// A text message by Twilio.
#[derive(Debug, Clone)]
pub struct TwilioConfig {
    /// Account (`AC…`).
    pub account_sid: String,
    /// File with its auth token.
    pub token_file: PathBuf,
    /// Number or sender id it comes from.
    pub from: String,
    /// Number it goes to.
    pub to: String,
    /// Base URL of the API.
    pub url: String,
}

/// A checker elsewhere that rings when it is not pinged.
#[derive(Debug, Clone)]
pub struct PingConfig {
    /// Its name: label `ping`.
    pub name: String,
    /// File with the URL to ask while all is well.
    pub url_file: PathBuf,
    /// File with the URL to ask while it is not.
    pub fail_url_file: Option<PathBuf>,
    /// How often.
    pub interval: Duration,
}

// === impl Severity ===

impl Severity {
    /// As in the configuration and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

// === impl NotifyConfig ===

impl NotifyConfig {
    /// Every file that it needs, with the key that names it.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        match &self.via {
            Via::Pagerduty {
                routing_key_file, ..
            } => vec![("routing_key_file", routing_key_file)],
            Via::Slack { url_file } => vec![("url_file", url_file)],
            Via::Webhook {
                url_file,
                token_file,
            } => {
                let mut files = vec![("url_file", url_file.as_path())];
                files.extend(token_file.as_deref().map(|f| ("token_file", f)));
                files
            }
            Via::Mail(mail) => mail
                .password_file
                .as_deref()
                .map(|f| ("password_file", f))
                .into_iter()
                .collect(),
            Via::Twilio(twilio) => vec![("token_file", &twilio.token_file)],
        }
    }
}

// === impl Via ===

impl Via {
    /// As the configuration calls it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pagerduty { .. } => "pagerduty",
            Self::Slack { .. } => "slack",
            Self::Webhook { .. } => "webhook",
            Self::Mail(_) => "mail",
            Self::Twilio(_) => "twilio",
        }
    }
}
