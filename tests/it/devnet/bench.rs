//! A devnet of the Steem kin, and transactions for it written by hand.

use serde_json::{Value, json};
use slotkeeper::chain::Protocol;
use slotkeeper::chain::graphene::{
    Dialect, Serialization, TESTNET_CHAIN_ID, Transaction, digest, txid,
};
use slotkeeper::devnet::chain::{active_key, node_key};
use slotkeeper::devnet::{Devnet, DevnetConfig};
use slotkeeper::hex;
use slotkeeper::keys::{Nonce, PublicKey, SecretKey, Signer};

use super::call;

/// A devnet and what is needed to write transactions for it.
pub(super) struct Bench {
    pub(super) net: Devnet,
    pub(super) dialect: Dialect,
    pub(super) url: String,
    pub(super) a: SecretKey,
    pub(super) b: SecretKey,
    pub(super) active: SecretKey,
}

impl Bench {
    pub(super) async fn start(protocol: Protocol) -> Bench {
        let config = DevnetConfig {
            protocol,
            interval_ms: 200,
            ..DevnetConfig::default()
        };
        let net = Devnet::start(config).await.unwrap();
        let url = net.endpoint(0).url();
        Bench {
            net,
            dialect: Dialect::testnet(protocol),
            url,
            a: node_key("alice", "A").unwrap(),
            b: node_key("alice", "B").unwrap(),
            active: active_key("alice").unwrap(),
        }
    }

    /// An unsigned transaction with one operation, expiring so many seconds after the head.
    pub(super) async fn draft(&self, op: Value, expires_s: i64) -> Value {
        let head = call(
            &self.url,
            "condenser_api.get_dynamic_global_properties",
            json!([]),
        )
        .await;
        let id: [u8; 20] =
            hex::decode_array(head["result"]["head_block_id"].as_str().unwrap()).unwrap();
        let (num, prefix) = slotkeeper::chain::graphene::tapos(&id);
        let time = head["result"]["time"].as_str().unwrap();
        let whole = slotkeeper::chain::graphene::parse_time(&time[..19]).unwrap();
        let at = u32::try_from(i64::from(whole) + expires_s).unwrap();
        json!({"ref_block_num": num, "ref_block_prefix": prefix,
            "expiration": slotkeeper::chain::graphene::format_time(at),
            "operations": [op], "extensions": [], "signatures": []})
    }

    pub(super) fn sign_as(
        &self,
        tx: &mut Value,
        keys: &[&SecretKey],
        chain: &[u8; 32],
        form: Serialization,
    ) -> String {
        let parsed = Transaction::from_json(tx, &self.dialect).unwrap().tx;
        let bytes = parsed.serialize(&self.dialect, form).unwrap();
        let d = digest(chain, &bytes);
        tx["signatures"] = keys
            .iter()
            .map(|k| Value::from(k.sign(&d, Nonce::Graphene).unwrap().to_hex()))
            .collect();
        hex::encode(&txid(&bytes))
    }

    pub(super) async fn signed(&self, op: Value, keys: &[&SecretKey]) -> Value {
        let mut tx = self.draft(op, 30).await;
        self.sign_as(&mut tx, keys, &TESTNET_CHAIN_ID, Serialization::Legacy);
        tx
    }

    pub(super) fn update(&self, owner: &str, url: &str, key: &PublicKey) -> Value {
        let mut props = json!({"account_creation_fee": "0.100 TESTS", "maximum_block_size": 65536});
        if let Some(rate) = self.dialect.interest_rate_name() {
            props[rate] = 0.into();
        }
        json!(["witness_update", {"owner": owner, "url": url, "block_signing_key": key.to_text("TST"), "props": props, "fee": "0.000 TESTS"}])
    }

    pub(super) async fn send(&self, tx: &Value) -> Value {
        call(
            &self.url,
            "condenser_api.broadcast_transaction",
            json!([tx]),
        )
        .await
    }

    pub(super) async fn send_and_wait(&self, tx: &Value) -> Value {
        call(
            &self.url,
            "condenser_api.broadcast_transaction_synchronous",
            json!([tx]),
        )
        .await
    }

    pub(super) async fn registered(&self) -> String {
        let w = call(
            &self.url,
            "condenser_api.get_witness_by_account",
            json!(["alice"]),
        )
        .await;
        w["result"]["signing_key"].as_str().unwrap().to_owned()
    }
}

/// A change by compare-and-swap.
pub(super) fn set(pairs: &[(&str, String)]) -> Value {
    json!(["witness_set_properties", {"owner": "alice", "props": pairs, "extensions": []}])
}

/// A key as properties carry it.
pub(super) fn hex_of(key: &PublicKey) -> String {
    hex::encode(key.as_bytes())
}
