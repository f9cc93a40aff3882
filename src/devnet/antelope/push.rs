//! How a transaction gets onto the chain: unpacked, checked against what an endpoint sees, pending on that branch, and
//! what the node answers. Pure.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::branch::prefix;
use super::bytes::Writer;
use super::chain::Chain;
use super::errors::{At, Failure, UNSUPPORTED};
use super::reads::no_transaction;
use super::transaction::{SigningAuthority, Tx};
use super::verify::{self, Refusal};
use crate::devnet::chain::{TxRecord, ViewSpec, active_key};
use crate::devnet::time::iso;
use crate::hex;
use crate::keys::{Nonce, PublicKey, Signature, Signer};

/// Life of a transaction made by hand, seconds.
const BY_HAND_S: u64 = 60;

impl Chain {
    /// Answers one of the paths that take a transaction.
    pub(super) fn push(
        &mut self,
        path: &str,
        params: &Value,
        spec: ViewSpec,
        via: &str,
    ) -> Result<(StatusCode, Value), Failure> {
        let second = path == "send_transaction2";
        let dry = path == "compute_transaction";
        let wrapped = second || dry;
        if second && params["retry_trx"].as_bool().unwrap_or(false) {
            return Err(Failure::new(
                UNSUPPORTED,
                At("chain_plugin.cpp", 2232, "send_transaction_gen"),
                "Transaction retry not enabled on node. transaction-retry-max-storage-size-gb is 0",
            ));
        }
        let sent = if wrapped {
            &params["transaction"]
        } else {
            params
        };
        let tx = self.unpack(sent)?;
        let view = self.view(spec);
        let (num, ms) = (view.head.head_num + 1, view.next_ms);
        let result = if dry {
            self.try_out(&tx, spec)
        } else {
            self.accept(&tx, spec, via)
        };
        let status = if dry {
            StatusCode::OK
        } else {
            StatusCode::ACCEPTED
        };
        match result {
            Ok(()) => Ok((status, trace(path, &tx, num, ms, None))),
            Err(refusal) => {
                let in_trace =
                    dry || second && params["return_failure_trace"].as_bool().unwrap_or(true);
                if in_trace && refusal.tried {
                    let except = refusal.failure.except(ms);
                    return Ok((status, trace(path, &tx, num, ms, Some(except))));
                }
                Err(refusal.failure)
            }
        }
    }

