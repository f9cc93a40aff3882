//! The scrape config and Alertmanager's routing: passed by the tools, and every alert goes where it should.

use serde_yaml::Value;

use super::bundle::{Bundle, at as found, root, tool};

fn run(program: &str, args: &[&str]) -> String {
    tool(&root(), program, args).unwrap_or_else(|e| panic!("{e}"))
}

fn yaml(path: &str) -> Value {
    Bundle::shipped().yaml(path).unwrap()
}

fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    found(value, path).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn promtool_passes_the_scrape_config() {
    run(
        "promtool",
        &["check", "config", "deploy/prometheus/prometheus.yml"],
    );
}

#[test]
fn the_scrape_config_keeps_the_pace_the_budget_needs() {
    let config = yaml("deploy/prometheus/prometheus.yml");
    assert_eq!(at(&config, &["global", "evaluation_interval"]), "1s");
    assert_eq!(
        at(&config, &["alerting", "alertmanagers", "0", "timeout"]),
        "1s"
    );
    let job = at(&config, &["scrape_configs", "0"]);
    assert_eq!(at(job, &["job_name"]), "slotkeeper");
    assert_eq!(at(job, &["scrape_interval"]), "1s");
    assert_eq!(
        at(job, &["static_configs", "0", "targets", "0"]),
        "127.0.0.1:10061"
    );
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

// === Alertmanager ===

const ALERTMANAGER: &str = "deploy/alertmanager/alertmanager.yml";

#[test]
fn alertmanager_config_passes_amtool() {
    run("amtool", &["check-config", ALERTMANAGER]);
}

#[test]
fn alertmanager_examples_pass_amtool_when_filled_in() {
    let text = std::fs::read_to_string(root().join(ALERTMANAGER)).unwrap();
    let (head, people) = text.split_once("  - name: oncall\n").unwrap();
    let filled: String = people
        .lines()
        .map(|line| match line.strip_prefix("    # ") {
            Some(example) => format!("    {example}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    assert_ne!(filled, people, "nothing was commented out");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alertmanager.yml");
    std::fs::write(&path, format!("{head}  - name: oncall\n{filled}")).unwrap();
    run("amtool", &["check-config", path.to_str().unwrap()]);
}

#[test]
fn alerts_go_where_they_should() {
    for (receivers, labels) in [
        (
            "slotkeeper-heartbeat",
            &["action=heartbeat", "severity=none", "source=prometheus-a"][..],
        ),
        (
            "slotkeeper,oncall",
            &["action=failover", "severity=critical", "chain=hive"][..],
        ),
        (
            "slotkeeper,oncall",
            &["action=disable", "severity=critical"][..],
        ),
        ("slotkeeper,null", &["action=drill", "severity=info"][..]),
        (
            "oncall",
            &["alertname=SlotkeeperNoQuorum", "severity=critical"][..],
        ),
        ("chat", &["severity=warning"][..]),
        ("chat", &["severity=info"][..]),
        ("null", &["severity=none"][..]),
        ("chat", &["alertname=SomebodyElses"][..]),
    ] {
        let config = format!("--config.file={ALERTMANAGER}");
        let verify = format!("--verify.receivers={receivers}");
        let mut args = vec!["config", "routes", "test", &config, &verify];
        args.extend(labels);
        run("amtool", &args);
    }
}

#[test]
fn every_shipped_alert_reaches_somebody() {
    for (name, alert) in Bundle::shipped().alerts().unwrap() {
        let pairs: Vec<String> = alert
            .labels
            .iter()
            // A template is filled in by Prometheus; no route looks at it.
            .filter(|(_, v)| !v.contains("{{"))
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let config = format!("--config.file={ALERTMANAGER}");
        let mut args = vec!["config", "routes", "test", &config];
        args.extend(pairs.iter().map(String::as_str));
        let to = run("amtool", &args);
        let expected = match alert.labels["severity"].as_str() {
            "critical" => "oncall",
            "warning" | "info" => "chat",
            _ => "slotkeeper-heartbeat",
        };
        assert!(to.contains(expected), "{name} goes to {to}");
    }
}

#[test]
fn webhooks_cannot_be_emptied_truncated_or_sent_without_the_token() {
    let config = yaml(ALERTMANAGER);
    let routes = at(&config, &["route", "routes"]);
    assert_eq!(at(routes, &["0", "receiver"]), "slotkeeper-heartbeat");
    assert!(at(routes, &["0"]).get("continue").is_none());
    assert_eq!(at(routes, &["0", "group_interval"]), "5s");
    assert_eq!(at(routes, &["0", "repeat_interval"]), "4s");
    assert_eq!(at(routes, &["1", "receiver"]), "slotkeeper");
    assert_eq!(at(routes, &["1", "group_by", "0"]), "...");
    assert_eq!(at(routes, &["1", "group_wait"]), "0s");
    assert_eq!(at(routes, &["1", "continue"]).as_bool(), Some(true));
    for receiver in at(&config, &["receivers"]).as_sequence().unwrap() {
        let Some(webhooks) = receiver.get("webhook_configs") else {
            continue;
        };
        for webhook in webhooks.as_sequence().unwrap() {
            assert_eq!(
                at(webhook, &["url"]),
                "http://127.0.0.1:10062/api/v1/alertmanager"
            );
            assert_eq!(at(webhook, &["max_alerts"]).as_u64(), Some(0));
            assert_eq!(at(webhook, &["send_resolved"]).as_bool(), Some(false));
            let http = at(webhook, &["http_config"]);
            assert_eq!(at(http, &["follow_redirects"]).as_bool(), Some(false));
            at(http, &["authorization", "credentials_file"]);
        }
    }
}
