//! Which loops stand still, whoever keeps their time: tasks by stopwatch, poll loops by their snapshots, the actuator by
//! its own figures. Pure but for the stopwatches inside [`Tasks`]; time comes in.

use std::sync::Arc;
use std::time::Duration;

use super::tasks::{Stalled, Tasks};
use super::watch_task;
use crate::actuator::ActuatorSnapshot;
use crate::clock::Millis;
use crate::config::Config;
use crate::watch::Snapshot;

/// A poll loop may miss ten polls, and at least ten seconds, before it counts as stalled.
fn stall_after(poll: Duration) -> Duration {
    poll.saturating_mul(10).max(Duration::from_secs(10))
}

/// The loops that stand still. A chain that was never polled has no loop to judge yet.
#[must_use]
pub fn stalled_loops(
    config: &Config,
    snapshots: &[Arc<Snapshot>],
    actuator: &ActuatorSnapshot,
    tasks: &Tasks,
    now: Millis,
) -> Vec<Stalled> {
    let mut out = tasks.stalled();
    for chain in &config.chains {
        let name = &chain.spec.name;
        let limit = stall_after(chain.poll_interval);
        let polled = snapshots.iter().find(|s| s.chain == *name);
        let ticks = [
            (watch_task(name), polled.map(|s| s.tick_at)),
            (
                format!("actuator/{name}"),
                actuator.last_tick.get(name).copied(),
            ),
        ];
        for (task, at) in ticks {
            if let Some(silent_for) = at.and_then(|at| older(at, limit, now)) {
                out.push(Stalled { task, silent_for });
            }
        }
    }
    out
}

fn older(then: Millis, limit: Duration, now: Millis) -> Option<Duration> {
    let age = Duration::from_millis(u64::try_from(now.saturating_sub(then)).ok()?);
    (age > limit).then_some(age)
}
