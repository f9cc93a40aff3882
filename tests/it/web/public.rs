//! The public listener.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use slotkeeper::rpc::Disagreement;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{House, current_snapshot, get, post, until};
use crate::fixtures::config;

#[tokio::test]
async fn every_page_of_the_table_answers() {
    let house = House::up(config()).await;
    for (path, kind, part) in [
        ("/", "text/html", "alice"),
        (
            "/metrics",
            "text/plain; version=0.0.4",
            "slotkeeper_build_info{",
        ),
        ("/-/healthy", "text/plain", "healthy"),
        ("/-/ready", "text/plain", "ready"),
        ("/api/v1/status", "application/json", "\"registered_key\""),
        ("/api/v1/decisions", "application/json", "no_quorum"),
    ] {
        let answer = house.web(&get(path, "")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(
            answer.header("content-type").unwrap().starts_with(kind),
            "{path}"
        );
        assert!(answer.text().contains(part), "{path}: {}", answer.text());
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    house.down().await;
}

#[tokio::test]
async fn head_gives_the_head_of_get_and_nothing_else_is_allowed() {
    let house = House::up(config()).await;
    for path in ["/", "/-/healthy", "/api/v1/status"] {
        let full = house.web(&get(path, "")).await;
        let head = house.web(&get(path, "").replacen("GET", "HEAD", 1)).await;
        assert_eq!(head.status, 200, "{path}");
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(
            full.header("content-length").unwrap(),
            full.body.len().to_string()
        );
        assert!(head.header("content-length").is_some(), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = house
            .web(&get("/metrics", "").replacen("GET", method, 1))
            .await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, HEAD")),
            "{method}"
        );
    }
    assert_eq!(house.web(&get("/nothing", "")).await.status, 404);
    // What commands is not on this listener at all.
    assert_eq!(house.web(&post("/api/v1/arm", "", "")).await.status, 404);
    assert_eq!(
        house
            .web(&post("/api/v1/alertmanager", "", "{}"))
            .await
            .status,
        404
    );
    house.down().await;
}

#[tokio::test]
async fn metrics_are_packed_when_asked_for() {
    let house = House::up(config()).await;
    let plain = house.web(&get("/metrics", "")).await;
    assert_eq!(plain.header("content-encoding"), None);
    let packed = house
        .web(&get("/metrics", "Accept-Encoding: gzip\r\n"))
        .await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(packed.header("vary"), Some("Accept-Encoding"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("slotkeeper_chain_head_block_number"));
    let families = |page: &str| -> Vec<String> {
        let lines = page.lines().filter(|l| l.starts_with("# TYPE"));
        lines.map(str::to_owned).collect()
    };
    let whole = String::from_utf8(plain.body.clone()).unwrap();
    assert_eq!(families(&text), families(&whole), "a part is missing");
    assert!(packed.body.len() < plain.body.len() / 3);
    house.down().await;
}

#[tokio::test]
async fn status_has_every_field_of_the_contract() {
    let house = House::up(config()).await;
    let status = house.web(&get("/api/v1/status", "")).await.json();
    for field in ["armed", "able", "chains", "producers", "heartbeats"] {
        assert!(status.get(field).is_some(), "{field}");
    }
    for field in [
        "name",
        "head",
        "irreversible",
        "head_time",
        "agreeing",
        "quorum",
        "participation",
        "endpoints",
    ] {
        assert!(status["chains"][0].get(field).is_some(), "chains.{field}");
    }
    for field in ["endpoint", "up", "head", "lag", "error"] {
        assert!(
            status["chains"][0]["endpoints"][0].get(field).is_some(),
            "endpoints.{field}"
        );
    }
    for field in [
        "chain",
        "name",
        "registered_key",
        "effective_key",
        "role",
        "missed",
        "consecutive_missed",
        "next_slot",
        "armed",
        "able",
        "pinned",
        "keys",
        "attempt",
    ] {
        assert!(
            status["producers"][0].get(field).is_some(),
            "producers.{field}"
        );
    }
    assert_eq!(status["armed"], false);
    assert_eq!(status["able"], true);
    assert_eq!(status["producers"][0]["role"], "primary");
    assert_eq!(status["producers"][0]["missed"], 3);
    assert_eq!(status["producers"][0]["keys"][0]["ready"], false);
    assert_eq!(status["producers"][0]["keys"][1]["ready"], true);
    assert_eq!(status["producers"][0]["attempt"]["stage"], "irreversible");
    assert_eq!(status["heartbeats"][0]["source"], "prometheus-a");
    assert_eq!(status["heartbeats"][0]["age"], serde_json::Value::Null);
    house.down().await;
}

#[tokio::test]
async fn decisions_can_be_asked_for_by_request() {
    let house = House::up(config()).await;
    let ids = |answer: super::harness::Answer| -> Vec<String> {
        answer.json()["decisions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["request_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        ids(house.web(&get("/api/v1/decisions", "")).await),
        ["r-1", "r-2"]
    );
    assert_eq!(
        ids(house
            .web(&get("/api/v1/decisions?request_id=r%2D2", ""))
            .await),
        ["r-2"]
    );
    assert_eq!(
        ids(house.web(&get("/api/v1/decisions?limit=1", "")).await),
        ["r-1"]
    );
    assert!(
        ids(house
            .web(&get("/api/v1/decisions?request_id=none", ""))
            .await)
        .is_empty()
    );
    assert_eq!(
        house
            .web(&get("/api/v1/decisions?limit=x", ""))
            .await
            .status,
        400
    );
    house.down().await;
}

#[tokio::test]
async fn readiness_is_lost_with_each_of_its_causes_and_comes_back() {
    let house = House::up(config()).await;
    assert_eq!(house.web(&get("/-/ready", "")).await.status, 200);

    let stuck = house.task("stuck", Duration::ZERO);
    until("the stalled task shows", async || {
        house.web(&get("/-/ready", "")).await.status == 503
    })
    .await;
    assert!(
        house
            .web(&get("/-/ready", ""))
            .await
            .text()
            .contains("task stuck has not ticked")
    );
    stuck.retire();
    assert_eq!(house.web(&get("/-/ready", "")).await.status, 200);

    let mut split = current_snapshot();
    split.agreement = Err(Disagreement::Fork {
        height: 7,
        detail: "a against b".into(),
    });
    house.snapshot.send_replace(Arc::new(split));
    let answer = house.web(&get("/-/ready", "")).await;
    assert_eq!(answer.status, 503);
    assert!(
        answer
            .text()
            .contains("no agreed view: providers are on different forks"),
        "{}",
        answer.text()
    );

    let mut old = current_snapshot();
    old.tick_at -= 60_000;
    house.snapshot.send_replace(Arc::new(old));
    let answer = house.web(&get("/-/ready", "")).await;
    assert!(
        answer.text().contains("task watch/steem has not ticked"),
        "{}",
        answer.text()
    );

    house.snapshot.send_replace(Arc::new(current_snapshot()));
    let mut state = (**house.desk.state.borrow()).clone();
    state.journal_writable = false;
    house.desk.state.send_replace(Arc::new(state.clone()));
    let answer = house.web(&get("/-/ready", "")).await;
    assert!(
        answer.text().contains("journal cannot be written"),
        "{}",
        answer.text()
    );
    assert_eq!(house.web(&get("/-/healthy", "")).await.status, 200);

    state.journal_writable = true;
    house.desk.state.send_replace(Arc::new(state));
    assert_eq!(house.web(&get("/-/ready", "")).await.status, 200);
    house.down().await;
}

#[tokio::test]
async fn events_stream_heads_and_what_the_actuator_does() {
    let house = House::up(config()).await;
    let addr = house.listeners.as_ref().unwrap().web;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream
        .write_all(get("/api/v1/events", "").as_bytes())
        .await
        .unwrap();
    let mut seen = String::new();
    let mut piece = [0; 4096];
    let mut told = false;
    let reading = async {
        while !seen.contains("event: actuator") {
            let n = stream.read(&mut piece).await.unwrap();
            assert!(n > 0, "ended early: {seen}");
            seen.push_str(&String::from_utf8_lossy(&piece[..n]));
            // The first head shows that the follower is subscribed.
            if seen.contains("event: head") && !told {
                told = true;
                house
                    .desk
                    .events
                    .send(slotkeeper::actuator::EventRecord {
                        at: 0,
                        kind: "sent".into(),
                        chain: "steem".into(),
                        producer: "alice".into(),
                        detail: "line\nbreak".into(),
                        request_id: None,
                        attempt_id: None,
                        txid: Some("00ff".into()),
                        ..Default::default()
                    })
                    .unwrap();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(90), reading)
        .await
        .unwrap();
    assert!(seen.contains("content-type: text/event-stream"), "{seen}");
    assert!(seen.contains("\"txid\":\"00ff\""), "{seen}");
    house.down().await;
    // The stream ends with the process.
    tokio::time::timeout(Duration::from_secs(90), async {
        while !matches!(stream.read(&mut piece).await, Ok(0) | Err(_)) {}
    })
    .await
    .unwrap();
}
