//! The simulated Antelope chain against the recordings of real nodeos, over real HTTP.

mod activation;
mod broadcast;
mod faults;
mod reads;

use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::chain::Protocol;
use slotkeeper::chain::antelope::{Transaction, tapos};
use slotkeeper::chain::graphene::{format_time, parse_time};
use slotkeeper::clock::Stopwatch;
use slotkeeper::devnet::antelope::{AntelopeConfig, chain_id, failover_key};
use slotkeeper::devnet::chain::{active_key, node_key};
use slotkeeper::devnet::{Devnet, DevnetConfig};
use slotkeeper::hex;
use slotkeeper::keys::{Nonce, PublicKey, SecretKey, Signer};

use crate::devnet::client;

/// How long anything may take before the test says that it never happened.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A fast chain of five producers, and what is needed to write transactions for it.
pub(crate) struct Bench {
    pub(crate) net: Devnet,
    pub(crate) url: String,
    interval_ms: u64,
}

impl Bench {
    pub(crate) async fn start(antelope: AntelopeConfig) -> Bench {
        Self::with(antelope, 100, 4).await
    }

    /// A chain that stands still but for what the test does: slots last an hour, and it is ahead of the clock.
    pub(crate) async fn still(antelope: AntelopeConfig) -> Bench {
        let bench = Self::with(antelope, 3_600_000, 2).await;
        bench.steps(2);
        bench
    }

    async fn with(antelope: AntelopeConfig, interval_ms: u64, others: usize) -> Bench {
        let net = Devnet::start(DevnetConfig {
            protocol: Protocol::Antelope,
            interval_ms,
            others,
            antelope,
            ..DevnetConfig::default()
        })
        .await
        .unwrap();
        let url = net.endpoint(0).url();
        Bench {
            net,
            url,
            interval_ms,
        }
    }

    /// One question; status and body.
    pub(crate) async fn ask(&self, name: &str, body: Value) -> (u16, Value) {
        ask(&self.url, name, &body).await
    }

    /// The answer to a question that must succeed.
    pub(crate) async fn get(&self, name: &str, body: Value) -> Value {
        let (status, body) = self.ask(name, body).await;
        assert_eq!(status, 200, "{name}: {body}");
        body
    }

    /// A transaction of `actions` that expires so many seconds after the next block.
    pub(crate) async fn draft(&self, actions: Value, expires_s: i64) -> Value {
        let info = self.get("get_info", json!({})).await;
        let id = info["last_irreversible_block_id"].as_str().unwrap();
        let (num, prefix) = tapos(&hex::decode_array(id).unwrap());
        let head = parse_time(&info["head_block_time"].as_str().unwrap()[..19]).unwrap();
        let next = i64::from(head) + i64::try_from(self.interval_ms / 1000).unwrap();
        let at = u32::try_from(next + expires_s).unwrap();
        json!({"expiration": format_time(at), "ref_block_num": num, "ref_block_prefix": prefix, "actions": actions})
    }

    /// Sends a transaction on `path`, signed with `keys`.
    pub(crate) async fn push(&self, path: &str, tx: &Value, keys: &[&SecretKey]) -> (u16, Value) {
        let packed = signed(tx, keys, &chain_id());
        let body = if path == "send_transaction2" {
            json!({"transaction": packed})
        } else {
            packed
        };
        self.ask(path, body).await
    }

    /// Runs `n` slots now.
    pub(crate) fn steps(&self, n: usize) {
        self.net
            .with_antelope(|chain| (0..n).for_each(|_| chain.step()));
    }

    /// Waits until `what` holds, by looking.
    pub(crate) async fn until(&self, name: &str, mut what: impl FnMut(&Devnet) -> bool) {
        let watch = Stopwatch::start();
        while !what(&self.net) {
            assert!(watch.elapsed() < PATIENCE, "never happened: {name}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One question to one node.
pub(crate) async fn ask(url: &str, name: &str, body: &Value) -> (u16, Value) {
    let reply = client()
        .post(format!("{url}/v1/chain/{name}"))
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let status = reply.status().as_u16();
    let text = reply.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

/// The packed form with signatures.
pub(crate) fn signed(tx: &Value, keys: &[&SecretKey], chain: &[u8; 32]) -> Value {
    let tx = Transaction::from_json(tx).unwrap();
    let digest = tx.digest(chain);
    let mut packed = tx.to_push();
    packed["signatures"] = keys
        .iter()
        .map(|k| Value::from(k.sign(&digest, Nonce::Antelope).unwrap().to_sig_k1()))
        .collect();
    packed
}

/// `regproducer` of alice as she is registered, with another key.
pub(crate) fn regproducer(permission: &str, key: &PublicKey) -> Value {
    json!({"account": "eosio", "name": "regproducer",
        "authorization": [{"actor": "alice", "permission": permission}],
        "data": {"producer": "alice", "producer_key": key.to_text("EOS"), "url": "https://alice.example", "location": 1}})
}

pub(crate) fn key_of(node: &str) -> PublicKey {
    node_key("alice", node).unwrap().public_key()
}

pub(crate) fn text_of(node: &str) -> String {
    key_of(node).to_text("EOS")
}

pub(crate) fn active() -> SecretKey {
    active_key("alice").unwrap()
}

pub(crate) fn failover() -> SecretKey {
    failover_key("alice").unwrap()
}
