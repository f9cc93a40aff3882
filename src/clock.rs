//! The only place that reads a clock. Everything else takes time as an argument, so that any decision can be replayed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock time in Unix milliseconds, UTC. Chain times use the same unit.
pub type Millis = i64;

/// Now, by the wall clock. Before 1970 reads as 0.
#[must_use]
#[allow(clippy::disallowed_methods)] // this is the clock
pub fn now_ms() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, millis)
}

/// A duration in [`Millis`]; one too long for them is the longest they can say.
#[must_use]
pub fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// A monotonic stopwatch for durations (latencies, timeouts); unaffected by clock jumps.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts counting now.
    #[must_use]
    #[allow(clippy::disallowed_methods)] // this is the clock
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since [`Stopwatch::start`].
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
