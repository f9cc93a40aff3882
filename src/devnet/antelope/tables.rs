//! The producers table as `get_producers` and `get_table_rows` give it. Pure.

use serde_json::{Value, json};

use super::bytes::Writer;
use super::chain::View;
use super::errors::{At, Failure, Kind};
use super::name;
use super::state::Producer;
use crate::devnet::time::iso;
use crate::hex;
use crate::keys::PublicKey;

const NO_TABLE: Kind = (
    3_060_003,
    "contract_table_query_exception",
    "Contract Table Query Exception",
);

impl View<'_> {
    fn row(&self, owner: &str, p: &Producer, json: bool) -> Value {
        let s = &self.next;
        let unpaid = s.unpaid.get(owner).copied().unwrap_or(0);
        let claimed = s.claimed.get(owner).copied().unwrap_or(0);
        let key = p.authority.as_ref().map_or(PublicKey::NULL, |a| a.first());
        if !json {
            let mut w = Writer::default();
            #[allow(clippy::cast_precision_loss)] // votes are floating point numbers on the chain
            w.name(owner)
                .raw(&(p.votes as f64).to_le_bytes())
                .raw(&[0])
                .raw(key.as_bytes())
                .raw(&[u8::from(p.active)])
                .blob(p.url.as_bytes())
                .raw(&u32::try_from(unpaid).unwrap_or(u32::MAX).to_le_bytes())
                .raw(&(claimed * 1000).to_le_bytes())
                .raw(&p.location.to_le_bytes());
            if let Some(a) = &p.authority {
                w.raw(&[0])
                    .raw(&a.threshold.to_le_bytes())
                    .count(a.keys.len());
                for (key, weight) in &a.keys {
                    w.raw(&[0]).raw(key.as_bytes()).raw(&weight.to_le_bytes());
                }
            }
            return hex::encode(&w.0).into();
        }
        let mut row = json!({
            "owner": owner, "total_votes": format!("{}.00000000000000000", p.votes),
            "producer_key": key.to_text(super::PREFIX), "is_active": u8::from(p.active), "url": p.url,
            "unpaid_blocks": unpaid, "last_claim_time": iso(claimed, 1), "location": p.location,
        });
        if let Some(a) = &p.authority {
            row["producer_authority"] = json!(["block_signing_authority_v0", a.keys_json()]);
        }
        row
    }

    /// `get_producers`: by votes, those out of office last. `lower_bound` is a name to begin at, not a filter.
    pub(super) fn producers(&self, params: &Value) -> Value {
        let limit = usize::try_from(params["limit"].as_u64().unwrap_or(50)).unwrap_or(50);
        let as_json = params["json"].as_bool().unwrap_or(false);
        let from = params["lower_bound"].as_str().unwrap_or_default();
        let mut all: Vec<(&String, &Producer)> = self.next.producers.iter().collect();
        all.sort_by_key(|(name, p)| (!p.active, std::cmp::Reverse(p.votes), (*name).clone()));
        let start = if from.is_empty() {
            0
        } else {
            let first = self.next.producers.range(from.to_owned()..).next();
            first.map_or(all.len(), |(owner, _)| {
                all.iter()
                    .position(|(n, _)| *n == owner)
                    .unwrap_or(all.len())
            })
        };
        let rows: Vec<Value> = all
            .iter()
            .skip(start)
            .take(limit)
            .map(|(n, p)| self.row(n, p, as_json))
            .collect();
        let more = all.get(start + rows.len()).map_or("", |(n, _)| n.as_str());
        let total: u64 = all.iter().map(|(_, p)| p.votes).sum();
        json!({"rows": rows, "total_producer_vote_weight": format!("{total}.00000000000000000"), "more": more})
    }

    /// `get_table_rows`, of the table `producers` only.
    pub(super) fn table(&self, params: &Value) -> Result<Value, Failure> {
        let text = |k: &str| match &params[k] {
            Value::String(s) => s.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        if text("code") != "eosio" || text("scope") != "eosio" || text("table") != "producers" {
            return Err(Failure::new(
                NO_TABLE,
                At("chain_plugin.cpp", 1400, "get_table_index_name"),
                format!("Table {} is not specified in the ABI", text("table")),
            ));
        }
        let limit = usize::try_from(params["limit"].as_u64().unwrap_or(10)).unwrap_or(10);
        let as_json = params["json"].as_bool().unwrap_or(false);
        let bound = |k: &str, none: u64| {
            let text = text(k);
            if text.is_empty() {
                return Some(none);
            }
            text.parse().ok().or_else(|| name::number(&text))
        };
        let (Some(lower), Some(upper)) = (bound("lower_bound", 0), bound("upper_bound", u64::MAX))
        else {
            return Err(Failure::new(
                NO_TABLE,
                At("chain_plugin.hpp", 700, "convert_to_type"),
                "Could not convert bound to type 'name'",
            ));
        };
        let mut inside: Vec<(u64, &String, &Producer)> = self
            .next
            .producers
            .iter()
            .filter_map(|(n, p)| Some((name::number(n)?, n, p)))
            .filter(|(key, _, _)| (lower..=upper).contains(key))
            .collect();
        inside.sort_by_key(|(key, _, _)| *key);
        if params["reverse"].as_bool().unwrap_or(false) {
            inside.reverse();
        }
        let rows: Vec<Value> = inside
            .iter()
            .take(limit)
            .map(|(_, n, p)| self.row(n, p, as_json))
            .collect();
        let next = inside.get(rows.len()).map(|(key, _, _)| key.to_string());
        Ok(json!({"rows": rows, "more": next.is_some(), "next_key": next.unwrap_or_default()}))
    }
}
