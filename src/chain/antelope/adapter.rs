//! `impl Chain for Antelope`: what is asked each tick, how a switch is written, what the answers mean. Pure; bytes and
//! meanings come from the files beside it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::leaving::{candidates_call, election};
use super::permission::Account;
use super::{Transaction, faults, read, switch, tapos, transaction};
use crate::chain::graphene::fields::{bad, format_seconds, integer};
use crate::chain::{
    Accepted, Anchor, BlockRef, Call, Chain, ChainSpec, Change, Draft, Framing, Memory, Method,
    Observation, Outcome, ProducerState, ReadError, Reply, Sealed,
};
use crate::clock::Millis;
use crate::keys::{Nonce, PublicKey, Signature};

/// Seconds between the agreed head time and a draft's expiration (the chain tests it against block time).
const LIFETIME_S: i64 = 30;

/// Up to this many producers are asked one by one; more by the list of all.
const ONE_BY_ONE: usize = 3;

/// Rows of one `get_producers`: what public nodes allow.
const PAGE: u64 = 1000;

/// Blocks that may come while the state is read; more, and it belongs to no head.
const MAX_SLACK: u64 = 4;

/// A chain of the Antelope protocol: EOS/Vaulta, WAX, Telos and kin.
#[derive(Debug, Clone)]
pub struct Antelope {
    spec: ChainSpec,
}

type Producers = BTreeMap<String, Option<ProducerState>>;

// === impl Antelope ===

impl Antelope {
    /// The chain that `spec` describes; its protocol must be Antelope.
    #[must_use]
    pub const fn new(spec: ChainSpec) -> Self {
        Self { spec }
    }

    /// The bytes of these actions, expiring 30 s after the agreed head, referring to the agreed irreversible block.
    ///
    /// Expirations are whole seconds, so the same actions drafted twice within one second of chain time are one and the
    /// same transaction: sent twice, the second is answered as a duplicate and changes nothing.
    ///
    /// # Errors
    /// A head time or block id out of range, or actions that do not fit their layout.
    pub fn transaction(
        &self,
        actions: &[Value],
        head_time: Millis,
        irreversible: &BlockRef,
    ) -> Result<(Transaction, Millis), ReadError> {
        let expiry_s = head_time
            .checked_add(999)
            .and_then(|t| t.div_euclid(1000).checked_add(LIFETIME_S))
            .ok_or_else(|| bad("head time", "is out of range"))?;
        let expiration =
            format_seconds(expiry_s).ok_or_else(|| bad("head time", "is out of range"))?;
        let id = crate::hex::decode_array(&irreversible.id.0)
            .map_err(|e| bad("irreversible block id", e.to_string()))?;
        let (ref_block_num, ref_block_prefix) = tapos(&id);
        let transaction = Transaction::from_json(&json!({
            "expiration": expiration,
            "ref_block_num": ref_block_num,
            "ref_block_prefix": ref_block_prefix,
            "actions": actions,
        }))
        .map_err(|e| bad("transaction", e.to_string()))?;
        Ok((transaction, expiry_s.saturating_mul(1000)))
    }

    fn read_producers<'a>(
        &self,
        asked: &[String],
        next: &mut dyn FnMut(&str) -> Result<&'a Value, ReadError>,
    ) -> Result<Producers, ReadError> {
        if asked.len() <= ONE_BY_ONE {
            let one = |name: &String| {
                let reply = next("get_table_rows")?;
                let (rows, _) = read::rows(reply)?;
                let mut state = None;
                for row in rows {
                    let (owner, found) = read::row(&self.spec, row)?;
                    // The bounds are bounds: look at the name.
                    if owner == *name {
                        state = Some(found);
                    }
                }
                Ok((name.clone(), state))
            };
            return asked.iter().map(one).collect();
        }
        let wanted: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
        let reply = next("get_producers")?;
        let (rows, more) = read::rows(reply)?;
        let mut found = Producers::new();
        for row in rows {
            // Rows of strangers are not read: one odd row must not blind us to ours.
            let owner = row.get("owner").and_then(Value::as_str);
            if owner.is_some_and(|owner| wanted.contains(owner)) {
                let (owner, state) = read::row(&self.spec, row)?;
                found.insert(owner, Some(state));
            }
        }
        if !more {
            // The list is whole: who is not in it does not exist. Else nothing is known of who is missing.
            for name in asked {
                found.entry(name.clone()).or_insert(None);
            }
        }
        Ok(found)
    }

    /// Keys per authority asked for, by one account's answer.
    fn switching_keys(
        &self,
        memory: &Memory,
        account: &Account,
        producers: &Producers,
    ) -> Vec<(String, Vec<PublicKey>)> {
        // An authority of several keys is switched by regproducer2 (see `switch`).
        let several = producers
            .get(&account.name)
            .and_then(Option::as_ref)
            .and_then(|state| read::Authority::read(state.props.get("producer_authority")?).ok())
            .is_some_and(|authority| authority.keys.len() > 1);
        let action = if several {
            "regproducer2"
        } else {
            "regproducer"
        };
        memory
            .authorities
            .iter()
            .filter(|name| split(name).0 == account.name)
            .map(|name| (name.clone(), account.switching_keys(split(name).1, action)))
            .collect()
    }
}

