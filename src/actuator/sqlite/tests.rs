//! The journal on a real disk: what survives, what is refused, what shares a commit.

use super::*;
use crate::actuator::fixture::{key, request};
use crate::actuator::journal::DecidedOn;
use crate::actuator::types::{Action, Cause, Stage};
use crate::chain::{Change, Method, Sealed};

fn open(dir: &tempfile::TempDir) -> SqliteJournal {
    SqliteJournal::open(&dir.path().join("s.db")).unwrap()
}

fn attempt(id: &str, producer: &str, open: bool) -> Attempt {
    Attempt {
        id: id.into(),
        request_id: "r-1".into(),
        chain: "hive".into(),
        action: Action::Failover,
        cause: Cause::Guard,
        overridden: false,
        sealed: Sealed {
            change: Change {
                producer: producer.into(),
                from: key(1),
                to: key(2),
                method: Method::WitnessSetProperties,
                finalizer: None,
                permission: None,
            },
            id: format!("tx-{id}"),
            expiry: 1,
            transaction: serde_json::json!({"exact": ["bytes", 1.5, null]}),
        },
        swaps: true,
        stage: if open {
            Stage::Sent
        } else {
            Stage::Irreversible
        },
        open,
        signed_at: 5,
        drafted_at: 4,
        sent_at: None,
        maybe_taken: true,
        included_at: None,
        block: None,
        effective_at: None,
        effective_time: None,
        effective_block: None,
        overtaken_by: None,
        registered_block: None,
        registered_for_good: false,
        proposed_at: None,
        pending_at: None,
        ended_at: None,
        note: Some("x".into()),
    }
}

fn put(a: &Attempt) -> Vec<Entry> {
    vec![Entry::Attempt(Box::new(a.clone()))]
}

#[tokio::test]
async fn a_state_file_taken_away_is_noticed_for_what_is_written_there_survives_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, aside) = (dir.path().join("s.db"), dir.path().join("aside"));
    let journal = open(&dir);
    journal
        .write(put(&attempt("a-1", "alice", true)))
        .await
        .unwrap();
    std::fs::rename(&path, &aside).unwrap();
    for there in [false, true] {
        if there {
            std::fs::write(&path, "another file").unwrap();
        }
        let written = journal.write(put(&attempt("a-2", "bob", true))).await;
        assert!(
            written
                .unwrap_err()
                .to_string()
                .contains("removed or replaced")
        );
        assert!(!journal.writable());
    }
    assert_eq!(journal.write_failures(), 2);
    std::fs::rename(&aside, &path).unwrap();
    journal
        .write(put(&attempt("a-3", "carol", true)))
        .await
        .unwrap();
    assert!(journal.writable(), "put back, it is the same file again");
}

#[tokio::test]
async fn a_journal_whose_thread_died_is_not_writable() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    assert!(journal.writable());
    let query: Query = Box::new(|_| panic!("a bug in a query"));
    journal.send(Job::Read(query)).unwrap();
    while journal.writable() {
        std::thread::yield_now();
    }
    let written = journal.write(put(&attempt("a-1", "alice", true))).await;
    assert_eq!(written, Err(JournalError::Closed));
}

#[tokio::test]
async fn everything_written_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    assert!(journal.load().unwrap().fresh);
    let r = request(Cause::Webhook, Action::Failover);
    let a = attempt("a-1", "alice", true);
    let record = DecisionRecord {
        request_id: r.id.clone(),
        time: "2026-11-21T00:00:00.000Z".into(),
        chain: "hive".into(),
        producer: "alice".into(),
        action: "failover".into(),
        cause: "webhook".into(),
        fence: Some("STM1".into()),
        target: None,
        verdict: "act".into(),
        reason: "ok".into(),
        interlocks: vec![],
        view: Some(DecidedOn {
            head: 7,
            head_time: "2026-11-20T23:59:59.000Z".into(),
        }),
        attempt: None,
        note: None,
        unsigned: None,
    };
    let arm = ArmRow {
        scope: "hive/alice".into(),
        armed: true,
        pinned: true,
        maintenance_until: Some(9),
    };
    let event = EventRecord {
        at: 7,
        kind: "sent".into(),
        ..EventRecord::default()
    };
    journal
        .write(vec![
            Entry::Request(r.clone(), RequestStatus::Acting),
            Entry::Attempt(Box::new(a.clone())),
            Entry::Decision {
                record: Box::new(record),
                attempt_id: Some("a-1".into()),
            },
            Entry::Arm(arm.clone()),
            Entry::Event(event.clone()),
            Entry::Ledger {
                chain: "hive".into(),
                rows: vec![("k".into(), "1".into()), ("k".into(), "2".into())],
            },
        ])
        .await
        .unwrap();
    let v = serde_json::json!({"until": 5});
    journal
        .kv_put("silence", "s", Some(v.clone()))
        .await
        .unwrap();
    journal
        .kv_put("silence", "gone", Some(v.clone()))
        .await
        .unwrap();
    journal.kv_put("silence", "gone", None).await.unwrap();
    drop(journal);
    let journal = open(&dir);
    let loaded = journal.load().unwrap();
    assert!(!loaded.fresh);
    assert_eq!(loaded.requests, [(r, RequestStatus::Acting)]);
    assert_eq!(loaded.attempts, [a]);
    assert_eq!(loaded.arm, [arm]);
    assert_eq!(journal.events(5).await.unwrap(), [event]);
    assert_eq!(
        journal.ledger("hive").await.unwrap(),
        [("k".into(), "2".into())]
    );
    assert_eq!(journal.ledger("steem").await.unwrap(), []);
    assert_eq!(journal.kv_all("silence").await.unwrap(), [("s".into(), v)]);
    let decisions = journal.decisions(Some("r-1".into()), 5).await.unwrap();
    assert_eq!(
        decisions[0].attempt,
        Some(AttemptBrief {
            id: "a-1".into(),
            txid: "tx-a-1".into(),
            stage: Stage::Sent,
            overtaken: false,
            note: Some("x".into()),
        })
    );
    assert_eq!(journal.decisions(Some("r-2".into()), 5).await.unwrap(), []);
}

