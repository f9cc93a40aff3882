//! Each fault, seen by an ordinary HTTP client.

use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::chain::Protocol;
use slotkeeper::devnet::{Devnet, DevnetConfig, Fault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{call, client, start};

async fn properties(url: &str) -> Value {
    call(
        url,
        "condenser_api.get_dynamic_global_properties",
        json!([]),
    )
    .await["result"]
        .clone()
}

/// A reading call with its own patience; the error as text.
async fn try_read(url: &str, patience: Duration) -> Result<(u16, String), String> {
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "condenser_api.get_version", "params": []});
    let sent = client()
        .post(url)
        .timeout(patience)
        .body(body.to_string())
        .send()
        .await;
    let told = |e: reqwest::Error| {
        if e.is_timeout() {
            "timeout".to_owned()
        } else {
            format!("{e:?}")
        }
    };
    let reply = sent.map_err(told)?;
    let status = reply.status().as_u16();
    reply.text().await.map(|t| (status, t)).map_err(told)
}

const PATIENCE: Duration = Duration::from_secs(90);
const IMPATIENCE: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transport_faults() {
    let net = start(Protocol::Steem).await;
    let end = net.endpoint(0);
    let url = end.url();
    let healthy = try_read(&url, PATIENCE).await.unwrap().1;

    end.set_fault(Fault::Refused);
    wait_until(|| async { tokio::net::TcpStream::connect(end.addr()).await.is_err() }).await;
    let refused = tokio::net::TcpStream::connect(end.addr())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    end.clear_fault();
    wait_until(|| async { try_read(&url, PATIENCE).await.is_ok() }).await;

    end.set_fault(Fault::BlackHole);
    assert_eq!(try_read(&url, IMPATIENCE).await.unwrap_err(), "timeout");

    end.set_fault(Fault::SlowDrip { byte_ms: 50 });
    assert_eq!(try_read(&url, IMPATIENCE).await.unwrap_err(), "timeout");
    end.set_fault(Fault::SlowDrip { byte_ms: 1 });
    assert_eq!(
        try_read(&url, PATIENCE).await.unwrap(),
        (200, healthy.clone())
    );

    end.set_fault(Fault::HttpStatus {
        status: 429,
        retry_after: Some(7),
    });
    let reply = client().post(&url).body("{}").send().await.unwrap();
    assert_eq!(
        (
            reply.status().as_u16(),
            reply.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "7")
    );

    end.set_fault(Fault::Html);
    assert!(
        try_read(&url, PATIENCE)
            .await
            .unwrap()
            .1
            .starts_with("<!DOCTYPE")
    );

    end.set_fault(Fault::TruncatedJson);
    let half = try_read(&url, PATIENCE).await.unwrap().1;
    assert!(healthy.starts_with(&half) && half.len() * 2 <= healthy.len());

    end.set_fault(Fault::RedirectHttps { status: 302 });
    let reply = client().post(&url).body("{}").send().await.unwrap();
    assert_eq!(reply.status(), 302);
    assert_eq!(
        reply.headers()["location"],
        format!("https://{}/", end.addr()).as_str()
    );

    end.set_fault(Fault::LostReply);
    assert!(try_read(&url, PATIENCE).await.is_err());

    end.set_fault(Fault::TlsFailure);
    assert!(try_read(&url, PATIENCE).await.is_err());
    let mut tls = tokio::net::TcpStream::connect(end.addr()).await.unwrap();
    tls.write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0])
        .await
        .unwrap();
    let mut garbage = Vec::new();
    tls.read_to_end(&mut garbage).await.unwrap_or_default();
    assert!(garbage.ends_with(b"this is no TLS"));

    end.set_fault(Fault::HugeBody { bytes: 3_000_000 });
    assert!(try_read(&url, PATIENCE).await.unwrap().1.len() > 3_000_000);

    end.clear_fault();
    assert_eq!(try_read(&url, PATIENCE).await.unwrap(), (200, healthy));
}

