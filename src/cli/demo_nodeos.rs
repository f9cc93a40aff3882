//! `slotkeeper demo --nodeos DIR`: the same story on a real Antelope network.

use std::path::Path;
use std::time::Duration;

use super::demo::{DemoArgs, look_around};
use super::stop::Stop;
use crate::clock::Stopwatch;
use crate::demo::nodeos::network::NODES;
use crate::demo::nodeos::story::Story;
use crate::demo::nodeos::world::CHAIN;
use crate::demo::nodeos::{NodeosConfig, NodeosWorld, Package};
use crate::demo::timeline::{Event, Kind, Timeline};

/// Longest wait for slotkeeper to be able, and again for the story's end. An activation takes about two minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Tells the story.
pub(super) async fn tell(args: &DemoArgs, place: &Path) -> anyhow::Result<()> {
    let package = Package::find(place)?;
    let config = NodeosConfig {
        monitoring: !args.no_prometheus,
        watch_only: false,
        permission: true,
        port_base: args.port_base,
    };
    let watch = Stopwatch::start();
    if !args.json {
        eprintln!(
            "starting three nodes of an Antelope chain with four producers, slotkeeper{} …",
            if config.monitoring {
                ", Prometheus and Alertmanager"
            } else {
                ""
            }
        );
    }
    let mut stop = Stop::catch()?;
    let mut world = tokio::select! {
        world = NodeosWorld::start(package, &config) => world?,
        () = stop.asked() => anyhow::bail!("interrupted before everything was up"),
    };
    if !args.json {
        print_urls(&world);
    }
    let mut print = |event: &Event, story: &Timeline| {
        if args.json {
            let mut line = event.to_json(story.producer());
            line["chain"] = CHAIN.into();
            println!("{line}");
        } else {
            println!("{}", event.to_line(story.at(Kind::Missed)));
        }
    };
    let story = Story::new(&mut world, watch, &mut print)?;
    let ended = tokio::select! {
        ended = story.run(PATIENCE) => ended,
        () = stop.asked() => {
            world.stop().await;
            anyhow::bail!("interrupted before the standby produced");
        }
    };
    look_around(args, &ended, &mut stop).await;
    world.stop().await;
    ended.map(|_| ()).map_err(Into::into)
}

fn print_urls(world: &NodeosWorld) {
    println!("slotkeeper    http://127.0.0.1:{}/", world.ports.web);
    println!("metrics       http://127.0.0.1:{}/metrics", world.ports.web);
    println!("control       http://127.0.0.1:{}/", world.ports.control);
    if let Some(pair) = &world.monitoring {
        println!("Prometheus    {}/alerts", pair.prometheus_url);
        println!("Alertmanager  {}/", pair.alertmanager_url);
    }
    for node in NODES {
        let url = world.network.url(node);
        let pid = world.network.pid(node).unwrap_or(0);
        println!("{node:<13} {url}/v1/chain/get_info (process {pid})");
    }
    println!("files         {}\n", world.directory.path().display());
}
