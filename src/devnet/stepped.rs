//! A devnet without clock, listeners or tasks: the same chain and the same answers, one slot and one call at a time. A
//! thousand turns take seconds, and the same calls give the same chain on every machine. Pure.

use hyper::Method;
use serde_json::{Value, json};

use super::antelope;
use super::antelope::rest;
use super::chain::{SlotRecord, ViewSpec};
use super::nodes::NodeState;
use super::rpc::{self, Answer};
use super::run::{DevnetConfig, begin};
use super::sim::Sim;
use super::truth::Truth;
use crate::chain::{Call, Reply, RpcFault};
use crate::keys::PublicKey;

/// A chain that moves only when told to.
#[derive(Debug)]
pub struct Stepped {
    sim: Sim,
}

impl Stepped {
    /// The chain with its past, which ends at `now_ms`. Endpoints and listeners of `config` are left aside.
    ///
    /// # Errors
    /// When the settings do not fit together.
    pub fn new(config: &DevnetConfig, now_ms: u64) -> Result<Stepped, String> {
        Ok(Stepped {
            sim: begin(config, now_ms)?,
        })
    }

    /// Runs one slot, and says how it went.
    pub fn step(&mut self) -> Option<&SlotRecord> {
        let next = self.sim.next_slot_ms();
        self.sim.advance_to(next);
        match &self.sim {
            Sim::Graphene(chain) => chain.slots.back(),
            Sim::Antelope(chain) => chain.slots.back(),
        }
    }

    /// What an endpoint that shows `view` answers to one call.
    pub fn ask(&mut self, view: ViewSpec, call: &Call) -> Reply {
        match &mut self.sim {
            Sim::Graphene(chain) => {
                let request = json!({"jsonrpc": "2.0", "id": 1, "method": call.method, "params": call.params});
                match rpc::answer(chain, request.to_string().as_bytes(), view, "stepped") {
                    Answer::Now(mut reply) => match reply.get_mut("error") {
                        Some(error) => Err(fault(error.take(), 0)),
                        None => Ok(reply["result"].take()),
                    },
                    Answer::WhenIncluded { .. } => Ok(Value::Null),
                }
            }
            Sim::Antelope(chain) => {
                let body = call.params.to_string();
                let (status, mut reply) = rest::answer(
                    chain,
                    &Method::POST,
                    &call.method,
                    body.as_bytes(),
                    view,
                    "stepped",
                );
                if status.is_success() {
                    Ok(reply)
                } else {
                    Err(fault(reply["error"].take(), i64::from(status.as_u16())))
                }
            }
        }
    }

    /// What really happened, with the latest `slots` slots.
    pub fn truth(&self, slots: usize) -> Truth {
        self.sim.truth(slots)
    }

    /// The newest `count` slots.
    pub fn newest_slots(&self, count: usize) -> impl Iterator<Item = &SlotRecord> {
        let slots = match &self.sim {
            Sim::Graphene(chain) => &chain.slots,
            Sim::Antelope(chain) => &chain.slots,
        };
        slots.iter().skip(slots.len().saturating_sub(count))
    }

    /// Height and time (Unix milliseconds) of the head.
    pub fn head(&self) -> (u64, u64) {
        self.sim.head()
    }

    /// Changes a node's condition.
    ///
    /// # Errors
    /// When there is no node of that name.
    pub fn set_node(&mut self, name: &str, state: NodeState) -> Result<(), String> {
        self.sim.set_node(name, state)
    }

    /// Replaces the last blocks for everybody; see [`super::chain::Chain::reorg`].
    ///
    /// # Errors
    /// When that many blocks cannot be taken back any more.
    pub fn reorg(&mut self, depth: u64, drop: Option<&str>, fill: bool) -> Result<(), String> {
        self.sim.reorg(depth, drop, fill)
    }

    /// A branch of a minority that begins `back` blocks behind the head, for an endpoint to show.
    pub fn fork_minority(&mut self, back: u64) -> u32 {
        self.sim.fork_minority(back)
    }

    /// Forgets a branch.
    pub fn drop_branch(&mut self, id: u32) {
        self.sim.drop_branch(id);
    }

    /// Changes a registered key as a person would; returns the transaction's id.
    ///
    /// # Errors
    /// The node's message when it refuses.
    pub fn operator_sets_key(&mut self, producer: &str, key: &PublicKey) -> Result<String, String> {
        self.sim.operator_sets_key(producer, key)
    }

    /// The chain, when it is an Antelope one: for faults that only those have.
    pub fn antelope(&mut self) -> Option<&mut antelope::Chain> {
        match &mut self.sim {
            Sim::Antelope(chain) => Some(chain),
            Sim::Graphene(_) => None,
        }
    }

    /// The chain's id.
    pub fn chain_id(&self) -> [u8; 32] {
        self.sim.chain_id()
    }

    /// What public keys begin with on this chain.
    pub fn prefix(&self) -> &str {
        self.sim.prefix()
    }
}

/// A proper error; `status` stands for its code where it has none.
fn fault(mut error: Value, status: i64) -> RpcFault {
    let code = error["code"].as_i64().filter(|code| *code != 0);
    let message = ["message", "what"]
        .into_iter()
        .find_map(|name| error[name].as_str());
    RpcFault {
        code: code.unwrap_or(status),
        message: message.unwrap_or_default().to_owned(),
        data: if status == 0 {
            error["data"].take()
        } else {
            error
        },
    }
}
