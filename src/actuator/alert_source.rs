//! What the actuator wants to know from Alertmanager before it acts: whether an alert stands, and whether a silence
//! covers a producer. A trait only, so that the arrow points down: `alertmanager` implements it, `actuator` asks.

use std::future::Future;
use std::pin::Pin;

/// What the configured Alertmanagers say of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No Alertmanager is configured: nothing to ask.
    NotConfigured,
    /// At least one says active, none says silenced or inhibited.
    Active,
    /// At least one says silenced or inhibited: by what.
    Suppressed(String),
    /// All that answered do not have the alert.
    Absent,
    /// None answered.
    Unreachable,
}

/// Somebody who knows about alerts and silences.
pub trait AlertSource: Send + Sync {
    /// Asks all configured Alertmanagers in parallel (at most one second) for the alert with these labels, in every
    /// state.
    fn standing<'a>(
        &'a self,
        labels: &'a [(String, String)],
    ) -> Pin<Box<dyn Future<Output = Standing> + Send + 'a>>;

    /// A cached silence that covers this producer and key, in words; `None` when none does.
    fn cached_silence(&self, chain: &str, producer: &str, signing_key: &str) -> Option<String>;
}

/// No Alertmanager at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAlertmanager;

// === impl NoAlertmanager ===

impl AlertSource for NoAlertmanager {
    fn standing<'a>(
        &'a self,
        _labels: &'a [(String, String)],
    ) -> Pin<Box<dyn Future<Output = Standing> + Send + 'a>> {
        Box::pin(std::future::ready(Standing::NotConfigured))
    }

    fn cached_silence(&self, _chain: &str, _producer: &str, _signing_key: &str) -> Option<String> {
        None
    }
}
