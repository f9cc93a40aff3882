//! How many blocks an endpoint can deliver in one tick. A backlog of full blocks can be more than an answer may hold, or
//! more than a slow endpoint delivers in time; asked the same again it would fail for ever. Where every block is a request
//! of its own, the pace of the last reading tells how many fit into the time that others wait for it. Data only.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::types::RpcOutcome;
use crate::chain::Memory;

/// Blocks asked for in one tick at most: no less than the backlog that the watcher asks for at once when agreement comes
/// back (ten minutes of half-second blocks), or a switch would wait for the ledger.
const MOST: usize = 1_500;
/// Where every block is a request of its own, so many are asked for before the endpoint's pace is known.
const UNTRIED: usize = 64;
/// Fewer blocks than this show no pace: the readings before them take most of the time.
const TELLING: usize = 16;
/// However an endpoint struggles, so many are asked for: the next one, and the one after.
const FEWEST: usize = 2;

/// Blocks that one endpoint is asked for per tick at most.
#[derive(Debug)]
pub(super) struct Burden {
    most: AtomicUsize,
    /// For one tick's blocks, where every block is a request of its own.
    budget: Option<Duration>,
}

// === impl Burden ===

impl Burden {
    /// `budget`: how long the blocks of one tick may take, where every block is a request of its own; `None` where they come
    /// in one answer.
    pub(super) fn new(budget: Option<Duration>) -> Self {
        let first = if budget.is_some() { UNTRIED } else { MOST };
        Self {
            most: AtomicUsize::new(first),
            budget,
        }
    }

    /// `memory` with no more blocks than the endpoint can deliver: the first ones, for the ledger goes forward.
    pub(super) fn bearable(&self, memory: &Memory) -> Memory {
        let mut memory = memory.clone();
        memory.blocks.truncate(self.most.load(Ordering::Relaxed));
        memory
    }

    /// Asked for `asked` blocks, the endpoint answered within `took`, or `failed`: half as many next time after an answer
    /// that was too large or too late; once that works, as many as fit into the budget, or eight times as many. One that
    /// fails even at the least is not failing for the load: it is away, and gets everything when it comes back.
    pub(super) fn learn(&self, asked: usize, took: Duration, failed: Option<RpcOutcome>) {
        let most = self.most.load(Ordering::Relaxed);
        let next = match (failed, self.budget) {
            (Some(RpcOutcome::Timeout), None) if asked <= FEWEST => MOST,
            (Some(RpcOutcome::Timeout), Some(_)) if asked <= FEWEST => UNTRIED,
            (Some(RpcOutcome::TooLarge | RpcOutcome::Timeout), _) => asked.min(most) / 2,
            (None, Some(budget)) if asked >= TELLING => fitting(asked, took, budget),
            (None, _) if asked >= most => most.saturating_mul(8),
            _ => return,
        };
        self.most.store(next.clamp(FEWEST, MOST), Ordering::Relaxed);
    }
}

/// How many blocks fit into `budget` at the pace of `asked` in `took`.
fn fitting(asked: usize, took: Duration, budget: Duration) -> usize {
    let each = took.as_nanos().max(1);
    let asked = u128::try_from(asked).unwrap_or(u128::MAX);
    let fit = asked.saturating_mul(budget.as_nanos()) / each;
    usize::try_from(fit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(1);

    fn backlog(n: u64) -> Memory {
        Memory {
            blocks: (1..=n).collect(),
            ..Memory::default()
        }
    }

    #[test]
    fn a_backlog_too_heavy_for_one_answer_is_worked_off_in_pieces() {
        for carries in [2, 3, 7, 44, 45, 64, 240] {
            for (trouble, budget) in [
                (RpcOutcome::TooLarge, None),
                (RpcOutcome::Timeout, None),
                (RpcOutcome::Timeout, Some(Duration::from_secs(1))),
            ] {
                let burden = Burden::new(budget);
                let mut left = 300u64;
                let mut ticks = 0;
                while left > 0 {
                    let asked = burden.bearable(&backlog(left.min(240))).blocks.len();
                    let failed = (asked > carries).then_some(trouble);
                    burden.learn(asked, QUICK, failed);
                    if failed.is_none() {
                        left -= u64::try_from(asked).unwrap();
                    }
                    ticks += 1;
                    assert!(ticks < 1_000, "carries {carries}: {left} blocks are left");
                }
            }
        }
    }

    #[test]
    fn other_troubles_say_nothing_of_size_and_an_endpoint_that_was_away_is_trusted_again() {
        let burden = Burden::new(None);
        for _ in 0..20 {
            burden.learn(45, QUICK, Some(RpcOutcome::Refused));
        }
        assert_eq!(burden.bearable(&backlog(45)).blocks.len(), 45);
        for asked in [45, 22, 11, 5] {
            burden.learn(asked, QUICK, Some(RpcOutcome::Timeout));
        }
        assert_eq!(burden.bearable(&backlog(45)).blocks, [1, 2]);
        for _ in 0..2 {
            let asked = burden.bearable(&backlog(45)).blocks.len();
            burden.learn(asked, QUICK, None);
        }
        assert_eq!(burden.bearable(&backlog(45)).blocks.len(), 45);
        // A black hole fails at any size: it is not asked for less when it comes back.
        for _ in 0..600 {
            let asked = burden.bearable(&backlog(45)).blocks.len();
            burden.learn(asked, QUICK, Some(RpcOutcome::Timeout));
            if asked <= FEWEST {
                assert_eq!(burden.bearable(&backlog(240)).blocks.len(), 240);
            }
        }
    }

    #[test]
    fn where_every_block_is_a_request_the_pace_decides() {
        let burden = Burden::new(Some(Duration::from_secs(1)));
        let asks = |n| burden.bearable(&backlog(n)).blocks.len();
        assert_eq!(asks(1_200), 64);
        // A few blocks tell nothing.
        burden.learn(5, Duration::from_millis(900), None);
        assert_eq!(asks(1_200), 64);
        // While there is no quorum 45 are asked for in every tick: here 100 ms away, in eight lanes.
        burden.learn(45, Duration::from_millis(600), None);
        assert_eq!(asks(1_200), 75);
        // On this machine: all ten minutes at once.
        burden.learn(45, Duration::from_millis(20), None);
        assert_eq!(asks(1_200), 1_200);
        burden.learn(1_200, Duration::from_secs(12), Some(RpcOutcome::Timeout));
        assert_eq!(asks(1_200), 600);
        burden.learn(2, Duration::from_secs(12), Some(RpcOutcome::Timeout));
        assert_eq!(asks(1_200), 64);
    }
}
