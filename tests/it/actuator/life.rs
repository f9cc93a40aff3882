//! One life of the actuator on a chain in memory: how it begins, how it is asked, how it ends or dies.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use slotkeeper::actuator::journal::{Entry, Loaded, Soon};
use slotkeeper::actuator::{
    ActuatorHandle, AlertSource, Authority, DecisionRecord, Driver, EventRecord, Journal,
    JournalError, Keyring, Link, NoAlertmanager, Parts, SqliteJournal, SubmitStatus,
};
use slotkeeper::chain::{self, Chain, Method};
use slotkeeper::clock::now_ms;
use slotkeeper::config::{self, Config};
use slotkeeper::keys::Signer;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::world::{Cable, World, key, secret, webhook};

/// A journal whose process dies after (or right before) its n-th write.
pub(super) struct Dying {
    pub(super) inner: SqliteJournal,
    pub(super) left: AtomicUsize,
    /// The last write reaches the disk.
    pub(super) durable: bool,
    pub(super) dead: AtomicBool,
}

impl Journal for Dying {
    fn write(&self, entries: Vec<Entry>) -> Soon<'static, Result<(), JournalError>> {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| {
                Some(n.saturating_sub(1))
            })
            .unwrap();
        match before {
            0 => {
                self.dead.store(true, Ordering::SeqCst);
                Box::pin(std::future::pending())
            }
            1 if self.durable => {
                let written = self.inner.write(entries);
                self.dead.store(true, Ordering::SeqCst);
                Box::pin(async move {
                    // Durable, but nobody lives to hear of it.
                    let _ = written.await;
                    std::future::pending().await
                })
            }
            1 => {
                self.dead.store(true, Ordering::SeqCst);
                Box::pin(std::future::pending())
            }
            _ => self.inner.write(entries),
        }
    }
    fn load(&self) -> Result<Loaded, JournalError> {
        self.inner.load()
    }
    fn decisions(
        &self,
        id: Option<String>,
        limit: usize,
    ) -> Soon<'static, Result<Vec<DecisionRecord>, JournalError>> {
        self.inner.decisions(id, limit)
    }
    fn events(&self, limit: usize) -> Soon<'static, Result<Vec<EventRecord>, JournalError>> {
        self.inner.events(limit)
    }
    fn ledger(&self, chain: &str) -> Soon<'static, Result<Vec<(String, String)>, JournalError>> {
        self.inner.ledger(chain)
    }
    fn kv_all(&self, kind: &str) -> Soon<'static, Result<Vec<(String, Value)>, JournalError>> {
        self.inner.kv_all(kind)
    }
    fn writable(&self) -> bool {
        self.inner.writable()
    }
    fn write_failures(&self) -> u64 {
        self.inner.write_failures()
    }
}

/// One life of the actuator.
pub(super) struct Life {
    pub(super) handle: ActuatorHandle,
    loops: JoinSet<()>,
    stop: watch::Sender<bool>,
}

pub(super) fn config(dir: &Path) -> Config {
    config_of(dir, "alice", &[1, 2, 3])
}

pub(super) fn config_of(dir: &Path, producer: &str, keys: &[u8]) -> Config {
    let keys: Vec<String> = keys
        .iter()
        .map(|n| {
            format!(
                "{{signing_key: \"{}\", assume_ready: true}}",
                key(*n).to_text("STM")
            )
        })
        .collect();
    let text = format!(
        "state_file: s.db
chains:
  - name: steem
    protocol: steem
    quorum: 1
    endpoints: [{{url: \"https://api.example.org\"}}]
producers:
  - chain: steem
    name: {producer}
    keys: [{}]
    authority: [{{method: witness_set_properties, key_files: [k.pem]}}]
actuator: {{armed: true}}
",
        keys.join(", ")
    );
    config::parse(&text, dir).unwrap()
}

impl Life {
    pub(super) async fn begin(
        world: &Arc<World>,
        config: Config,
        journal: Arc<dyn Journal>,
    ) -> Self {
        Self::with_alerts(world, config, journal, Arc::new(NoAlertmanager)).await
    }

    pub(super) async fn with_alerts(
        world: &Arc<World>,
        config: Config,
        journal: Arc<dyn Journal>,
        alerts: Arc<dyn AlertSource>,
    ) -> Self {
        let chain: Arc<dyn Chain> = chain::open(config.chains[0].spec.clone());
        let signers: Vec<Arc<dyn Signer>> = (1..=3)
            .map(|n| Arc::new(secret(n)) as Arc<dyn Signer>)
            .collect();
        let ring = Keyring {
            authorities: vec![Authority {
                method: Method::WitnessSetProperties,
                keys: (1..=3).map(key).collect(),
                missing: vec![],
                permission: None,
                of: "alice".into(),
            }],
            signers,
        };
        let (handle, drivers): (_, Vec<Driver>) = slotkeeper::actuator::start(Parts {
            config: Arc::new(config),
            journal,
            alerts,
            keyrings: [(("steem".to_owned(), "alice".to_owned()), ring)].into(),
            links: [(
                "steem".to_owned(),
                Link {
                    chain,
                    wire: Arc::new(Cable(Arc::clone(world))),
                    snapshots: world.sender.subscribe(),
                },
            )]
            .into(),
            missing_state_hold: Duration::ZERO,
        })
        .await
        .unwrap();
        let (stop, stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        for driver in drivers {
            loops.spawn(driver.run(stopped.clone()));
        }
        Self {
            handle,
            loops,
            stop,
        }
    }

    /// An orderly end.
    pub(super) async fn end(mut self) {
        self.stop.send(true).unwrap();
        while self.loops.join_next().await.is_some() {}
    }

    /// A power cut.
    pub(super) async fn kill(mut self) {
        self.loops.shutdown().await;
    }

    /// What Prometheus does while `key(n)` is at fault.
    pub(super) async fn alert(&self, n: u8) -> Result<SubmitStatus, JournalError> {
        self.alert_at(n, now_ms()).await
    }

    pub(super) async fn alert_at(&self, n: u8, at: i64) -> Result<SubmitStatus, JournalError> {
        let done = self.handle.submit(vec![webhook(n, at)]).await?;
        Ok(done[0].status)
    }

    pub(super) async fn last_reason(&self) -> String {
        let all = self.handle.decisions(None, 1).await.unwrap();
        all.first().map_or(String::new(), |d| d.reason.clone())
    }
}
