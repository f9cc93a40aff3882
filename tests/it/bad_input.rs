//! Bad input on the control listener of a running slotkeeper: each kind has its status code, is counted, and loses
//! nothing; the good alert beside it is acted upon.

use std::time::Duration;

use serde_json::{Value, json};
use slotkeeper::clock::{Stopwatch, now_ms};

use crate::rig::{ALICE, PATIENCE, Rig, RigConfig, series};
use crate::webhooks::{alert, failover};

/// Posts raw bytes to the webhook.
async fn deliver(rig: &Rig, token: Option<&str>, body: Vec<u8>) -> (u16, Value) {
    let url = format!("http://{}/api/v1/alertmanager", rig.app().control_address());
    let mut request = reqwest::Client::new()
        .post(url)
        .header("Content-Type", "application/json")
        .body(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.expect("answers");
    (
        answer.status().as_u16(),
        answer.json().await.unwrap_or(Value::Null),
    )
}

async fn good(rig: &Rig, body: &Value) -> (u16, Value) {
    deliver(rig, Some("test-token"), body.to_string().into_bytes()).await
}

/// One alert of [`failover`], changed.
fn one(rig: &Rig, change: impl FnOnce(&mut Value)) -> Value {
    let mut alert = failover(&rig.key("A"), ALICE)["alerts"][0].clone();
    change(&mut alert);
    alert
}

fn payload(alerts: Vec<Value>) -> Value {
    json!({"version": "4", "status": "firing", "alerts": alerts})
}

fn fate(row: &Value) -> (&str, &str) {
    (
        row["status"].as_str().expect("status"),
        row["reason"].as_str().expect("reason"),
    )
}

async fn until_fault(rig: &Rig) {
    rig.until_status("the fault stands", |s| {
        s["producers"][0]["consecutive_missed"].as_u64() >= Some(1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_has_its_code_is_counted_and_loses_nothing() {
    let rig = Rig::start(RigConfig {
        extra: "guard: {mode: off}".into(),
        seed: 501,
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    // Of an old evaluation: heard, and refused as stale, so that it cannot act later.
    let old = now_ms() / 1000 - 600;
    let stale = alert(&rig.key("A"), ALICE, "failover", "firing", old);
    let body = stale.to_string().into_bytes();
    let token = Some("test-token");

    // Nobody is listened to without the token, however good the body.
    assert_eq!(deliver(&rig, None, body.clone()).await.0, 401);
    assert_eq!(deliver(&rig, Some("wrong"), body.clone()).await.0, 401);
    // Not a payload.
    for bad in ["", "{", "[1,2]", "{\"alerts\": 3}", "<html>"] {
        assert_eq!(deliver(&rig, token, bad.into()).await.0, 400, "{bad}");
    }
    let deep = "[".repeat(100_000).into_bytes();
    assert_eq!(deliver(&rig, token, deep).await.0, 400);
    // One byte above a MiB, a MiB exactly.
    assert_eq!(
        deliver(&rig, token, vec![b' '; 1024 * 1024 + 1]).await.0,
        413
    );
    let mut full = body.clone();
    full.resize(1024 * 1024, b' ');
    assert_eq!(deliver(&rig, token, full).await.0, 200);
    let url = format!("http://{}/api/v1/alertmanager", rig.app().control_address());
    let get = reqwest::Client::new().get(url).bearer_auth("test-token");
    assert_eq!(get.send().await.expect("answers").status().as_u16(), 405);

    let page = rig.metrics().await;
    let counted = |code: &str| {
        series(
            &page,
            "slotkeeper_webhook_requests_total",
            &[&format!("code=\"{code}\"")],
        )
    };
    assert_eq!(counted("200"), Some(1.0), "{page}");
    assert_eq!(counted("400"), Some(6.0));
    assert_eq!(counted("401"), Some(2.0));
    assert_eq!(counted("405"), Some(1.0));
    assert_eq!(counted("413"), Some(1.0));
    // The one good body was heard (it is decided after it was answered), and there is no fault yet.
    assert!(rig.switches().is_empty());
    let watch = Stopwatch::start();
    loop {
        let decisions = rig.get("/api/v1/decisions").await;
        match decisions["decisions"].as_array().map(Vec::len) {
            Some(1) => break,
            Some(0) if watch.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            _ => panic!("{decisions}"),
        }
    }

    // A good alert beside every kind of bad one, and 7 left out by Alertmanager.
    rig.devnet.crash_node("A").expect("crash");
    until_fault(&rig).await;
    let label = |name: &str, value: Value| one(&rig, |a| a["labels"][name] = value);
    let mut mixed = payload(vec![
        one(&rig, |a| a["status"] = "resolved".into()),
        label("action", "self_destruct".into()),
        label("action", Value::Null),
        label("signing_key", "TST7notakey".into()),
        label("chain", 7.into()),
        one(&rig, |a| a["annotations"] = json!({})),
        one(&rig, |a| {
            a["annotations"]["evaluated_at"] = "yesterday".into()
        }),
        json!("no alert at all"),
        label("producer", "nobody-we-know".into()),
        label("chain", "elsewhere-net".into()),
        label("team", "with a label of your own".into()),
    ]);
    mixed["truncatedAlerts"] = 7.into();
    let (code, answer) = good(&rig, &mixed).await;
    assert_eq!(code, 200);
    let rows = answer["results"].as_array().expect("rows");
    let fates: Vec<_> = rows.iter().map(fate).collect();
    assert_eq!(
        fates,
        [
            ("ignored", "resolved"),
            ("ignored", "not_actionable"),
            ("ignored", "malformed"),
            ("ignored", "malformed"),
            ("ignored", "malformed"),
            ("ignored", "missing_label"),
            ("ignored", "malformed"),
            ("ignored", "malformed"),
            ("accepted", "ok"),
            ("accepted", "ok"),
            ("accepted", "ok"),
        ]
    );
    let b = rig.key("B");
    rig.until("the good one moves production", |r| r.registered() == b)
        .await;
    // Names that are not ours are answered, and refused for good by that name.
    for row in [&rows[8], &rows[9]] {
        let unknown = row["request_id"].as_str().expect("id");
        let watch = Stopwatch::start();
        loop {
            let path = format!("/api/v1/decisions?request_id={unknown}");
            let decisions = rig.get(&path).await;
            let newest = &decisions["decisions"][0];
            if newest["verdict"] == "refuse" && newest["reason"] == "unknown_producer" {
                break;
            }
            assert!(watch.elapsed() < PATIENCE, "{row}: {decisions}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // Replayed, byte for byte: answered already.
    let (code, answer) = deliver(&rig, token, body).await;
    assert_eq!(
        (code, fate(&answer["results"][0])),
        (200, ("duplicate", "duplicate"))
    );
    rig.slots_of_alice(3).await;
    assert_eq!(rig.switches().len(), 1);

    let page = rig.metrics().await;
    assert_eq!(
        series(&page, "slotkeeper_webhook_truncated_alerts_total", &[]),
        Some(7.0)
    );
    let alerts = |status: &str, reason: &str| -> f64 {
        page.lines()
            .filter(|line| {
                line.starts_with("slotkeeper_webhook_alerts_total{")
                    && line.contains(&format!("status=\"{status}\""))
                    && line.contains(&format!("reason=\"{reason}\""))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    assert_eq!(alerts("ignored", "resolved"), 1.0);
    assert_eq!(alerts("ignored", "not_actionable"), 1.0);
    assert_eq!(alerts("ignored", "missing_label"), 1.0);
    assert_eq!(alerts("ignored", "malformed"), 5.0);
    assert_eq!(alerts("accepted", "ok"), 4.0);
    assert_eq!(alerts("duplicate", "duplicate"), 1.0);
    for never in ["self_destruct", "nobody-we-know", "elsewhere-net"] {
        assert!(
            !page.contains(never),
            "{never} from outside became a series"
        );
    }
    rig.stop().await;
}

/// 2,000 alerts in one body, the good one last: Alertmanager cannot split it, so it is taken whole. The next one at once
/// is too much; what it held is taken when it comes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_two_thousand_alerts_drowns_no_good_one() {
    let rig = Rig::start(RigConfig {
        extra: "guard: {mode: off}".into(),
        seed: 502,
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    until_fault(&rig).await;
    // Short ones, to stay below a MiB; of an old evaluation, so that the first flood does not switch anything.
    let noise: Vec<Value> = (0..1999)
        .map(|n| {
            json!({"status": "firing", "fingerprint": format!("{n:x}"),
                "labels": {"action": "failover", "chain": "devnet", "producer": format!("p{n}"), "signing_key": rig.key("B")},
                "annotations": {"evaluated_at": "1763710652"}})
        })
        .collect();
    let with = |last: Value| payload(noise.iter().cloned().chain([last]).collect());
    let stale = alert(
        &rig.key("A"),
        ALICE,
        "failover",
        "firing",
        now_ms() / 1000 - 600,
    );
    let (code, answer) = good(&rig, &with(stale["alerts"][0].clone())).await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(2000));

    let watch = Stopwatch::start();
    let mut refused = 0;
    loop {
        let (code, answer) = good(&rig, &with(one(&rig, |_| {}))).await;
        if code == 200 {
            assert_eq!(fate(&answer["results"][1999]), ("accepted", "ok"));
            break;
        }
        assert_eq!(code, 429, "{answer}");
        refused += 1;
        assert!(watch.elapsed() < PATIENCE, "refused for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(refused > 0, "4,000 alerts at once are a flood");
    let b = rig.key("B");
    rig.until("the good one moves production", |r| r.registered() == b)
        .await;
    rig.slots_of_alice(2).await;
    assert_eq!(rig.switches().len(), 1);
    let page = rig.metrics().await;
    assert_eq!(
        series(
            &page,
            "slotkeeper_webhook_requests_total",
            &["code=\"429\""]
        ),
        Some(f64::from(refused))
    );
    rig.stop().await;
}
