//! Objects as BitShares nodes show them: witnesses `1.6.x`, accounts `1.2.x`, the schedule, properties, blocks. Pure.

use serde_json::{Value, json};

use super::super::chain::View;
use super::super::state::{Block, State};
use super::super::time::iso;
use super::super::witness::Witness;
use super::{FEE, MAX_EXPIRATION_S};
use crate::chain::graphene::{ObjectId, Signatory};

/// The object of the first witness is `1.6.1`, its account `1.2.6`, as on a chain with a genesis of its own.
const FIRST_WITNESS: u64 = 1;
const FIRST_ACCOUNT: u64 = 6;
/// Accounts that are no witness: there is one, `bob`.
const BOB: (&str, &str) = ("bob", "1.2.5");

/// The witness object's id.
pub(super) fn witness_id(w: &Witness) -> String {
    ObjectId::protocol(ObjectId::WITNESS, w.id as u64 + FIRST_WITNESS).to_string()
}

/// The id of the witness's account.
pub(super) fn account_id(w: &Witness) -> String {
    ObjectId::protocol(ObjectId::ACCOUNT, w.id as u64 + FIRST_ACCOUNT).to_string()
}

/// The witness whose object, or whose account, has that id.
pub(super) fn witness<'a>(state: &'a State, id: &str, kind: u8) -> Option<&'a Witness> {
    let first = if kind == ObjectId::WITNESS {
        FIRST_WITNESS
    } else {
        FIRST_ACCOUNT
    };
    let place = ObjectId::of_kind(id, kind)?.instance.checked_sub(first)?;
    let found = state.witnesses().get(usize::try_from(place).ok()?)?;
    Some(found)
}

/// The name of the account with that id.
pub(super) fn account_name<'a>(state: &'a State, id: &str) -> Option<&'a str> {
    if id == BOB.1 {
        return Some(BOB.0);
    }
    witness(state, id, ObjectId::ACCOUNT).map(|w| w.owner.as_str())
}

/// Whose witness object that is.
pub(in super::super) fn owner<'a>(state: &'a State, id: &str) -> Option<&'a str> {
    witness(state, id, ObjectId::WITNESS).map(|w| w.owner.as_str())
}

/// How a block's header names a witness.
pub(in super::super) fn signatory(state: &State, owner: &str) -> Signatory {
    match state.witness(owner) {
        Some(w) => Signatory::Object(w.id as u64 + FIRST_WITNESS),
        None => Signatory::Name(owner.to_owned()),
    }
}

/// A number as fc prints it there: a string beyond 32 bits.
fn big(n: u64) -> Value {
    if i32::try_from(n).is_ok() {
        n.into()
    } else {
        n.to_string().into()
    }
}

