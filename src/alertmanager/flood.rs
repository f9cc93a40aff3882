//! A token bucket for alerts: 500 a second, bursts of 1,000. Pure; time comes in.

use std::time::Duration;

/// Alerts a second.
const RATE: f64 = 500.0;
/// Alerts at once.
const BURST: f64 = 1000.0;

/// The bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flood {
    tokens: f64,
    at: Duration,
}

// === impl Flood ===

impl Default for Flood {
    fn default() -> Self {
        Self {
            tokens: BURST,
            at: Duration::ZERO,
        }
    }
}

impl Flood {
    /// Whether `alerts` more may come in at `now` (time since start). A message larger than the burst passes when the
    /// bucket is full: Alertmanager cannot split it, so refusing it would lose it for ever.
    pub(super) fn admit(&mut self, alerts: usize, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * RATE).min(BURST);
        let cost = (alerts as f64).min(BURST);
        if cost > self.tokens {
            return false;
        }
        self.tokens -= cost;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let mut flood = Flood::default();
        let t = Duration::from_secs;
        assert!((0..1000).all(|_| flood.admit(1, t(0))));
        assert!(!flood.admit(1, t(0)));
        assert!(flood.admit(500, t(1)));
        assert!(!flood.admit(1, t(1)));
        assert!(
            flood.admit(1000, t(100)),
            "never more than the burst is saved up"
        );
        assert!(!flood.admit(1, t(100)));
        assert!(!flood.admit(5000, t(101)));
        assert!(flood.admit(5000, t(103)));
    }

    #[test]
    fn empty_messages_cost_nothing() {
        let mut flood = Flood::default();
        assert!(flood.admit(1000, Duration::ZERO));
        assert!(flood.admit(0, Duration::ZERO));
    }
}
