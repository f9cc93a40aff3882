//! The webhook: realistic payloads in, one row for each alert out, everything counted.

use std::sync::atomic::Ordering;

use slotkeeper::actuator::{Action, Cause};
use slotkeeper::clock;

use super::harness::{Answer, House, get, payload, post};
use crate::fixtures::{config, key};

async fn deliver(house: &House, body: &str) -> Answer {
    house
        .control(&post(
            "/api/v1/alertmanager",
            "Content-Type: application/json\r\nUser-Agent: Alertmanager/0.33.1\r\n",
            body,
        ))
        .await
}

fn fates(answer: &Answer) -> Vec<(String, String)> {
    answer.json()["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| {
            let text = |f: &str| r[f].as_str().unwrap().to_owned();
            (text("status"), text("reason"))
        })
        .collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[tokio::test]
async fn a_firing_alert_becomes_one_request_however_often_it_comes() {
    let house = House::up(config()).await;
    let first = deliver(&house, &payload("failover_0.25")).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let row = first.json()["results"][0].clone();
    assert_eq!(row["status"], "accepted");
    assert_eq!(row["reason"], "ok");
    assert_eq!(row["request_id"], "r-0");
    assert_eq!(row["chain"], "steem");
    assert_eq!(row["producer"], "alice");
    assert_eq!(row["action"], "failover");
    assert_eq!(row["fingerprint"], "9a0c5b1f2f0f8f5d");
    // The same from a newer Alertmanager, with fields we have never heard of.
    for _ in 0..20 {
        let again = deliver(&house, &payload("failover_0.33")).await;
        assert_eq!(fates(&again), pairs(&[("duplicate", "duplicate")]));
        assert_eq!(again.json()["results"][0]["request_id"], "r-0");
    }
    let submitted = house.desk.submitted.lock().unwrap().clone();
    assert_eq!(submitted.len(), 1);
    assert_eq!(submitted[0].fence, Some(key(1)));
    assert_eq!(
        (submitted[0].action, submitted[0].cause),
        (Action::Failover, Cause::Webhook)
    );
    assert_eq!(submitted[0].evaluated_at, Some(1_763_710_652_000));
    assert!(
        submitted[0]
            .labels
            .contains(&("severity".into(), "critical".into()))
    );
    assert_eq!(house.metrics.counters.requests(200), 21);
    assert_eq!(
        house.metrics.counters.alerts("failover", "accepted", "ok"),
        1
    );
    assert_eq!(
        house
            .metrics
            .counters
            .alerts("failover", "duplicate", "duplicate"),
        20
    );
    house.down().await;
}

#[tokio::test]
async fn one_bad_alert_spoils_no_other() {
    let house = House::up(config()).await;
    let answer = deliver(&house, &payload("mixed")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        fates(&answer),
        pairs(&[
            ("ignored", "resolved"),
            ("ignored", "not_actionable"),
            ("ignored", "missing_label"),
            ("ignored", "malformed"),
            ("ignored", "malformed"),
            ("ignored", "unknown_source"),
            ("accepted", "ok"),
            ("accepted", "ok"),
            ("accepted", "ok"),
        ])
    );
    let actions: Vec<(Action, Cause)> = house
        .desk
        .submitted
        .lock()
        .unwrap()
        .iter()
        .map(|s| (s.action, s.cause))
        .collect();
    assert_eq!(
        actions,
        [
            (Action::Disable, Cause::Webhook),
            (Action::Rehearse, Cause::Drill),
            (Action::Failover, Cause::Webhook)
        ]
    );
    let counters = &house.metrics.counters;
    assert_eq!(counters.truncated_so_far(), 2);
    assert_eq!(counters.alerts("other", "ignored", "not_actionable"), 1);
    assert_eq!(counters.alerts("heartbeat", "ignored", "unknown_source"), 1);
    assert_eq!(counters.alerts("drill", "accepted", "ok"), 1);
    // Label values from outside never become series.
    let page = house.web(&get("/metrics", "")).await.text();
    assert!(page.contains("slotkeeper_webhook_truncated_alerts_total 2\n"));
    assert!(
        !page.contains("self_destruct"),
        "a label value became a series"
    );
    house.down().await;
}

#[tokio::test]
async fn a_heartbeat_is_heard() {
    let house = House::up(config()).await;
    let now = clock::now_ms() / 1000;
    let answer = deliver(
        &house,
        &payload("heartbeat").replace("EVALUATED_AT", &now.to_string()),
    )
    .await;
    assert_eq!(fates(&answer), pairs(&[("accepted", "ok")]));
    let status = house.web(&get("/api/v1/status", "")).await.json();
    assert_eq!(status["heartbeats"][0]["overdue"], false);
    assert!(status["heartbeats"][0]["age"].as_f64().unwrap() >= 0.0);
    assert!(house.desk.submitted.lock().unwrap().is_empty());
    assert!(!house.heartbeats.all_overdue(clock::now_ms()));
    house.down().await;
}

#[tokio::test]
async fn what_is_no_payload_is_400_and_counted() {
    let house = House::up(config()).await;
    for body in ["", "{", "[]", "<html>", "{\"alerts\": 3}"] {
        let answer = deliver(&house, body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(
            answer.json()["error"]
                .as_str()
                .unwrap()
                .contains("webhook payload")
        );
    }
    assert_eq!(house.metrics.counters.requests(400), 5);
    assert_eq!(deliver(&house, "{\"alerts\":[]}").await.status, 200);
    house.down().await;
}

#[tokio::test]
async fn a_huge_body_is_413_whether_it_says_so_or_not() {
    let house = House::up(config()).await;
    let said = format!(
        "POST /api/v1/alertmanager HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{{",
        1024 * 1024 + 1
    );
    assert_eq!(house.control(&said).await.status, 413);
    let mut unsaid = String::from(
        "POST /api/v1/alertmanager HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    for _ in 0..17 {
        unsaid.push_str(&format!("10000\r\n{}\r\n", " ".repeat(0x10000)));
    }
    unsaid.push_str("0\r\n\r\n");
    assert_eq!(house.control(&unsaid).await.status, 413);
    assert_eq!(house.metrics.counters.requests(413), 2);
    house.down().await;
}

#[tokio::test]
async fn what_cannot_be_journaled_is_503_and_comes_again() {
    let house = House::up(config()).await;
    house.desk.broken.store(true, Ordering::Relaxed);
    let answer = deliver(&house, &payload("failover_0.25")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(
        house.metrics.counters.alerts("failover", "accepted", "ok"),
        0
    );
    house.desk.broken.store(false, Ordering::Relaxed);
    assert_eq!(
        fates(&deliver(&house, &payload("failover_0.25")).await),
        pairs(&[("accepted", "ok")])
    );
    house.down().await;
}

#[tokio::test]
async fn a_flood_is_429() {
    let house = House::up(config()).await;
    let many = |n: usize| {
        format!(
            "{{\"version\":\"4\",\"alerts\":[{}]}}",
            vec!["{\"status\":\"firing\"}"; n].join(",")
        )
    };
    assert_eq!(deliver(&house, &many(1000)).await.status, 200);
    assert_eq!(deliver(&house, &many(1000)).await.status, 429);
    assert_eq!(house.metrics.counters.requests(429), 1);
    house.down().await;
}

#[tokio::test]
async fn only_post_is_for_the_webhook() {
    let house = House::up(config()).await;
    let answer = house.control(&get("/api/v1/alertmanager", "")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert_eq!(house.metrics.counters.requests(405), 1);
    house.down().await;
}
