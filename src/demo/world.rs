//! A small world to show a failover in: devnet, key files, configuration, slotkeeper, and (unless told otherwise) the
//! monitoring pair. Everything lives in one temporary directory and on loopback.

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::app::{App, Options};
use crate::chain::Protocol;
use crate::demo::monitoring::{Monitored, Monitoring, Profile};
use crate::devnet::antelope::{AntelopeConfig, failover_key};
use crate::devnet::chain::{active_key, node_key};
use crate::devnet::{Devnet, DevnetConfig};
use crate::keys::Signer;

/// The witness that the world keeps producing.
pub const WITNESS: &str = "alice";

/// Antelope: slots between two elections, where real chains have 120.
pub const ELECTION_SLOTS: u64 = 24;

/// Antelope: blocks until one is irreversible, where real chains before Savanna have hundreds.
pub const IRREVERSIBLE_LAG: u64 = 16;

/// What the world looks like.
#[derive(Debug, Clone)]
pub struct WorldConfig {
    /// Which dialect.
    pub protocol: Protocol,
    /// Block interval, milliseconds.
    pub interval_ms: u64,
    /// Decides the order of every round.
    pub seed: u64,
    /// Other witnesses (a round has one more).
    pub others: usize,
    /// With real Prometheus and Alertmanager; without, the guard acts by itself.
    pub monitoring: bool,
    /// First port: web, control, Prometheus, Alertmanager, then the devnet's; 0 = any free ones.
    pub port_base: u16,
}

/// The running world.
pub struct World {
    /// The simulated chain.
    pub devnet: Devnet,
    /// slotkeeper itself.
    pub app: App,
    /// Prometheus and Alertmanager.
    pub monitoring: Option<Monitoring>,
    /// Where the parts listen.
    pub ports: Ports,
    /// Where everything was written.
    pub directory: tempfile::TempDir,
}

// === impl World ===

impl World {
    /// Starts everything and leaves slotkeeper armed.
    ///
    /// # Errors
    /// A port that is taken, a missing program, a file that cannot be written.
    pub async fn start(config: &WorldConfig) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("slotkeeper-demo-")
            .tempdir()?;
        let devnet_at = match config.port_base {
            0 => loopback(0),
            base => loopback(base.saturating_add(4)),
        };
        let devnet = Devnet::start(DevnetConfig {
            protocol: config.protocol,
            interval_ms: config.interval_ms,
            seed: config.seed,
            others: config.others,
            listen: devnet_at,
            antelope: AntelopeConfig {
                election_slots: ELECTION_SLOTS,
                irreversible_lag: Some(IRREVERSIBLE_LAG),
                ..AntelopeConfig::default()
            },
            ..DevnetConfig::default()
        })
        .await?;
        let ports = Ports::choose(config.port_base)?;
        let token_file = write_secrets(directory.path())?;
        let file = directory.path().join("slotkeeper.yml");
        std::fs::write(&file, slotkeeper_yml(config, &ports, &devnet)?)?;
        // A fresh state file and `armed: true` would hold for two minutes, in case the file was lost: here it was not.
        let options = Options {
            missing_state_hold: std::time::Duration::ZERO,
            ..Options::default()
        };
        let app = App::start(crate::config::load(&file)?, options).await?;
        let monitoring = if config.monitoring {
            Some(Monitoring::start(&ports.monitored(token_file)).await?)
        } else {
            None
        };
        Ok(Self {
            devnet,
            app,
            monitoring,
            ports,
            directory,
        })
    }

    /// The public key of node `node`, as the chain writes it.
    ///
    /// # Errors
    /// None in practice: the key comes from a fixed text.
    pub fn key_text(&self, node: &str) -> anyhow::Result<String> {
        let key = node_key(WITNESS, node).map_err(anyhow::Error::msg)?;
        Ok(key.public_key().to_text(&self.devnet.prefix()))
    }

    /// Ends everything, last started first.
    pub async fn stop(self) {
        if let Some(pair) = self.monitoring {
            pair.stop().await;
        }
        self.app.stop().await;
        self.devnet.shutdown();
    }
}

/// Where the parts of a world listen.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// slotkeeper's public listener.
    pub web: u16,
    /// slotkeeper's control listener.
    pub control: u16,
    /// Prometheus.
    pub prometheus: u16,
    /// Alertmanager.
    pub alertmanager: u16,
}

impl Ports {
    /// Four ports from `base` on, or four that are free now.
    pub(super) fn choose(base: u16) -> std::io::Result<Self> {
        if base != 0 {
            return Ok(Self {
                web: base,
                control: base.saturating_add(1),
                prometheus: base.saturating_add(2),
                alertmanager: base.saturating_add(3),
            });
        }
        // Held together until all four are known, so that they differ.
        let held = (0..4)
            .map(|_| std::net::TcpListener::bind(loopback(0)))
            .collect::<Result<Vec<_>, _>>()?;
        let port = |i: usize| held[i].local_addr().map(|a| a.port());
        Ok(Self {
            web: port(0)?,
            control: port(1)?,
            prometheus: port(2)?,
            alertmanager: port(3)?,
        })
    }

