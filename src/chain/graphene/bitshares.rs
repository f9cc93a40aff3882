//! BitShares: `impl Chain`. Producers are named by account here and by object id on the chain; the key is changed by
//! `witness_update` with the account's active key, and costs a fee that the node names. Pure.
//!
//! Facts from bitshares-core `chain/db_witness_schedule.cpp` (rounds, slots), `chain/db_maint.cpp` and
//! `app/database_api.cpp`, seen on a real witness_node 7.0.2.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answers::Answers;
use super::draft;
use super::fields::{bad, text};
use super::objects::ObjectId;
use super::witness_node::{self as node, Globals, Head, Names};
use super::{Dialect, Signatory, faults, linked, read};
use crate::chain::{
    Accepted, Anchor, BlockRef, Call, Chain, ChainSpec, Change, Draft, Framing, Memory, Method,
    Observation, Outcome, ProducerState, ReadError, Reply, Sealed,
};
use crate::keys::{PublicKey, Signature};

/// Most names that `lookup_witness_accounts` gives, and most objects asked for in one call.
const LOOKUP: usize = 1_000;
const OBJECTS: usize = 100;
/// Why the null key is no way out here.
const CANNOT_DISABLE: &str = "BitShares schedules by votes alone: a witness with the null key stays scheduled and misses every slot; only its voters can take it out";

/// A chain of the BitShares protocol.
#[derive(Debug, Clone)]
pub struct BitShares {
    spec: ChainSpec,
    dialect: Dialect,
}

/// The producers of one reading, by how they are asked for.
struct Asked<'a> {
    /// Through their ids, many in one call.
    by_id: Vec<(&'a str, String)>,
    /// Through their accounts, one call each.
    by_name: Vec<&'a str>,
}

/// Whether to ask for the names behind ids. Until a quorum has named them alike, every time: what is read without them
/// goes by its id.
fn wants_names(memory: &Memory) -> bool {
    memory.identity || memory.aliases.is_empty()
}

impl BitShares {
    /// The chain that `spec` describes.
    #[must_use]
    pub fn new(spec: ChainSpec) -> Self {
        let dialect = draft::dialect(&spec);
        Self { spec, dialect }
    }

    /// The fee of a switch: it does not depend on whose.
    fn fee_call(&self) -> Call {
        let operation = json!([21, {
            "fee": {"amount": 0, "asset_id": "1.3.0"},
            "witness": "1.6.0",
            "witness_account": "1.2.0",
            "new_signing_key": PublicKey::NULL.to_text(&self.spec.address_prefix),
        }]);
        call("get_required_fees", json!([[operation], "1.3.0"]))
    }

    /// The producers asked for, and what their objects tell of names.
    fn producers(
        &self,
        asked: &Asked<'_>,
        answers: &mut Answers<'_>,
    ) -> Result<Vec<(String, Option<Value>)>, ReadError> {
        let mut found = Vec::new();
        for name in &asked.by_name {
            let value = match answers.reply("get_witness_by_account")? {
                Ok(value) => Some(value.clone()).filter(|v| !v.is_null()),
                Err(fault) if node::is_unknown_account(fault) => None,
                Err(fault) => {
                    return Err(bad(
                        "get_witness_by_account",
                        format!("refused with code {}", fault.code),
                    ));
                }
            };
            found.push(((*name).to_owned(), value));
        }
        for chunk in asked.by_id.chunks(OBJECTS) {
            let objects = node::list(answers.value("get_objects")?, "get_objects")?;
            for (i, (name, _)) in chunk.iter().enumerate() {
                let value = objects.get(i).filter(|v| !v.is_null()).cloned();
                found.push(((*name).to_owned(), value));
            }
        }
        Ok(found)
    }
}

impl<'a> Asked<'a> {
    fn of(memory: &'a Memory) -> Self {
        let mut asked = Self {
            by_id: Vec::new(),
            by_name: Vec::new(),
        };
        let ids: BTreeMap<&str, &str> = if memory.producers.len() > 1 {
            let pairs = memory.aliases.iter();
            pairs
                .map(|(id, name)| (name.as_str(), id.as_str()))
                .collect()
        } else {
            BTreeMap::new()
        };
        for name in &memory.producers {
            if ObjectId::of_kind(name, ObjectId::WITNESS).is_some() {
                asked.by_id.push((name, name.clone()));
            } else if let Some(id) = ids.get(name.as_str()) {
                asked.by_id.push((name, (*id).to_owned()));
            } else {
                asked.by_name.push(name);
            }
        }
        asked
    }
}

impl Chain for BitShares {
    fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    fn survey(&self, memory: &Memory) -> Vec<Call> {
        let mut calls = Vec::with_capacity(memory.blocks.len() + memory.producers.len() + 8);
        if memory.identity {
            calls.push(call("get_chain_id", json!([])));
        }
        if wants_names(memory) {
            calls.push(call("lookup_witness_accounts", json!(["", LOOKUP])));
        }
        calls.push(head_call());
        let asked = Asked::of(memory);
        for name in &asked.by_name {
            calls.push(call("get_witness_by_account", json!([name])));
        }
        for chunk in asked.by_id.chunks(OBJECTS) {
            let ids: Vec<&str> = chunk.iter().map(|(_, id)| id.as_str()).collect();
            calls.push(call("get_objects", json!([ids])));
        }
        calls.push(call("get_objects", json!([[node::SCHEDULE]])));
        calls.push(call("get_global_properties", json!([])));
        if !memory.producers.is_empty() {
            calls.push(self.fee_call());
        }
        // What was read between two equal heads belongs to that head.
        calls.push(head_call());
        for num in &memory.blocks {
            calls.push(call("get_block", json!([num])));
        }
        if !memory.authorities.is_empty() {
            calls.push(call("get_accounts", json!([memory.authorities])));
        }
        calls
    }