#[tokio::test]
async fn a_second_open_attempt_is_refused_by_the_table_and_takes_its_job_along() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    let mut first = attempt("a-1", "alice", true);
    journal.write(put(&first)).await.unwrap();
    let mut entries = vec![Entry::Request(
        request(Cause::Guard, Action::Failover),
        RequestStatus::Acting,
    )];
    entries.extend(put(&attempt("a-2", "alice", true)));
    let refused = journal.write(entries).await;
    assert!(
        matches!(refused, Err(JournalError::Conflict(_))),
        "{refused:?}"
    );
    assert!(
        journal.load().unwrap().requests.is_empty(),
        "the whole job goes or stays"
    );
    assert_eq!((journal.writable(), journal.write_failures()), (true, 0));
    // Another producer, and the same one when the first is closed, may.
    journal
        .write(put(&attempt("a-3", "bob", true)))
        .await
        .unwrap();
    first.open = false;
    let mut both = put(&first);
    both.extend(put(&attempt("a-2", "alice", true)));
    journal.write(both).await.unwrap();
}

#[tokio::test]
async fn one_bad_job_does_not_spoil_the_others_of_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    let writes: Vec<_> = (0..50)
        .map(|n| journal.write(put(&attempt(&format!("a-{n}"), "alice", n % 10 == 0))))
        .collect();
    let mut refused = 0;
    for write in writes {
        refused += u32::from(write.await.is_err());
    }
    assert_eq!(refused, 4, "five of them were open");
    assert_eq!(journal.load().unwrap().attempts.len(), 46);
}

#[tokio::test]
async fn queued_writes_are_durable_when_the_journal_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    for n in 0..20 {
        drop(journal.write(put(&attempt(&format!("a-{n}"), "alice", false))));
    }
    drop(journal);
    assert_eq!(open(&dir).load().unwrap().attempts.len(), 20);
}

#[tokio::test]
async fn a_disk_that_refuses_is_counted_and_shown_until_it_works_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    let other = Connection::open(dir.path().join("s.db")).unwrap();
    // A table that is gone stands for any failure that is not a broken rule.
    other
        .execute_batch("ALTER TABLE kv RENAME TO hidden")
        .unwrap();
    let failed = journal.kv_put("a", "b", Some(1.into())).await;
    assert!(matches!(failed, Err(JournalError::Io(_))), "{failed:?}");
    assert_eq!((journal.writable(), journal.write_failures()), (false, 1));
    other
        .execute_batch("ALTER TABLE hidden RENAME TO kv")
        .unwrap();
    journal.kv_put("a", "b", Some(1.into())).await.unwrap();
    assert_eq!((journal.writable(), journal.write_failures()), (true, 1));
}

#[test]
fn a_newer_file_a_foreign_file_and_a_second_process_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.db");
    let journal = open(&dir);
    let message = |r: Result<SqliteJournal, JournalError>| r.err().unwrap().to_string();
    let held = message(SqliteJournal::open(&path));
    assert!(held.contains("in use by another slotkeeper"), "{held}");
    drop(journal);
    let db = Connection::open(&path).unwrap();
    db.execute("UPDATE meta SET value='2'", []).unwrap();
    let newer = message(SqliteJournal::open(&path));
    assert!(newer.contains("schema version 2"), "{newer}");
    db.execute("DELETE FROM meta", []).unwrap();
    let damaged = message(SqliteJournal::open(&path));
    assert!(damaged.contains("no usable schema version"), "{damaged}");
    let text = dir.path().join("text");
    std::fs::write(&text, "not a database, just a file with some words in it").unwrap();
    let foreign = message(SqliteJournal::open(&text));
    assert!(foreign.contains("text"), "{foreign}");
}

#[tokio::test]
async fn others_can_look_while_it_is_open_and_the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir);
    journal
        .write(put(&attempt("a-1", "alice", true)))
        .await
        .unwrap();
    let path = dir.path().join("s.db");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = Connection::open_with_flags(&path, flags).unwrap();
    let stage: String = reader
        .query_row("SELECT stage FROM attempts WHERE id='a-1'", [], |r| {
            r.get(0)
        })
        .unwrap();
    assert_eq!(stage, "sent");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ours = journal.read(|db| {
        let mode: String = db.query_row("PRAGMA journal_mode", [], |r| r.get(0))?;
        let synchronous: i64 = db.query_row("PRAGMA synchronous", [], |r| r.get(0))?;
        Ok((mode, synchronous))
    });
    assert_eq!(ours.await.unwrap(), ("wal".to_owned(), 2)); // 2 = FULL
}
