//! The journal on SQLite: its own thread, WAL, `synchronous=FULL`, and group commit: whatever queued up while the last
//! commit was on its way to the disk shares the next one. A job that fails is rolled back alone (savepoint).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::{Connection, params};
use serde_json::Value;
use tokio::sync::oneshot;

use super::attempt::Attempt;
use super::journal::{
    ArmRow, AttemptBrief, DecisionRecord, Entry, EventRecord, Journal, JournalError, Loaded,
    RequestStatus, Soon,
};
use super::lock::Lock;
use super::place::{Place, private};
use super::schema;
use super::types::Request;

/// Jobs that share one commit at most; bounds the time to the first reply.
const GROUP: usize = 512;
/// Finished attempts a start reads back per file, newest first: cooldown, budget and duplicates look at these.
const RECENT_ATTEMPTS: i64 = 2_000;

/// The state file, open and locked.
pub struct SqliteJournal {
    queue: Option<mpsc::Sender<Job>>,
    health: Arc<Health>,
    fresh: bool,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Health {
    failing: AtomicBool,
    failures: AtomicU64,
}

type Query = Box<dyn FnOnce(&Connection) + Send>;

enum Job {
    Write(Vec<Entry>, oneshot::Sender<Result<(), JournalError>>),
    Read(Query),
}

// === impl SqliteJournal ===

impl SqliteJournal {
    /// Opens or creates the state file and takes its lock.
    ///
    /// # Errors
    /// Another process holds it, a newer version wrote it, or the disk refuses.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let lock = Lock::take(path)?;
        private(path)?;
        let shown = path.display().to_string();
        let io = |e: rusqlite::Error| JournalError::Io(format!("cannot open {shown}: {e}"));
        let mut db = Connection::open(path).map_err(io)?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(io)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(io)?;
        db.busy_timeout(std::time::Duration::from_secs(5))
            .map_err(io)?;
        let fresh = schema::prepare(&mut db, &shown)?;
        let place = Place::of(path)?;
        let (queue, jobs) = mpsc::channel();
        let health = Arc::new(Health::default());
        let theirs = Arc::clone(&health);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                serve(&mut db, &jobs, &theirs, &place);
                drop(lock);
            })
            .map_err(|e| JournalError::Io(format!("cannot start the journal's thread: {e}")))?;
        Ok(Self {
            queue: Some(queue),
            health,
            fresh,
            thread: Some(thread),
        })
    }

    fn send(&self, job: Job) -> Result<(), JournalError> {
        self.queue
            .as_ref()
            .ok_or(JournalError::Closed)?
            .send(job)
            .map_err(|_| JournalError::Closed)
    }

    fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Soon<'static, Result<T, JournalError>> {
        let (tx, rx) = oneshot::channel();
        let sent = self.send(Job::Read(Box::new(move |db| {
            // The asker may have gone away; that is its business.
            let _ = tx.send(query(db).map_err(|e| JournalError::Io(format!("reading: {e}"))));
        })));
        Box::pin(async move {
            sent?;
            rx.await.map_err(|_| JournalError::Closed)?
        })
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        // Closing the queue lets the thread finish what was queued, then the lock goes.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Journal for SqliteJournal {
    fn write(&self, entries: Vec<Entry>) -> Soon<'static, Result<(), JournalError>> {
        let (tx, rx) = oneshot::channel();
        let sent = self.send(Job::Write(entries, tx));
        Box::pin(async move {
            sent?;
            rx.await.map_err(|_| JournalError::Closed)?
        })
    }

    fn load(&self) -> Result<Loaded, JournalError> {
        let (tx, rx) = mpsc::channel();
        let fresh = self.fresh;
        self.send(Job::Read(Box::new(move |db| {
            let _ = tx.send(load(db, fresh));
        })))?;
        rx.recv()
            .map_err(|_| JournalError::Closed)?
            .map_err(|e| JournalError::Io(format!("reading the state file: {e}")))
    }

    fn decisions(
        &self,
        request_id: Option<String>,
        limit: usize,
    ) -> Soon<'static, Result<Vec<DecisionRecord>, JournalError>> {
        self.read(move |db| decisions(db, request_id.as_deref(), limit))
    }

    fn events(&self, limit: usize) -> Soon<'static, Result<Vec<EventRecord>, JournalError>> {
        self.read(move |db| {
            let mut find = db.prepare_cached("SELECT body FROM events ORDER BY n DESC LIMIT ?1")?;
            find.query_map([clamp(limit)], |r| json(r.get_ref(0)?.as_str()?))?
                .collect()
        })
    }

    fn ledger(&self, chain: &str) -> Soon<'static, Result<Vec<(String, String)>, JournalError>> {
        let chain = chain.to_owned();
        self.read(move |db| {
            let mut find = db.prepare_cached("SELECT key, value FROM ledger WHERE chain=?1")?;
            find.query_map([chain], |r| Ok((r.get(0)?, r.get(1)?)))?
                .collect()
        })
    }

    fn kv_all(&self, kind: &str) -> Soon<'static, Result<Vec<(String, Value)>, JournalError>> {
        let kind = kind.to_owned();
        self.read(move |db| {
            let mut find = db.prepare_cached("SELECT key, value FROM kv WHERE kind=?1")?;
            find.query_map([kind], |r| Ok((r.get(0)?, json(r.get_ref(1)?.as_str()?)?)))?
                .collect()
        })
    }

    fn writable(&self) -> bool {
        // A thread that has died takes no job that could fail.
        let alive = self.thread.as_ref().is_some_and(|t| !t.is_finished());
        alive && !self.health.failing.load(Ordering::Relaxed)
    }

    fn write_failures(&self) -> u64 {
        self.health.failures.load(Ordering::Relaxed)
    }
}

