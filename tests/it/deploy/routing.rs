//! Alertmanager's configuration: the tools take it, every shipped alert goes where it should, nothing that acts can be
//! muted, inhibited, emptied or cut, and messages to people hold the links they need.

use serde_yaml::Value;

use super::bundle::{Bundle, Rule, at, root, seconds, tool};

const FAST: &str = "deploy/alertmanager/alertmanager.yml";
const RELAXED: &str = "deploy/alertmanager/alertmanager-relaxed.yml";

/// Where an alert with such labels must go: receivers as amtool writes them, and the labels.
const OTHERS: [(&str, &[&str]); 8] = [
    (
        "slotkeeper,oncall",
        &["action=disable", "severity=critical"],
    ),
    ("slotkeeper,chat", &["action=failover", "severity=warning"]),
    ("slotkeeper,null", &["action=drill", "severity=info"]),
    ("slotkeeper,null", &["action=drill", "severity=critical"]),
    (
        "slotkeeper-heartbeat",
        &[
            "action=heartbeat",
            "severity=critical",
            "source=prometheus-b",
        ],
    ),
    ("null", &["severity=none"]),
    ("oncall", &["alertname=SomebodyElses", "severity=critical"]),
    ("chat", &["alertname=SomebodyElses"]),
];

/// The tools take the files.
pub(crate) fn tools(bundle: &Bundle) -> Result<(), String> {
    let dir = bundle.on_disk();
    for file in ["prometheus.yml", "prometheus-relaxed.yml"] {
        let path = format!("deploy/prometheus/{file}");
        tool(dir.path(), "promtool", &["check", "config", &path])?;
    }
    for file in [FAST, RELAXED] {
        let said = tool(dir.path(), "amtool", &["check-config", file])?;
        if !said.contains(" - 1 templates") {
            return Err(format!("{file}: {said}"));
        }
    }
    Ok(())
}

fn expected(alert: &Rule) -> &'static str {
    let label = |name: &str| alert.labels.get(name).map(String::as_str);
    match (label("action"), label("severity")) {
        (Some("heartbeat"), _) => "slotkeeper-heartbeat",
        (Some("failover"), _) => "slotkeeper,oncall",
        (_, Some("critical")) => "oncall",
        (_, Some("warning" | "info")) => "chat",
        _ => "null",
    }
}

/// `amtool config routes test` for every shipped alert, and for alerts of others.
fn routes_of(bundle: &Bundle, config: &str) -> Result<(), String> {
    let dir = bundle.on_disk();
    let ask = |receivers: &str, labels: &[String]| {
        let config = format!("--config.file={config}");
        let verify = format!("--verify.receivers={receivers}");
        let mut args = vec!["config", "routes", "test", &config, &verify];
        args.extend(labels.iter().map(String::as_str));
        tool(dir.path(), "amtool", &args)
    };
    for (name, alert) in bundle.alerts()? {
        let mut labels = vec![format!("alertname={name}")];
        // Templates are filled in by Prometheus; no route looks at those labels.
        let fixed = alert.labels.iter().filter(|(_, v)| !v.contains("{{"));
        labels.extend(fixed.map(|(k, v)| format!("{k}={v}")));
        labels.extend(["chain=hive", "producer=alice", "instance=a"].map(str::to_owned));
        ask(expected(&alert), &labels)?;
    }
    for (receivers, labels) in OTHERS {
        let labels: Vec<String> = labels.iter().map(|l| (*l).to_owned()).collect();
        ask(receivers, &labels)?;
    }
    Ok(())
}

