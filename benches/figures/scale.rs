//! Figure 5: ten thousand watched producers on three second blocks: what goes over the wire in a tick, how old the
//! oldest reading gets, how far the ledger is behind the head, and what it costs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, ensure};
use slotkeeper::clock::Stopwatch;
use slotkeeper::watch::Snapshot;

use super::Effort;
use super::http::{Blocking, get};
use super::meter::{self, Meter};
use super::report::{Figure, Samples};
use super::world::{CHAIN, PATIENCE, Plan, World, witnesses};

/// Watched producers, the scheduled ones among them.
const WATCHED: usize = 10_000;
/// With slots and with standbys.
const KEPT: usize = 5;
/// With slots, only watched.
const SCHEDULED: usize = 20;
/// How long it is followed once everybody has been read.
const FOLLOW: Duration = Duration::from_secs(20);

pub(crate) fn measure(_effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let idle = WATCHED - SCHEDULED;
    let mut watched = witnesses(KEPT + 1..=SCHEDULED);
    watched.extend((1..=idle).map(|n| format!("idle{n:05}")));
    let mut world = World::start(Plan {
        interval_ms: 3_000,
        poll_ms: 1_000,
        others: SCHEDULED,
        idle,
        kept: witnesses(1..=KEPT),
        watched,
        ..Plan::default()
    })?;
    let mut meters = Vec::new();
    for upstream in world.endpoints() {
        let (addr, meter) = meter::before(&world.runtime, upstream)?;
        world.plan.through.push(addr);
        meters.push(meter);
    }
    let inside = world.inside()?;
    let (watch, cpu) = (Stopwatch::start(), inside.cpu_seconds()?);
    let seen = inside
        .runtime
        .block_on(follow(inside.app()?.snapshots(CHAIN).context("no chain")?))?;
    let cpu = inside.cpu_seconds()? - cpu;
    let took = watch.elapsed().as_secs_f64();
    let wire = wire(&meters, seen.ticks)?;
    let mut figures = vec![
        Figure::new(
            "10,000 watched: all read after the start",
            seen.all_after.as_secs_f64(),
            "s",
        )
        .at_most(60.0),
        Figure::new(
            "  oldest reading from then on",
            seen.oldest.as_secs_f64(),
            "s",
        )
        .at_most(60.0)
        .note("chain time of the head it was read at"),
        Figure::new(
            "  ledger behind the agreed head, most",
            seen.behind as f64,
            "blocks",
        )
        .at_most(1.0)
        .note(format!(
            "{} blocks judged in {} ticks",
            seen.judged, seen.ticks
        )),
        Figure::new("  CPU of slotkeeper", cpu, "s").note(format!(
            "in {took:.0} s: {:.0} % of one core",
            cpu / took * 100.0
        )),
    ];
    figures.extend(wire);
    let web = inside.app()?.web_address();
    let mut connection = Blocking::open(web)?;
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..50 {
        let answer = connection.ask(&get("/metrics"))?;
        ensure!(answer.status == 200, "/metrics answered {}", answer.status);
        bytes = answer.bytes;
        times.push(answer.took);
        std::thread::sleep(Duration::from_millis(100));
    }
    let times = Samples::new(times)?;
    figures.push(
        Figure::new("  /metrics, p50", times.ms(50), "ms").note(format!("{bytes} bytes, identity")),
    );
    figures.push(Figure::new("  /metrics, p99", times.ms(99), "ms"));
    Ok(figures)
}

struct Seen {
    ticks: u64,
    all_after: Duration,
    oldest: Duration,
    behind: u64,
    judged: u64,
}

async fn follow(
    mut snapshots: tokio::sync::watch::Receiver<Arc<Snapshot>>,
) -> anyhow::Result<Seen> {
    let watch = Stopwatch::start();
    let mut all_after = None;
    let (mut oldest, mut behind) = (0_i64, 0);
    let mut first = None;
    loop {
        let changed = tokio::time::timeout(PATIENCE, snapshots.changed());
        changed.await.context("no tick")??;
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        let Ok(view) = &snapshot.agreement else {
            continue;
        };
        ensure!(
            snapshot.producers.len() == WATCHED,
            "{} producers watched",
            snapshot.producers.len()
        );
        if snapshot.slots.judged > 0 {
            first.get_or_insert(snapshot.slots.judged);
            behind = behind.max(view.head.num.saturating_sub(snapshot.slots.judged));
        }
        let read = snapshot.producers.values().map(|p| p.state_time);
        let Some(earliest) = read.min().flatten() else {
            ensure!(
                watch.elapsed() < 2 * PATIENCE,
                "not everybody was read within two minutes"
            );
            continue; // somebody was never read
        };
        let since = *all_after.get_or_insert(watch.elapsed());
        oldest = oldest.max(view.head.time - earliest);
        if watch.elapsed() > since + FOLLOW {
            return Ok(Seen {
                ticks: snapshot.tick + 1,
                all_after: since,
                oldest: Duration::from_millis(u64::try_from(oldest).unwrap_or(0)),
                behind,
                judged: snapshot.slots.judged - first.unwrap_or(0),
            });
        }
    }
}

/// What went over the wire to the busiest endpoint.
fn wire(meters: &[Arc<Meter>], ticks: u64) -> anyhow::Result<Vec<Figure>> {
    for meter in meters {
        if let Some(trouble) = meter.trouble() {
            anyhow::bail!("the meter before an endpoint: {trouble}");
        }
    }
    let most = |what: &dyn Fn(&Meter) -> usize| meters.iter().map(|m| what(m)).max().unwrap_or(0);
    let requests = most(&|m| m.requests.load(Ordering::Relaxed));
    let finds = most(&|m| m.finds.load(Ordering::Relaxed));
    let names = most(&|m| m.names.load(Ordering::Relaxed));
    let doubled = most(&|m| m.doubled.load(Ordering::Relaxed));
    let per_tick = |n: usize| n as f64 / ticks as f64;
    Ok(vec![
        Figure::new(
            "  HTTP requests per tick and endpoint",
            per_tick(requests),
            "",
        )
        .note(format!(
            "{requests} in {ticks} ticks; more than one: chain id, authorities, backfill"
        )),
        Figure::new(
            "  find_witnesses calls per tick and endpoint",
            per_tick(finds),
            "",
        )
        .at_most(1.0)
        .note(format!("{doubled} requests held more than one")),
        Figure::new("  names in the longest of them", names as f64, "").at_most(1_000.0),
    ])
}