impl View<'_> {
    fn stamp(&self, ms: u64) -> String {
        iso(ms, self.state.interval_ms)
    }

    fn id_of(&self, owner: &str) -> String {
        let found = self.state.witness(owner);
        found.map_or_else(|| "1.6.0".to_owned(), |w| witness_id(w))
    }

    /// Any object; null when there is none.
    pub(super) fn object(&self, id: &Value) -> Value {
        let id = id.as_str().unwrap_or_default();
        match id {
            "2.0.0" => self.global_properties(),
            "2.1.0" => self.dynamic_properties(),
            "2.12.0" => {
                let order = self.state.shuffled.iter();
                json!({"id": id, "current_shuffled_witnesses": order.map(|w| self.id_of(w)).collect::<Vec<_>>()})
            }
            _ if ObjectId::of_kind(id, ObjectId::ACCOUNT).is_some() => self.account(&id.into()),
            _ => witness(&self.state, id, ObjectId::WITNESS)
                .map_or(Value::Null, |w| self.witness_object(w)),
        }
    }

    fn witness_object(&self, w: &Witness) -> Value {
        json!({
            "id": witness_id(w), "witness_account": account_id(w), "last_aslot": big(w.last_aslot),
            "signing_key": self.state.key_text(&w.signing_key), "vote_id": format!("1:{}", w.id),
            "total_votes": big(w.votes), "url": w.url, "total_missed": big(w.total_missed),
            "last_confirmed_block_num": w.last_confirmed,
        })
    }

    /// The name behind an account's name or id, when there is such an account.
    fn account_called<'a>(&'a self, text: &'a str) -> Option<&'a str> {
        if let Some(name) = account_name(&self.state, text) {
            return Some(name);
        }
        let known = self.state.witness(text).is_some() || self.chain.accounts.contains_key(text);
        known.then_some(text)
    }

    /// The witness of an account; null when it has none, `None` when there is no such account.
    pub(super) fn witness_of(&self, account: &str) -> Option<Value> {
        let found = self.state.witness(self.account_called(account)?);
        Some(found.map_or(Value::Null, |w| self.witness_object(w)))
    }

    /// An account by name or id, as much of it as tells who may sign for it; null when there is none.
    pub(super) fn account(&self, called: &Value) -> Value {
        let called = called.as_str().unwrap_or_default();
        let Some((name, key)) = self
            .account_called(called)
            .and_then(|name| Some((name, self.chain.accounts.get(name)?)))
        else {
            return Value::Null;
        };
        let id = self.state.witness(name).map(|w| account_id(w));
        let authority = json!({
            "weight_threshold": 1, "account_auths": [], "key_auths": [[self.state.key_text(key), 1]],
            "address_auths": [],
        });
        json!({
            "id": id.as_deref().unwrap_or(BOB.1), "name": name,
            "owner": authority.clone(), "active": authority,
        })
    }

    /// Pairs of account name and witness id, by name.
    pub(super) fn lookup(&self, from: &str, limit: usize) -> Value {
        let mut all: Vec<(&str, String)> = self
            .state
            .witnesses()
            .iter()
            .map(|w| (w.owner.as_str(), witness_id(w)))
            .filter(|(name, _)| *name >= from)
            .collect();
        all.sort_unstable();
        all.truncate(limit.min(1000));
        json!(all)
    }

    pub(super) fn dynamic_properties(&self) -> Value {
        let s = &self.state;
        // No maintenance took place: the chain's first one is still to come.
        let day = s.head_ms / 86_400_000 * 86_400_000;
        json!({
            "id": "2.1.0", "head_block_number": s.head_num, "head_block_id": s.head_id,
            "time": self.stamp(s.head_ms), "current_witness": self.id_of(&s.current_witness),
            "next_maintenance_time": iso(day + 2 * 86_400_000, 1000),
            "last_vote_tally_time": iso(0, 1000), "last_budget_time": iso(0, 1000),
            "witness_budget": 0, "total_pob": 0, "total_inactive": 0,
            "accounts_registered_this_interval": 0, "recently_missed_count": 0,
            "current_aslot": big(s.aslot), "recent_slots_filled": s.recent_slots.to_string(),
            "dynamic_flags": 0, "last_irreversible_block_num": s.lib,
        })
    }

    pub(super) fn global_properties(&self) -> Value {
        let s = &self.state;
        let interval: Value = if s.interval_ms.is_multiple_of(1000) {
            (s.interval_ms / 1000).into()
        } else {
            json!(s.interval_ms as f64 / 1000.0)
        };
        let mut active: Vec<u64> = s
            .shuffled
            .iter()
            .filter_map(|name| s.witness(name))
            .map(|w| w.id as u64 + FIRST_WITNESS)
            .collect();
        active.sort_unstable();
        let active = active
            .into_iter()
            .map(|n| ObjectId::protocol(ObjectId::WITNESS, n).to_string());
        json!({
            "id": "2.0.0",
            "parameters": {
                "current_fees": {"parameters": [[21, {"fee": FEE}]], "scale": 10_000},
                "block_interval": interval, "maintenance_interval": 86_400,
                "maintenance_skip_slots": 3, "maximum_transaction_size": 2048,
                "maximum_block_size": 2_000_000,
                "maximum_time_until_expiration": MAX_EXPIRATION_S,
                "maximum_witness_count": 1001, "maximum_committee_count": 1001,
            },
            "next_available_vote_id": s.witnesses().len(), "active_committee_members": [],
            "active_witnesses": active.collect::<Vec<_>>(),
        })
    }

    fn shown(&self, num: u64) -> Option<&Block> {
        let block = self.branch.block(num);
        block.filter(|_| num <= self.state.head_num).map(|b| &**b)
    }

    fn linked(&self, b: &Block) -> Value {
        json!({
            "previous": b.previous, "timestamp": self.stamp(b.time_ms),
            "witness": self.id_of(&b.witness), "transaction_merkle_root": b.merkle_root,
            "extensions": [],
        })
    }

    /// A header; null beyond the head.
    pub(super) fn linked_header(&self, num: u64) -> Value {
        self.shown(num).map_or(Value::Null, |b| self.linked(b))
    }

    /// A block, which names neither its id nor its signing key; null beyond the head.
    pub(super) fn linked_block(&self, num: u64) -> Value {
        let Some(b) = self.shown(num) else {
            return Value::Null;
        };
        let mut block = self.linked(b);
        block["witness_signature"] = b.signature.clone().into();
        let transactions = b.txs.iter().map(|tx| {
            let mut json = tx.json.clone();
            json["operation_results"] = json!([[0, {}]]);
            json
        });
        block["transactions"] = transactions.collect();
        block
    }

    /// A transaction that is pending or in a block, until it expires; else null.
    pub(super) fn recent_transaction(&self, txid: &str) -> Value {
        let (block, _) = self.branch.find(txid);
        let included = block.and_then(|num| self.shown(num));
        let mut all = included
            .into_iter()
            .flat_map(|b| &b.txs)
            .chain(self.branch.pending());
        all.find(|tx| tx.id == txid && tx.expiration_ms >= self.state.head_ms)
            .map_or(Value::Null, |tx| tx.json.clone())
    }
}
