//! `slotkeeper demo`: a failover to look at, on a simulated chain, with the real monitoring pair.

use std::time::Duration;

use clap::Args;

use super::stop::Stop;
use super::{CliError, CliResult};
use crate::chain::Protocol;
use crate::clock::Stopwatch;
use crate::demo::story::Story;
use crate::demo::teller::StoryError;
use crate::demo::timeline::{Event, Kind, Timeline};
use crate::demo::world::{self, World, WorldConfig};

/// Longest wait for slotkeeper to be able, and again for the story's end, in rounds of the simulated chain.
const PATIENCE_ROUNDS: u32 = 5;

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(
    about = "Watch a failover happen on a simulated chain",
    long_about = "Starts a simulated chain (21 witnesses; Antelope: 4 producers), two nodes of the witness alice, slotkeeper, and real \
                  Prometheus and Alertmanager with the shipped configuration; kills alice's primary node and prints \
                  what follows, with latencies. Stays up with its URLs until Ctrl-C.\n\nEverything runs on loopback \
                  in a temporary directory; nothing of yours is touched.",
    after_help = "Examples:\n  slotkeeper demo\n  slotkeeper demo --chain steem --exit --json\n  slotkeeper demo --chain antelope\n  slotkeeper demo \
                  --no-prometheus       # the guard does it alone\n\nExit codes: 0 the standby produced, 1 it did not, \
                  2 usage."
)]
pub(crate) struct DemoArgs {
    /// Dialect of the simulated chain: steem, hive, blurt, golos, bitshares or antelope.
    #[arg(long, value_name = "P", default_value = "hive")]
    chain: Protocol,
    /// End after the story instead of staying up.
    #[arg(long)]
    pub(super) exit: bool,
    /// Print one JSON object per event.
    #[arg(long)]
    pub(super) json: bool,
    /// Without Prometheus and Alertmanager: the guard decides alone.
    #[arg(long)]
    pub(super) no_prometheus: bool,
    /// On a real Antelope network instead, of the nodeos package in DIR (`make demo-nodeos` installs it): three nodes, one
    /// is killed. About four minutes.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["chain", "interval"])]
    nodeos: Option<std::path::PathBuf>,
    /// First of the ports to use; 0 takes any free ones.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) port_base: u16,
    /// Block interval in milliseconds [default: that of the real chain, 3000, on Antelope 500].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=10_000))]
    interval: Option<u64>,
}

/// Runs the demo.
pub(crate) fn run(args: &DemoArgs) -> CliResult {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| CliError::Failed(e.into()))?;
    let told = match &args.nodeos {
        None => runtime.block_on(tell(args)),
        Some(place) => runtime.block_on(super::demo_nodeos::tell(args, place)),
    };
    told.map_err(CliError::Failed)
}

async fn tell(args: &DemoArgs) -> anyhow::Result<()> {
    let antelope = args.chain == Protocol::Antelope;
    // A round of 21 turns takes two minutes: too long to look at.
    let others = if antelope { 3 } else { 20 };
    let interval_ms = args.interval.unwrap_or(if antelope { 500 } else { 3000 });
    let turn = if antelope { 12 } else { 1 };
    let config = WorldConfig {
        protocol: args.chain,
        interval_ms,
        seed: 1,
        others,
        monitoring: !args.no_prometheus,
        port_base: args.port_base,
    };
    let watch = Stopwatch::start();
    if !args.json {
        eprintln!(
            "starting a {} chain, two nodes of alice, slotkeeper{} …",
            args.chain,
            if config.monitoring {
                ", Prometheus and Alertmanager"
            } else {
                ""
            }
        );
        if antelope {
            eprintln!("{}", sped_up(interval_ms));
        }
    }
    // From here on: what is being started is ended too.
    let mut stop = Stop::catch()?;
    let world = tokio::select! {
        world = World::start(&config) => world?,
        () = stop.asked() => anyhow::bail!("interrupted before everything was up"),
    };
    if !args.json {
        print_urls(&world);
    }
    let round = Duration::from_millis(interval_ms) * (u32::try_from(others)? + 1) * turn;
    let mut print = |event: &Event, story: &Timeline| {
        if args.json {
            println!("{}", event.to_json(story.producer()));
        } else {
            println!("{}", event.to_line(story.at(Kind::Missed)));
        }
    };
    let patience = round * PATIENCE_ROUNDS + Duration::from_secs(30);
    let story = Story::new(&world, watch, &mut print)?;
    let ended = tokio::select! {
        ended = story.run(patience) => ended,
        () = stop.asked() => {
            world.stop().await;
            anyhow::bail!("interrupted before the standby produced");
        }
    };
    look_around(args, &ended, &mut stop).await;
    world.stop().await;
    ended.map(|_| ()).map_err(Into::into)
}

/// The end of the story for people; where it ended well, they can look around until they press Ctrl-C.
pub(super) async fn look_around(
    args: &DemoArgs,
    ended: &Result<Timeline, StoryError>,
    stop: &mut Stop,
) {
    match ended {
        Ok(timeline) if !args.json => print_summary(timeline),
        _ => {}
    }
    if !args.exit && ended.is_ok() {
        if !args.json {
            println!("\nStill running; look around, then press Ctrl-C.");
        }
        stop.asked().await;
    }
}

/// What the demo does faster than a real Antelope chain, so that it ends within two minutes.
fn sped_up(interval_ms: u64) -> String {
    let seconds = |blocks: u64| blocks.saturating_mul(interval_ms).div_ceil(1000);
    format!(
        "sped up: producers are elected every {} s (real chains: 60 s), blocks are irreversible after {} s (real \
         chains before Savanna: minutes). A new key is proposed, pending, then in force; until then nobody can sign.",
        seconds(world::ELECTION_SLOTS),
        seconds(world::IRREVERSIBLE_LAG),
    )
}

fn print_urls(world: &World) {
    println!("slotkeeper    http://127.0.0.1:{}/", world.ports.web);
    println!("metrics       http://127.0.0.1:{}/metrics", world.ports.web);
    println!("control       http://127.0.0.1:{}/", world.ports.control);
    if let Some(pair) = &world.monitoring {
        println!("Prometheus    {}/alerts", pair.prometheus_url);
        println!("Alertmanager  {}/", pair.alertmanager_url);
    }
    println!(
        "devnet        {}/devnet/state",
        world.devnet.endpoint(0).url()
    );
    println!("files         {}\n", world.directory.path().display());
}

fn print_summary(timeline: &Timeline) {
    let Some(missed) = timeline.at(Kind::Missed) else {
        return;
    };
    println!("\nAfter the first missed slot:");
    for kind in [
        Kind::AlertFiring,
        Kind::Sent,
        Kind::Effective,
        Kind::StandbyProduced,
    ] {
        if let Some(at) = timeline.at(kind) {
            #[allow(clippy::cast_precision_loss)] // seconds for people
            let seconds = at.saturating_sub(missed) as f64 / 1000.0;
            println!("  {:<17} {seconds:6.2} s", kind.as_str());
        }
    }
}
