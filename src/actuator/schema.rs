//! The tables of the state file and their version. Columns beside `body` exist for people with `sqlite3 -readonly` and
//! for the rules that must be law (UNIQUE), `body` is what this program reads back.

use rusqlite::{Connection, OptionalExtension};

use super::journal::JournalError;

/// Version of the tables below. Raise it with a migration in [`prepare`].
pub(super) const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE requests (
  id TEXT PRIMARY KEY, chain TEXT NOT NULL, producer TEXT NOT NULL, action TEXT NOT NULL, cause TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending','acting','done')),
  received_at INTEGER NOT NULL, evaluated_at INTEGER, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX requests_standing ON requests (status) WHERE status <> 'done';
CREATE TABLE decisions (
  n INTEGER PRIMARY KEY, request_id TEXT NOT NULL, time TEXT NOT NULL, chain TEXT NOT NULL, producer TEXT NOT NULL,
  verdict TEXT NOT NULL, reason TEXT NOT NULL, attempt_id TEXT, body TEXT NOT NULL);
CREATE INDEX decisions_of_request ON decisions (request_id);
CREATE TABLE attempts (
  n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, request_id TEXT NOT NULL, chain TEXT NOT NULL, producer TEXT NOT NULL,
  stage TEXT NOT NULL, open INTEGER NOT NULL CHECK (open IN (0,1)), finished INTEGER NOT NULL CHECK (finished IN (0,1)),
  txid TEXT NOT NULL, signed_at INTEGER NOT NULL, expiry INTEGER NOT NULL, body TEXT NOT NULL);
CREATE UNIQUE INDEX one_open_attempt ON attempts (chain, producer) WHERE open = 1;
CREATE INDEX attempts_of_producer ON attempts (chain, producer, n);
CREATE TABLE events (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, chain TEXT NOT NULL,
  producer TEXT NOT NULL, detail TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE ledger (chain TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (chain, key)) WITHOUT ROWID;
CREATE TABLE arm_state (scope TEXT PRIMARY KEY, armed INTEGER NOT NULL, pinned INTEGER NOT NULL,
  maintenance_until INTEGER) WITHOUT ROWID;
CREATE TABLE kv (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
";

/// What a start forgets, so that the file does not grow for ever: all but the newest 100,000 decisions and events, and
/// finished requests 90 days older than the newest. Attempts are kept: they are the record of what reached the chain.
const PRUNE: &str = "
DELETE FROM decisions WHERE n <= (SELECT max(n) - 100000 FROM decisions);
DELETE FROM events WHERE n <= (SELECT max(n) - 100000 FROM events);
DELETE FROM requests WHERE status = 'done' AND received_at < (SELECT max(received_at) - 7776000000 FROM requests);
";

/// Creates the tables in an empty file (`true`), or checks that this program can use what is there (`false`).
pub(super) fn prepare(db: &mut Connection, path: &str) -> Result<bool, JournalError> {
    let io = |e: rusqlite::Error| {
        JournalError::Io(format!(
            "{path}: {e}; is it a slotkeeper state file on a writable disk?"
        ))
    };
    let exists: bool = db
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type='table' AND name='meta')",
            [],
            |r| r.get(0),
        )
        .map_err(io)?;
    if !exists {
        let tx = db.transaction().map_err(io)?;
        tx.execute_batch(TABLES).map_err(io)?;
        tx.execute(
            "INSERT INTO meta VALUES ('schema_version', ?1)",
            [VERSION.to_string()],
        )
        .map_err(io)?;
        tx.commit().map_err(io)?;
        return Ok(true);
    }
    let found: Option<String> = db
        .query_row(
            "SELECT value FROM meta WHERE key='schema_version'",
            [],
            |r| r.get(0),
        )
        .optional()
        .map_err(io)?;
    match found.as_deref().map(str::parse::<i64>) {
        Some(Ok(v)) if v == VERSION => {
            db.execute_batch(PRUNE).map_err(io)?;
            Ok(false)
        }
        Some(Ok(found)) if found > VERSION => Err(JournalError::Newer {
            path: path.into(),
            found,
            known: VERSION,
        }),
        _ => Err(JournalError::Io(format!(
            "{path}: no usable schema version in table meta; it is not a slotkeeper state file, or it is damaged"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_forgets_what_is_old_and_never_what_stands() {
        let mut db = Connection::open_in_memory().expect("opens");
        assert!(prepare(&mut db, "memory").expect("creates"));
        let day = 86_400_000_i64;
        for (id, status, at) in [
            ("old-done", "done", 0),
            ("old-pending", "pending", 0),
            ("young-done", "done", 11 * day),
            ("newest", "done", 100 * day),
        ] {
            db.execute(
                "INSERT INTO requests VALUES (?1,'c','p','failover','webhook',?2,?3,NULL,'{}')",
                (id, status, at),
            )
            .expect("inserts");
        }
        for n in [1_i64, 2, 100_001, 100_002] {
            let row = "INSERT INTO events VALUES (?1,0,'k','c','p','d','{}')";
            db.execute(row, [n]).expect("inserts");
        }
        assert!(!prepare(&mut db, "memory").expect("opens again"));
        let names: Vec<String> = db
            .prepare("SELECT id FROM requests ORDER BY id")
            .and_then(|mut q| q.query_map([], |r| r.get(0))?.collect())
            .expect("reads");
        assert_eq!(names, ["newest", "old-pending", "young-done"]);
        let left: Vec<i64> = db
            .prepare("SELECT n FROM events ORDER BY n")
            .and_then(|mut q| q.query_map([], |r| r.get(0))?.collect())
            .expect("reads");
        assert_eq!(left, [100_001, 100_002]);
    }
}
