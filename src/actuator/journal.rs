//! What must outlive a crash, as a trait: a job is a list of [`Entry`]s that become durable together or not at all.
//! One real implementation ([`super::SqliteJournal`]); simulations keep one in memory that forgets what was not synced.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::attempt::Attempt;
use super::types::{InterlockVerdict, Request, Stage};
use crate::clock::Millis;

/// A boxed future, so that the traits here can be objects.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestStatus {
    /// Waiting to be decided, or decided `wait`.
    Pending,
    /// An attempt is under way for it.
    Acting,
    /// Over.
    Done,
}

/// One decision as kept: the contract's JSON of `/api/v1/decisions`, without the attempt's changing stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// Of which request.
    pub request_id: String,
    /// When, RFC 3339 UTC with milliseconds.
    pub time: String,
    /// Label `chain`.
    pub chain: String,
    /// Label `producer`.
    pub producer: String,
    /// `failover`, `disable` …
    pub action: String,
    /// `webhook`, `guard`, `operator`, `drill`.
    pub cause: String,
    /// The key said to be at fault, in the chain's text form.
    pub fence: Option<String>,
    /// The chosen key, in the chain's text form.
    pub target: Option<String>,
    /// `act`, `refuse`, `wait`.
    pub verdict: String,
    /// First denying reason, or `ok`.
    pub reason: String,
    /// Every interlock's verdict.
    pub interlocks: Vec<InterlockVerdict>,
    /// The agreed view it was taken on; `None` when the endpoints did not agree.
    #[serde(default)]
    pub view: Option<DecidedOn>,
    /// The attempt this decision started.
    pub attempt: Option<AttemptBrief>,
    /// What a rehearsal built (txid, signer), or what went wrong after the interlocks passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What somebody with the active key would have to sign, where no key at hand can: see `offline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsigned: Option<serde_json::Value>,
}

/// The agreed view of a decision, by its head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedOn {
    /// Number of the head block.
    pub head: u64,
    /// Chain time of it, RFC 3339 UTC with milliseconds.
    pub head_time: String,
}

/// An attempt in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptBrief {
    /// Its id.
    pub id: String,
    /// Transaction id.
    pub txid: String,
    /// How far it is.
    pub stage: Stage,
    /// It is over, and somebody registered another key before its own came into force.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overtaken: bool,
    /// Why it ended as it did, or what endpoints said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl AttemptBrief {
    /// Of an attempt.
    #[must_use]
    pub fn of(attempt: Attempt) -> Self {
        Self {
            id: attempt.id,
            txid: attempt.sealed.id,
            stage: attempt.stage,
            overtaken: attempt.overtaken_by.is_some(),
            note: attempt.note,
        }
    }
}

/// Something that happened, for people and for `/api/v1/events`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When, local clock, Unix milliseconds.
    pub at: Millis,
    /// What kind: `decided`, `signed`, `sent`, `included`, `effective`, `irreversible`, `expired`, `failed`,
    /// `adopted`, `operator_override`, `armed`, `disarmed`, `pinned`, `unpinned`, `maintenance` …
    pub kind: String,
    /// Label `chain`; empty for the whole daemon.
    pub chain: String,
    /// Label `producer`; empty for the whole daemon.
    pub producer: String,
    /// In plain words.
    pub detail: String,
    /// The request it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The attempt it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_id: Option<String>,
    /// Its transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txid: Option<String>,
    /// Of `decided`: `act`, `refuse`, `wait`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Of `decided`: the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One row of the arm state. `scope` is `*` or `chain/producer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmRow {
    /// `*` for everything, else `chain/producer`.
    pub scope: String,
    /// May act.
    pub armed: bool,
    /// Hands off.
    pub pinned: bool,
    /// No action before this local time, Unix milliseconds.
    pub maintenance_until: Option<Millis>,
}

/// One thing to make durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Inserts or replaces a request.
    Request(Request, RequestStatus),
    /// Appends a decision; the attempt is named by its id.
    Decision {
        /// What was decided; `attempt` is ignored here.
        record: Box<DecisionRecord>,
        /// The attempt it starts.
        attempt_id: Option<String>,
    },
    /// Inserts or replaces an attempt. A second open attempt of one producer is a [`JournalError::Conflict`].
    Attempt(Box<Attempt>),
    /// Appends an event.
    Event(EventRecord),
    /// Inserts or replaces a row of the arm state.
    Arm(ArmRow),
    /// Inserts or replaces (or, with `None`, removes) a small named value.
    Kv {
        /// Namespace: `silence`, `heartbeat`, `registered` …
        kind: String,
        /// Name within it.
        key: String,
        /// The value; `None` removes it.
        value: Option<Value>,
    },
    /// Inserts or replaces rows of a chain's ledger.
    Ledger {
        /// Label `chain`.
        chain: String,
        /// Key → JSON.
        rows: Vec<(String, String)>,
    },
}

/// What a start finds in the journal.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// True when there was no state before: nothing but `config` says whether to arm.
    pub fresh: bool,
    /// Requests that are pending or have an unfinished attempt.
    pub requests: Vec<(Request, RequestStatus)>,
    /// Unfinished attempts and recent finished ones, oldest first.
    pub attempts: Vec<Attempt>,
    /// The arm state.
    pub arm: Vec<ArmRow>,
}

/// Why something could not be journaled or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another process holds the state file.
    #[error("{0}")]
    Locked(String),
    /// The file was written by a newer version.
    #[error(
        "state file {path} has schema version {found}, this slotkeeper knows {known}: run the version that wrote it, or move the file away"
    )]
    Newer {
        /// Which file.
        path: String,
        /// Version in the file.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// A rule of the tables forbids it (a second open attempt).
    #[error("the journal refused a second open attempt: {0}")]
    Conflict(String),
    /// The disk or the database failed; trying again may help.
    #[error("journal: {0}")]
    Io(String),
    /// The journal's thread has ended (shutting down).
    #[error("the journal is closed (shutting down)")]
    Closed,
}

/// The journal.
pub trait Journal: Send + Sync {
    /// Queues a job at once, in order; the future resolves when it is durable. Dropping the future does not cancel it.
    fn write(&self, entries: Vec<Entry>) -> Soon<'static, Result<(), JournalError>>;
    /// Everything a start needs. Blocks; called once.
    fn load(&self) -> Result<Loaded, JournalError>;
    /// Newest first; only those of `request_id` when given.
    fn decisions(
        &self,
        request_id: Option<String>,
        limit: usize,
    ) -> Soon<'static, Result<Vec<DecisionRecord>, JournalError>>;
    /// Newest first.
    fn events(&self, limit: usize) -> Soon<'static, Result<Vec<EventRecord>, JournalError>>;
    /// A chain's ledger rows.
    fn ledger(&self, chain: &str) -> Soon<'static, Result<Vec<(String, String)>, JournalError>>;
    /// All values of one namespace.
    fn kv_all(&self, kind: &str) -> Soon<'static, Result<Vec<(String, Value)>, JournalError>>;
    /// False while the last write failed.
    fn writable(&self) -> bool;
    /// Failed jobs since start.
    fn write_failures(&self) -> u64;

    /// Keeps one small named value.
    fn kv_put(
        &self,
        kind: &str,
        key: &str,
        value: Option<Value>,
    ) -> Soon<'static, Result<(), JournalError>> {
        self.write(vec![Entry::Kv {
            kind: kind.into(),
            key: key.into(),
            value,
        }])
    }
}
