//! The whole path with real Prometheus and real Alertmanager and the shipped files.

use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::chain::Protocol;
use slotkeeper::clock::{Stopwatch, now_ms};
use slotkeeper::demo::story::Story;
use slotkeeper::demo::timeline::{Event, Kind, Timeline};
use slotkeeper::demo::world::{WITNESS, World, WorldConfig};

/// Long enough for a busy machine; nothing here is timed.
const PATIENCE: Duration = Duration::from_secs(150);

async fn world(protocol: Protocol, seed: u64) -> World {
    World::start(&WorldConfig {
        protocol,
        interval_ms: 600,
        seed,
        others: 6,
        monitoring: true,
        port_base: 0,
    })
    .await
    .expect("the world starts")
}

fn alertmanager(world: &World) -> String {
    world
        .monitoring
        .as_ref()
        .expect("monitoring")
        .alertmanager_url
        .clone()
}

async fn json(url: &str) -> Value {
    reqwest::get(url)
        .await
        .expect("answers")
        .json()
        .await
        .expect("JSON")
}

async fn firing(world: &World) -> usize {
    let url = format!(
        "{}/api/v2/alerts?filter=action%3D%22failover%22",
        alertmanager(world)
    );
    json(&url).await.as_array().map_or(0, Vec::len)
}

/// Transactions on the main branch that anybody but an operator sent.
fn switches(world: &World) -> usize {
    world
        .devnet
        .truth()
        .transactions
        .iter()
        .filter(|tx| tx.on_main && tx.via != "operator")
        .count()
}

fn slots_of_alice(world: &World) -> usize {
    let truth = world.devnet.truth();
    truth
        .slots
        .iter()
        .filter(|s| s.scheduled == WITNESS)
        .count()
}

async fn until(name: &str, mut what: impl AsyncFnMut() -> bool) {
    let watch = Stopwatch::start();
    while !what().await {
        assert!(watch.elapsed() < PATIENCE, "never happened: {name}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_crashed_key_switched_standby_produces_alert_resolves_once() {
    let world = world(Protocol::Steem, 31).await;
    let mut lines = Vec::new();
    let mut tell = |event: &Event, _: &Timeline| lines.push(event.to_line(None));
    let story = Story::new(&world, Stopwatch::start(), &mut tell).expect("story");
    let timeline = story.run(PATIENCE).await;
    let timeline = timeline.unwrap_or_else(|e| panic!("{e}\n{}", lines.join("\n")));
    for kind in [
        Kind::Missed,
        Kind::AlertFiring,
        Kind::Webhook,
        Kind::Sent,
        Kind::StandbyProduced,
    ] {
        assert!(timeline.has(kind), "{} was not seen", kind.as_str());
    }
    // It was the webhook that did it, not the guard.
    let web = format!("http://127.0.0.1:{}", world.ports.web);
    let decisions = json(&format!("{web}/api/v1/decisions")).await;
    let acted: Vec<&Value> = decisions["decisions"]
        .as_array()
        .expect("list")
        .iter()
        .filter(|d| d["verdict"] == "act")
        .collect();
    assert!(
        !acted.is_empty() && acted.iter().all(|d| d["cause"] == "webhook"),
        "{decisions}"
    );
    until("the alert resolves", async || firing(&world).await == 0).await;
    let before = slots_of_alice(&world);
    until("five more slots pass", async || {
        slots_of_alice(&world) >= before + 5
    })
    .await;
    assert_eq!(switches(&world), 1);
    assert_eq!(
        world.devnet.truth().registered[WITNESS],
        world.key_text("B").expect("key")
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silence_set_before_the_crash_prevents_the_switch() {
    let world = world(Protocol::Hive, 32).await;
    let web = format!("http://127.0.0.1:{}", world.ports.web);
    until("able", async || {
        let status = json(&format!("{web}/api/v1/status")).await;
        status["producers"][0]["able"] == true
    })
    .await;
    let stamp = |ms: i64| {
        jiff::Timestamp::from_millisecond(ms)
            .expect("time")
            .to_string()
    };
    let silence = json!({
        "matchers": [
            {"name": "chain", "value": "devnet", "isRegex": false, "isEqual": true},
            {"name": "producer", "value": WITNESS, "isRegex": false, "isEqual": true},
        ],
        "startsAt": stamp(now_ms() - 1000),
        "endsAt": stamp(now_ms() + 3_600_000),
        "createdBy": "test", "comment": "planned work",
    });
    let answer = reqwest::Client::new()
        .post(format!("{}/api/v2/silences", alertmanager(&world)))
        .json(&silence)
        .send()
        .await
        .expect("Alertmanager answers");
    assert!(answer.status().is_success());
    world.devnet.crash_node("A").expect("crash");
    // The alert reaches Alertmanager and is silenced there.
    until("the silenced alert is known", async || {
        firing(&world).await > 0
    })
    .await;
    let before = slots_of_alice(&world);
    // More than the guard's patience of 30 s in slots: the guard obeys the silence too.
    until("a minute of slots passes", async || {
        slots_of_alice(&world) >= before + 15
    })
    .await;
    assert_eq!(switches(&world), 0);
    assert_eq!(
        world.devnet.truth().registered[WITNESS],
        world.key_text("A").expect("key")
    );
    world.stop().await;
}
