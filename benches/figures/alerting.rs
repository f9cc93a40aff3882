//! From a metric that changes to the webhook that arrives: real Prometheus and Alertmanager with the shipped files, between
//! a page of metrics that is made up here and a listener that plays slotkeeper's control side.
//!
//! Where in a second Prometheus scrapes a target and evaluates a group is fixed by hashes of their names. One pair shows
//! one place of many, so several pairs are started, each with other ports and directories. Every change is another
//! producer's: Alertmanager would hold back a second alert of a group that it has just sent. An alert of each other group
//! fires all the time, so that Prometheus has more to send than the one that is measured.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use slotkeeper::clock::{Stopwatch, now_ms};
use slotkeeper::demo::monitoring::{Monitored, Monitoring, Profile};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::Effort;
use super::http;
use super::report::{Figure, Samples};

/// Between two changes: no divisor of a second, so that they fall anywhere in it.
const SPACING: Duration = Duration::from_millis(137);
/// The same where each is to find Prometheus idle: closer ones would share a sending.
const WIDE_SPACING: Duration = Duration::from_millis(1_370);
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(90);

/// What both listeners share.
#[derive(Default)]
struct Shared {
    scrapes: usize,
    /// When each producer's fault was shown.
    shown: HashMap<usize, Stopwatch>,
    /// How long its webhook took since then.
    arrived: HashMap<usize, Duration>,
    /// How long it took since the rule was evaluated.
    sent: Vec<Duration>,
}

type Board = Arc<Mutex<Shared>>;

/// What to measure.
struct Plan {
    profile: Profile,
    pairs: usize,
    changes: usize,
    spacing: Duration,
    /// With a second Alertmanager that accepts and never answers.
    hung: bool,
}

/// What was measured: from the change, and from the rule's evaluation.
#[derive(Default)]
struct Times {
    changed: Vec<Duration>,
    evaluated: Vec<Duration>,
}

/// The fast profile, and what a hung Alertmanager costs it.
pub(crate) fn measure(effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let runtime = super::world::runtime("alert-path", 2)?;
    let healthy = runtime.block_on(run(&Plan {
        profile: Profile::Fast,
        pairs: effort.samples(10),
        changes: 60,
        spacing: SPACING,
        hung: false,
    }))?;
    let hung = runtime.block_on(run(&Plan {
        profile: Profile::Fast,
        pairs: effort.samples(4),
        changes: 25,
        spacing: WIDE_SPACING,
        hung: true,
    }))?;
    let [changed, evaluated] = sorted(healthy)?;
    let [hung_changed, hung_evaluated] = sorted(hung)?;
    Ok(vec![
        figure("metric changed to webhook, fast profile, p50", &changed, 50),
        figure("metric changed to webhook, fast profile, p95", &changed, 95)
            .at_most(2.0)
            .note(note(&changed)),
        figure("of that, rule evaluated to webhook, p95", &evaluated, 95),
        figure("beside a hung Alertmanager, p50", &hung_changed, 50),
        figure("beside a hung Alertmanager, p95", &hung_changed, 95).note(note(&hung_changed)),
        // Where in a second things fall differs from pair to pair; from the rule on, only the sending is left.
        figure(
            "of that, rule evaluated to webhook, p50",
            &hung_evaluated,
            50,
        ),
        figure(
            "of that, rule evaluated to webhook, longest",
            &hung_evaluated,
            100,
        )
        .at_most(1.5)
        .note("what the hung one costs"),
    ])
}

fn figure(name: &str, samples: &Samples, percent: usize) -> Figure {
    Figure::new(name, samples.ms(percent) / 1e3, "s")
}

fn note(samples: &Samples) -> String {
    let longest = samples.max_ms() / 1e3;
    format!("{} changes; longest {longest:.2} s", samples.len())
}

fn sorted(times: Times) -> anyhow::Result<[Samples; 2]> {
    Ok([Samples::new(times.changed)?, Samples::new(times.evaluated)?])
}

