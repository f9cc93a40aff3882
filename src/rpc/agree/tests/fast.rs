//! Chains whose head moves while it is read: half-second blocks, numbered schedules, finality keys.

use proptest::prelude::*;

use super::*;
use crate::chain::{Election, Finalizer, Version};
use crate::rpc::recall::Recall;

const INTERVAL: Millis = 500;

fn fast(quorum: usize, providers: &[&str]) -> Rules {
    Rules {
        interval_ms: INTERVAL,
        stale_ms: Rules::staleness(INTERVAL, 12),
        ..rules(quorum, providers)
    }
}

/// What an endpoint at head `num` says that read `key` while its head moved by `slack`.
fn moving(num: u64, slack: u64, key_number: u8) -> Observation {
    let mut seen = with_key(at(num), key_number);
    seen.head.time = T100 + (i64::try_from(num).unwrap() - 100) * INTERVAL;
    seen.slack = slack;
    seen.schedule = None;
    seen.blocks.clear();
    for n in num.saturating_sub(8)..=num {
        let mut one = block(n, None);
        one.time = T100 + (i64::try_from(n).unwrap() - 100) * INTERVAL;
        seen.blocks.push(one);
    }
    seen
}

fn see(num: u64, slack: u64, key_number: u8) -> Said {
    said(moving(num, slack, key_number))
}

#[test]
fn six_intervals_of_delay_are_no_standstill_where_turns_are_long() {
    let three = fast(2, &["a", "b", "c"]);
    let result = run(&three, vec![see(106, 0, 1), see(106, 0, 1), see(100, 0, 1)]);
    assert_eq!(line(&result), "106/3/1");
    let result = run(&three, vec![see(107, 0, 1), see(107, 0, 1), see(100, 0, 1)]);
    assert_eq!(line(&result), "107/2/1");
    // A quorum that stands still is found out as soon.
    let result = run(&three, vec![see(107, 0, 1), see(100, 0, 1), see(100, 0, 1)]);
    assert_eq!(line(&result), "too few 1/2");
    assert_eq!(Rules::staleness(3_000, 1), 6_000);
    assert_eq!((three.stale_ms, three.stale_blocks()), (3_000, 6));
}

#[test]
fn a_state_of_a_moving_head_contradicts_nobody_before_the_height_is_passed() {
    let mut two = fast(1, &["a", "b"]);
    // Both stood still at one head: they cannot both be right.
    let result = run(&two, vec![see(100, 0, 1), see(100, 0, 2)]);
    assert_eq!(line(&result), "contradicted");
    // One of them moved, whichever: its state may be of a later head.
    for (a, b) in [(1, 0), (0, 1), (4, 4)] {
        let result = run(&two, vec![see(100, a, 1), see(100, b, 2)]);
        assert!(line(&result).ends_with('~'), "{a} {b}: {}", line(&result));
    }
    two.disputes.insert("alice".into(), 104);
    let result = run(&two, vec![see(103, 1, 1), see(104, 1, 2)]);
    assert!(line(&result).ends_with('~'), "{}", line(&result));
    let result = run(&two, vec![see(104, 1, 1), see(104, 1, 2)]);
    assert_eq!(line(&result), "contradicted");
    let mut three = fast(2, &["a", "b", "c"]);
    three.disputes.insert("alice".into(), 104);
    let result = run(&three, vec![see(105, 1, 1), see(104, 4, 1), see(106, 2, 2)]);
    assert_eq!(line(&result), "105/3/1");
}

#[test]
fn an_endpoint_that_differs_is_called_so_only_once_its_state_can_be_compared() {
    let three = fast(2, &["a", "b", "c"]);
    let mut recall = Recall::default();
    let all = [moving(100, 0, 1), moving(100, 1, 1), moving(100, 2, 2)];
    let reports = |all: &[Observation]| all.iter().cloned().map(said).collect::<Vec<_>>();
    let view = run(&three, reports(&all)).unwrap();
    recall.note(&view, &all.each_ref(), three.stale_blocks());
    assert_eq!(recall.contradiction(&view, &all[2]), None);
    assert_eq!(recall.disputes["alice"], 102);
    let all = [moving(103, 0, 1), moving(103, 1, 1), moving(103, 2, 2)];
    let three = Rules {
        disputes: recall.disputes.clone(),
        ..three
    };
    let view = run(&three, reports(&all)).unwrap();
    recall.note(&view, &all.each_ref(), three.stale_blocks());
    assert!(recall.contradiction(&view, &all[2]).is_some());
    assert_eq!(recall.contradiction(&view, &all[1]), None);
}

