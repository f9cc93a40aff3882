//! What the guard asks for and the decision orders, tick by tick of a recording.

use std::time::Duration;

use slotkeeper::actuator::decide::{Step, decide};
use slotkeeper::actuator::facts::{self, Arm, Facts, Standby, Underway};
use slotkeeper::actuator::{Action, Authority, Cause, Request, Stage};
use slotkeeper::chain::{Method, Protocol};
use slotkeeper::config::{DisableWhen, GuardMode, WhenExhausted};
use slotkeeper::guard;
use slotkeeper::keys::PublicKey;
use slotkeeper::watch::{Fault, Readiness};

use super::replay::Tick;
use super::tape::Recording;

/// The guard (`always`) and the decision over every recorded tick: exactly one switch is ordered, in the very tick in
/// which the fault first stands, from the old key to the standby's.
pub(super) fn the_guard_decides_once_with_the_fault(
    recording: &Recording,
    ticks: &[Tick],
    (old, new): (PublicKey, PublicKey),
    context: &str,
) {
    let mut underway = None;
    let mut orders = Vec::new();
    for (n, tick) in ticks.iter().enumerate() {
        let asks = guard::judge(&guard::Facts {
            mode: GuardMode::Always,
            patience: 30_000,
            fault: tick.fault,
            fault_seen_since: Some(tick.now),
            now: tick.now,
            silence: guard::Silence::Heard,
            last_request: None,
            request_counts_for: 120_000,
        });
        if asks.is_none() {
            continue;
        }
        let plan = decide(&known_at(recording, tick, (old, new), underway.clone()));
        if let Step::Switch(order) = plan.next {
            orders.push((n, order.from, order.to));
            underway = Some(Underway {
                id: "a-1".into(),
                to: order.to,
                stage: Stage::Sent,
                lapsed: false,
                swaps: true,
            });
        }
    }
    let due = ticks
        .iter()
        .position(|t| matches!(t.fault, Fault::Yes(_)))
        .unwrap();
    assert_eq!(orders, [(due, old, new)], "{context}");
}

/// What the actuator would know at a recorded tick: armed, both secrets at hand, the standby ready.
fn known_at(
    recording: &Recording,
    tick: &Tick,
    (old, new): (PublicKey, PublicKey),
    attempt: Option<Underway>,
) -> Facts {
    let method = match recording.spec.protocol {
        Protocol::BitShares => Method::WitnessUpdate,
        Protocol::Antelope => Method::Regproducer,
        _ => Method::WitnessSetProperties,
    };
    let swaps = method == Method::WitnessSetProperties;
    let active = vec![old];
    let standby = |key| Standby {
        finalizer: None,
        key,
        ready: Readiness::Ready,
        proven: true,
    };
    let registered = tick.registered;
    Facts {
        waiting: None,
        election: None,
        now: tick.now,
        request: Request {
            id: "r-1".into(),
            chain: "recorded".into(),
            producer: recording.watched(),
            action: Action::Failover,
            cause: Cause::Guard,
            fence: registered,
            to: None,
            override_reason: None,
            fingerprint: None,
            labels: Vec::new(),
            evaluated_at: Some(tick.now),
            received_at: tick.now,
        },
        prefix: recording.spec.address_prefix.clone(),
        rules: Some(facts::Rules {
            keys: vec![standby(old), standby(new)],
            max_alert_age: 120_000,
            max_view_age: 3_000,
            max_head_age: 30_000,
            min_participation: 0.67,
            cooldown: 60_000,
            budget: 3,
            budget_per: "1 d".into(),
            when_exhausted: WhenExhausted::Hold,
            disable_when: DisableWhen {
                consecutive_misses: 10,
                no_ready_standby_for: Duration::from_secs(600),
            },
            reenable_manual: false,
        }),
        arm: Arm {
            armed: Ok(()),
            hold: None,
            pinned: false,
            maintenance_until: None,
        },
        standing: None,
        silence: None,
        view: Ok(facts::Seen {
            observed_at: tick.view.observed_at,
            head: tick.view.head.num,
            head_time: tick.view.head.time,
            agreeing: (tick.view.agreeing, 1),
            registered,
            effective: registered,
            enabled: true,
            settling: false,
            anchored: true,
            clock_offset: tick.view.clock_offset,
            participation: tick.view.participation,
        }),
        tick_at: tick.now,
        fault: tick.fault,
        consecutive_missed: 2,
        no_ready_standby_since: None,
        others_participation: Some(1.0),
        others_since_run: None,
        attempt,
        last_switch: None,
        switches_spent: 0,
        authority: vec![Authority {
            method,
            keys: if swaps {
                vec![old, new]
            } else {
                active.clone()
            },
            missing: Vec::new(),
            permission: None,
            of: recording.watched(),
        }],
        active_keys: [(recording.watched(), active)].into(),
    }
}
