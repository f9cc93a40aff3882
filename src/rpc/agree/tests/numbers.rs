//! One, two, three and five endpoints: which faults of how many of them they bear.

use super::*;

/// Every way in which one endpoint can be at fault, as agreement sees it.
fn faults() -> Vec<(&'static str, Said)> {
    let error = |outcome: RpcOutcome| failed(outcome, outcome.as_str());
    let mut far_future = at(100);
    far_future.head.num = 1_000_000;
    far_future.head.time += 3_600_000;
    let mut far_ahead_now = at(100);
    far_ahead_now.head.num = 1_000_000;
    let mut missed_fell = at(100);
    missed_fell.producers = [(
        "alice".to_owned(),
        Some(ProducerState {
            reported_missed: Some(95),
            ..alice(key(1))
        }),
    )]
    .into();
    let mut list: Vec<(&'static str, Said)> = RpcOutcome::ALL
        .iter()
        .filter(|outcome| **outcome != RpcOutcome::Ok)
        .map(|outcome| (outcome.as_str(), error(*outcome)))
        .collect();
    list.extend([
        ("silent", None),
        ("foreign chain", said(for_chain(at(100), "theirs"))),
        ("stale head", said(without_blocks(at(90)))),
        ("frozen head", said(without_blocks(at(50)))),
        ("head from the future", said(far_future)),
        ("lone head far ahead", said(far_ahead_now)),
        ("minority fork at the head", said(on_fork(100, Some(100)))),
        ("deeper minority fork", said(on_fork(100, Some(95)))),
        ("fork one block ahead", said(on_fork(101, Some(100)))),
        ("other key", said(with_key(at(100), 2))),
        (
            "other key, head moved",
            said(unsettled(with_key(at(100), 2))),
        ),
        ("total_missed fell", said(missed_fell)),
        ("one block behind", said(at(99))),
        ("one block ahead", said(at(101))),
    ]);
    list
}

#[test]
fn three_endpoints_bear_any_fault_of_any_one_of_them() {
    let rules = rules(2, &["a", "b", "c"]);
    for (name, fault) in faults() {
        for place in 0..3 {
            let mut all = vec![said(at(100)), said(at(100)), said(at(100))];
            all[place] = fault.clone();
            let result = run(&rules, all);
            let got = line(&result);
            let agreeing = if matches!(
                name,
                "other key"
                    | "other key, head moved"
                    | "total_missed fell"
                    | "one block behind"
                    | "one block ahead"
            ) {
                3
            } else {
                2
            };
            assert_eq!(got, format!("100/{agreeing}/1"), "{name} at place {place}");
            let view = result.unwrap();
            assert_eq!(view.head.time, T100, "{name}");
            assert_eq!(view.head_slot, 1100, "{name}");
            let numbers: Vec<u64> = view.blocks.iter().map(|b| b.num).collect();
            assert_eq!(numbers, [99, 100], "{name}");
            assert!(
                view.blocks.iter().all(|b| b.id == id(b.num, None)),
                "{name}"
            );
            assert_eq!(view.schedules.len(), 1, "{name}");
            assert_eq!(view.schedules[0].read_at, 100, "{name}");
        }
    }
}

#[test]
fn three_endpoints_with_two_at_fault_agree_on_nothing() {
    let rules = rules(2, &["a", "b", "c"]);
    let bad = failed(RpcOutcome::Refused, "refused");
    let table: [(&str, Said, Said, &str); 8] = [
        ("both dead", bad.clone(), None, "too few 1/2"),
        (
            "dead and foreign",
            bad.clone(),
            said(for_chain(at(100), "x")),
            "too few 1/2",
        ),
        (
            "dead and stale",
            bad.clone(),
            said(without_blocks(at(90))),
            "too few 1/2",
        ),
        (
            "dead and forked",
            bad.clone(),
            said(on_fork(100, Some(99))),
            "fork 100",
        ),
        (
            "dead and other key",
            bad.clone(),
            said(with_key(at(100), 2)),
            "state alice",
        ),
        (
            "two different forks",
            said(on_fork(100, Some(99))),
            said(on_fork(100, Some(100))),
            "fork 100",
        ),
        (
            "three keys",
            said(with_key(at(100), 2)),
            said(with_key(at(100), 3)),
            "state alice",
        ),
        (
            "dead, and heads that cannot be compared",
            bad,
            said(without_blocks(at(101))),
            "too few 1/2",
        ),
    ];
    for (name, b, c, expected) in table {
        let good = if name.contains("compared") {
            without_blocks(at(100))
        } else {
            at(100)
        };
        assert_eq!(
            line(&run(&rules, vec![said(good), b, c])),
            expected,
            "{name}"
        );
    }
}

#[test]
fn a_majority_that_errs_alike_cannot_be_seen_through_but_a_frozen_one_keeps_its_own_time() {
    // Two frozen endpoints are the quorum: the view is theirs, and its old head time stops every switch.
    let rules = rules(2, &["a", "b", "c"]);
    let result = run(
        &rules,
        vec![
            said(without_blocks(at(80))),
            said(without_blocks(at(80))),
            said(at(100)),
        ],
    );
    assert_eq!(result.unwrap().head.time, time(80));
}

#[test]
fn two_endpoints_with_quorum_one_act_unless_the_other_contradicts_freshly() {
    let rules = rules(1, &["own", "other"]);
    for (name, fault) in faults() {
        for place in 0..2 {
            let mut all = vec![said(at(100)), said(at(100))];
            all[place] = fault.clone();
            let expected = match name {
                "minority fork at the head"
                | "deeper minority fork"
                | "fork one block ahead"
                | "other key"
                | "lone head far ahead" => "contradicted",
                "one block ahead" => "101/2/1",
                "one block behind" | "total_missed fell" | "other key, head moved" => "100/2/1",
                _ => "100/1/1",
            };
            assert_eq!(line(&run(&rules, all)), expected, "{name} at place {place}");
        }
    }
}

#[test]
fn two_endpoints_that_cannot_be_compared_are_no_view_unless_the_ledger_knows_both_heads() {
    let rules = rules(1, &["a", "b"]);
    let both = || vec![said(without_blocks(at(100))), said(without_blocks(at(101)))];
    assert_eq!(line(&run(&rules, both())), "contradicted");
    let known = |num| (num <= 101).then(|| id(num, None));
    assert_eq!(line(&run_knowing(&rules, both(), &known)), "101/2/1");
    let other = |num| (num <= 101).then(|| id(num, Some(101)));
    let result = run_knowing(&rules, both(), &other);
    let text = result.unwrap_err().to_string();
    assert!(text.contains("at block 101"), "{text}");
}

#[test]
fn an_endpoint_frozen_on_another_fork_contradicts_nothing() {
    let known = |num| Some(id(num, None));
    let frozen = || said(without_blocks(on_fork(90, Some(85))));
    let two = rules(1, &["a", "b"]);
    let result = run_knowing(&two, vec![frozen(), said(at(100))], &known);
    assert_eq!(line(&result), "100/1/1");
    let three = rules(2, &["a", "b", "c"]);
    let result = run_knowing(&three, vec![frozen(), said(at(100)), said(at(100))], &known);
    assert_eq!(line(&result), "100/2/1");
}

#[test]
fn one_endpoint_alone_is_the_view_and_its_troubles_have_names() {
    let rules = rules(1, &["only"]);
    let mut future = at(100);
    future.head.time = NOW + 9_000;
    let table: [(&str, Said, &str); 7] = [
        ("good", said(at(100)), "100/1/1"),
        (
            "old head: the view says so itself",
            said(at(100)),
            "100/1/1",
        ),
        ("unsettled: wait", said(unsettled(at(100))), "100/1/1~"),
        (
            "dead",
            failed(RpcOutcome::Timeout, "no answer"),
            "too few 0/1",
        ),
        ("silent", None, "too few 0/1"),
        ("foreign", said(for_chain(at(100), "x")), "too few 0/1"),
        ("future", said(future), "too few 0/1"),
    ];
    for (name, one, expected) in table {
        assert_eq!(line(&run(&rules, vec![one])), expected, "{name}");
    }
    let text = run(
        &rules,
        vec![failed(RpcOutcome::Timeout, "no answer within 1000 ms")],
    )
    .unwrap_err()
    .to_string();
    assert_eq!(
        text,
        "0 of the 1 providers needed gave a fresh answer for this chain (only: no answer within 1000 ms)"
    );
}

#[test]
fn five_endpoints_bear_two_faults() {
    let rules = rules(3, &["a", "b", "c", "d", "e"]);
    for (one, first) in faults() {
        for (two, second) in faults() {
            let all = vec![
                first.clone(),
                said(at(100)),
                second.clone(),
                said(at(100)),
                said(at(100)),
            ];
            let view = run(&rules, all).unwrap_or_else(|e| panic!("{one} and {two}: {e}"));
            // Two endpoints one block ahead are still no quorum for that block.
            assert_eq!(view.head.id, id(100, None), "{one} and {two}");
            let alice = &view.producers["alice"];
            assert!(!alice.settling, "{one} and {two}");
            let state = alice.state.as_ref().unwrap();
            assert_eq!(state.registered_key, key(1), "{one} and {two}");
        }
    }
}

#[test]
fn one_provider_has_one_vote_however_many_endpoints() {
    let three = rules(2, &["a", "a", "b", "c"]);
    let dead = || failed(RpcOutcome::Refused, "refused");
    // Both endpoints of one provider are no quorum of two.
    let result = run(&three, vec![said(at(100)), said(at(100)), dead(), dead()]);
    assert_eq!(line(&result), "too few 1/2");
    // One of its endpoints may die or fork away while the other holds the vote.
    let result = run(&three, vec![dead(), said(at(100)), said(at(100)), dead()]);
    assert_eq!(line(&result), "100/2/1");
    let forked = || said(on_fork(100, Some(99)));
    let result = run(&three, vec![forked(), said(at(100)), said(at(100)), dead()]);
    assert_eq!(line(&result), "100/2/1");
    // On both sides of a split it cannot make both a quorum.
    let result = run(
        &three,
        vec![forked(), said(at(100)), said(at(100)), forked()],
    );
    assert_eq!(line(&result), "fork 100");
    // Two endpoints of the only provider that differ: neither is right.
    let only = rules(1, &["a", "a"]);
    assert_eq!(line(&run(&only, vec![forked(), said(at(100))])), "fork 100");
    let result = run(&only, vec![said(with_key(at(100), 2)), said(at(100))]);
    assert_eq!(line(&result), "state alice");
}
