//! The whole stack of one row, put together and healthy: devnet, slotkeeper, Prometheus, Alertmanager, people; a relay
//! between any two.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use slotkeeper::clock::Stopwatch;
use slotkeeper::demo::monitoring::{Monitored, Monitoring, Profile};

use super::bounds::{PING, Shipped};
use super::daemon::Daemon;
use super::people::People;
use super::table::{Break, Link, Process, Row};
use crate::rig::relay::Relay;
use crate::rig::{Rig, RigConfig, free_ports};

/// How long the stack may take to become healthy: Prometheus looks at Alertmanager for the first time after up to 15 s.
const HEALTHY: Duration = Duration::from_secs(120);

/// Everything, in the order in which it goes when a row has failed: the mounted disk before the directory that it is in.
pub(crate) struct Stack {
    pub(super) daemon: Daemon,
    /// The slotkeeper that only watches, where the row needs one.
    watcher: Option<(Daemon, Rig)>,
    pub(super) monitoring: Monitoring,
    /// Where the state file and the log are.
    pub(super) state: State,
    pub(super) rig: Rig,
    pub(super) people: People,
    pub(super) links: BTreeMap<Link, Vec<Relay>>,
}

/// The directory of the state file, a small disk of its own where the row fills it and the system lets us mount one.
pub(super) struct State {
    pub(super) directory: PathBuf,
    pub(super) mounted: bool,
}

impl Drop for State {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: the process that still writes there ends right after.
            let _ = std::process::Command::new("umount")
                .arg("-l")
                .arg(&self.directory)
                .status();
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn address(url: &str) -> SocketAddr {
    let rest = url.split("//").nth(1).expect("a URL");
    let host = rest.split('/').next().expect("a host");
    host.parse().expect("an address")
}

impl Stack {
    /// Starts all of it for `row`.
    pub(crate) async fn boot(row: &Row) -> Self {
        let people = People::there().await;
        let (prometheus_port, alertmanager_port) = free_ports();
        let ports = free_ports();
        let mut links = BTreeMap::new();
        for (link, target) in [
            (Link::Scrape, loopback(ports.0)),
            (Link::Webhook, loopback(ports.1)),
            (Link::Alerts, loopback(alertmanager_port)),
            (Link::Asking, loopback(alertmanager_port)),
            (Link::People, address(&people.by_alertmanager.url)),
            (Link::OwnPeople, address(&people.by_slotkeeper.url)),
            (Link::OffSite, address(&people.off_site.url)),
        ] {
            links.insert(link, vec![Relay::to(target).await]);
        }
        let ways: BTreeMap<Link, SocketAddr> = links.iter().map(|(l, r)| (*l, r[0].at)).collect();
        let via = |link: Link| ways[&link];
        let config = RigConfig {
            // The pace of Steem and its kin, polled as by default.
            interval_ms: 3_000,
            poll_ms: Some(1_000),
            actuator: format!(
                "armed: true, alertmanagers: [{{url: \"http://{}\"}}]",
                via(Link::Asking)
            ),
            // Heartbeat limits and patience are the defaults, which the shipped pace goes with.
            extra: format!(
                "guard: {{mode: fallback}}\n\
                 heartbeats: [{{source: prometheus-a}}]\n\
                 notify: [{{name: oncall, pagerduty: {{routing_key_file: pd.key, url: \"http://{}\"}}}}]\n\
                 pings: [{{name: checker, url_file: ping.url, interval: {PING}s}}]\n",
                via(Link::OwnPeople)
            ),
            ports,
            dates: row.dates,
            seed: 2018,
            ..RigConfig::default()
        };
        let mut rig = Rig::without_app(config).await;
        rig.private("pd.key", "0123456789abcdef0123456789abcdef");
        rig.private("ping.url", &format!("http://{}/ping", via(Link::OffSite)));
        rig.private("alertmanager.token", "test-token");
        let state = State::there(&rig, row.breaks.contains(&Break::FillDisk));
        relay_endpoints(&rig, &mut links).await;
        // A state file that was there before: a fresh one with `armed: true` holds off for two minutes.
        rig.restart_app().await;
        if let Some(app) = rig.app.take() {
            app.stop().await;
        }
        let directory = rig.directory.path();
        let clock = row.breaks.iter().any(|b| matches!(b, Break::Clock(_)));
        let log = state.directory.join("run.log");
        let mut daemon = Daemon::new(&rig.config_file(), &log, clock);
        daemon.start();
        let watcher = if row.breaks.contains(&Break::Kill(Process::Actuator)) {
            Some(watcher(&rig).await)
        } else {
            None
        };
        let monitoring = Monitoring::start(&Monitored {
            web: via(Link::Scrape),
            control: via(Link::Webhook),
            token_file: directory.join("alertmanager.token"),
            prometheus_port,
            alertmanager_port,
            profile: Profile::Fast,
            also_scraped: watcher
                .iter()
                .map(|(_, rig)| loopback(rig.config.ports.0))
                .collect(),
            alertmanager_at: Some(via(Link::Alerts)),
            others: Vec::new(),
            people: Some(via(Link::People)),
        })
        .await
        .expect("Prometheus and Alertmanager start (make setup)");
        Self {
            rig,
            daemon,
            watcher,
            monitoring,
            people,
            links,
            state,
        }
    }

