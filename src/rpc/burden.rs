//! How many blocks an endpoint can deliver in one answer. A backlog of full blocks can be more than an answer may hold, or
//! more than a slow endpoint (or one without batches) delivers in time; asked the same again it would fail for ever. Data
//! only.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::types::RpcOutcome;
use crate::chain::Memory;

/// Blocks asked for in one tick at most: no less than the backlog that the watcher asks for at once when agreement comes
/// back, or a switch would wait for the ledger.
const MOST: usize = 256;
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
    /// too large or too late, eight times as many once that works. One that fails even at the least is not failing for
    /// the load: it is away, and gets everything when it comes back.
    pub(super) fn learn(&self, asked: usize, failed: Option<RpcOutcome>) {
        let most = self.0.load(Ordering::Relaxed);
        let next = match failed {
            Some(RpcOutcome::Timeout) if asked <= FEWEST => MOST,
            Some(RpcOutcome::TooLarge | RpcOutcome::Timeout) => asked.min(most) / 2,
            None if asked >= most => most.saturating_mul(8),
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
        for carries in [2, 3, 7, 44, 45, 64, 240] {
            for trouble in [RpcOutcome::TooLarge, RpcOutcome::Timeout] {
                let burden = Burden::default();
                let mut left = 300u64;
                let mut ticks = 0;
                while left > 0 {
                    let asked = burden.bearable(&backlog(left.min(240))).blocks.len();
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
        for asked in [45, 22, 11, 5] {
            burden.learn(asked, Some(RpcOutcome::Timeout));
        }
        assert_eq!(burden.bearable(&backlog(45)).blocks, [1, 2]);
        for _ in 0..2 {
            let asked = burden.bearable(&backlog(45)).blocks.len();
            burden.learn(asked, None);
        }
        assert_eq!(burden.bearable(&backlog(45)).blocks.len(), 45);
        // A black hole fails at any size: it is not asked for less when it comes back.
        for _ in 0..600 {
            let asked = burden.bearable(&backlog(45)).blocks.len();
            burden.learn(asked, Some(RpcOutcome::Timeout));
            if asked <= FEWEST {
                assert_eq!(burden.bearable(&backlog(240)).blocks.len(), 240);
            }
        }
    }
}