    fn unpack(&self, sent: &Value) -> Result<Tx, Failure> {
        let bad = |why: &str| no_transaction(why);
        let packed = sent["packed_trx"]
            .as_str()
            .ok_or_else(|| bad("packed_trx"))?;
        let packed = hex::decode(packed).map_err(|e| bad(&e.to_string()))?;
        match &sent["compression"] {
            Value::Null => {}
            v if *v == 0 || *v == "none" => {}
            _ => return Err(bad("only compression none is simulated")),
        }
        if sent["packed_context_free_data"]
            .as_str()
            .is_some_and(|s| !s.is_empty() && s != "00")
        {
            return Err(bad("context-free data is not simulated"));
        }
        let texts = sent["signatures"]
            .as_array()
            .ok_or_else(|| bad("signatures"))?;
        let signatures = texts
            .iter()
            .map(|s| Signature::from_sig_k1(s.as_str().unwrap_or_default()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| bad(&e.to_string()))?;
        Tx::unpack(&packed, signatures, &self.chain_id).map_err(|e| bad(&e))
    }

    fn try_out(&self, tx: &Tx, spec: ViewSpec) -> Result<(), Refusal> {
        let view = self.view(spec);
        let branch = view.branch;
        let head = view.head.head_num;
        let known = |id: &str| {
            branch.included.get(id).is_some_and(|(n, _)| *n <= head)
                || branch.mempool.iter().any(|t| t.id == id)
        };
        let tapos = |n| branch.tapos(n, head);
        let mut state = view.next.clone();
        let cx = |known| verify::Context {
            block_ms: view.next_ms,
            finality: self.rules.finality,
            known,
            tapos: &tapos,
        };
        for waiting in &branch.mempool {
            // One that no longer passes is left out, as it will be when the block is built.
            let _ = verify::execute(waiting, &mut state, &cx(&|_: &str| false));
        }
        verify::execute(tx, &mut state, &cx(&known))
    }

    /// Checks a transaction against a view and takes it into that branch's pending ones.
    pub(super) fn accept(&mut self, tx: &Tx, spec: ViewSpec, via: &str) -> Result<(), Refusal> {
        self.try_out(tx, spec)?;
        let accepted_ms = self.view(spec).head.head_ms;
        let id = match spec {
            ViewSpec::Branch(id) if self.branches.contains_key(&id) => id,
            _ => 0,
        };
        if let Some(branch) = self.branches.get_mut(&id) {
            branch.failed.remove(&tx.id);
            branch.mempool.push(Arc::new(tx.clone()));
        }
        self.txs.push(TxRecord {
            txid: tx.id.clone(),
            via: via.to_owned(),
            accepted_ms,
            operations: tx.operations(),
            branch: id,
        });
        Ok(())
    }

    /// What a person would do by hand: `regproducer` with the active key, changing only the key.
    ///
    /// # Errors
    /// The node's message when it refuses.
    pub fn operator_sets_key(&mut self, producer: &str, key: &PublicKey) -> Result<String, String> {
        let (url, location) = self.registered(producer)?;
        let mut data = Writer::default();
        data.name(producer)
            .raw(&[0])
            .raw(key.as_bytes())
            .blob(url.as_bytes())
            .raw(&location.to_le_bytes());
        self.operator_acts(producer, "regproducer", &data.0)
    }

    /// The same with an authority of several keys (`regproducer2`).
    ///
    /// # Errors
    /// The node's message when it refuses.
    pub fn operator_sets_authority(
        &mut self,
        producer: &str,
        authority: &SigningAuthority,
    ) -> Result<String, String> {
        let (url, location) = self.registered(producer)?;
        let mut data = Writer::default();
        data.name(producer)
            .raw(&[0])
            .raw(&authority.threshold.to_le_bytes())
            .count(authority.keys.len());
        for (key, weight) in &authority.keys {
            data.raw(&[0])
                .raw(key.as_bytes())
                .raw(&weight.to_le_bytes());
        }
        data.blob(url.as_bytes()).raw(&location.to_le_bytes());
        self.operator_acts(producer, "regproducer2", &data.0)
    }

    /// Takes the producer out: `unregprod`.
    ///
    /// # Errors
    /// The node's message when it refuses.
    pub fn operator_unregisters(&mut self, producer: &str) -> Result<String, String> {
        let mut data = Writer::default();
        data.name(producer);
        self.operator_acts(producer, "unregprod", &data.0)
    }

    /// Claims the producer's pay, which puts its count of unpaid blocks back to 0.
    ///
    /// # Errors
    /// The node's message when it refuses.
    pub fn operator_claims(&mut self, producer: &str) -> Result<String, String> {
        let mut data = Writer::default();
        data.name(producer);
        self.operator_acts(producer, "claimrewards", &data.0)
    }

    fn registered(&self, producer: &str) -> Result<(String, u16), String> {
        let head = self.head();
        let row = head.row(producer);
        let row = row.ok_or_else(|| format!("no producer {producer}"))?;
        Ok((row.url.clone(), row.location))
    }

    /// One action of the system contract, signed with the account's active key.
    ///
    /// # Errors
    /// The node's message when it refuses.
    pub fn operator_acts(
        &mut self,
        account: &str,
        action: &str,
        data: &[u8],
    ) -> Result<String, String> {
        let view = self.view(ViewSpec::Branch(0));
        // The last irreversible block, as cleos takes it: a fork cannot take it away.
        let (number, id) = match view.branch.block(view.head.lib) {
            Some(block) => (block.num, block.id.clone()),
            None => (view.head.head_num, view.head.head_id.clone()),
        };
        // Two alike within a second would be one transaction: the count keeps them apart.
        let expiration = view.next_ms / 1000 + BY_HAND_S + self.txs.len() as u64 % 3000;
        let mut packed = Writer::default();
        packed
            .raw(&u32::try_from(expiration).unwrap_or(0).to_le_bytes())
            .raw(&u16::try_from(number & 0xffff).unwrap_or(0).to_le_bytes())
            .raw(&prefix(&id).to_le_bytes())
            .raw(&[0, 0, 0, 0, 1])
            .name("eosio")
            .name(action)
            .count(1)
            .name(account)
            .name("active")
            .blob(data)
            .raw(&[0]);
        let unsigned = Tx::unpack(&packed.0, Vec::new(), &self.chain_id)?;
        let key = active_key(account)?;
        let signature = key
            .sign(&unsigned.digest, Nonce::Antelope)
            .map_err(|e| e.to_string())?;
        let tx = Tx {
            signatures: vec![signature],
            ..unsigned
        };
        self.accept(&tx, ViewSpec::Branch(0), "operator")
            .map(|()| tx.id.clone())
            .map_err(|r| r.failure.text())
    }
}

/// The reply: id and trace.
fn trace(path: &str, tx: &Tx, num: u64, block_ms: u64, except: Option<Value>) -> Value {
    let words = tx.size.div_ceil(8);
    let code = except.as_ref().map(|_| "10000000000000000000");
    let receipt = match except {
        Some(_) => Value::Null,
        None => json!({"status": "executed", "cpu_usage_us": 244, "net_usage_words": words}),
    };
    let mut actions: Vec<Value> = tx.actions.iter().enumerate().filter(|_| except.is_none()).map(|(i, a)| {
        json!({"action_ordinal": i + 1, "creator_action_ordinal": 0, "closest_unnotified_ancestor_action_ordinal": 0,
            "receipt": {"receiver": a.account, "act_digest": "00".repeat(32), "global_sequence": num, "recv_sequence": num,
                "auth_sequence": a.authorization.iter().map(|l| json!([l.actor, num])).collect::<Vec<_>>(),
                "code_sequence": 2, "abi_sequence": 2},
            "receiver": a.account,
            "act": {"account": a.account, "name": a.name, "authorization": a.levels(), "data": a.json(), "hex_data": hex::encode(&a.data)},
            "context_free": false, "elapsed": 105, "console": "", "trx_id": tx.id, "block_num": num,
            "block_time": iso(block_ms, 1), "producer_block_id": null, "account_ram_deltas": [], "except": null,
            "error_code": null, "return_value_hex_data": ""})
    }).collect();
    // Only the oldest of the paths nests the traces of inline actions; there are none here.
    if path == "push_transaction" {
        for action in &mut actions {
            action["inline_traces"] = json!([]);
        }
    }
    json!({"transaction_id": tx.id, "processed": {
        "id": tx.id, "block_num": num, "block_time": iso(block_ms, 1), "producer_block_id": null, "receipt": receipt,
        "elapsed": 244, "net_usage": words * 8, "scheduled": false, "action_traces": actions,
        "account_ram_delta": null, "except": except, "error_code": code,
    }})
}
