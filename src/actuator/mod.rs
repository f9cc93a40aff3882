//! The only room that can broadcast: decide, interlocks, attempts, journal, confirmation.
//!
//! ```text
//! request ─▶ journal ─▶ (answered) ─▶ gather facts ─▶ decide ─▶ wait ──▶ decided again on every tick
//!                                                        │  └──▶ refuse: over
//!                                                        ▼ act
//!                        draft ─▶ sign ─▶ recover and compare ─▶ journal ─▶ broadcast ─▶ follow (see `attempt`)
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`handle`], `incoming` | the door: requests, operator commands, figures |
//! | `facts`, `gather` | the input of a decision, and how it is gathered |
//! | `decide`, `interlocks`, `target`, `authority` | the decision: pure |
//! | `attempt` | the state machine of one switch: pure |
//! | `sign` | from an order to signed bytes |
//! | `driver` | the loop of one chain; the only place that broadcasts |
//! | `journal`, `sqlite`, `schema`, `lock` | what outlives a crash |
//! | `arm` | arming, pins, maintenance |
//!
//! It knows nothing of Alertmanager, the web or the guard: they call in, and `alert_source` is asked through a trait.

pub mod activation;
mod alert_source;
pub mod arm;
pub mod attempt;
pub mod authority;
mod book;
mod crash;
pub mod decide;
mod driver;
pub mod facts;
#[cfg(test)]
mod fixture;
mod gather;
pub mod handle;
mod incoming;
pub mod interlocks;
pub mod journal;
mod ledger_rows;
mod lock;
mod offline;
mod place;
mod schema;
mod shared;
mod sign;
mod sqlite;
pub mod standalone;
mod start;
mod state;
pub mod target;
mod types;

pub use activation::Waiting;
pub use alert_source::{AlertSource, NoAlertmanager, Standing};
pub use arm::may_arm;
pub use attempt::{Answer, Attempt, Next, Sighting};
pub use authority::{Authority, Keyring};
pub use book::{Durations, STAGE_BUCKETS};
pub use driver::{Answers, Driver, Wire};
pub use handle::ActuatorHandle;
pub use incoming::{Incoming, OperateError, OperatorCommand, SubmitStatus, Submitted, Verb};
pub use journal::{DecisionRecord, EventRecord, Journal, JournalError};
pub use ledger_rows::LedgerRows;
pub use sqlite::SqliteJournal;
pub use start::{Link, MISSING_STATE_HOLD, Parts, load_keyrings, start};
pub use state::{ActuatorSnapshot, AttemptStanding, ProducerStanding};
pub use types::{
    Action, Cause, Check, Decision, InterlockVerdict, Reason, Request, Stage, Verdict,
};

use crate::clock::Millis;

/// Namespace of the registered keys last seen, in the journal's small values.
const REGISTERED: &str = "registered";
/// Namespace of the hold after a missing state file.
const HOLD: &str = "hold";

/// A fresh id: unguessable enough never to collide, short enough to be read out.
fn new_id(kind: &str) -> String {
    let mut random = [0u8; 8];
    // The operating system's generator does not fail on any system this runs on; if it did, ids built from the clock
    // are still distinct within one process's milliseconds, and the journal refuses a collision.
    if getrandom::fill(&mut random).is_err() {
        random = crate::clock::now_ms().to_be_bytes();
    }
    format!("{kind}-{}", crate::hex::encode(&random))
}

/// RFC 3339, UTC, milliseconds.
fn rfc3339(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |t| format!("{t:.3}"))
}
