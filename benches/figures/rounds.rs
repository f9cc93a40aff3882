//! Figure 6: from the start of a tick to the agreed view, with three healthy endpoints and with the first one
//! black-holed (it takes connections and never answers). The round in which it falls silent is measured apart from the
//! later ones, when it is known.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use slotkeeper::chain::{self, Memory};
use slotkeeper::clock::{Stopwatch, now_ms};
use slotkeeper::devnet::Fault;
use slotkeeper::rpc::Pool;
use slotkeeper::rpc::agree::agree;

use super::Effort;
use super::report::{Figure, Samples};
use super::world::{Plan, World, runtime, witnesses};

const PRODUCERS: usize = 100;
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(60);
/// Longer than the hard limit on loopback (1 s): what was asked before is over.
const SETTLE: Duration = Duration::from_millis(1_200);

pub(crate) fn measure(effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let world = World::start(Plan::producers(PRODUCERS))?;
    let config = world.config()?;
    let configured = config.chains.first().context("no chain")?;
    let chain = chain::open(configured.spec.clone());
    let pool = Pool::new(chain, configured)?;
    let memory = Memory {
        producers: witnesses(1..=PRODUCERS),
        ..Memory::default()
    };
    let asking = runtime("pool", 2)?;
    asking.block_on(async {
        let first = world.devnet.endpoint(0);
        for _ in 0..5 {
            round(&pool, &memory, 3).await?; // everybody names the chain
        }
        let mut healthy = Vec::new();
        for _ in 0..effort.samples(150) {
            healthy.push(round(&pool, &memory, 3).await?);
            tokio::time::sleep(PAUSE).await;
        }
        let mut falling = Vec::new();
        for _ in 0..effort.samples(10) {
            first.set_fault(Fault::BlackHole);
            falling.push(round(&pool, &memory, 2).await?);
            first.clear_fault();
            tokio::time::sleep(SETTLE).await;
            for _ in 0..3 {
                round(&pool, &memory, 2).await?; // one may find it still resting from the fault
            }
        }
        first.set_fault(Fault::BlackHole);
        round(&pool, &memory, 2).await?;
        tokio::time::sleep(SETTLE).await;
        let mut known = Vec::new();
        for _ in 0..effort.samples(150) {
            known.push(round(&pool, &memory, 2).await?);
            tokio::time::sleep(PAUSE).await;
        }
        let (healthy, falling, known) = (
            Samples::new(healthy)?,
            Samples::new(falling)?,
            Samples::new(known)?,
        );
        Ok(vec![
            Figure::new(
                "tick start -> agreed view, all healthy, p50",
                healthy.ms(50),
                "ms",
            ),
            Figure::new("  the same, p99", healthy.ms(99), "ms"),
            Figure::new(
                "  first endpoint falls silent: that tick costs, p50",
                falling.ms(50) - healthy.ms(50),
                "ms",
            )
            .at_most(50.0)
            .note(format!(
                "{} times, {:.1} ms instead of {:.1}",
                falling.len(),
                falling.ms(50),
                healthy.ms(50)
            )),
            Figure::new(
                "  the same, slowest against the healthy median",
                falling.max_ms() - healthy.ms(50),
                "ms",
            )
            .at_most(50.0),
            Figure::new(
                "  every later tick costs, p50",
                known.ms(50) - healthy.ms(50),
                "ms",
            )
            .at_most(50.0)
            .note(format!(
                "{} ticks, {:.2} times as long",
                known.len(),
                known.ms(50) / healthy.ms(50)
            )),
            Figure::new(
                "  the same, p99 against p99",
                known.ms(99) - healthy.ms(99),
                "ms",
            )
            .at_most(50.0),
        ])
    })
}

/// One round; at least `providers` must agree.
async fn round(pool: &Arc<Pool>, memory: &Memory, providers: usize) -> anyhow::Result<Duration> {
    let watch = Stopwatch::start();
    let reports = pool.ask(memory).await;
    let view = agree(&pool.rules(), &reports, &|_| None, now_ms())?;
    let took = watch.elapsed();
    ensure!(
        view.agreeing >= providers,
        "{} of {providers} providers agree",
        view.agreeing
    );
    pool.note_view(&view);
    Ok(took)
}
