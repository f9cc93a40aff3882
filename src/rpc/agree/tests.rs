//! Tables of what one, two, three and five endpoints may say, and what becomes of it.

mod fast;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::chain::{Block, BlockRef, Observation, ProducerState, Schedule};
use crate::keys::PublicKey;
use crate::rpc::types::{EndpointError, RpcOutcome};

/// Head time of block 100; blocks come every 3 s.
const T100: Millis = 1_795_244_400_000;
/// A moment after block 100.
const NOW: Millis = T100 + 500;

fn key(n: u8) -> PublicKey {
    PublicKey::from_bytes([n; 33])
}

/// The id of block `num`; from `fork` on it is another branch's.
fn id(num: u64, fork: Option<u64>) -> BlockId {
    let branch = fork.filter(|from| num >= *from).map_or(0, |from| from + 1);
    BlockId(format!("{num:08x}{branch:032x}"))
}

fn time(num: u64) -> Millis {
    T100 + (i64::try_from(num).unwrap() - 100) * 3000
}

fn block(num: u64, fork: Option<u64>) -> Block {
    Block {
        num,
        id: id(num, fork),
        previous: id(num - 1, fork),
        time: time(num),
        producer: format!("w{}", num % 3),
        signing_key: Some(key(9)),
        key_changes: Vec::new(),
        schedule_version: None,
        slot: None,
    }
}

fn alice(signing: PublicKey) -> ProducerState {
    ProducerState {
        registered_key: signing,
        effective_key: signing,
        enabled: true,
        url: "u".into(),
        props: json!({"fee": "3.000"}),
        reported_missed: Some(100),
        last_block: Some(7),
        version: None,
        feed_time: None,
        coming: None,
        unpaid_blocks: None,
    }
}

/// What an honest endpoint at head `num` says: it was asked for blocks 99..=101.
fn at(num: u64) -> Observation {
    on_fork(num, None)
}

fn on_fork(num: u64, fork: Option<u64>) -> Observation {
    Observation {
        chain_id: None,
        head: BlockRef {
            num,
            id: id(num, fork),
            time: time(num),
        },
        head_slot: num + 1000,
        irreversible: num - 15,
        settled: true,
        participation: Some(0.9),
        schedule: Some(schedule(num, "a b c")),
        producers: [("alice".to_owned(), Some(alice(key(1))))].into(),
        blocks: (99..=num.min(101)).map(|n| block(n, fork)).collect(),
        active_keys: BTreeMap::new(),
        aliases: None,
        finalizers: None,
        slack: 0,
    }
}

fn schedule(read_at: u64, order: &str) -> Schedule {
    Schedule {
        read_at,
        until: 120,
        order: order.split(' ').map(str::to_owned).collect(),
        turn: 1,
        version: None,
    }
}

fn with_key(mut seen: Observation, n: u8) -> Observation {
    seen.producers = [("alice".to_owned(), Some(alice(key(n))))].into();
    seen
}

fn unsettled(mut seen: Observation) -> Observation {
    seen.settled = false;
    seen.schedule = None;
    seen
}

fn without_blocks(mut seen: Observation) -> Observation {
    seen.blocks.clear();
    seen
}

fn for_chain(mut seen: Observation, chain: &str) -> Observation {
    seen.chain_id = Some(chain.into());
    seen
}

fn failed(outcome: RpcOutcome, detail: &str) -> Option<Result<Observation, EndpointError>> {
    Some(Err(EndpointError {
        outcome,
        detail: detail.into(),
    }))
}

/// One endpoint's part: `None` = silent.
type Said = Option<Result<Observation, EndpointError>>;

fn said(seen: Observation) -> Said {
    Some(Ok(seen))
}

fn rules(quorum: usize, providers: &[&str]) -> Rules {
    Rules {
        quorum,
        providers: providers.iter().map(|p| (*p).to_owned()).collect(),
        interval_ms: 3000,
        stale_ms: 2 * 3000,
        chain_id: Some("ours".into()),
        disputes: BTreeMap::new(),
    }
}

fn run(rules: &Rules, said: Vec<Said>) -> Result<View, Disagreement> {
    run_knowing(rules, said, &|_| None)
}

