//! Over random facts: only a unanimous pass acts, and the same facts give the same plan.

use proptest::prelude::*;

use super::*;

fn some_facts() -> impl Strategy<Value = Facts> {
    let cause = prop_oneof![
        Just(Cause::Webhook),
        Just(Cause::Guard),
        Just(Cause::Operator),
        Just(Cause::Drill)
    ];
    let action = prop_oneof![
        Just(Action::Failover),
        Just(Action::Switchover),
        Just(Action::Disable),
        Just(Action::Enable),
        Just(Action::Rehearse)
    ];
    (
        (cause, action, 0u32..1 << 22, proptest::bool::ANY),
        (0u8..5, 0u8..5, proptest::option::of(0u8..6)),
        proptest::collection::vec(0u8..4, 3),
    )
        .prop_map(
            |((cause, action, spoilt, healthy), (registered, fence, to), ready)| {
                // Mostly sound facts with a few things spoilt, so that acting is not a rare accident.
                let spoilt = if healthy {
                    spoilt & (spoilt >> 3) & (spoilt >> 7)
                } else {
                    spoilt
                };
                let bad = |bit: u32| spoilt & (1 << bit) != 0;
                let mut f = facts(cause);
                f.request.action = action;
                f.request.to = to.map(|n| if n == 5 { key(99) } else { key(n) });
                let named = |n: u8| if n == 0 { PublicKey::NULL } else { key(n) };
                view(&mut f).registered = Some(named(if healthy { 1 } else { registered }));
                view(&mut f).effective = view(&mut f).registered;
                f.request.fence = Some(named(if healthy { 1 } else { fence }));
                for (k, r) in rules(&mut f).keys.iter_mut().zip(ready) {
                    k.ready = match r {
                        0 => Readiness::Unknown,
                        1 => Readiness::NotReady("down".into()),
                        _ => Readiness::Ready,
                    };
                    k.proven = r == 3;
                }
                if bad(0) {
                    f.arm.armed = Err("disarmed".into());
                }
                if bad(1) {
                    f.arm.pinned = true;
                }
                if bad(2) {
                    f.arm.maintenance_until = Some(NOW + 1);
                }
                if bad(3) {
                    f.request.evaluated_at = Some(NOW - 500_000);
                }
                if bad(4) {
                    f.standing = Some(Standing::Suppressed("s".into()));
                }
                if bad(5) {
                    f.view = Err("none".into());
                }
                if let Ok(v) = &mut f.view {
                    if bad(6) {
                        v.observed_at = NOW - 60_000;
                    }
                    if bad(7) {
                        v.head_time = NOW - 600_000;
                    }
                    if bad(8) {
                        v.clock_offset = Some(60_000);
                    }
                    if bad(9) {
                        v.settling = true;
                    }
                    if bad(10) {
                        v.effective = Some(key(3));
                    }
                    if bad(11) {
                        v.anchored = false;
                    }
                }
                if bad(12) {
                    f.fault = Fault::No;
                }
                if bad(13) {
                    f.fault = Fault::Unknown;
                }
                if bad(14) {
                    f.others_participation = Some(0.1);
                }
                if bad(15) {
                    f.attempt = Some(Underway {
                        id: "a".into(),
                        to: key(2),
                        stage: Stage::Sent,
                        lapsed: bad(16),
                        swaps: bad(17),
                    });
                }
                if bad(18) {
                    f.last_switch = Some(NOW);
                }
                if bad(19) {
                    f.switches_spent = 9;
                }
                if bad(20) {
                    f.authority.clear();
                }
                if bad(21) {
                    f.request.override_reason = Some("because".into());
                }
                f
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Invariants 4, 5 and 6: only a unanimous pass acts, only on the fence, only to a configured key known ready
    /// (or named by an operator with an override), only with a fresh quorum.
    #[test]
    fn acting_takes_a_unanimous_pass(f in some_facts()) {
        let plan = decide(&f);
        let d = &plan.decision;
        let unanimous = d.interlocks.iter().all(|v| v.verdict == Check::Pass);
        prop_assert_eq!(d.verdict == Verdict::Act, unanimous);
        prop_assert_eq!(d.verdict == Verdict::Act, d.reason == Reason::Ok);
        prop_assert_eq!(d.verdict == Verdict::Act, plan.next != Step::Nothing);
        if let Step::Switch(order) = plan.next {
            let seen = f.view.clone().map_err(TestCaseError::fail)?;
            prop_assert!(f.request.cause != Cause::Drill && f.request.action != Action::Rehearse);
            prop_assert!(!seen.settling && NOW - seen.observed_at <= 3_000);
            prop_assert_eq!(seen.registered, Some(order.from));
            prop_assert!(order.from != order.to);
            if f.request.cause != Cause::Operator {
                prop_assert_eq!(f.request.fence, Some(order.from));
                prop_assert!(f.arm.armed.is_ok());
                prop_assert!(matches!(f.fault, Fault::Yes(_)));
            }
            let keys = &f.rules.as_ref().ok_or(TestCaseError::fail("rules"))?.keys;
            let listed = keys.iter().find(|k| k.key == order.to);
            let named = f.request.cause == Cause::Operator && f.request.override_reason.is_some();
            prop_assert!(order.to.is_null() || listed.is_some_and(|k| named || k.ready == Readiness::Ready));
            prop_assert!(f.authority.iter().any(|a| a.keys.contains(&order.by.signer)));
        }
    }

    #[test]
    fn the_same_facts_give_the_same_plan(f in some_facts()) {
        prop_assert_eq!(decide(&f), decide(&f.clone()));
    }
}
