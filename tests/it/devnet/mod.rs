//! The devnet against the recordings of real nodes, over real HTTP.

mod bench;
mod bitshares;
mod broadcast;
mod chain;
mod drafts;
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

/// Posts any text; the HTTP status and the reply.
pub(crate) async fn post_any(url: &str, body: String) -> (u16, Value) {
    let reply = client().post(url).body(body).send().await.unwrap();
    let status = reply.status().as_u16();
    (
        status,
        serde_json::from_str(&reply.text().await.unwrap()).unwrap(),
    )
}

/// Posts any JSON body; the reply, which comes with status 200.
pub(crate) async fn post(url: &str, body: &Value) -> Value {
    let (status, reply) = post_any(url, body.to_string()).await;
    assert_eq!(status, 200);
    reply
}

/// One call; the whole reply.
pub(crate) async fn call(url: &str, method: &str, params: Value) -> Value {
    post(
        url,
        &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
    )
    .await
}
