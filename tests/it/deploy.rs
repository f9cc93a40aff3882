//! The shipped monitoring files, held against the tools that will read them and against the program they speak of:
//! rules, scrape config, Alertmanager routing, runbook. Needs promtool and amtool (`make setup` installs them).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml::Value;
use slotkeeper::metrics::names::TABLE;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a tool in the repository; panics with all it said when it fails.
fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(root())
        .output()
        .unwrap_or_else(|e| panic!("cannot run {program} ({e}); `make setup` installs it"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{program} {args:?}:\n{text}");
    text
}

fn yaml(path: impl AsRef<Path>) -> Value {
    let path = root().join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"))
}

/// The value at a path of keys; numbers index lists.
fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |value, key| {
        let found = match key.parse::<usize>() {
            Ok(index) => value.get(index),
            Err(_) => value.get(*key),
        };
        found.unwrap_or_else(|| panic!("no {key} of {path:?}"))
    })
}

/// Every rule of the shipped rule file.
fn rules() -> Vec<Value> {
    let file = yaml("deploy/prometheus/rules/slotkeeper.yml");
    at(&file, &["groups"])
        .as_sequence()
        .unwrap()
        .iter()
        .flat_map(|group| at(group, &["rules"]).as_sequence().unwrap().clone())
        .collect()
}

/// The rules that are alerts, by name.
fn alerts() -> Vec<(String, Value)> {
    rules()
        .into_iter()
        .filter_map(|rule| {
            let name = rule.get("alert")?.as_str()?.to_owned();
            Some((name, rule))
        })
        .collect()
}

/// Words of a PromQL expression that start with `slotkeeper_`.
fn metric_names(expr: &str) -> BTreeSet<String> {
    expr.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("slotkeeper_") && !word.contains(':'))
        .map(str::to_owned)
        .collect()
}

// === Prometheus ===

#[test]
fn rules_and_scrape_config_pass_promtool() {
    run(
        "promtool",
        &[
            "check",
            "rules",
            "--lint=all",
            "--lint-fatal",
            "deploy/prometheus/rules/slotkeeper.yml",
        ],
    );
    run(
        "promtool",
        &["check", "config", "deploy/prometheus/prometheus.yml"],
    );
}

fn rule_tests(file: &str) {
    run(
        "promtool",
        &["test", "rules", &format!("deploy/prometheus/tests/{file}")],
    );
}

#[test]
fn rule_tests_fault() {
    rule_tests("fault.yml");
}

#[test]
fn rule_tests_heartbeat() {
    rule_tests("heartbeat.yml");
}

#[test]
fn rule_tests_seconds() {
    rule_tests("seconds.yml");
}

#[test]
fn rule_tests_minutes() {
    rule_tests("minutes.yml");
}

#[test]
fn rule_tests_hours() {
    rule_tests("hours.yml");
}

#[test]
fn every_rule_test_file_is_run_and_every_alert_is_tested() {
    let ran = [
        "fault.yml",
        "heartbeat.yml",
        "hours.yml",
        "minutes.yml",
        "seconds.yml",
    ];
    let mut files: Vec<String> = std::fs::read_dir(root().join("deploy/prometheus/tests"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(
        files, ran,
        "a rule test file without a test above, or one that is gone"
    );
    let all: String = files
        .iter()
        .map(|f| std::fs::read_to_string(root().join("deploy/prometheus/tests").join(f)).unwrap())
        .collect();
    for (name, _) in alerts() {
        assert!(
            all.contains(&format!("\"{name}\"")) || all.contains(&format!("alertname: {name}\n")),
            "no rule test asks about {name}"
        );
    }
}

#[test]
fn rules_speak_of_metrics_and_labels_that_exist() {
    for rule in rules() {
        let expr = at(&rule, &["expr"]).as_str().unwrap();
        for name in metric_names(expr) {
            assert!(
                TABLE.iter().any(|m| m.name == name),
                "{name} is used by a rule but is no metric of slotkeeper:\n{expr}"
            );
        }
    }
}

#[test]
fn alerts_carry_what_people_need() {
    for (name, alert) in alerts() {
        assert!(name.starts_with("Slotkeeper"), "{name}");
        let severity = at(&alert, &["labels", "severity"]).as_str().unwrap();
        assert!(
            ["critical", "warning", "info", "none"].contains(&severity),
            "{name}: severity {severity}"
        );
        for annotation in ["summary", "description"] {
            let text = at(&alert, &["annotations", annotation]).as_str().unwrap();
            assert!(text.len() > 10, "{name}: {annotation}");
        }
        assert_eq!(
            at(&alert, &["annotations", "runbook_url"]).as_str(),
            Some(format!("docs/runbook.md#{}", name.to_lowercase()).as_str())
        );
    }
}

#[test]
fn only_the_alerts_meant_to_act_have_an_action() {
    let acting: Vec<(String, String)> = alerts()
        .into_iter()
        .filter_map(|(name, alert)| {
            let action = at(&alert, &["labels"]).get("action")?.as_str()?.to_owned();
            let evaluated_at = at(&alert, &["annotations", "evaluated_at"]).as_str();
            assert!(evaluated_at.is_some_and(|t| t.contains("time()")), "{name}");
            assert!(alert.get("for").is_none(), "{name} must not wait");
            Some((name, action))
        })
        .collect();
    let expected = [
        ("SlotkeeperProducerFault", "failover"),
        ("SlotkeeperHeartbeat", "heartbeat"),
    ];
    assert_eq!(
        acting,
        expected.map(|(name, action)| (name.to_owned(), action.to_owned()))
    );
}

#[test]
fn every_alert_has_its_section_in_the_runbook_and_no_section_is_left_over() {
    let runbook = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let mut sections: Vec<(&str, String)> = Vec::new();
    for part in runbook.split("\n## ").skip(1) {
        let (title, body) = part.split_once('\n').unwrap();
        sections.push((title.trim(), body.to_owned()));
    }
    for (title, body) in sections.iter().filter(|(t, _)| t.starts_with("Slotkeeper")) {
        for part in [
            "**Meaning.**",
            "**Impact.**",
            "**Diagnosis.**",
            "**Mitigation.**",
        ] {
            assert!(body.contains(part), "{title} lacks {part}");
        }
    }
    let written: BTreeSet<&str> = sections
        .iter()
        .map(|(title, _)| *title)
        .filter(|title| title.starts_with("Slotkeeper"))
        .collect();
    let names: Vec<String> = alerts().into_iter().map(|(name, _)| name).collect();
    let shipped: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(written, shipped);
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
    for (name, alert) in alerts() {
        let labels = at(&alert, &["labels"]).as_mapping().unwrap();
        let pairs: Vec<String> = labels
            .iter()
            // A template is filled in by Prometheus; no route looks at it.
            .filter(|(_, v)| !v.as_str().unwrap().contains("{{"))
            .map(|(k, v)| format!("{}={}", k.as_str().unwrap(), v.as_str().unwrap()))
            .collect();
        let config = format!("--config.file={ALERTMANAGER}");
        let mut args = vec!["config", "routes", "test", &config];
        args.extend(pairs.iter().map(String::as_str));
        let to = run("amtool", &args);
        let severity = at(&alert, &["labels", "severity"]).as_str().unwrap();
        let expected = match severity {
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
