//! The network with slotkeeper beside it, the truth read from its blocks, and what a test asks of both.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::chain::antelope::{Antelope, Transaction};
use slotkeeper::chain::{BlockId, BlockRef, ChainSpec, Protocol};
use slotkeeper::clock::Stopwatch;
use slotkeeper::demo::nodeos::{NodeosConfig, NodeosWorld, PRODUCER, Package, keys};
use slotkeeper::keys::{Nonce, Signer};

use super::truth::Truth;
use crate::rig::{Ran, series};

/// How long anything may take before the test says that it never happened. An activation takes two minutes on this
/// network when nothing else runs.
const PATIENCE: Duration = Duration::from_secs(600);

/// The package, or a message that nobody overlooks: written past the capture of the test's output. The same is said again
/// at the end of `make test`.
pub(crate) fn package() -> Option<Package> {
    let place = Package::usual_place(Path::new(env!("CARGO_MANIFEST_DIR")));
    match Package::find(&place) {
        Ok(package) => Some(package),
        Err(e) => {
            use std::io::Write;
            let text = format!("\n!!!!!! SKIPPED: a test on a real nodeos network: {e} !!!!!!\n\n");
            let _ = std::io::stderr().write_all(text.as_bytes());
            None
        }
    }
}

/// What a test has in hand.
pub(crate) struct Scene {
    pub(crate) world: NodeosWorld,
    pub(crate) truth: Truth,
    started: Stopwatch,
}

// === impl Scene ===

impl Scene {
    /// The network and the monitoring pair; the blocks up to the head are read, and slotkeeper does not run yet.
    pub(crate) async fn start(package: Package, config: &NodeosConfig) -> Self {
        let started = Stopwatch::start();
        let world = NodeosWorld::without_app(package, config)
            .await
            .unwrap_or_else(|e| panic!("the network does not start: {e:#}"));
        let mut scene = Self {
            world,
            truth: Truth::new(),
            started,
        };
        scene.read().await;
        scene.note("the network is up");
        scene
    }

    /// Tells how far the story is; shown when the test fails (or with `--nocapture`).
    pub(crate) fn note(&self, what: &str) {
        eprintln!("{:7.1} s  {what}", self.started.elapsed().as_secs_f64());
    }

    /// Reads the blocks up to the hub's head.
    pub(crate) async fn read(&mut self) {
        self.truth.read(&self.world.network, "H").await;
    }

    /// Looks, with fresh truth, until `what` holds.
    pub(crate) async fn until(&mut self, name: &str, mut what: impl AsyncFnMut(&mut Self) -> bool) {
        let watch = Stopwatch::start();
        loop {
            self.read().await;
            if what(self).await {
                break;
            }
            if watch.elapsed() > PATIENCE {
                let status = self.get("/api/v1/status").await;
                let decisions = self.get("/api/v1/decisions").await;
                panic!("never happened: {name}; status {status}; decisions {decisions}");
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        self.note(name);
    }

    /// GET on slotkeeper's public listener; `Null` when there is no answer or no JSON.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", self.world.ports.web);
        match reqwest::get(url).await {
            Ok(answer) => answer.json().await.unwrap_or(Value::Null),
            Err(_) => Value::Null,
        }
    }

    /// What the status says of the producer.
    pub(crate) async fn status(&self) -> Value {
        self.get("/api/v1/status").await["producers"][0].clone()
    }

    /// The metrics page.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.world.ports.web);
        match reqwest::get(url).await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Missed and produced slots of the producer under the key of `role`, as the metrics page counts them.
    pub(crate) async fn counted(&self, role: &str) -> (u64, u64) {
        let page = self.metrics().await;
        let key = key(role);
        let of = |name: &str| {
            let value = series(&page, name, &[PRODUCER, &key]).unwrap_or(0.0);
            assert!(value >= 0.0 && value.fract() == 0.0, "{name} is {value}");
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a whole number
            let whole = value as u64;
            whole
        };
        (
            of("slotkeeper_producer_missed_blocks_total"),
            of("slotkeeper_producer_produced_blocks_total"),
        )
    }

    /// The producer's row of the table `producers`, by a node.
    pub(crate) async fn row(&self, node: &str) -> Value {
        let body = json!({"json": true, "code": "eosio", "scope": "eosio", "table": "producers",
                          "lower_bound": PRODUCER, "upper_bound": PRODUCER});
        let rows = self.world.network.ask(node, "get_table_rows", &body).await;
        rows.expect("get_table_rows")["rows"][0].clone()
    }

    /// Runs the built binary as an operator would, against a configuration file.
    pub(crate) async fn cli_with(&self, config: &Path, arguments: &[&str]) -> Ran {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
            .args(arguments)
            .arg("--config.file")
            .arg(config)
            .env_remove("SLOTKEEPER_PASSPHRASE")
            .env_remove("UNLOCK")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("slotkeeper runs");
        Ran::of(&output)
    }

    /// The same with slotkeeper's own configuration.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Ran {
        self.cli_with(&self.world.config_file(), arguments).await
    }

