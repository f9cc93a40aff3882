//! The state machine, one story per test.

use super::*;
use crate::actuator::fixture::key;
use crate::chain::{Change, Method};

pub(super) const EXPIRY: Millis = 100_000;

pub(super) fn attempt(swaps: bool) -> Attempt {
    Attempt {
        id: "a".into(),
        request_id: "r".into(),
        chain: "hive".into(),
        action: Action::Failover,
        cause: Cause::Webhook,
        overridden: false,
        sealed: Sealed {
            change: Change {
                producer: "alice".into(),
                from: key(1),
                to: key(2),
                method: Method::WitnessSetProperties,
                finalizer: None,
                permission: None,
            },
            id: "tx".into(),
            expiry: EXPIRY,
            transaction: serde_json::Value::Null,
        },
        swaps,
        stage: Stage::Signed,
        open: true,
        signed_at: 0,
        drafted_at: 70_000,
        sent_at: None,
        maybe_taken: false,
        included_at: None,
        block: None,
        registered_block: None,
        registered_for_good: false,
        proposed_at: None,
        pending_at: None,
        effective_at: None,
        effective_time: None,
        effective_block: None,
        overtaken_by: None,
        ended_at: None,
        note: None,
    }
}

/// Head at block `n`, at `n` seconds; irreversible ten blocks behind; `key(k)` registered.
pub(super) fn seen(n: u64, k: u8) -> Sighting {
    let time = |n: u64| Millis::try_from(n).unwrap() * 1_000;
    Sighting {
        now: time(n) + 50,
        head: (n, time(n)),
        irreversible: Some((n - 10, time(n - 10))),
        registered: Some(key(k)),
        effective: Some(key(k)),
        coming: None,
        outcomes: vec![],
    }
}

pub(super) fn said(n: u64, k: u8, outcome: Outcome) -> Sighting {
    Sighting {
        outcomes: vec![outcome],
        ..seen(n, k)
    }
}

#[test]
fn the_straight_way() {
    let mut a = attempt(true);
    assert!(a.note_answers(71_000, &[Answer::Taken, Answer::Unsure("timeout".into())]));
    assert_eq!((a.stage, a.sent_at), (Stage::Sent, Some(71_000)));
    assert!(a.advance(&said(71, 1, Outcome::Pending)).resend);
    a.advance(&said(72, 1, Outcome::Included { block: 72 }));
    assert_eq!((a.stage, a.block), (Stage::Included, Some(72)));
    let next = a.advance(&seen(73, 2));
    assert_eq!((a.stage, next.resend), (Stage::Effective, false));
    assert_eq!(
        (a.effective_time, a.effective_block),
        (Some(73_000), Some(73))
    );
    assert!(
        a.open,
        "another attempt must wait until the expiry has passed"
    );
    a.advance(&seen(83, 2));
    assert_eq!(a.stage, Stage::Irreversible);
    assert!(a.open);
    a.advance(&seen(101, 2));
    assert!(!a.open);
}

#[test]
fn the_key_alone_is_enough_where_endpoints_cannot_tell() {
    let mut a = attempt(true);
    a.advance(&said(72, 2, Outcome::Unknown));
    assert_eq!(a.stage, Stage::Effective);
    a.advance(&said(81, 2, Outcome::Unknown));
    assert_eq!(
        a.stage,
        Stage::Effective,
        "block 72 is not irreversible yet"
    );
    a.advance(&said(82, 2, Outcome::Unknown));
    assert_eq!(a.stage, Stage::Irreversible);
}

#[test]
fn finality_may_stall_without_keeping_it_open() {
    let mut a = attempt(true);
    a.advance(&seen(72, 2));
    a.advance(&Sighting {
        irreversible: Some((50, 50_000)),
        ..seen(120, 2)
    });
    assert_eq!((a.stage, a.open), (Stage::Effective, false));
}

#[test]
fn a_reorg_takes_it_back_and_the_same_bytes_go_out_again() {
    let mut a = attempt(true);
    a.advance(&said(72, 2, Outcome::Included { block: 72 }));
    let next = a.advance(&said(74, 1, Outcome::Unknown));
    assert_eq!((a.stage, a.block, next.resend), (Stage::Sent, None, true));
    assert_eq!(a.effective_time, None);
    a.advance(&seen(76, 2));
    assert_eq!((a.stage, a.effective_block), (Stage::Effective, Some(76)));
}

#[test]
fn a_head_further_back_or_silence_is_no_reorg() {
    let mut a = attempt(true);
    a.advance(&seen(74, 2));
    a.advance(&said(73, 1, Outcome::Unknown)); // another quorum, one block behind
    assert_eq!(a.stage, Stage::Effective);
    a.advance(&seen(75, 1)); // nobody was asked about it yet
    assert_eq!(a.stage, Stage::Effective);
    a.advance(&said(75, 1, Outcome::Included { block: 74 })); // it is in: somebody changed the key back
    assert_eq!(a.stage, Stage::Effective);
}

