//! What a view holds when endpoints agree: keys that settle, blocks, schedules, authorities, figures.

use super::*;

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
