//! What the listeners, the producing task and the test share: the chain behind a lock, and every endpoint's condition.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::chain::ViewSpec;
use super::faults::Fault;
use super::identity::Identity;
use super::nodes::NodeState;
use super::sim::Sim;

/// One endpoint's condition.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: String,
    /// The node whose RPC this is; none for a plain full node.
    pub(crate) node: Option<String>,
    pub(crate) addr: SocketAddr,
    fault: Mutex<Active>,
}

#[derive(Debug, Default)]
struct Active {
    fault: Option<Fault>,
    /// The branch made for the fault.
    branch: Option<u32>,
}

/// Everything shared.
#[derive(Debug)]
pub(crate) struct Shared {
    chain: Mutex<Sim>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// Rises with every slot.
    pub(crate) slots: watch::Sender<u64>,
    /// Rises when an endpoint may have to start or stop listening.
    pub(crate) conditions: watch::Sender<u64>,
    /// Whether replies carry a `Date`, as behind a proxy; real nodes send none.
    pub(crate) date_header: bool,
    /// Other names to show than the usual ones.
    pub(crate) identity: Option<Identity>,
}

impl Endpoint {
    pub(crate) fn new(name: String, node: Option<String>, addr: SocketAddr) -> Endpoint {
        Endpoint {
            name,
            node,
            addr,
            fault: Mutex::default(),
        }
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        lock(&self.fault).fault.clone()
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere must not turn into a second one here: the data is only ever replaced whole.
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        chain: Sim,
        endpoints: Vec<Endpoint>,
        date_header: bool,
        identity: Option<Identity>,
    ) -> Shared {
        Shared {
            chain: Mutex::new(chain),
            endpoints,
            slots: watch::Sender::new(0),
            conditions: watch::Sender::new(0),
            date_header,
            identity,
        }
    }

    pub(crate) fn chain(&self) -> MutexGuard<'_, Sim> {
        lock(&self.chain)
    }

    /// Whether nothing listens there: the fault `refused`, or a dead node.
    pub(crate) fn refuses(&self, endpoint: &Endpoint) -> bool {
        endpoint.fault() == Some(Fault::Refused) || self.view(endpoint).is_none()
    }

    /// What that endpoint shows; `None` when its node is dead.
    pub(crate) fn view(&self, endpoint: &Endpoint) -> Option<ViewSpec> {
        let base = match &endpoint.node {
            Some(name) => self.chain().view_of(name)?,
            None => ViewSpec::Branch(0),
        };
        let active = lock(&endpoint.fault);
        Some(match (&active.fault, active.branch) {
            (_, Some(branch)) => ViewSpec::Branch(branch),
            (Some(Fault::StaleHead { blocks }), _) => ViewSpec::Lag(*blocks),
            _ => base,
        })
    }

    /// Switches an endpoint's fault on, over to another, or off.
    pub(crate) fn set_fault(&self, endpoint: &Endpoint, fault: Option<Fault>) {
        let mut chain = self.chain();
        let branch = match &fault {
            Some(Fault::FrozenHead) => Some(chain.fork_frozen()),
            Some(Fault::MinorityFork { back }) => Some(chain.fork_minority(*back)),
            _ => None,
        };
        let old = std::mem::replace(&mut *lock(&endpoint.fault), Active { fault, branch });
        if let Some(id) = old.branch {
            chain.drop_branch(id);
        }
        drop(chain);
        self.conditions.send_modify(|n| *n += 1);
    }

    pub(crate) fn set_node(&self, name: &str, state: NodeState) -> Result<(), String> {
        self.chain().set_node(name, state)?;
        self.conditions.send_modify(|n| *n += 1);
        Ok(())
    }

    pub(crate) fn endpoint(&self, name: &str) -> Result<&Endpoint, String> {
        self.endpoints
            .iter()
            .find(|e| e.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = self.endpoints.iter().map(|e| e.name.as_str()).collect();
                format!("no endpoint {name}; there are {}", known.join(", "))
            })
    }
}
