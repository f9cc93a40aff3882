//! What counts as the same request, as answered already, as a new tenure.

use super::*;
use crate::actuator::fixture::key;
use crate::chain::{Change, Method, Sealed};

fn incoming(fence: u8, at: Millis) -> Incoming {
    Incoming {
        chain: "hive".into(),
        producer: "alice".into(),
        action: Action::Failover,
        cause: Cause::Webhook,
        fence: Some(key(fence)),
        fingerprint: None,
        labels: vec![],
        evaluated_at: Some(at),
        to: None,
        override_reason: None,
    }
}

fn attempt(id: &str, from: u8, to: u8, stage: Stage) -> Attempt {
    let effective = matches!(stage, Stage::Effective | Stage::Irreversible);
    Attempt {
        id: id.into(),
        request_id: format!("r-{id}"),
        chain: "hive".into(),
        action: Action::Failover,
        cause: Cause::Webhook,
        overridden: false,
        sealed: Sealed {
            change: Change {
                producer: "alice".into(),
                from: key(from),
                to: key(to),
                method: Method::WitnessSetProperties,
                finalizer: None,
                permission: None,
            },
            id: "tx".into(),
            expiry: 1,
            transaction: serde_json::Value::Null,
        },
        swaps: true,
        stage,
        open: !effective,
        signed_at: 0,
        drafted_at: 0,
        sent_at: None,
        maybe_taken: true,
        included_at: None,
        block: None,
        effective_at: None,
        effective_time: effective.then_some(100),
        effective_block: None,
        overtaken_by: None,
        registered_block: None,
        registered_for_good: false,
        proposed_at: None,
        pending_at: None,
        ended_at: None,
        note: None,
    }
}

fn take(book: &mut Book, fence: u8, registered: Option<(u8, Millis)>) -> Intake {
    let registered = registered.map(|(k, t)| (key(k), t));
    book.take(incoming(fence, 10), 0, || "r-new".into(), registered)
}

#[test]
fn duplicates_go_by_producer_fence_and_tenure() {
    use Stage::{Effective, Expired, Failed, Included, Irreversible, Sent, Signed};
    #[rustfmt::skip] // a table: attempt 1→2 at this stage, registered key and head time → duplicate?
    let cases = [
        (Signed, Some((1, 200)), true),
        (Sent, Some((1, 200)), true),
        (Included, None, true),
        (Effective, Some((2, 200)), true),
        (Effective, None, true),
        (Effective, Some((1, 90)), true),     // an older view than the one that showed the new key
        (Effective, Some((1, 200)), false),   // key 1 is back: a new tenure
        (Irreversible, Some((2, 200)), true),
        (Irreversible, Some((1, 200)), false),
        (Expired, Some((1, 200)), false),
        (Failed, Some((1, 200)), false),
    ];
    for (stage, registered, duplicate) in cases {
        let mut book = Book::default();
        book.put_attempt(attempt("a", 1, 2, stage));
        let got = take(&mut book, 1, registered);
        let is = got == Intake::Duplicate("r-a".into());
        assert_eq!(is, duplicate, "{stage:?} {registered:?}: {got:?}");
    }
}

#[test]
fn going_back_by_our_own_hand_is_a_new_tenure() {
    let mut book = Book::default();
    book.put_attempt(attempt("a", 1, 2, Stage::Irreversible));
    book.put_attempt(attempt("b", 2, 1, Stage::Irreversible));
    assert!(matches!(
        take(&mut book, 1, Some((1, 200))),
        Intake::Accepted(_)
    ));
    assert_eq!(
        take(&mut book, 2, Some((1, 200))),
        Intake::Duplicate("r-b".into())
    );
}

#[test]
fn a_pending_request_keeps_its_id_and_is_never_aged() {
    let mut book = Book::default();
    for (at, newest) in [(10, 10), (50, 50), (20, 50)] {
        let got = book.take(incoming(1, at), 0, || "r-1".into(), None);
        match got {
            Intake::Accepted(r) => {
                assert_eq!((r.id.as_str(), r.evaluated_at), ("r-1", Some(newest)))
            }
            Intake::Duplicate(_) => panic!("{got:?}"),
        }
    }
    assert_eq!(book.pending.len(), 1);
    let other = Incoming {
        cause: Cause::Guard,
        ..incoming(1, 5)
    };
    book.take(other, 0, || "r-2".into(), None);
    assert_eq!(book.pending.len(), 2);
}

#[test]
fn operators_are_never_duplicates() {
    let mut book = Book::default();
    book.put_attempt(attempt("a", 1, 2, Stage::Effective));
    let again = Incoming {
        cause: Cause::Operator,
        ..incoming(1, 5)
    };
    assert!(matches!(
        book.take(again, 0, || "r".into(), None),
        Intake::Accepted(_)
    ));
}

#[test]
fn budget_and_cooldown_count_what_took_effect_by_chain_time() {
    let name = ("hive".to_owned(), "alice".to_owned());
    let mut book = Book::default();
    book.put_attempt(attempt("a", 1, 2, Stage::Irreversible));
    book.put_attempt(attempt("b", 2, 3, Stage::Expired));
    assert_eq!(
        (book.spent_since(&name, 99), book.spent_since(&name, 100)),
        (1, 0)
    );
    assert_eq!(book.last_switch(&name), Some(100));
    book.known.insert(
        name.clone(),
        Known {
            key: key(3),
            since: 0,
            adopted: Some(150),
        },
    );
    assert_eq!(book.last_switch(&name), Some(150));
}