impl Chain for Antelope {
    fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    fn survey(&self, memory: &Memory) -> Vec<Call> {
        let mut calls = vec![info()];
        if memory.producers.len() <= ONE_BY_ONE {
            calls.extend(memory.producers.iter().map(|name| table_row(name)));
        } else {
            calls.push(call(
                "get_producers",
                json!({"json": true, "lower_bound": "", "limit": PAGE}),
            ));
        }
        calls.push(call("get_producer_schedule", json!({})));
        // The head again: how far it moved tells how exact the reading is.
        calls.push(info());
        for num in &memory.blocks {
            calls.push(call("get_block_info", json!({"block_num": num})));
        }
        for account in accounts(memory) {
            calls.push(call("get_account", json!({"account_name": account})));
        }
        if memory.identity {
            calls.push(call("get_finalizer_info", json!({})));
        }
        if !memory.authorities.is_empty() {
            calls.push(candidates_call());
        }
        calls
    }

    fn read(&self, memory: &Memory, replies: &[Reply]) -> Result<Observation, ReadError> {
        let mut replies = replies.iter();
        let mut next = |what: &str| -> Result<&Value, ReadError> {
            match replies.next() {
                Some(Ok(value)) => Ok(value),
                Some(Err(fault)) => Err(bad(what, format!("refused with code {}", fault.code))),
                None => Err(bad(what, "was not answered")),
            }
        };
        let before = read::head(&self.spec, next("get_info")?)?;
        let mut producers = self.read_producers(&memory.producers, &mut next)?;
        let schedules = read::Schedules::read(next("get_producer_schedule")?)?;
        let after = read::head(&self.spec, next("get_info")?)?;
        if before.chain_id != after.chain_id {
            return Err(bad("chain_id", "changed within one reading"));
        }
        for (name, state) in &mut producers {
            if let Some(state) = state {
                schedules.complete(name, state);
            }
        }
        let mut blocks = Vec::with_capacity(memory.blocks.len());
        for num in &memory.blocks {
            // A block that is pruned, or not there yet, is refused. What the node says of the rest is no worse for that.
            if let Ok(answer) = next("get_block_info") {
                blocks.push(read::block(*num, answer)?);
            }
        }
        blocks.sort_by_key(|block| block.num);
        let mut active_keys = BTreeMap::new();
        for _ in accounts(memory) {
            // The same: an account that does not exist, or a node that does not offer it.
            if let Ok(answer) = next("get_account") {
                let account = Account::read(answer)?;
                active_keys.extend(self.switching_keys(memory, &account, &producers));
            }
        }
        let finalizers = if memory.identity {
            // Not offered before Savanna.
            next("get_finalizer_info")
                .ok()
                .map(read::finalizers)
                .transpose()?
        } else {
            None
        };
        // The same again, and whoever cannot be told from an odd list is told from the next.
        let election = match accounts(memory).is_empty() {
            true => None,
            false => next("get_producers")
                .ok()
                .and_then(|answer| election(answer, schedules.newest()).ok()),
        };
        let moved = after.block.num.checked_sub(before.block.num);
        let settled = match moved {
            Some(0) => before.block == after.block,
            Some(moved) => moved <= MAX_SLACK,
            // Backwards: a fork, or another node behind the same name.
            None => false,
        };
        Ok(Observation {
            chain_id: Some(before.chain_id),
            settled,
            slack: moved.unwrap_or(0),
            schedule: settled.then(|| schedules.in_force(before.block.num, after.block.num)),
            producers,
            blocks,
            active_keys,
            aliases: None,
            finalizers,
            election,
            head: before.block,
            head_slot: before.slot,
            irreversible: before.irreversible,
            participation: None,
        })
    }

