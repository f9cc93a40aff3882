//! How a transaction gets onto the chain: checked against what an endpoint sees, then pending on that branch. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::bitshares;
use super::chain::{Chain, TxRecord, ViewSpec, active_key};
use super::dialect;
use super::errors::Failure;
use super::state::State;
use super::time::iso;
use super::transaction::{self, Tx};
use super::verify::{self, Context};
use super::witness::Witness;
use crate::keys::PublicKey;

impl Chain {
    pub(super) fn context<'a>(
        &'a self,
        head: &'a State,
        pending: &'a State,
        known: &'a dyn Fn(&str) -> bool,
        tapos: &'a dyn Fn(u16) -> u32,
    ) -> Context<'a> {
        Context {
            names: self.names,
            codec: &self.codec,
            head,
            pending,
            accounts: &self.accounts,
            known,
            tapos,
        }
    }

    /// Checks a transaction (condenser form) against a view and takes it into that branch's pending ones.
    pub(crate) fn accept(
        &mut self,
        raw: &Value,
        spec: ViewSpec,
        via: &str,
    ) -> Result<Arc<Tx>, Failure> {
        let view = self.view(spec);
        let head = view.state.clone();
        let tx = transaction::parse(raw, &self.codec, head.head_ms)?;
        let mut pending = (*head).clone();
        for waiting in &view.branch.mempool {
            for effect in &waiting.effects {
                pending.apply_effect(effect, head.head_ms);
            }
        }
        let branch = view.branch;
        let known = |id: &str| {
            branch
                .included
                .get(id)
                .is_some_and(|(num, _)| *num <= head.head_num)
                || branch.mempool.iter().any(|t| t.id == id)
        };
        let tx = verify::check(
            &tx,
            &self.context(&head, &pending, &known, &|n| branch.tapos(n, head.head_num)),
        )?;
        let id = match spec {
            ViewSpec::Branch(id) if self.branches.contains_key(&id) => id,
            _ => 0,
        };
        if let Some(branch) = self.branches.get_mut(&id) {
            branch.mempool.push(tx.clone());
        }
        self.txs.push(TxRecord {
            txid: tx.id.clone(),
            via: via.to_owned(),
            accepted_ms: head.head_ms,
            operations: tx.json["operations"].clone(),
            branch: id,
        });
        Ok(tx)
    }

    /// Whether a transaction's signatures suffice (`verify_authority`): nothing else is checked, nothing is kept.
    pub(crate) fn verify_authority(&self, raw: &Value, spec: ViewSpec) -> Result<(), Failure> {
        let head = self.view(spec).state;
        let tx = transaction::parse(raw, &self.codec, head.head_ms)?;
        verify::authority_by_any(&tx, &self.context(&head, &head, &|_| false, &|_| 0)).map(|_| ())
    }

    /// What a person would do by hand: `witness_update` with the active key, changing only the signing key.
    ///
    /// # Errors
    /// The node's message when it refuses.
    pub fn operator_sets_key(&mut self, witness: &str, key: &PublicKey) -> Result<String, String> {
        self.by_hand(witness, |w| w.signing_key = *key)
    }

    /// The same, changing the address and the properties and leaving the key.
    ///
    /// # Errors
    /// The node's message when it refuses.
    pub fn operator_sets_properties(
        &mut self,
        witness: &str,
        url: &str,
        account_creation_fee: &str,
        maximum_block_size: u32,
        interest_rate: u16,
    ) -> Result<String, String> {
        self.by_hand(witness, |w| {
            w.url = url.to_owned();
            w.account_creation_fee = account_creation_fee.to_owned();
            w.maximum_block_size = maximum_block_size;
            w.interest_rate = interest_rate;
        })
    }

    fn by_hand(
        &mut self,
        witness: &str,
        edit: impl FnOnce(&mut Witness),
    ) -> Result<String, String> {
        let head = self.head();
        let mut w = (**head
            .witness(witness)
            .ok_or_else(|| format!("no witness {witness}"))?)
        .clone();
        edit(&mut w);
        let mut props = json!({"account_creation_fee": w.account_creation_fee, "maximum_block_size": w.maximum_block_size});
        if let Some(debt) = self.names.debt {
            props[format!("{debt}_interest_rate")] = w.interest_rate.into();
        }
        let operation = if self.codec.dialect.names_objects() {
            bitshares::by_hand(&head, &w)
        } else {
            json!(["witness_update", {
                "owner": witness, "url": w.url, "block_signing_key": head.key_text(&w.signing_key),
                "props": props, "fee": format!("0.000 {}", dialect::CORE),
            }])
        };
        let ref_num = head.head_num & 0xffff;
        let mut tx = json!({
            "ref_block_num": ref_num,
            "ref_block_prefix": self.main().tapos(u16::try_from(ref_num).unwrap_or(0), head.head_num),
            "expiration": iso(head.head_ms / 1000 * 1000 + 60_000, 1000),
            "operations": [operation],
            "extensions": [],
        });
        self.codec.sign(&mut tx, &[&active_key(witness)?])?;
        self.accept(&tx, ViewSpec::Branch(0), "operator")
            .map(|tx| tx.id.clone())
            .map_err(|f| {
                f.to_json()["message"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
    }
}
