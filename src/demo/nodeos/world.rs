//! The network with a slotkeeper beside it, and (unless told otherwise) real Prometheus and Alertmanager: key files, the
//! configuration that a user would write, everything on loopback and in temporary directories.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::network::NODES;
use super::{Network, PERMISSION, PRODUCER, Package, keys};
use crate::app::{App, Options};
use crate::demo::monitoring::Monitoring;
use crate::demo::world::{Ports, write_private};

/// Value of the label `chain`.
pub const CHAIN: &str = "nodeos";

/// What the world looks like.
#[derive(Debug, Clone)]
pub struct NodeosConfig {
    /// With real Prometheus and Alertmanager; without, the guard acts by itself.
    pub monitoring: bool,
    /// The producer is watched only: no keys, no authority, nothing that could send.
    pub watch_only: bool,
    /// The producer has its failover permission; without, somebody has to make it first.
    pub permission: bool,
    /// First port: web, control, Prometheus, Alertmanager; 0 = any free ones.
    pub port_base: u16,
}

/// The running world.
pub struct NodeosWorld {
    /// slotkeeper itself; `None` while it is stopped.
    pub app: Option<App>,
    /// Prometheus and Alertmanager.
    pub monitoring: Option<Monitoring>,
    /// The chain.
    pub network: Network,
    /// Where the parts listen.
    pub ports: Ports,
    /// Where slotkeeper's files are.
    pub directory: tempfile::TempDir,
}

// === impl NodeosWorld ===

impl NodeosWorld {
    /// Starts everything and leaves slotkeeper armed.
    ///
    /// # Errors
    /// What is missing, taken, or does not start.
    pub async fn start(package: Package, config: &NodeosConfig) -> anyhow::Result<Self> {
        let mut world = Self::without_app(package, config).await?;
        world.start_app().await?;
        Ok(world)
    }

    /// The network, the files and the monitoring pair, but no slotkeeper yet.
    ///
    /// # Errors
    /// As [`NodeosWorld::start`].
    pub async fn without_app(package: Package, config: &NodeosConfig) -> anyhow::Result<Self> {
        let network = Network::start(package, config.permission).await?;
        let directory = tempfile::Builder::new()
            .prefix("slotkeeper-nodeos-")
            .tempdir()?;
        let ports = Ports::choose(config.port_base)?;
        let token_file = write_secrets(directory.path())?;
        std::fs::write(
            directory.path().join("slotkeeper.yml"),
            slotkeeper_yml(config, &ports, &network)?,
        )?;
        let monitoring = if config.monitoring {
            Some(Monitoring::start(&ports.monitored(token_file)).await?)
        } else {
            None
        };
        Ok(Self {
            app: None,
            monitoring,
            network,
            ports,
            directory,
        })
    }

    /// Starts slotkeeper on its files.
    ///
    /// # Errors
    /// A configuration that is not valid, a port that is taken.
    pub async fn start_app(&mut self) -> anyhow::Result<()> {
        // A fresh state file and `armed: true` would hold for two minutes, in case the file was lost: here it was not.
        let options = Options {
            missing_state_hold: Duration::ZERO,
            ..Options::default()
        };
        let config = crate::config::load(&self.config_file())?;
        self.app = Some(App::start(config, options).await?);
        Ok(())
    }

    /// slotkeeper's configuration, with the ports it really has.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("slotkeeper.yml")
    }

    /// Ends everything, last started first.
    pub async fn stop(self) {
        if let Some(app) = self.app {
            app.stop().await;
        }
        if let Some(pair) = self.monitoring {
            pair.stop().await;
        }
        drop(self.network);
    }
}

/// The key of the permission, and the control token: readable by the owner only. One more key, for a permission that may
/// do nothing.
fn write_secrets(directory: &Path) -> anyhow::Result<PathBuf> {
    for role in [PERMISSION, "unlinked", "active", "owner"] {
        let wif = keys::secret(role)?.to_wif();
        write_private(&directory.join(format!("{PRODUCER}-{role}.wif")), &wif)?;
    }
    let mut token = [0_u8; 32];
    getrandom::fill(&mut token).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
    let path = directory.join("control.token");
    write_private(&path, &crate::hex::encode(&token))?;
    Ok(path)
}

/// The configuration that slotkeeper is started with, as a user would write it.
fn slotkeeper_yml(
    config: &NodeosConfig,
    ports: &Ports,
    network: &Network,
) -> anyhow::Result<String> {
    let endpoints: Vec<String> = NODES
        .iter()
        .map(|node| {
            format!(
                "      - {{url: \"{}\", provider: {node}}}",
                network.url(node)
            )
        })
        .collect();
    let head = format!(
        r#"web: {{listen: "127.0.0.1:{web}"}}
control: {{listen: "127.0.0.1:{control}", token_file: control.token}}
state_file: slotkeeper.db
chains:
  - name: {CHAIN}
    protocol: antelope
    chain_id: "{chain_id}"
    address_prefix: {prefix}
    core_symbol: EOS
    endpoints:
{endpoints}
producers:
  - chain: {CHAIN}
    name: {PRODUCER}
"#,
        web = ports.web,
        control = ports.control,
        chain_id = network.chain_id(),
        prefix = keys::PREFIX,
        endpoints = endpoints.join("\n"),
    );
    if config.watch_only {
        return Ok(head + "actuator: {armed: false, alertmanagers: []}\n");
    }
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
    let rest = format!(
        r#"    keys:
      - {{signing_key: "{key_a}", node: "{node_a}"}}
      - {{signing_key: "{key_b}", node: "{node_b}"}}
    authority:
      - {{method: regproducer, permission: {PRODUCER}@{PERMISSION}, key_files: [{PRODUCER}-{PERMISSION}.wif]}}
actuator: {{armed: true, alertmanagers: {alertmanagers}}}
{pipeline}
"#,
        key_a = keys::public("A")?,
        key_b = keys::public("B")?,
        node_a = network.url("B1"),
        node_b = network.url("B2"),
    );
    Ok(head + &rest)
}
