//! Every interlock: when it passes, denies, does not know. One line per case.

use super::*;
use crate::actuator::alert_source::Standing;
use crate::actuator::authority::Authority;
use crate::actuator::facts::Underway;
use crate::actuator::fixture::{NOW, facts, key, rules, view};
use crate::actuator::types::{Action, Cause, Stage};
use crate::chain::Method;
use crate::keys::PublicKey;
use crate::watch::{Fault, FaultClause, OthersSince, Readiness};

use Check::{Deny, Pass, Unknown};

type Change = fn(&mut Facts);

fn underway(lapsed: bool, swaps: bool, to: u8) -> Option<Underway> {
    Some(Underway {
        id: "a-1".into(),
        to: key(to),
        stage: Stage::Sent,
        lapsed,
        swaps,
    })
}

fn all_unready(f: &mut Facts, ready: &Readiness) {
    for k in &mut rules(f).keys {
        k.ready = ready.clone();
    }
}

fn active_key_only(f: &mut Facts) {
    f.authority = vec![Authority {
        method: Method::WitnessUpdate,
        keys: vec![key(9)],
        missing: vec![],
        permission: None,
        of: "alice".into(),
    }];
}

/// The permission `failover` of alice, with key 9 loaded for it.
fn permission_only(f: &mut Facts) {
    f.authority = vec![Authority {
        method: Method::Regproducer,
        keys: vec![key(9)],
        missing: vec![],
        permission: Some("failover".into()),
        of: "alice@failover".into(),
    }];
}

fn since(producing: u32, of: u32) -> Option<OthersSince> {
    Some(OthersSince { producing, of })
}

