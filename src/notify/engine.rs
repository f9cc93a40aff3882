//! The loop that fills the board: looks at the facts each second, turns them into episodes, and takes in events. Owns the
//! board; the desks read it.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};

use super::conditions::judge;
use super::deliver::Delivery;
use super::desk::{Desk, Record};
use super::episodes::{Episode, Episodes};
use super::facts::{Deaf, Sources};
use super::keep::{self, Memory};
use super::notices::{self, Notice};
use super::ping::Ping;
use super::receiver;
use crate::actuator::EventRecord;
use crate::clock::{Millis, now_ms};
use crate::metrics::Task;

/// What every receiver is told from.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    /// What is wrong now.
    pub(super) open: Vec<Episode>,
    /// What happened lately, oldest first.
    pub(super) notices: VecDeque<Notice>,
}

/// What this room is built from.
pub struct Parts {
    /// Where facts come from.
    pub sources: Sources,
    /// What the actuator does.
    pub events: broadcast::Receiver<EventRecord>,
    /// What outlives a restart.
    pub memory: Arc<dyn Memory>,
    /// This life follows a reload: it is no start of the process.
    pub reloaded: bool,
    /// True when the process is going down.
    pub shutdown: watch::Receiver<bool>,
}

/// One of this room's loops.
pub type Loop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Notices on the board.
pub(super) const NOTICES: usize = 64;
/// How often facts are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Events looked at when some may have been missed.
const HISTORY: usize = 200;
/// Starts remembered.
const STARTS: usize = 16;
/// A loop of this room that has not gone round for this long is stuck.
const STALL: Duration = Duration::from_secs(60);

struct Engine {
    sources: Sources,
    memory: Arc<dyn Memory>,
    episodes: Episodes,
    starts: Vec<Millis>,
    deaf: Deaf,
    board: watch::Sender<Arc<Board>>,
    /// Open episodes are not kept yet.
    dirty: bool,
}

/// The loops of this room: a board and one for each receiver, and one for each ping. Each ends with the shutdown.
///
/// # Errors
/// When what was kept cannot be read, or a receiver cannot be set up.
pub async fn start(parts: Parts) -> anyhow::Result<Vec<Loop>> {
    let mut loops = pings(&parts)?;
    if !parts.sources.config.notify.is_empty() {
        loops.extend(escalation(parts).await?);
    }
    Ok(loops)
}

fn pings(parts: &Parts) -> anyhow::Result<Vec<Loop>> {
    let metrics = &parts.sources.metrics;
    let mut loops: Vec<Loop> = Vec::new();
    for one in &parts.sources.config.pings {
        let ping = Ping::new(one, parts.sources.clone())
            .map_err(|problem| anyhow::anyhow!("pings {}: {problem}", one.name))?;
        let task = metrics.tasks.register(&format!("ping/{}", one.name), STALL);
        loops.push(Box::pin(ping.run(parts.shutdown.clone(), task)));
    }
    Ok(loops)
}

