//! Golos: `impl Chain`. Its nodes take the method `call` alone, name the schedule without saying when it ends, and give
//! blocks without their ids. Pure.
//!
//! Facts from golos-blockchain/chain-node: `plugins/json_rpc` (framing, error codes), `witness_api`, `database_api`,
//! `operation_history`, and `chain/database.cpp` (rounds end at blocks whose number is a multiple of 21).

use serde_json::{Value, json};

use super::answers::Answers;
use super::draft::{self, witness_update};
use super::fields::{bad, integer, text};
use super::{Dialect, Signatory, faults, linked, read};
use crate::chain::{
    Accepted, Anchor, BlockRef, Call, Chain, ChainSpec, Change, Draft, Framing, Memory, Method,
    Observation, Outcome, ReadError, Reply, Schedule, Sealed,
};
use crate::keys::Signature;

/// A round ends with a block whose number is a multiple of this, however many witnesses are scheduled.
const ROUND_BLOCKS: u64 = 21;

/// A chain of the Golos protocol.
#[derive(Debug, Clone)]
pub struct Golos {
    spec: ChainSpec,
    dialect: Dialect,
}

impl Golos {
    /// The chain that `spec` describes.
    #[must_use]
    pub fn new(spec: ChainSpec) -> Self {
        let dialect = draft::dialect(&spec);
        Self { spec, dialect }
    }
}

impl Chain for Golos {
    fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    fn survey(&self, memory: &Memory) -> Vec<Call> {
        let mut calls = Vec::with_capacity(memory.blocks.len() + memory.producers.len() + 5);
        if memory.identity {
            calls.push(call("database_api", "get_config", json!([])));
        }
        calls.push(head_call());
        for producer in &memory.producers {
            calls.push(call(
                "witness_api",
                "get_witness_by_account",
                json!([producer]),
            ));
        }
        calls.push(call("witness_api", "get_active_witnesses", json!([])));
        // What was read between two equal heads belongs to that head.
        calls.push(head_call());
        for num in &memory.blocks {
            calls.push(call("database_api", "get_block", json!([num])));
        }
        if !memory.authorities.is_empty() {
            calls.push(call(
                "database_api",
                "get_accounts",
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
        let mut producers = std::collections::BTreeMap::new();
        for name in &memory.producers {
            let state = read::witness(&self.spec, answers.value("get_witness_by_account")?)?;
            producers.insert(name.clone(), state);
        }
        let schedule = schedule(answers.value("get_active_witnesses")?, before.block.num)?;
        let after = read::head(answers.value("get_dynamic_global_properties")?)?;
        let mut found = Vec::with_capacity(memory.blocks.len());
        for num in &memory.blocks {
            if let Some(reply) = answers.maybe("get_block")? {
                found.push((*num, reply));
            }
        }
        let blocks = linked::blocks(
            &found,
            [&before.block, &after.block],
            &|block| Ok(Signatory::Name(text(block, "witness")?.to_owned())),
            &|witness| match witness {
                Signatory::Name(name) => name.clone(),
                Signatory::Object(instance) => instance.to_string(),
            },
            &|block| read::key_changes(&self.spec, block),
        )?;
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
        if change.method != Method::WitnessUpdate {
            return Err(bad("method", "golos has witness_update only"));
        }
        // The chain ignores the props since hard fork 18, but their bytes are signed.
        let operation = witness_update(&self.spec, change, anchor)?;
        draft::draft(&self.spec, &self.dialect, change, anchor, &operation)
    }

    fn seal(&self, draft: Draft, signature: &Signature) -> Sealed {
        draft::seal(draft, signature)
    }

    fn submit(&self, transaction: &Value) -> Call {
        call(
            "network_broadcast_api",
            "broadcast_transaction",
            json!([transaction]),
        )
    }

    fn accepted(&self, reply: &Reply) -> Accepted {
        match reply {
            Ok(_) => Accepted::Now,
            Err(fault) => faults::classify_golos(fault),
        }
    }

    fn follow(&self, sealed: &Sealed) -> Vec<Call> {
        vec![
            call("operation_history", "get_transaction", json!([sealed.id])),
            head_call(),
        ]
    }

    fn outcome(&self, _sealed: &Sealed, replies: &[Reply]) -> Outcome {
        // The plugin knows transactions in blocks only; where it is off, the registered key is the only witness.
        let Some(Ok(found)) = replies.first() else {
            return Outcome::Unknown;
        };
        let Some(block) = integer(found, "block_num").ok().filter(|num| *num > 0) else {
            return Outcome::Unknown;
        };
        let head = replies.get(1).and_then(|reply| reply.as_ref().ok());
        match head.and_then(|value| read::head(value).ok()) {
            Some(head) if head.irreversible >= block => Outcome::Irreversible { block },
            _ => Outcome::Included { block },
        }
    }

    fn compares_and_swaps(&self, _method: Method) -> bool {
        false
    }

    fn framing(&self) -> Framing {
        Framing::JsonRpc { batches: true }
    }
}

/// `get_witness_schedule` prints its array as one hex blob, so the schedule comes from the list of active witnesses: the
/// same names in the same order, without the empty places.
fn schedule(value: &Value, read_at: u64) -> Result<Schedule, ReadError> {
    let order: Option<Vec<String>> = value.as_array().and_then(|names| {
        names
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect()
    });
    let order = order
        .map(|names| {
            names
                .into_iter()
                .filter(|n| !n.is_empty())
                .collect::<Vec<_>>()
        })
        .filter(|names| !names.is_empty())
        .ok_or_else(|| bad("get_active_witnesses", "is not a list of names"))?;
    Ok(Schedule {
        read_at,
        until: read::round_end(read_at, ROUND_BLOCKS),
        order,
        turn: 1,
        version: None,
    })
}

fn call(api: &str, method: &str, arguments: Value) -> Call {
    Call {
        method: "call".to_owned(),
        params: json!([api, method, arguments]),
    }
}

fn head_call() -> Call {
    call("database_api", "get_dynamic_global_properties", json!([]))
}