fn run_knowing(
    rules: &Rules,
    said: Vec<Said>,
    known: &(dyn Fn(u64) -> Option<BlockId> + Sync),
) -> Result<View, Disagreement> {
    let reports: Vec<EndpointReport> = said
        .into_iter()
        .enumerate()
        .map(|(index, observation)| EndpointReport {
            index,
            observation,
            latency: Duration::ZERO,
            clock_offset: None,
        })
        .collect();
    agree(rules, &reports, known, NOW)
}

/// A result in one line: `head/agreeing/key[~]` (`~` = settling) or the kind of disagreement.
fn line(result: &Result<View, Disagreement>) -> String {
    match result {
        Ok(view) => {
            let alice = &view.producers["alice"];
            let key = alice
                .state
                .as_ref()
                .map_or(0, |state| state.registered_key.as_bytes()[0]);
            let settling = if alice.settling { "~" } else { "" };
            format!("{}/{}/{key}{settling}", view.head.num, view.agreeing)
        }
        Err(Disagreement::TooFew { fresh, quorum, .. }) => format!("too few {fresh}/{quorum}"),
        Err(Disagreement::Fork { height, .. }) => format!("fork {height}"),
        Err(Disagreement::Contradicted { .. }) => "contradicted".into(),
        Err(Disagreement::State { producer, .. }) => format!("state {producer}"),
    }
}

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

#[test]
fn a_key_that_differs_between_heads_is_settling_until_all_have_passed() {
    let mut three = rules(2, &["a", "b", "c"]);
    let old = |num| said(at(num));
    let new = |num| said(with_key(at(num), 2));
    // c is one block ahead and has the change.
    let result = run(&three, vec![old(100), old(100), new(101)]);
    assert_eq!(line(&result), "100/3/1~");
    // b has it too; a lags.
    let result = run(&three, vec![old(100), new(101), new(101)]);
    assert_eq!(line(&result), "101/3/2~");
    let result = run(&three, vec![new(101), new(101), new(101)]);
    assert_eq!(line(&result), "101/3/2");
    // A liar that stays one block ahead is outvoted once everybody has passed the height of the first difference.
    three.disputes.insert("alice".into(), 101);
    let result = run(&three, vec![old(101), old(101), new(102)]);
    assert_eq!(line(&result), "101/3/1");
    // At two endpoints there is no outvoting: it becomes a contradiction.
    let mut two = rules(1, &["a", "b"]);
    assert_eq!(line(&run(&two, vec![old(100), new(101)])), "101/2/2~");
    two.disputes.insert("alice".into(), 101);
    assert_eq!(line(&run(&two, vec![old(101), new(102)])), "contradicted");
    // A frozen endpoint that never saw the change neither contradicts nor keeps it settling.
    let result = run(&two, vec![said(without_blocks(at(90))), new(101)]);
    assert_eq!(line(&result), "101/1/2");
}

#[test]
fn a_gap_of_missed_slots_makes_nobody_stale() {
    // Block 101 came after four missed slots; b has not heard of it for a moment.
    let rules = rules(2, &["a", "b", "c"]);
    let mut late = at(101);
    late.head.time = NOW;
    let mut before = at(100);
    before.head.time = NOW - 15_000;
    let result = run(
        &rules,
        vec![
            said(late.clone()),
            said(before),
            failed(RpcOutcome::Refused, "refused"),
        ],
    );
    assert_eq!(line(&result), "100/2/1");
}

#[test]
fn a_tip_that_splits_for_a_moment_leaves_the_block_before_it_agreed() {
    // b and c are on two tips at 101, a still at 100: 100 stands.
    let rules = rules(2, &["a", "b", "c"]);
    let all = vec![
        said(at(100)),
        said(on_fork(101, None)),
        said(on_fork(101, Some(101))),
    ];
    let view = run(&rules, all).unwrap();
    assert_eq!(view.head.id, id(100, None));
    assert!(view.blocks.iter().all(|b| b.num <= 100));
}