fn numbered(number: u64, read_at: u64, read_by: u64, order: &str) -> Said {
    let mut seen = moving(100, 0, 1);
    seen.schedule = Some(Schedule {
        until: u64::MAX,
        turn: 12,
        version: Some(Version {
            number,
            read_by,
            keys: vec![key(1); 3],
        }),
        ..schedule(read_at, order)
    });
    said(seen)
}

/// `number:read_at-read_by` of each agreed schedule.
fn versions(rules: &Rules, said: Vec<Said>) -> Vec<String> {
    let view = run(rules, said).unwrap();
    let one = |s: &Schedule| {
        let version = s.version.as_ref().unwrap();
        assert_eq!((s.until, s.turn), (u64::MAX, 12));
        format!("{}:{}-{}", version.number, s.read_at, version.read_by)
    };
    view.schedules.iter().map(one).collect()
}

#[test]
fn a_numbered_schedule_reaches_no_further_than_a_quorum_saw_it() {
    let three = fast(2, &["a", "b", "c"]);
    let good = |at, by| numbered(5, at, by, "a b c");
    assert_eq!(
        versions(&three, vec![good(98, 99), good(100, 101), good(96, 97)]),
        ["5:98-99"]
    );
    // A lone liar stretches it neither into the past nor into the future.
    assert_eq!(
        versions(&three, vec![good(0, 1), good(100, 101), good(99, 100)]),
        ["5:99-100"]
    );
    assert_eq!(
        versions(&three, vec![good(900, 1), good(100, 101), good(99, 100)]),
        ["5:100-100"]
    );
    // It brings in nothing: neither another content nor another number.
    for lie in [
        numbered(5, 100, 101, "x y z"),
        numbered(6, 100, 100, "x y z"),
    ] {
        assert_eq!(
            versions(&three, vec![lie, good(100, 101), good(99, 100)]),
            ["5:99-101"]
        );
    }
    // While the next one spreads, both may have a quorum only of providers with two endpoints: the order must fit.
    let four = fast(2, &["a", "b", "a", "b"]);
    let next = |at, by| numbered(6, at, by, "b c d");
    let before = vec![good(98, 98), good(99, 99), next(100, 100), next(101, 101)];
    assert_eq!(versions(&four, before), ["5:98-99", "6:100-101"]);
    let crossed = vec![good(98, 98), good(99, 99), next(97, 97), next(97, 98)];
    assert_eq!(versions(&four, crossed), Vec::<String>::new());
}

#[test]
fn without_a_majority_two_schedules_that_cannot_both_be_right_are_both_left_out() {
    let two = fast(1, &["a", "b"]);
    let good = |at, by| numbered(5, at, by, "a b c");
    assert_eq!(
        versions(&two, vec![good(99, 100), good(100, 101)]),
        ["5:100-100"]
    );
    for (lie, expected) in [
        (numbered(5, 100, 101, "x y z"), vec![]),
        // In force by 100, while the other saw 5 there.
        (numbered(6, 100, 100, "x y z"), vec![]),
        (numbered(4, 101, 101, "x y z"), vec![]),
        (
            numbered(6, 101, 102, "b c d"),
            vec!["5:100-100", "6:101-102"],
        ),
    ] {
        assert_eq!(versions(&two, vec![good(100, 100), lie]), expected);
    }
}

#[test]
fn a_block_names_one_schedule_version_or_the_majoritys() {
    let with = |version: Option<u64>| {
        let mut seen = moving(100, 0, 1);
        for block in &mut seen.blocks {
            block.schedule_version = version;
        }
        said(seen)
    };
    let three = fast(2, &["a", "b", "c"]);
    let version = |said: Vec<Said>| {
        let view = run(&three, said).unwrap();
        view.blocks.last().unwrap().schedule_version
    };
    assert_eq!(
        version(vec![with(None), with(Some(5)), with(Some(5))]),
        Some(5)
    );
    assert_eq!(
        version(vec![with(Some(6)), with(Some(5)), with(Some(5))]),
        Some(5)
    );
    assert_eq!(version(vec![with(None), with(None), with(None)]), None);
}

