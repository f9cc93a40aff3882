//! A running devnet: the chain, its clockwork and its listeners, ended when the handle is dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::antelope::{self, AntelopeConfig};
use super::chain::{Chain, ChainConfig};
use super::faults::Fault;
use super::identity::Identity;
use super::nodes::NodeState;
use super::server;
use super::shared::{Endpoint, Shared};
use super::sim::Sim;
use super::truth::Truth;
use crate::chain::Protocol;
use crate::clock;
use crate::keys::PublicKey;

/// What to start.
#[derive(Debug, Clone)]
pub struct DevnetConfig {
    /// Any of the protocols.
    pub protocol: Protocol,
    /// Block interval, milliseconds, from 100 up (Antelope: 500 on real chains). On Graphene, where it is no whole number
    /// of seconds, times carry milliseconds.
    pub interval_ms: u64,
    /// Decides the order of every round.
    pub seed: u64,
    /// The watched witness.
    pub witness: String,
    /// Its nodes, each with a key and an endpoint of its own; the first one's key is registered at the start.
    pub nodes: Vec<String>,
    /// Further witnesses (`wit01` …; Antelope: `bpa` …), each with one node of the same name and no endpoint.
    pub others: usize,
    /// Witness objects beyond these, without votes or nodes (`idle00001` …; Antelope: `idlea` …): never scheduled, there to be watched in numbers.
    pub idle: usize,
    /// Plain full nodes: names of endpoints that hold no key.
    pub full_nodes: Vec<String>,
    /// Where the first endpoint listens; the others follow on the next ports, or on free ones when the port is 0.
    pub listen: SocketAddr,
    /// Slots run before the start, so that the chain has a past: participation, irreversible blocks.
    pub history_slots: u64,
    /// Missed slots with which the watched witness starts.
    pub total_missed: u64,
    /// Whether replies carry a `Date` header. Real nodes send none, proxies before them do.
    pub date_header: bool,
    /// What only an Antelope chain has.
    pub antelope: AntelopeConfig,
    /// Other names: chain id, prefix, symbol.
    pub identity: Option<Identity>,
}

/// Why a devnet could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings do not fit together.
    #[error("devnet: {0}")]
    Config(String),
    /// A port could not be had.
    #[error(
        "devnet: cannot listen on {0}: {1}; choose another address, or port 0 for any free one"
    )]
    Listen(SocketAddr, std::io::Error),
}

/// A running devnet. Dropping it ends every task and closes every port.
#[derive(Debug)]
pub struct Devnet {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
}

/// One endpoint of a running devnet.
#[derive(Debug, Clone, Copy)]
pub struct EndpointHandle<'a> {
    shared: &'a Shared,
    endpoint: &'a Endpoint,
}

impl Default for DevnetConfig {
    fn default() -> DevnetConfig {
        DevnetConfig {
            protocol: Protocol::Steem,
            interval_ms: 3000,
            seed: 1,
            witness: "alice".to_owned(),
            nodes: vec!["A".to_owned(), "B".to_owned()],
            others: 20,
            idle: 0,
            full_nodes: vec!["full1".to_owned(), "full2".to_owned(), "full3".to_owned()],
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            history_slots: 150,
            total_missed: 0,
            date_header: false,
            antelope: AntelopeConfig::default(),
            identity: None,
        }
    }
}

