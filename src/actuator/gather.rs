//! Gathers the facts of one decision from configuration, book and snapshot. No I/O, no clock.

use super::alert_source::Standing;
use super::attempt::Attempt;
use super::facts::{Facts, Rules, Seen, Standby, Underway};
use super::handle::name;
use super::shared::Shared;
use super::types::Request;
use crate::clock::{Millis, millis};
use crate::config::{ChainConfig, KeyConfig, ProducerConfig};
use crate::watch::{Fault, NodeHealth, ProducerSnapshot, Readiness, Snapshot};

/// A switch's transaction can enter a block for this long; no cooldown is shorter.
const EXPIRY: Millis = 30_000;

/// The facts as they are now.
pub(super) fn gather(
    shared: &Shared,
    request: &Request,
    standing: Option<Standing>,
    snapshot: &Snapshot,
    now: Millis,
) -> Facts {
    let key = name(&request.chain, &request.producer);
    let chain = shared.config.chain(&request.chain);
    let producer = shared
        .config
        .producer(&request.chain, &request.producer)
        .filter(|p| !p.keys.is_empty());
    let watched = snapshot.producers.get(&request.producer).map(|w| &**w);
    let view = see(snapshot, &request.producer);
    let fit = shared.fit.get(&key).cloned().unwrap_or(Ok(()));
    let registered = view
        .as_ref()
        .ok()
        .filter(|v| !v.settling)
        .and_then(|v| v.registered);
    let head_time = view.as_ref().map_or(now, |v| v.head_time);
    let fence = request.fence.or(registered);
    let silence = fence.and_then(|fence| {
        shared.alerts.cached_silence(
            &request.chain,
            &request.producer,
            &shared.show(&request.chain, &fence),
        )
    });
    let book = shared.book();
    let since = head_time.saturating_sub(producer.map_or(0, |p| millis(p.budget_per)));
    Facts {
        now,
        request: request.clone(),
        prefix: shared.prefix(&request.chain).to_owned(),
        rules: chain
            .zip(producer)
            .map(|(c, p)| rules(c, p, watched, millis(shared.config.actuator.max_alert_age))),
        arm: book
            .arm
            .effective(&request.chain, &request.producer, &fit, now),
        standing,
        silence,
        view,
        tick_at: snapshot.tick_at,
        fault: fault(watched, book.last_switch(&key)),
        consecutive_missed: watched.map_or(0, |w| w.consecutive_missed),
        no_ready_standby_since: watched.and_then(|w| w.no_ready_standby_since),
        others_participation: watched.and_then(|w| w.others_participation),
        others_since_run: watched.and_then(|w| w.others_since_run),
        attempt: book.open_attempt(&key).map(|a| Underway {
            id: a.id.clone(),
            to: a.sealed.change.to,
            stage: a.stage,
            lapsed: a.lapsed(head_time, registered),
            swaps: a.swaps,
        }),
        last_switch: book.last_switch(&key),
        switches_spent: book.spent_since(&key, since),
        authority: shared
            .keyrings
            .get(&key)
            .map(|k| k.authorities.clone())
            .unwrap_or_default(),
        active_keys: watched.map(|w| w.active_keys.clone()).unwrap_or_default(),
        waiting: shared.waiting(&book, snapshot, &request.producer),
        election: snapshot.election.clone(),
    }
}

fn see(snapshot: &Snapshot, producer: &str) -> Result<Seen, String> {
    let view = snapshot.agreement.as_ref().map_err(ToString::to_string)?;
    let agreed = view.producers.get(producer);
    let state = agreed.and_then(|a| a.state.as_ref());
    Ok(Seen {
        observed_at: view.observed_at,
        head: view.head.num,
        head_time: view.head.time,
        agreeing: (view.agreeing, snapshot.quorum),
        registered: state.map(|s| s.registered_key),
        effective: state.map(|s| s.effective_key),
        enabled: state.is_some_and(|s| s.enabled),
        settling: agreed.is_none_or(|a| a.settling),
        anchored: snapshot.irreversible.is_some(),
        clock_offset: view.clock_offset,
        participation: view.participation,
    })
}

fn rules(
    chain: &ChainConfig,
    producer: &ProducerConfig,
    watched: Option<&ProducerSnapshot>,
    max_alert_age: Millis,
) -> Rules {
    let keys = producer.keys.iter().map(|k| {
        let ready = ready(k, watched);
        let node = watched.and_then(|w| w.nodes.get(&k.signing_key));
        Standby {
            key: k.signing_key,
            proven: k.node.is_some()
                && node.and_then(|n: &NodeHealth| n.up) == Some(true)
                && ready == Readiness::Ready,
            ready,
            finalizer: k.finalizer_key.clone(),
        }
    });
    Rules {
        keys: keys.collect(),
        max_alert_age,
        max_view_age: max_view_age(chain),
        max_head_age: chain.spec.block_interval.saturating_mul(10).max(15_000),
        min_participation: chain.min_participation,
        cooldown: millis(producer.cooldown).max(EXPIRY),
        budget: producer.budget_switches,
        budget_per: format!("{} s", producer.budget_per.as_secs()),
        when_exhausted: producer.when_exhausted,
        disable_when: producer.disable_when,
        reenable_manual: producer.reenable_manual,
    }
}

fn ready(key: &KeyConfig, watched: Option<&ProducerSnapshot>) -> Readiness {
    match watched.and_then(|w| w.ready.get(&key.signing_key)) {
        Some(ready) => ready.clone(),
        None if key.node.is_some() => Readiness::Unknown,
        None if key.assume_ready => Readiness::Ready,
        None => Readiness::NotReady("it has no node and no assume_ready".into()),
    }
}

/// How ready the target of an attempt is now.
pub(super) fn readiness(shared: &Shared, snapshot: &Snapshot, attempt: &Attempt) -> Readiness {
    let producer = shared.config.producer(&attempt.chain, attempt.producer());
    let to = attempt.sealed.change.to;
    let key = producer.and_then(|p| p.keys.iter().find(|k| k.signing_key == to));
    let watched = snapshot.producers.get(attempt.producer()).map(|w| &**w);
    match key {
        Some(key) => ready(key, watched),
        None => Readiness::NotReady("it is not configured".into()),
    }
}

/// The fault, as far as it belongs to the tenure since the last change of key that we know of. The ledger may have
/// missed that change (a person went back to the old key while nobody looked): then the misses of the tenure before
/// are no evidence against the key that was chosen anew.
fn fault(watched: Option<&ProducerSnapshot>, last_switch: Option<Millis>) -> Fault {
    let Some(watched) = watched else {
        return Fault::Unknown;
    };
    let unseen = last_switch.is_some_and(|at| {
        watched.tenure_since.is_some_and(|since| since < at)
            && watched.last_missed.is_some_and(|missed| missed <= at)
    });
    match watched.fault {
        Fault::Yes(_) if unseen => Fault::No,
        fault => fault,
    }
}

/// `stale_view`: three polls, at least three seconds.
pub(super) fn max_view_age(chain: &ChainConfig) -> Millis {
    millis(chain.poll_interval).saturating_mul(3).max(3_000)
}
