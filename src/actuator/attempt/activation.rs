//! A registered key that takes a while to be in force (Antelope), one story per test.

use super::tests::{EXPIRY, attempt as graphene, said, seen};
use super::*;
use crate::actuator::fixture::key;

fn attempt(swaps: bool) -> Attempt {
    let mut attempt = graphene(swaps);
    attempt.sealed.change.method = Method::Regproducer;
    attempt
}

/// As `seen`: key 2 is registered, key 1 still signs.
fn waits(n: u64, coming: Option<Activation>) -> Sighting {
    Sighting {
        effective: Some(key(1)),
        coming: coming.map(|how| (key(2), how)),
        ..seen(n, 2)
    }
}

#[test]
fn registered_proposed_pending_and_only_then_in_force() {
    let mut a = attempt(false);
    a.note_answers(71_000, &[Answer::Taken]);
    let next = a.advance(&waits(72, None));
    assert_eq!((a.stage, next.resend), (Stage::Included, false));
    a.advance(&waits(98, Some(Activation::Proposed)));
    assert_eq!((a.proposed_at, a.pending_at), (Some(98_050), None));
    a.advance(&waits(120, Some(Activation::Pending)));
    a.advance(&waits(121, Some(Activation::Pending)));
    assert_eq!(a.pending_at, Some(120_050));
    assert_eq!((a.stage, a.effective_time), (Stage::Included, None));
    a.advance(&seen(144, 2));
    assert_eq!(a.stage, Stage::Effective);
    assert_eq!(a.effective_time, Some(144_000), "rest counts from here");
    assert!(!a.open, "its expiry has passed long ago");
    a.advance(&seen(154, 2));
    assert_eq!(a.stage, Stage::Irreversible);
}

#[test]
fn while_it_waits_it_is_open_and_neither_sent_again_nor_given_up() {
    for outcome in [None, Some(Outcome::Unknown), Some(Outcome::Expired)] {
        for swaps in [false, true] {
            let mut a = attempt(swaps);
            a.note_answers(71_000, &[Answer::Taken]);
            for n in 72..400 {
                let mut sighting = waits(n, None);
                sighting.outcomes.extend(outcome);
                assert!(!a.advance(&sighting).resend);
                assert_eq!((a.stage, a.open), (Stage::Included, true), "{n}");
                assert!(!a.lapsed(sighting.head.1, sighting.registered));
            }
            let in_force = seen(400, 2);
            assert!(in_force.head.1 > 3 * EXPIRY, "long past its expiry");
            a.advance(&in_force);
            assert_eq!(a.stage, Stage::Effective);
        }
    }
}

#[test]
fn answers_that_were_all_lost_do_not_matter_once_the_key_is_registered() {
    let mut a = attempt(false);
    a.note_answers(71_000, &[Answer::Refused(Rejection::BadRequest)]);
    a.advance(&waits(72, None));
    assert_eq!((a.stage, a.note.as_ref()), (Stage::Included, None));
    a.advance(&waits(300, None));
    assert_eq!((a.stage, a.open), (Stage::Included, true));
}

#[test]
fn a_reorg_takes_a_registration_back_and_the_same_bytes_go_out_again() {
    let mut a = attempt(false);
    a.note_answers(71_000, &[Answer::Taken]);
    a.advance(&waits(75, Some(Activation::Proposed)));
    a.advance(&said(74, 1, Outcome::Unknown));
    assert_eq!(a.stage, Stage::Included, "an older head shows nothing");
    let next = a.advance(&said(76, 1, Outcome::Unknown));
    assert_eq!((a.stage, next.resend), (Stage::Sent, true));
    a.advance(&waits(77, None));
    assert_eq!(a.stage, Stage::Included);
}

#[test]
fn a_third_key_registered_meanwhile_ends_it_as_a_switch_that_was_changed_again() {
    let mut a = attempt(false);
    a.note_answers(71_000, &[Answer::Taken]);
    a.advance(&waits(75, None));
    let third = |n| Sighting {
        effective: Some(key(1)),
        ..seen(n, 3)
    };
    a.advance(&third(80));
    assert_eq!((a.stage, a.open), (Stage::Included, true), "not final yet");
    a.advance(&third(111));
    assert_eq!((a.stage, a.open), (Stage::Irreversible, false));
    overtaken(&a, 3, 111);
}