impl Devnet {
    /// Starts listening and producing, on the runtime of the caller.
    ///
    /// # Errors
    /// When the settings do not fit together or a port is taken.
    pub async fn start(config: DevnetConfig) -> Result<Devnet, StartError> {
        if !config.listen.ip().is_loopback() {
            // Its control paths have no authentication.
            return Err(StartError::Config(format!(
                "listens on loopback only, not on {}",
                config.listen.ip()
            )));
        }
        let chain = begin(&config, now_ms()).map_err(StartError::Config)?;
        let full = config.full_nodes.into_iter().map(|name| (name, None));
        let own = config
            .nodes
            .into_iter()
            .map(|name| (name.clone(), Some(name)));
        let mut endpoints = Vec::new();
        let mut listeners = Vec::new();
        let mut addr = config.listen;
        for (name, node) in full.chain(own) {
            let listener = TcpListener::bind(addr)
                .await
                .map_err(|e| StartError::Listen(addr, e))?;
            let local = listener
                .local_addr()
                .map_err(|e| StartError::Listen(addr, e))?;
            endpoints.push(Endpoint::new(name, node, local));
            listeners.push(listener);
            if addr.port() != 0 {
                addr.set_port(addr.port().wrapping_add(1));
            }
        }
        let shared = Arc::new(Shared::new(
            chain,
            endpoints,
            config.date_header,
            config.identity,
        ));
        let mut tasks = vec![tokio::spawn(produce(shared.clone())).abort_handle()];
        for (i, listener) in listeners.into_iter().enumerate() {
            tasks.push(tokio::spawn(server::serve(shared.clone(), i, listener)).abort_handle());
        }
        Ok(Devnet { shared, tasks })
    }

    /// The endpoints in order: the full nodes, then the witness's own nodes.
    pub fn endpoints(&self) -> impl Iterator<Item = EndpointHandle<'_>> {
        self.shared.endpoints.iter().map(|endpoint| EndpointHandle {
            shared: &self.shared,
            endpoint,
        })
    }

    /// One endpoint by number.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn endpoint(&self, i: usize) -> EndpointHandle<'_> {
        let endpoint = &self.shared.endpoints[i];
        EndpointHandle {
            shared: &self.shared,
            endpoint,
        }
    }

    /// One endpoint by name: that of a full node, or of a witness node.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn endpoint_of(&self, name: &str) -> Result<EndpointHandle<'_>, String> {
        let endpoint = self.shared.endpoint(name)?;
        Ok(EndpointHandle {
            shared: &self.shared,
            endpoint,
        })
    }

    /// Kills a node: it signs nothing, its endpoint refuses connections.
    ///
    /// # Errors
    /// When there is none of that name; so for the following ones.
    pub fn crash_node(&self, name: &str) -> Result<(), String> {
        self.shared.set_node(name, NodeState::Crashed)
    }

    /// Stops a node's head; its endpoint answers on.
    ///
    /// # Errors
    /// As [`Devnet::crash_node`].
    pub fn freeze_node(&self, name: &str) -> Result<(), String> {
        self.shared.set_node(name, NodeState::Frozen)
    }

    /// Puts a node so many blocks behind.
    ///
    /// # Errors
    /// As [`Devnet::crash_node`].
    pub fn lag_node(&self, name: &str, blocks: u64) -> Result<(), String> {
        self.shared.set_node(name, NodeState::Lagging(blocks))
    }

    /// Makes a node healthy and in sync again.
    ///
    /// # Errors
    /// As [`Devnet::crash_node`].
    pub fn restore_node(&self, name: &str) -> Result<(), String> {
        self.shared.set_node(name, NodeState::Healthy)
    }

    /// Replaces the last blocks for everybody; see [`Chain::reorg`].
    ///
    /// # Errors
    /// When that many blocks cannot be taken back any more.
    pub fn reorg(&self, depth: u64, drop: Option<&str>, fill: bool) -> Result<(), String> {
        self.shared.chain().reorg(depth, drop, fill)
    }

    /// Changes a registered key as a person with the active key would; returns the transaction's id.
    ///
    /// # Errors
    /// The node's message when it refuses.
    pub fn operator_sets_key(&self, witness: &str, key: &PublicKey) -> Result<String, String> {
        self.shared.chain().operator_sets_key(witness, key)
    }

    /// What really happened.
    pub fn truth(&self) -> Truth {
        self.shared.chain().truth(usize::MAX)
    }

    /// The same as `GET /devnet/state` gives, with the latest `slots` slots.
    pub fn state_json(&self, slots: usize) -> Value {
        super::truth::state(&self.shared, slots)
    }

    /// Looks at or changes a chain of the Graphene family under its lock.
    ///
    /// # Panics
    /// When it is of another family.
    pub fn with_chain<T>(&self, f: impl FnOnce(&mut Chain) -> T) -> T {
        match &mut *self.shared.chain() {
            Sim::Graphene(chain) => f(chain),
            Sim::Antelope(_) => panic!("an Antelope chain: use with_antelope"),
        }
    }

    /// The same for an Antelope chain.
    ///
    /// # Panics
    /// When it is of another family.
    pub fn with_antelope<T>(&self, f: impl FnOnce(&mut antelope::Chain) -> T) -> T {
        match &mut *self.shared.chain() {
            Sim::Antelope(chain) => f(chain),
            Sim::Graphene(_) => panic!("a Graphene chain: use with_chain"),
        }
    }

    /// The chain's id.
    pub fn chain_id(&self) -> [u8; 32] {
        self.shared.chain().chain_id()
    }

    /// What public keys begin with on this chain.
    pub fn prefix(&self) -> String {
        self.shared.chain().prefix().to_owned()
    }

    /// Tells of every slot that passed: wait on it instead of sleeping.
    pub fn slots(&self) -> watch::Receiver<u64> {
        self.shared.slots.subscribe()
    }

    /// Ends every task. The same happens on drop.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl EndpointHandle<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.endpoint.name
    }

    /// The node behind it, if it is a witness node's.
    pub fn node(&self) -> Option<&str> {
        self.endpoint.node.as_deref()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.endpoint.addr
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.endpoint.addr)
    }

    /// Switches a fault on (replacing the one before).
    pub fn set_fault(&self, fault: Fault) {
        self.shared.set_fault(self.endpoint, Some(fault));
    }

    /// Makes it well again.
    pub fn clear_fault(&self) {
        self.shared.set_fault(self.endpoint, None);
    }
}

