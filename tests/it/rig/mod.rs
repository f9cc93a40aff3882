//! A devnet and a slotkeeper on loopback, put together as each test needs them: fast blocks, few witnesses, and a real
//! configuration file.

mod look;
mod process;
pub(crate) mod relay;
mod yaml;

use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use slotkeeper::app::{App, Options};
use slotkeeper::chain::Protocol;
use slotkeeper::devnet::antelope::{AntelopeConfig, failover_key};
use slotkeeper::devnet::chain::{active_key, node_key};
use slotkeeper::devnet::{Devnet, DevnetConfig, Identity};
use slotkeeper::keys::Signer;

pub(crate) use look::series;
pub(crate) use process::{Ran, free_ports};

/// The kept witness.
pub(crate) const ALICE: &str = "alice";

/// How long anything may take before the test says that it never happened.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What to put together.
#[derive(Debug, Clone)]
pub(crate) struct RigConfig {
    pub(crate) protocol: Protocol,
    pub(crate) interval_ms: u64,
    /// `poll_interval`; a third of the block interval unless said otherwise.
    pub(crate) poll_ms: Option<u64>,
    pub(crate) others: usize,
    /// Names of devnet endpoints to use as RPC: `full1`…`full3`, `A`, `B`.
    pub(crate) endpoints: Vec<&'static str>,
    /// The endpoints as `ws://` (BitShares).
    pub(crate) websockets: bool,
    /// `quorum:` of the chain; `None` leaves it out.
    pub(crate) quorum: Option<usize>,
    /// Nodes of alice, first one registered.
    pub(crate) nodes: Vec<&'static str>,
    /// Whether the nodes are probed (`node:`) or assumed ready.
    pub(crate) probed: bool,
    /// Key files of `witness_set_properties`; the active key is always there unless `signing_only`.
    pub(crate) signing_only: bool,
    /// Only the active key and `witness_update`, no signing key's secret.
    pub(crate) active_only: bool,
    /// YAML added to the chain, such as `hard_timeout: 10s`, one line each.
    pub(crate) chain_extra: Vec<&'static str>,
    /// YAML appended at top level: guard, heartbeats, fault …
    pub(crate) extra: String,
    /// Body of `actuator: {…}`.
    pub(crate) actuator: String,
    /// Added to the producer.
    pub(crate) producer_extra: String,
    pub(crate) seed: u64,
    /// Antelope: how a new key gets into force.
    pub(crate) antelope: AntelopeConfig,
    /// Replies carry a `Date`, as behind a proxy.
    pub(crate) dates: bool,
    /// Other names than those of the test nets.
    pub(crate) identity: Option<Identity>,
    /// Ports of web and control; 0 = any (then only the in-process `App` knows them).
    pub(crate) ports: (u16, u16),
}

impl Default for RigConfig {
    fn default() -> Self {
        Self {
            protocol: Protocol::Hive,
            interval_ms: 300,
            poll_ms: None,
            others: 4,
            endpoints: vec!["full1", "full2", "full3"],
            websockets: false,
            quorum: None,
            nodes: vec!["A", "B"],
            probed: true,
            signing_only: false,
            active_only: false,
            chain_extra: Vec::new(),
            extra: "guard: {mode: always}".into(),
            actuator: "armed: true".into(),
            producer_extra: String::new(),
            seed: 7,
            antelope: AntelopeConfig {
                election_slots: 12,
                irreversible_lag: Some(8),
                ..AntelopeConfig::default()
            },
            dates: false,
            identity: None,
            ports: (0, 0),
        }
    }
}

/// What was put together.
pub(crate) struct Rig {
    pub(crate) config: RigConfig,
    pub(crate) devnet: Devnet,
    pub(crate) app: Option<App>,
    pub(crate) directory: tempfile::TempDir,
}

impl Rig {
    /// Devnet and slotkeeper, running.
    pub(crate) async fn start(config: RigConfig) -> Self {
        let mut rig = Self::without_app(config).await;
        rig.start_app().await;
        rig
    }

    /// The devnet and the files, but no slotkeeper yet.
    pub(crate) async fn without_app(config: RigConfig) -> Self {
        let devnet = Devnet::start(DevnetConfig {
            protocol: config.protocol,
            interval_ms: config.interval_ms,
            others: config.others,
            seed: config.seed,
            nodes: config.nodes.iter().map(|n| (*n).to_owned()).collect(),
            antelope: config.antelope.clone(),
            identity: config.identity.clone(),
            date_header: config.dates,
            ..DevnetConfig::default()
        })
        .await
        .expect("devnet");
        let directory = tempfile::tempdir().expect("tempdir");
        let rig = Self {
            config,
            devnet,
            app: None,
            directory,
        };
        for node in &rig.config.nodes {
            let key = node_key(ALICE, node).expect("key");
            rig.private(&format!("alice-{node}.wif"), &key.to_wif());
        }
        rig.private(
            "alice-active.wif",
            &active_key(ALICE).expect("key").to_wif(),
        );
        rig.private(
            "alice-failover.wif",
            &failover_key(ALICE).expect("key").to_wif(),
        );
        rig.private("control.token", "test-token");
        std::fs::write(rig.config_file(), rig.yaml()).expect("config");
        rig
    }

    pub(crate) async fn start_app(&mut self) {
        let config = slotkeeper::config::load(&self.config_file()).expect("a valid config");
        let options = Options {
            missing_state_hold: Duration::ZERO,
            ..Options::default()
        };
        self.app = Some(
            App::start(config, options)
                .await
                .expect("slotkeeper starts"),
        );
    }

    /// Stops slotkeeper the orderly way and starts it again on the same state file.
    pub(crate) async fn restart_app(&mut self) {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
        self.start_app().await;
    }

    pub(crate) fn app(&self) -> &App {
        self.app.as_ref().expect("slotkeeper runs")
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.directory.path().join("slotkeeper.yml")
    }

    /// Writes a file that only its owner can read, beside the configuration.
    pub(crate) fn private(&self, name: &str, text: &str) {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.directory.path().join(name))
            .expect("file");
        writeln!(file, "{text}").expect("written");
    }

    pub(crate) fn key(&self, node: &str) -> String {
        node_key(ALICE, node)
            .expect("key")
            .public_key()
            .to_text(&self.devnet.prefix())
    }

    /// Stops both. The files stay while what it returns is kept.
    pub(crate) async fn stop(mut self) -> tempfile::TempDir {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
        self.devnet.shutdown();
        self.directory
    }
}
