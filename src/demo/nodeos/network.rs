//! The nodes as processes: started on free loopback ports with data in a temporary directory, killed, started anew. Ended
//! by process when dropped, also by a panic.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Child;

use super::{PRODUCER, Package, founding, keys};
use crate::clock::{Stopwatch, now_ms};

/// How long a node, or a transaction's block, may take.
const LIMIT: Duration = Duration::from_secs(90);

/// The three nodes, in the order of the table in [the module](super).
pub const NODES: [&str; 3] = ["H", "B1", "B2"];

/// A running network.
pub struct Network {
    package: Package,
    nodes: Vec<Node>,
    client: reqwest::Client,
    chain_id: String,
    /// Last, so that it is removed after the processes have ended.
    directory: tempfile::TempDir,
}

/// One node: where it listens, and its process while it runs.
struct Node {
    name: &'static str,
    http: u16,
    p2p: u16,
    process: Option<Child>,
}

// === impl Network ===

impl Network {
    /// Three nodes on a founded chain: the system contract stands, the producers are registered and voted, and the
    /// schedule with all four comes into force. With `permission` the producer also has its failover permission.
    ///
    /// # Errors
    /// No free port, a program that does not run, a transaction that is refused.
    pub async fn start(package: Package, permission: bool) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("slotkeeper-nodeos-")
            .tempdir()?;
        let ports = free_ports(NODES.len() * 2 + 1)?;
        let port = |i: usize| {
            ports
                .get(i)
                .copied()
                .ok_or_else(|| anyhow::anyhow!("too few free ports"))
        };
        let mut nodes = Vec::new();
        for (i, name) in NODES.into_iter().enumerate() {
            nodes.push(Node {
                name,
                http: port(2 * i)?,
                p2p: port(2 * i + 1)?,
                process: None,
            });
        }
        let mut network = Self {
            package,
            nodes,
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .build()?,
            chain_id: String::new(),
            directory,
        };
        std::fs::write(network.genesis_file(), genesis()?)?;
        for name in NODES {
            network.configure(name)?;
            network.spawn(name)?;
        }
        for name in NODES {
            network.answers(name).await?;
        }
        let info = network.info("H").await?;
        info["chain_id"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut network.chain_id);
        founding::found(&network, port(NODES.len() * 2)?, permission).await?;
        network.until_head("H", |_| true).await?;
        Ok(network)
    }

    /// Base URL of a node's HTTP API.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        let port = self.node(name).map_or(0, |node| node.http);
        format!("http://127.0.0.1:{port}")
    }

    /// The chain's id, hex.
    #[must_use]
    pub fn chain_id(&self) -> &str {
        &self.chain_id
    }

    /// Process id of a node, while it runs.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.node(name)?.process.as_ref()?.id()
    }

    /// Kills a node (SIGKILL) and waits until it is gone. One that does not run stays so.
    ///
    /// # Errors
    /// When there is no such node.
    pub async fn crash(&mut self, name: &str) -> anyhow::Result<()> {
        let process = self.node_mut(name)?.process.take();
        if let Some(mut process) = process {
            // Gone by itself is gone as well.
            let _ = process.kill().await;
        }
        Ok(())
    }

    /// Starts a crashed node. SIGKILL leaves its state dirty, so it begins with nothing and syncs from its peers; waits
    /// until it has reached the head that the hub has now.
    ///
    /// # Errors
    /// When there is no such node, it runs, or it does not catch up.
    pub async fn restart(&mut self, name: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.pid(name).is_none(), "{name} runs");
        let data = self.path(name).join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        self.spawn(name)?;
        self.answers(name).await?;
        let target = self.info("H").await?["head_block_num"].clone();
        let target = target.as_u64().unwrap_or(u64::MAX);
        self.until_head(name, |head| head >= target).await
    }

    /// Asks a node: POST to `/v1/chain/<what>`. A refusal comes back as the node's own JSON.
    ///
    /// # Errors
    /// When it does not answer, or not in JSON.
    pub async fn ask(&self, name: &str, what: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/v1/chain/{what}", self.url(name));
        Ok(self
            .client
            .post(url)
            .json(body)
            .send()
            .await?
            .json()
            .await?)
    }

    /// `get_info` of a node.
    ///
    /// # Errors
    /// As [`Network::ask`].
    pub async fn info(&self, name: &str) -> anyhow::Result<Value> {
        self.ask(name, "get_info", &json!({})).await
    }

    /// The end of a node's log, for a failure's message.
    #[must_use]
    pub fn log_tail(&self, name: &str) -> String {
        let log = std::fs::read_to_string(self.path(name).join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(8).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    pub(super) fn package(&self) -> &Package {
        &self.package
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Waits until one more block stands on the hub than now: what was sent before is then part of its state.
    pub(super) async fn next_block(&self) -> anyhow::Result<()> {
        let now = self.info("H").await?["head_block_num"].as_u64();
        self.until_head("H", |head| Some(head) > now).await
    }

    async fn until_head(&self, name: &str, reached: impl Fn(u64) -> bool) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        loop {
            let head = self.info(name).await.ok();
            let head = head.and_then(|info| info["head_block_num"].as_u64());
            if head.is_some_and(&reached) {
                return Ok(());
            }
            anyhow::ensure!(
                watch.elapsed() < LIMIT,
                "{name} does not go on from block {head:?}; the end of its log:\n{}",
                self.log_tail(name)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn answers(&self, name: &str) -> anyhow::Result<()> {
        self.until_head(name, |_| true).await
    }

    fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    fn node_mut(&mut self, name: &str) -> anyhow::Result<&mut Node> {
        self.nodes
            .iter_mut()
            .find(|node| node.name == name)
            .ok_or_else(|| anyhow::anyhow!("there is no node {name}"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn genesis_file(&self) -> PathBuf {
        self.directory.path().join("genesis.json")
    }

    fn spawn(&mut self, name: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path.join("log"))?;
        let process = self
            .package
            .program("nodeos")
            .arg("--data-dir")
            .arg(path.join("data"))
            .arg("--config-dir")
            .arg(path.join("config"))
            .arg("--genesis-json")
            .arg(self.genesis_file())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.node_mut(name)?.process = Some(process);
        Ok(())
    }

    /// Writes a node's `config.ini`.
    fn configure(&self, name: &str) -> anyhow::Result<()> {
        let mut ini: Vec<String> = [
            "chain_api_plugin",
            "producer_plugin",
            "producer_api_plugin",
            "http_plugin",
            "net_plugin",
        ]
        .iter()
        .map(|plugin| format!("plugin = eosio::{plugin}"))
        .collect();
        for node in &self.nodes {
            if node.name == name {
                ini.push(format!("http-server-address = 127.0.0.1:{}", node.http));
                ini.push(format!("p2p-listen-endpoint = 127.0.0.1:{}", node.p2p));
            } else {
                ini.push(format!("p2p-peer-address = 127.0.0.1:{}", node.p2p));
            }
        }
        let provider = |role: &str| -> anyhow::Result<String> {
            let wif = keys::secret(role)?.to_wif();
            Ok(format!(
                "signature-provider = {}=KEY:{}",
                keys::public(role)?,
                *wif
            ))
        };
        match name {
            "H" => {
                ini.push(provider("founder")?);
                ini.push("enable-stale-production = true".into());
                for producer in ["eosio"].into_iter().chain(super::OTHERS) {
                    ini.push(format!("producer-name = {producer}"));
                }
            }
            "B1" => {
                ini.push(provider("A")?);
                ini.push(format!("producer-name = {PRODUCER}"));
            }
            _ => {
                ini.push(provider("B")?);
                ini.push(format!("producer-name = {PRODUCER}"));
            }
        }
        ini.extend(
            [
                "p2p-max-nodes-per-host = 10",
                "chain-state-db-size-mb = 128",
                "chain-state-db-guard-size-mb = 16",
                "http-validate-host = false",
                "verbose-http-errors = true",
                "max-transaction-time = 4000",
                "abi-serializer-max-time-ms = 2000",
                "resource-monitor-space-threshold = 99",
            ]
            .map(str::to_owned),
        );
        let config = self.path(name).join("config");
        std::fs::create_dir_all(&config)?;
        std::fs::write(config.join("config.ini"), ini.join("\n") + "\n")?;
        Ok(())
    }

    /// Starts `keosd` for the founding; it ends with the returned handle.
    pub(super) fn spawn_wallet(&self, port: u16) -> anyhow::Result<Child> {
        let path = self.path("wallet");
        std::fs::create_dir_all(&path)?;
        let log = std::fs::File::create(path.join("log"))?;
        let child = self
            .package
            .program("keosd")
            .arg("--wallet-dir")
            .arg(&path)
            .arg("--data-dir")
            .arg(&path)
            .arg("--config-dir")
            .arg(&path)
            .arg(format!("--http-server-address=127.0.0.1:{port}"))
            .arg("--unlock-timeout=999999")
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(log)
            .spawn()?;
        Ok(child)
    }
}

/// What all nodes must know alike to be on one chain: its first moment, its first key and its limits. CPU time is not what
/// is tested, and the machine may be busy: far more of it is allowed than on a real chain.
fn genesis() -> anyhow::Result<String> {
    let time = jiff::Timestamp::from_millisecond(now_ms())?;
    let genesis = json!({
        "initial_timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000").to_string(),
        "initial_key": keys::public("founder")?,
        "initial_configuration": {
            "max_block_net_usage": 1_048_576, "target_block_net_usage_pct": 1000,
            "max_transaction_net_usage": 524_288, "base_per_transaction_net_usage": 12, "net_usage_leeway": 500,
            "context_free_discount_net_usage_num": 20, "context_free_discount_net_usage_den": 100,
            "max_block_cpu_usage": 5_000_000, "target_block_cpu_usage_pct": 1000,
            "max_transaction_cpu_usage": 4_000_000, "min_transaction_cpu_usage": 100,
            "max_transaction_lifetime": 3600, "deferred_trx_expiration_window": 600,
            "max_transaction_delay": 3_888_000, "max_inline_action_size": 524_288,
            "max_inline_action_depth": 4, "max_authority_depth": 6,
        },
    });
    Ok(genesis.to_string())
}

/// Ports that are free now: below the range that the kernel hands out by itself (32768 and up), so that a node that was
/// killed finds its own ports free again.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let mut random = [0_u8; 2];
    getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
    let start = u16::from_le_bytes(random) % 700;
    let mut held = Vec::new();
    for step in 0..700 {
        let port = 32_060 + (start + step) % 700;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
        if held.len() == count {
            return Ok(held.into_iter().map(|(port, _)| port).collect());
        }
    }
    anyhow::bail!("too few free ports below 32768")
}
