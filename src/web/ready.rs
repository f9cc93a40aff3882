//! Is this process fit to do its work? Every loop ticks, every chain has an agreed view, the journal can be written. Pure
//! but for the stopwatches inside [`Tasks`]; time comes in.

use std::sync::Arc;

use crate::actuator::ActuatorSnapshot;
use crate::clock::Millis;
use crate::config::Config;
use crate::metrics::{Tasks, stalled_loops};
use crate::watch::Snapshot;

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
    for stalled in stalled_loops(config, snapshots, actuator, tasks, now) {
        out.push(format!(
            "task {} has not ticked for {} s",
            stalled.task,
            stalled.silent_for.as_secs()
        ));
    }
    for chain in &config.chains {
        let name = &chain.spec.name;
        match snapshots.iter().find(|s| s.chain == *name) {
            None => out.push(format!("chain {name} has not been polled yet")),
            Some(snapshot) => {
                if let Err(why) = &snapshot.agreement {
                    out.push(format!("chain {name} has no agreed view: {why}"));
                }
            }
        }
    }
    if !actuator.journal_writable {
        out.push("the journal cannot be written: nothing can be switched".to_owned());
    }
    out
}
