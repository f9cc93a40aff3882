//! One running slotkeeper: builds every room from a configuration, wires them, and stops them in order. The only file
//! that knows all of them; it decides nothing.

mod requests;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::actuator::{
    self, ActuatorHandle, AlertSource, Journal, JournalError, LedgerRows, Link, MISSING_STATE_HOLD,
    Parts, SqliteJournal,
};
use crate::alertmanager::{Alertmanagers, Heartbeats, Webhook, keep};
use crate::chain;
use crate::clock::{Stopwatch, millis, now_ms};
use crate::config::Config;
use crate::guard::{Ears, Guard};
use crate::keys::key_file::PassphraseSource;
use crate::metrics::Metrics;
use crate::notify::{self, Systemd};
use crate::rpc::Pool;
use crate::watch::{LedgerStore, Snapshot, Watcher};
use crate::web;

use requests::{LastRequests, Noted};

/// A loop of ours that has not gone round for this long is stalled.
const STALL: Duration = Duration::from_secs(60);
/// How long the loops may take to end when stopped.
const STOP: Duration = Duration::from_secs(10);

/// What a caller may choose beside the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How long to hold off when the state file was missing although the configuration says armed.
    pub missing_state_hold: Duration,
    /// Whether this start follows a reload, and whether that worked (`config_last_reload_successful`).
    pub reloaded: Option<bool>,
}

/// A reload that somebody asked for over HTTP.
pub struct Asked(oneshot::Sender<Result<(), String>>);

/// The running whole.
pub struct App {
    web: SocketAddr,
    control: SocketAddr,
    snapshots: BTreeMap<String, watch::Receiver<Arc<Snapshot>>>,
    actuator: ActuatorHandle,
    metrics: Arc<Metrics>,
    asked: mpsc::Receiver<Asked>,
    shutdown: watch::Sender<bool>,
    late_shutdown: watch::Sender<bool>,
    early: JoinSet<()>,
    late: JoinSet<()>,
    journal: Weak<dyn Journal>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            missing_state_hold: MISSING_STATE_HOLD,
            reloaded: None,
        }
    }
}

// === impl App ===

