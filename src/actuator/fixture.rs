//! Facts in which every interlock passes, for the tables of `interlocks` and `decide`.

use std::time::Duration;

use super::alert_source::Standing;
use super::authority::Authority;
use super::facts::{Arm, Facts, Rules, Seen, Standby};
use super::types::{Action, Cause, Request};
use crate::chain::Method;
use crate::clock::Millis;
use crate::config::{DisableWhen, WhenExhausted};
use crate::keys::PublicKey;
use crate::watch::{Fault, FaultClause, OthersSince, Readiness};

pub(super) const NOW: Millis = 1_800_000_000_000;

pub(super) fn key(n: u8) -> PublicKey {
    let mut bytes = [n; 33];
    bytes[0] = 2;
    PublicKey::from_bytes(bytes)
}

pub(super) fn request(cause: Cause, action: Action) -> Request {
    Request {
        id: "r-1".into(),
        chain: "hive".into(),
        producer: "alice".into(),
        action,
        cause,
        fence: (cause != Cause::Operator).then(|| key(1)),
        to: None,
        override_reason: None,
        fingerprint: None,
        labels: vec![("chain".into(), "hive".into())],
        evaluated_at: Some(NOW - 1_000),
        received_at: NOW - 1_000,
    }
}

pub(super) fn standby(n: u8) -> Standby {
    Standby {
        key: key(n),
        ready: Readiness::Ready,
        proven: true,
        finalizer: None,
    }
}

/// Key 1 is registered and at fault, 2 and 3 are ready, all secrets are loaded.
pub(super) fn facts(cause: Cause) -> Facts {
    Facts {
        now: NOW,
        request: request(cause, Action::Failover),
        prefix: "STM".into(),
        rules: Some(Rules {
            keys: vec![standby(1), standby(2), standby(3)],
            max_alert_age: 120_000,
            max_view_age: 3_000,
            max_head_age: 30_000,
            min_participation: 0.67,
            cooldown: 60_000,
            budget: 3,
            budget_per: "86400 s".into(),
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
        standing: Some(Standing::Active),
        silence: None,
        view: Ok(Seen {
            observed_at: NOW - 500,
            head: 1_000,
            head_time: NOW - 1_000,
            agreeing: (2, 2),
            registered: Some(key(1)),
            effective: Some(key(1)),
            enabled: true,
            settling: false,
            anchored: true,
            clock_offset: Some(10),
            participation: Some(0.95),
        }),
        tick_at: NOW - 500,
        fault: Fault::Yes(FaultClause::Consecutive),
        consecutive_missed: 2,
        no_ready_standby_since: None,
        others_participation: Some(0.99),
        others_since_run: Some(OthersSince {
            producing: 20,
            of: 20,
        }),
        attempt: None,
        last_switch: None,
        switches_spent: 0,
        authority: vec![Authority {
            method: Method::WitnessSetProperties,
            keys: vec![key(1), key(2), key(3)],
            missing: vec![],
            permission: None,
            of: "alice".into(),
        }],
        active_keys: Default::default(),
        waiting: None,
        election: None,
    }
}

/// Mutable access to the view of [`facts`].
pub(super) fn view(f: &mut Facts) -> &mut Seen {
    f.view.as_mut().expect("fixtures have a view")
}

/// Mutable access to the rules of [`facts`].
pub(super) fn rules(f: &mut Facts) -> &mut Rules {
    f.rules.as_mut().expect("fixtures have rules")
}
