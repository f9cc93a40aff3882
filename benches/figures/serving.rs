//! Figures 2 to 4: the released program in a process of its own, one chain, three endpoints, 100 producers with two
//! keys each: its memory after a minute of ticks and scrapes, a scrape of `/metrics`, and webhooks fifty at a time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use slotkeeper::clock::{Stopwatch, now_ms};
use tokio::sync::Barrier;

use super::Effort;
use super::http::{Async, Blocking, get, post};
use super::report::{Figure, Samples};
use super::world::{CHAIN, Daemon, Plan, TOKEN, World, key_text, witnesses};

/// Producers.
const PRODUCERS: usize = 100;
/// Webhooks at once.
const AT_ONCE: usize = 50;
/// Between two volleys: 50 alerts each stay below the flood limit of 500 a second.
const VOLLEY: Duration = Duration::from_millis(110);
/// Prometheus scrapes this often in the shipped configuration, or less.
const SCRAPE: Duration = Duration::from_secs(5);

pub(crate) fn measure(effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let world = World::start(Plan {
        encrypted: 2,
        ..Plan::producers(PRODUCERS)
    })?;
    let daemon = world.spawn()?;
    daemon.until_ready()?;
    let mut figures = memory(&daemon, effort)?;
    figures.extend(scrapes(&daemon, effort)?);
    figures.extend(webhooks(&world, &daemon, effort)?);
    let after = daemon.memory_kib("VmRSS")?;
    figures.push(mib(
        "resident memory after those scrapes and webhooks",
        after,
    ));
    Ok(figures)
}

fn mib(name: &str, kib: u64) -> Figure {
    Figure::new(name, kib as f64 / 1024.0, "MiB")
}

fn memory(daemon: &Daemon, effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let (cpu, watch) = (daemon.cpu_seconds()?, Stopwatch::start());
    for _ in 0..effort.samples(60) / 5 {
        Blocking::open(daemon.web)?.ask(&get("/metrics"))?;
        std::thread::sleep(SCRAPE);
    }
    let cpu = (daemon.cpu_seconds()? - cpu) / watch.elapsed().as_secs_f64();
    let note = format!(
        "after {} s of ticks, a scrape every 5 s",
        watch.elapsed().as_secs()
    );
    Ok(vec![
        mib(
            "resident memory, 100 producers (VmRSS)",
            daemon.memory_kib("VmRSS")?,
        )
        .at_most(24.0)
        .note(note),
        mib(
            "  its peak since the start (VmHWM)",
            daemon.memory_kib("VmHWM")?,
        ),
        mib(
            "  of it private and dirty (RssAnon)",
            daemon.memory_kib("RssAnon")?,
        ),
        mib(
            "  of it the program's own file (RssFile)",
            daemon.memory_kib("RssFile")?,
        ),
        Figure::new("  CPU meanwhile, of one core", cpu * 100.0, "%"),
    ])
}

/// One kept connection, a scrape every few milliseconds: some meet a fresh snapshot. A page of one line in between tells
/// what a request costs on this machine at that time, whatever is asked.
fn scrapes(daemon: &Daemon, effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let mut connection = Blocking::open(daemon.web)?;
    let (page, line) = (get("/metrics"), get("/-/healthy"));
    let mut bytes = 0;
    let (mut times, mut lines) = (Vec::new(), Vec::new());
    for _ in 0..effort.samples(2_000) {
        for (request, times) in [(&page, &mut times), (&line, &mut lines)] {
            let answer = connection.ask(request)?;
            ensure!(answer.status == 200, "a page answered {}", answer.status);
            bytes = bytes.max(answer.bytes);
            times.push(answer.took);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let (times, lines) = (Samples::new(times)?, Samples::new(lines)?);
    let note = format!("{} scrapes of {bytes} bytes, identity", times.len());
    Ok(vec![
        Figure::new("/metrics, 100 producers, p50", times.ms(50), "ms"),
        Figure::new("/metrics, 100 producers, p99", times.ms(99), "ms")
            .at_most(0.5)
            .note(note),
        Figure::new("  the slowest", times.max_ms(), "ms"),
        Figure::new(
            "  a page of one line, for comparison, p50",
            lines.ms(50),
            "ms",
        ),
        Figure::new("  the same, p99", lines.ms(99), "ms"),
    ])
}

fn webhooks(world: &World, daemon: &Daemon, effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let volleys = effort.samples(60);
    let (bodies, control) = (alerts()?, daemon.control);
    let times = world.runtime.block_on(async move {
        let barrier = Arc::new(Barrier::new(AT_ONCE));
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..AT_ONCE {
            let barrier = Arc::clone(&barrier);
            // Everybody has two producers and takes turns.
            let mine = [bodies[client].clone(), bodies[client + AT_ONCE].clone()];
            clients.spawn(async move {
                let mut connection = Async::open(control).await?;
                let mut times = Vec::with_capacity(volleys);
                for volley in 0..volleys {
                    let evaluated = now_ms() / 1_000;
                    let body = mine[volley % 2].replace("EVALUATED", &evaluated.to_string());
                    let request = post("/api/v1/alertmanager", TOKEN, &body);
                    barrier.wait().await;
                    let answer = connection.ask(&request).await?;
                    ensure!(
                        answer.status == 200,
                        "the webhook answered {}",
                        answer.status
                    );
                    times.push(answer.took);
                    tokio::time::sleep(VOLLEY).await;
                }
                Ok(times)
            });
        }
        let mut all = Vec::new();
        while let Some(done) = clients.join_next().await {
            all.extend(done??);
        }
        anyhow::Ok(all)
    })?;
    let times = Samples::new(times)?;
    let note = format!("{} alerts, each durable before its answer", times.len());
    Ok(vec![
        Figure::new("webhook answered, 50 at once, p50", times.ms(50), "ms"),
        Figure::new("webhook answered, 50 at once, p99", times.ms(99), "ms")
            .at_most(50.0)
            .note(note),
        Figure::new("  the slowest", times.max_ms(), "ms"),
    ])
}

/// One Alertmanager message for each producer, all valid; the chain shows no fault, so each waits and switches nothing.
fn alerts() -> anyhow::Result<Vec<String>> {
    witnesses(1..=PRODUCERS)
        .iter()
        .map(|name| {
            let alert = json!({
                "status": "firing",
                "labels": {
                    "alertname": "SlotkeeperProducerFault", "severity": "critical", "action": "failover",
                    "chain": CHAIN, "producer": name, "signing_key": key_text(name, 0)?,
                },
                "annotations": {"evaluated_at": "EVALUATED", "summary": "bench"},
                "startsAt": "2026-11-21T03:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://127.0.0.1:9090/graph", "fingerprint": format!("bench-{name}"),
            });
            Ok(json!({
                "version": "4", "groupKey": format!("{{}}:{{producer={name}}}"), "truncatedAlerts": 0,
                "status": "firing", "receiver": "slotkeeper", "groupLabels": {}, "commonLabels": {},
                "commonAnnotations": {}, "externalURL": "http://127.0.0.1:9093", "alerts": [alert],
            })
            .to_string())
        })
        .collect()
}