    /// A transaction of one action of the system contract by `PRODUCER@permission`, signed with that permission's key, as
    /// nodes take it: what anybody with that key could send, without slotkeeper.
    pub(crate) async fn signed(&self, action: &str, data: Value, permission: &str) -> Value {
        let info = self.world.network.info("H").await.expect("get_info");
        let chain_id = slotkeeper::hex::decode_array(self.world.network.chain_id()).expect("id");
        let time = info["head_block_time"].as_str().expect("time");
        let time: jiff::Timestamp = format!("{time}Z").parse().expect("time");
        let irreversible = BlockRef {
            num: info["last_irreversible_block_num"].as_u64().expect("block"),
            id: BlockId(
                info["last_irreversible_block_id"]
                    .as_str()
                    .expect("id")
                    .into(),
            ),
            time: 0,
        };
        let action = json!({"account": "eosio", "name": action, "data": data,
                            "authorization": [{"actor": PRODUCER, "permission": permission}]});
        let chain = Antelope::new(ChainSpec {
            name: "nodeos".into(),
            protocol: Protocol::Antelope,
            chain_id,
            address_prefix: keys::PREFIX.into(),
            core_symbol: "EOS".into(),
            block_interval: 500,
        });
        let drafted = chain.transaction(&[action], time.as_millisecond(), &irreversible);
        let transaction = drafted.expect("a transaction").0;
        let digest = transaction.digest(&chain_id);
        let key = keys::secret(permission).expect("key");
        let signature = key.sign(&digest, Nonce::Antelope).expect("signature");
        Transaction::from_bytes(transaction.bytes().to_vec(), vec![signature])
            .expect("the same transaction")
            .to_push()
    }

    /// `slotkeeper tx broadcast` of a signed transaction, to the hub.
    pub(crate) async fn broadcast(&self, signed: &Value) -> Ran {
        let url = self.world.network.url("H");
        let arguments = ["tx", "broadcast", "--protocol", "antelope", "--endpoint"];
        piped(&[&arguments[..], &[&url]].concat(), &signed.to_string()).await
    }

    /// Kinds of the journal's events about the producer, in order.
    pub(crate) fn journal(&self) -> Vec<String> {
        let file = self.world.directory.path().join("slotkeeper.db");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = rusqlite::Connection::open_with_flags(file, flags).expect("state file");
        let mut query = db
            .prepare("SELECT kind FROM events WHERE producer = ?1 ORDER BY n")
            .expect("query");
        let kinds = query.query_map([PRODUCER], |row| row.get(0)).expect("rows");
        kinds.map(|kind| kind.expect("kind")).collect()
    }
}

/// Runs the built binary with `input` on its stdin.
pub(crate) async fn piped(arguments: &[&str], input: &str) -> Ran {
    use tokio::io::AsyncWriteExt;
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
        .args(arguments)
        .env_remove("SLOTKEEPER_PASSPHRASE")
        .env_remove("UNLOCK")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("slotkeeper runs");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(input.as_bytes()).await.expect("written");
    drop(stdin);
    Ran::of(&child.wait_with_output().await.expect("ends"))
}

/// The public key of a role, as the chain writes it.
pub(crate) fn key(role: &str) -> String {
    keys::public(role).expect("key")
}
