//! The demo as a stranger runs it: the built binary, its exit code, its lines.

use std::net::SocketAddr;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use slotkeeper::chain::Protocol;
use slotkeeper::demo::world::{World, WorldConfig};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;

/// Runs the demo to its end; returns its exit code and its lines.
async fn demo(args: &[&str]) -> (Option<i32>, Vec<String>) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
        .arg("demo")
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("the demo runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    (
        output.status.code(),
        text.lines().map(str::to_owned).collect(),
    )
}

#[tokio::test]
async fn the_guard_alone_tells_the_story_in_json_and_exits_with_0() {
    let (code, lines) = demo(&["--exit", "--json", "--no-prometheus", "--interval", "300"]).await;
    let events: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect();
    assert_eq!(code, Some(0), "{lines:#?}");
    let names: Vec<&str> = events.iter().filter_map(|e| e["event"].as_str()).collect();
    for name in [
        "started",
        "crashed",
        "missed",
        "webhook",
        "decided",
        "sent",
        "included",
        "effective",
        "irreversible",
        "standby_produced",
        "done",
    ] {
        let times = names.iter().filter(|n| **n == name).count();
        assert_eq!(times, 1, "{name}: {names:?}");
    }
    assert!(!names.contains(&"alert_firing"), "there is no Alertmanager");
    assert_eq!((names[0], names[names.len() - 1]), ("started", "done"));
    let times: Vec<u64> = events.iter().filter_map(|e| e["t_ms"].as_u64()).collect();
    assert_eq!(times.len(), events.len());
    assert!(times.is_sorted(), "{times:?}");
    for event in &events {
        assert_eq!(event["chain"], "devnet");
        assert_eq!(event["producer"], "alice");
        let about_a_transaction = ["sent", "included", "effective", "irreversible"]
            .contains(&event["event"].as_str().unwrap_or_default());
        assert_eq!(event["txid"].is_string(), about_a_transaction, "{event}");
        let about_a_slot =
            ["missed", "standby_produced"].contains(&event["event"].as_str().unwrap_or_default());
        assert_eq!(event["slot"].is_u64(), about_a_slot, "{event}");
    }
}

#[tokio::test]
async fn the_story_ends_well_on_golos_too() {
    ends_well_on("golos").await;
}

#[tokio::test]
async fn the_story_ends_well_on_bitshares_too() {
    ends_well_on("bitshares").await;
}

async fn ends_well_on(chain: &str) {
    let args = ["--exit", "--json", "--no-prometheus", "--interval", "300"];
    let (code, lines) = demo(&[&args[..], &["--chain", chain]].concat()).await;
    assert_eq!(code, Some(0), "{lines:#?}");
    let last: Value = serde_json::from_str(lines.last().expect("lines")).expect("JSON");
    assert_eq!(last["event"], "done", "{lines:#?}");
}

#[tokio::test]
async fn on_antelope_the_new_key_takes_its_time_and_the_story_ends_well() {
    let args = [
        "--exit",
        "--json",
        "--no-prometheus",
        "--chain",
        "antelope",
        "--interval",
        "200",
    ];
    let (code, lines) = demo(&args).await;
    assert_eq!(code, Some(0), "{lines:#?}");
    let at = |name: &str| {
        let event = format!("\"event\":\"{name}\"");
        let found = lines.iter().position(|l| l.contains(&event));
        found.unwrap_or_else(|| panic!("{name}: {lines:#?}"))
    };
    for pair in [
        "missed",
        "sent",
        "included",
        "effective",
        "standby_produced",
    ]
    .windows(2)
    {
        assert!(at(pair[0]) < at(pair[1]), "{pair:?}: {lines:#?}");
    }
}

/// As `slotkeeper demo --chain antelope` starts it: half a second is no devnet's pace, and is polled like a public chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_pace_of_a_real_antelope_chain_the_world_starts() {
    let world = World::start(&WorldConfig {
        protocol: Protocol::Antelope,
        interval_ms: 500,
        seed: 1,
        others: 3,
        monitoring: false,
        port_base: 0,
    })
    .await;
    world.expect("the world starts").stop().await;
}

/// A supervisor ends it with SIGTERM. Its files lie in a directory of the test, so that what is left would be seen; the ports
/// of its Prometheus and Alertmanager are free again when these are gone.
#[tokio::test]
async fn told_to_end_it_leaves_nothing_behind() {
    let place = tempfile::tempdir().expect("a directory");
    let mut demo = tokio::process::Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
        .args(["demo", "--interval", "3000"])
        .env("TMPDIR", place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the demo runs");
    let mut lines = BufReader::new(demo.stdout.take().expect("piped")).lines();
    let mut monitoring = Vec::new();
    // Printed when all of it is up.
    while monitoring.len() < 2 {
        let line = lines.next_line().await.expect("text").expect("a line");
        if line.starts_with("Prometheus") || line.starts_with("Alertmanager") {
            let url = line.split("http://").nth(1).expect("its URL");
            let port = url.split('/').next().expect("its address");
            monitoring.push(port.parse::<SocketAddr>().expect("its address"));
        }
    }
    for address in &monitoring {
        TcpStream::connect(address).await.expect("it listens");
    }
    let pid = demo.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    kill_process(pid.expect("it runs"), Signal::TERM).expect("told");
    let status = demo.wait().await.expect("it ends");
    assert_eq!(status.code(), Some(1), "interrupted is not done");
    for address in &monitoring {
        TcpStream::connect(address)
            .await
            .expect_err("ended with it");
    }
    let left: Vec<_> = std::fs::read_dir(place.path()).expect("read").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_chain_that_nobody_knows_is_a_usage_error() {
    let (code, lines) = demo(&["--exit", "--chain", "bitcoin"]).await;
    assert_eq!(code, Some(2), "{lines:?}");
}
