//! Witness nodes: each holds one key and produces when it is healthy and its key is the registered one. Pure.

use super::chain::ViewSpec;
use crate::keys::{PublicKey, SecretKey, Signer};

/// A node's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// In sync; produces when its key is registered.
    Healthy,
    /// Dead: its RPC refuses connections.
    Crashed,
    /// Its head stands still; its RPC answers; it does not produce.
    Frozen,
    /// So many blocks behind; its RPC answers; it does not produce.
    Lagging(u64),
}

/// A node of a witness.
#[derive(Debug)]
pub struct Node {
    /// Name, unique on the devnet.
    pub name: String,
    /// Whose blocks it signs.
    pub witness: String,
    /// Its condition.
    pub state: NodeState,
    pub(crate) key: SecretKey,
    pub(crate) frozen_on: Option<u32>,
}

impl Node {
    pub(crate) fn new(name: &str, witness: &str, key: SecretKey) -> Node {
        Node {
            name: name.to_owned(),
            witness: witness.to_owned(),
            state: NodeState::Healthy,
            key,
            frozen_on: None,
        }
    }

    /// The public half of its key.
    pub fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    pub(crate) fn produces(&self) -> bool {
        self.state == NodeState::Healthy
    }

    /// The chain as this node sees it; `None` when it is dead.
    pub(crate) fn view(&self) -> Option<ViewSpec> {
        match self.state {
            NodeState::Healthy => Some(ViewSpec::Branch(0)),
            NodeState::Crashed => None,
            NodeState::Frozen => Some(ViewSpec::Branch(self.frozen_on.unwrap_or(0))),
            NodeState::Lagging(n) => Some(ViewSpec::Lag(n)),
        }
    }
}