impl App {
    /// Starts everything that `config` asks for. Key passphrases come from files or the environment; a terminal is
    /// asked where there is one.
    ///
    /// # Errors
    /// A state file that another process holds or that cannot be written, a port that is taken, a listener whose
    /// files cannot be used, an endpoint URL that cannot be used.
    pub async fn start(config: Config, options: Options) -> anyhow::Result<Self> {
        let started = now_ms();
        let config = Arc::new(config);
        // In a reload the state file was ours a moment ago: a last connection may still be letting go of it.
        let patience = options.reloaded.map_or(Duration::ZERO, |_| STOP);
        let journal = open_journal(&config.state_file, patience).await?;
        let kept = Arc::downgrade(&journal);
        let keyrings = load_keys(&config).await?;

        let alertmanagers = Arc::new(Alertmanagers::new(&config)?);
        alertmanagers.restore(journal.as_ref()).await?;
        let heartbeats = Arc::new(Heartbeats::new(&config.heartbeats, started));
        keep::restore(&heartbeats, journal.as_ref()).await?;

        let metrics = Arc::new(Metrics::new(&config, started));
        if let Some(worked) = options.reloaded {
            metrics.reloaded(started, worked.then_some(&config));
        }
        let (shutdown, stop) = watch::channel(false);
        let (late_shutdown, late_stop) = watch::channel(false);
        let mut early = JoinSet::new();
        let mut late = JoinSet::new();

        // Chains: watcher and the actuator's link.
        let store: Arc<dyn LedgerStore> = Arc::new(LedgerRows(Arc::clone(&journal)));
        let mut snapshots = BTreeMap::new();
        let mut links = BTreeMap::new();
        let mut watchers = Vec::new();
        for configured in &config.chains {
            let name = configured.spec.name.clone();
            let chain = chain::open(configured.spec.clone());
            let pool = Pool::new(Arc::clone(&chain), configured)?;
            let watcher = Watcher::new(
                Arc::clone(&chain),
                Arc::clone(&pool),
                &config,
                &name,
                Arc::clone(&store),
            )?;
            snapshots.insert(name.clone(), watcher.subscribe());
            let link = Link {
                chain,
                wire: Arc::new(pool),
                snapshots: watcher.subscribe(),
            };
            links.insert(name, link);
            watchers.push(watcher);
        }
        let alerts: Arc<dyn AlertSource> = alertmanagers.clone();
        let (actuator, drivers) = actuator::start(Parts {
            config: Arc::clone(&config),
            journal: Arc::clone(&journal),
            alerts,
            keyrings,
            links,
            missing_state_hold: options.missing_state_hold,
        })
        .await?;

        let sources = notify::Sources {
            config: Arc::clone(&config),
            started_at: started,
            snapshots: snapshots.clone(),
            actuator: actuator.state(),
            heartbeats: Arc::clone(&heartbeats),
            alertmanagers: Arc::clone(&alertmanagers),
            metrics: Arc::clone(&metrics),
        };
        let notifying = notify::start(notify::Parts {
            sources: sources.clone(),
            events: actuator.events(),
            memory: Arc::new(notify::Kept(Arc::clone(&journal))),
            reloaded: options.reloaded.is_some(),
            shutdown: stop.clone(),
        })
        .await?;

        // Watchers outlive the drivers, which follow what is in flight while stopping.
        for watcher in watchers {
            late.spawn(watcher.run(late_stop.clone()));
        }
        for driver in drivers {
            early.spawn(driver.run(stop.clone()));
        }
        for one in notifying {
            early.spawn(one);
        }
        let systemd = Systemd::from_env();
        let task = |name: &str| metrics.tasks.register(name, STALL);
        early.spawn(Arc::clone(&alertmanagers).run(
            Arc::clone(&journal),
            stop.clone(),
            task("silences"),
        ));
        early.spawn(keep::run(
            Arc::clone(&heartbeats),
            Arc::clone(&journal),
            stop.clone(),
            task("heartbeats"),
        ));

        let seen = Arc::new(LastRequests::default());
        let guard_task = task("guard");
        let guard = Guard::new(
            Arc::clone(&config),
            snapshots.clone(),
            actuator.clone(),
            ears(&heartbeats, &seen),
            Box::new(move || guard_task.tick()),
        );
        early.spawn(guard.run(stop.clone()));

        let (ask, asked) = mpsc::channel(1);
        let site = web::App {
            config: Arc::clone(&config),
            snapshots: snapshots.clone(),
            desk: Arc::new(actuator.clone()),
            metrics: Arc::clone(&metrics),
            heartbeats: Arc::clone(&heartbeats),
            webhook: Webhook::new(
                &config,
                metrics.counters.clone(),
                Arc::clone(&heartbeats),
                Arc::new(Noted {
                    actuator: actuator.clone(),
                    seen,
                    max_age: millis(config.actuator.max_alert_age),
                }),
            ),
            reload: reload_through(ask),
            shutdown: stop.clone(),
            sessions: web::Sessions::default(),
            followers: Arc::new(Semaphore::new(web::FOLLOWERS)),
        };
        let listeners = match web::start(site, web::Limits::default()).await {
            Ok(listeners) => listeners,
            Err(error) => {
                // Whoever starts another configuration instead needs the state file.
                let _ = shutdown.send(true);
                finish(&mut early).await;
                let _ = late_shutdown.send(true);
                finish(&mut late).await;
                return Err(error.into());
            }
        };
        let (web, control) = (listeners.web, listeners.control);
        early.spawn(listeners.stopped());
        systemd.ready();
        if systemd.is_there() {
            let task = metrics.tasks.register("systemd", STALL);
            early.spawn(systemd.run(sources, stop, task));
        }
        tracing::info!(%web, %control, chains = config.chains.len(), producers = config.producers.len(),
            "slotkeeper runs");
        Ok(Self {
            web,
            control,
            snapshots,
            actuator,
            metrics,
            asked,
            shutdown,
            late_shutdown,
            early,
            late,
            journal: kept,
        })
    }

    /// Where the public listener really listens.
    #[must_use]
    pub fn web_address(&self) -> SocketAddr {
        self.web
    }

    /// Where the control listener really listens.
    #[must_use]
    pub fn control_address(&self) -> SocketAddr {
        self.control
    }

    /// The snapshots of one chain.
    #[must_use]
    pub fn snapshots(&self, chain: &str) -> Option<watch::Receiver<Arc<Snapshot>>> {
        self.snapshots.get(chain).cloned()
    }

    /// The actuator's door.
    #[must_use]
    pub fn actuator(&self) -> &ActuatorHandle {
        &self.actuator
    }