// === the thread ===

fn serve(db: &mut Connection, jobs: &mpsc::Receiver<Job>, health: &Health, place: &Place) {
    let mut next = jobs.recv().ok();
    while let Some(job) = next.take() {
        match job {
            Job::Read(query) => query(db),
            Job::Write(entries, reply) => {
                let mut group = vec![(entries, reply)];
                while group.len() < GROUP {
                    match jobs.try_recv() {
                        Ok(Job::Write(entries, reply)) => group.push((entries, reply)),
                        Ok(read @ Job::Read(_)) => {
                            next = Some(read);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                commit(db, group, health, place);
            }
        }
        if next.is_none() {
            next = jobs.recv().ok();
        }
    }
}

type Waiting = (Vec<Entry>, oneshot::Sender<Result<(), JournalError>>);

fn commit(db: &mut Connection, group: Vec<Waiting>, health: &Health, place: &Place) {
    let (jobs, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    let mut outcomes = Vec::with_capacity(jobs.len());
    let done = (|| -> rusqlite::Result<()> {
        let mut tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for entries in &jobs {
            let point = tx.savepoint()?;
            let applied = entries.iter().try_for_each(|entry| apply(&point, entry));
            match applied {
                Ok(()) => point.commit()?,
                Err(_) => drop(point), // rolls back to the savepoint
            }
            outcomes.push(applied.map_err(refusal));
        }
        tx.commit()
    })();
    if let Err(e) = done {
        // Nothing of the group reached the disk, whatever its jobs said.
        outcomes = jobs.iter().map(|_| Err(unwritable(&e))).collect();
    } else if !place.still_there() {
        outcomes = jobs.iter().map(|_| Err(place.gone())).collect();
    }
    for (reply, outcome) in replies.into_iter().zip(outcomes) {
        match &outcome {
            Err(JournalError::Conflict(_)) => {}
            Err(_) => {
                health.failures.fetch_add(1, Ordering::Relaxed);
                health.failing.store(true, Ordering::Relaxed);
            }
            Ok(()) => health.failing.store(false, Ordering::Relaxed),
        }
        // The writer may not care to wait.
        let _ = reply.send(outcome);
    }
}

fn unwritable(e: &rusqlite::Error) -> JournalError {
    JournalError::Io(format!(
        "cannot write: {e}; check the disk and its free space"
    ))
}

fn refusal(e: rusqlite::Error) -> JournalError {
    match e.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => JournalError::Conflict(e.to_string()),
        _ => unwritable(&e),
    }
}

fn apply(db: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    match entry {
        Entry::Request(request, status) => db
            .prepare_cached("INSERT OR REPLACE INTO requests VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)")?
            .execute(params![
                request.id,
                request.chain,
                request.producer,
                request.action.as_str(),
                request.cause.as_str(),
                match status {
                    RequestStatus::Pending => "pending",
                    RequestStatus::Acting => "acting",
                    RequestStatus::Done => "done",
                },
                request.received_at,
                request.evaluated_at,
                text(request)?,
            ]),
        Entry::Decision { record, attempt_id } => db
            .prepare_cached(
                "INSERT INTO decisions (request_id,time,chain,producer,verdict,reason,attempt_id,body) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
            )?
            .execute(params![
                record.request_id,
                record.time,
                record.chain,
                record.producer,
                record.verdict,
                record.reason,
                attempt_id,
                text(record)?,
            ]),
        Entry::Attempt(attempt) => db
            .prepare_cached(
                "INSERT INTO attempts (id,request_id,chain,producer,stage,open,finished,txid,signed_at,expiry,body)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)
                 ON CONFLICT (id) DO UPDATE SET stage=excluded.stage, open=excluded.open, finished=excluded.finished, body=excluded.body",
            )?
            .execute(params![
                attempt.id,
                attempt.request_id,
                attempt.chain,
                attempt.sealed.change.producer,
                attempt.stage.as_str(),
                attempt.open,
                attempt.stage.is_over(),
                attempt.sealed.id,
                attempt.signed_at,
                attempt.sealed.expiry,
                text(attempt)?,
            ]),
        Entry::Event(event) => db
            .prepare_cached(
                "INSERT INTO events (at,kind,chain,producer,detail,body) VALUES (?1,?2,?3,?4,?5,?6)",
            )?
            .execute(params![
                event.at,
                event.kind,
                event.chain,
                event.producer,
                event.detail,
                text(event)?
            ]),
        Entry::Arm(row) => db
            .prepare_cached("INSERT OR REPLACE INTO arm_state VALUES (?1,?2,?3,?4)")?
            .execute(params![
                row.scope,
                row.armed,
                row.pinned,
                row.maintenance_until
            ]),
        Entry::Kv {
            kind,
            key,
            value: Some(value),
        } => db
            .prepare_cached("INSERT OR REPLACE INTO kv VALUES (?1,?2,?3)")?
            .execute(params![kind, key, text(value)?]),
        Entry::Kv {
            kind,
            key,
            value: None,
        } => db
            .prepare_cached("DELETE FROM kv WHERE kind=?1 AND key=?2")?
            .execute(params![kind, key]),
        Entry::Ledger { chain, rows } => {
            let mut put = db.prepare_cached("INSERT OR REPLACE INTO ledger VALUES (?1,?2,?3)")?;
            let mut remove = db.prepare_cached("DELETE FROM ledger WHERE chain=?1 AND key=?2")?;
            for (key, value) in rows {
                if value.is_empty() {
                    remove.execute(params![chain, key])?;
                } else {
                    put.execute(params![chain, key, value])?;
                }
            }
            Ok(0)
        }
    }
    .map(|_| ())
}

// === reading ===

fn load(db: &Connection, fresh: bool) -> rusqlite::Result<Loaded> {
    let requests = db
        .prepare("SELECT body, status FROM requests WHERE status <> 'done' ORDER BY received_at")?
        .query_map([], |r| {
            let request: Request = json(r.get_ref(0)?.as_str()?)?;
            let status = match r.get_ref(1)?.as_str()? {
                "acting" => RequestStatus::Acting,
                _ => RequestStatus::Pending,
            };
            Ok((request, status))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let attempts = db
        .prepare(
            "SELECT body FROM attempts WHERE finished=0 OR n > (SELECT ifnull(max(n),0) FROM attempts) - ?1 ORDER BY n",
        )?
        .query_map([RECENT_ATTEMPTS], |r| {
            json::<Attempt>(r.get_ref(0)?.as_str()?)
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let arm = db
        .prepare("SELECT scope, armed, pinned, maintenance_until FROM arm_state")?
        .query_map([], |r| {
            Ok(ArmRow {
                scope: r.get(0)?,
                armed: r.get(1)?,
                pinned: r.get(2)?,
                maintenance_until: r.get(3)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(Loaded {
        fresh,
        requests,
        attempts,
        arm,
    })
}

fn decisions(
    db: &Connection,
    request_id: Option<&str>,
    limit: usize,
) -> rusqlite::Result<Vec<DecisionRecord>> {
    let mut find = db.prepare_cached(
        "SELECT d.body, a.body FROM decisions d LEFT JOIN attempts a ON a.id = d.attempt_id
         WHERE ?1 IS NULL OR d.request_id = ?1 ORDER BY d.n DESC LIMIT ?2",
    )?;
    find.query_map(params![request_id, clamp(limit)], |r| {
        let mut record: DecisionRecord = json(r.get_ref(0)?.as_str()?)?;
        let attempt = r.get_ref(1)?.as_str_or_null()?.map(json::<Attempt>);
        record.attempt = attempt.transpose()?.map(AttemptBrief::of);
        Ok(record)
    })?
    .collect()
}

fn text(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e))
    })
}

fn clamp(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
