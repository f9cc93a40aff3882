//! Alertmanager, both ways: its webhook payload → heartbeats and requests; its alerts and silences ← asked.
//!
//! An alert is a request to look, never evidence. Alert text never chooses a key or a command.

mod client;
mod deliveries;
mod flood;
mod heartbeat;
pub mod keep;
mod matcher;
mod payload;
mod silences;
mod webhook;

pub use client::{AlertmanagerError, Alertmanagers};
pub use deliveries::Undelivered;
pub use heartbeat::{Heard, Heartbeats};
pub use matcher::Matcher;
pub use silences::{Silence, Silences};
pub use webhook::{Answer, Intake, MAX_BODY, Row, Webhook};