/// It is over, rests and spends budget, and nobody says that it took effect.
fn overtaken(a: &Attempt, by: u8, at: Millis) {
    assert_eq!(a.overtaken_by, Some(key(by)));
    assert_eq!((a.effective_at, a.effective_block), (None, None));
    assert_eq!(a.effective_time, Some(at * 1_000), "it rests from here");
    assert!(a.spends_budget());
    let note = a.note.as_deref().unwrap_or_default();
    assert!(note.contains("before it was seen in force"), "{note}");
}

/// The key before is registered again: a person went back, or a fork did.
fn back(n: u64) -> Sighting {
    said(n, 1, Outcome::Unknown)
}

#[test]
fn who_goes_back_by_hand_while_it_waits_is_not_fought() {
    // Final at 85: whatever shows the old key afterwards is no fork.
    let mut a = attempt(false);
    a.note_answers(71_000, &[Answer::Taken]);
    for n in 75..95 {
        a.advance(&waits(n, None));
    }
    let next = a.advance(&back(95));
    assert!(!next.resend, "it would undo what a person did");
    assert_eq!((a.stage, a.open), (Stage::Irreversible, true));
    overtaken(&a, 1, 95);
    assert!(!a.advance(&back(96)).resend);
    a.advance(&back(101));
    assert!(!a.open, "its expiry has passed");
}

#[test]
fn who_goes_back_by_hand_before_it_is_final_is_not_fought_either() {
    // A person or a fork: nobody can tell. The same bytes may go out again, new ones may not.
    let mut a = attempt(false);
    a.note_answers(71_000, &[Answer::Taken]);
    a.advance(&waits(75, None));
    assert!(a.advance(&back(76)).resend);
    for n in 77..111 {
        a.advance(&back(n));
        assert_eq!((a.stage, a.open), (Stage::Sent, true), "{n}");
    }
    a.advance(&back(111));
    assert_eq!((a.stage, a.open), (Stage::Irreversible, false));
    overtaken(&a, 1, 111);
}

#[test]
fn who_goes_back_while_a_schedule_is_on_its_way_is_told_that_the_key_may_still_sign() {
    let mut a = attempt(false);
    a.note_answers(71_000, &[Answer::Taken]);
    for n in 75..95 {
        a.advance(&waits(n, Some(Activation::Pending)));
    }
    a.advance(&Sighting {
        coming: Some((key(2), Activation::Pending)),
        ..back(95)
    });
    overtaken(&a, 1, 95);
    assert!(a.note.unwrap().contains("it may sign for a while"));
}

#[test]
fn where_registered_is_in_force_a_switch_that_was_undone_unseen_took_effect() {
    // Graphene: it was registered, so it signed from the next block on. Antelope: nobody saw it in force.
    for (mut a, lags) in [(graphene(true), false), (attempt(false), true)] {
        a.note_answers(71_000, &[Answer::Taken]);
        a.advance(&said(111, 3, Outcome::Irreversible { block: 80 }));
        assert_eq!(a.stage, Stage::Irreversible);
        assert_eq!(a.overtaken_by.is_some(), lags);
        assert_eq!(a.effective_at.is_some(), !lags);
        assert!(a.spends_budget());
    }
}

#[test]
fn a_disable_that_was_undone_unseen_was_done() {
    let mut a = attempt(false);
    a.sealed.change.to = PublicKey::NULL;
    a.note_answers(71_000, &[Answer::Taken]);
    a.advance(&said(111, 3, Outcome::Irreversible { block: 80 }));
    assert_eq!(a.stage, Stage::Irreversible);
    assert_eq!((a.overtaken_by, a.effective_at.is_some()), (None, true));
}

#[test]
fn a_producer_that_is_in_no_schedule_is_in_force_when_registered() {
    // The adapter names the registered key as the effective one then.
    let mut a = attempt(false);
    a.advance(&seen(72, 2));
    assert_eq!(a.stage, Stage::Effective);
}

#[test]
fn a_disable_is_done_when_registered_even_if_the_schedule_cannot_change() {
    let mut a = attempt(false);
    a.sealed.change.to = PublicKey::NULL;
    a.note_answers(71_000, &[Answer::Taken]);
    let unregistered = |n| Sighting {
        registered: Some(PublicKey::NULL),
        effective: Some(key(1)),
        ..seen(n, 1)
    };
    a.advance(&unregistered(72));
    assert_eq!(a.stage, Stage::Effective);
    a.advance(&unregistered(101));
    assert_eq!((a.stage, a.open), (Stage::Irreversible, false));
}
