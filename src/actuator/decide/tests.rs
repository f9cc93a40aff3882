//! Precedence, waiting and ending, operators' overrides; in `unanimous` the property that nothing acts unless everything
//! passes.

mod unanimous;

use std::sync::Arc;

use super::*;
use crate::actuator::Incoming;
use crate::actuator::activation::Waiting;
use crate::actuator::alert_source::Standing;
use crate::actuator::authority::Authority;
use crate::actuator::book::{Book, Intake};
use crate::actuator::facts::Underway;
use crate::actuator::fixture::{NOW, facts, key, rules, view};
use crate::actuator::types::Stage;
use crate::chain::{Election, Method};
use crate::clock::Millis;
use crate::config::WhenExhausted;
use crate::watch::{Fault, Readiness};

fn verdict(f: &Facts) -> (Verdict, Reason) {
    let d = decide(f).decision;
    (d.verdict, d.reason)
}

#[test]
fn acts_when_everything_passes_and_goes_to_the_next_key() {
    for cause in [Cause::Webhook, Cause::Guard] {
        let plan = decide(&facts(cause));
        assert_eq!(
            (plan.decision.verdict, plan.decision.reason),
            (Verdict::Act, Reason::Ok)
        );
        assert!(
            matches!(&plan.next, Step::Switch(o) if o.from == key(1) && o.to == key(2)),
            "{plan:?}"
        );
        assert_eq!(plan.decision.interlocks.len(), 22);
    }
}

#[test]
fn the_order_carries_the_permission_and_the_finalizer_key_of_the_target() {
    let mut f = facts(Cause::Webhook);
    f.authority = vec![Authority {
        method: Method::Regproducer,
        keys: vec![key(8), key(9)],
        missing: vec![],
        permission: Some("failover".into()),
        of: "alice@failover".into(),
    }];
    f.active_keys = [
        ("alice".to_owned(), vec![key(8)]),
        ("alice@failover".to_owned(), vec![key(9)]),
    ]
    .into();
    for (k, name) in rules(&mut f).keys.iter_mut().zip(["a", "b", "c"]) {
        k.finalizer = Some(format!("PUB_BLS_{name}"));
    }
    let Step::Switch(order) = decide(&f).next else {
        panic!("{:?}", decide(&f));
    };
    assert_eq!(order.by.permission.as_deref(), Some("failover"));
    assert_eq!(order.by.signer, key(9), "the one that the permission takes");
    assert_eq!(order.finalizer.as_deref(), Some("PUB_BLS_b"));
}

/// Registered is one key, in force another: nobody acts, and the alert about the old one is over.
#[test]
fn nothing_switches_while_a_registered_key_is_not_in_force() {
    for cause in [Cause::Webhook, Cause::Guard] {
        let mut f = facts(cause);
        view(&mut f).registered = Some(key(2));
        assert_eq!(verdict(&f), (Verdict::Refuse, Reason::FenceMismatch));
        f.request.fence = Some(key(2));
        assert_eq!(verdict(&f), (Verdict::Wait, Reason::SwitchPending));
    }
    let mut f = facts(Cause::Operator);
    f.request.action = Action::Switchover;
    f.request.override_reason = Some("now".into());
    view(&mut f).registered = Some(key(2));
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::SwitchPending));
}

/// An inactive producer is somebody's decision: no failover, by whomever, brings it back; `enable` does.
#[test]
fn an_inactive_producer_is_never_activated_by_a_failover() {
    for registered in [PublicKey::NULL, key(1)] {
        for cause in [Cause::Webhook, Cause::Guard] {
            let mut f = facts(cause);
            view(&mut f).registered = Some(registered);
            view(&mut f).enabled = false;
            f.request.fence = Some(registered);
            assert_eq!(verdict(&f), (Verdict::Refuse, Reason::OperatorOverride));
        }
    }
}

