//! The actuator's words: requests, reasons, verdicts, decisions, stages. Data only; the names are the contract.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::keys::PublicKey;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Unplanned move to a ready standby.
    Failover,
    /// Planned move (operator).
    Switchover,
    /// Register the null key.
    Disable,
    /// Register a listed key again after a disable (operator).
    Enable,
    /// Everything but the broadcast.
    Rehearse,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// An authenticated Alertmanager webhook.
    Webhook,
    /// The local guard.
    Guard,
    /// A person, through the control listener or `--standalone`.
    Operator,
    /// A fire drill: cannot broadcast by type.
    Drill,
}

/// A request to look; never evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Assigned by the journal.
    pub id: String,
    /// Label `chain`.
    pub chain: String,
    /// Label `producer`.
    pub producer: String,
    /// Asked for.
    pub action: Action,
    /// Who asks.
    pub cause: Cause,
    /// The key said to be at fault; `None` for operators.
    pub fence: Option<PublicKey>,
    /// Operator's `--to`.
    pub to: Option<PublicKey>,
    /// Operator's `--override REASON`.
    pub override_reason: Option<String>,
    /// Alert fingerprint (webhook).
    pub fingerprint: Option<String>,
    /// Alert labels (webhook), for asking Alertmanager about it.
    pub labels: Vec<(String, String)>,
    /// Annotation `evaluated_at`, newest seen, Unix milliseconds (webhook).
    pub evaluated_at: Option<Millis>,
    /// When first accepted, local clock.
    pub received_at: Millis,
}

/// Named reasons, in the order of precedence: when several deny, the first is *the* reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // each is explained by its interlock
pub enum Reason {
    Ok,
    Disarmed,
    UnknownProducer,
    FenceMismatch,
    StaleAlert,
    AlertNotActive,
    NoQuorum,
    StaleView,
    NotCorroborated,
    LowParticipation,
    ChainHalted,
    ClockSkew,
    OperatorOverride,
    Pinned,
    Maintenance,
    AttemptOpen,
    SwitchPending,
    Cooldown,
    BudgetExhausted,
    NoReadyStandby,
    AuthorityInvalid,
    KeyUnavailable,
    LeaseNotHeld,
}

/// What one interlock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Nothing against acting.
    Pass,
    /// Something against it.
    Deny,
    /// Cannot be told now: wait.
    Unknown,
}

/// One interlock's verdict with its reason in plain words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterlockVerdict {
    /// Which.
    pub name: Reason,
    /// What it says.
    pub verdict: Check,
    /// Why, for a person at 3 a.m.
    pub detail: String,
}

/// The outcome of deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every interlock passes: switch.
    Act,
    /// Refused for good: this request is over.
    Refuse,
    /// Refused for a passing reason: stays pending, decided again every tick.
    Wait,
}

/// A decision with everything that led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Of which request.
    pub request_id: String,
    /// When, local clock.
    pub time: Millis,
    /// The verdict.
    pub verdict: Verdict,
    /// The first denying reason, or `ok`.
    pub reason: Reason,
    /// Every interlock's verdict.
    pub interlocks: Vec<InterlockVerdict>,
    /// The chosen target key ([`PublicKey::NULL`] = disable), where one was chosen.
    pub target: Option<PublicKey>,
    /// What to know before it is carried out: nothing against it, but somebody should hear it.
    pub warning: Option<String>,
    /// The head of the agreed view it was taken on, and its time; `None` when there was no such view.
    pub view: Option<(u64, Millis)>,
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Signed and durable; maybe sent.
    Signed,
    /// At least one endpoint accepted it.
    Sent,
    /// In a block.
    Included,
    /// The chain names the new key.
    Effective,
    /// In an irreversible block: over.
    Irreversible,
    /// Proven never to be included: over.
    Expired,
    /// Refused for good: over.
    Failed,
}

// === impl names ===

impl Reason {
    /// Every interlock, in order of precedence (without `ok`).
    pub const INTERLOCKS: [Self; 22] = [
        Self::Disarmed,
        Self::UnknownProducer,
        Self::FenceMismatch,
        Self::StaleAlert,
        Self::AlertNotActive,
        Self::NoQuorum,
        Self::StaleView,
        Self::NotCorroborated,
        Self::LowParticipation,
        Self::ChainHalted,
        Self::ClockSkew,
        Self::OperatorOverride,
        Self::Pinned,
        Self::Maintenance,
        Self::AttemptOpen,
        Self::SwitchPending,
        Self::Cooldown,
        Self::BudgetExhausted,
        Self::NoReadyStandby,
        Self::AuthorityInvalid,
        Self::KeyUnavailable,
        Self::LeaseNotHeld,
    ];

    /// The label value, as in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Disarmed => "disarmed",
            Self::UnknownProducer => "unknown_producer",
            Self::FenceMismatch => "fence_mismatch",
            Self::StaleAlert => "stale_alert",
            Self::AlertNotActive => "alert_not_active",
            Self::NoQuorum => "no_quorum",
            Self::StaleView => "stale_view",
            Self::NotCorroborated => "not_corroborated",
            Self::LowParticipation => "low_participation",
            Self::ChainHalted => "chain_halted",
            Self::ClockSkew => "clock_skew",
            Self::OperatorOverride => "operator_override",
            Self::Pinned => "pinned",
            Self::Maintenance => "maintenance",
            Self::AttemptOpen => "attempt_open",
            Self::SwitchPending => "switch_pending",
            Self::Cooldown => "cooldown",
            Self::BudgetExhausted => "budget_exhausted",
            Self::NoReadyStandby => "no_ready_standby",
            Self::AuthorityInvalid => "authority_invalid",
            Self::KeyUnavailable => "key_unavailable",
            Self::LeaseNotHeld => "lease_not_held",
        }
    }
}

impl Action {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Switchover => "switchover",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Rehearse => "rehearse",
        }
    }
}

impl Cause {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Guard => "guard",
            Self::Operator => "operator",
            Self::Drill => "drill",
        }
    }
}

impl Verdict {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Refuse => "refuse",
            Self::Wait => "wait",
        }
    }
}

impl Stage {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Sent => "sent",
            Self::Included => "included",
            Self::Effective => "effective",
            Self::Irreversible => "irreversible",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }

    /// Nothing more will happen to the attempt.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Irreversible | Self::Expired | Self::Failed)
    }
}