#[test]
fn it_expires_only_when_irreversibly_past() {
    let mut a = attempt(false);
    let next = a.advance(&seen(100, 1));
    assert!(
        next.resend,
        "at the expiry itself a block may still take it"
    );
    let next = a.advance(&seen(101, 1));
    assert!(!next.resend);
    assert_eq!((a.stage, a.open), (Stage::Signed, true));
    assert!(a.lapsed(101_000, Some(key(1))));
    a.advance(&seen(110, 1));
    assert_eq!(a.stage, Stage::Signed);
    a.advance(&seen(111, 1));
    assert_eq!((a.stage, a.open), (Stage::Expired, false));
}

#[test]
fn one_endpoint_claiming_inclusion_cannot_keep_it_open_for_ever() {
    let mut a = attempt(true);
    a.advance(&Sighting {
        outcomes: vec![
            Outcome::Included { block: 90 },
            Outcome::Unknown,
            Outcome::Unknown,
        ],
        ..seen(111, 1)
    });
    assert_eq!((a.stage, a.open), (Stage::Expired, false));
}

#[test]
fn a_switch_that_was_undone_while_nobody_looked_was_a_switch() {
    // We died after sending; it was included; a person went back to the old key; we are back after the expiry.
    let mut a = attempt(true);
    a.advance(&Sighting {
        outcomes: vec![
            Outcome::Irreversible { block: 90 },
            Outcome::Irreversible { block: 90 },
            Outcome::Unknown,
        ],
        ..seen(111, 1)
    });
    assert_eq!((a.stage, a.open), (Stage::Irreversible, false));
    assert_eq!(a.effective_time, Some(111_000), "it starts the rest");
    assert!(a.spends_budget());
}

#[test]
fn a_reorg_is_not_overlooked_on_the_tick_that_finality_catches_up() {
    let mut a = attempt(true);
    a.advance(&said(72, 2, Outcome::Unknown));
    assert_eq!(a.stage, Stage::Effective);
    // Finality jumps past block 72, but on a fork without it; nobody has been asked about the transaction yet.
    a.advance(&seen(90, 1));
    assert_eq!(a.stage, Stage::Effective);
    let unread = Sighting {
        registered: None,
        ..seen(91, 1)
    };
    a.advance(&unread);
    assert_eq!(a.stage, Stage::Effective, "no key was read");
    let next = a.advance(&said(92, 1, Outcome::Unknown));
    assert_eq!((a.stage, next.resend), (Stage::Sent, true));
}

#[test]
fn refused_by_all_is_no_proof_where_the_chain_does_not_compare() {
    let mut a = attempt(false);
    a.note_answers(71_000, &[Answer::Refused(Rejection::ReferenceBlock)]);
    a.advance(&seen(101, 1));
    assert_eq!((a.stage, a.open), (Stage::Signed, true));
    a.advance(&seen(111, 1));
    assert_eq!((a.stage, a.open), (Stage::Failed, false));
}

#[test]
fn nothing_is_sent_into_a_world_that_has_changed() {
    let mut a = attempt(false);
    assert!(
        !a.advance(&seen(72, 3)).resend,
        "somebody registered another key"
    );
    let unknown = Sighting {
        registered: None,
        ..seen(72, 1)
    };
    assert!(!a.advance(&unknown).resend);
    a.advance(&seen(111, 3));
    assert_eq!(a.stage, Stage::Expired);
}

#[test]
fn refused_by_all_fails_when_its_time_is_over() {
    let mut a = attempt(true);
    let no = Answer::Refused(Rejection::MissingAuthority);
    a.note_answers(71_000, &[no.clone(), no.clone()]);
    assert_eq!(a.stage, Stage::Signed);
    a.advance(&seen(72, 1));
    assert_eq!(a.stage, Stage::Signed, "a lagging node may change its mind");
    a.advance(&seen(101, 1));
    assert_eq!((a.stage, a.open), (Stage::Failed, false));
    assert!(a.note.unwrap().contains("no authority"));
}

#[test]
fn a_lost_reply_is_never_taken_for_a_refusal() {
    let mut a = attempt(true);
    let no = Answer::Refused(Rejection::FenceMismatch);
    a.note_answers(71_000, &[no.clone(), Answer::Unsure("timeout".into())]);
    a.note_answers(72_000, &[no]);
    a.advance(&seen(101, 1));
    assert_eq!(a.stage, Stage::Signed);
    a.advance(&seen(111, 1));
    assert_eq!(a.stage, Stage::Expired);
}

#[test]
fn operators_and_failures_spend_no_budget() {
    let mut a = attempt(true);
    assert!(!a.spends_budget());
    a.advance(&seen(72, 2));
    assert!(a.spends_budget());
    a.cause = Cause::Operator;
    assert!(!a.spends_budget());
}
