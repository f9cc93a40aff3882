//! What is sent, in words that every receiver can use. Pure.

use std::time::Duration;

use super::conditions::ago;
use super::episodes::Episode;
use super::notices::Notice;
use crate::clock::Millis;
use crate::config::Severity;

/// One message to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same for all messages about one thing: PagerDuty's `dedup_key`.
    pub id: String,
    /// What it does.
    pub act: Act,
    /// How bad.
    pub severity: Severity,
    /// In one line.
    pub summary: String,
    /// What is known, and what to do.
    pub detail: String,
    /// Since when, Unix milliseconds.
    pub since: Millis,
    /// When it is sent, Unix milliseconds.
    pub at: Millis,
    /// Messages that the rate limit or a long outage kept back, in words.
    pub left_out: Option<String>,
}

/// What a message does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Something is wrong, told for the first time.
    Trigger,
    /// It still is.
    Remind,
    /// It is over.
    Resolve,
    /// Something happened; it has no end.
    Notice,
    /// Only what was left out.
    Summary,
    /// `slotkeeper notify test`.
    Test,
}

// === impl Message ===

impl Message {
    pub(super) fn of_episode(act: Act, episode: &Episode, now: Millis) -> Self {
        Self {
            id: episode.id.clone(),
            act,
            severity: episode.severity,
            summary: episode.summary.clone(),
            detail: episode.detail.clone(),
            since: episode.since,
            at: now,
            left_out: None,
        }
    }

    pub(super) fn of_notice(notice: &Notice, now: Millis) -> Self {
        Self {
            id: notice.about.clone(),
            act: Act::Notice,
            severity: notice.severity,
            summary: notice.summary.clone(),
            detail: notice.detail.clone(),
            since: notice.at,
            at: now,
            left_out: None,
        }
    }

    /// A test of a receiver.
    #[must_use]
    pub fn test(now: Millis) -> Self {
        Self {
            id: format!("test@{now}"),
            act: Act::Test,
            severity: Severity::Info,
            summary: "test message".into(),
            detail: "Somebody ran 'slotkeeper notify test'. Nothing is wrong.".into(),
            since: now,
            at: now,
            left_out: None,
        }
    }

    /// The line that people see first.
    #[must_use]
    pub fn title(&self) -> String {
        let lasted = self.at.saturating_sub(self.since);
        let lasted = ago(Duration::from_millis(u64::try_from(lasted).unwrap_or(0)));
        match self.act {
            Act::Trigger | Act::Notice | Act::Summary | Act::Test => self.summary.clone(),
            Act::Remind => format!("still after {lasted}: {}", self.summary),
            Act::Resolve => format!("over after {lasted}: {}", self.summary),
        }
    }

    /// Everything below the title.
    #[must_use]
    pub fn body(&self) -> String {
        let mut body = match self.act {
            Act::Resolve => String::new(),
            _ => self.detail.clone(),
        };
        if let Some(left_out) = &self.left_out {
            if !body.is_empty() {
                body.push('\n');
            }
            body.push_str(left_out);
        }
        body
    }
}

// === impl Act ===

impl Act {
    /// For machines: `trigger`, `remind`, `resolve`, `notice`, `summary`, `test`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Remind => "remind",
            Self::Resolve => "resolve",
            Self::Notice => "notice",
            Self::Summary => "summary",
            Self::Test => "test",
        }
    }
}