#[test]
fn blocks_need_a_quorum_a_chain_and_one_content() {
    let three = rules(2, &["a", "b", "c"]);
    // The liar gives the true id another producer: the majority's version stands.
    let mut liar = at(100);
    liar.blocks[1].producer = "mallory".into();
    liar.blocks[1].key_changes = vec![("alice".into(), key(2))];
    let view = run(
        &three,
        vec![said(liar.clone()), said(at(100)), said(at(100))],
    )
    .unwrap();
    assert_eq!(view.blocks[1], block(100, None));
    // One against one: left out.
    let two = rules(1, &["a", "b"]);
    let view = run(&two, vec![said(liar), said(at(100))]).unwrap();
    let numbers: Vec<u64> = view.blocks.iter().map(|b| b.num).collect();
    assert_eq!(numbers, [99]);
    // A dialect that does not name the signing key is completed by one that does.
    let mut bare = at(100);
    bare.blocks[1].signing_key = None;
    let view = run(&two, vec![said(bare), said(at(100))]).unwrap();
    assert_eq!(view.blocks[1].signing_key, Some(key(9)));
    // One endpoint alone has block 101: no quorum for it.
    let view = run(&three, vec![said(at(101)), said(at(100)), said(at(100))]).unwrap();
    assert_eq!(view.blocks.last().unwrap().num, 100);
    // A wrong link cuts the list off.
    let mut torn = at(100);
    torn.blocks[1].previous = id(99, Some(99));
    let view = run(&rules(1, &["a"]), vec![said(torn)]).unwrap();
    assert_eq!(view.blocks.last().unwrap().num, 99);
}

#[test]
fn a_schedule_needs_a_quorum_and_reaches_no_further_back_than_a_quorum_read_it() {
    let three = rules(2, &["a", "b", "c"]);
    let with = |read_at, order| {
        let mut seen = at(100);
        seen.schedule = Some(schedule(read_at, order));
        said(seen)
    };
    let view = run(
        &three,
        vec![with(0, "a b c"), with(100, "a b c"), with(99, "a b c")],
    )
    .unwrap();
    assert_eq!(view.schedules, [schedule(99, "a b c")]);
    let view = run(
        &three,
        vec![with(0, "x y z"), with(100, "a b c"), with(100, "a b c")],
    )
    .unwrap();
    assert_eq!(view.schedules, [schedule(100, "a b c")]);
    let two = rules(1, &["a", "b"]);
    let view = run(&two, vec![with(100, "x y z"), with(100, "a b c")]).unwrap();
    assert_eq!(view.schedules, []);
    let view = run(&two, vec![None, with(100, "a b c")]).unwrap();
    assert_eq!(view.schedules, [schedule(100, "a b c")]);
}

#[test]
fn authorities_agree_as_sets() {
    let with = |keys: &[u8]| {
        let mut seen = at(100);
        let keys = keys.iter().map(|n| key(*n)).collect();
        seen.active_keys = [("alice".to_owned(), keys)].into();
        said(seen)
    };
    let three = rules(2, &["a", "b", "c"]);
    let view = run(&three, vec![with(&[2, 1]), with(&[1, 2]), with(&[3])]).unwrap();
    assert_eq!(view.active_keys["alice"], [key(1), key(2)]);
    let view = run(&three, vec![with(&[1]), with(&[2]), with(&[3])]).unwrap();
    assert!(view.active_keys.is_empty());
    let two = rules(1, &["a", "b"]);
    let view = run(&two, vec![with(&[1]), with(&[2])]).unwrap();
    assert!(view.active_keys.is_empty());
}

#[test]
fn figures_that_move_are_medians_and_irreversible_needs_a_quorum() {
    let rules = rules(2, &["a", "b", "c"]);
    let with = |irreversible, participation| {
        let mut seen = at(100);
        seen.irreversible = irreversible;
        seen.participation = Some(participation);
        said(seen)
    };
    let view = run(
        &rules,
        vec![with(99, f64::NAN), with(85, 0.5), with(84, 0.9)],
    )
    .unwrap();
    assert_eq!(view.irreversible, 85);
    assert_eq!(view.participation, Some(0.9));
    let offsets = [Some(-300), None, Some(70)]
        .iter()
        .enumerate()
        .map(|(index, offset)| EndpointReport {
            index,
            observation: said(at(100)),
            latency: Duration::ZERO,
            clock_offset: *offset,
        });
    let reports: Vec<EndpointReport> = offsets.collect();
    let view = agree(&rules, &reports, &|_| None, NOW).unwrap();
    assert_eq!(view.clock_offset, Some(70));
}
