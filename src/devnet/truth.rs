//! What really happened on the devnet, for tests to compare against: every slot, every accepted transaction, the registered keys.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::antelope::ScheduleRecord;
use super::chain::{Chain, SlotRecord};
use super::nodes::NodeState;
use super::shared::Shared;

/// The record, by value.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Head height.
    pub head_num: u64,
    /// Head time, Unix milliseconds.
    pub head_ms: u64,
    /// Last irreversible height.
    pub irreversible: u64,
    /// Witness to registered key.
    pub registered: BTreeMap<String, String>,
    /// Witness to the key that may sign for it now; on Graphene the registered one.
    pub effective: BTreeMap<String, String>,
    /// Witness to the node's own counter (Antelope nodes keep none: the devnet's own).
    pub total_missed: BTreeMap<String, u64>,
    /// Every slot, oldest first.
    pub slots: Vec<SlotRecord>,
    /// Every accepted transaction, oldest first.
    pub transactions: Vec<TxTruth>,
    /// Every version of the schedule, in order (Antelope).
    pub schedules: Vec<ScheduleRecord>,
}

/// An accepted transaction and where it ended.
#[derive(Debug, Clone)]
pub struct TxTruth {
    /// Hex id.
    pub txid: String,
    /// The endpoint that took it, or `operator`.
    pub via: String,
    /// Head time when it was accepted, Unix milliseconds.
    pub accepted_ms: u64,
    /// Height of its block on the main branch.
    pub block_num: Option<u64>,
    /// Operations in the condenser form.
    pub operations: Value,
    /// Whether it went to the main branch; one taken by an endpoint on a minority fork did not.
    pub on_main: bool,
}

impl Truth {
    /// The record of a chain, with the latest `slots` slots.
    pub fn of(chain: &Chain, slots: usize) -> Truth {
        let head = chain.head();
        let registered = head
            .witnesses()
            .iter()
            .map(|w| (w.owner.clone(), head.key_text(&w.signing_key)));
        let total = chain.slots().count();
        Truth {
            head_num: head.head_num,
            head_ms: head.head_ms,
            irreversible: head.lib,
            effective: registered.clone().collect(),
            registered: registered.collect(),
            schedules: Vec::new(),
            total_missed: head
                .witnesses()
                .iter()
                .map(|w| (w.owner.clone(), w.total_missed))
                .collect(),
            slots: chain
                .slots()
                .skip(total.saturating_sub(slots))
                .cloned()
                .collect(),
            transactions: chain
                .transactions()
                .iter()
                .map(|t| TxTruth {
                    txid: t.txid.clone(),
                    via: t.via.clone(),
                    accepted_ms: t.accepted_ms,
                    block_num: chain.included(&t.txid).map(|(n, _)| n),
                    operations: t.operations.clone(),
                    on_main: t.branch == 0,
                })
                .collect(),
        }
    }

    /// Slots of a witness that stayed empty, by its schedule.
    pub fn missed<'a>(&'a self, witness: &'a str) -> impl Iterator<Item = &'a SlotRecord> {
        self.slots
            .iter()
            .filter(move |s| s.scheduled == witness && s.block.is_none())
    }
}

/// `GET /devnet/state`.
pub(crate) fn state(shared: &Shared, slots: usize) -> Value {
    let chain = shared.chain();
    let t = chain.truth(slots);
    let slot = |s: &SlotRecord| {
        json!({"slot": s.slot, "time_ms": s.time_ms, "scheduled": s.scheduled, "registered_key": s.registered_key,
            "effective_key": s.effective_key, "schedule_version": s.schedule_version,
            "produced_by": s.block.as_ref().map(|_| &s.scheduled), "node": s.node,
            "block_num": s.block.as_ref().map(|b| b.0), "block_id": s.block.as_ref().map(|b| &b.1),
            "signing_key": s.block.as_ref().map(|b| &b.2)})
    };
    let schedule = |s: &ScheduleRecord| json!({"version": s.version, "keys": s.keys, "proposed": s.proposed, "pending": s.pending, "active": s.active});
    let node_state = |s: NodeState| match s {
        NodeState::Healthy => json!("healthy"),
        NodeState::Crashed => json!("crashed"),
        NodeState::Frozen => json!("frozen"),
        NodeState::Lagging(n) => json!({"lagging": n}),
    };
    let nodes: Vec<Value> = chain.nodes().iter().map(|n| {
        json!({"name": n.name, "witness": n.witness, "state": node_state(n.state), "key": n.public_key().to_text(chain.prefix())})
    }).collect();
    let reorgs = chain.reorgs();
    let config = chain.settings();
    drop(chain);
    let endpoints: Vec<Value> = shared.endpoints.iter().map(|e| {
        json!({"name": e.name, "url": format!("http://{}", e.addr), "node": e.node, "fault": e.fault()})
    }).collect();
    json!({
        "protocol": config["protocol"], "interval_ms": config["interval_ms"], "seed": config["seed"],
        "head_block_number": t.head_num, "head_ms": t.head_ms, "last_irreversible_block_num": t.irreversible,
        "reorgs": reorgs, "registered": t.registered, "effective": t.effective, "schedules": t.schedules.iter().map(schedule).collect::<Vec<_>>(), "total_missed": t.total_missed, "nodes": nodes, "endpoints": endpoints,
        "slots": t.slots.iter().map(slot).collect::<Vec<_>>(),
        "transactions": t.transactions.iter().map(|x| json!({"txid": x.txid, "via": x.via, "accepted_ms": x.accepted_ms,
            "block_num": x.block_num, "operations": x.operations, "on_main": x.on_main})).collect::<Vec<_>>(),
    })
}
