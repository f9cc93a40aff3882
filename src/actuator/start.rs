//! Puts the actuator together: reads the journal, loads key files, seeds the arm state, and makes one loop per chain.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};

use super::alert_source::AlertSource;
use super::arm::ArmState;
use super::authority::{Authority, Keyring};
use super::book::{Book, Known, Pending};
use super::driver::{Driver, Wire};
use super::handle::{ActuatorHandle, name};
use super::journal::{Entry, Journal, JournalError, RequestStatus};
use super::shared::Shared;
use super::state::OUTCOMES;
use super::types::Stage;
use super::{HOLD, REGISTERED};
use crate::chain::Chain;
use crate::clock::{self, millis};
use crate::config::Config;
use crate::keys::Signer;
use crate::keys::key_file::{self, PassphraseSource};
use crate::watch::Snapshot;

/// How long an actuator whose state file was missing holds off although its configuration says armed: time for the
/// alert to be heard before a lost file costs a cooldown or undoes an operator's disarm.
pub const MISSING_STATE_HOLD: Duration = Duration::from_secs(120);

/// Events a slow listener may fall behind before it misses some.
const EVENTS: usize = 1_024;

/// What the actuator stands on.
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// The journal, open.
    pub journal: Arc<dyn Journal>,
    /// Alertmanager, or [`super::NoAlertmanager`].
    pub alerts: Arc<dyn AlertSource>,
    /// Secrets by (chain, producer): see [`load_keyrings`].
    pub keyrings: BTreeMap<(String, String), Keyring>,
    /// One per chain, by name.
    pub links: BTreeMap<String, Link>,
    /// [`MISSING_STATE_HOLD`], or zero in tests.
    pub missing_state_hold: Duration,
}

