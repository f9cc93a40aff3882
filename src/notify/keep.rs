//! What outlives a restart: open episodes, what each receiver was told, the last starts. Small named values of the
//! journal, and nothing else of it: [`Memory`] cannot write a request.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::actuator::journal::Soon;
use crate::actuator::{EventRecord, Journal, JournalError};

/// Namespace in the journal.
const KIND: &str = "notify";
/// A disk that hangs must not keep anybody from being told.
const PATIENCE: Duration = Duration::from_secs(2);

/// What this room may do with the journal.
pub trait Memory: Send + Sync {
    /// All values of this room.
    fn load(&self) -> Soon<'static, Result<Vec<(String, Value)>, JournalError>>;
    /// Keeps one of them; `None` forgets it.
    fn put(&self, key: &str, value: Option<Value>) -> Soon<'static, Result<(), JournalError>>;
    /// The last events of the actuator, newest first.
    fn events(&self, limit: usize) -> Soon<'static, Result<Vec<EventRecord>, JournalError>>;
}

/// The journal, seen through [`Memory`].
pub struct Kept(pub Arc<dyn Journal>);

// === impl Kept ===

impl Memory for Kept {
    fn load(&self) -> Soon<'static, Result<Vec<(String, Value)>, JournalError>> {
        self.0.kv_all(KIND)
    }

    fn put(&self, key: &str, value: Option<Value>) -> Soon<'static, Result<(), JournalError>> {
        self.0.kv_put(KIND, key, value)
    }

    fn events(&self, limit: usize) -> Soon<'static, Result<Vec<EventRecord>, JournalError>> {
        self.0.events(limit)
    }
}

/// Keeps `value`. False, with a word in the log, when that did not work in time.
pub(super) async fn put(memory: &dyn Memory, key: &str, value: &impl Serialize) -> bool {
    let written = match serde_json::to_value(value) {
        Ok(value) => tokio::time::timeout(PATIENCE, memory.put(key, Some(value))).await,
        Err(error) => {
            tracing::error!(%error, key, "a note about notifications could not be written down");
            return false;
        }
    };
    match written {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, key, "a note about notifications was not kept");
            false
        }
        Err(_) => {
            tracing::debug!(key, "the journal does not answer in time");
            false
        }
    }
}

/// One of the loaded values. One that cannot be read (of an older version) counts as missing.
pub(super) fn take<T: DeserializeOwned>(loaded: &[(String, Value)], key: &str) -> Option<T> {
    let (_, value) = loaded.iter().find(|(k, _)| k == key)?;
    serde_json::from_value(value.clone()).ok()
}
