//! Which loops run in this process and when each last went round: behind `task_last_tick_timestamp_seconds` and
//! `/-/ready`. A loop that panics or hangs stops ticking, and readiness goes false.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{self, Millis, Stopwatch};

/// Every loop of the process.
#[derive(Debug, Default)]
pub struct Tasks {
    rows: Mutex<BTreeMap<String, Row>>,
}

/// One loop's handle: it calls [`Task::tick`] each time round.
#[derive(Debug, Clone)]
pub struct Task {
    tasks: Arc<Tasks>,
    name: String,
}

#[derive(Debug)]
struct Row {
    /// Local clock, for people.
    at: Millis,
    /// Monotonic, for judging: a clock jump must not look like a stall.
    since: Stopwatch,
    stall_after: Duration,
}

/// One loop that stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stalled {
    /// Which.
    pub task: String,
    /// Time since its last tick.
    pub silent_for: Duration,
}

// === impl Tasks ===

impl Tasks {
    /// Registers a loop, which counts as stalled when it has not ticked for `stall_after`. Registering is a first tick.
    #[must_use]
    pub fn register(self: &Arc<Self>, name: &str, stall_after: Duration) -> Task {
        let row = Row {
            at: clock::now_ms(),
            since: Stopwatch::start(),
            stall_after,
        };
        self.lock().insert(name.to_owned(), row);
        Task {
            tasks: Arc::clone(self),
            name: name.to_owned(),
        }
    }

    /// Last tick of every loop, by name.
    #[must_use]
    pub fn last_ticks(&self) -> Vec<(String, Millis)> {
        self.lock()
            .iter()
            .map(|(name, row)| (name.clone(), row.at))
            .collect()
    }

    /// The loops that stand still.
    #[must_use]
    pub fn stalled(&self) -> Vec<Stalled> {
        self.lock()
            .iter()
            .filter_map(|(name, row)| {
                let silent_for = row.since.elapsed();
                (silent_for > row.stall_after).then(|| Stalled {
                    task: name.clone(),
                    silent_for,
                })
            })
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Row>> {
        // A panic while holding it leaves nothing half done: single inserts only.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Task ===

impl Task {
    /// The loop went round.
    pub fn tick(&self) {
        if let Some(row) = self.tasks.lock().get_mut(&self.name) {
            row.at = clock::now_ms();
            row.since = Stopwatch::start();
        }
    }

    /// The loop ended on purpose: its series vanishes and it is not missed.
    pub fn retire(self) {
        self.tasks.lock().remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_does_not_tick_is_stalled_and_a_tick_revives_it() {
        let tasks = Arc::new(Tasks::default());
        let slow = tasks.register("slow", Duration::ZERO);
        let _fine = tasks.register("fine", Duration::from_secs(3600));
        while tasks.stalled().is_empty() {
            std::hint::spin_loop();
        }
        assert_eq!(tasks.stalled()[0].task, "slow");
        assert_eq!(tasks.last_ticks().len(), 2);
        slow.retire();
        assert!(tasks.stalled().is_empty());
        assert_eq!(tasks.last_ticks().len(), 1);
    }

    #[test]
    fn registering_again_replaces() {
        let tasks = Arc::new(Tasks::default());
        let _a = tasks.register("x", Duration::ZERO);
        let _b = tasks.register("x", Duration::from_secs(3600));
        assert_eq!(tasks.last_ticks().len(), 1);
        assert!(tasks.stalled().is_empty());
    }
}