async fn escalation(parts: Parts) -> anyhow::Result<Vec<Loop>> {
    let config = Arc::clone(&parts.sources.config);
    let now = now_ms();
    let memory = parts.memory;
    let loaded = memory.load().await?;
    let open: BTreeMap<String, Episode> = keep::take(&loaded, "episodes").unwrap_or_default();
    let mut starts: Vec<Millis> = keep::take(&loaded, "starts").unwrap_or_default();
    if !parts.reloaded {
        starts.push(now);
        let first = starts.len().saturating_sub(STARTS);
        starts.drain(..first);
        keep::put(memory.as_ref(), "starts", &starts).await;
    }
    let board = Board {
        open: open.values().cloned().collect(),
        notices: VecDeque::new(),
    };
    let engine = Engine {
        sources: parts.sources,
        memory: Arc::clone(&memory),
        episodes: Episodes::restore(open),
        starts,
        deaf: Deaf::default(),
        board: watch::Sender::new(Arc::new(board)),
        dirty: false,
    };
    let metrics = Arc::clone(&engine.sources.metrics);
    let mut loops: Vec<Loop> = Vec::new();
    for one in &config.notify {
        let key = receiver_key(&one.name);
        let record = keep::take(&loaded, &key).unwrap_or_else(|| Record::new(now));
        let delivery = Delivery {
            desk: Desk::new(one, record),
            name: one.name.clone(),
            key,
            receiver: receiver::open(one, &config.web)
                .map_err(|problem| anyhow::anyhow!("notify {}: {problem}", one.name))?,
            memory: Arc::clone(&memory),
            board: engine.board.subscribe(),
            deaf: engine.deaf.clone(),
            counters: metrics.counters.clone(),
            task: metrics
                .tasks
                .register(&format!("notify/{}", one.name), STALL),
        };
        metrics.counters.expect_notifications(&one.name);
        loops.push(Box::pin(delivery.run(parts.shutdown.clone())));
    }
    for (key, _) in &loaded {
        let configured = config.notify.iter().any(|n| receiver_key(&n.name) == *key);
        if key.starts_with(RECEIVER) && !configured {
            // Best effort: it would only be a row too many.
            let _ = memory.put(key, None).await;
        }
    }
    let task = metrics.tasks.register("notify", STALL);
    loops.push(Box::pin(engine.run(parts.events, parts.shutdown, task)));
    Ok(loops)
}

const RECEIVER: &str = "receiver/";

fn receiver_key(name: &str) -> String {
    format!("{RECEIVER}{name}")
}

// === impl Engine ===

impl Engine {
    async fn run(
        mut self,
        mut events: broadcast::Receiver<EventRecord>,
        mut shutdown: watch::Receiver<bool>,
        task: Task,
    ) {
        // What happened while we were away, or between the last note and the end.
        self.read_history().await;
        let mut every = tokio::time::interval(TICK);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut more = true;
        loop {
            tokio::select! {
                _ = every.tick() => self.look().await,
                event = events.recv(), if more => match event {
                    Ok(event) => self.happened(notices::of(&event)),
                    Err(broadcast::error::RecvError::Lagged(_)) => self.read_history().await,
                    Err(broadcast::error::RecvError::Closed) => more = false,
                },
                _ = async { let _ = shutdown.wait_for(|s| *s).await; } => break,
            }
            task.tick();
        }
        task.retire();
    }

    async fn look(&mut self) {
        let now = now_ms();
        let readings = self
            .sources
            .look(now, &self.starts, &self.deaf.list(), judge);
        self.dirty |= self.episodes.turn(readings, now);
        // Kept before it is shown: a receiver that was told of an episode nobody remembers would be told twice.
        if self.dirty {
            self.dirty = !keep::put(self.memory.as_ref(), "episodes", self.episodes.open()).await;
        }
        let open: Vec<Episode> = self.episodes.open().values().cloned().collect();
        self.board.send_if_modified(|board| {
            let changed = board.open != open;
            if changed {
                Arc::make_mut(board).open = open;
            }
            changed
        });
    }

    /// Everybody takes a notice in once, so those known already do no harm.
    async fn read_history(&mut self) {
        match self.memory.events(HISTORY).await {
            Ok(events) => {
                let found: Vec<Notice> = events.iter().rev().filter_map(notices::of).collect();
                self.happened(found);
            }
            Err(error) => tracing::warn!(%error, "cannot read what happened before the start"),
        }
    }

    fn happened(&mut self, found: impl IntoIterator<Item = Notice>) {
        let found: Vec<Notice> = found.into_iter().collect();
        if found.is_empty() {
            return;
        }
        self.board.send_modify(|board| {
            let board = Arc::make_mut(board);
            for notice in found {
                if board.notices.iter().all(|n| n.id != notice.id) {
                    board.notices.push_back(notice);
                }
            }
            let old = board.notices.len().saturating_sub(NOTICES);
            board.notices.drain(..old);
        });
    }
}
