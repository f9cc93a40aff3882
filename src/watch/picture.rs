//! One producer's part of the snapshot, from what ledger, view and probes say. Pure.

use super::fault::{self, Evidence};
use super::ledger::Figures;
use super::probes::Probes;
use super::{Fault, ProducerSnapshot, Readiness};
use crate::clock::Millis;
use crate::config::{FaultConfig, ProducerConfig};
use crate::rpc::View;

/// A producer nothing is known of yet.
pub(crate) fn blank() -> ProducerSnapshot {
    ProducerSnapshot {
        state: None,
        state_time: None,
        settling: false,
        keys: Default::default(),
        retracted: 0,
        consecutive_missed: 0,
        window_missed: 0,
        last_missed: None,
        tenure_since: None,
        last_block: None,
        next_slot: None,
        scheduled: false,
        fault: Fault::Unknown,
        fault_since: None,
        others_participation: None,
        others_since_run: None,
        recent: Vec::new(),
        nodes: Default::default(),
        ready: Default::default(),
        no_ready_standby_since: None,
        active_keys: Default::default(),
        conflicting_blocks: 0,
    }
}

/// Takes in what the agreed view says of the producer.
pub(super) fn take_view(picture: &mut ProducerSnapshot, name: &str, view: &View) {
    if let Some(agreed) = view.producers.get(name) {
        picture.settling = agreed.settling;
        // While endpoints at different heads differ, the last agreed state stands.
        if !agreed.settling {
            picture.state.clone_from(&agreed.state);
            picture.state_time = agreed.state.is_some().then_some(view.head.time);
        }
    }
    for (authority, keys) in &view.active_keys {
        if authority.split('@').next() == Some(name) {
            picture.active_keys.insert(authority.clone(), keys.clone());
        }
    }
}

/// Takes in the ledger's figures, and judges the fault.
pub(super) fn take_figures(
    picture: &mut ProducerSnapshot,
    figures: Figures,
    caught_up: bool,
    config: &FaultConfig,
) {
    let node_up = figures
        .key
        .and_then(|key| picture.nodes.get(&key))
        .and_then(|node| node.up);
    let enabled = figures.key.is_none_or(|key| !key.is_null())
        && picture.state.as_ref().is_none_or(|state| state.enabled);
    let in_force = picture
        .state
        .as_ref()
        .is_none_or(|state| state.effective_key == state.registered_key);
    // Figures of another key than the one that signs now are no evidence against that one: the ledger has not heard of the
    // change (a schedule that only the quorum for states named), or the state is the older of the two.
    let of_its_key = match (&picture.state, figures.key) {
        (Some(state), Some(key)) => key == state.effective_key,
        _ => true,
    };
    let (fault, since) = fault::judge(
        config,
        &Evidence {
            figures: &figures,
            caught_up: caught_up && of_its_key,
            enabled,
            in_force,
            node_up,
        },
    );
    picture.fault = fault;
    picture.fault_since = since;
    picture.retracted = figures.retracted;
    picture.conflicting_blocks = figures.conflicting;
    picture.consecutive_missed = figures.consecutive;
    picture.window_missed = u32::try_from(figures.window.len()).unwrap_or(u32::MAX);
    picture.last_missed = figures.last_missed;
    picture.tenure_since = figures.tenure_since;
    picture.last_block = figures.last_block;
    picture.next_slot = figures.next_slot;
    picture.scheduled = figures.scheduled;
    picture.others_participation = figures.others_participation;
    picture.others_since_run = figures.others_since_run;
    picture.recent = figures.recent;
    picture.keys = figures.keys;
}

/// Takes in the probes of the producer's nodes.
pub(super) fn take_probes(
    picture: &mut ProducerSnapshot,
    producer: &ProducerConfig,
    probes: &Probes,
    now: Millis,
) {
    for key in &producer.keys {
        if let Some(health) = probes.health(&producer.name, &key.signing_key) {
            picture.nodes.insert(key.signing_key, health);
        }
        let ready = probes.readiness(&producer.name, key);
        picture.ready.insert(key.signing_key, ready);
    }
    let registered = picture.state.as_ref().map(|state| state.registered_key);
    let standby_ready = picture
        .ready
        .iter()
        .any(|(key, ready)| Some(*key) != registered && *ready == Readiness::Ready);
    picture.no_ready_standby_since = if standby_ready {
        None
    } else {
        picture.no_ready_standby_since.or(Some(now))
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::ProducerState;
    use crate::keys::PublicKey;
    use crate::watch::FaultClause;
    use std::time::Duration;

    #[test]
    fn misses_of_another_key_than_the_effective_one_are_no_fault_of_it() {
        let key = |n| PublicKey::from_bytes([n; 33]);
        let config = FaultConfig {
            consecutive_misses: 2,
            consecutive_misses_node_healthy: 3,
            allowed_misses: 5,
            miss_window: Duration::from_secs(86_400),
        };
        for (effective, want) in [
            (1, Fault::Yes(FaultClause::Consecutive)),
            // By the producer's state the switch is in force; the ledger has not been told of the schedule.
            (2, Fault::Unknown),
        ] {
            let mut picture = blank();
            picture.state = Some(ProducerState {
                registered_key: key(effective),
                effective_key: key(effective),
                enabled: true,
                url: String::new(),
                props: serde_json::Value::Null,
                reported_missed: None,
                last_block: None,
                version: None,
                feed_time: None,
                unpaid_blocks: None,
                coming: None,
            });
            let figures = Figures {
                key: Some(key(1)),
                consecutive: 4,
                ..Figures::default()
            };
            take_figures(&mut picture, figures, true, &config);
            assert_eq!(picture.fault, want, "{effective}");
        }
    }
}
