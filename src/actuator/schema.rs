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
        Some(Ok(v)) if v == VERSION => Ok(false),
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
