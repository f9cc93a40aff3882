//! How many blocks an endpoint can deliver in one answer. A backlog of full blocks can be more than an answer may hold, or
//! more than a slow endpoint (or one without batches) delivers in time; asked the same again it would fail for ever. Data
//! only.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::types::RpcOutcome;
use crate::chain::Memory;

/// Blocks asked for in one tick at most.
const MOST: usize = 64;
/// However an endpoint struggles, so many are asked for: the next one, and the one after.
const FEWEST: usize = 2;

/// Blocks that one endpoint is asked for per tick at most.
#[derive(Debug)]
pub(super) struct Burden(AtomicUsize);

impl Default for Burden {
    fn default() -> Self {
        Self(AtomicUsize::new(MOST))
    }
}

// === impl Burden ===

impl Burden {
    /// `memory` with no more blocks than the endpoint can deliver: the first ones, for the ledger goes forward.
    pub(super) fn bearable(&self, memory: &Memory) -> Memory {
        let mut memory = memory.clone();
        memory.blocks.truncate(self.0.load(Ordering::Relaxed));
        memory
    }

    /// Asked for `asked` blocks, the endpoint answered, or `failed`: half as many next time after an answer that was
    /// too large or too late, twice as many once that works.
    pub(super) fn learn(&self, asked: usize, failed: Option<RpcOutcome>) {
        let most = self.0.load(Ordering::Relaxed);
        let next = match failed {
            Some(RpcOutcome::TooLarge | RpcOutcome::Timeout) => asked.min(most) / 2,
            None if asked >= most => most.saturating_mul(2),
            _ => return,
        };
        self.0.store(next.clamp(FEWEST, MOST), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(n: u64) -> Memory {
        Memory {
            blocks: (1..=n).collect(),
            ..Memory::default()
        }
    }

    #[test]
    fn a_backlog_too_heavy_for_one_answer_is_worked_off_in_pieces() {
        for carries in [2, 3, 7, 44, 45, 64] {
            for trouble in [RpcOutcome::TooLarge, RpcOutcome::Timeout] {
                let burden = Burden::default();
                let mut left = 300u64;
                let mut ticks = 0;
                while left > 0 {
                    let asked = burden.bearable(&backlog(left.min(45))).blocks.len();
                    let failed = (asked > carries).then_some(trouble);
                    burden.learn(asked, failed);
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
        let burden = Burden::default();
        for _ in 0..20 {
            burden.learn(45, Some(RpcOutcome::Refused));
        }
        assert_eq!(burden.bearable(&backlog(45)).blocks.len(), 45);
        for _ in 0..20 {
            burden.learn(3, Some(RpcOutcome::Timeout));
        }
        assert_eq!(burden.bearable(&backlog(45)).blocks, [1, 2]);
        for _ in 0..5 {
            let asked = burden.bearable(&backlog(45)).blocks.len();
            burden.learn(asked, None);
        }
        assert_eq!(burden.bearable(&backlog(45)).blocks.len(), 45);
    }
}