#[rustfmt::skip] // a table
const CASES: &[(Reason, Check, &str, Change)] = &[
    (R::Disarmed, Pass, "armed", |_| ()),
    (R::Disarmed, Deny, "disarmed", |f| f.arm.armed = Err("disarmed".into())),
    (R::Disarmed, Deny, "held after a missing state file", |f| f.arm.hold = Some("held".into())),
    (R::Disarmed, Pass, "a hold does not bind operators", |f| { f.request.cause = Cause::Operator; f.arm.hold = Some("held".into()); }),
    (R::UnknownProducer, Pass, "configured and known to the chain", |_| ()),
    (R::UnknownProducer, Deny, "no keys configured", |f| f.rules = None),
    (R::UnknownProducer, Deny, "the chain does not know it", |f| view(f).registered = None),
    (R::UnknownProducer, Pass, "nothing to judge by without a view", |f| f.view = Err("x".into())),
    (R::FenceMismatch, Pass, "the fence is registered", |_| ()),
    (R::FenceMismatch, Deny, "another key is registered", |f| view(f).registered = Some(key(2))),
    (R::FenceMismatch, Deny, "the null key is registered", |f| view(f).registered = Some(PublicKey::NULL)),
    (R::FenceMismatch, Deny, "the key that is still in force, when a newer one is registered", |f| { view(f).registered = Some(key(2)); view(f).effective = Some(key(1)); }),
    (R::FenceMismatch, Deny, "no fence", |f| f.request.fence = None),
    (R::FenceMismatch, Unknown, "settling", |f| view(f).settling = true),
    (R::FenceMismatch, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::StaleAlert, Pass, "fresh", |_| ()),
    (R::StaleAlert, Pass, "exactly at the limit", |f| f.request.evaluated_at = Some(NOW - 120_000)),
    (R::StaleAlert, Deny, "a millisecond over", |f| f.request.evaluated_at = Some(NOW - 120_001)),
    (R::StaleAlert, Pass, "a Prometheus whose clock is a little ahead", |f| f.request.evaluated_at = Some(NOW + 60_000)),
    (R::StaleAlert, Deny, "so far in the future that it would never grow old", |f| f.request.evaluated_at = Some(NOW + 120_001)),
    (R::StaleView, Deny, "the clock jumped back", |f| view(f).observed_at = NOW + 3_001),
    (R::StaleAlert, Deny, "not said", |f| f.request.evaluated_at = None),
    (R::StaleAlert, Unknown, "no settings", |f| f.rules = None),
    (R::AlertNotActive, Pass, "active", |_| ()),
    (R::AlertNotActive, Pass, "none configured", |f| f.standing = Some(Standing::NotConfigured)),
    (R::AlertNotActive, Deny, "suppressed", |f| f.standing = Some(Standing::Suppressed("s1".into()))),
    (R::AlertNotActive, Deny, "absent", |f| f.standing = Some(Standing::Absent)),
    (R::AlertNotActive, Pass, "none reachable, no cached silence", |f| f.standing = Some(Standing::Unreachable)),
    (R::AlertNotActive, Deny, "none reachable, cached silence", |f| { f.standing = Some(Standing::Unreachable); f.silence = Some("s1".into()); }),
    (R::AlertNotActive, Unknown, "not asked", |f| f.standing = None),
    (R::NoQuorum, Pass, "agreed", |_| ()),
    (R::NoQuorum, Deny, "no view", |f| f.view = Err("1 of 2".into())),
    (R::NoQuorum, Unknown, "no irreversible block yet", |f| view(f).anchored = false),
    (R::StaleView, Pass, "at the limit", |f| view(f).observed_at = NOW - 3_000),
    (R::StaleView, Deny, "over", |f| view(f).observed_at = NOW - 3_001),
    (R::StaleView, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::NotCorroborated, Pass, "consecutive", |_| ()),
    (R::NotCorroborated, Pass, "node down", |f| f.fault = Fault::Yes(FaultClause::NodeDown)),
    (R::NotCorroborated, Pass, "window", |f| f.fault = Fault::Yes(FaultClause::Window)),
    (R::NotCorroborated, Deny, "no fault", |f| f.fault = Fault::No),
    (R::NotCorroborated, Deny, "disable without its condition", |f| f.request.action = Action::Disable),
    (R::NotCorroborated, Pass, "disable with its condition", |f| { f.request.action = Action::Disable; f.consecutive_missed = 10; f.no_ready_standby_since = Some(NOW - 600_000); }),
    (R::NotCorroborated, Unknown, "ledger behind", |f| f.fault = Fault::Unknown),
    (R::NotCorroborated, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::LowParticipation, Pass, "others produce", |_| ()),
    (R::LowParticipation, Deny, "others miss", |f| f.others_participation = Some(0.66)),
    (R::LowParticipation, Pass, "short ledger, node's figure good", |f| { f.others_participation = None; f.others_since_run = None; }),
    (R::LowParticipation, Deny, "short ledger, node's figure bad", |f| { f.others_participation = None; view(f).participation = Some(0.5); }),
    (R::LowParticipation, Pass, "no figure at all: with a warning", |f| { f.others_participation = None; f.others_since_run = None; view(f).participation = None; }),
    (R::LowParticipation, Pass, "no run of misses", |f| f.others_since_run = None),
    (R::LowParticipation, Pass, "enough others since the first miss", |f| f.others_since_run = since(3, 4)),
    (R::LowParticipation, Deny, "few others since the first miss, two rounds still good", |f| f.others_since_run = since(2, 4)),
    (R::LowParticipation, Deny, "good since the first miss, two rounds bad", |f| f.others_participation = Some(0.5)),
    (R::LowParticipation, Deny, "short ledger, few others since the first miss", |f| { f.others_participation = None; f.others_since_run = since(1, 3); }),
    (R::LowParticipation, Deny, "no other figure, few others since the first miss", |f| { f.others_participation = None; view(f).participation = None; f.others_since_run = since(1, 3); }),
    (R::LowParticipation, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::ChainHalted, Pass, "at the limit", |f| view(f).head_time = NOW - 30_000),
    (R::ChainHalted, Deny, "over", |f| view(f).head_time = NOW - 30_001),
    (R::ChainHalted, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::ClockSkew, Pass, "5 s", |f| view(f).clock_offset = Some(-5_000)),
    (R::ClockSkew, Deny, "behind", |f| view(f).clock_offset = Some(5_001)),
    (R::ClockSkew, Deny, "ahead", |f| view(f).clock_offset = Some(-5_001)),
    (R::ClockSkew, Pass, "no Date, head in range", |f| view(f).clock_offset = None),
    (R::ClockSkew, Deny, "no Date, head in the future", |f| { view(f).clock_offset = None; view(f).head_time = NOW + 5_001; }),
    (R::ClockSkew, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::OperatorOverride, Pass, "a listed key", |_| ()),
    (R::OperatorOverride, Deny, "null key", |f| view(f).registered = Some(PublicKey::NULL)),
    (R::OperatorOverride, Deny, "foreign key", |f| view(f).registered = Some(key(77))),
    (R::OperatorOverride, Deny, "unregistered", |f| view(f).registered = None),
    (R::OperatorOverride, Deny, "shut down by the chain", |f| view(f).enabled = false),
    (R::OperatorOverride, Unknown, "settling", |f| view(f).settling = true),
    (R::OperatorOverride, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::Pinned, Pass, "not pinned", |_| ()),
    (R::Pinned, Deny, "pinned", |f| f.arm.pinned = true),
    (R::Maintenance, Pass, "over", |f| f.arm.maintenance_until = Some(NOW)),
    (R::Maintenance, Deny, "not over", |f| f.arm.maintenance_until = Some(NOW + 1)),
    (R::Maintenance, Deny, "guard: cached silence", |f| { f.request.cause = Cause::Guard; f.silence = Some("s1".into()); }),
    (R::Maintenance, Pass, "webhook: alert_not_active judges silences", |f| f.silence = Some("s1".into())),
    (R::AttemptOpen, Pass, "none", |_| ()),
    (R::AttemptOpen, Deny, "under way", |f| f.attempt = underway(false, true, 2)),
    (R::AttemptOpen, Deny, "registered and waiting to be in force", |f| { f.attempt = underway(false, false, 2); view(f).registered = Some(key(2)); }),
    (R::AttemptOpen, Pass, "lapsed, compare-and-swap, same target", |f| f.attempt = underway(true, true, 2)),
    (R::AttemptOpen, Deny, "lapsed, other target", |f| f.attempt = underway(true, true, 3)),
    (R::AttemptOpen, Deny, "lapsed, overwriting method", |f| f.attempt = underway(true, false, 2)),
    (R::SwitchPending, Pass, "in force", |_| ()),
    (R::SwitchPending, Deny, "not in force", |f| view(f).effective = Some(key(3))),
    (R::SwitchPending, Pass, "disabled, and the schedule does not follow", |f| view(f).registered = Some(PublicKey::NULL)),
    (R::SwitchPending, Unknown, "settling", |f| view(f).settling = true),
    (R::SwitchPending, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::Cooldown, Pass, "never switched", |_| ()),
    (R::Cooldown, Pass, "rested, by chain time", |f| f.last_switch = Some(NOW - 61_000)),
    (R::Cooldown, Deny, "not rested, by chain time", |f| f.last_switch = Some(NOW - 60_999)),
    (R::Cooldown, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::BudgetExhausted, Pass, "one left", |f| f.switches_spent = 2),
    (R::BudgetExhausted, Deny, "none left", |f| f.switches_spent = 3),
    (R::BudgetExhausted, Unknown, "no settings", |f| f.rules = None),
    (R::NoReadyStandby, Pass, "ready", |_| ()),
    (R::NoReadyStandby, Deny, "none ready", |f| all_unready(f, &Readiness::NotReady("lag".into()))),
    (R::NoReadyStandby, Unknown, "not probed yet", |f| all_unready(f, &Readiness::Unknown)),
    (R::NoReadyStandby, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::AuthorityInvalid, Pass, "compare-and-swap needs none", |_| ()),
    (R::AuthorityInvalid, Pass, "active key on chain", |f| { active_key_only(f); f.active_keys = [("alice".into(), vec![key(9)])].into(); }),
    (R::AuthorityInvalid, Deny, "active key not on chain", |f| { active_key_only(f); f.active_keys = [("alice".into(), vec![key(8)])].into(); }),
    (R::AuthorityInvalid, Unknown, "authority not read yet", active_key_only),
    (R::AuthorityInvalid, Pass, "the permission suffices", |f| { permission_only(f); f.active_keys = [("alice@failover".into(), vec![key(9)])].into(); }),
    (R::AuthorityInvalid, Deny, "the permission has another key or may not switch", |f| { permission_only(f); f.active_keys = [("alice@failover".into(), vec![])].into(); }),
    (R::AuthorityInvalid, Unknown, "active is known, the permission is not", |f| { permission_only(f); f.active_keys = [("alice".into(), vec![key(9)])].into(); }),
    (R::AuthorityInvalid, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::KeyUnavailable, Pass, "loaded", |_| ()),
    (R::KeyUnavailable, Deny, "secret of the registered key not loaded", |f| f.authority[0].keys = vec![key(2)]),
    (R::KeyUnavailable, Deny, "no authority", |f| f.authority.clear()),
    (R::KeyUnavailable, Unknown, "no view", |f| f.view = Err("x".into())),
    (R::LeaseNotHeld, Pass, "no lease configured", |_| ()),
];