/// The chain with its past, up to `now`.
pub(super) fn begin(config: &DevnetConfig, now: u64) -> Result<Sim, String> {
    let before = |slots: u64| now.saturating_sub(slots * config.interval_ms);
    let mut sim = if config.protocol == Protocol::Antelope {
        // Two rounds and some: before that nothing is irreversible on a real chain either.
        let rounds = (config.others as u64 + 1).min(21) * antelope::state::TURN * 5 / 2;
        let settings = antelope::ChainConfig {
            interval_ms: config.interval_ms,
            seed: config.seed,
            producer: config.witness.clone(),
            nodes: config.nodes.clone(),
            others: config.others,
            idle: config.idle,
            antelope: config.antelope.clone(),
            identity: config.identity.clone(),
        };
        let start = before(config.history_slots.max(rounds));
        Sim::Antelope(Box::new(antelope::Chain::new(settings, start)?))
    } else {
        let settings = ChainConfig {
            protocol: config.protocol,
            interval_ms: config.interval_ms,
            seed: config.seed,
            witness: config.witness.clone(),
            nodes: config.nodes.clone(),
            others: config.others,
            idle: config.idle,
            total_missed: config.total_missed,
            identity: config.identity.clone(),
        };
        let start = before(config.history_slots);
        Sim::Graphene(Box::new(Chain::new(settings, start)?))
    };
    sim.advance_to(now);
    Ok(sim)
}

/// The clockwork: runs every slot when its time comes. After a stall it catches up without inventing missed slots.
async fn produce(shared: Arc<Shared>) {
    loop {
        let now = now_ms();
        let (ran, next) = {
            let mut chain = shared.chain();
            (chain.advance_to(now), chain.next_slot_ms())
        };
        if ran > 0 {
            shared.slots.send_modify(|n| *n += ran as u64);
        }
        tokio::time::sleep(Duration::from_millis(next.saturating_sub(now_ms()).max(1))).await;
    }
}

/// The wall clock in the chain's unsigned milliseconds.
fn now_ms() -> u64 {
    u64::try_from(clock::now_ms()).unwrap_or(0)
}
