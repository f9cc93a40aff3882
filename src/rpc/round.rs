//! When a round of questions is over. Pure: elapsed times come in, a verdict goes out.

use std::time::Duration;

/// How long a round stays open for the others once a quorum agrees.
pub(super) const GRACE: Duration = Duration::from_millis(30);

/// One asked endpoint within a round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Its last completed tick did not fail: it is worth waiting for.
    pub(super) expected: bool,
    /// Its answer, good or bad, is in.
    pub(super) answered: bool,
    /// After this long nobody waits for it.
    pub(super) soft: Duration,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Close the round.
    Close,
    /// Wait for the next answer, but no longer than until this much time has passed since the start.
    WaitUntil(Duration),
}

/// Whether the round is over after `elapsed`. `agreed_at`: since when the answers in hand make a view; `majority`:
/// whether the quorum is a majority, so that nobody who is still silent could overturn it.
pub(super) fn next(
    asked: &[Asked],
    agreed_at: Option<Duration>,
    majority: bool,
    elapsed: Duration,
) -> Next {
    let waited_for = |needed: &dyn Fn(&Asked) -> bool| {
        asked
            .iter()
            .filter(|one| !one.answered && one.soft > elapsed && needed(one))
            .map(|one| one.soft)
            .max()
    };
    // With a view in hand an endpoint that failed its last tick is never waited for; without one, everybody is.
    let latest = match agreed_at {
        Some(_) => waited_for(&|one| one.expected),
        None => waited_for(&|_| true),
    };
    let Some(latest) = latest else {
        return Next::Close;
    };
    match agreed_at {
        Some(at) if majority => {
            let end = (at + GRACE).min(latest);
            if elapsed >= end {
                Next::Close
            } else {
                Next::WaitUntil(end)
            }
        }
        _ => Next::WaitUntil(latest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    const fn one(expected: bool, answered: bool) -> Asked {
        Asked {
            expected,
            answered,
            soft: ms(500),
        }
    }

    #[test]
    fn when_a_round_closes() {
        let (good, hole, new_hole) = (one(true, true), one(false, false), one(true, false));
        let wait = |n| Next::WaitUntil(ms(n));
        type Case = (&'static str, Vec<Asked>, Option<u64>, bool, u64, Next);
        let table: [Case; 12] = [
            ("nobody asked", vec![], None, true, 0, Next::Close),
            ("all answered", vec![good; 3], None, true, 5, Next::Close),
            (
                "all answered and agreed",
                vec![good; 3],
                Some(5),
                true,
                5,
                Next::Close,
            ),
            (
                "known black hole, majority",
                vec![hole, good, good],
                Some(5),
                true,
                5,
                Next::Close,
            ),
            (
                "new black hole, majority: grace",
                vec![new_hole, good, good],
                Some(5),
                true,
                6,
                wait(35),
            ),
            (
                "new black hole, grace over",
                vec![new_hole, good, good],
                Some(5),
                true,
                35,
                Next::Close,
            ),
            (
                "answers differ: the third decides",
                vec![new_hole, good, good],
                None,
                true,
                60,
                wait(500),
            ),
            (
                "answers differ: even a failed one",
                vec![hole, good, good],
                None,
                true,
                60,
                wait(500),
            ),
            (
                "soft limit over",
                vec![new_hole, good, good],
                None,
                true,
                500,
                Next::Close,
            ),
            (
                "no majority: wait for all",
                vec![new_hole, good],
                Some(5),
                false,
                100,
                wait(500),
            ),
            (
                "no majority, but it failed last time",
                vec![hole, good],
                Some(5),
                false,
                5,
                Next::Close,
            ),
            (
                "grace never beyond the soft limit",
                vec![new_hole, good, good],
                Some(490),
                true,
                491,
                wait(500),
            ),
        ];
        for (name, asked, agreed, majority, elapsed, expected) in table {
            let got = next(&asked, agreed.map(ms), majority, ms(elapsed));
            assert_eq!(got, expected, "{name}");
        }
    }
}