#[test]
fn names_agree_as_a_whole_and_finality_keys_one_by_one() {
    let names = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        pairs.iter().map(own).collect()
    };
    let with = |names: Option<BTreeMap<String, String>>| {
        let mut seen = moving(100, 0, 1);
        seen.aliases = names;
        said(seen)
    };
    let (ours, theirs) = (names(&[("1.6.1", "alice")]), names(&[("1.6.1", "mallory")]));
    let three = fast(2, &["a", "b", "c"]);
    let all = vec![
        with(Some(ours.clone())),
        with(Some(theirs.clone())),
        with(Some(ours.clone())),
    ];
    assert_eq!(run(&three, all).unwrap().aliases, Some(ours.clone()));
    let all = vec![with(Some(ours.clone())), with(None), with(None)];
    assert_eq!(run(&three, all).unwrap().aliases, None);
    let two = fast(1, &["a", "b"]);
    let all = vec![with(Some(ours.clone())), with(Some(theirs))];
    assert_eq!(run(&two, all).unwrap().aliases, None);

    let with = |standing: &[&str]| {
        let mut seen = moving(100, 0, 1);
        seen.election = Some(Election {
            standing: standing.iter().map(|name| (*name).to_owned()).collect(),
            whole: true,
            scheduled: 2,
        });
        said(seen)
    };
    let (two_stand, one_stands) = (["alice", "bob"], ["alice"]);
    let all = vec![with(&two_stand), with(&one_stands), with(&two_stand)];
    let agreed = run(&three, all).unwrap().election.unwrap();
    assert_eq!(agreed.standing.len(), 2);
    let all = vec![with(&two_stand), with(&one_stands), see(100, 0, 1)];
    assert_eq!(run(&three, all).unwrap().election, None);

    let with = |keys: &[(&str, &str, Option<u64>)]| {
        let mut seen = moving(100, 0, 1);
        let one = |(name, key, vote): &(&str, &str, Option<u64>)| {
            let last_vote = vote.map(|num| (num, i64::try_from(num).unwrap()));
            let finalizer = Finalizer {
                active_key: (*key).to_owned(),
                pending_key: None,
                last_vote,
            };
            ((*name).to_owned(), finalizer)
        };
        seen.finalizers = Some(keys.iter().map(one).collect());
        said(seen)
    };
    let all = vec![
        with(&[("alice", "K1", Some(90)), ("bob", "K2", Some(5))]),
        with(&[("alice", "K1", Some(99)), ("bob", "K3", None)]),
        with(&[("alice", "K1", Some(95)), ("mallory", "K2", Some(99))]),
    ];
    let agreed = run(&three, all).unwrap().finalizers.unwrap();
    assert_eq!(agreed["alice"].last_vote, Some((95, 95)));
    assert_eq!(agreed.keys().collect::<Vec<_>>(), ["alice"]);
    let all = vec![
        with(&[("alice", "K1", None)]),
        see(100, 0, 1),
        see(100, 0, 1),
    ];
    assert_eq!(run(&three, all).unwrap().finalizers, None);
}

/// How an endpoint reads: blocks behind the chain, slack, and how its figures move from tick to tick.
fn pace() -> impl Strategy<Value = Vec<(u64, u64)>> {
    proptest::collection::vec((0_u64..=5, 0_u64..=4), 40)
}

/// What a tick gave: the line, the agreed key and whether it settles, whether endpoint 2 is called a liar.
type Tick = (String, Option<(u8, bool)>, bool);

