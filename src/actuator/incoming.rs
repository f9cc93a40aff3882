//! What comes in at the actuator's door: requests, operators' commands, and the answers to them. Data only.

use serde::{Deserialize, Serialize};

use super::journal::JournalError;
use super::types::{Action, Cause};
use crate::clock::Millis;
use crate::keys::PublicKey;

/// A request as it comes in, before it has an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Label `chain`.
    pub chain: String,
    /// Label `producer`.
    pub producer: String,
    /// What is asked for ([`Action::Rehearse`] with [`Cause::Drill`] for a drill).
    pub action: Action,
    /// Who asks.
    pub cause: Cause,
    /// The key said to be at fault.
    pub fence: Option<PublicKey>,
    /// Alert fingerprint (webhook).
    pub fingerprint: Option<String>,
    /// All alert labels (webhook).
    pub labels: Vec<(String, String)>,
    /// Annotation `evaluated_at`, Unix milliseconds; the guard puts the time of its tick.
    pub evaluated_at: Option<Millis>,
    /// Operator's `--to`.
    pub to: Option<PublicKey>,
    /// Operator's `--override REASON`.
    pub override_reason: Option<String>,
}

/// What became of an [`Incoming`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The request it is, or (duplicate) the one that was answered.
    pub request_id: String,
    /// Which of the two.
    pub status: SubmitStatus,
}

/// See [`Submitted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubmitStatus {
    /// Durable and pending.
    Accepted,
    /// The same producer, fence and tenure has an open or successful attempt.
    Duplicate,
}

/// What an operator wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Move production now.
    Failover,
    /// Move production, planned.
    Switchover,
    /// Register the null key.
    Disable,
    /// Register a listed key again.
    Enable,
    /// Everything but the broadcast.
    Rehearse,
    /// Let the producer be acted on.
    Arm,
    /// Do not act on the producer.
    Disarm,
    /// Hands off.
    Pin,
    /// Undo a pin.
    Unpin,
    /// No action until a time (or, with no time, end it).
    Maintenance,
}

/// An operator's command about one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorCommand {
    /// Chain.
    pub chain: String,
    /// Producer.
    pub producer: String,
    /// What to do.
    pub verb: Verb,
    /// Target key, among the configured.
    pub to: Option<PublicKey>,
    /// End of maintenance, Unix milliseconds.
    pub until: Option<Millis>,
    /// Why interlocks that only warn operators are to be overridden.
    pub override_reason: Option<String>,
}

/// Why a command was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperateError {
    /// No such producer with keys.
    #[error("no producer {0} with keys is configured")]
    UnknownProducer(String),
    /// The command makes no sense as given.
    #[error("{0}")]
    Invalid(String),
    /// A rule forbids it.
    #[error("{0}")]
    Refused(String),
    /// It could not be made durable.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

// === impl Verb ===

impl Verb {
    /// Goes through the interlocks and may end in a transaction (or its rehearsal); the others are done at once.
    #[must_use]
    pub fn switches(self) -> bool {
        self.action().is_some()
    }

    pub(super) fn action(self) -> Option<Action> {
        match self {
            Self::Failover => Some(Action::Failover),
            Self::Switchover => Some(Action::Switchover),
            Self::Disable => Some(Action::Disable),
            Self::Enable => Some(Action::Enable),
            Self::Rehearse => Some(Action::Rehearse),
            Self::Arm | Self::Disarm | Self::Pin | Self::Unpin | Self::Maintenance => None,
        }
    }
}
