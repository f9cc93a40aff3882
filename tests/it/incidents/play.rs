//! One row from boot to all-clear; several rows at once.

use std::sync::Arc;
use std::time::Duration;

use slotkeeper::clock::now_ms;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::bounds::Shipped;
use super::people::Told;
use super::stack::Stack;
use super::table::{Hears, Receiver, Row};

/// Who heard of a row after how many seconds, in the order of its `hears`.
pub(super) type Measured = (&'static Row, Vec<f64>);

/// The end is told with the next message of its group (1 m), and by a checker with the next ping.
const ALL_CLEAR: Duration = Duration::from_secs(180);

/// Plays rows, so many at once: all of them, whatever goes wrong with one. What was measured, and what went wrong.
pub(super) async fn play_all(
    rows: Vec<&'static Row>,
    at_once: usize,
    thorough: bool,
) -> (Vec<Measured>, String) {
    let slots = Arc::new(Semaphore::new(at_once));
    let mut playing = JoinSet::new();
    for row in rows {
        let slots = slots.clone();
        playing.spawn(async move {
            let _slot = slots.acquire_owned().await.expect("open");
            let told = tokio::spawn(play(row, thorough)).await;
            (row, told)
        });
    }
    let (mut measured, mut wrong) = (Vec::new(), Vec::new());
    while let Some(played) = playing.join_next().await {
        let (row, told) = played.expect("it only waits");
        match told {
            Ok(Ok(seconds)) => {
                println!("{}: {seconds:.1?} s", row.name);
                measured.push((row, seconds));
            }
            Ok(Err(why)) => {
                println!("{}: WRONG: {why}", row.name);
                wrong.push(format!("{}: {why}", row.name));
            }
            Err(panic) => {
                println!("{}: WRONG: {panic}", row.name);
                wrong.push(format!("{}: {panic}", row.name));
            }
        }
    }
    (measured, wrong.join("\n\n"))
}

/// Who is not to be told has not been told so long after the break.
const QUIET: Duration = Duration::from_secs(75);

async fn play(row: &'static Row, thorough: bool) -> Result<Vec<f64>, String> {
    let mut stack = Stack::boot(row).await;
    stack.healthy().await?;
    let key = stack.rig.registered();
    let before = stack.people.told();
    if !before.is_empty() {
        return Err(format!("told before anything broke: {before:?}"));
    }
    let mut broken = now_ms();
    for what in row.breaks {
        broken = now_ms();
        stack.inflict(*what).await;
    }
    let seconds = heard(&stack, row, broken).await?;
    spared(&stack, row, broken).await?;
    if (stack.rig.registered() == key) == row.moves {
        return Err(format!("registered is {}", stack.rig.registered()));
    }
    if thorough && row.mends {
        // The first mended last, as the first broken first.
        for what in row.breaks.iter().rev() {
            stack.mend(*what).await;
        }
        all_clear(&stack, row).await?;
        if stack.rig.registered() != key {
            return Err("production was moved while it was mended".into());
        }
    }
    stack.stop().await;
    Ok(seconds)
}

/// Waits for everybody who must hear, each within its bound.
async fn heard(stack: &Stack, row: &Row, broken: i64) -> Result<Vec<f64>, String> {
    let shipped = Shipped::read();
    let bounds: Vec<f64> = row
        .hears
        .iter()
        .map(|h| shipped.bound(h.within).0 as f64)
        .collect();
    loop {
        let told = stack.people.told();
        let since = (now_ms() - broken) as f64 / 1000.0;
        let mut seconds = Vec::new();
        let mut waiting = false;
        for (hears, bound) in row.hears.iter().zip(&bounds) {
            let after = first(&told, hears, true, broken).map(|at| (at - broken) as f64 / 1000.0);
            match after {
                Some(after) if after <= *bound => seconds.push(after),
                None if since <= *bound => waiting = true,
                late => {
                    return Err(format!(
                        "{} did not hear of {} within {bound} s ({late:?}). Told: {told:#?}\n{}\n{}",
                        hears.who.words(),
                        hears.what,
                        tail(&stack.daemon.log()),
                        alerts(stack).await,
                    ));
                }
            }
        }
        if !waiting {
            return Ok(seconds);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Nobody is told who should not be, for longer than slotkeeper would be patient.
async fn spared(stack: &Stack, row: &Row, broken: i64) -> Result<(), String> {
    if row.spared.is_empty() {
        return Ok(());
    }
    let limit = i64::try_from(QUIET.as_millis()).expect("small");
    loop {
        let told = stack.people.told();
        let mut disturbed = told.iter().filter(|t| row.spared.contains(&t.who));
        if let Some(told) = disturbed.next() {
            return Err(format!("told without need: {told:?}"));
        }
        if now_ms() - broken >= limit {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn all_clear(stack: &Stack, row: &Row) -> Result<(), String> {
    let mended = now_ms();
    let limit = i64::try_from(ALL_CLEAR.as_millis()).expect("small");
    loop {
        let told = stack.people.told();
        let open: Vec<&Hears> = row
            .hears
            .iter()
            .filter(|h| !h.lingers && first(&told, h, false, mended).is_none())
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        if now_ms() - mended > limit {
            return Err(format!(
                "mended, and {:?} never said so. Told: {told:#?}\n{}\n{}",
                open.iter().map(|h| h.what).collect::<Vec<_>>(),
                tail(&stack.daemon.log()),
                alerts(stack).await,
            ));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// When this was first told after `since`.
fn first(told: &[Told], hears: &Hears, begins: bool, since: i64) -> Option<i64> {
    let named = |t: &&Told| t.is(hears) && t.begins == begins && t.at >= since;
    told.iter().find(named).map(|t| t.at)
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(15).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

async fn alerts(stack: &Stack) -> String {
    let url = format!("{}/api/v1/alerts", stack.monitoring.prometheus_url);
    let answer = super::stack::json(&url).await;
    let list = answer["data"]["alerts"].as_array().cloned();
    let short: Vec<String> = list
        .unwrap_or_default()
        .iter()
        .map(|a| format!("{} {}", a["labels"]["alertname"], a["state"]))
        .collect();
    format!("alerts in Prometheus: {}", short.join(", "))
}

/// No row says "nobody", and none contradicts itself.
#[test]
fn each_row_names_who_hears_and_nobody_is_both_told_and_spared() {
    for row in super::all() {
        assert!(!row.hears.is_empty(), "{}: nobody", row.name);
        for hears in row.hears {
            assert!(!row.spared.contains(&hears.who), "{}", row.name);
            assert!(
                hears.who != Receiver::OffSite || hears.what == "no ping",
                "{}",
                row.name
            );
        }
    }
}
