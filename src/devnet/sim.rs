//! One simulated chain of either family, as the running devnet, its control paths and its record see it. Pure.
//!
//! What only one family knows (dialects, methods, contents of blocks) stays in that family's own files.

use serde_json::{Value, json};

use super::antelope;
use super::chain::{Chain, ViewSpec};
use super::nodes::{Node, NodeState};
use super::truth::Truth;
use crate::chain::Protocol;
use crate::keys::PublicKey;

/// The simulated chain, whichever it is.
#[derive(Debug)]
pub(crate) enum Sim {
    /// Steem and kin.
    Graphene(Box<Chain>),
    /// EOS and kin.
    Antelope(Box<antelope::Chain>),
}

impl Sim {
    /// Runs every slot that starts at or before `now_ms`; returns how many.
    pub(crate) fn advance_to(&mut self, now_ms: u64) -> usize {
        match self {
            Sim::Graphene(c) => c.advance_to(now_ms),
            Sim::Antelope(c) => c.advance_to(now_ms),
        }
    }

    /// Start of the next slot, Unix milliseconds.
    pub(crate) fn next_slot_ms(&self) -> u64 {
        match self {
            Sim::Graphene(c) => c.next_slot_ms(),
            Sim::Antelope(c) => c.next_slot_ms(),
        }
    }

    /// The nodes that hold keys.
    pub(crate) fn nodes(&self) -> &[Node] {
        match self {
            Sim::Graphene(c) => &c.nodes,
            Sim::Antelope(c) => &c.nodes,
        }
    }

    /// One of them by name.
    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes().iter().find(|n| n.name == name)
    }

    /// Changes a node's condition.
    pub(crate) fn set_node(&mut self, name: &str, state: NodeState) -> Result<(), String> {
        match self {
            Sim::Graphene(c) => c.set_node(name, state),
            Sim::Antelope(c) => c.set_node(name, state),
        }
    }

    /// Replaces the last blocks for everybody.
    pub(crate) fn reorg(
        &mut self,
        depth: u64,
        drop: Option<&str>,
        fill: bool,
    ) -> Result<(), String> {
        match self {
            Sim::Graphene(c) => c.reorg(depth, drop, fill),
            Sim::Antelope(c) => c.reorg(depth, drop, fill),
        }
    }

    /// How many reorgs there were.
    pub(crate) fn reorgs(&self) -> u64 {
        match self {
            Sim::Graphene(c) => c.reorgs(),
            Sim::Antelope(c) => c.reorgs(),
        }
    }

    /// A branch that stands still at the present head.
    pub(crate) fn fork_frozen(&mut self) -> u32 {
        match self {
            Sim::Graphene(c) => c.fork_frozen(),
            Sim::Antelope(c) => c.fork_frozen(),
        }
    }

    /// A branch of a minority that begins `back` blocks behind the head.
    pub(crate) fn fork_minority(&mut self, back: u64) -> u32 {
        match self {
            Sim::Graphene(c) => c.fork_minority(back),
            Sim::Antelope(c) => c.fork_minority(back),
        }
    }

    /// Forgets a branch that no endpoint shows any more.
    pub(crate) fn drop_branch(&mut self, id: u32) {
        match self {
            Sim::Graphene(c) => c.drop_branch(id),
            Sim::Antelope(c) => c.drop_branch(id),
        }
    }

    /// Changes a registered key as a person would; the transaction's id, or the node's message.
    pub(crate) fn operator_sets_key(
        &mut self,
        producer: &str,
        key: &PublicKey,
    ) -> Result<String, String> {
        match self {
            Sim::Graphene(c) => c.operator_sets_key(producer, key),
            Sim::Antelope(c) => c.operator_sets_key(producer, key),
        }
    }

    /// What public keys begin with.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Sim::Graphene(c) => c.codec.prefix(),
            Sim::Antelope(_) => antelope::PREFIX,
        }
    }

    /// The chain's id.
    pub(crate) fn chain_id(&self) -> [u8; 32] {
        match self {
            Sim::Graphene(c) => c.codec.chain_id,
            Sim::Antelope(c) => c.chain_id(),
        }
    }

    /// Which protocol it speaks.
    pub(crate) fn protocol(&self) -> Protocol {
        match self {
            Sim::Graphene(c) => c.config.protocol,
            Sim::Antelope(_) => Protocol::Antelope,
        }
    }

    /// Protocol, interval and seed, as the state page says them.
    pub(crate) fn settings(&self) -> Value {
        let (interval, seed) = match self {
            Sim::Graphene(c) => (c.config.interval_ms, c.config.seed),
            Sim::Antelope(c) => (c.config.interval_ms, c.config.seed),
        };
        json!({"protocol": self.protocol().as_str(), "interval_ms": interval, "seed": seed})
    }

    /// What really happened, with the latest `slots` slots.
    pub(crate) fn truth(&self, slots: usize) -> Truth {
        match self {
            Sim::Graphene(c) => Truth::of(c, slots),
            Sim::Antelope(c) => c.truth(slots),
        }
    }

    /// Whether the transaction is in a block: height and place.
    pub(crate) fn included(&self, txid: &str) -> Option<(u64, usize)> {
        match self {
            Sim::Graphene(c) => c.included(txid),
            Sim::Antelope(_) => None,
        }
    }

    /// Height and time of the head.
    pub(crate) fn head(&self) -> (u64, u64) {
        match self {
            Sim::Graphene(c) => {
                let head = c.head();
                (head.head_num, head.head_ms)
            }
            Sim::Antelope(c) => {
                let head = c.head();
                (head.head_num, head.head_ms)
            }
        }
    }

    /// The branch or lag that a node shows; `None` when it is dead or unknown.
    pub(crate) fn view_of(&self, node: &str) -> Option<ViewSpec> {
        self.node(node).and_then(Node::view)
    }
}
