//! From a metric that changes to the webhook that arrives: real Prometheus and Alertmanager with the shipped files, between
//! a page of metrics that is made up here and a listener that plays slotkeeper's control side.
//!
//! Where in a second Prometheus scrapes a target and evaluates a group is fixed by hashes of their names. One pair shows
//! one place of many, so several pairs are started, each with other ports and directories. Every change is another
//! producer's: Alertmanager would hold back a second alert of a group that it has just sent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use slotkeeper::clock::Stopwatch;
use slotkeeper::demo::monitoring::{Monitored, Monitoring, Profile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Effort;
use super::report::{Figure, Samples};

/// Between two changes: no divisor of a second, so that they fall anywhere in it.
const SPACING: Duration = Duration::from_millis(137);
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(90);

/// What both listeners share.
#[derive(Default)]
struct Shared {
    scrapes: usize,
    /// When each producer's fault was shown.
    shown: HashMap<usize, Stopwatch>,
    /// How long its webhook took.
    arrived: HashMap<usize, Duration>,
}

type Board = Arc<Mutex<Shared>>;

/// What to measure.
struct Plan {
    profile: Profile,
    pairs: usize,
    changes: usize,
    /// With a second Alertmanager that accepts and never answers.
    hung: bool,
}

/// The fast profile, and what a hung Alertmanager costs it.
pub(crate) fn measure(effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let runtime = super::world::runtime("alert-path", 2)?;
    let fast = |hung, pairs| Plan {
        profile: Profile::Fast,
        pairs,
        changes: 60,
        hung,
    };
    let healthy = runtime.block_on(run(&fast(false, effort.samples(10))))?;
    let hung = runtime.block_on(run(&fast(true, effort.samples(5))))?;
    let note = |s: &Samples| format!("{} changes; longest {:.2} s", s.len(), s.max_ms() / 1e3);
    let seconds = |s: &Samples, percent| s.ms(percent) / 1e3;
    Ok(vec![
        Figure::new(
            "metric changed to webhook, fast profile, p50",
            seconds(&healthy, 50),
            "s",
        ),
        Figure::new(
            "metric changed to webhook, fast profile, p95",
            seconds(&healthy, 95),
            "s",
        )
        .at_most(2.0)
        .note(note(&healthy)),
        Figure::new(
            "the same beside a hung Alertmanager, p50",
            seconds(&hung, 50),
            "s",
        )
        .note(note(&hung)),
        Figure::new(
            "what the hung one costs, p50",
            seconds(&hung, 50) - seconds(&healthy, 50),
            "s",
        )
        .at_most(1.5),
        Figure::new(
            "what the hung one costs, p95",
            seconds(&hung, 95) - seconds(&healthy, 95),
            "s",
        )
        .at_most(1.5),
    ])
}

/// The relaxed profile, whose pace makes it slow to measure.
pub(crate) fn measure_relaxed(_: Effort) -> anyhow::Result<Vec<Figure>> {
    let runtime = super::world::runtime("alert-path", 2)?;
    let plan = Plan {
        profile: Profile::Relaxed,
        pairs: 8,
        changes: 200,
        hung: false,
    };
    let samples = runtime.block_on(run(&plan))?;
    let note = format!(
        "{} changes; longest {:.1} s",
        samples.len(),
        samples.max_ms() / 1e3
    );
    Ok(vec![
        Figure::new(
            "metric changed to webhook, relaxed profile, p50",
            samples.ms(50) / 1e3,
            "s",
        ),
        Figure::new(
            "metric changed to webhook, relaxed profile, p95",
            samples.ms(95) / 1e3,
            "s",
        )
        .note(note),
    ])
}

async fn run(plan: &Plan) -> anyhow::Result<Samples> {
    let directory = tempfile::tempdir()?;
    let token_file = directory.path().join("token");
    std::fs::write(&token_file, super::world::TOKEN)?;
    let mut all = Vec::new();
    if plan.profile == Profile::Relaxed {
        // At this pace they cost nothing; one after the other would take a quarter of an hour.
        let pairs = (0..plan.pairs).map(|_| pair(plan, &token_file));
        for samples in futures_util::future::join_all(pairs).await {
            all.extend(samples?);
        }
    } else {
        for n in 1..=plan.pairs {
            eprintln!("  pair {n} of {}", plan.pairs);
            all.extend(pair(plan, &token_file).await?);
        }
    }
    Samples::new(all)
}

/// One Prometheus and one Alertmanager, and as many changes as planned.
async fn pair(plan: &Plan, token_file: &Path) -> anyhow::Result<Vec<Duration>> {
    let board = Board::default();
    let web = listen(board.clone(), metrics).await?;
    let control = listen(board.clone(), webhook).await?;
    // Accepted by the kernel, answered by nobody.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let others = if plan.hung {
        vec![silent.local_addr()?]
    } else {
        Vec::new()
    };
    let (prometheus_port, alertmanager_port) = super::world::free_ports()?;
    let monitoring = Monitoring::start(&Monitored {
        web,
        control,
        token_file: token_file.to_owned(),
        prometheus_port,
        alertmanager_port,
        profile: plan.profile,
        others,
        people: None,
    })
    .await?;
    // The first scrapes come some seconds after the start.
    until(|| lock(&board).scrapes >= 2)
        .await
        .context("no scrape")?;
    for producer in 0..plan.changes {
        lock(&board).shown.insert(producer, Stopwatch::start());
        tokio::time::sleep(SPACING).await;
    }
    let all = || lock(&board).arrived.len() >= plan.changes;
    until(all).await.context("webhooks are missing")?;
    monitoring.stop().await;
    Ok(lock(&board).arrived.values().copied().collect())
}

