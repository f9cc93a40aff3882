//! Who asked for a switch, and when: the webhook's way into the actuator, which notes for the guard that somebody asked.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::actuator::{ActuatorHandle, Cause, Incoming, JournalError, Submitted};
use crate::alertmanager::Intake;
use crate::clock::{Millis, now_ms};
use crate::keys::PublicKey;

/// When authenticated webhooks last asked about a key: what the guard's `fallback` listens for.
#[derive(Debug, Default)]
pub(super) struct LastRequests(Mutex<HashMap<(String, String, PublicKey), Millis>>);

/// The webhook's way into the actuator, noting on the way that somebody asked.
pub(super) struct Noted {
    pub(super) actuator: ActuatorHandle,
    pub(super) seen: Arc<LastRequests>,
    /// `actuator.max_alert_age`: what is older asks for nothing.
    pub(super) max_age: Millis,
}

// === impl LastRequests ===

impl LastRequests {
    /// Notes that somebody asked. An alert too old to be acted on (a dead Prometheus' alerts, which Alertmanager repeats
    /// for minutes; a clock gone wrong) asks for nothing and must not keep the guard quiet.
    fn note(&self, request: &Incoming, max_age: Millis, now: Millis) {
        let fresh = request
            .evaluated_at
            .is_some_and(|at| now.saturating_sub(at) <= max_age);
        if let (Some(fence), Cause::Webhook, true) = (request.fence, request.cause, fresh) {
            let key = (request.chain.clone(), request.producer.clone(), fence);
            self.lock().insert(key, now);
        }
    }

    pub(super) fn last(&self, chain: &str, producer: &str, key: &PublicKey) -> Option<Millis> {
        let id = (chain.to_owned(), producer.to_owned(), *key);
        self.lock().get(&id).copied()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String, PublicKey), Millis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intake for Noted {
    fn submit(
        &self,
        incoming: Vec<Incoming>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Submitted>, JournalError>> + Send + '_>> {
        Box::pin(async move {
            let asked = incoming.clone();
            let taken = self.actuator.submit(incoming).await?;
            let now = now_ms();
            // Only what is durable counts as asked. Unknown names are not kept: an authenticated caller could
            // otherwise fill the memory with them.
            for (request, _) in asked.iter().zip(&taken) {
                if self.actuator.keeps(&request.chain, &request.producer) {
                    self.seen.note(request, self.max_age, now);
                }
            }
            Ok(taken)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::Action;

    #[test]
    fn an_alert_too_old_to_be_acted_on_does_not_keep_the_guard_quiet() {
        let key = PublicKey::from_bytes([2; 33]);
        let asked = |evaluated_at| Incoming {
            chain: "hive".into(),
            producer: "alice".into(),
            action: Action::Failover,
            cause: Cause::Webhook,
            fence: Some(key),
            fingerprint: None,
            labels: Vec::new(),
            evaluated_at,
            to: None,
            override_reason: None,
        };
        let now = 1_000_000;
        for (evaluated_at, heard) in [
            (Some(now), true),
            (Some(now - 120_000), true),
            (Some(now - 120_001), false),
            (Some(now + 1_000), true),
            (None, false),
        ] {
            let requests = LastRequests::default();
            requests.note(&asked(evaluated_at), 120_000, now);
            let last = requests.last("hive", "alice", &key);
            assert_eq!(last, heard.then_some(now), "{evaluated_at:?}");
        }
    }
}
