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
use super::journal::{EventRecord, Journal, JournalError};
use super::ledger_rows::LedgerRows;
use super::sqlite::SqliteJournal;
use super::start::{Link, MISSING_STATE_HOLD, Parts, begin};
use super::types::Verdict;
use crate::chain;
use crate::config::Config;
use crate::rpc::Pool;
use crate::watch::{Snapshot, Watcher};

/// How long to wait for the first agreed view before the command is given without one.
const FIRST_LOOK: Duration = Duration::from_secs(5);

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
    #[error("{0}")]
    Refused(String),
    /// It took too long.
    #[error(
        "not done within {0} s: the journal keeps what was sent; start the daemon or run the command again"
    )]
    Timeout(u64),
}

/// Does one operator command and says how it ended. `progress` hears every event on the way.
///
/// # Errors
/// See [`StandaloneError`].
pub async fn run(
    errand: Errand,
    progress: &mut (dyn FnMut(&EventRecord) + Send),
) -> Result<String, StandaloneError> {
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
    let chain = chain::open(configured.spec.clone()).map_err(|e| setup(&e))?;
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
    let seen = watcher.subscribe();
    let (stop, stopped) = watch::channel(false);
    let mut loops = tokio::task::JoinSet::new();
    loops.spawn(watcher.run(stopped.clone()));
    for driver in drivers {
        loops.spawn(driver.run(stopped.clone()));
    }
    if errand.command.verb.switches() {
        first_look(seen, &errand.command.producer, errand.timeout).await;
    }
    let mut asked = None;
    let following = follow(
        &handle,
        errand.command,
        errand.irreversible,
        &mut asked,
        progress,
    );
    let ended = tokio::time::timeout(errand.timeout, following).await;
    // A closed receiver means the loops are gone already.
    let _ = stop.send(true);
    while loops.join_next().await.is_some() {}
    if let Some(id) = asked {
        // Not decided in time: the daemon must not find it in the journal and strike when nobody expects it, least of
        // all beside the same command given again.
        handle.withdraw(&id).await?;
    }
    ended.unwrap_or(Err(StandaloneError::Timeout(errand.timeout.as_secs())))
}

/// Waits a little until the producer's key is agreed: the command is then about that key and no other.
async fn first_look(mut seen: watch::Receiver<Arc<Snapshot>>, producer: &str, patience: Duration) {
    let known = seen.wait_for(|s| s.producers.get(producer).is_some_and(|p| p.state.is_some()));
    // Without an agreed view the interlocks say what is wrong.
    let _ = tokio::time::timeout(patience.min(FIRST_LOOK), known).await;
}

async fn follow(
    handle: &ActuatorHandle,
    command: OperatorCommand,
    irreversible: bool,
    asked: &mut Option<String>,
    progress: &mut (dyn FnMut(&EventRecord) + Send),
) -> Result<String, StandaloneError> {
    let switches = command.verb.switches();
    let mut events = handle.events();
    let id = handle.operate(command).await?;
    *asked = Some(id.clone());
    if !switches {
        return Ok("done".into());
    }
    let goal = if irreversible {
        "irreversible"
    } else {
        "effective"
    };
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
        match event.kind.as_str() {
            "decided" if event.verdict.as_deref() == Some(Verdict::Refuse.as_str()) => {
                return Err(StandaloneError::Refused(event.detail));
            }
            "rehearsed" => return Ok(event.detail),
            "expired" | "failed" => return Err(StandaloneError::Refused(event.detail)),
            kind if kind == goal => return Ok(event.detail),
            _ => {}
        }
    }
}