    /// Waits until somebody asks for a reload over HTTP.
    ///
    /// # Errors
    /// When a loop has ended although nobody stopped it (it panicked): the rest would look alive and do half its work.
    /// End the process, so that its supervisor starts it anew and somebody notices.
    pub async fn asked(&mut self) -> anyhow::Result<Asked> {
        let ended = tokio::select! {
            Some(ended) = self.early.join_next() => ended,
            Some(ended) = self.late.join_next() => ended,
            asked = self.asked.recv() => match asked {
                Some(asked) => return Ok(asked),
                // The web room is gone: nobody will ask any more, and its end shows in the sets above.
                None => std::future::pending().await,
            },
        };
        Err(match ended {
            Ok(()) => anyhow::anyhow!("a loop ended although nobody stopped it"),
            Err(error) => anyhow::anyhow!("a loop panicked: {error}"),
        })
    }

    /// A reload was tried and the new configuration refused.
    pub fn note_reload_failed(&self) {
        self.metrics.reloaded(now_ms(), None);
    }

    /// Stops everything: listeners and drivers first (they finish what is in flight), then watchers, then the journal
    /// closes with the last handle.
    pub async fn stop(mut self) {
        let _ = self.shutdown.send(true);
        finish(&mut self.early).await;
        let _ = self.late_shutdown.send(true);
        finish(&mut self.late).await;
        // A last connection may hold on to the journal for a moment: when this returns, the state file is free.
        let Self {
            journal,
            actuator,
            asked,
            ..
        } = self;
        drop((actuator, asked));
        let watch = Stopwatch::start();
        while journal.strong_count() > 0 && watch.elapsed() < STOP {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Waits for the tasks to end by themselves; what hangs is dropped.
async fn finish(tasks: &mut JoinSet<()>) {
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!(%error, "a loop had panicked");
            }
        }
    };
    if tokio::time::timeout(STOP, all).await.is_err() {
        tracing::warn!("a loop did not end within {STOP:?} and was dropped");
        tasks.shutdown().await;
    }
}

/// Opens the journal away from the runtime's threads: it may wait for the disk.
async fn open_journal(path: &Path, patience: Duration) -> anyhow::Result<Arc<dyn Journal>> {
    let watch = Stopwatch::start();
    loop {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || SqliteJournal::open(&path)).await?;
        match opened {
            Err(JournalError::Locked(_)) if watch.elapsed() < patience => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            opened => return Ok(Arc::new(opened?)),
        }
    }
}

/// Loads the key files; scrypt takes its time, so away from the runtime's threads.
async fn load_keys(
    config: &Arc<Config>,
) -> anyhow::Result<BTreeMap<(String, String), actuator::Keyring>> {
    let config = Arc::clone(config);
    let rings = tokio::task::spawn_blocking(move || {
        // A daemon has no terminal; somebody who starts it by hand may be asked.
        let prompt = std::io::stdin().is_terminal();
        let rings = actuator::load_keyrings(&config, &|file| {
            let file = file.map(Path::to_owned);
            PassphraseSource::with_variables(file, |name| std::env::var_os(name), prompt)
        });
        give_back();
        rings
    });
    Ok(rings.await?)
}

/// Lets the allocator give back what scrypt needed: 16 MiB for each encrypted key file. glibc keeps a freed block of
/// that size for the thread's next one, and would keep it resident for the life of the daemon; it lets go when the free
/// memory at the end of the heap exceeds twice that size. Nothing here is written to, so it costs no memory itself.
fn give_back() {
    const SCRYPT: usize = 15 << 20;
    let blocks: [Vec<u8>; 3] = std::array::from_fn(|_| Vec::with_capacity(SCRYPT));
    drop(std::hint::black_box(blocks));
}

fn ears(heartbeats: &Arc<Heartbeats>, seen: &Arc<LastRequests>) -> Ears {
    let (heartbeats, seen) = (Arc::clone(heartbeats), Arc::clone(seen));
    Ears {
        all_overdue: Box::new(move |now| heartbeats.all_overdue(now)),
        last_request: Box::new(move |chain, producer, key| seen.last(chain, producer, key)),
    }
}

/// `POST /-/reload` hands the wish to whoever runs the app and waits for the outcome.
fn reload_through(ask: mpsc::Sender<Asked>) -> web::Reload {
    Box::new(move || {
        let ask = ask.clone();
        Box::pin(async move {
            let (answer, outcome) = oneshot::channel();
            ask.send(Asked(answer))
                .await
                .map_err(|_| "slotkeeper is going down".to_owned())?;
            outcome
                .await
                .unwrap_or_else(|_| Err("slotkeeper is going down".to_owned()))
        })
    })
}

// === impl Asked ===

impl Asked {
    /// Tells whoever asked how it ended.
    pub fn answer(self, outcome: Result<(), String>) {
        // They may have hung up.
        let _ = self.0.send(outcome);
    }
}