/// A disable that the schedule cannot follow leaves the old key in force: `enable` must not wait for that.
#[test]
fn enable_works_after_a_disable_that_could_not_change_the_schedule() {
    let mut f = facts(Cause::Operator);
    f.request.action = Action::Enable;
    f.authority = vec![Authority {
        method: Method::Regproducer,
        keys: vec![key(9)],
        missing: vec![],
        permission: None,
        of: "alice".into(),
    }];
    f.active_keys = [("alice".to_owned(), vec![key(9)])].into();
    view(&mut f).registered = Some(PublicKey::NULL);
    view(&mut f).enabled = false;
    assert_eq!(view(&mut f).effective, Some(key(1)));
    assert_eq!(verdict(&f), (Verdict::Act, Reason::Ok));
}

#[test]
fn the_first_denial_is_the_reason_before_anything_unknown() {
    let mut f = facts(Cause::Webhook);
    f.view = Err("1 of 2 providers".into());
    assert_eq!(verdict(&f), (Verdict::Wait, Reason::NoQuorum)); // fence_mismatch only does not know
    f.arm.armed = Err("disarmed".into());
    assert_eq!(verdict(&f), (Verdict::Wait, Reason::Disarmed));
    let mut f = facts(Cause::Webhook);
    f.fault = Fault::Unknown;
    assert_eq!(verdict(&f), (Verdict::Wait, Reason::NotCorroborated));
    f.arm.pinned = true;
    assert_eq!(verdict(&f), (Verdict::Wait, Reason::Pinned));
}

#[test]
fn final_reasons_end_a_request_whatever_the_first_reason_is() {
    let mut f = facts(Cause::Webhook);
    view(&mut f).registered = Some(key(2));
    view(&mut f).effective = Some(key(2));
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::FenceMismatch));
    f.arm.armed = Err("disarmed".into());
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::Disarmed));
    let mut f = facts(Cause::Guard);
    f.request.evaluated_at = Some(NOW - 120_001);
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::StaleAlert));
    let mut f = facts(Cause::Webhook);
    view(&mut f).registered = Some(key(50));
    f.request.fence = Some(key(50));
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::OperatorOverride));
}

#[test]
fn no_quorum_waits_as_long_as_the_alert_is_presented_again() {
    let mut f = facts(Cause::Webhook);
    f.view = Err("none".into());
    for minutes in [1, 10, 60] {
        f.now = NOW + minutes * 60_000;
        f.request.evaluated_at = Some(f.now - 60_000);
        assert_eq!(verdict(&f), (Verdict::Wait, Reason::NoQuorum));
    }
    f.now += 60_001;
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::StaleAlert));
}

/// Alertmanager presents the alert each minute, the request is decided each second, and for twelve minutes there is no
/// quorum: the first tick that has one acts, under the id of the first minute.
#[test]
fn twelve_minutes_without_a_quorum_then_acts_on_the_first_tick() {
    let mut book = Book::default();
    let mut made = 0;
    let mut present = |book: &mut Book, now: Millis| {
        let incoming = Incoming {
            chain: "hive".into(),
            producer: "alice".into(),
            action: Action::Failover,
            cause: Cause::Webhook,
            fence: Some(key(1)),
            fingerprint: None,
            labels: vec![],
            evaluated_at: Some(now - 15_000),
            to: None,
            override_reason: None,
        };
        let new_id = || {
            made += 1;
            format!("r-{made}")
        };
        match book.take(incoming, now, new_id, None) {
            Intake::Accepted(request) => assert_eq!(request.id, "r-1"),
            Intake::Duplicate(id) => panic!("a duplicate of {id}"),
        }
    };
    let mut f = facts(Cause::Webhook);
    let agreed = f.view.clone();
    f.view = Err("1 of 2 providers".into());
    let end = NOW + 12 * 60_000;
    for now in (NOW..=end).step_by(1_000) {
        if (now - NOW) % 60_000 == 0 {
            present(&mut book, now);
        }
        f.now = now;
        f.tick_at = now - 100;
        f.request = book.pending["r-1"].request.clone();
        assert_eq!(verdict(&f), (Verdict::Wait, Reason::NoQuorum), "{now}");
    }
    f.view = agreed;
    view(&mut f).observed_at = end - 100;
    view(&mut f).head_time = end - 1_000;
    assert_eq!(verdict(&f), (Verdict::Act, Reason::Ok));
    // Had Alertmanager fallen silent after the first minute, nobody would ask any more.
    f.request.evaluated_at = Some(NOW + 45_000);
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::StaleAlert));
}

