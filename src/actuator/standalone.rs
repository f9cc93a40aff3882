//! One operator command with the daemon dead: takes the state file's lock, watches the chain itself, and goes through
//! the same interlocks, journal and loop as the daemon would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::alert_source::NoAlertmanager;
use super::authority::Keyring;
use super::handle::ActuatorHandle;
use super::incoming::{OperateError, OperatorCommand};
use super::journal::{DecisionRecord, EventRecord, Journal, JournalError};
use super::ledger_rows::LedgerRows;
use super::sqlite::SqliteJournal;
use super::start::{Link, MISSING_STATE_HOLD, Parts, begin};
use super::types::Verdict;
use crate::chain;
use crate::clock;
use crate::config::Config;
use crate::rpc::Pool;
use crate::watch::{Snapshot, Watcher};

/// How long to look around before the command is put: three failed ticks prove a node dead, a ledger wants its
/// backfill. After this the interlocks say what is missing.
const LOOK_AROUND: Duration = Duration::from_secs(15);
/// Decisions of one command that are reported.
const DECISIONS: usize = 50;

/// What to do and how far to follow it.
pub struct Errand {
    /// The configuration.
    pub config: Arc<Config>,
    /// Secrets: see [`super::load_keyrings`].
    pub keyrings: BTreeMap<(String, String), Keyring>,
    /// The command.
    pub command: OperatorCommand,
    /// Follow to irreversible, not only to effective.
    pub irreversible: bool,
    /// Give up following after this long; what was sent stays in the journal for the daemon to follow.
    pub timeout: Duration,
}

/// How the command ended.
#[derive(Debug)]
pub struct Done {
    /// In words.
    pub detail: String,
    /// Every decision about it, newest first; none for arming, pinning and the like.
    pub decisions: Vec<DecisionRecord>,
}

/// Why the command was not done.
#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    /// The state file: in use, damaged, unwritable.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The command was not taken.
    #[error(transparent)]
    Operate(#[from] OperateError),
    /// The chain or its endpoints cannot be set up.
    #[error("{0}")]
    Setup(String),
    /// Interlocks refused it, or the attempt ended badly.
    #[error("{}", .0.detail)]
    Refused(Box<Done>),
    /// It took too long.
    #[error(
        "not done within {seconds} s, still {waits}: what was sent is in the journal, and the daemon follows it when it starts; nothing else is sent"
    )]
    Timeout {
        /// The limit.
        seconds: u64,
        /// What it was waiting for.
        waits: String,
    },
}

/// Does one operator command and says how it ended. `progress` hears every event on the way.
///
/// # Errors
/// See [`StandaloneError`].
pub async fn run(
    errand: Errand,
    progress: &mut (dyn FnMut(&EventRecord) + Send),
) -> Result<Done, StandaloneError> {
    let path = errand.config.state_file.clone();
    let opened = tokio::task::spawn_blocking(move || SqliteJournal::open(&path)).await;
    let journal: Arc<dyn Journal> =
        Arc::new(opened.map_err(|e| StandaloneError::Setup(e.to_string()))??);
    let name = errand.command.chain.clone();
    let setup = |e: &dyn std::fmt::Display| StandaloneError::Setup(e.to_string());
    let configured = errand
        .config
        .chain(&name)
        .ok_or_else(|| setup(&format!("chain {name} is not configured")))?;
    let chain = chain::open(configured.spec.clone());
    let pool = Pool::new(Arc::clone(&chain), configured).map_err(|e| setup(&e))?;
    let rows = Arc::new(LedgerRows(Arc::clone(&journal)));
    let watcher = Watcher::new(
        Arc::clone(&chain),
        Arc::clone(&pool),
        &errand.config,
        &name,
        rows,
    )
    .map_err(|e| setup(&e))?;
    let look = watcher.subscribe();
    let link = Link {
        chain,
        wire: Arc::new(pool),
        snapshots: watcher.subscribe(),
    };
    let parts = Parts {
        config: Arc::clone(&errand.config),
        journal,
        alerts: Arc::new(NoAlertmanager),
        keyrings: errand.keyrings,
        links: BTreeMap::from([(name, link)]),
        missing_state_hold: MISSING_STATE_HOLD,
    };
    let (handle, drivers) = begin(parts, false).await?;
    let (stop, stopped) = watch::channel(false);
    let mut loops = tokio::task::JoinSet::new();
    loops.spawn(watcher.run(stopped.clone()));
    for driver in drivers {
        loops.spawn(driver.run(stopped.clone()));
    }
    let mut course = Course::default();
    let ended = {
        let following = async {
            if errand.command.verb.switches() {
                look_around(look, &errand.command, errand.timeout / 2, progress).await;
            }
            follow(
                &handle,
                errand.command,
                errand.irreversible,
                &mut course,
                progress,
            )
            .await
        };
        tokio::time::timeout(errand.timeout, following).await
    };
    // A closed receiver means the loops are gone already.
    let _ = stop.send(true);
    while loops.join_next().await.is_some() {}
    // The loops are over, so everything they decided is durable.
    let decisions = match course.request_id {
        Some(id) => {
            // Not decided in time: the daemon must not find it in the journal and strike when nobody expects it, least
            // of all beside the same command given again.
            handle.withdraw(&id).await?;
            handle.decisions(Some(id), DECISIONS).await?
        }
        None => Vec::new(),
    };
    let seconds = errand.timeout.as_secs();
    let waits = course.waits;
    match ended.unwrap_or(Err(StandaloneError::Timeout { seconds, waits }))? {
        End::Done(detail) => Ok(Done { detail, decisions }),
        End::Refused(detail) => Err(StandaloneError::Refused(Box::new(Done {
            detail,
            decisions,
        }))),
    }
}

