//! The incident matrix: the whole stack is booted, one thing is broken, and the right receiver hears of it in time. The stack
//! is a devnet, the built slotkeeper as a process, real Prometheus and Alertmanager with the shipped files, and people's
//! services played on loopback; between any two parts runs a relay (`rig`) that can be cut.
//!
//! Four rows run here; all of them with `make soak` (`SLOTKEEPER_SOAK=1`), which also writes the measured seconds. The
//! alarm times are what the product promises: the only tests that assert times.
//!
//! | file | owns |
//! |---|---|
//! | `table` | what a row is made of |
//! | `rows`, `cuts` | the rows: what breaks, who hears of it, and how soon |
//! | `bounds` | how soon, computed from the shipped settings |
//! | `people` | receivers played on loopback, and what they were told |
//! | `daemon` | slotkeeper as a process: killed, frozen, restarted as systemd does, with a clock of its own |
//! | `stack` | everything together, healthy |
//! | `breaks` | breaking and mending |
//! | `play` | one row from boot to all-clear |
//! | `page` | docs/incident-matrix.md |

mod bounds;
mod breaks;
mod cuts;
mod daemon;
mod page;
mod people;
mod play;
mod rows;
mod stack;
mod table;

use table::Row;

/// All rows.
fn all() -> impl Iterator<Item = &'static Row> {
    rows::ROWS.iter().chain(cuts::ROWS)
}

/// So many stacks at once: two processors bear that, as stacks mostly wait.
const SOAK_AT_ONCE: usize = 4;

/// Four rows, or with `SLOTKEEPER_SOAK=1` all of them (`ROWS=word` picks some).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_incident_rings_in_time_with_the_one_who_must_hear() {
    if std::env::var_os("SLOTKEEPER_SOAK").is_none() {
        let rows: Vec<_> = all().filter(|row| row.in_test).collect();
        assert_eq!(rows.len(), 4);
        let (_, wrong) = play::play_all(rows, 4, false).await;
        assert!(wrong.is_empty(), "{wrong}");
        return;
    }
    let word = std::env::var("ROWS").unwrap_or_default();
    let mut rows: Vec<_> = all().filter(|row| row.name.contains(&word)).collect();
    // The longest first: the end does not wait for one alone.
    rows.sort_by_key(|row| std::cmp::Reverse(bounds::longest(row)));
    let (measured, wrong) = play::play_all(rows, SOAK_AT_ONCE, true).await;
    page::keep(&measured);
    assert!(wrong.is_empty(), "{wrong}");
}
