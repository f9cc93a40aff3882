//! The one definition of a fault, used by metrics, guard and the interlock that corroborates. Pure.

use super::{Fault, FaultClause, ledger::Figures};
use crate::clock::Millis;
use crate::config::FaultConfig;

/// What the definition looks at.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The ledger's figures of the producer.
    pub figures: &'a Figures,
    /// The ledger has judged every slot up to the agreed head.
    pub caught_up: bool,
    /// The registered key is no null key and the chain has not shut the producer down.
    pub enabled: bool,
    /// The registered key may sign. One that waits for its schedule (Antelope) may not: what is missed meanwhile belongs to
    /// the key before it.
    pub in_force: bool,
    /// Probe verdict of the registered key's own node; `None` = no node, or no answer yet.
    pub node_up: Option<bool>,
}

/// Whether the registered key is at fault, and since when (chain time of the miss that made it).
///
/// Only misses within the key's tenure and since its newest block count: a block signed ends every clause.
#[must_use]
pub fn judge(config: &FaultConfig, evidence: &Evidence<'_>) -> (Fault, Option<Millis>) {
    let figures = evidence.figures;
    if !evidence.enabled || !evidence.in_force {
        return (Fault::No, None);
    }
    if !evidence.caught_up {
        return (Fault::Unknown, None);
    }
    if figures.key.is_none() {
        // No key is known: nothing can be charged to it.
        let misses = figures.unknown > 0;
        return (if misses { Fault::Unknown } else { Fault::No }, None);
    }
    let known = clause(config, evidence, figures.consecutive, figures.window.len());
    if let Some(clause) = known {
        return (Fault::Yes(clause), since(config, evidence, clause));
    }
    // Misses of an unknown key act never; but if they would make a fault, "no" would be a guess.
    let with_unknown = figures.consecutive.saturating_add(figures.unknown);
    let window = figures
        .window
        .len()
        .saturating_add(usize::try_from(figures.unknown).unwrap_or(usize::MAX));
    match clause(config, evidence, with_unknown, window) {
        Some(_) => (Fault::Unknown, None),
        None => (Fault::No, None),
    }
}

fn clause(
    config: &FaultConfig,
    evidence: &Evidence<'_>,
    consecutive: u32,
    window: usize,
) -> Option<FaultClause> {
    if consecutive == 0 {
        return None;
    }
    if evidence.node_up == Some(false) {
        return Some(FaultClause::NodeDown);
    }
    if consecutive >= in_a_row(config, evidence.node_up) {
        return Some(FaultClause::Consecutive);
    }
    let allowed = usize::try_from(config.allowed_misses).unwrap_or(usize::MAX);
    (window > allowed).then_some(FaultClause::Window)
}

/// Misses in a row that are a fault: one more benefit of the doubt while the key's own node looks healthy.
fn in_a_row(config: &FaultConfig, node_up: Option<bool>) -> u32 {
    match node_up {
        Some(true) => config.consecutive_misses_node_healthy,
        _ => config.consecutive_misses,
    }
    .max(1)
}

fn since(config: &FaultConfig, evidence: &Evidence<'_>, clause: FaultClause) -> Option<Millis> {
    let figures = evidence.figures;
    let nth = |list: &[Millis], n: u32| {
        usize::try_from(n)
            .ok()
            .and_then(|n| list.get(n).copied())
            .or(list.last().copied())
    };
    match clause {
        FaultClause::NodeDown => figures.run.first().copied(),
        FaultClause::Consecutive => nth(
            &figures.run,
            in_a_row(config, evidence.node_up).saturating_sub(1),
        ),
        FaultClause::Window => nth(&figures.window, config.allowed_misses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::PublicKey;
    use std::time::Duration;

    const CONFIG: FaultConfig = FaultConfig {
        consecutive_misses: 2,
        consecutive_misses_node_healthy: 3,
        allowed_misses: 5,
        miss_window: Duration::from_secs(86_400),
    };

    fn figures(consecutive: u32, window: usize, unknown: u32) -> Figures {
        let times = |n: usize| {
            (0..n)
                .map(|i| 1_000 * Millis::try_from(i).unwrap())
                .collect()
        };
        Figures {
            key: Some(PublicKey::from_bytes([2; 33])),
            consecutive,
            run: times(consecutive as usize),
            window: times(window),
            unknown,
            ..Figures::default()
        }
    }

    #[test]
    fn the_definition_case_by_case() {
        use Fault::{No, Unknown, Yes};
        use FaultClause::{Consecutive, NodeDown, Window};
        // (in a row, in window, of unknown key, node up) → fault
        let cases = [
            ((0, 0, 0, None), No),
            ((1, 1, 0, None), No),
            ((1, 1, 0, Some(true)), No),
            ((1, 1, 0, Some(false)), Yes(NodeDown)),
            ((0, 3, 0, Some(false)), No), // a block since the last miss
            ((2, 2, 0, None), Yes(Consecutive)),
            ((2, 0, 0, None), Yes(Consecutive)), // however far apart
            ((2, 2, 0, Some(true)), No),
            ((3, 3, 0, Some(true)), Yes(Consecutive)),
            ((1, 5, 0, None), No),
            ((1, 6, 0, None), Yes(Window)),
            ((1, 6, 0, Some(true)), Yes(Window)),
            ((0, 6, 0, None), No), // a block ends all clauses
            ((0, 0, 1, None), No),
            ((0, 0, 1, Some(false)), Unknown),
            ((1, 1, 1, None), Unknown),
            ((1, 1, 1, Some(true)), No),
        ];
        for ((consecutive, window, unknown, node_up), want) in cases {
            let figures = figures(consecutive, window, unknown);
            let evidence = Evidence {
                figures: &figures,
                caught_up: true,
                enabled: true,
                in_force: true,
                node_up,
            };
            let (fault, since) = judge(&CONFIG, &evidence);
            assert_eq!(fault, want, "{consecutive} {window} {unknown} {node_up:?}");
            if let (Yes(_), true) = (want, window > 0) {
                assert!(since.is_some());
            }
            let behind = Evidence {
                caught_up: false,
                ..evidence
            };
            assert_eq!(judge(&CONFIG, &behind).0, Unknown);
            let disabled = Evidence {
                enabled: false,
                ..evidence
            };
            assert_eq!(judge(&CONFIG, &disabled).0, No);
            let on_its_way = Evidence {
                in_force: false,
                ..evidence
            };
            assert_eq!(judge(&CONFIG, &on_its_way).0, No);
        }
    }

    #[test]
    fn a_fault_stands_since_the_miss_that_made_it() {
        let figures = figures(4, 8, 0);
        let at = |node_up| {
            judge(
                &CONFIG,
                &Evidence {
                    figures: &figures,
                    caught_up: true,
                    enabled: true,
                    in_force: true,
                    node_up,
                },
            )
            .1
        };
        assert_eq!(at(Some(false)), Some(0));
        assert_eq!(at(None), Some(1_000));
        assert_eq!(at(Some(true)), Some(2_000));
    }
}