/// How far the command has come.
struct Course {
    request_id: Option<String>,
    waits: String,
}

enum End {
    Done(String),
    Refused(String),
}

/// Waits until there is something to decide on: an agreed view, a ledger that has caught up, and a verdict on every
/// node of the producer. The command is then about the key that is registered now; and whoever asks for a failover when the daemon has just died must not be told that no fault is
/// seen, only because nobody has looked yet.
async fn look_around(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    command: &OperatorCommand,
    limit: Duration,
    progress: &mut (dyn FnMut(&EventRecord) + Send),
) {
    progress(&EventRecord {
        at: clock::now_ms(),
        kind: "looking".into(),
        chain: command.chain.clone(),
        producer: command.producer.clone(),
        detail: "asking the endpoints, the slot ledger and the nodes".into(),
        ..EventRecord::default()
    });
    let known = snapshots.wait_for(|snapshot| {
        let producer = snapshot.producers.get(&command.producer);
        snapshot.agreement.is_ok()
            && snapshot.slots.caught_up
            && producer.is_some_and(|p| {
                p.state.is_some() && p.nodes.values().all(|node| node.up.is_some())
            })
    });
    // Whatever is still unknown then has an interlock that says so.
    let _ = tokio::time::timeout(limit.min(LOOK_AROUND), known).await;
}

async fn follow(
    handle: &ActuatorHandle,
    command: OperatorCommand,
    irreversible: bool,
    course: &mut Course,
    progress: &mut (dyn FnMut(&EventRecord) + Send),
) -> Result<End, StandaloneError> {
    let switches = command.verb.switches();
    let mut events = handle.events();
    let id = handle.operate(command).await?;
    if !switches {
        return Ok(End::Done("done".into()));
    }
    course.request_id = Some(id.clone());
    let goal = if irreversible {
        "irreversible"
    } else {
        "effective"
    };
    let mut in_force = false;
    loop {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return Err(StandaloneError::Journal(JournalError::Closed)),
        };
        if event.request_id.as_deref() != Some(id.as_str()) {
            continue;
        }
        progress(&event);
        course.waits.clone_from(&event.detail);
        match event.kind.as_str() {
            "decided" if event.verdict.as_deref() == Some(Verdict::Refuse.as_str()) => {
                return Ok(End::Refused(event.detail));
            }
            "rehearsed" => return Ok(End::Done(event.detail)),
            "expired" | "failed" => return Ok(End::Refused(event.detail)),
            // Somebody registered another key before ours came into force.
            "irreversible" if !in_force => return Ok(End::Refused(event.detail)),
            kind if kind == goal => return Ok(End::Done(event.detail)),
            kind => in_force |= kind == "effective",
        }
    }
}

// === impl Course ===

impl Default for Course {
    fn default() -> Self {
        Self {
            request_id: None,
            waits: "asking the endpoints".into(),
        }
    }
}
