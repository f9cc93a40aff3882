//! Notices registered keys that change without us: a listed key set by hand (or by another instance) is adopted, with
//! a cooldown as after our own switch; a null or foreign key is an operator's decision and left alone.

use std::sync::Arc;

use super::Driver;
use crate::actuator::book::Known;
use crate::actuator::handle::name;
use crate::actuator::journal::{Entry, EventRecord};
use crate::actuator::types::Stage;
use crate::clock;
use crate::watch::Snapshot;

impl Driver {
    pub(super) async fn note_keys(&mut self, snapshot: &Arc<Snapshot>) {
        let Ok(view) = &snapshot.agreement else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        let chain = self.chain_name().to_owned();
        let mut entries = Vec::new();
        let mut events = Vec::new();
        for producer in &shared.config.producers {
            if producer.chain != chain || producer.keys.is_empty() {
                continue;
            }
            let agreed = view.producers.get(&producer.name).filter(|p| !p.settling);
            let Some(state) = agreed.and_then(|a| a.state.as_ref()) else {
                continue;
            };
            let key = state.registered_key;
            let id = name(&chain, &producer.name);
            let mut book = shared.book();
            let before = book.known.get(&id).cloned();
            if before.as_ref().is_some_and(|k| k.key == key) {
                continue;
            }
            let last = book.attempts_of(&id).next_back();
            // Ours only when it is this very change: from the key before, and drafted in its tenure. A person may have
            // gone somewhere else and come back to a key that we once set.
            let ours = last.is_some_and(|a| {
                a.sealed.change.to == key
                    && !matches!(a.stage, Stage::Expired | Stage::Failed)
                    && before.as_ref().is_none_or(|before| {
                        a.sealed.change.from == before.key && a.drafted_at >= before.since
                    })
            });
            let reorg = last.is_some_and(|a| a.sealed.change.from == key && !a.stage.is_over());
            if reorg {
                continue; // the attempt is followed until irreversible; this may turn back
            }
            let mut known = Known {
                key,
                since: view.head.time,
                adopted: before.as_ref().and_then(|k| k.adopted),
            };
            if let (Some(before), false) = (&before, ours) {
                let was = shared.show(&chain, &before.key);
                let is = shared.show(&chain, &key);
                let (kind, detail) = if key.is_null() {
                    (
                        "operator_override",
                        format!(
                            "somebody disabled production (it was {was}): left alone until it is enabled again"
                        ),
                    )
                } else if producer.lists(&key) {
                    known.adopted = Some(view.head.time);
                    (
                        "adopted",
                        format!(
                            "somebody changed the key from {was} to {is}, one of ours: adopted, resting as after a switch"
                        ),
                    )
                } else {
                    (
                        "operator_override",
                        format!(
                            "somebody changed the key from {was} to {is}, which is not configured here: left alone"
                        ),
                    )
                };
                tracing::warn!(chain, producer = producer.name, "{detail}");
                events.push(EventRecord {
                    at: clock::now_ms(),
                    kind: kind.into(),
                    chain: chain.clone(),
                    producer: producer.name.clone(),
                    detail,
                    request_id: None,
                    attempt_id: None,
                    txid: None,
                    ..EventRecord::default()
                });
            }
            match serde_json::to_value(&known) {
                Ok(value) => entries.push(Entry::Kv {
                    kind: crate::actuator::REGISTERED.into(),
                    key: format!("{chain}/{}", producer.name),
                    value: Some(value),
                }),
                Err(error) => tracing::error!(%error, "a registered key could not be noted"),
            }
            book.known.insert(id, known);
        }
        if entries.is_empty() {
            return;
        }
        entries.extend(events.iter().cloned().map(Entry::Event));
        if let Err(error) = shared.journal.write(entries).await {
            tracing::error!(%error, chain, "a change of registered keys could not be journaled");
        }
        for event in events {
            shared.announce(event);
        }
    }
}