pub(crate) fn routes(bundle: &Bundle) -> Result<(), String> {
    routes_of(bundle, FAST)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let list = value.get(key).and_then(Value::as_sequence);
    list.map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn same(value: &Value, path: &[&str], wanted: &Value) -> Result<(), String> {
    let got = at(value, path)?;
    if got == wanted {
        return Ok(());
    }
    Err(format!("{path:?} is {got:?}, not {wanted:?}"))
}

/// What goes to slotkeeper comes complete, at once, with the token, and cannot be muted.
pub(crate) fn webhooks(bundle: &Bundle) -> Result<(), String> {
    for (file, interval, repeat) in [(FAST, "5s", "4s"), (RELAXED, "1m", "50s")] {
        let config = bundle.yaml(file)?;
        let routes = at(&config, &["route", "routes"])?;
        for (path, wanted) in [
            (["0", "receiver"], "slotkeeper-heartbeat"),
            (["0", "group_wait"], "0s"),
            (["0", "group_interval"], interval),
            (["0", "repeat_interval"], repeat),
            (["1", "receiver"], "slotkeeper"),
            (["1", "group_wait"], "0s"),
            (["1", "group_interval"], "5s"),
            (["1", "repeat_interval"], "1m"),
        ] {
            same(routes, &path, &wanted.into())?;
        }
        same(routes, &["1", "group_by", "0"], &"...".into())?;
        same(routes, &["1", "continue"], &true.into())?;
        if at(routes, &["0"])?.get("continue").is_some() {
            return Err(format!("{file}: heartbeats go on to people"));
        }
        for route in routes.as_sequence().map_or(&[][..], Vec::as_slice) {
            let to_us = text(route, "receiver").starts_with("slotkeeper");
            if to_us && !list(route, "mute_time_intervals").is_empty() {
                return Err(format!("{file}: what acts can be muted"));
            }
        }
        if !bundle
            .text(file)?
            .contains("mute_time_intervals: [maintenance]")
        {
            return Err(format!("{file}: no maintenance mutes anybody"));
        }
        for receiver in list(&config, "receivers") {
            for webhook in list(receiver, "webhook_configs") {
                same(
                    webhook,
                    &["url"],
                    &"http://127.0.0.1:10062/api/v1/alertmanager".into(),
                )?;
                same(webhook, &["max_alerts"], &0.into())?;
                same(webhook, &["send_resolved"], &false.into())?;
                same(webhook, &["http_config", "follow_redirects"], &false.into())?;
                same(
                    webhook,
                    &["http_config", "authorization", "credentials_file"],
                    &"slotkeeper.token".into(),
                )?;
            }
        }
    }
    Ok(())
}

/// Names in a matcher `alertname="A"` or `alertname=~"A|B"`.
fn names<'a>(matchers: &'a [Value], of: &str) -> Result<Vec<&'a str>, String> {
    let matcher = matchers.iter().filter_map(Value::as_str);
    let found = matcher
        .filter_map(|m| m.strip_prefix("alertname"))
        .filter_map(|m| m.split('"').nth(1))
        .next()
        .ok_or_else(|| format!("{of} without alert names"))?;
    Ok(found.split('|').collect())
}

/// Patience in the expression itself, beside `for`.
const OWN_PATIENCE: [(&str, u64); 2] = [
    ("SlotkeeperObservationStale", 30),
    ("SlotkeeperActivationSlow", 60),
];

/// Inhibitions are between alerts that exist, never stop one that acts, and never depend on which of two comes first.
pub(crate) fn inhibitions(bundle: &Bundle) -> Result<(), String> {
    let alerts = bundle.alerts()?;
    let find = |name: &str| {
        let alert = alerts.iter().find(|(n, _)| n == name).map(|(_, a)| a);
        alert.ok_or_else(|| format!("inhibition: there is no {name}"))
    };
    let patience = |name: &str| -> Result<u64, String> {
        let own = OWN_PATIENCE
            .iter()
            .find(|(n, _)| *n == name)
            .map_or(0, |(_, s)| *s);
        let patience = find(name)?.patience.as_deref().map_or(Ok(0), seconds)?;
        Ok(patience + own)
    };
    for file in [FAST, RELAXED] {
        let config = bundle.yaml(file)?;
        let rules = list(&config, "inhibit_rules");
        if rules.is_empty() {
            return Err(format!("{file}: nothing is inhibited"));
        }
        for rule in rules {
            let targets = list(rule, "target_matchers");
            if !targets.contains(&"action=\"\"".into()) {
                return Err(format!("{file}: an inhibition can stop an alert that acts"));
            }
            if !list(rule, "equal").contains(&"chain".into()) {
                return Err(format!("{file}: an inhibition across chains"));
            }
            for target in names(targets, "target")? {
                if find(target)?.labels.contains_key("action") {
                    return Err(format!("{file}: {target} acts and is inhibited"));
                }
                for source in names(list(rule, "source_matchers"), "source")? {
                    if patience(source)? > patience(target)? {
                        return Err(format!("{file}: {target} can fire before {source}"));
                    }
                }
            }
        }
        // What people get waits long enough for both sides to be there.
        if seconds(text(at(&config, &["route"])?, "group_wait"))? < 5 {
            return Err(format!("{file}: people's alerts do not wait"));
        }
        for route in list(at(&config, &["route"])?, "routes") {
            let to_us = text(route, "receiver").starts_with("slotkeeper");
            if !to_us && route.get("group_wait").is_some() {
                return Err(format!("{file}: a route to people with a wait of its own"));
            }
        }
    }
    Ok(())
}

