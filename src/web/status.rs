//! `/api/v1/status`: everything the contract names, and in words what is in the way. Pure: pictures in, JSON out.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::actuator::{ActuatorSnapshot, ProducerStanding, Waiting};
use crate::chain::Finalizer;
use crate::clock::Millis;
use crate::config::Config;
use crate::metrics::{ChainKeys, HeartbeatFigure, agreeing, seconds};
use crate::rpc::EndpointStatus;
use crate::watch::{Fault, FaultClause, ProducerSnapshot, Readiness, Snapshot};

/// What the status is made from.
#[derive(Debug)]
pub(super) struct Inputs<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The latest snapshot of each chain.
    pub snapshots: &'a [Arc<Snapshot>],
    /// The actuator's figures.
    pub actuator: &'a ActuatorSnapshot,
    /// Every heartbeat source.
    pub heartbeats: &'a [HeartbeatFigure],
    /// Why the process is not ready.
    pub not_ready: &'a [String],
    /// Local clock.
    pub now: Millis,
}

/// The status.
#[must_use]
pub(super) fn status(i: &Inputs<'_>) -> Value {
    let standings = &i.actuator.producers;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": i.not_ready.is_empty(),
        "not_ready": i.not_ready,
        "armed": i.actuator.armed,
        "armed_note": i.actuator.armed_difference,
        "able": !standings.is_empty() && standings.values().all(|s| s.able.is_ok()),
        "pending": i.actuator.pending,
        "journal_writable": i.actuator.journal_writable,
        "chains": i.snapshots.iter().map(|s| chain(s)).collect::<Vec<_>>(),
        "producers": producers(i),
        "heartbeats": i.heartbeats.iter().map(|h| heartbeat(h, i.config, i.now)).collect::<Vec<_>>(),
        "warnings": i.config.warnings,
    })
}

/// RFC 3339 in UTC.
#[must_use]
pub(super) fn rfc3339(ms: Millis) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |t| t.to_string())
}

