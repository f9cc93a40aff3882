//! Endpoints behind one pool, over real HTTP: each answers as a node's double would, or misbehaves to order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use slotkeeper::chain::{self, BlockId, ChainSpec, Memory};
use slotkeeper::clock::now_ms;
use slotkeeper::config::ChainConfig;
use slotkeeper::keys::PublicKey;
use slotkeeper::rpc::agree::agree;
use slotkeeper::rpc::{Disagreement, EndpointReport, Pool, RpcOutcome, View};

use crate::rpc_server::{Act, Seen, Server, endpoint};

/// A node as far as the survey sees it.
pub(crate) trait Double: Send + 'static {
    /// Its first head: the blocks around it are asked for.
    const HEAD: u64;

    /// What it says to a request.
    fn answer(&mut self, seen: &Seen) -> Act;
}

/// What an endpoint's server does: answer as the node, or misbehave.
#[derive(Debug, Clone)]
pub(crate) enum Mood<N> {
    Node(N),
    Act(Act),
}

/// Servers, and the pool that asks them.
pub(crate) struct Net<N> {
    pub(crate) servers: Vec<Server>,
    pub(crate) moods: Vec<Arc<Mutex<Mood<N>>>>,
    pub(crate) pool: Arc<Pool>,
}

impl<N: Double> Net<N> {
    /// One endpoint for each mood, every one of a provider of its own.
    pub(crate) async fn start(
        spec: ChainSpec,
        quorum: usize,
        moods: Vec<Mood<N>>,
        hard: Duration,
    ) -> Self {
        let moods: Vec<_> = moods.into_iter().map(|m| Arc::new(Mutex::new(m))).collect();
        let mut servers = Vec::new();
        for mood in &moods {
            let mood = Arc::clone(mood);
            let server = Server::start(move |seen| match &mut *mood.lock().unwrap() {
                Mood::Node(node) => node.answer(seen),
                Mood::Act(act) => act.clone(),
            });
            servers.push(server.await);
        }
        let one = |(index, server): (usize, &Server)| {
            let mut one = endpoint(&server.url(), &format!("p{index}"));
            one.hard_timeout = hard;
            one
        };
        let config = ChainConfig {
            spec: spec.clone(),
            poll_interval: Duration::from_secs(1),
            quorum,
            quorum_explicit: true,
            min_participation: 0.67,
            endpoints: servers.iter().enumerate().map(one).collect(),
            watch_all: false,
        };
        let pool = Pool::new(chain::open(spec), &config).unwrap();
        Self {
            servers,
            moods,
            pool,
        }
    }

    pub(crate) fn set(&self, index: usize, mood: Mood<N>) {
        *self.moods[index].lock().unwrap() = mood;
    }

    pub(crate) async fn ask(&self) -> Vec<EndpointReport> {
        let memory = Memory {
            producers: vec!["alice".into()],
            blocks: vec![N::HEAD - 1, N::HEAD, N::HEAD + 1],
            ..Memory::default()
        };
        self.pool.ask(&memory).await
    }

    /// One tick, as the watcher does it.
    pub(crate) async fn tick(&self) -> Result<View, Disagreement> {
        let reports = self.ask().await;
        let unknown = |_| -> Option<BlockId> { None };
        let view = agree(&self.pool.rules(), &reports, &unknown, now_ms())?;
        self.pool.note_view(&view);
        Ok(view)
    }

    pub(crate) fn count(&self, index: usize, outcome: RpcOutcome) -> u64 {
        self.pool.statuses()[index].requests[&outcome]
    }
}

pub(crate) fn key(n: u8) -> PublicKey {
    PublicKey::from_bytes([n; 33])
}

/// Alice's key, which must be settled.
pub(crate) fn registered(view: &View) -> PublicKey {
    let alice = &view.producers["alice"];
    assert!(!alice.settling);
    alice.state.as_ref().unwrap().registered_key
}
