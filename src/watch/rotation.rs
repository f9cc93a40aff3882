//! Which producers to read in a tick: those that matter every time, the others in turn. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

/// Most names of one call (`find_witnesses` takes no more).
const PER_CALL: usize = 1_000;
/// So few producers are simply all read every tick.
const FEW: usize = 100;
/// Every watched producer is read at least this often.
const WITHIN: Duration = Duration::from_secs(60);

/// Where the rotation stands.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    last: Option<String>,
}

// === impl Rotation ===

impl Rotation {
    /// The names for this tick: all of `always` (as far as a call holds), and a share of `others` big enough that each
    /// has its turn within a minute at one tick per `poll`.
    pub(super) fn next<'a>(
        &mut self,
        always: impl IntoIterator<Item = &'a str>,
        others: &BTreeSet<String>,
        poll: Duration,
    ) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut names: Vec<String> = Vec::new();
        for name in always {
            if names.len() < PER_CALL && seen.insert(name) {
                names.push(name.to_owned());
            }
        }
        let room = PER_CALL.saturating_sub(names.len());
        let share = if others.len() <= FEW {
            others.len()
        } else {
            // One tick fewer than fit, for ticks run late.
            let ticks = WITHIN.as_millis() / poll.as_millis().max(1);
            let ticks = usize::try_from(ticks).unwrap_or(1).saturating_mul(9) / 10;
            others.len().div_ceil(ticks.max(1))
        };
        let after = self.last.clone();
        let from = match &after {
            Some(last) => others
                .range::<String, _>((std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded)),
            None => others.range::<String, _>(..),
        };
        let turn: Vec<&String> = from
            .chain(others.iter())
            .take(others.len())
            .filter(|name| !seen.contains(name.as_str()))
            .take(share.min(room))
            .collect();
        if let Some(last) = turn.last() {
            self.last = Some((*last).clone());
        }
        names.extend(turn.into_iter().cloned());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> BTreeSet<String> {
        (0..n).map(|i| format!("p{i:05}")).collect()
    }

    #[test]
    fn everyone_of_ten_thousand_is_read_within_a_minute_and_no_call_is_too_long() {
        for poll_ms in [500u64, 1_000, 3_000, 10_000] {
            let poll = Duration::from_millis(poll_ms);
            let others = names(10_000);
            let always: Vec<&String> = others.iter().take(21).collect();
            let mut rotation = Rotation::default();
            let mut read = BTreeSet::new();
            for _ in 0..(60_000 / poll_ms) {
                let asked = rotation.next(always.iter().map(|s| s.as_str()), &others, poll);
                assert!(asked.len() <= PER_CALL);
                assert!(always.iter().all(|a| asked.contains(a)));
                let distinct: BTreeSet<&String> = asked.iter().collect();
                assert_eq!(distinct.len(), asked.len(), "asked twice in one call");
                read.extend(asked);
            }
            // Ten seconds between ticks leave room for six calls of 1,000: then it is as many as fit.
            let all = if poll_ms < 10_000 { 10_000 } else { 5_895 };
            assert_eq!(read.len(), all, "poll {poll_ms} ms");
        }
    }

    #[test]
    fn a_few_are_read_every_tick() {
        let others = names(40);
        let mut rotation = Rotation::default();
        for _ in 0..3 {
            let asked = rotation.next(["p00003"], &others, Duration::from_secs(1));
            assert_eq!(asked.len(), 40);
        }
    }
}
