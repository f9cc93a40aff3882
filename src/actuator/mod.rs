//! The only room that can broadcast: decide, interlocks, attempts, journal, confirmation.

mod types;

pub use types::{
    Action, Cause, Check, Decision, InterlockVerdict, Reason, Request, Stage, Verdict,
};