    fn read(&self, memory: &Memory, replies: &[Reply]) -> Result<Observation, ReadError> {
        let mut answers = Answers::new(replies);
        let mut chain_id = None;
        if memory.identity {
            chain_id = Some(node::chain_id(answers.value("get_chain_id")?)?);
        }
        let mut aliases = None;
        if wants_names(memory) {
            let names = answers.maybe("lookup_witness_accounts")?;
            aliases = names.map(node::aliases).transpose()?;
        }
        let before = Head::read(answers.value("get_dynamic_global_properties")?)?;
        let found = self.producers(&Asked::of(memory), &mut answers)?;
        let objects = node::list(answers.value("get_objects")?, "get_objects")?;
        let globals = answers
            .maybe("get_global_properties")?
            .map(|value| Globals::read(&self.spec, value))
            .transpose()?;
        let fee = if memory.producers.is_empty() {
            None
        } else {
            answers.maybe("get_required_fees")?.and_then(node::fee)
        };
        let after = Head::read(answers.value("get_dynamic_global_properties")?)?;

        let mut names = Names::new(&memory.aliases, aliases.as_ref());
        let mut producers: BTreeMap<String, Option<ProducerState>> = BTreeMap::new();
        for (name, value) in found {
            let state = match &value {
                Some(value) => {
                    names.learn(text(value, "id")?, &name);
                    Some(node::witness(&self.spec, value, fee.as_ref())?)
                }
                None => None,
            };
            producers.insert(name, state);
        }
        let schedule = node::schedule(objects, before.at.block.num, globals.as_ref(), &names)?;
        let mut raw = Vec::with_capacity(memory.blocks.len());
        for num in &memory.blocks {
            if let Some(reply) = answers.maybe("get_block")? {
                raw.push((*num, reply));
            }
        }
        let mut blocks = linked::blocks(
            &raw,
            [&before.at.block, &after.at.block],
            &|block| {
                let id = text(block, "witness")?;
                ObjectId::of_kind(id, ObjectId::WITNESS)
                    .map(|id| Signatory::Object(id.instance))
                    .ok_or_else(|| bad("witness", "is not a witness id such as 1.6.1"))
            },
            &|witness| match witness {
                Signatory::Object(instance) => {
                    names.of(&ObjectId::protocol(ObjectId::WITNESS, *instance).to_string())
                }
                Signatory::Name(name) => name.clone(),
            },
            &|block| node::key_changes(&self.spec, block, &names),
        )?;
        after.number_slots(&mut blocks, &self.spec, globals.as_ref());
        let active_keys = read::authorities(&self.spec, memory, &mut answers)?;
        Ok(Observation {
            chain_id,
            producers,
            blocks,
            active_keys,
            aliases,
            ..read::framed(&before.at.block, after.at, schedule)
        })
    }

    fn probe(&self) -> Vec<Call> {
        vec![head_call()]
    }

    fn read_probe(&self, replies: &[Reply]) -> Result<BlockRef, ReadError> {
        let value = Answers::new(replies).value("get_dynamic_global_properties")?;
        read::head(value).map(|head| head.block)
    }

    fn draft(&self, change: &Change, anchor: &Anchor) -> Result<Draft, ReadError> {
        if change.method != Method::WitnessUpdate {
            return Err(bad("method", "bitshares has witness_update only"));
        }
        if change.to.is_null() {
            return Err(bad("new_signing_key", CANNOT_DISABLE));
        }
        let props = &anchor.state.props;
        let fee = props.get("fee").filter(|fee| !fee.is_null()).ok_or_else(|| {
            bad(
                "fee",
                "is not known: no endpoint answered get_required_fees, so nothing can be sent now",
            )
        })?;
        // Absent fields stay as they are: the url is left out.
        let operation = json!([21, {
            "fee": fee,
            "witness": text(props, "witness")?,
            "witness_account": text(props, "witness_account")?,
            "new_signing_key": change.to.to_text(&self.spec.address_prefix),
        }]);
        draft::draft(&self.spec, &self.dialect, change, anchor, &operation)
    }

    fn seal(&self, draft: Draft, signature: &Signature) -> Sealed {
        draft::seal(draft, signature)
    }

    fn submit(&self, transaction: &Value) -> Call {
        Call {
            method: "call".to_owned(),
            params: json!(["network_broadcast", "broadcast_transaction", [transaction]]),
        }
    }

    fn accepted(&self, reply: &Reply) -> Accepted {
        match reply {
            Ok(_) => Accepted::Now,
            Err(fault) => faults::classify_bitshares(fault),
        }
    }

    fn follow(&self, sealed: &Sealed) -> Vec<Call> {
        vec![call("get_recent_transaction_by_id", json!([sealed.id]))]
    }

    fn outcome(&self, _sealed: &Sealed, replies: &[Reply]) -> Outcome {
        match replies.first() {
            // Known until it expires, in a block or not: the registered key tells which.
            Some(Ok(value)) if value.is_object() => Outcome::Pending,
            _ => Outcome::Unknown,
        }
    }

    fn compares_and_swaps(&self, _method: Method) -> bool {
        false
    }

    fn framing(&self) -> Framing {
        Framing::JsonRpcStatus
    }

    fn can_disable(&self) -> Result<(), &'static str> {
        Err(CANNOT_DISABLE)
    }
}

/// A call of the database API. A node resolves api 0 within the call, so no login comes before it.
fn call(method: &str, arguments: Value) -> Call {
    Call {
        method: "call".to_owned(),
        params: json!([0, method, arguments]),
    }
}

fn head_call() -> Call {
    call("get_dynamic_global_properties", json!([]))
}