/// The relaxed profile, whose pace makes it slow to measure.
pub(crate) fn measure_relaxed(_: Effort) -> anyhow::Result<Vec<Figure>> {
    let runtime = super::world::runtime("alert-path", 2)?;
    let [changed, _] = sorted(runtime.block_on(run(&Plan {
        profile: Profile::Relaxed,
        pairs: 8,
        changes: 200,
        spacing: SPACING,
        hung: false,
    }))?)?;
    Ok(vec![
        figure(
            "metric changed to webhook, relaxed profile, p50",
            &changed,
            50,
        ),
        figure(
            "metric changed to webhook, relaxed profile, p95",
            &changed,
            95,
        )
        .note(note(&changed)),
    ])
}

async fn run(plan: &Plan) -> anyhow::Result<Times> {
    let directory = tempfile::tempdir()?;
    let token_file = directory.path().join("token");
    std::fs::write(&token_file, super::world::TOKEN)?;
    let mut all = Times::default();
    if plan.profile == Profile::Relaxed {
        // At this pace they cost nothing; one after the other would take a quarter of an hour.
        let pairs = (0..plan.pairs).map(|_| pair(plan, &token_file));
        for samples in futures_util::future::join_all(pairs).await {
            all.take(samples?);
        }
    } else {
        for n in 1..=plan.pairs {
            eprintln!("  pair {n} of {}", plan.pairs);
            all.take(pair(plan, &token_file).await?);
        }
    }
    Ok(all)
}

// === impl Times ===

impl Times {
    fn take(&mut self, other: Self) {
        self.changed.extend(other.changed);
        self.evaluated.extend(other.evaluated);
    }
}

/// One Prometheus and one Alertmanager, and as many changes as planned.
async fn pair(plan: &Plan, token_file: &Path) -> anyhow::Result<Times> {
    let board = Board::default();
    let web = listen(board.clone(), metrics).await?;
    let control = listen(board.clone(), webhook).await?;
    // Accepted by the kernel, answered by nobody: a peer that hangs.
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
        also_scraped: Vec::new(),
        alertmanager_at: None,
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
        tokio::time::sleep(plan.spacing).await;
    }
    let all = || lock(&board).arrived.len() >= plan.changes;
    until(all).await.context("webhooks are missing")?;
    monitoring.stop().await;
    let board = lock(&board);
    Ok(Times {
        changed: board.arrived.values().copied().collect(),
        evaluated: board.sent.clone(),
    })
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

/// The page: every producer that was shown so far is at fault under its registered key. And an alert of each group.
fn metrics(shared: &mut Shared, _: &[u8]) -> String {
    shared.scrapes += 1;
    let mut page = String::from(
        "slotkeeper_rpc_chain_id_match{chain=\"bench\",endpoint=\"e\"} 0\n\
         slotkeeper_chain_observation_timestamp_seconds{chain=\"bench\"} 9e9\n\
         slotkeeper_chain_head_timestamp_seconds{chain=\"bench\"} 1\n\
         slotkeeper_config_last_reload_successful 0\n\
         slotkeeper_producer_signing_key_info{chain=\"bench\",producer=\"x\",signing_key=\"X\",scope=\"registered\",role=\"foreign\"} 1\n\
         slotkeeper_actuator_armed{chain=\"bench\",producer=\"x\"} 1\n",
    );
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
            let began = alert["startsAt"].as_str().and_then(|t| t.parse().ok());
            if let Entry::Vacant(free) = shared.arrived.entry(producer)
                && let Some(began) = began.map(jiff::Timestamp::as_millisecond)
            {
                free.insert(took);
                let evaluated = now_ms().saturating_sub(began).max(0);
                shared
                    .sent
                    .push(Duration::from_millis(evaluated.unsigned_abs()));
            }
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
    let Some((request, start)) = http::request(&mut stream).await? else {
        return Ok(());
    };
    let body = answer(&mut lock(board), &request[start..]);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    Ok(())
}