/// Runs 40 ticks of one second (two blocks each) as the pool does it; `key_of(i, height)` is the key that endpoint
/// `i` names for the state of that height.
fn ticks(rules: &Rules, paces: &[Vec<(u64, u64)>], key_of: impl Fn(usize, u64) -> u8) -> Vec<Tick> {
    let mut recall = Recall::default();
    (0..40_usize)
        .map(|tick| {
            let head = 200 + 2 * u64::try_from(tick).unwrap();
            let seen: Vec<Observation> = paces
                .iter()
                .enumerate()
                .map(|(index, pace)| {
                    let (behind, slack) = pace[tick];
                    // The state is of the last head of the reading: the hardest case.
                    moving(head - behind, slack, key_of(index, head - behind + slack))
                })
                .collect();
            let rules = Rules {
                disputes: recall.disputes.clone(),
                ..rules.clone()
            };
            let known = |num| recall.ids.get(&num).cloned();
            let reports: Vec<EndpointReport> = seen
                .iter()
                .enumerate()
                .map(|(index, one)| EndpointReport {
                    index,
                    observation: said(one.clone()),
                    latency: Duration::ZERO,
                    clock_offset: None,
                })
                .collect();
            let now = T100 + (i64::try_from(head).unwrap() - 100) * INTERVAL;
            let result = agree(&rules, &reports, &known, now);
            let (mut agreed, mut called) = (None, false);
            if let Ok(view) = &result {
                recall.note(view, &seen.iter().collect::<Vec<_>>(), rules.stale_blocks());
                let alice = &view.producers["alice"];
                let key = alice.state.as_ref().unwrap().registered_key.as_bytes()[0];
                agreed = Some((key, alice.settling));
                called = recall.contradiction(view, &seen[2]).is_some();
            }
            (line(&result), agreed, called)
        })
        .collect()
}

proptest! {
    /// However it moves, a lasting lie is no longer "settling" after a while, and the endpoint is named.
    #[test]
    fn a_lasting_lie_is_outvoted_and_named(paces in [pace(), pace(), pace()]) {
        let rules = fast(2, &["a", "b", "c"]);
        let seen = ticks(&rules, &paces, |index, _| if index == 2 { 9 } else { 1 });
        for (tick, (line, agreed, called)) in seen.iter().enumerate().skip(10) {
            prop_assert_eq!(*agreed, Some((1, false)), "tick {}: {}", tick, line);
            prop_assert!(*called, "tick {tick}");
        }
        for (tick, (line, agreed, _)) in seen.iter().enumerate() {
            // Before that nothing is decided on the lie either.
            prop_assert!(!matches!(agreed, Some((9, false))), "tick {tick}: {line}");
        }
    }

    /// Where one endpoint may not be outvoted, it ends as a contradiction, never as a view.
    #[test]
    fn a_lasting_lie_against_one_is_a_contradiction(paces in [pace(), pace(), pace()]) {
        let rules = fast(1, &["a", "b"]);
        let paces = [paces[0].clone(), paces[1].clone()];
        for (tick, (line, ..)) in ticks_of_two(&rules, &paces).iter().enumerate().skip(10) {
            prop_assert_eq!(line.as_str(), "contradicted", "tick {}", tick);
        }
    }

    /// A change that is true is agreed soon after everybody has it, and until then it never becomes a disagreement.
    #[test]
    fn a_true_change_settles(paces in [pace(), pace(), pace()], at in 205_u64..225) {
        let rules = fast(2, &["a", "b", "c"]);
        let seen = ticks(&rules, &paces, |_, state| if state >= at { 2 } else { 1 });
        for (tick, (line, agreed, called)) in seen.iter().enumerate() {
            prop_assert!(!called, "tick {tick}");
            // The head of the tick, and the lowest and the highest state that may have been read in it.
            let head = 200 + 2 * u64::try_from(tick).unwrap();
            match agreed {
                Some((1, false)) => prop_assert!(head < at + 5, "tick {tick}: {line}"),
                Some((2, false)) => prop_assert!(head + 4 >= at, "tick {tick}: {line}"),
                Some((_, true)) => prop_assert!(head + 4 >= at && head < at + 5, "tick {tick}"),
                _ => prop_assert!(false, "tick {}: {}", tick, line),
            }
        }
    }
}

/// [`ticks`] of two endpoints, the second of which lies.
fn ticks_of_two(rules: &Rules, paces: &[Vec<(u64, u64)>; 2]) -> Vec<Tick> {
    let three = [paces[0].clone(), paces[1].clone(), paces[1].clone()];
    // The third is the second's other endpoint: one provider, one word.
    let rules = Rules {
        providers: ["a", "b", "b"].map(str::to_owned).to_vec(),
        ..rules.clone()
    };
    ticks(&rules, &three, |index, _| if index == 0 { 1 } else { 9 })
}
