//! Every query of every dashboard on a real Prometheus with the shipped files, which watched a producer on the devnet miss
//! blocks and be moved: none fails, none is empty, and the figures are those of the story.

use std::time::Duration;

use serde_json::Value;
use slotkeeper::clock::{Stopwatch, now_ms};
use slotkeeper::demo::monitoring::{Monitored, Monitoring, Profile};
use slotkeeper::demo::world::loopback;

use super::super::bundle::{Bundle, seconds};
use super::ask::{Chosen, VARIABLES};
use super::lint::label_values;
use super::model::{VariableKind, dashboards, variable_query};
use crate::notify::Stub;
use crate::rig::{PATIENCE, Rig, RigConfig, free_ports};

/// How much the dashboards show here.
const RANGE_S: u64 = 300;

/// One query of a dashboard.
#[derive(Debug, Clone)]
struct Query {
    /// Which: dashboard, panel or mark, and the letter of the query.
    name: String,
    expr: String,
    instant: bool,
    /// Seconds from one point to the next. Marks say it themselves.
    step_s: u64,
}

/// A series as an answer has it: its labels, its newest value.
type Series = (Value, f64);

fn queries() -> Vec<Query> {
    let mut all = Vec::new();
    for (file, dashboard) in dashboards(&Bundle::shipped()).expect("dashboards") {
        for panel in &dashboard.panels {
            all.extend(panel.targets.iter().map(|t| Query {
                name: format!("{file}: {}: {}", panel.title, t.ref_id),
                expr: t.expr.clone(),
                instant: t.instant,
                step_s: 1,
            }));
        }
        let marks = dashboard.annotations.list.iter();
        all.extend(marks.filter_map(|mark| {
            Some(Query {
                name: format!("{file}: {}", mark.name),
                expr: mark.expr.clone()?,
                instant: false,
                step_s: seconds(mark.step.as_ref()?).ok()?,
            })
        }));
    }
    all
}

/// What Grafana would send, as a form: queries are long.
async fn post(url: &str, fields: &[(&str, &str)]) -> Value {
    let encoded = |text: &str| -> String {
        let bytes = text.bytes();
        bytes
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(b).to_string(),
                _ => format!("%{b:02X}"),
            })
            .collect()
    };
    let body: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    let sent = reqwest::Client::new()
        .post(url)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body.join("&"))
        .send()
        .await;
    sent.expect("Prometheus answers")
        .json()
        .await
        .expect("JSON")
}

