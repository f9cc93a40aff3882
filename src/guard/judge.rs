//! When the guard asks for a failover. Pure: everything it knows comes in as [`Facts`].

use crate::clock::Millis;
use crate::config::GuardMode;
use crate::watch::Fault;

/// What the guard knows of one producer at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Configured mode.
    pub mode: GuardMode,
    /// How long the pipeline may take (`guard.patience`, but never less than two turns), milliseconds.
    pub patience: Millis,
    /// The fault of the registered key, by the one definition.
    pub fault: Fault,
    /// Since when this process has seen the fault stand, local clock.
    pub fault_seen_since: Option<Millis>,
    /// Now, local clock.
    pub now: Millis,
    /// What the heartbeats say.
    pub silence: Silence,
    /// When an authenticated request for this producer and key last came in, local clock.
    pub last_request: Option<Millis>,
    /// How long such a request counts (`actuator.max_alert_age`): after that it asks for nothing any more.
    pub request_counts_for: Millis,
}

/// Whether the alert pipeline is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// At least one configured source is heard.
    Heard,
    /// Every configured source is overdue.
    AllOverdue,
}

/// Why the guard asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// `always`.
    Always,
    /// Every heartbeat is overdue.
    PipelineDead,
    /// The fault has stood longer than patience and nobody asked.
    PipelineSilent,
}

/// Whether to ask for a failover now, and why.
#[must_use]
pub fn judge(facts: &Facts) -> Option<Why> {
    if !matches!(facts.fault, Fault::Yes(_)) {
        return None;
    }
    match facts.mode {
        GuardMode::Off => None,
        GuardMode::Always => Some(Why::Always),
        GuardMode::Fallback if facts.silence == Silence::AllOverdue => Some(Why::PipelineDead),
        GuardMode::Fallback => {
            let since = facts.fault_seen_since?;
            let stood = facts.now.saturating_sub(since);
            // A request that came since the fault stands, and is not out of date, means that the pipeline works:
            // whatever it decided is its answer, and the guard must not go behind its back.
            let asked = facts.last_request.is_some_and(|at| {
                at >= since && facts.now.saturating_sub(at) <= facts.request_counts_for
            });
            (stood >= facts.patience && !asked).then_some(Why::PipelineSilent)
        }
    }
}

// === impl Why ===

impl Why {
    /// For logs and decisions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "guard is set to always",
            Self::PipelineDead => "every heartbeat is overdue",
            Self::PipelineSilent => "the fault has outlasted guard.patience and no alert asked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::FaultClause;

    fn facts() -> Facts {
        Facts {
            mode: GuardMode::Fallback,
            patience: 30_000,
            fault: Fault::Yes(FaultClause::Consecutive),
            fault_seen_since: Some(100_000),
            now: 110_000,
            silence: Silence::Heard,
            last_request: None,
            request_counts_for: 120_000,
        }
    }

    #[test]
    fn no_fault_or_an_unknown_one_never_asks() {
        for mode in [GuardMode::Off, GuardMode::Fallback, GuardMode::Always] {
            for fault in [Fault::No, Fault::Unknown] {
                let quiet = Facts {
                    mode,
                    fault,
                    now: 999_999,
                    silence: Silence::AllOverdue,
                    ..facts()
                };
                assert_eq!(judge(&quiet), None);
            }
        }
    }

    #[test]
    fn off_never_asks_and_always_asks_at_once() {
        let off = Facts {
            mode: GuardMode::Off,
            now: 999_999,
            ..facts()
        };
        assert_eq!(judge(&off), None);
        let always = Facts {
            mode: GuardMode::Always,
            now: 100_000,
            ..facts()
        };
        assert_eq!(judge(&always), Some(Why::Always));
    }

    #[test]
    fn fallback_asks_when_all_heartbeats_are_overdue() {
        let dead = Facts {
            silence: Silence::AllOverdue,
            ..facts()
        };
        assert_eq!(judge(&dead), Some(Why::PipelineDead));
    }

    #[test]
    fn fallback_waits_for_patience_and_yields_to_a_request() {
        assert_eq!(judge(&facts()), None);
        let patient = Facts {
            now: 130_000,
            ..facts()
        };
        assert_eq!(judge(&patient), Some(Why::PipelineSilent));
        let asked = Facts {
            last_request: Some(101_000),
            ..patient
        };
        assert_eq!(judge(&asked), None);
        // Alertmanager died after its one request: two minutes later it no longer speaks for the fault.
        let gone_quiet = Facts {
            now: 101_000 + 120_001,
            ..asked
        };
        assert_eq!(judge(&gone_quiet), Some(Why::PipelineSilent));
        // A request from an earlier episode says nothing about this one.
        let earlier = Facts {
            last_request: Some(99_000),
            ..patient
        };
        assert_eq!(judge(&earlier), Some(Why::PipelineSilent));
    }
}
