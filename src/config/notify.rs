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
        }
    }
}
