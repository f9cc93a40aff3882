//! Steem, Hive and Blurt: `impl Chain`. What is asked each tick, how a switch is written, and what the answers mean.
//! Pure; bytes come from the codec beside it, meanings from `read` and [`super::faults`].

use serde_json::{Value, json};

use super::answers::Answers;
use super::fields::bad;
use super::{Dialect, draft, faults, read};
use crate::chain::{
    Accepted, Anchor, BlockRef, Call, Chain, ChainSpec, Change, Draft, Framing, Memory, Method,
    Observation, Outcome, ReadError, Reply, Sealed,
};
use crate::keys::Signature;

/// A chain of the Steem protocol.
#[derive(Debug, Clone)]
pub struct Steem {
    spec: ChainSpec,
    dialect: Dialect,
}

// === impl Steem ===

impl Steem {
    /// The chain that `spec` describes; its protocol must be Steem, Hive or Blurt.
    #[must_use]
    pub fn new(spec: ChainSpec) -> Self {
        let dialect = draft::dialect(&spec);
        Self { spec, dialect }
    }

    fn operation(&self, change: &Change, anchor: &Anchor) -> Result<Value, ReadError> {
        match change.method {
            Method::WitnessSetProperties => Ok(json!(["witness_set_properties", {
                "owner": change.producer,
                "props": [
                    ["key", crate::hex::encode(change.from.as_bytes())],
                    ["new_signing_key", crate::hex::encode(change.to.as_bytes())],
                ],
                "extensions": [],
            }])),
            Method::WitnessUpdate => draft::witness_update(&self.spec, change, anchor),
            Method::Regproducer => Err(bad(
                "method",
                "regproducer belongs to Antelope chains; use witness_set_properties or witness_update",
            )),
        }
    }
}

impl Chain for Steem {
    fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    fn survey(&self, memory: &Memory) -> Vec<Call> {
        let mut calls = Vec::with_capacity(memory.blocks.len() + 6);
        if memory.identity {
            calls.push(call("condenser_api.get_config", json!([])));
        }
        calls.push(head_call());
        calls.extend(producer_calls(&memory.producers));
        calls.push(call("condenser_api.get_witness_schedule", json!([])));
        // The head again: what was read between two equal heads belongs to that head. As few calls as possible lie
        // between, for an endpoint without batches answers one after another, and the head moves meanwhile.
        calls.push(head_call());
        for num in &memory.blocks {
            calls.push(call("condenser_api.get_block", json!([num])));
        }
        if !memory.authorities.is_empty() {
            calls.push(call(
                "condenser_api.get_accounts",
                json!([memory.authorities]),
            ));
        }
        calls
    }

    fn read(&self, memory: &Memory, replies: &[Reply]) -> Result<Observation, ReadError> {
        let mut answers = Answers::new(replies);
        let chain_id = if memory.identity {
            Some(read::chain_id(answers.value("get_config")?)?)
        } else {
            None
        };
        let before = read::head(answers.value("get_dynamic_global_properties")?)?;
        let producers = match memory.producers.as_slice() {
            [] => Default::default(),
            [one] => {
                let state = read::witness(&self.spec, answers.value("get_witness_by_account")?)?;
                [(one.clone(), state)].into()
            }
            many => read_many(&self.spec, many, answers.value("find_witnesses")?)?,
        };
        let schedule = read::schedule(answers.value("get_witness_schedule")?, before.block.num)?;
        let after = read::head(answers.value("get_dynamic_global_properties")?)?;
        let mut blocks = Vec::with_capacity(memory.blocks.len());
        for num in &memory.blocks {
            // A block that is pruned, or not there yet, is refused by some gateways instead of answered with null. What
            // they say of head and keys is no worse for that; that the ledger lacks blocks shows elsewhere.
            if let Some(answer) = answers.maybe("get_block")? {
                blocks.extend(read::block(&self.spec, *num, answer)?);
            }
        }
        blocks.sort_by_key(|block| block.num);
        let active_keys = read::authorities(&self.spec, memory, &mut answers)?;
        Ok(Observation {
            chain_id,
            producers,
            blocks,
            active_keys,
            ..read::framed(&before.block, after, schedule)
        })
    }

    fn probe(&self) -> Vec<Call> {
        vec![head_call()]
    }

    fn read_probe(&self, replies: &[Reply]) -> Result<BlockRef, ReadError> {
        read::probe(Answers::new(replies).value("get_dynamic_global_properties")?)
    }

    fn draft(&self, change: &Change, anchor: &Anchor) -> Result<Draft, ReadError> {
        let operation = self.operation(change, anchor)?;
        draft::draft(&self.spec, &self.dialect, change, anchor, &operation)
    }

    fn seal(&self, draft: Draft, signature: &Signature) -> Sealed {
        draft::seal(draft, signature)
    }

    fn submit(&self, transaction: &Value) -> Call {
        // The asynchronous call: the synchronous one holds a server thread and is deprecated on Hive.
        call("condenser_api.broadcast_transaction", json!([transaction]))
    }

    fn accepted(&self, reply: &Reply) -> Accepted {
        match reply {
            Ok(_) => Accepted::Now,
            Err(fault) => faults::classify(fault),
        }
    }

    fn follow(&self, sealed: &Sealed) -> Vec<Call> {
        vec![call(
            "transaction_status_api.find_transaction",
            json!({"transaction_id": sealed.id}),
        )]
    }

    fn outcome(&self, _sealed: &Sealed, replies: &[Reply]) -> Outcome {
        // Nodes without the plugin answer with an error: then the registered key is the only witness.
        let Some(Ok(reply)) = replies.first() else {
            return Outcome::Unknown;
        };
        let status = reply.get("status").and_then(Value::as_str);
        let block = super::fields::integer(reply, "block_num").ok();
        match (status, block) {
            (Some("within_mempool"), _) => Outcome::Pending,
            (Some("within_reversible_block"), Some(block)) => Outcome::Included { block },
            (Some("within_irreversible_block"), Some(block)) => Outcome::Irreversible { block },
            (Some("expired_irreversible"), _) => Outcome::Expired,
            _ => Outcome::Unknown,
        }
    }

    fn compares_and_swaps(&self, method: Method) -> bool {
        method == Method::WitnessSetProperties
    }

    fn framing(&self) -> Framing {
        Framing::JsonRpc { batches: true }
    }
}

fn call(method: &str, params: Value) -> Call {
    Call {
        method: method.to_owned(),
        params,
    }
}

fn head_call() -> Call {
    call("condenser_api.get_dynamic_global_properties", json!([]))
}

/// One call however many producers: `find_witnesses` takes up to 1,000 names.
fn producer_calls(producers: &[String]) -> Option<Call> {
    match producers {
        [] => None,
        [one] => Some(call("condenser_api.get_witness_by_account", json!([one]))),
        many => Some(call("database_api.find_witnesses", json!({"owners": many}))),
    }
}

type Producers = std::collections::BTreeMap<String, Option<crate::chain::ProducerState>>;

fn read_many(spec: &ChainSpec, asked: &[String], reply: &Value) -> Result<Producers, ReadError> {
    let found = reply
        .get("witnesses")
        .and_then(Value::as_array)
        .ok_or_else(|| bad("find_witnesses", "has no list of witnesses"))?;
    // Unknown names are simply absent from the answer.
    let mut producers: Producers = asked.iter().map(|name| (name.clone(), None)).collect();
    for witness in found {
        let owner = super::fields::text(witness, "owner")?;
        if let Some(slot) = producers.get_mut(owner) {
            *slot = read::witness(spec, witness)?;
        }
    }
    Ok(producers)
}
