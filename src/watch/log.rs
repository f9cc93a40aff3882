//! What the watcher says to people: changes only, never the same line every tick.

use std::collections::BTreeMap;

use super::ledger::{Applied, MissEvent};
use super::probes::ProbeChange;
use super::{Fault, ProducerSnapshot, Watcher};
use crate::clock::Millis;
use crate::keys::PublicKey;
use crate::rpc::EndpointStatus;

/// How long an endpoint must be up or down before it is told: a public one that flaps would fill the log.
const STEADY_MS: Millis = 10_000;

/// What was last told of each endpoint, by label.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<String, Standing>);

/// All begin as up: only what is not so needs a word.
#[derive(Debug, Default)]
struct Standing {
    down: bool,
    /// Since when it has been otherwise.
    otherwise: Option<Millis>,
}

// === impl Told ===

impl Told {
    /// Takes in how it stands; whether that is to be told now.
    fn news(&mut self, label: &str, up: bool, now: Millis) -> bool {
        let standing = self.0.entry(label.to_owned()).or_default();
        if up != standing.down {
            standing.otherwise = None;
            return false;
        }
        let since = *standing.otherwise.get_or_insert(now);
        if now.saturating_sub(since) < STEADY_MS {
            return false;
        }
        *standing = Standing {
            down: !up,
            otherwise: None,
        };
        true
    }
}

// === impl Watcher ===

impl Watcher {
    pub(super) fn log_endpoints(&mut self, endpoints: &[EndpointStatus], now: Millis) {
        let chain = &self.plan.name;
        for one in endpoints {
            let endpoint = &one.label;
            if !self.told.news(endpoint, one.up, now) {
                continue;
            }
            if one.up {
                tracing::info!(%chain, %endpoint, "endpoint up again");
            } else {
                let why = one.error.as_deref().unwrap_or("it does not answer");
                tracing::warn!(%chain, %endpoint, "endpoint down for 10 s: {why}");
            }
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_told_when_it_stays_down_or_up_and_never_while_it_flaps() {
        let mut told = Told::default();
        let mut at = |seconds: Millis, up| told.news("a", up, seconds * 1000);
        assert!(!at(0, true));
        // Every second poll fails: nobody wants to read that.
        assert!((1..59).all(|s| !at(s, s % 2 == 0)));
        assert!(!at(60, false) && !at(69, false) && at(70, false));
        assert!((71..200).all(|s| !at(s, false)), "once");
        assert!(!at(200, true) && !at(205, false) && !at(206, true) && !at(215, true));
        assert!(at(216, true) && !at(217, true));
        // One that is down from the start is told too, and each for itself.
        let mut told = Told::default();
        assert!(!told.news("a", false, 5) && !told.news("b", true, 5));
        assert!(told.news("a", false, 10_005) && !told.news("b", true, 10_005));
        // A clock that is set back tells nothing, and later.
        assert!(!told.news("a", true, 20_000) && !told.news("a", true, 1_000));
        assert!(told.news("a", true, 30_000));
    }
}
