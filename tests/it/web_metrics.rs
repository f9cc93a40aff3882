//! The page of `/metrics` as a whole: golden file, promtool, and series that come and go.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use slotkeeper::metrics::{HeartbeatFigure, Inputs, Metrics};
use slotkeeper::rpc::Disagreement;
use slotkeeper::watch::{Fault, FaultClause, Snapshot};

use crate::fixtures::{NOW, actuator, config, key, producer, snapshot, state};

fn render(metrics: &Metrics, snapshot: &Arc<Snapshot>) -> String {
    let page = metrics.render(&Inputs {
        now: NOW,
        snapshots: std::slice::from_ref(snapshot),
        heartbeats: &[
            HeartbeatFigure {
                source: "prometheus-a".into(),
                heard_at: Some(NOW - 4_000),
                evaluated_at: Some(NOW - 5_000),
                overdue: false,
            },
            HeartbeatFigure {
                source: "prometheus-b".into(),
                heard_at: None,
                evaluated_at: None,
                overdue: true,
            },
        ],
        actuator: &Arc::new(actuator()),
    });
    page.text()
}

/// The page of these chains, and nothing else of note.
fn page_of(metrics: &Metrics, snapshots: &[Arc<Snapshot>]) -> String {
    let page = metrics.render(&Inputs {
        now: NOW,
        snapshots,
        heartbeats: &[],
        actuator: &Arc::new(actuator()),
    });
    page.text()
}

fn fresh() -> Metrics {
    Metrics::new(&config(), NOW - 60_000)
}

#[test]
fn the_whole_page_is_as_agreed() {
    let metrics = fresh();
    metrics.counters.request(200);
    metrics.counters.alert("failover", "accepted", "ok");
    metrics.counters.notification("oncall", "delivered");
    metrics.counters.pinged("healthchecks", NOW - 20_000);
    let page = render(&metrics, &Arc::new(snapshot()));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/metrics.golden.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    for (number, (got, want)) in page.lines().zip(golden.lines()).enumerate() {
        assert_eq!(
            got,
            want,
            "line {} (UPDATE_GOLDEN=1 rewrites the file)",
            number + 1
        );
    }
    assert_eq!(page.len(), golden.len());
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let page = render(&fresh(), &Arc::new(snapshot()));
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is needed: install the Debian package `prometheus`");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let out = promtool.wait_with_output().unwrap();
    assert!(
        out.status.success(),
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn every_snapshot_replaces_the_one_before() {
    let metrics = fresh();
    let first = render(&metrics, &Arc::new(snapshot()));
    assert!(first.contains("rpc_up{chain=\"steem\",endpoint=\"https://b.example\"} 0"));

    let mut next = snapshot();
    next.endpoints.pop();
    Arc::make_mut(next.producers.get_mut("alice").unwrap()).state = Some(state(key(2)));
    Arc::make_mut(next.producers.get_mut("alice").unwrap()).fault =
        Fault::Yes(FaultClause::NodeDown);
    let page = render(&metrics, &Arc::new(next));
    assert!(
        !page.contains("https://b.example"),
        "vanished endpoint stays"
    );
    let old = key(1).to_text("STM");
    let new = key(2).to_text("STM");
    assert!(page.contains(&format!(
        "producer_fault{{chain=\"steem\",producer=\"alice\",signing_key=\"{new}\"}} 1"
    )));
    assert!(!page.contains(&format!(
        "producer_fault{{chain=\"steem\",producer=\"alice\",signing_key=\"{old}\"}}"
    )));
    assert!(page.contains(&format!(
        "signing_key=\"{new}\",scope=\"registered\",role=\"standby\"}} 1"
    )));
}

#[test]
fn roles_say_whose_key_is_registered() {
    let metrics = fresh();
    for (registered, role) in [
        (key(1), "primary"),
        (key(2), "standby"),
        (key(9), "foreign"),
        (slotkeeper::keys::PublicKey::NULL, "null"),
    ] {
        let mut s = snapshot();
        Arc::make_mut(s.producers.get_mut("alice").unwrap()).state = Some(state(registered));
        let page = render(&metrics, &Arc::new(s));
        let line = format!(
            "slotkeeper_producer_signing_key_info{{chain=\"steem\",producer=\"alice\",signing_key=\"{}\",scope=\"registered\",role=\"{role}\"}} 1",
            registered.to_text("STM")
        );
        assert!(page.contains(&line), "{line}");
    }
}

#[test]
fn no_view_reads_as_no_quorum() {
    let metrics = fresh();
    for (why, agreeing, slack) in [
        (
            Disagreement::TooFew {
                fresh: 1,
                quorum: 2,
                why: "b: refused".into(),
            },
            1,
            -1,
        ),
        (
            Disagreement::Fork {
                height: 7,
                detail: "a, b".into(),
            },
            0,
            -2,
        ),
    ] {
        let mut s = snapshot();
        s.agreement = Err(why);
        let page = render(&metrics, &Arc::new(s));
        assert!(page.contains(&format!(
            "chain_agreeing_providers{{chain=\"steem\"}} {agreeing}\n"
        )));
        assert!(page.contains(&format!("chain_quorum_slack{{chain=\"steem\"}} {slack}\n")));
    }
}

#[test]
fn a_hundred_producers_render_one_page_without_repeats() {
    let mut config = config();
    let mut s = snapshot();
    for i in 0..100_u8 {
        let name = format!("p{i}");
        config.producers.push(producer(
            &name,
            &[key(i.wrapping_add(10)), key(i.wrapping_add(120))],
        ));
        s.producers.insert(
            name,
            Arc::new(crate::fixtures::producer_snapshot(
                key(i.wrapping_add(10)),
                key(i.wrapping_add(120)),
            )),
        );
    }
    let metrics = Metrics::new(&config, NOW);
    let page = render(&metrics, &Arc::new(s));
    let mut series: Vec<&str> = page
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.rsplit_once(' ').map(|(s, _)| s))
        .collect();
    let all = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), all, "a series given twice fails a scrape");
}