/// The series that a query comes to; those that are no number are left out.
async fn ask(prometheus: &str, query: &Query, chosen: &Chosen) -> Result<Vec<Series>, String> {
    let expr = chosen.fill(&query.expr, RANGE_S);
    let now = now_ms() / 1_000;
    let (start, now) = (now - 300, now.to_string());
    let answer = if query.instant {
        let fields = [("query", expr.as_str()), ("time", &now)];
        post(&format!("{prometheus}/api/v1/query"), &fields).await
    } else {
        let (start, step) = (start.to_string(), query.step_s.to_string());
        let fields = [
            ("query", expr.as_str()),
            ("start", &start),
            ("end", &now),
            ("step", &step),
        ];
        post(&format!("{prometheus}/api/v1/query_range"), &fields).await
    };
    if answer["status"] != "success" {
        return Err(format!("{}: {answer}", query.name));
    }
    let series = answer["data"]["result"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    Ok(series
        .into_iter()
        .filter_map(|series| {
            let values = series["values"].as_array().and_then(|v| v.last());
            let value = values.unwrap_or(&series["value"])[1]
                .as_str()?
                .parse::<f64>();
            Some((
                series["metric"].clone(),
                value.ok().filter(|v| !v.is_nan())?,
            ))
        })
        .collect())
}

/// The values of a variable, as its query finds them.
async fn values(prometheus: &str, variable: &str) -> Vec<String> {
    let (_, dashboard) = dashboards(&Bundle::shipped())
        .expect("dashboards")
        .remove(0);
    let variables = dashboard.templating.list.iter();
    let found = variables
        .filter(|v| v.r#type == VariableKind::Query)
        .find(|v| v.name == variable)
        .expect("variable");
    let query = Chosen::all().fill(&variable_query(found).expect("query").query, RANGE_S);
    let (selector, label) = label_values(&query).expect("label_values");
    let url = format!("{prometheus}/api/v1/series");
    let answer = post(&url, &[("match[]", selector)]).await;
    let series = answer["data"].as_array().cloned().unwrap_or_default();
    let values = series
        .iter()
        .filter_map(|s| Some(s[label].as_str()?.to_owned()));
    let values: std::collections::BTreeSet<String> = values.collect();
    values.into_iter().collect()
}

/// A rig with everything that a dashboard has a panel for, its ports, and who is told.
async fn watched() -> (Rig, Stub, Monitoring) {
    let people = Stub::start().await;
    let (ports, pair) = (free_ports(), free_ports());
    let mut rig = Rig::without_app(RigConfig {
        interval_ms: 600,
        ports,
        actuator: format!(
            "armed: true, alertmanagers: [{{url: \"http://127.0.0.1:{}\"}}]",
            pair.1
        ),
        extra: "guard: {mode: fallback}\n\
                heartbeats: [{source: prometheus-a, max_silence: 20s, max_age: 30s}]\n\
                notify: [{name: ops, slack: {url_file: people.url}}]\n\
                pings: [{name: elsewhere, url_file: people.url, interval: 5s}]\n"
            .into(),
        seed: 611,
        ..RigConfig::default()
    })
    .await;
    rig.private("people.url", &people.url);
    rig.start_app().await;
    let monitoring = Monitoring::start(&Monitored {
        web: loopback(ports.0),
        control: loopback(ports.1),
        token_file: rig.directory.path().join("control.token"),
        prometheus_port: pair.0,
        alertmanager_port: pair.1,
        profile: Profile::Fast,
        also_scraped: Vec::new(),
        alertmanager_at: None,
        others: Vec::new(),
        people: None,
    })
    .await
    .expect("Prometheus and Alertmanager");
    (rig, people, monitoring)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_is_answered_after_a_producer_was_moved() {
    let (rig, _people, monitoring) = watched().await;
    let prometheus = monitoring.prometheus_url.as_str();
    rig.until_able().await;
    // Prometheus's first scrape comes some seconds after its start: it is to see the primary too.
    let primary = queries().into_iter();
    let primary = primary.filter(|q| q.name == "fleet: Producers: B");
    until_answered(prometheus, primary.collect(), &Chosen::all()).await;
    rig.devnet.crash_node("A").expect("crash");
    let b = rig.key("B");
    rig.until("the key is switched", |rig| rig.registered() == b)
        .await;

    // Prometheus needs two scrapes of each job, of which some come every 15 s.
    let open = queries();
    assert!(open.len() > 80, "{} queries", open.len());
    until_answered(prometheus, open, &Chosen::all()).await;
    the_story_is_told(prometheus, &rig).await;
    what_is_chosen_counts(prometheus).await;
    what_is_broken_is_noticed(prometheus).await;
    super::drawn::every_panel_shows_something(prometheus).await;
    monitoring.stop().await;
    rig.stop().await;
}

/// Waits until each has had an answer.
async fn until_answered(prometheus: &str, mut open: Vec<Query>, chosen: &Chosen) {
    let watch = Stopwatch::start();
    while !open.is_empty() {
        let mut empty = Vec::new();
        for query in open {
            let series = ask(prometheus, &query, chosen).await;
            if series.unwrap_or_else(|e| panic!("{e}")).is_empty() {
                empty.push(query);
            }
        }
        open = empty;
        assert!(
            watch.elapsed() < PATIENCE,
            "always empty with {chosen:?}: {open:#?}"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The figures are those of one switch, from the primary to the standby, after misses.
async fn the_story_is_told(prometheus: &str, rig: &Rig) {
    let all = Chosen::all();
    let queries = queries();
    let show = async |name: &str| {
        let query = queries.iter().find(|q| q.name == name);
        let query = query.unwrap_or_else(|| panic!("no {name}"));
        ask(prometheus, query, &all).await.expect(name)
    };
    let key = show("producer: Key in force: A").await;
    assert_eq!((key.len(), key[0].1), (1, 2.0), "a standby's: {key:?}");
    let lives = show("producer: Key in force over time: A").await;
    assert_eq!(lives.len(), 2, "both keys, one after the other: {lives:?}");
    let missed = show("producer: Missed in 1 h: A").await;
    assert!(missed[0].1 >= 1.0, "{missed:?}");
    let state = show("producer: State: A").await;
    assert!(state[0].1 < 2.0, "it is no longer at fault: {state:?}");
    let switches = show("actuator-liveness: Switches: A").await;
    let effective: Vec<f64> = switches
        .iter()
        .filter(|(labels, _)| labels["outcome"] == "effective")
        .map(|(_, n)| *n)
        .collect();
    assert_eq!(
        (switches.len(), &effective[..]),
        (5, &[1.0][..]),
        "{switches:?}"
    );
    let decisions = show("actuator-liveness: Decisions: A").await;
    let acted = decisions
        .iter()
        .find(|(labels, _)| labels["verdict"] == "act");
    let (labels, times) = acted.expect("a decision to act");
    assert_eq!((labels["reason"].as_str(), *times), (Some("ok"), 1.0));
    let mark = show("fleet: Switches").await;
    let at = slotkeeper_series(rig).await;
    assert_eq!(
        mark[0].1,
        1_000.0 * at,
        "the mark stands where the switch was"
    );
    let nodes = show("producer: Keys and their nodes: B").await;
    assert_eq!(nodes.len(), 2, "{nodes:?}");
    let standbys = show("fleet: Without a ready standby: A").await;
    assert_eq!(standbys[0].1, 1.0, "the dead primary is no standby");
}

async fn slotkeeper_series(rig: &Rig) -> f64 {
    let page = rig.metrics().await;
    let name = "slotkeeper_actuator_last_switch_timestamp_seconds";
    crate::rig::series(&page, name, &[]).expect("a switch")
}

/// The variables find what there is; all that is found, chosen one by one, shows the same, and what is not there nothing.
async fn what_is_chosen_counts(prometheus: &str) {
    let mut chosen = Chosen::all();
    for variable in VARIABLES {
        let found = values(prometheus, variable).await;
        assert_eq!(found.len(), 1, "${variable}: {found:?}");
        chosen = chosen.with(variable, &found);
    }
    let several = ["nobody".to_owned(), "alice".to_owned()];
    for chosen in [chosen.clone(), chosen.with("producer", &several)] {
        until_answered(prometheus, queries(), &chosen).await;
    }
    for variable in VARIABLES {
        let chosen = Chosen::all().with(variable, &["nobody".to_owned()]);
        for query in queries() {
            // Alerts without a producer are shown whoever is chosen.
            if query.expr.contains("ALERTS") || !query.expr.contains(&format!("\"${variable}\"")) {
                continue;
            }
            let series = ask(prometheus, &query, &chosen).await;
            let series = series.unwrap_or_else(|e| panic!("{e}"));
            let all_zero = series.iter().all(|(_, value)| *value == 0.0);
            assert!(
                all_zero,
                "{} does not ask for ${variable}: {series:?}",
                query.name
            );
        }
    }
}

/// A query of what there is not is empty, and one that Prometheus cannot read is an error: both end the test above.
async fn what_is_broken_is_noticed(prometheus: &str) {
    let query = |expr: &str| Query {
        name: "broken".to_owned(),
        expr: expr.to_owned(),
        instant: true,
        step_s: 1,
    };
    let all = Chosen::all();
    for expr in [
        "slotkeeper_rpc_ok",
        "slotkeeper_rpc_up{chain=\"x\"}",
        "0 / 0 * slotkeeper_rpc_up",
    ] {
        let series = ask(prometheus, &query(expr), &all).await;
        assert_eq!(series, Ok(Vec::new()), "{expr}");
    }
    for expr in ["sum(slotkeeper_rpc_up", "rate(slotkeeper_rpc_up)"] {
        let said = ask(prometheus, &query(expr), &all).await;
        assert!(said.is_err_and(|e| e.starts_with("broken: ")), "{expr}");
    }
}
