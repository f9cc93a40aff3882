//! A devnet and a slotkeeper on loopback, put together as each test needs them: fast blocks, few witnesses, and a real
//! configuration file.

use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use slotkeeper::app::{App, Options};
use slotkeeper::chain::Protocol;
use slotkeeper::clock::Stopwatch;
use slotkeeper::devnet::antelope::{AntelopeConfig, failover_key};
use slotkeeper::devnet::chain::{active_key, node_key};
use slotkeeper::devnet::{Devnet, DevnetConfig, Identity, Truth};
use slotkeeper::keys::Signer;

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

    /// The URL under which slotkeeper asks an endpoint.
    pub(crate) fn rpc_url(&self, name: &str) -> String {
        let url = self.devnet.endpoint_of(name).expect("endpoint").url();
        if self.config.websockets {
            url.replacen("http", "ws", 1)
        } else {
            url
        }
    }

    pub(crate) fn yaml(&self) -> String {
        let c = &self.config;
        let endpoints: String = c
            .endpoints
            .iter()
            .map(|name| {
                let url = self.rpc_url(name);
                format!("      - {{url: \"{url}\", provider: \"{name}\"}}\n")
            })
            .collect();
        let keys: String = c
            .nodes
            .iter()
            .map(|name| {
                let url = self.devnet.endpoint_of(name).expect("endpoint").url();
                let how = if c.probed {
                    format!("node: \"{url}\"")
                } else {
                    "assume_ready: true".into()
                };
                format!("      - {{signing_key: \"{}\", {how}}}\n", self.key(name))
            })
            .collect();
        let files: Vec<String> = c.nodes.iter().map(|n| format!("alice-{n}.wif")).collect();
        let quorum = c
            .quorum
            .map_or(String::new(), |q| format!("    quorum: {q}\n"));
        let chain_extra: String = c
            .chain_extra
            .iter()
            .map(|line| format!("    {line}\n"))
            .collect();
        let signing = format!(
            "      - {{method: witness_set_properties, key_files: [{}]}}\n",
            files.join(", ")
        );
        let active = "      - {method: witness_update, key_files: [alice-active.wif]}\n";
        let active_only =
            c.active_only || matches!(c.protocol, Protocol::Golos | Protocol::BitShares);
        let antelope = c.protocol == Protocol::Antelope;
        let authority = match (c.signing_only, active_only) {
            _ if antelope => {
                "      - {method: regproducer, permission: alice@failover, key_files: [alice-failover.wif]}\n"
                    .to_owned()
            }
            (true, _) => signing,
            (false, true) => active.to_owned(),
            (false, false) => signing + active,
        };
        let constants = match &c.identity {
            Some(names) if antelope => format!("    core_symbol: {}\n", names.symbol),
            Some(names) => format!(
                "    address_prefix: {}\n    core_symbol: {}\n",
                names.prefix, names.symbol
            ),
            None if antelope => String::new(),
            None => "    address_prefix: TST\n    core_symbol: TESTS\n".to_owned(),
        };
        format!(
            "web: {{listen: \"127.0.0.1:{}\"}}\n\
             control: {{listen: \"127.0.0.1:{}\", token_file: control.token}}\n\
             state_file: slotkeeper.db\n\
             chains:\n  - name: devnet\n    protocol: {}\n    chain_id: \"{}\"\n{constants}    \
             block_interval: {}ms\n    poll_interval: {}ms\n{quorum}{chain_extra}    endpoints:\n{endpoints}\
             producers:\n  - chain: devnet\n    name: {ALICE}\n    keys:\n{keys}    authority:\n{authority}{}\
             actuator: {{{}}}\n{}\n",
            c.ports.0,
            c.ports.1,
            c.protocol,
            slotkeeper::hex::encode(&self.devnet.chain_id()),
            c.interval_ms,
            c.poll_ms.unwrap_or((c.interval_ms / 3).max(50)),
            c.producer_extra,
            c.actuator,
            c.extra,
        )
    }

    /// The devnet's record.
    pub(crate) fn truth(&self) -> Truth {
        self.devnet.truth()
    }

    /// Which key the chain names.
    pub(crate) fn registered(&self) -> String {
        self.truth().registered[ALICE].clone()
    }

    /// Transactions that reached the main branch and changed alice's key.
    pub(crate) fn switches(&self) -> Vec<String> {
        self.truth()
            .transactions
            .iter()
            .filter(|tx| tx.on_main && tx.via != "operator")
            .map(|tx| tx.txid.clone())
            .collect()
    }

    /// Waits until `what` holds, by looking; panics with `name` when it never does.
    pub(crate) async fn until(&self, name: &str, mut what: impl FnMut(&Self) -> bool) {
        let watch = Stopwatch::start();
        while !what(self) {
            assert!(
                watch.elapsed() < PATIENCE,
                "never happened: {name}; status {}; the last decision {}",
                self.get("/api/v1/status").await,
                self.get("/api/v1/decisions").await["decisions"][0]
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until slotkeeper is armed, able, and both nodes are ready.
    pub(crate) async fn until_able(&self) {
        self.until_status("armed and able", |status| {
            let alice = &status["producers"][0];
            alice["armed"] == true
                && alice["able"] == true
                && alice["keys"]
                    .as_array()
                    .is_some_and(|keys| keys.iter().all(|k| k["ready"] == true))
        })
        .await;
    }

    /// Waits until so many attempts occupy the producer: one does until its expiry has passed, so that nothing comes twice.
    pub(crate) async fn until_open_attempts(&self, n: f64) {
        let watch = Stopwatch::start();
        loop {
            let page = self.metrics().await;
            if series(&page, "slotkeeper_actuator_open_attempts", &[]) == Some(n) {
                return;
            }
            assert!(watch.elapsed() < PATIENCE, "never {n} open attempts");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until `/api/v1/status` says so.
    pub(crate) async fn until_status(&self, name: &str, what: impl Fn(&Value) -> bool) {
        let watch = Stopwatch::start();
        loop {
            let status = self.get("/api/v1/status").await;
            if what(&status) {
                return;
            }
            assert!(
                watch.elapsed() < PATIENCE,
                "never happened: {name}; status {status}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for `n` more slots of alice to pass, produced or not.
    pub(crate) async fn slots_of_alice(&self, n: usize) {
        let count = |rig: &Self| {
            rig.truth()
                .slots
                .iter()
                .filter(|s| s.scheduled == ALICE)
                .count()
        };
        let before = count(self);
        self.until("slots of alice pass", |rig| count(rig) >= before + n)
            .await;
    }

    fn web(&self) -> String {
        match &self.app {
            Some(app) => app.web_address().to_string(),
            None => format!("127.0.0.1:{}", self.config.ports.0),
        }
    }

    fn control(&self) -> String {
        match &self.app {
            Some(app) => app.control_address().to_string(),
            None => format!("127.0.0.1:{}", self.config.ports.1),
        }
    }

    /// GET on the public listener; `Null` when there is no answer or no JSON.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.web());
        match reqwest::get(url).await {
            Ok(answer) => answer.json().await.unwrap_or(Value::Null),
            Err(_) => Value::Null,
        }
    }

    /// The metrics page.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.web());
        reqwest::get(url)
            .await
            .expect("metrics")
            .text()
            .await
            .expect("text")
    }

    /// POST on the control listener.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.try_post(path, body).await.expect("control answers")
    }

    /// [`Self::post`], `None` when nobody answers.
    pub(crate) async fn try_post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let url = format!("http://{}{path}", self.control());
        let answer = reqwest::Client::new()
            .post(url)
            .bearer_auth("test-token")
            .json(body)
            .send()
            .await
            .ok()?;
        Some((
            answer.status().as_u16(),
            answer.json().await.unwrap_or(Value::Null),
        ))
    }

    /// slotkeeper as a process of its own, with `environment` added. Needs fixed `ports`.
    pub(crate) fn spawn_process(&self, environment: &[(&str, &str)]) -> tokio::process::Child {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.path().join("run.log"))
            .expect("log");
        tokio::process::Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
            .arg("run")
            .arg("--config.file")
            .arg(self.config_file())
            .envs(environment.iter().copied())
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("slotkeeper starts")
    }

    /// Runs the built binary with `--config.file` added, as an operator beside the daemon would.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Ran {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
            .args(arguments)
            .arg("--config.file")
            .arg(self.operator_file())
            .env_remove("SLOTKEEPER_PASSPHRASE")
            .env_remove("UNLOCK")
            .env_remove("SLOTKEEPER_WEB_ADDRESS")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("slotkeeper starts");
        Ran::of(&output)
    }

    /// The configuration with the ports that the running slotkeeper really has.
    fn operator_file(&self) -> PathBuf {
        let Some(app) = &self.app else {
            return self.config_file();
        };
        let port = |listen: u16| format!("listen: \"127.0.0.1:{listen}\"");
        let text = std::fs::read_to_string(self.config_file()).expect("config");
        let (web, control) = self.config.ports;
        let text = text
            .replacen(&port(web), &port(app.web_address().port()), 1)
            .replacen(
                &format!("control: {{{}", port(control)),
                &format!("control: {{{}", port(app.control_address().port())),
                1,
            );
        let file = self.directory.path().join("operator.yml");
        std::fs::write(&file, text).expect("config");
        file
    }

    /// The witness object's address and properties, as the chain has them now.
    pub(crate) fn properties(&self) -> (String, String, u32, u16) {
        self.devnet.with_chain(|chain| {
            let head = chain.head();
            let w = head.witness(ALICE).expect("alice");
            (
                w.url.clone(),
                w.account_creation_fee.clone(),
                w.maximum_block_size,
                w.interest_rate,
            )
        })
    }

    /// What a spawned slotkeeper has written.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("run.log")).unwrap_or_default()
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

/// How a command of the built binary ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The value of one series of a metrics page: the first line that starts with `name` and contains all `labels`.
pub(crate) fn series(page: &str, name: &str, labels: &[&str]) -> Option<f64> {
    page.lines()
        .find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        })
        .and_then(|line| line.rsplit(' ').next())
        .and_then(|value| value.parse().ok())
}

/// Two ports that are free now and stay so until the process that wants them has started: below the range that the
/// kernel hands out to connections and to everybody who asks for port 0, and never the same pair twice.
pub(crate) fn free_ports() -> (u16, u16) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(97);
    let port = || {
        loop {
            let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let port = 12_000 + u16::try_from(step % 20_000).expect("small");
            if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    };
    (port(), port())
}