fn lock(board: &Board) -> std::sync::MutexGuard<'_, Shared> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn until(done: impl Fn() -> bool) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    while !done() {
        if watch.elapsed() > PATIENCE {
            bail!("not within {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The page: every producer that was shown so far is at fault under its registered key.
fn metrics(shared: &mut Shared, _: &[u8]) -> String {
    shared.scrapes += 1;
    let mut page = String::new();
    for producer in shared.shown.keys() {
        let labels =
            format!("chain=\"bench\",producer=\"p{producer}\",signing_key=\"K{producer}\"");
        page += &format!(
            "slotkeeper_producer_fault{{{labels}}} 1\n\
             slotkeeper_producer_signing_key_info{{{labels},scope=\"registered\",role=\"primary\"}} 1\n"
        );
    }
    page
}

/// Notes the first webhook of each producer. Heartbeats arrive here too, and have none.
fn webhook(shared: &mut Shared, body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    for alert in body["alerts"].as_array().into_iter().flatten() {
        let name = alert["labels"]["producer"].as_str().unwrap_or_default();
        let number = name.strip_prefix('p').and_then(|n| n.parse().ok());
        if let Some(producer) = number
            && let Some(watch) = shared.shown.get(&producer)
        {
            let took = watch.elapsed();
            shared.arrived.entry(producer).or_insert(took);
        }
    }
    "{}".to_owned()
}

type Answer = fn(&mut Shared, &[u8]) -> String;

async fn listen(board: Board, answer: Answer) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let board = board.clone();
            tokio::spawn(async move {
                // Whoever asked may have gone away; then nothing is noted, and the measurement says so.
                let _ = serve(stream, &board, answer).await;
            });
        }
    });
    Ok(addr)
}

/// One request, one answer, and the connection is closed.
async fn serve(mut stream: TcpStream, board: &Board, answer: Answer) -> anyhow::Result<()> {
    let mut request = Vec::new();
    let start = loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if let Some(end) = request.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&request[..start]).to_lowercase();
    let length: usize = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    while request.len() < start + length {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let body = answer(&mut lock(board), &request[start..]);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    Ok(())
}
