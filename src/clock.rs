//! The only place that reads a clock.
//!
//! Everything else takes time as an argument, so that every decision can be replayed.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall clock: milliseconds since 1970-01-01 UTC. A clock set before 1970 reads 0.
#[allow(clippy::disallowed_methods)] // the one reader of the wall clock
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Monotonic clock: milliseconds since the first call in this process. It never goes back, and says nothing about the time of day.
#[allow(clippy::disallowed_methods)] // the one reader of the monotonic clock
pub fn monotonic_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_run_forward() {
        assert!(now_ms() > 1_700_000_000_000, "wall clock is after 2023");
        let a = monotonic_ms();
        assert!(monotonic_ms() >= a);
    }
}
