//! What the watcher says to people: changes only, never the same line every tick.

use super::ledger::{Applied, MissEvent};
use super::probes::ProbeChange;
use super::{Fault, ProducerSnapshot, Watcher};
use crate::keys::PublicKey;

impl Watcher {
    pub(super) fn log_ledger(&self, applied: &Applied) {
        let chain = &self.plan.name;
        if let Some(depth) = applied.reorg {
            tracing::info!(%chain, blocks = depth, "left a fork");
        }
        if let Some((first, last)) = applied.skipped {
            tracing::warn!(%chain, first, last, "blocks skipped: who missed what there stays unknown");
        }
        if let Some(odd) = &applied.odd {
            tracing::warn!(%chain, "{odd}");
        }
        let turn = u64::from(self.plan.turn.max(1));
        for group in applied.misses.chunk_by(|a, b| same_turn(a, b, turn)) {
            let Some(miss) = group.first() else { continue };
            let Some(producer) = self.plan.producers.get(&miss.producer) else {
                continue;
            };
            let key = miss
                .key
                .map_or_else(|| "unknown".to_owned(), |k| self.text(&k));
            let what = match group.len() {
                _ if turn == 1 => "slot missed".to_owned(),
                n if u64::try_from(n) == Ok(turn) => format!("turn of {turn} slots missed"),
                n => format!("{n} of the {turn} slots of a turn missed"),
            };
            if producer.keys.is_empty() {
                tracing::info!(%chain, producer = %miss.producer, signing_key = %key, slot = miss.slot, "{what}");
            } else {
                tracing::warn!(%chain, producer = %miss.producer, signing_key = %key, slot = miss.slot, "{what}");
            }
        }
    }

    pub(super) fn log_producer(
        &self,
        name: &str,
        (fault, key): (Fault, Option<PublicKey>),
        next: &ProducerSnapshot,
    ) {
        let chain = &self.plan.name;
        let registered = next.state.as_ref().map(|s| s.registered_key);
        if let (Some(old), Some(new)) = (key, registered)
            && old != new
        {
            tracing::info!(%chain, producer = %name, from = %self.text(&old), to = %self.text(&new), "another signing key is registered");
        }
        match (fault, next.fault) {
            (Fault::Yes(_), Fault::Yes(_)) => {}
            (_, Fault::Yes(clause)) => {
                tracing::warn!(%chain, producer = %name, ?clause, consecutive = next.consecutive_missed, window = next.window_missed, "fault");
            }
            (Fault::Yes(_), Fault::No) => {
                tracing::info!(%chain, producer = %name, "fault over");
            }
            _ => {}
        }
    }

    pub(super) fn log_probe(&self, change: &ProbeChange) {
        let (chain, key) = (&self.plan.name, self.text(&change.key));
        let ProbeChange {
            producer,
            node,
            detail,
            ..
        } = change;
        if change.up {
            tracing::info!(%chain, %producer, signing_key = %key, %node, "node up: {detail}");
        } else {
            tracing::warn!(%chain, %producer, signing_key = %key, %node, "node down: {detail}");
        }
    }
}

/// Whether two misses are of one turn: one line tells both.
fn same_turn(a: &MissEvent, b: &MissEvent, turn: u64) -> bool {
    a.slot.checked_div(turn) == b.slot.checked_div(turn)
        && (&a.producer, a.key) == (&b.producer, b.key)
}
