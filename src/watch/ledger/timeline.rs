//! Which key one producer had registered after which block: the evidence, ordered, and the tenure it shows. Pure.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::keys::PublicKey;

/// How many spans are kept per producer: enough for every switch that a window or a fork can still ask about.
const SPANS_KEPT: usize = 32;

/// Stretches of blocks after which a key is known to have been registered, ascending, neighbours differing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Timeline {
    spans: Vec<Span>,
}

/// One stretch: after each of the blocks `from..=to` the key was `key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    /// The registered key.
    pub(super) key: PublicKey,
    /// First block after which it is known to be registered.
    pub(super) from: u64,
    /// Last block after which it is known to be registered.
    pub(super) to: u64,
    /// Chain time of `from`.
    pub(super) since: Millis,
}

/// What is known about the moment right after one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    /// This key, by evidence on both sides or at the block itself.
    Known(PublicKey),
    /// No evidence there: the nearest before and after.
    Between(Option<Span>, Option<Span>),
}

// === impl Timeline ===

impl Timeline {
    /// Notes that `key` was registered after block `after` (of chain time `time`). True when a key began or a
    /// beginning moved; false when it only confirms what was known.
    pub(super) fn note(&mut self, after: u64, key: PublicKey, time: Millis) -> bool {
        let at = self.spans.partition_point(|s| s.from <= after);
        let fresh = Span {
            key,
            from: after,
            to: after,
            since: time,
        };
        if let Some(left) = at.checked_sub(1).and_then(|i| self.spans.get_mut(i)) {
            if left.key == key {
                left.to = left.to.max(after);
                return false;
            }
            if after <= left.to {
                // Evidence inside a stretch thought to be of one key: the key changed and changed back.
                let whole = *left;
                let mut pieces = Vec::with_capacity(3);
                if whole.from < after {
                    pieces.push(Span {
                        to: after.saturating_sub(1),
                        ..whole
                    });
                }
                pieces.push(fresh);
                if whole.to > after {
                    pieces.push(Span {
                        from: whole.to,
                        since: time,
                        ..whole
                    });
                }
                self.spans.splice(at.saturating_sub(1)..at, pieces);
                self.join();
                return true;
            }
        }
        if let Some(right) = self.spans.get_mut(at)
            && right.key == key
        {
            right.from = after;
            right.since = time;
            return true;
        }
        self.spans.insert(at, fresh);
        if self.spans.len() > SPANS_KEPT {
            self.spans.remove(0);
        }
        true
    }

    /// What is known of the key right after block `after`.
    pub(super) fn around(&self, after: u64) -> Around {
        let at = self.spans.partition_point(|s| s.from <= after);
        let left = at.checked_sub(1).and_then(|i| self.spans.get(i)).copied();
        match left {
            Some(span) if after <= span.to => Around::Known(span.key),
            _ => Around::Between(left, self.spans.get(at).copied()),
        }
    }

    /// The stretch of the newest evidence: the current tenure.
    pub(super) fn current(&self) -> Option<&Span> {
        self.spans.last()
    }

    /// The last block known to belong to the tenure before the current one (0 without one).
    pub(super) fn previous_end(&self) -> u64 {
        let before = self.spans.len().checked_sub(2);
        before.and_then(|i| self.spans.get(i)).map_or(0, |s| s.to)
    }

    /// Forgets everything learned after block `ancestor`: it was learned on another fork.
    pub(super) fn rollback(&mut self, ancestor: u64) -> bool {
        let before = self.spans.len();
        self.spans.retain(|s| s.from <= ancestor);
        if let Some(last) = self.spans.last_mut() {
            last.to = last.to.min(ancestor);
        }
        self.spans.len() != before
    }

    /// Joins neighbours that a splice left with the same key.
    fn join(&mut self) {
        self.spans.dedup_by(|next, kept| {
            let same = next.key == kept.key;
            if same {
                kept.to = kept.to.max(next.to);
            }
            same
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> PublicKey {
        let mut bytes = [n; 33];
        bytes[0] = 2;
        PublicKey::from_bytes(bytes)
    }

    fn shape(t: &Timeline) -> Vec<(u8, u64, u64)> {
        t.spans
            .iter()
            .map(|s| (s.key.as_bytes()[1], s.from, s.to))
            .collect()
    }

    #[test]
    fn evidence_in_any_order_gives_the_stretches_that_it_proves() {
        // (evidence in the order it arrives, stretches it leaves)
        type Case = (&'static [(u64, u8)], &'static [(u8, u64, u64)]);
        let cases: [Case; 7] = [
            (&[(10, 1), (12, 1)], &[(1, 10, 12)]),
            (&[(10, 1), (20, 2)], &[(1, 10, 10), (2, 20, 20)]),
            // The reading at the head comes first, the block that explains it after.
            (&[(10, 1), (20, 2), (15, 2)], &[(1, 10, 10), (2, 15, 20)]),
            // A→B→A hidden between two equal readings.
            (
                &[(10, 1), (30, 1), (15, 2)],
                &[(1, 10, 14), (2, 15, 15), (1, 30, 30)],
            ),
            (
                &[(10, 1), (30, 1), (15, 2), (22, 1)],
                &[(1, 10, 14), (2, 15, 15), (1, 22, 30)],
            ),
            // Evidence before everything known.
            (&[(20, 1), (10, 1)], &[(1, 10, 20)]),
            // A block corrects a reading of the same height.
            (&[(20, 1), (20, 2)], &[(2, 20, 20)]),
        ];
        for (evidence, want) in cases {
            let mut t = Timeline::default();
            for (after, k) in evidence {
                t.note(*after, key(*k), 0);
            }
            assert_eq!(shape(&t), want, "{evidence:?}");
        }
    }

    #[test]
    fn a_fork_takes_back_what_was_learned_on_it() {
        let mut t = Timeline::default();
        t.note(10, key(1), 0);
        t.note(20, key(1), 0);
        t.note(21, key(2), 0);
        assert!(t.rollback(15));
        assert_eq!(shape(&t), [(1, 10, 15)]);
        assert_eq!(t.previous_end(), 0);
    }

    #[test]
    fn between_two_keys_nothing_is_known() {
        let mut t = Timeline::default();
        t.note(10, key(1), 0);
        t.note(20, key(2), 0);
        assert_eq!(t.around(10), Around::Known(key(1)));
        assert!(matches!(t.around(15), Around::Between(Some(l), Some(r)) if l.key != r.key));
        assert!(matches!(t.around(21), Around::Between(Some(_), None)));
        assert_eq!(t.previous_end(), 10);
    }
}
