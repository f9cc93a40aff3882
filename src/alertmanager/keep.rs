//! Keeps heartbeats in the journal, so that a restart does not forget them. Reads and writes the journal's small named
//! values; beats themselves never wait for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::heartbeat::Heartbeats;
use crate::actuator::journal::Entry;
use crate::actuator::{Journal, JournalError};
use crate::metrics::Task;

/// Namespace in the journal.
const KIND: &str = "heartbeat";
/// A crash forgets at most this much, which is less than any sensible `max_silence`.
const EVERY: Duration = Duration::from_secs(2);

/// Takes up what was known before the restart.
pub async fn restore(heartbeats: &Heartbeats, journal: &dyn Journal) -> Result<(), JournalError> {
    let kept = journal.kv_all(KIND).await?;
    heartbeats.restore(
        kept.into_iter()
            .filter_map(|(source, value)| Some((source, serde_json::from_value(value).ok()?))),
    );
    Ok(())
}

/// Writes what has changed.
pub async fn save(heartbeats: &Heartbeats, journal: &dyn Journal) -> Result<(), JournalError> {
    let entries: Vec<Entry> = heartbeats
        .take_dirty()
        .into_iter()
        .filter_map(|(key, heard)| {
            Some(Entry::Kv {
                kind: KIND.into(),
                key,
                value: Some(serde_json::to_value(heard).ok()?),
            })
        })
        .collect();
    if entries.is_empty() {
        return Ok(());
    }
    journal.write(entries).await
}

/// Saves every two seconds until the shutdown, and once more then.
pub async fn run(
    heartbeats: Arc<Heartbeats>,
    journal: Arc<dyn Journal>,
    mut shutdown: watch::Receiver<bool>,
    task: Task,
) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        let stop = tokio::select! {
            _ = every.tick() => false,
            stop = async { shutdown.wait_for(|s| *s).await.map_or(true, |s| *s) } => stop,
        };
        if let Err(error) = save(&heartbeats, journal.as_ref()).await {
            tracing::warn!(%error, "heartbeats could not be kept; a restart now would take them for older than they are");
        }
        task.tick();
        if stop {
            break;
        }
    }
    task.retire();
}