fn chain(s: &Snapshot) -> Value {
    let view = s.last_view.as_deref();
    json!({
        "name": s.chain,
        "head": view.map(|v| v.head.num),
        "irreversible": view.map(|v| v.irreversible),
        "head_time": view.map(|v| rfc3339(v.head.time)),
        "observed": view.map(|v| rfc3339(v.observed_at)),
        "agreeing": agreeing(s),
        "providers": s.providers,
        "quorum": s.quorum,
        "disagreement": s.agreement.as_ref().err().map(ToString::to_string),
        "participation": view.and_then(|v| v.participation),
        "slots": s.slots.slots,
        "missed": s.slots.missed,
        "caught_up": s.slots.caught_up,
        "endpoints": s.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

fn endpoint(e: &EndpointStatus) -> Value {
    json!({
        "endpoint": e.label,
        "provider": e.provider,
        "up": e.up,
        "head": e.head,
        "lag": e.lag,
        "error": e.error,
    })
}

fn producers(i: &Inputs<'_>) -> Vec<Value> {
    let mut out = Vec::new();
    for snapshot in i.snapshots {
        let keys = ChainKeys::new(i.config, &snapshot.chain);
        for (name, seen) in &snapshot.producers {
            let standing = i
                .actuator
                .producers
                .get(&(snapshot.chain.clone(), name.clone()));
            let finalizer = snapshot.finalizers.get(name);
            let mut one = producer(i, &snapshot.chain, name, seen, standing, &keys);
            // Who cannot leave the schedule now: before anybody asks for it.
            let in_vain = snapshot.election.as_ref().filter(|_| standing.is_some());
            let in_vain = in_vain.and_then(|e| e.without(name).in_vain());
            if let Some(one) = one.as_object_mut() {
                one.insert("disable_note".to_owned(), json!(in_vain));
                one.insert("finalizer".to_owned(), json!(finalizer.map(voting)));
            }
            out.push(one);
        }
    }
    out
}

fn producer(
    i: &Inputs<'_>,
    chain: &str,
    name: &str,
    seen: &ProducerSnapshot,
    standing: Option<&ProducerStanding>,
    keys: &ChainKeys,
) -> Value {
    let state = seen.state.as_ref();
    let configured = i.config.producer(chain, name);
    let missed: u64 = seen.keys.values().map(|k| k.missed).sum();
    let produced: u64 = seen.keys.values().map(|k| k.produced).sum();
    json!({
        "chain": chain,
        "name": name,
        "registered_key": state.map(|s| s.registered_key.to_text(keys.prefix())),
        "effective_key": state.map(|s| s.effective_key.to_text(keys.prefix())),
        "role": state.map(|s| keys.role(name, &s.registered_key)),
        "enabled": state.map(|s| s.enabled),
        "fault": fault(seen),
        "missed": missed,
        "produced": produced,
        "consecutive_missed": seen.consecutive_missed,
        "window_missed": seen.window_missed,
        "last_block": seen.last_block.map(|(num, _)| num),
        "last_block_time": seen.last_block.map(|(_, at)| rfc3339(at)),
        "next_slot": seen.next_slot.map(rfc3339),
        "recent_slots": seen.recent.iter().map(|s| s.outcome.letter()).collect::<String>(),
        "scheduled": seen.scheduled,
        "watched_only": configured.is_none_or(|c| c.keys.is_empty()),
        "armed": standing.is_some_and(|s| s.armed.is_ok()),
        "armed_note": standing.and_then(|s| s.armed.as_ref().err()),
        "able": standing.is_some_and(|s| s.able.is_ok()),
        "able_note": standing.and_then(|s| s.able.as_ref().err()),
        "pinned": standing.is_some_and(|s| s.pinned),
        "maintenance_until": standing.and_then(|s| s.maintenance_until).map(rfc3339),
        "budget_remaining": standing.map(|s| s.budget_remaining),
        "last_switch": standing.and_then(|s| s.last_switch).map(rfc3339),
        "keys": configured
            .into_iter()
            .flat_map(|c| &c.keys)
            .map(|k| {
                let (ready, detail) = readiness(seen.ready.get(&k.signing_key));
                json!({
                    "signing_key": k.signing_key.to_text(keys.prefix()),
                    "role": keys.role(name, &k.signing_key),
                    "ready": ready,
                    "detail": detail,
                })
            })
            .collect::<Vec<_>>(),
        "attempt": standing.and_then(|s| s.attempt.as_ref()),
        "waiting": standing.and_then(|s| s.waiting.as_ref()).map(waiting),
    })
}

/// A finality key and what it voted for last.
fn voting(f: &Finalizer) -> Value {
    json!({
        "active_key": f.active_key,
        "pending_key": f.pending_key,
        "last_vote": f.last_vote.map(|(num, _)| num),
        "last_vote_time": f.last_vote.map(|(_, at)| rfc3339(at)),
    })
}

/// A registered key that is not in force yet.
fn waiting(w: &Waiting) -> Value {
    json!({
        "signing_key": w.signing_key,
        "since": rfc3339(w.since),
        "stage": w.stage,
        "expected_seconds": seconds(w.expected),
        "detail": w.detail,
    })
}

/// `null` = not known yet.
fn readiness(ready: Option<&Readiness>) -> (Option<bool>, &str) {
    match ready {
        Some(Readiness::Ready) => (Some(true), "ready"),
        Some(Readiness::NotReady(why)) => (Some(false), why),
        Some(Readiness::Unknown) | None => (None, "its node has not answered yet"),
    }
}

fn fault(seen: &ProducerSnapshot) -> &'static str {
    match seen.fault {
        Fault::No => "no",
        Fault::Unknown => "unknown",
        Fault::Yes(FaultClause::NodeDown) => "missed a slot while its node is down",
        Fault::Yes(FaultClause::Consecutive) => "too many misses in a row",
        Fault::Yes(FaultClause::Window) => "too many misses in the window",
    }
}

fn heartbeat(h: &HeartbeatFigure, config: &Config, now: Millis) -> Value {
    let limits = config.heartbeats.iter().find(|c| c.source == h.source);
    json!({
        "source": h.source,
        "heard": h.heard_at.map(rfc3339),
        "max_silence": limits.map(|c| c.max_silence.as_secs_f64()),
        "age": h.heard_at.map(|at| seconds(now.saturating_sub(at).max(0))),
        "evaluated_age": h.evaluated_at.map(|at| seconds(now.saturating_sub(at).max(0))),
        "overdue": h.overdue,
    })
}