    /// What Prometheus and Alertmanager need to know of a world that listens here.
    pub(super) fn monitored(&self, token_file: PathBuf) -> Monitored {
        Monitored {
            web: loopback(self.web),
            control: loopback(self.control),
            token_file,
            prometheus_port: self.prometheus,
            alertmanager_port: self.alertmanager,
            profile: Profile::Fast,
            also_scraped: Vec::new(),
            alertmanager_at: None,
            others: Vec::new(),
            people: None,
        }
    }
}

/// Loopback, at a port.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Key files of both nodes and of the account, and the control token: readable by the owner only.
fn write_secrets(directory: &Path) -> anyhow::Result<PathBuf> {
    for node in ["A", "B"] {
        let key = node_key(WITNESS, node).map_err(anyhow::Error::msg)?;
        write_private(&directory.join(format!("alice-{node}.wif")), &key.to_wif())?;
    }
    let failover = failover_key(WITNESS).map_err(anyhow::Error::msg)?;
    write_private(&directory.join("alice-failover.wif"), &failover.to_wif())?;
    let active = active_key(WITNESS).map_err(anyhow::Error::msg)?;
    write_private(&directory.join("alice-active.wif"), &active.to_wif())?;
    let mut token = [0_u8; 32];
    getrandom::fill(&mut token).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
    let path = directory.join("control.token");
    write_private(&path, &crate::hex::encode(&token))?;
    Ok(path)
}

pub(super) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")
}

/// The configuration that slotkeeper is started with, as a user would write it.
fn slotkeeper_yml(config: &WorldConfig, ports: &Ports, devnet: &Devnet) -> anyhow::Result<String> {
    let key = |node: &str| -> anyhow::Result<String> {
        let key = node_key(WITNESS, node).map_err(anyhow::Error::msg)?;
        Ok(key.public_key().to_text(&devnet.prefix()))
    };
    let url = |name: &str| -> anyhow::Result<String> {
        Ok(devnet.endpoint_of(name).map_err(anyhow::Error::msg)?.url())
    };
    let alertmanagers = if config.monitoring {
        format!("[{{url: \"http://127.0.0.1:{}\"}}]", ports.alertmanager)
    } else {
        "[]".to_owned()
    };
    let pipeline = if config.monitoring {
        "guard: {mode: fallback}\nheartbeats: [{source: prometheus-a, max_silence: 20s, max_age: 30s}]"
    } else {
        "guard: {mode: always}"
    };
    let (constants, authority) = match config.protocol {
        Protocol::Antelope => (
            "",
            "      - {method: regproducer, permission: alice@failover, key_files: [alice-failover.wif]}",
        ),
        // It has no compare-and-swap.
        Protocol::Golos | Protocol::BitShares => (
            "    address_prefix: TST\n    core_symbol: TESTS\n",
            "      - {method: witness_update, key_files: [alice-active.wif]}",
        ),
        _ => (
            "    address_prefix: TST\n    core_symbol: TESTS\n",
            "      - {method: witness_set_properties, key_files: [alice-A.wif, alice-B.wif]}\n      \
             - {method: witness_update, key_files: [alice-active.wif]}",
        ),
    };
    Ok(format!(
        r#"web: {{listen: "127.0.0.1:{web}"}}
control: {{listen: "127.0.0.1:{control}", token_file: control.token}}
state_file: slotkeeper.db
chains:
  - name: devnet
    protocol: {protocol}
    chain_id: "{chain_id}"
{constants}    block_interval: {interval}ms
    endpoints:
      - {{url: "{full1}", provider: one}}
      - {{url: "{full2}", provider: two}}
      - {{url: "{full3}", provider: three}}
producers:
  - chain: devnet
    name: {WITNESS}
    keys:
      - {{signing_key: "{key_a}", node: "{node_a}"}}
      - {{signing_key: "{key_b}", node: "{node_b}"}}
    authority:
{authority}
actuator: {{armed: true, alertmanagers: {alertmanagers}}}
{pipeline}
"#,
        web = ports.web,
        control = ports.control,
        protocol = config.protocol,
        chain_id = crate::hex::encode(&devnet.chain_id()),
        interval = config.interval_ms,
        full1 = url("full1")?,
        full2 = url("full2")?,
        full3 = url("full3")?,
        key_a = key("A")?,
        key_b = key("B")?,
        node_a = url("A")?,
        node_b = url("B")?,
    ))
}
