//! The guard's loop: on every snapshot of a chain, judge each kept producer and submit a request where it asks.
//! Touches the actuator's front door only.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::watch;

use super::judge::{Facts, Silence, judge};
use crate::actuator::{Action, ActuatorHandle, Cause, Incoming};
use crate::clock::{Millis, millis, now_ms};
use crate::config::Config;
use crate::keys::PublicKey;
use crate::watch::{Fault, Snapshot};

/// A pending request is decided again every tick by itself; asking again only keeps it from growing stale.
const REPEAT_MS: Millis = 5_000;

/// When a webhook last asked about (chain, producer, signing key).
pub type LastRequest = Box<dyn Fn(&str, &str, &PublicKey) -> Option<Millis> + Send + Sync>;

/// How the guard hears the alert pipeline, injected so that it depends on neither web nor Alertmanager code.
pub struct Ears {
    /// Whether every configured heartbeat source is overdue (false when none is configured).
    pub all_overdue: Box<dyn Fn(Millis) -> bool + Send + Sync>,
    /// When an authenticated webhook last asked.
    pub last_request: LastRequest,
}

/// The guard of one process: all chains, all kept producers.
pub struct Guard {
    config: Arc<Config>,
    snapshots: BTreeMap<String, watch::Receiver<Arc<Snapshot>>>,
    actuator: ActuatorHandle,
    ears: Arc<Ears>,
    tick: Box<dyn Fn() + Send + Sync>,
}

/// What the loop remembers of one producer.
#[derive(Debug, Clone, Copy)]
struct Standing {
    key: PublicKey,
    seen_since: Millis,
    asked_at: Option<Millis>,
}

// === impl Guard ===

impl Guard {
    /// A guard that reports each round through `tick` (for `task_last_tick_timestamp_seconds`).
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        snapshots: BTreeMap<String, watch::Receiver<Arc<Snapshot>>>,
        actuator: ActuatorHandle,
        ears: Ears,
        tick: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self {
            config,
            snapshots,
            actuator,
            ears: Arc::new(ears),
            tick,
        }
    }

    /// Runs until `shutdown` turns true.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut standings = HashMap::new();
        let chains: Vec<String> = self.snapshots.keys().cloned().collect();
        while !*shutdown.borrow() {
            let changed = wait_for_any(&mut self.snapshots);
            tokio::select! {
                _ = changed => {}
                stop = shutdown.changed() => if stop.is_err() { return },
            }
            for chain in &chains {
                let snapshot = match self.snapshots.get_mut(chain) {
                    Some(receiver) => receiver.borrow_and_update().clone(),
                    None => continue,
                };
                self.look(&snapshot, &mut standings).await;
            }
            (self.tick)();
        }
    }

    async fn look(&self, snapshot: &Snapshot, standings: &mut HashMap<(String, String), Standing>) {
        let now = now_ms();
        let kept = self
            .config
            .producers
            .iter()
            .filter(|p| p.chain == snapshot.chain && !p.keys.is_empty());
        for producer in kept {
            let id = (producer.chain.clone(), producer.name.clone());
            let Some(seen) = snapshot.producers.get(&producer.name) else {
                continue;
            };
            let Some(key) = seen.state.as_ref().map(|s| s.registered_key) else {
                continue;
            };
            // A key that is not configured, or the null key, is an operator's own decision: nothing to ask for.
            if !producer.lists(&key) || seen.fault == Fault::No {
                standings.remove(&id);
                continue;
            }
            // Not knowing for a tick is no recovery: patience must not begin anew whenever the ledger is a block behind.
            if seen.fault == Fault::Unknown {
                continue;
            }
            let fresh = Standing {
                key,
                seen_since: now,
                asked_at: None,
            };
            let standing = standings.entry(id).or_insert(fresh);
            // A clock set back must not keep the guard quiet until it has caught up again.
            if standing.key != key || standing.seen_since > now {
                *standing = fresh;
            }
            let why = judge(&Facts {
                mode: self.config.guard.mode,
                patience: millis(self.config.guard.patience),
                fault: seen.fault,
                fault_seen_since: Some(standing.seen_since),
                now,
                silence: if (self.ears.all_overdue)(now) {
                    Silence::AllOverdue
                } else {
                    Silence::Heard
                },
                last_request: (self.ears.last_request)(&producer.chain, &producer.name, &key),
                request_counts_for: millis(self.config.actuator.max_alert_age),
            });
            let due = standing
                .asked_at
                .is_none_or(|at| now.saturating_sub(at) >= REPEAT_MS);
            let Some(why) = why.filter(|_| due) else {
                continue;
            };
            if standing.asked_at.is_none() {
                tracing::warn!(
                    chain = %producer.chain, producer = %producer.name, why = why.as_str(),
                    "guard asks for a failover"
                );
            }
            standing.asked_at = Some(now);
            let request = Incoming {
                chain: producer.chain.clone(),
                producer: producer.name.clone(),
                action: Action::Failover,
                cause: Cause::Guard,
                fence: Some(key),
                to: None,
                override_reason: None,
                fingerprint: None,
                labels: Vec::new(),
                evaluated_at: Some(now),
            };
            if let Err(error) = self.actuator.submit(vec![request]).await {
                tracing::error!(%error, "the guard's request could not be journaled; it is asked again in 5 s");
            }
        }
    }
}

/// Resolves when any chain has published a new snapshot. A chain whose watcher is gone never will; the others still do.
async fn wait_for_any(snapshots: &mut BTreeMap<String, watch::Receiver<Arc<Snapshot>>>) {
    use std::future::poll_fn;
    use std::task::Poll;
    let mut waits: Vec<_> = snapshots
        .values_mut()
        .map(|receiver| {
            Box::pin(async move {
                if receiver.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
        })
        .collect();
    poll_fn(|context| {
        if waits
            .iter_mut()
            .any(|w| w.as_mut().poll(context).is_ready())
        {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_chain_whose_watcher_died_does_not_take_the_guard_of_the_others_along() {
        let (dead, living) = (
            watch::Sender::new(Arc::new(Snapshot::empty())),
            watch::Sender::new(Arc::new(Snapshot::empty())),
        );
        let mut snapshots: BTreeMap<_, _> = [
            ("dead".to_owned(), dead.subscribe()),
            ("living".to_owned(), living.subscribe()),
        ]
        .into();
        drop(dead);
        for _ in 0..3 {
            let wait = tokio::spawn(async move {
                wait_for_any(&mut snapshots).await;
                for receiver in snapshots.values_mut() {
                    receiver.mark_unchanged();
                }
                snapshots
            });
            tokio::task::yield_now().await; // it has looked at the dead one
            living.send_replace(Arc::new(Snapshot::empty()));
            snapshots = wait.await.expect("the guard goes on");
        }
    }
}
