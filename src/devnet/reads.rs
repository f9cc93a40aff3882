//! The replies to reading calls, field for field as the recorded nodes gave them. Pure.

use serde_json::{Map, Value, json};

use super::chain::View;
use super::dialect::{
    CHAIN_ID, CORE, DEBT, MAX_EXPIRATION_S, MAX_URL, asset, op_to_appbase, vests,
};
use super::state::{Block, MAX_WITNESSES};
use super::time::iso;
use super::transaction::Tx;
use super::witness::Witness;

/// A big number the way fc prints it: a string when it does not fit 32 bits.
fn big(n: u64) -> Value {
    if n > 0xffff_ffff {
        n.to_string().into()
    } else {
        n.into()
    }
}

/// An asset kept as text.
fn text_asset(text: &str, appbase: bool) -> Value {
    if appbase {
        super::dialect::appbase_asset(text).unwrap_or_else(|| text.into())
    } else {
        text.into()
    }
}

impl View<'_> {
    fn time(&self, ms: u64) -> String {
        iso(ms, self.state.interval_ms)
    }

    /// `get_dynamic_global_properties`.
    pub(crate) fn properties(&self, appbase: bool) -> Value {
        let s = &self.state;
        let n = self.chain.names;
        let mut m = Map::new();
        let mut put = |k: &str, v: Value| {
            m.insert(k.to_owned(), v);
        };
        if appbase {
            put("id", 0.into());
        }
        let supply = 250_000_030_825 + i64::try_from(s.head_num).unwrap_or(0) * 2_320;
        put("head_block_number", s.head_num.into());
        put("head_block_id", s.head_id.clone().into());
        put("time", self.time(s.head_ms).into());
        put("current_witness", s.current_witness.clone().into());
        put("total_pow", u64::MAX.to_string().into());
        put("num_pow_witnesses", 0.into());
        if n.debt.is_some() {
            put("virtual_supply", asset(supply + 3_480, CORE, appbase));
        }
        put("current_supply", asset(supply, CORE, appbase));
        if n.config == "STEEM" {
            put("confidential_supply", asset(0, CORE, appbase));
        }
        if let Some(debt) = n.debt {
            put(
                &format!("init_{debt}_supply"),
                asset(7_000_000_000, DEBT, appbase),
            );
            put(
                &format!("current_{debt}_supply"),
                asset(3_480, DEBT, appbase),
            );
            if n.config == "STEEM" {
                put(
                    &format!("confidential_{debt}_supply"),
                    asset(0, DEBT, appbase),
                );
            }
        }
        let core = n.core;
        put(
            &format!("total_vesting_fund_{core}"),
            asset(52_000_883_812, CORE, appbase),
        );
        put("total_vesting_shares", vests(2_249_649_484_563, appbase));
        put(
            &format!("total_reward_fund_{core}"),
            asset(0, CORE, appbase),
        );
        put("total_reward_shares2", "0".into());
        put("pending_rewarded_vesting_shares", vests(0, appbase));
        put(
            &format!("pending_rewarded_vesting_{core}"),
            asset(0, CORE, appbase),
        );
        if let Some(debt) = n.debt {
            put(&format!("{debt}_interest_rate"), 0.into());
            put(&format!("{debt}_print_rate"), 10_000.into());
        }
        put("maximum_block_size", 65_536.into());
        put(
            "required_actions_partition_percent",
            if n.config == "STEEM" { 2500 } else { 0 }.into(),
        );
        put("current_aslot", big(s.aslot));
        put("recent_slots_filled", s.recent_slots.to_string().into());
        put("participation_count", s.recent_slots.count_ones().into());
        put("last_irreversible_block_num", s.lib.into());
        put("vote_power_reserve_rate", 10.into());
        put("delegation_return_period", 432_000.into());
        put(
            "reverse_auction_seconds",
            if n.config == "STEEM" { 300 } else { 0 }.into(),
        );
        put("available_account_subsidies", 537_371.into());
        if let Some(debt) = n.debt {
            put(&format!("{debt}_stop_percent"), 1000.into());
            put(&format!("{debt}_start_percent"), 900.into());
        }
        let hour = s.head_ms / 3_600_000 * 3_600_000;
        put("next_maintenance_time", iso(hour + 3_600_000, 1000).into());
        put("last_budget_time", iso(hour, 1000).into());
        if n.config == "HIVE" {
            put(
                "next_daily_maintenance_time",
                iso(hour + 3_600_000, 1000).into(),
            );
        }
        put("content_reward_percent", 6500.into());
        put("vesting_reward_percent", 1500.into());
        put("sps_fund_percent", 1000.into());
        put(
            "sps_interval_ledger",
            asset(156_368, if n.debt.is_some() { DEBT } else { CORE }, appbase),
        );
        put("downvote_pool_percent", 2500.into());
        if n.config == "HIVE" {
            for (k, v) in [
                ("current_remove_threshold", 20),
                ("early_voting_seconds", 86_400),
                ("mid_voting_seconds", 172_800),
                ("max_consecutive_recurrent_transfer_failures", 10),
                ("max_recurrent_transfer_end_date", 730),
                ("min_recurrent_transfers_recurrence", 24),
                ("max_open_recurrent_transfers", 255),
            ] {
                put(k, v.into());
            }
        }
        Value::Object(m)
    }

    fn props(&self, w: &Witness, appbase: bool) -> Value {
        let mut m = Map::new();
        m.insert(
            "account_creation_fee".into(),
            text_asset(&w.account_creation_fee, appbase),
        );
        m.insert("maximum_block_size".into(), w.maximum_block_size.into());
        if let Some(debt) = self.chain.names.debt {
            m.insert(format!("{debt}_interest_rate"), w.interest_rate.into());
        }
        m.insert("account_subsidy_budget".into(), w.subsidy_budget.into());
        m.insert("account_subsidy_decay".into(), w.subsidy_decay.into());
        if self.chain.names.config == "BLURT" {
            m.insert("operation_flat_fee".into(), asset(50, CORE, appbase));
            m.insert("bandwidth_kbytes_fee".into(), asset(10, CORE, appbase));
        }
        Value::Object(m)
    }

    /// One witness object; null when there is none of that name.
    pub(crate) fn witness(&self, owner: &str, appbase: bool) -> Value {
        let Some(w) = self.state.witness(owner) else {
            return Value::Null;
        };
        let n = self.chain.names;
        let mut m = Map::new();
        let mut put = |k: &str, v: Value| {
            m.insert(k.to_owned(), v);
        };
        put("id", w.id.into());
        put("owner", w.owner.clone().into());
        put("created", iso(w.created_ms, 1000).into());
        put("url", w.url.clone().into());
        put("votes", big(w.votes));
        put("virtual_last_update", "0".into());
        put("virtual_position", "0".into());
        let virtual_time = u128::MAX / u128::from(w.votes.max(1));
        put("virtual_scheduled_time", virtual_time.to_string().into());
        put("total_missed", w.total_missed.into());
        put("last_aslot", big(w.last_aslot));
        put("last_confirmed_block_num", w.last_confirmed.into());
        put("pow_worker", 0.into());
        put("signing_key", self.state.key_text(&w.signing_key).into());
        put("props", self.props(w, appbase));
        if let Some(debt) = n.debt {
            let price = json!({"base": text_asset(&w.feed.0, appbase), "quote": text_asset(&w.feed.1, appbase)});
            put(&format!("{debt}_exchange_rate"), price);
            put(
                &format!("last_{debt}_exchange_update"),
                iso(w.feed_ms, 1000).into(),
            );
        }
        put("last_work", "0".repeat(64).into());
        put("running_version", n.version.into());
        put("hardfork_version_vote", "0.0.0".into());
        put("hardfork_time_vote", "2016-01-01T00:00:00".into());
        put("available_witness_account_subsidies", 25_873.into());
        Value::Object(m)
    }

    /// Names in the schedule, padded as on the wire.
    pub(crate) fn active_witnesses(&self) -> Vec<String> {
        let mut names = (*self.state.shuffled).clone();
        names.resize(names.len().max(MAX_WITNESSES), String::new());
        names
    }

    /// `get_witness_schedule`.
    pub(crate) fn schedule(&self, appbase: bool) -> Value {
        let s = &self.state;
        let mut median = Witness::new(0, "", crate::keys::PublicKey::NULL, 0);
        median.maximum_block_size = 65_536;
        let rd = |budget: u64, pool: u64, decay: u64| {
            json!({"resource_unit": 10_000, "budget_per_time_unit": budget, "pool_eq": pool, "max_pool_size": pool,
                "decay_params": {"decay_per_time_unit": decay, "decay_per_time_unit_denom_shift": 36}, "min_decay": 0})
        };
        json!({
            "id": 0,
            "current_virtual_time": "0",
            "next_shuffle_block_num": s.next_shuffle,
            "current_shuffled_witnesses": self.active_witnesses(),
            "num_scheduled_witnesses": s.shuffled.len(),
            "elected_weight": 1,
            "timeshare_weight": 5,
            "miner_weight": 1,
            "witness_pay_normalization_factor": 25,
            "median_props": self.props(&median, appbase),
            "majority_version": self.chain.names.version,
            "max_voted_witnesses": 20,
            "max_miner_witnesses": 0,
            "max_runner_witnesses": 1,
            "hardfork_required_witnesses": 17,
            "account_subsidy_rd": rd(797, 157_691_079, 347_321),
            "account_subsidy_witness_rd": rd(996, 9_384_019, 7_293_741),
            "min_witness_account_subsidy_decay": 0,
        })
    }

    fn visible(&self, num: u64) -> Option<&Block> {
        (num <= self.state.head_num)
            .then(|| self.branch.block(num))
            .flatten()
            .map(|b| &**b)
    }

    /// A block header; null beyond the head.
    pub(crate) fn header(&self, num: u64) -> Value {
        self.visible(num).map_or(Value::Null, |b| self.header_of(b))
    }

    fn header_of(&self, b: &Block) -> Value {
        json!({"previous": b.previous, "timestamp": self.time(b.time_ms), "witness": b.witness,
            "transaction_merkle_root": b.merkle_root, "extensions": []})
    }

    /// A whole block; null beyond the head.
    pub(crate) fn block(&self, num: u64, appbase: bool) -> Value {
        let Some(b) = self.visible(num) else {
            return Value::Null;
        };
        let mut v = self.header_of(b);
        v["witness_signature"] = b.signature.clone().into();
        v["transactions"] = b
            .txs
            .iter()
            .enumerate()
            .map(|(i, tx)| self.transaction(tx, b.num, i, appbase))
            .collect();
        v["block_id"] = b.id.clone().into();
        v["signing_key"] = self.state.key_text(&b.signing_key).into();
        v["transaction_ids"] = b.txs.iter().map(|t| t.id.clone()).collect();
        v
    }

    fn transaction(&self, tx: &Tx, num: u64, i: usize, appbase: bool) -> Value {
        let mut v = tx.json.clone();
        if appbase {
            if let Some(ops) = tx.json["operations"].as_array() {
                v["operations"] = ops.iter().map(op_to_appbase).collect();
            }
        } else {
            v["transaction_id"] = tx.id.clone().into();
            v["block_num"] = num.into();
            v["transaction_num"] = i.into();
        }
        v
    }

    /// `find_transaction`; `expiration_ms` is what the caller said, so that an unknown one can be called expired.
    pub(crate) fn find_transaction(&self, txid: &str, expiration_ms: Option<u64>) -> Value {
        let s = &self.state;
        let (block, pending) = self.branch.find(txid);
        if let Some(num) = block.filter(|n| *n <= s.head_num) {
            let status = if num <= s.lib {
                "within_irreversible_block"
            } else {
                "within_reversible_block"
            };
            return json!({"status": status, "block_num": num});
        }
        if pending {
            return json!({"status": "within_mempool"});
        }
        let lib_ms = self.visible(s.lib).map_or(0, |b| b.time_ms);
        let first_ms = self.visible(1).map_or(0, |b| b.time_ms);
        let status = match expiration_ms {
            Some(e) if e < first_ms => "too_old",
            Some(e) if e <= lib_ms => "expired_irreversible",
            Some(e) if e <= s.head_ms => "expired_reversible",
            _ => "unknown",
        };
        json!({"status": status})
    }

    /// `get_version`; the chain id where this node's API has it.
    pub(crate) fn version(&self, with_chain_id: bool) -> Value {
        let n = self.chain.names;
        let mut m = Map::new();
        m.insert("blockchain_version".into(), n.version.into());
        m.insert(format!("{}_revision", n.core), n.revision.into());
        m.insert("fc_revision".into(), n.revision.into());
        if with_chain_id || n.config == "HIVE" {
            m.insert("chain_id".into(), CHAIN_ID.into());
        }
        Value::Object(m)
    }

    /// `get_config`: the entries that clients of this project and its users' scripts look at.
    pub(crate) fn config(&self) -> Value {
        let n = self.chain.names;
        let p = n.config;
        let ms = self.state.interval_ms;
        let interval: Value = if ms.is_multiple_of(1000) {
            (ms / 1000).into()
        } else {
            json!(ms as f64 / 1000.0)
        };
        let mut m = Map::new();
        let mut put = |k: &str, v: Value| {
            m.insert(format!("{p}_{k}"), v);
        };
        put("ADDRESS_PREFIX", super::dialect::PREFIX.into());
        put("BLOCKCHAIN_VERSION", n.version.into());
        put("BLOCK_INTERVAL", interval);
        put("CHAIN_ID", CHAIN_ID.into());
        put("INIT_MINER_NAME", "initminer".into());
        put("IRREVERSIBLE_THRESHOLD", 7500.into());
        put("MAX_WITNESSES", MAX_WITNESSES.into());
        put("MAX_RUNNER_WITNESSES_HF17", 1.into());
        put("MAX_TIME_UNTIL_EXPIRATION", MAX_EXPIRATION_S.into());
        put("MAX_VOTED_WITNESSES_HF17", 20.into());
        put("MAX_WITNESS_URL_LENGTH", MAX_URL.into());
        put("NULL_ACCOUNT", "null".into());
        put("SYMBOL", json!({"nai": "@@000000021", "decimals": 3}));
        if p == "HIVE" {
            m.insert("STEEM_CHAIN_ID".into(), CHAIN_ID.into());
            m.insert(
                "HBD_SYMBOL".into(),
                json!({"nai": "@@000000013", "decimals": 3}),
            );
        } else if p == "STEEM" {
            m.insert(
                "SBD_SYMBOL".into(),
                json!({"nai": "@@000000013", "decimals": 3}),
            );
        }
        m.insert(
            "VESTS_SYMBOL".into(),
            json!({"nai": "@@000000037", "decimals": 6}),
        );
        Value::Object(m)
    }
}
