//! The record of schedules: when each version was proposed, pending and in force. Pure.

use super::chain::Chain;
use super::state::{Schedule, State};
use crate::devnet::truth::{Truth, TxTruth};

/// One version of the schedule and its way into force. A step is the height and time (Unix milliseconds) of the block
/// in whose state it first stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// Its number.
    pub version: u64,
    /// Producers in order of their turns, each with the key that signs.
    pub keys: Vec<(String, String)>,
    /// Proposed by the contract.
    pub proposed: Option<(u64, u64)>,
    /// Pending: the proposal was irreversible. Never on Savanna.
    pub pending: Option<(u64, u64)>,
    /// In force: rules from the next block on (on Savanna: from this one).
    pub active: Option<(u64, u64)>,
}

impl ScheduleRecord {
    fn new(schedule: &Schedule) -> ScheduleRecord {
        let text = |(name, a): &(String, super::transaction::SigningAuthority)| {
            (name.clone(), a.first().to_text(super::PREFIX))
        };
        ScheduleRecord {
            version: schedule.version,
            keys: schedule.producers.iter().map(text).collect(),
            proposed: None,
            pending: None,
            active: None,
        }
    }

    pub(super) fn genesis(state: &State) -> ScheduleRecord {
        ScheduleRecord {
            active: Some((0, state.head_ms)),
            ..ScheduleRecord::new(&state.active)
        }
    }

    fn forget_after(&mut self, num: u64) {
        for step in [&mut self.proposed, &mut self.pending, &mut self.active] {
            if step.is_some_and(|(at, _)| at > num) {
                *step = None;
            }
        }
    }
}

impl Chain {
    /// Notes what the main branch's head says of schedules.
    pub(super) fn note_schedules(&mut self, head: &State) {
        let at = (head.head_num, head.head_ms);
        let steps = [
            head.proposed.as_ref().map(|(s, _, _)| s),
            head.pending.as_ref().map(|(s, _)| s),
            Some(&head.active),
        ];
        for (i, schedule) in steps.into_iter().enumerate() {
            let Some(schedule) = schedule else { continue };
            let known = self
                .schedules
                .iter()
                .rposition(|r| r.version == schedule.version);
            let index = known.unwrap_or_else(|| {
                self.schedules.push(ScheduleRecord::new(schedule));
                self.schedules.len() - 1
            });
            if let Some(record) = self.schedules.get_mut(index) {
                let step = match i {
                    0 => &mut record.proposed,
                    1 => &mut record.pending,
                    _ => &mut record.active,
                };
                step.get_or_insert(at);
            }
        }
    }

    /// After blocks were taken back: what they had said never was.
    pub(super) fn forget_schedules(&mut self, num: u64) {
        for record in &mut self.schedules {
            record.forget_after(num);
        }
        self.schedules
            .retain(|r| r.proposed.is_some() || r.pending.is_some() || r.active.is_some());
    }

    /// What really happened, with the latest `slots` slots.
    pub(in crate::devnet) fn truth(&self, slots: usize) -> Truth {
        let head = self.head();
        let text = |key: crate::keys::PublicKey| key.to_text(super::PREFIX);
        let names = || head.producers.keys().cloned();
        let mut total_missed = std::collections::BTreeMap::new();
        for slot in self.slots.iter().filter(|s| s.block.is_none()) {
            *total_missed.entry(slot.scheduled.clone()).or_default() += 1;
        }
        Truth {
            head_num: head.head_num,
            head_ms: head.head_ms,
            irreversible: head.lib,
            registered: names()
                .map(|n| (n.clone(), text(head.registered_key(&n))))
                .collect(),
            effective: names()
                .map(|n| (n.clone(), text(head.effective_key(&n))))
                .collect(),
            total_missed,
            slots: self
                .slots
                .iter()
                .skip(self.slots.len().saturating_sub(slots))
                .cloned()
                .collect(),
            transactions: self
                .txs
                .iter()
                .map(|t| TxTruth {
                    txid: t.txid.clone(),
                    via: t.via.clone(),
                    accepted_ms: t.accepted_ms,
                    block_num: self.main().included.get(&t.txid).map(|(n, _)| *n),
                    operations: t.operations.clone(),
                    on_main: t.branch == 0,
                })
                .collect(),
            schedules: self.schedules.clone(),
        }
    }
}
