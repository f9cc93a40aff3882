//! Replies of the reading paths, in the shapes recorded from nodeos. Pure.

use serde_json::{Value, json};

use super::branch::prefix;
use super::chain::View;
use super::errors::{At, Failure, PACKED, UNKNOWN_BLOCK, UNSPECIFIED};
use super::schedule::Finality;
use super::state::Block;
use crate::devnet::nodes::NodeState;
use crate::devnet::time::iso;

/// The version the simulated nodes say they have.
const LEAP: &str = "v4.1.0-dev";
const SPRING: &str = "v1.1.4";

impl View<'_> {
    fn ms_of(&self, num: u64) -> u64 {
        self.branch.block(num).map_or(0, |b| b.time_ms)
    }

    fn id_of(&self, num: u64) -> String {
        let none = || "00".repeat(32);
        self.branch.block(num).map_or_else(none, |b| b.id.clone())
    }

    pub(super) fn info(&self) -> Value {
        let h = &self.head;
        let version = match self.chain.rules.finality {
            Finality::Leap => LEAP,
            Finality::Savanna => SPRING,
        };
        json!({
            "server_version": "3916ba05", "chain_id": crate::hex::encode(&self.chain.chain_id),
            "head_block_num": h.head_num, "last_irreversible_block_num": h.lib,
            "last_irreversible_block_id": self.id_of(h.lib), "head_block_id": h.head_id,
            "head_block_time": iso(h.head_ms, 1), "head_block_producer": h.producer,
            "virtual_block_cpu_limit": 1_318_405, "virtual_block_net_limit": 3_461_505,
            "block_cpu_limit": 399_900, "block_net_limit": 1_048_576, "server_version_string": version,
            "fork_db_head_block_num": h.head_num, "fork_db_head_block_id": h.head_id,
            "server_full_version_string": format!("{version}-devnet"), "total_cpu_weight": "1000040000000",
            "total_net_weight": "1000040000000", "earliest_available_block_num": 1,
            "last_irreversible_block_time": iso(self.ms_of(h.lib), 1),
        })
    }

    /// From the block in the making, so one block ahead of the head, as on a real node. With Savanna `proposed` is
    /// always null and `pending` shows what is to come.
    pub(super) fn schedules(&self) -> Value {
        let s = &self.next;
        let (pending, proposed) = match self.chain.rules.finality {
            Finality::Leap => (
                s.shown_pending
                    .as_ref()
                    .or_else(|| s.pending.as_ref().map(|(p, _)| p)),
                s.proposed.as_ref().map(|(p, _, _)| p),
            ),
            Finality::Savanna => (s.proposed.as_ref().map(|(p, _, _)| p), None),
        };
        json!({
            "active": s.active.json(), "pending": pending.map(|s| s.json()), "proposed": proposed.map(|s| s.json()),
        })
    }

    pub(super) fn finalizer_info(&self) -> Value {
        let s = &self.next;
        let policy = |p: &super::state::Policy| {
            let all: Vec<Value> = p
                .finalizers
                .iter()
                .map(|(name, key)| json!({"description": name, "weight": 1, "public_key": key}))
                .collect();
            json!({"generation": p.generation, "threshold": all.len() * 2 / 3 + 1, "finalizers": all})
        };
        // A finalizer votes when a healthy node of its producer holds the key of the active policy.
        let votes: Vec<Value> = s
            .policy
            .finalizers
            .iter()
            .filter(|(name, key)| {
                self.chain.nodes.iter().any(|n| {
                    n.witness == **name
                        && n.state == NodeState::Healthy
                        && super::genesis::finalizer_key(name, &n.name) == **key
                })
            })
            .map(|(name, key)| {
                json!({"description": name, "public_key": key, "is_vote_strong": true,
                    "finalizer_policy_generation": s.policy.generation, "voted_for_block_id": self.head.head_id,
                    "voted_for_block_num": self.head.head_num, "voted_for_block_timestamp": iso(self.head.head_ms, 1)})
            })
            .collect();
        json!({
            "active_finalizer_policy": policy(&s.policy),
            "pending_finalizer_policy": s.policy_pending.as_ref().map(|(p, _)| policy(p)),
            "last_tracked_votes": votes,
        })
    }

    fn unknown(method: &'static str, line: u32, wanted: &str) -> Failure {
        Failure::new(
            UNKNOWN_BLOCK,
            At("chain_plugin.cpp", line, method),
            format!("Could not find block: {wanted}"),
        )
    }

    fn find(&self, wanted: &Value, method: &'static str, line: u32) -> Result<&Block, Failure> {
        let text = match wanted {
            Value::String(s) => s.clone(),
            other => other.to_string(),
        };
        let by_num = text.parse().ok().and_then(|n| self.branch.block(n));
        let found = by_num.or_else(|| {
            let num = u64::from_str_radix(text.get(..8)?, 16).ok()?;
            self.branch.block(num).filter(|b| b.id == text)
        });
        found
            .filter(|b| b.num <= self.head.head_num)
            .map(|b| &**b)
            .ok_or_else(|| View::unknown(method, line, &text))
    }

    pub(super) fn block_info(&self, wanted: &Value) -> Result<Value, Failure> {
        let b = self.find(wanted, "get_block_info", 2041)?;
        let mut reply = header(b);
        reply["block_num"] = b.num.into();
        reply["ref_block_num"] = (b.num & 0xffff).into();
        reply["id"] = b.id.clone().into();
        reply["ref_block_prefix"] = prefix(&b.id).into();
        Ok(reply)
    }

    pub(super) fn block(&self, wanted: &Value) -> Result<Value, Failure> {
        let b = self.find(wanted, "get_block", 1958)?;
        let mut reply = header(b);
        let tx = |t: &std::sync::Arc<super::transaction::Tx>| {
            let signatures: Vec<String> = t.signatures.iter().map(|s| s.to_sig_k1()).collect();
            json!({"status": "executed", "cpu_usage_us": 244, "net_usage_words": t.size / 8 + 1, "trx": {
                "id": t.id, "signatures": signatures, "compression": "none", "packed_context_free_data": "",
                "context_free_data": [], "transaction": {"expiration": iso(t.expiration_ms, 1000),
                    "ref_block_num": t.ref_num, "ref_block_prefix": t.ref_prefix, "actions": t.operations()}}})
        };
        reply["new_producers"] = Value::Null;
        reply["transactions"] = b.txs.iter().map(tx).collect();
        reply["id"] = b.id.clone().into();
        reply["block_num"] = b.num.into();
        reply["ref_block_prefix"] = prefix(&b.id).into();
        Ok(reply)
    }

    pub(super) fn block_header(&self, wanted: &Value) -> Result<Value, Failure> {
        let b = self.find(wanted, "get_block_header", 2010)?;
        let mut inner = header(b);
        inner["header_extensions"] = json!([]);
        Ok(json!({"id": b.id, "signed_block_header": inner, "block_extensions": []}))
    }

    pub(super) fn account(&self, name: &str) -> Result<Value, Failure> {
        let s = &self.next;
        let account = s.accounts.get(name).ok_or_else(|| {
            Failure::new(
                UNSPECIFIED,
                At("http_plugin.cpp", 300, "handle_exception"),
                format!("unknown key (eosio::chain::name): {name}"),
            )
        })?;
        let permissions: Vec<Value> = account
            .permissions
            .iter()
            .map(|(perm, p)| {
                let linked: Vec<Value> = account
                    .links
                    .iter()
                    .filter(|(_, to)| *to == perm)
                    .map(|((code, action), _)| {
                        let action = Some(action).filter(|a| !a.is_empty());
                        json!({"account": code, "action": action})
                    })
                    .collect();
                json!({"perm_name": perm, "parent": p.parent, "required_auth": p.auth.json(), "linked_actions": linked})
            })
            .collect();
        let limit = json!({"used": 0, "available": 5_981_241, "max": 5_981_241,
            "last_usage_update_time": iso(self.head.head_ms, 1), "current_used": 0});
        Ok(json!({
            "account_name": name, "head_block_num": self.head.head_num, "head_block_time": iso(self.head.head_ms, 1),
            "privileged": false, "last_code_update": "1970-01-01T00:00:00.000",
            "created": "2026-11-21T03:14:44.500", "ram_quota": 206_190, "net_weight": 10_000_000,
            "cpu_weight": 10_000_000, "net_limit": limit, "cpu_limit": limit, "ram_usage": 4205,
            "permissions": permissions,
            "total_resources": {"owner": name, "net_weight": "1000.0000 SYS", "cpu_weight": "1000.0000 SYS", "ram_bytes": 204_790},
            "self_delegated_bandwidth": null, "refund_request": null, "voter_info": null, "rex_info": null,
            "subjective_cpu_bill_limit": {"used": 0, "available": 0, "max": 0,
                "last_usage_update_time": "2000-01-01T00:00:00.000", "current_used": 0},
            "eosio_any_linked_actions": [],
        }))
    }

    pub(super) fn transaction_status(&self, id: &str) -> Result<Value, Failure> {
        if crate::hex::decode_array::<32>(id).is_err() {
            let method = "parse_params<eosio::chain_apis::read_only::get_transaction_status_params, eosio::http_params_types::params_required>";
            return Err(Failure::new(
                super::errors::BAD_REQUEST,
                At("chain_api_plugin.cpp", 41, method),
                "Invalid transaction id",
            ));
        }
        let h = &self.head;
        let place = self
            .branch
            .included
            .get(id)
            .filter(|(n, _)| *n <= h.head_num);
        let pending = self.branch.mempool.iter().find(|t| t.id == id);
        let state = match (place, pending) {
            (Some((n, _)), _) if *n <= h.lib => "IRREVERSIBLE",
            (Some(_), _) => "IN_BLOCK",
            (None, _) if self.branch.forked_out.contains(id) => "FORKED_OUT",
            (None, Some(_)) => "LOCALLY_APPLIED",
            (None, None) if self.branch.failed.contains(id) => "FAILED",
            (None, None) => "UNKNOWN",
        };
        let mut reply = json!({
            "state": state, "head_number": h.head_num, "head_id": h.head_id, "head_timestamp": iso(h.head_ms, 1),
            "irreversible_number": h.lib, "irreversible_id": self.id_of(h.lib),
            "irreversible_timestamp": iso(self.ms_of(h.lib), 1),
            "earliest_tracked_block_id": self.id_of(1), "earliest_tracked_block_number": 1,
        });
        let mut expiration = pending.map(|t| t.expiration_ms);
        if let Some((num, at)) = place
            && let Some(block) = self.branch.block(*num)
        {
            reply["block_number"] = block.num.into();
            reply["block_id"] = block.id.clone().into();
            reply["block_timestamp"] = iso(block.time_ms, 1).into();
            expiration = block.txs.get(*at).map(|t| t.expiration_ms);
        }
        if let Some(ms) = expiration {
            reply["expiration"] = iso(ms, 1).into();
        }
        Ok(reply)
    }
}

/// The fields that all three answers about a block share.
fn header(b: &Block) -> Value {
    json!({
        "timestamp": iso(b.time_ms, 1), "producer": b.producer, "confirmed": 0, "previous": b.previous,
        "transaction_mroot": b.transaction_mroot, "action_mroot": b.action_mroot,
        "schedule_version": b.schedule_version, "producer_signature": b.signature,
    })
}

/// What a node answers to bytes that are no transaction.
pub(super) fn no_transaction(why: &str) -> Failure {
    Failure::new(
        PACKED,
        At("chain_plugin.cpp", 2105, "send_transaction_gen"),
        "Invalid packed transaction",
    )
    .through(At("abi_serializer.cpp", 480, "from_variant"), why)
}