#[test]
fn the_guard_is_not_looked_up_in_alertmanager() {
    let mut f = facts(Cause::Guard);
    f.standing = None;
    assert_eq!(verdict(&f).0, Verdict::Act);
    f.standing = Some(Standing::Absent);
    assert_eq!(verdict(&f).0, Verdict::Act);
}

#[test]
fn an_operator_is_warned_and_may_override_with_a_reason() {
    let mut f = facts(Cause::Operator);
    f.fault = Fault::No;
    f.arm.armed = Err("disarmed".into());
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::Disarmed));
    f.request.override_reason = Some("I know".into());
    assert_eq!(verdict(&f), (Verdict::Act, Reason::Ok));
    // Mandatory ones stay.
    f.attempt = Some(Underway {
        id: "a".into(),
        to: key(2),
        stage: Stage::Sent,
        lapsed: false,
        swaps: true,
    });
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::AttemptOpen));
    f.attempt = None;
    f.authority.clear();
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::KeyUnavailable));
    let mut f = facts(Cause::Operator);
    f.request.override_reason = Some("I know".into());
    f.view = Err("none".into());
    assert_eq!(verdict(&f), (Verdict::Wait, Reason::NoQuorum));
    f.now = NOW + 200_000;
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::NoQuorum)); // does not strike out of the blue later
}

#[test]
fn planned_operator_commands_need_no_fault() {
    for action in [Action::Switchover, Action::Disable] {
        let mut f = facts(Cause::Operator);
        f.fault = Fault::No;
        f.request.action = action;
        rules(&mut f).reenable_manual = true;
        assert_eq!(verdict(&f), (Verdict::Act, Reason::Ok), "{action:?}");
    }
}

#[test]
fn an_operator_names_a_target_among_the_listed() {
    let mut f = facts(Cause::Operator);
    f.request.to = Some(key(3));
    assert!(matches!(decide(&f).next, Step::Switch(o) if o.to == key(3)));
    f.request.override_reason = Some("even so".into());
    f.request.to = Some(key(44));
    assert_eq!(decide(&f).next, Step::Nothing);
    f.request.to = Some(key(1)); // registered already
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::NoReadyStandby));
    f.request.to = Some(key(2));
    rules(&mut f).keys[1].ready = Readiness::NotReady("lag".into());
    assert!(matches!(decide(&f).next, Step::Switch(o) if o.to == key(2)));
    f.request.override_reason = None;
    assert_eq!(verdict(&f), (Verdict::Refuse, Reason::NoReadyStandby));
}

#[test]
fn targets_wrap_only_to_proven_keys() {
    let mut f = facts(Cause::Webhook);
    view(&mut f).registered = Some(key(3));
    view(&mut f).effective = Some(key(3));
    f.request.fence = Some(key(3));
    assert!(matches!(decide(&f).next, Step::Switch(o) if o.to == key(1)));
    rules(&mut f).keys[0].proven = false;
    assert!(matches!(decide(&f).next, Step::Switch(o) if o.to == key(2)));
    rules(&mut f).keys[1].proven = false;
    assert_eq!(verdict(&f), (Verdict::Wait, Reason::NoReadyStandby));
}

#[test]
fn exhausted_holds_or_disables_only_when_it_can_be_undone() {
    let mut f = facts(Cause::Webhook);
    for k in &mut rules(&mut f).keys {
        k.ready = Readiness::NotReady("down".into());
    }
    f.consecutive_missed = 10;
    f.no_ready_standby_since = Some(NOW - 600_000);
    assert_eq!(verdict(&f), (Verdict::Wait, Reason::NoReadyStandby));
    rules(&mut f).when_exhausted = WhenExhausted::Disable;
    assert_eq!(verdict(&f), (Verdict::Wait, Reason::AuthorityInvalid)); // nobody here could re-enable
    rules(&mut f).reenable_manual = true;
    assert!(matches!(decide(&f).next, Step::Switch(o) if o.to.is_null()));
    f.consecutive_missed = 9;
    assert_eq!(verdict(&f), (Verdict::Wait, Reason::NoReadyStandby));
    f.consecutive_missed = 10;
    f.no_ready_standby_since = Some(NOW - 599_999);
    assert_eq!(verdict(&f), (Verdict::Wait, Reason::NoReadyStandby));
}

