//! Figure 1: from an agreed view to the transaction taken by every endpoint. Each sample is one real switch of one
//! producer of a devnet, ordered by an operator through the actuator's door, so that neither Alertmanager's answer nor
//! a cooldown is part of it. Everything from the order on is: the request made durable, the decision on the agreed
//! view, signing and checking the signature, the attempt made durable, three HTTP broadcasts, and the note that they
//! were taken made durable.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use slotkeeper::actuator::{EventRecord, OperatorCommand, Verb};
use slotkeeper::clock::Stopwatch;
use tokio::sync::broadcast::Receiver;

use super::Effort;
use super::report::{Figure, Samples};
use super::world::{CHAIN, Inside, PATIENCE, Plan, World, witnesses};

/// Witnesses that have slots: switching one of these to a key without a node would cost the chain its participation.
const SCHEDULED: usize = 20;

struct Times {
    durable: Vec<Duration>,
    signed: Vec<Duration>,
    sent: Vec<Duration>,
}

pub(crate) fn measure(effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let switches = effort.samples(120);
    let kept = witnesses(SCHEDULED + 1..=SCHEDULED + switches);
    let world = World::start(Plan {
        interval_ms: 300,
        poll_ms: 100,
        others: SCHEDULED + switches,
        kept: kept.clone(),
        ..Plan::default()
    })?;
    let inside = world.inside()?;
    let syncs = disk(&world, effort.samples(100))?;
    let times = inside.runtime.block_on(switch_all(&inside, &kept))?;
    let taken = world.devnet.truth().transactions.len();
    ensure!(
        taken == switches,
        "{switches} switches ordered, {taken} transactions on the devnet"
    );
    let (durable, signed, sent) = (
        Samples::new(times.durable)?,
        Samples::new(times.signed)?,
        Samples::new(times.sent)?,
    );
    let note = format!("{} switches, three syncs included", sent.len());
    Ok(vec![
        Figure::new("agreed view -> transaction sent, p50", sent.ms(50), "ms")
            .at_most(15.0)
            .note(&note),
        Figure::new("agreed view -> transaction sent, p99", sent.ms(99), "ms")
            .at_most(100.0)
            .note(&note),
        Figure::new(
            "  of it until the request is durable, p50",
            durable.ms(50),
            "ms",
        ),
        Figure::new(
            "  of it until signed, durable, handed to the network, p50",
            signed.ms(50),
            "ms",
        ),
        Figure::new("  the same, p99", signed.ms(99), "ms"),
        Figure::new(
            "  one write and sync of 4 KiB on this disk, p50",
            syncs.ms(50),
            "ms",
        ),
        Figure::new("  the same, p99", syncs.ms(99), "ms"),
    ])
}

async fn switch_all(inside: &Inside, kept: &[String]) -> anyhow::Result<Times> {
    let app = inside.app()?;
    let actuator = app.actuator().clone();
    let mut snapshots = app.snapshots(CHAIN).context("no such chain")?;
    let ready = snapshots.wait_for(|s| {
        s.agreement.is_ok() && s.irreversible.is_some() && s.slots.caught_up && s.tick > 20
    });
    drop(
        tokio::time::timeout(PATIENCE, ready)
            .await
            .context("no agreed view")??,
    );
    let mut times = Times {
        durable: Vec::new(),
        signed: Vec::new(),
        sent: Vec::new(),
    };
    let mut events = actuator.events();
    for (number, name) in kept.iter().enumerate() {
        // Every phase between two ticks has its turn.
        let tick = snapshots.borrow_and_update().tick;
        let next = snapshots.wait_for(|s| s.tick > tick && s.agreement.is_ok());
        drop(
            tokio::time::timeout(PATIENCE, next)
                .await
                .context("no next view")??,
        );
        tokio::time::sleep(Duration::from_millis(number as u64 * 37 % 100)).await;
        while events.try_recv().is_ok() {}
        let watch = Stopwatch::start();
        let request = actuator
            .operate(OperatorCommand {
                chain: CHAIN.to_owned(),
                producer: name.clone(),
                verb: Verb::Switchover,
                to: None,
                until: None,
                override_reason: Some("measuring".to_owned()),
            })
            .await?;
        times.durable.push(watch.elapsed());
        let reached = reached(&mut events, &request, "signed");
        tokio::time::timeout(PATIENCE, reached)
            .await
            .context("never signed")??;
        times.signed.push(watch.elapsed());
        let reached = self::reached(&mut events, &request, "sent");
        tokio::time::timeout(PATIENCE, reached)
            .await
            .context("never sent")??;
        times.sent.push(watch.elapsed());
    }
    Ok(times)
}

/// Waits for one event of one request.
async fn reached(
    events: &mut Receiver<EventRecord>,
    request: &str,
    kind: &str,
) -> anyhow::Result<()> {
    loop {
        let event = events.recv().await?;
        if event.request_id.as_deref() != Some(request) {
            continue;
        }
        if event.kind == kind {
            return Ok(());
        }
        if event.verdict.as_deref().is_some_and(|v| v != "act") {
            bail!("not switched: {}", event.detail);
        }
    }
}

/// What the disk itself takes: the yardstick for the figures above.
fn disk(world: &World, count: usize) -> anyhow::Result<Samples> {
    use std::io::Write;
    let mut file = std::fs::File::create(world.directory().join("sync"))?;
    let block = [0x5a_u8; 4096];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let watch = Stopwatch::start();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(watch.elapsed());
    }
    Samples::new(times)
}
