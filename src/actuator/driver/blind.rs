//! What would keep slotkeeper from noticing a fault, or from acting on one, while every loop ticks and the quorum stands:
//! states that no request has met yet and that must ring before one does. Pure.

use crate::clock::Millis;
use crate::rpc::View;
use crate::watch::Snapshot;

/// Greatest difference between the local clock and the endpoints' (as the interlock `clock_skew`).
const MAX_SKEW: Millis = 5_000;
/// Blocks that the ledger, or a schedule that was due, may be behind before that counts: a backlog of a few ticks.
const BEHIND: u64 = 20;
/// Where slots are judged by turns, so many turns more: the one under way, and the margin after the one before.
const TURNS_BEHIND: u64 = 2;

/// Why a fault of `producer` would go unseen or unanswered, if it would.
pub(super) fn blind(
    snapshot: &Snapshot,
    view: &View,
    producer: &str,
    interval: Millis,
    turn: u32,
    now: Millis,
) -> Option<String> {
    let patience = interval.saturating_mul(10).max(15_000);
    if let Some(offset) = view.clock_offset.filter(|o| o.saturating_abs() > MAX_SKEW) {
        return Some(format!(
            "the local clock differs from the endpoints' by {offset} ms: check NTP"
        ));
    }
    let head_age = now.saturating_sub(view.head.time);
    if head_age > patience {
        return Some(format!(
            "the agreed head is {} s old: the chain stands still, or this host's clock is wrong",
            head_age / 1_000
        ));
    }
    // Nodes that are asked directly send no `Date`: the head's own time is the clock then, as for the interlock.
    if view.clock_offset.is_none() && head_age < MAX_SKEW.saturating_neg() {
        return Some(format!(
            "the agreed head is {} s in the future: this host's clock is slow, check NTP",
            head_age.saturating_neg() / 1_000
        ));
    }
    let read = snapshot.producers.get(producer).and_then(|p| p.state_time);
    let unread = read.map(|at| view.head.time.saturating_sub(at));
    if unread.is_none_or(|age| age > patience) {
        return Some(
            "the registered key could not be read at a settled head for a while: the head moves while the endpoints \
             answer, they are too slow"
                .into(),
        );
    }
    let allowed = match u64::from(turn) {
        0 | 1 => BEHIND,
        turn => BEHIND.saturating_add(turn.saturating_mul(TURNS_BEHIND)),
    };
    let behind = view.head.num.saturating_sub(snapshot.slots.judged);
    if behind > allowed {
        return Some(format!(
            "the slot ledger is {behind} blocks behind the head: misses are not seen yet"
        ));
    }
    let until = snapshot.slots.schedule_until;
    if until.is_none_or(|until| until.saturating_add(allowed) < view.head.num) {
        return Some(
            "the schedule of this round could not be read: misses cannot be charged to anybody"
                .into(),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{BlockId, BlockRef};
    use crate::watch::{ChainSlots, ProducerSnapshot};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const NOW: Millis = 1_000_000;

    fn view() -> View {
        View {
            observed_at: NOW,
            head: BlockRef {
                num: 1_000,
                id: BlockId("000003e8".into()),
                time: NOW - 1_000,
            },
            head_slot: 1_000,
            irreversible: 990,
            participation: None,
            schedules: Vec::new(),
            producers: BTreeMap::new(),
            blocks: Vec::new(),
            active_keys: BTreeMap::new(),
            agreeing: 2,
            clock_offset: Some(10),
            aliases: None,
            finalizers: None,
            election: None,
        }
    }

    fn snapshot() -> Snapshot {
        let alice = ProducerSnapshot {
            state_time: Some(NOW - 1_000),
            ..crate::watch::blank()
        };
        Snapshot {
            slots: ChainSlots {
                judged: 1_000,
                caught_up: true,
                schedule_until: Some(1_010),
                ..ChainSlots::default()
            },
            producers: [("alice".to_owned(), Arc::new(alice))].into(),
            ..Snapshot::empty()
        }
    }

    #[test]
    fn everything_that_would_hide_a_fault_is_named() {
        type Spoil = fn(&mut Snapshot, &mut View);
        let cases: [(&str, Spoil); 12] = [
            ("", |_, _| {}),
            ("", |s, _| s.slots.judged = 980),
            ("", |s, _| s.slots.schedule_until = Some(980)),
            ("slot ledger is 21 blocks", |s, _| s.slots.judged = 979),
            ("slot ledger", |s, _| s.slots = ChainSlots::default()),
            ("schedule", |s, _| s.slots.schedule_until = None),
            ("schedule", |s, _| s.slots.schedule_until = Some(979)),
            ("settled head", |s, v| {
                v.head.time = NOW;
                let alice = Arc::make_mut(s.producers.get_mut("alice").unwrap());
                alice.state_time = Some(NOW - 30_001);
            }),
            ("local clock differs", |_, v| v.clock_offset = Some(-5_001)),
            // A moment's disorder is none.
            ("", |_, v| {
                v.clock_offset = None;
                v.head.time = NOW + 5_000;
            }),
            ("in the future", |_, v| {
                v.clock_offset = None;
                v.head.time = NOW + 5_001;
            }),
            ("clock is wrong", |_, v| {
                v.clock_offset = None;
                v.head.time = NOW - 30_001;
            }),
        ];
        for (want, spoil) in cases {
            let (mut snapshot, mut view) = (snapshot(), view());
            spoil(&mut snapshot, &mut view);
            let said = blind(&snapshot, &view, "alice", 3_000, 1, NOW).unwrap_or_default();
            assert!(
                said.contains(want) && said.is_empty() == want.is_empty(),
                "{want:?}: {said}"
            );
        }
    }
    #[test]
    fn where_slots_are_judged_by_turns_the_ledger_may_trail_by_turns() {
        let said = |judged: u64| {
            let mut snapshot = snapshot();
            snapshot.slots.judged = judged;
            blind(&snapshot, &view(), "alice", 500, 12, NOW)
        };
        assert_eq!(said(1_000 - 17 - 20), None, "a turn, its margin, a backlog");
        assert!(said(1_000 - 45).is_some());
    }
}