#[test]
fn disabling_in_vain_is_said_beforehand_and_done_all_the_same() {
    let mut f = facts(Cause::Webhook);
    let election = |scheduled| {
        Some(Arc::new(Election {
            standing: ["alice", "bob", "carol"].map(str::to_owned).into(),
            whole: true,
            scheduled,
        }))
    };
    f.election = election(3);
    assert_eq!(decide(&f).decision.warning, None, "it goes to a standby");
    for k in &mut rules(&mut f).keys {
        k.ready = Readiness::NotReady("down".into());
    }
    f.no_ready_standby_since = Some(NOW - 600_000);
    rules(&mut f).when_exhausted = WhenExhausted::Disable;
    rules(&mut f).reenable_manual = true;
    let detail = |f: &Facts| {
        let decision = decide(f).decision;
        let found = decision.interlocks.into_iter();
        let found = found.filter(|v| v.name == Reason::NoReadyStandby);
        found.map(|v| v.detail).collect::<String>()
    };
    let in_vain = "disabling cannot change the schedule now: 2 other";
    assert!(detail(&f).contains("not disabling yet"), "{}", detail(&f));
    assert!(detail(&f).contains(in_vain), "{}", detail(&f));
    f.consecutive_missed = 10;
    for cause in [Cause::Webhook, Cause::Operator] {
        f.request.cause = cause;
        if cause == Cause::Operator {
            f.request.action = Action::Disable;
            f.request.fence = None;
        }
        let plan = decide(&f);
        assert!(matches!(plan.next, Step::Switch(o) if o.to.is_null()));
        assert!(plan.decision.warning.unwrap().contains(in_vain));
        assert!(detail(&f).contains(in_vain), "{}", detail(&f));
    }
    for helps in [election(2), None] {
        f.election = helps;
        assert_eq!(decide(&f).decision.warning, None);
        assert!(!detail(&f).contains(in_vain));
    }
}

#[test]
fn who_is_refused_because_a_key_is_not_in_force_yet_hears_how_long_and_why() {
    let mut f = facts(Cause::Operator);
    f.request.action = Action::Switchover;
    view(&mut f).registered = Some(key(2));
    f.attempt = Some(Underway {
        id: "a-1".into(),
        to: key(2),
        stage: Stage::Included,
        lapsed: false,
        swaps: false,
    });
    f.waiting = Some(Waiting {
        signing_key: "K2".into(),
        since: NOW,
        stage: "registered",
        expected: 1,
        detail: "registered for long".into(),
    });
    f.request.override_reason = Some("I know better".into());
    let decision = decide(&f).decision;
    assert_eq!(
        (decision.verdict, decision.reason),
        (Verdict::Refuse, Reason::AttemptOpen)
    );
    for name in [Reason::AttemptOpen, Reason::SwitchPending] {
        let said = decision.interlocks.iter().find(|v| v.name == name).unwrap();
        assert!(said.detail.contains("registered for long"), "{said:?}");
    }
}

#[test]
fn rehearsals_and_drills_never_come_to_a_switch() {
    let mut f = facts(Cause::Operator);
    f.request.action = Action::Rehearse;
    f.fault = Fault::No;
    f.arm.armed = Err("disarmed".into());
    assert!(matches!(decide(&f).next, Step::Rehearse(_)));
    f.request.cause = Cause::Drill;
    f.request.action = Action::Failover; // even if mislabelled
    f.request.fence = None;
    f.standing = None;
    assert!(matches!(decide(&f).next, Step::Rehearse(_)));
}