#[test]
fn every_case() {
    for (name, expected, case, change) in CASES {
        let mut f = facts(Cause::Webhook);
        change(&mut f);
        let choice = crate::actuator::target::choose(&f);
        let interlock = ALL.iter().find(|i| i.name == *name).unwrap();
        let (check, detail) = (interlock.check)(&f, &choice);
        assert_eq!(check, *expected, "{}: {case}: {detail}", name.as_str());
        assert!(!detail.is_empty(), "{}: {case} says nothing", name.as_str());
    }
}

#[test]
fn every_interlock_is_in_the_table_in_the_contracts_order_and_has_a_passing_case() {
    assert_eq!(ALL.map(|i| i.name), Reason::INTERLOCKS);
    for name in Reason::INTERLOCKS {
        assert!(CASES.iter().any(|c| c.0 == name && c.1 == Pass));
        let denies = CASES.iter().any(|c| c.0 == name && c.1 == Deny);
        assert_eq!(denies, name != R::LeaseNotHeld, "{}", name.as_str());
    }
}

#[test]
fn a_drill_is_not_looked_up_in_alertmanager() {
    let mut f = facts(Cause::Drill);
    f.standing = None;
    let choice = crate::actuator::target::choose(&f);
    assert_eq!(request::alert_not_active(&f, &choice).0, Pass);
}