/// One chain's connections.
pub struct Link {
    /// The chain.
    pub chain: Arc<dyn Chain>,
    /// The way to its endpoints.
    pub wire: Arc<dyn Wire>,
    /// What the watcher publishes.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// Builds the actuator: the handle to talk to and one loop per chain to run.
///
/// # Errors
/// When the journal cannot be read or written.
pub async fn start(parts: Parts) -> Result<(ActuatorHandle, Vec<Driver>), JournalError> {
    begin(parts, true).await
}

/// `resume`: take up what was pending when the last process ended. False for `--standalone`, which does what it was
/// told and leaves the rest to the daemon.
pub(super) async fn begin(
    parts: Parts,
    resume: bool,
) -> Result<(ActuatorHandle, Vec<Driver>), JournalError> {
    let journal = Arc::clone(&parts.journal);
    let loading = Arc::clone(&journal);
    let loaded = tokio::task::spawn_blocking(move || loading.load())
        .await
        .map_err(|e| JournalError::Io(format!("reading the state file: {e}")))??;
    let mut book = Book::default();
    for (request, status) in loaded.requests {
        match status {
            RequestStatus::Pending if !resume => {}
            RequestStatus::Pending => {
                let id = request.id.clone();
                book.pending.insert(
                    id,
                    Pending {
                        request,
                        last: None,
                        durable: true,
                    },
                );
            }
            RequestStatus::Acting => {
                book.acting.insert(request.id.clone(), request);
            }
            RequestStatus::Done => {}
        }
    }
    for mut attempt in loaded.attempts {
        if attempt.stage == Stage::Signed {
            attempt.maybe_taken = true; // we may have died between sending and noting so
        }
        book.put_attempt(attempt);
    }
    for (key, value) in journal.kv_all(REGISTERED).await? {
        if let (Some((chain, producer)), Ok(known)) =
            (key.split_once('/'), serde_json::from_value::<Known>(value))
        {
            book.known.insert(name(chain, producer), known);
        }
    }
    book.arm = seed(&parts, loaded.fresh, ArmState::from_rows(loaded.arm)).await?;
    for producer in parts.config.producers.iter().filter(|p| !p.keys.is_empty()) {
        for outcome in OUTCOMES {
            let key = (producer.chain.clone(), producer.name.clone(), outcome);
            book.counters.switches.insert(key, 0);
        }
    }
    let shared = Arc::new(Shared {
        fit: Shared::fitness(&parts.config),
        config: parts.config,
        journal,
        alerts: parts.alerts,
        keyrings: parts.keyrings,
        snapshots: parts
            .links
            .iter()
            .map(|(n, l)| (n.clone(), l.snapshots.clone()))
            .collect(),
        wakes: parts
            .links
            .keys()
            .map(|n| (n.clone(), Notify::new()))
            .collect(),
        book: Mutex::new(book),
        state: watch::Sender::default(),
        events: broadcast::Sender::new(EVENTS),
        ticks: Mutex::default(),
        orders: tokio::sync::Mutex::default(),
    });
    shared.publish();
    if let Some(difference) = &shared.state.borrow().armed_difference {
        tracing::warn!("{difference}");
    }
    let drivers = parts
        .links
        .into_values()
        .map(|l| Driver::new(Arc::clone(&shared), l.chain, l.wire, l.snapshots))
        .collect();
    Ok((ActuatorHandle { shared }, drivers))
}

/// The arm state: what the state file says; for an empty one what the configuration says, held off for a while when
/// that is "armed", for the file may have been lost rather than never written.
async fn seed(
    parts: &Parts,
    fresh: bool,
    kept: Option<ArmState>,
) -> Result<ArmState, JournalError> {
    if let Some(mut state) = kept {
        let hold = parts.journal.kv_all(HOLD).await?;
        state.hold_until = hold.iter().find_map(|(_, until)| until.as_i64());
        return Ok(state);
    }
    let mut state = ArmState {
        armed: parts.config.actuator.armed,
        ..ArmState::default()
    };
    let mut entries = vec![Entry::Arm(state.global_row())];
    if state.armed && fresh && !parts.missing_state_hold.is_zero() {
        let until = clock::now_ms().saturating_add(millis(parts.missing_state_hold));
        state.hold_until = Some(until);
        entries.push(Entry::Kv {
            kind: HOLD.into(),
            key: "until".into(),
            value: Some(until.into()),
        });
        tracing::error!(
            "the state file {} was missing although the configuration says armed: holding for {} s before acting, in case it was lost",
            parts.config.state_file.display(),
            parts.missing_state_hold.as_secs()
        );
    }
    parts.journal.write(entries).await?;
    Ok(state)
}

/// Loads every producer's key files. A file that cannot be loaded is no error here: it is shown (`actuator_able`,
/// `key_unavailable`), for the other producers must still be kept producing.
pub fn load_keyrings(
    config: &Config,
    passphrase: &dyn Fn(Option<&Path>) -> PassphraseSource,
) -> BTreeMap<(String, String), Keyring> {
    let mut all = BTreeMap::new();
    for producer in config.producers.iter().filter(|p| !p.keys.is_empty()) {
        let mut ring = Keyring::default();
        for authority in &producer.authority {
            let source = passphrase(authority.passphrase_file.as_deref());
            let mut keys = Vec::new();
            let mut missing = Vec::new();
            for path in &authority.key_files {
                match key_file::load(path, &source) {
                    Ok(secret) => {
                        let signer: Arc<dyn Signer> = Arc::new(secret);
                        keys.push(signer.public_key());
                        ring.signers.push(signer);
                    }
                    Err(error) => {
                        tracing::error!(
                            chain = producer.chain,
                            producer = producer.name,
                            "{error}"
                        );
                        missing.push(error.to_string());
                    }
                }
            }
            ring.authorities.push(Authority {
                method: authority.method,
                keys,
                missing,
                permission: authority.permission.clone(),
                of: authority.of(&producer.name),
            });
        }
        all.insert(name(&producer.chain, &producer.name), ring);
    }
    all
}
