//! The devnet against the recordings of real nodes, over real HTTP.

mod bitshares;
mod broadcast;
mod chain;
mod faults;
mod golos;
pub(crate) mod reads;

use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::chain::Protocol;
use slotkeeper::devnet::{Devnet, DevnetConfig};

/// A fast devnet.
pub(crate) async fn start(protocol: Protocol) -> Devnet {
    Devnet::start(DevnetConfig {
        protocol,
        interval_ms: 1000,
        ..DevnetConfig::default()
    })
    .await
    .unwrap()
}

/// A client without pool, proxy and redirects.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(90))
        .build()
        .unwrap()
}

/// Posts any JSON body; the reply as JSON.
pub(crate) async fn post(url: &str, body: &Value) -> Value {
    let reply = client()
        .post(url)
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    serde_json::from_str(&reply.text().await.unwrap()).unwrap()
}

/// One call; the whole reply.
pub(crate) async fn call(url: &str, method: &str, params: Value) -> Value {
    post(
        url,
        &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
    )
    .await
}