#[test]
fn two_chains_share_their_families_and_each_is_renewed_alone() {
    let mut config = config();
    let mut second = config.chains[0].clone();
    second.spec.name = "hive".into();
    config.chains.push(second);
    let metrics = Metrics::new(&config, NOW);
    let named = |chain: &str, slots: u64| {
        let mut s = snapshot();
        s.chain = chain.into();
        s.slots.slots = slots;
        Arc::new(s)
    };
    let lines = |page: &str, chain: &str| -> Vec<String> {
        let of = format!("chain=\"{chain}\"");
        let lines = page.lines().filter(|l| l.contains(&of));
        lines.map(|l| l.replace(chain, "?")).collect()
    };
    let steem = named("steem", 7);
    let first = page_of(&metrics, &[named("hive", 7), Arc::clone(&steem)]);
    let next = page_of(&metrics, &[named("hive", 8), steem]);
    for page in [&first, &next] {
        let mut families: Vec<&str> = page.lines().filter(|l| l.starts_with("# TYPE")).collect();
        let all = families.len();
        families.sort_unstable();
        families.dedup();
        assert_eq!(families.len(), all, "a family told twice fails a scrape");
    }
    // What the actuator's figures say is of one chain only.
    let watched = |page: &str, chain: &str| -> Vec<String> {
        let all = lines(page, chain).into_iter();
        all.filter(|l| l.contains("_chain_")).collect()
    };
    assert_eq!(watched(&first, "hive"), watched(&first, "steem"));
    assert_eq!(lines(&next, "steem"), lines(&first, "steem"));
    let slots = |n: u64| format!("slotkeeper_chain_slots_total{{chain=\"hive\"}} {n}\n");
    assert!(first.contains(&slots(7)) && next.contains(&slots(8)) && !next.contains(&slots(7)));
}

#[test]
fn every_count_shows_on_the_next_page() {
    type Change = fn(&slotkeeper::metrics::Counters);
    let changes: [(&str, Change); 7] = [
        ("webhook_requests_total{code=\"429\"} 1", |c| c.request(429)),
        (
            "webhook_alerts_total{action=\"disable\",reason=\"ok\",status=\"accepted\"} 1",
            |c| c.alert("disable", "accepted", "ok"),
        ),
        ("webhook_truncated_alerts_total 3", |c| c.truncated(3)),
        (
            "notifications_total{outcome=\"retried\",receiver=\"oncall\"} 0",
            |c| c.expect_notifications("oncall"),
        ),
        (
            "notifications_total{outcome=\"refused\",receiver=\"oncall\"} 1",
            |c| c.notification("oncall", "refused"),
        ),
        (
            "notifications_total{outcome=\"left_out\",receiver=\"oncall\"} 2",
            |c| c.notifications_left_out("oncall", 2),
        ),
        (
            "ping_last_success_timestamp_seconds{ping=\"elsewhere\"} 1763710652",
            |c| c.pinged("elsewhere", NOW),
        ),
    ];
    let metrics = fresh();
    let quiet = Arc::new(snapshot());
    for (line, change) in changes {
        assert!(!render(&metrics, &quiet).contains(line), "{line}");
        change(&metrics.counters);
        let page = render(&metrics, &quiet);
        assert!(
            page.contains(&format!("slotkeeper_{line}\n")),
            "{line} in\n{page}"
        );
    }
}