    /// Waits until everything is well: able, beating, pinging, every target seen, and no alert on its way.
    pub(crate) async fn healthy(&self) -> Result<(), String> {
        let watch = Stopwatch::start();
        loop {
            let what = self.ailing().await;
            let Some(what) = what else { return Ok(()) };
            if watch.elapsed() > HEALTHY {
                return Err(format!("never healthy: {what}\n{}", self.daemon.log()));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn ailing(&self) -> Option<String> {
        let status = self.rig.get("/api/v1/status").await;
        let alice = &status["producers"][0];
        let ready = |keys: &Vec<Value>| keys.iter().all(|k| k["ready"] == true);
        if alice["armed"] != true
            || alice["able"] != true
            || !alice["keys"].as_array().is_some_and(ready)
        {
            return Some(format!("not able: {status}"));
        }
        let beat = &status["heartbeats"][0];
        if beat["overdue"] != false || beat["age"].is_null() {
            return Some(format!("no heartbeat: {status}"));
        }
        if !self.people.pinged() {
            return Some("no ping".into());
        }
        let base = &self.monitoring.prometheus_url;
        let targets = json(&format!("{base}/api/v1/targets")).await;
        let seen = |targets: &Vec<Value>| targets.iter().all(|t| t["health"] == "up");
        let all = &targets["data"]["activeTargets"];
        if !all.as_array().is_some_and(seen) {
            return Some(format!("targets: {all}"));
        }
        let alerts = json(&format!("{base}/api/v1/alerts")).await;
        let only_beat =
            |alerts: &Vec<Value>| alerts.iter().all(|a| a["labels"]["action"] == "heartbeat");
        let all = &alerts["data"]["alerts"];
        (!all.as_array().is_some_and(only_beat)).then(|| format!("alerts: {all}"))
    }

    /// Ends everything. The directory goes with it.
    pub(crate) async fn stop(mut self) {
        self.daemon.kill().await;
        drop(self.daemon);
        if let Some((mut daemon, rig)) = self.watcher.take() {
            daemon.kill().await;
            rig.stop().await;
        }
        self.monitoring.stop().await;
        drop(self.state);
        self.rig.stop().await;
    }
}

impl State {
    /// Small, but with room for a journal of some minutes.
    const SIZE: &str = "size=16m,mode=700";

    fn there(rig: &Rig, small: bool) -> Self {
        let directory = rig.directory.path().join("state");
        std::fs::create_dir(&directory).expect("directory");
        let mounted = small
            && std::process::Command::new("mount")
                .args(["-t", "tmpfs", "-o", Self::SIZE, "tmpfs"])
                .arg(&directory)
                .stderr(std::process::Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
        let file = rig.config_file();
        let text = std::fs::read_to_string(&file).expect("config");
        let text = text.replacen(
            "state_file: slotkeeper.db",
            "state_file: state/slotkeeper.db",
            1,
        );
        std::fs::write(&file, text).expect("config");
        Self { directory, mounted }
    }
}

/// Puts a relay before every endpoint and node.
async fn relay_endpoints(rig: &Rig, links: &mut BTreeMap<Link, Vec<Relay>>) {
    let file = rig.config_file();
    let mut text = std::fs::read_to_string(&file).expect("config");
    for (name, link) in [
        ("full1", Link::Rpc),
        ("full2", Link::Rpc),
        ("full3", Link::Rpc),
        ("A", Link::Primary),
        ("B", Link::Standby),
    ] {
        let real = rig.devnet.endpoint_of(name).expect("endpoint").addr();
        let relay = Relay::to(real).await;
        text = text.replace(&real.to_string(), &relay.at.to_string());
        links.entry(link).or_default().push(relay);
    }
    std::fs::write(&file, text).expect("config");
}

/// A second slotkeeper that watches the same chain and keeps nobody.
async fn watcher(first: &Rig) -> (Daemon, Rig) {
    let ports = free_ports();
    let second = Rig::without_app(RigConfig {
        ports,
        ..RigConfig::default()
    })
    .await;
    let text = std::fs::read_to_string(first.config_file()).expect("config");
    let (own, rest) = text.split_once("producers:").expect("producers");
    let authority = rest.split_once("actuator:").expect("actuator");
    assert!(authority.0.contains("name: alice"));
    let own = own
        .replace(
            &format!("127.0.0.1:{}", first.config.ports.0),
            &format!("127.0.0.1:{}", ports.0),
        )
        .replace(
            &format!("127.0.0.1:{}", first.config.ports.1),
            &format!("127.0.0.1:{}", ports.1),
        )
        .replace("state/slotkeeper.db", "slotkeeper.db");
    let text = format!("{own}producers: [{{chain: devnet, name: alice}}]\n");
    std::fs::write(second.config_file(), text).expect("config");
    let log = second.directory.path().join("run.log");
    let mut daemon = Daemon::new(&second.config_file(), &log, false);
    daemon.start();
    (daemon, second)
}

pub(super) async fn json(url: &str) -> Value {
    match reqwest::get(url).await {
        Ok(answer) => answer.json().await.unwrap_or(Value::Null),
        Err(_) => Value::Null,
    }
}

/// The heartbeat limits that slotkeeper has by default are the ones that the shipped example gets.
#[test]
fn the_stack_has_the_shipped_limits() {
    let shipped = Shipped::read();
    let (silence, _) = shipped.bound(&[super::bounds::Part::MaxSilence]);
    let (age, _) = shipped.bound(&[super::bounds::Part::MaxAge]);
    let margin = super::bounds::MARGIN;
    assert_eq!((silence - margin, age - margin), (20, 30));
}