/// Polls until it holds, with patience.
async fn wait_until<F: Future<Output = bool>>(mut check: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !check().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "did not come to hold within 90 s"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_content() {
    let config = DevnetConfig {
        interval_ms: 200,
        total_missed: 100,
        ..DevnetConfig::default()
    };
    let net = Devnet::start(config).await.unwrap();
    let (bad, good) = (net.endpoint(0), net.endpoint(1));
    let missed = async || {
        let w = call(
            &bad.url(),
            "condenser_api.get_witness_by_account",
            json!(["alice"]),
        )
        .await;
        w["result"]["total_missed"].as_u64().unwrap()
    };
    assert_eq!(missed().await, 100);
    bad.set_fault(Fault::TotalMissedDip { by: 5 });
    assert_eq!(missed().await, 95);
    bad.clear_fault();
    assert_eq!(missed().await, 100);

    bad.set_fault(Fault::WrongChainId);
    let config = call(&bad.url(), "condenser_api.get_config", json!([])).await;
    assert_eq!(config["result"]["STEEM_CHAIN_ID"], "ff".repeat(32));

    bad.set_fault(Fault::StaleHead { blocks: 100 });
    let (stale, fresh) = (properties(&bad.url()).await, properties(&good.url()).await);
    let num = |v: &Value| v["head_block_number"].as_u64().unwrap();
    assert!(num(&fresh) - num(&stale) >= 100);
    let beyond = call(&bad.url(), "condenser_api.get_block", json!([num(&fresh)])).await;
    assert!(beyond["result"].is_null());

    bad.set_fault(Fault::FrozenHead);
    let frozen = properties(&bad.url()).await;
    bad.set_fault(Fault::MinorityFork { back: 1 });
    wait_until(|| async {
        let (fork, main) = (properties(&bad.url()).await, properties(&good.url()).await);
        // Later the fork has blocks of its own, other ones at the same height.
        let n = num(&fork).min(num(&main));
        let ids = async |url: String| {
            call(&url, "condenser_api.get_block", json!([n])).await["result"]["block_id"].clone()
        };
        let (a, b) = (ids(bad.url()).await, ids(good.url()).await);
        num(&fork) > num(&frozen) && !a.is_null() && a != b
    })
    .await;
    // The first slots of the fork may happen to be its own witnesses'; sooner or later one is not.
    wait_until(|| async {
        properties(&bad.url()).await["participation_count"].as_u64() < Some(128)
    })
    .await;
    bad.clear_fault();
    assert!(properties(&bad.url()).await["participation_count"].as_u64() == Some(128));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_and_nodes_by_http() {
    let net = start(Protocol::Blurt).await;
    let url = net.endpoint(0).url();
    let send = async |path: &str, body: Value| {
        let reply = client()
            .post(format!("{url}{path}"))
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        (
            reply.status().as_u16(),
            serde_json::from_str::<Value>(&reply.text().await.unwrap()).unwrap(),
        )
    };
    assert_eq!(
        send("/devnet/faults", json!({"fault": "black_hole"}))
            .await
            .0,
        200
    );
    assert!(try_read(&url, IMPATIENCE).await.is_err());
    assert_eq!(send("/devnet/faults", json!({"fault": null})).await.0, 200);
    assert!(try_read(&url, PATIENCE).await.is_ok());
    assert_eq!(
        send("/devnet/faults", json!({"fault": "nonsense"})).await.0,
        400
    );
    assert_eq!(
        send(
            "/devnet/faults",
            json!({"endpoint": "nobody", "fault": "html"})
        )
        .await
        .0,
        400
    );

    assert_eq!(send("/devnet/control", json!({"crash": "A"})).await.0, 200);
    let a = net.endpoint_of("A").unwrap().addr();
    wait_until(|| async { tokio::net::TcpStream::connect(a).await.is_err() }).await;
    assert_eq!(
        send("/devnet/control", json!({"restore": "A"})).await.0,
        200
    );
    wait_until(|| async { tokio::net::TcpStream::connect(a).await.is_ok() }).await;
    let (status, set) = send("/devnet/control", json!({"set_key": "alice", "node": "B"})).await;
    assert_eq!(status, 200, "{set}");
    let b = net.with_chain(|c| c.node("B").unwrap().public_key().to_text("TST"));
    wait_until(|| async { net.truth().registered["alice"] == b }).await;

    let state: Value = client()
        .get(format!("{url}/devnet/state?slots=5"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(state["slots"].as_array().unwrap().len(), 5);
    assert_eq!(state["transactions"][0]["via"], "operator");
    assert_eq!(state["registered"]["alice"], b);
}