/// A message as Alertmanager hands it to templates.
const MESSAGE: &str = r#"{"receiver":"oncall","status":"firing","externalURL":"http://am.example:9093",
  "groupLabels":{"alertname":"SlotkeeperNoQuorum"},
  "commonLabels":{"alertname":"SlotkeeperNoQuorum","chain":"hive","endpoint":"https://a.example/x?y=1 2","severity":"critical"},
  "commonAnnotations":{"summary":"no quorum on hive","description":"two are few","runbook_url":"https://book.example/NoQuorum.md"},
  "alerts":[{"status":"firing","labels":{"alertname":"SlotkeeperNoQuorum","chain":"hive","instance":"a:1","severity":"critical"},
    "annotations":{"summary":"no quorum on hive","description":"two are few","runbook_url":"https://book.example/NoQuorum.md"},
    "startsAt":"2026-01-02T03:04:05Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prom.example:9090/graph?g0.expr=x","fingerprint":"f"}]}"#;

/// What a person needs at night is in the messages, and filled in.
pub(crate) fn messages(bundle: &Bundle) -> Result<(), String> {
    let dir = bundle.on_disk();
    std::fs::write(dir.path().join("message.json"), MESSAGE).unwrap();
    for (name, wanted) in [
        ("title", "critical: no quorum on hive"),
        ("text", "two are few [a:1] Since 2026-01-02 03:04:05 UTC."),
        ("status_url", "http://127.0.0.1:10061/"),
        ("decisions_url", "http://127.0.0.1:10061/api/v1/decisions"),
        ("runbook_url", "https://book.example/NoQuorum.md"),
        ("graph_url", "http://prom.example:9090/graph?g0.expr=x"),
        (
            "silence_url",
            "http://am.example:9093/#/silences/new?filter=%7Balertname%3D%22SlotkeeperNoQuorum%22%2C%20\
             chain%3D%22hive%22%2C%20endpoint%3D%22https%3A%2F%2Fa.example%2Fx%3Fy%3D1%202%22%2C%20severity%3D%22critical%22%7D",
        ),
        ("severity", "critical"),
        ("color", "danger"),
    ] {
        let asked = format!("--template.text={{{{ template \"slotkeeper.{name}\" . }}}}");
        let args = [
            "template",
            "render",
            "--template.glob=deploy/alertmanager/templates/*.tmpl",
            "--template.data=message.json",
            &asked,
        ];
        let got = tool(dir.path(), "amtool", &args)?;
        if got.trim() != wanted {
            return Err(format!("slotkeeper.{name} is {got:?}, not {wanted:?}"));
        }
    }
    for file in [FAST, RELAXED] {
        let config = bundle.yaml(file)?;
        for receiver in list(&config, "receivers") {
            let name = text(receiver, "name");
            let (pagers, slacks) = (
                list(receiver, "pagerduty_configs"),
                list(receiver, "slack_configs"),
            );
            if (pagers.len(), slacks.len())
                != match name {
                    "oncall" => (1, 1),
                    "chat" => (0, 1),
                    _ => (0, 0),
                }
            {
                return Err(format!(
                    "{file}: {name} calls by {} + {}",
                    pagers.len(),
                    slacks.len()
                ));
            }
            for pager in pagers {
                same(pager, &["routing_key_file"], &"pagerduty.key".into())?;
            }
            for slack in slacks {
                same(slack, &["api_url_file"], &"slack.url".into())?;
            }
            for (means, links) in pagers
                .iter()
                .map(|p| (p, "href"))
                .chain(slacks.iter().map(|s| (s, "url")))
            {
                let offered = format!(
                    "{:?}",
                    list(means, if links == "href" { "links" } else { "actions" })
                );
                for link in [
                    "status_url",
                    "runbook_url",
                    "decisions_url",
                    "graph_url",
                    "silence_url",
                ] {
                    if !offered.contains(&format!("slotkeeper.{link}")) {
                        return Err(format!("{file}: {name} has no {link}"));
                    }
                }
                if means.get("send_resolved") != Some(&true.into()) {
                    return Err(format!("{file}: {name} is not told that it is over"));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_tools_take_the_files() {
    tools(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn every_shipped_alert_goes_where_it_should() {
    routes(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn every_shipped_alert_goes_there_in_the_relaxed_profile_too() {
    routes_of(&Bundle::shipped(), RELAXED).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn webhooks_cannot_be_emptied_truncated_muted_or_sent_without_the_token() {
    webhooks(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn inhibitions_do_not_depend_on_a_race_and_stop_nothing_that_acts() {
    inhibitions(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn messages_hold_what_a_person_needs_at_night() {
    messages(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_readme_shows_the_minimal_example() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let example = std::fs::read_to_string(root().join("examples/minimal.yml")).unwrap();
    let config: Vec<&str> = example.lines().filter(|l| !l.starts_with('#')).collect();
    assert!(
        config.len() <= 10,
        "{} lines are more than ten",
        config.len()
    );
    assert!(readme.contains(&config.join("\n")));
}
