//! Is this process fit to do its work? Every loop ticks, every chain has an agreed view, the journal can be written. Pure
//! but for the stopwatches inside [`Tasks`]; time comes in.

use std::sync::Arc;
use std::time::Duration;

use crate::actuator::ActuatorSnapshot;
use crate::clock::Millis;
use crate::config::Config;
use crate::metrics::{Tasks, watch_task};
use crate::watch::Snapshot;

/// A poll loop may miss ten polls, and at least ten seconds, before it counts as stalled.
fn stall_after(poll: Duration) -> Duration {
    poll.saturating_mul(10).max(Duration::from_secs(10))
}

/// Why the process is not ready; empty = ready.
#[must_use]
pub(super) fn reasons(
    config: &Config,
    snapshots: &[Arc<Snapshot>],
    actuator: &ActuatorSnapshot,
    tasks: &Tasks,
    stopping: bool,
    now: Millis,
) -> Vec<String> {
    let mut out = Vec::new();
    if stopping {
        out.push("shutting down".to_owned());
    }
    for stalled in tasks.stalled() {
        out.push(format!(
            "task {} has not ticked for {} s",
            stalled.task,
            stalled.silent_for.as_secs()
        ));
    }
    for chain in &config.chains {
        let name = &chain.spec.name;
        let limit = stall_after(chain.poll_interval);
        match snapshots.iter().find(|s| s.chain == *name) {
            None => out.push(format!("chain {name} has not been polled yet")),
            Some(snapshot) => {
                if let Some(silent) = older(snapshot.tick_at, limit, now) {
                    out.push(format!(
                        "task {} has not ticked for {silent} s",
                        watch_task(name)
                    ));
                }
                if let Err(why) = &snapshot.agreement {
                    out.push(format!("chain {name} has no agreed view: {why}"));
                }
            }
        }
        if let Some(silent) = actuator
            .last_tick
            .get(name)
            .and_then(|at| older(*at, limit, now))
        {
            out.push(format!(
                "task actuator/{name} has not ticked for {silent} s"
            ));
        }
    }
    if !actuator.journal_writable {
        out.push("the journal cannot be written: nothing can be switched".to_owned());
    }
    out
}

fn older(then: Millis, limit: Duration, now: Millis) -> Option<u64> {
    let age = Duration::from_millis(u64::try_from(now.saturating_sub(then)).ok()?);
    (age > limit).then_some(age.as_secs())
}