    fn probe(&self) -> Vec<Call> {
        vec![info()]
    }

    fn read_probe(&self, replies: &[Reply]) -> Result<BlockRef, ReadError> {
        match replies.first() {
            Some(Ok(value)) => Ok(read::head(&self.spec, value)?.block),
            Some(Err(fault)) => Err(bad("get_info", format!("refused with code {}", fault.code))),
            None => Err(bad("get_info", "was not answered")),
        }
    }

    fn draft(&self, change: &Change, anchor: &Anchor) -> Result<Draft, ReadError> {
        if change.method != Method::Regproducer {
            return Err(bad("method", "belongs to Graphene chains; use regproducer"));
        }
        let actions = switch::actions(&self.spec, change, anchor)?;
        let (transaction, expiry) =
            self.transaction(&actions, anchor.head_time, &anchor.irreversible)?;
        Ok(Draft {
            change: change.clone(),
            digest: transaction.digest(&self.spec.chain_id),
            id: transaction.id(),
            expiry,
            bytes: transaction.bytes().to_vec(),
            transaction: transaction.to_json().clone(),
        })
    }

    fn seal(&self, draft: Draft, signature: &Signature) -> Sealed {
        Sealed {
            change: draft.change,
            id: draft.id,
            expiry: draft.expiry,
            transaction: transaction::push(&draft.bytes, &[*signature]),
        }
    }

    fn submit(&self, transaction: &Value) -> Call {
        // Nodes before Leap 3.1 do not know this path: they answer 404, which says "no such method".
        call(
            "send_transaction2",
            json!({
                "return_failure_trace": true,
                "retry_trx": false,
                "transaction": transaction,
            }),
        )
    }

    fn accepted(&self, reply: &Reply) -> Accepted {
        faults::accepted(reply)
    }

    fn follow(&self, sealed: &Sealed) -> Vec<Call> {
        vec![call("get_transaction_status", json!({"id": sealed.id}))]
    }

    fn outcome(&self, _sealed: &Sealed, replies: &[Reply]) -> Outcome {
        // Nodes without the option answer 404: then the registered key is the only witness.
        let Some(Ok(reply)) = replies.first() else {
            return Outcome::Unknown;
        };
        let state = reply.get("state").and_then(Value::as_str);
        let block = integer(reply, "block_number").ok();
        match (state, block) {
            // Forked out: it may still get into a block of the other branch.
            (Some("LOCALLY_APPLIED" | "FORKED_OUT"), _) => Outcome::Pending,
            (Some("IN_BLOCK"), Some(block)) => Outcome::Included { block },
            (Some("IRREVERSIBLE"), Some(block)) => Outcome::Irreversible { block },
            (Some("FAILED"), _) => Outcome::Expired,
            _ => Outcome::Unknown,
        }
    }

    fn compares_and_swaps(&self, _method: Method) -> bool {
        false
    }

    fn framing(&self) -> Framing {
        Framing::Rest
    }

    fn turn(&self) -> u32 {
        read::TURN
    }

    fn nonce(&self) -> Nonce {
        Nonce::Antelope
    }
}

fn call(path: &str, body: Value) -> Call {
    Call {
        method: format!("/v1/chain/{path}"),
        params: body,
    }
}

fn info() -> Call {
    call("get_info", json!({}))
}

fn table_row(name: &str) -> Call {
    call(
        "get_table_rows",
        json!({
            "json": true,
            "code": "eosio",
            "scope": "eosio",
            "table": "producers",
            // Else a name of digits only is taken for a number.
            "key_type": "name",
            "lower_bound": name,
            "upper_bound": name,
            "limit": 1,
        }),
    )
}

/// Account and permission of an authority: `alice@failover`, or `alice` for its `active`.
fn split(authority: &str) -> (&str, &str) {
    authority.split_once('@').unwrap_or((authority, "active"))
}

/// The accounts to ask for, once each.
fn accounts(memory: &Memory) -> BTreeSet<&str> {
    memory.authorities.iter().map(|a| split(a).0).collect()
}
