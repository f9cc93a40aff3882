//! Alertmanager, both ways: its webhook payload → requests and heartbeats; its alerts and silences ← asked.

mod heartbeat;
mod matcher;
mod payload;

pub use heartbeat::{Heard, Heartbeats};
pub use matcher::Matcher;
