//! The rule files: what they read exists, what they show can be filled in, what acts is what is meant to act.

use std::collections::BTreeSet;
use std::path::Path;

use super::bundle::{Bundle, RULES, Rule, root, seconds, tool};
use super::known::{Metrics, RECORDED};
use super::promql;

/// Where the pages for people are, for somebody who has only the alert.
pub(crate) const RUNBOOK_BASE: &str =
    "https://github.com/slotkeeper/slotkeeper/blob/main/docs/runbooks/";

/// The files that the rules are split into. A new one is added here, to README of deploy/ and to the demo.
const FILES: [&str; 7] = [
    "act.yml",
    "chain.yml",
    "monitor.yml",
    "production.yml",
    "rpc.yml",
    "stack.yml",
    "standby.yml",
];

/// The metrics as these rules know them.
pub(crate) fn metrics(bundle: &Bundle) -> Result<Metrics, String> {
    let alerts = bundle.alerts()?.into_iter().map(|(name, _)| name).collect();
    Ok(Metrics { alerts })
}

/// Every metric and label that an expression names exists, and every label that a text shows is on the alert.
pub(crate) fn expressions(bundle: &Bundle) -> Result<(), String> {
    let known = metrics(bundle)?;
    let mut wrong = Vec::new();
    for (file, rule) in bundle.rules()? {
        let name = rule.alert.as_ref().or(rule.record.as_ref());
        let name = name.ok_or("a rule without a name")?;
        match promql::read(&rule.expr, &known) {
            Err(complaints) => {
                wrong.extend(complaints.iter().map(|c| format!("{file}: {name}: {c}")))
            }
            Ok(None) => wrong.push(format!("{file}: {name} is a number")),
            Ok(Some(mut labels)) => {
                if let Some(record) = &rule.record {
                    let declared = RECORDED.iter().find(|(n, _)| n == record);
                    let labels: Vec<String> = labels.iter().cloned().collect();
                    if declared.is_none_or(|(_, l)| *l != labels.join(" ")) {
                        wrong.push(format!(
                            "{file}: {record} has {labels:?}, RECORDED says otherwise"
                        ));
                    }
                    continue;
                }
                labels.extend(rule.labels.keys().cloned());
                for text in rule.annotations.values().chain(rule.labels.values()) {
                    for shown in shown_labels(text) {
                        if !labels.contains(&shown) {
                            wrong.push(format!(
                                "{file}: {name} shows {shown}, and has only {labels:?}"
                            ));
                        }
                    }
                }
            }
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

/// The labels in `{{ $labels.x }}`.
fn shown_labels(text: &str) -> BTreeSet<String> {
    let parts = text.split("$labels.").skip(1);
    parts
        .map(|part| {
            let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            part[..end.unwrap_or(part.len())].to_owned()
        })
        .collect()
}

/// Severity, texts and the way to the runbook, on each.
pub(crate) fn annotations(bundle: &Bundle) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (name, alert) in bundle.alerts()? {
        if !seen.insert(name.clone()) {
            return Err(format!("{name} twice"));
        }
        if !name.starts_with("Slotkeeper") {
            return Err(format!("{name}: a name of its own starts with Slotkeeper"));
        }
        let severity = alert.labels.get("severity").map(String::as_str);
        if !["critical", "warning", "info", "none"]
            .map(Some)
            .contains(&severity)
        {
            return Err(format!("{name}: severity {severity:?}"));
        }
        for annotation in ["summary", "description"] {
            if alert
                .annotations
                .get(annotation)
                .is_none_or(|text| text.len() < 10)
            {
                return Err(format!("{name}: no {annotation}"));
            }
        }
        let url = alert.annotations.get("runbook_url");
        if url != Some(&format!("{RUNBOOK_BASE}{name}.md")) {
            return Err(format!("{name}: runbook_url {url:?}"));
        }
        if let Some(patience) = &alert.patience {
            seconds(patience).map_err(|e| format!("{name}: {e}"))?;
        }
        // A value in a label would make a new alert of every change.
        if alert.labels.values().any(|v| v.contains("$value")) {
            return Err(format!("{name}: a label with a value"));
        }
    }
    Ok(())
}

/// What acts, how it is labelled, and that it never waits.
pub(crate) fn actions(bundle: &Bundle) -> Result<(), String> {
    let known = metrics(bundle)?;
    let mut acting = Vec::new();
    for (name, alert) in bundle.alerts()? {
        let Some(action) = alert.labels.get("action") else {
            if alert.annotations.contains_key("evaluated_at") {
                return Err(format!("{name} has evaluated_at and no action"));
            }
            continue;
        };
        let evaluated_at = alert.annotations.get("evaluated_at");
        if evaluated_at.is_none_or(|t| !t.contains(r#"query "time()""#)) {
            return Err(format!("{name}: evaluated_at {evaluated_at:?}"));
        }
        if alert.patience.is_some() {
            return Err(format!("{name} must not wait"));
        }
        match action.as_str() {
            "failover" => fenced(&name, &alert, &known)?,
            "heartbeat" if alert.labels.contains_key("source") => {}
            other => return Err(format!("{name}: action {other}, or no source")),
        }
        acting.push(format!("{name} {action}"));
    }
    if acting
        != [
            "SlotkeeperProducerFault failover",
            "SlotkeeperHeartbeat heartbeat",
        ]
    {
        return Err(format!("{acting:?} act"));
    }
    Ok(())
}

/// Exactly the labels of the contract: one more would make several alerts of one fault, one less none that can act.
fn fenced(name: &str, alert: &Rule, known: &Metrics) -> Result<(), String> {
    let labels = promql::read(&alert.expr, known).map_err(|e| e.join("\n"))?;
    let labels: Vec<String> = labels.unwrap_or_default().into_iter().collect();
    if labels != ["chain", "producer", "signing_key"] {
        return Err(format!("{name} carries {labels:?}"));
    }
    Ok(())
}

/// The rules are those files, and promtool has nothing to say about them.
pub(crate) fn promtool(bundle: &Bundle) -> Result<(), String> {
    let names: Vec<&str> = bundle.under(RULES).map(|(name, _)| name).collect();
    if names != FILES {
        return Err(format!("rule files {names:?}"));
    }
    let dir = bundle.on_disk();
    let rules = dir.path().join(RULES);
    let mut args = vec!["check", "rules", "--lint=all", "--lint-fatal"];
    args.extend(FILES);
    tool(&rules, "promtool", &args)?;
    Ok(())
}

/// Every metric that rules, runbooks and pages name is on the page that slotkeeper shows.
pub(crate) fn on_the_page(bundle: &Bundle) -> Result<(), String> {
    let page = std::fs::read_to_string(root().join("tests/data/metrics.golden.txt")).unwrap();
    let mut texts: Vec<(String, String)> = bundle
        .rules()?
        .into_iter()
        .map(|(file, rule)| (file, format!("{} {:?}", rule.expr, rule.annotations)))
        .collect();
    let pages = bundle.under(super::bundle::RUNBOOKS);
    let pages = pages.chain(bundle.under(super::bundle::DASHBOARDS));
    texts.extend(pages.map(|(name, text)| (name.to_owned(), text.to_owned())));
    for page in [
        "docs/interlocks.md",
        "docs/chains.md",
        "README.md",
        "ARCHITECTURE.md",
        "deploy/README.md",
    ] {
        if Path::new(page).exists() {
            texts.push((
                page.to_owned(),
                std::fs::read_to_string(root().join(page)).unwrap(),
            ));
        }
    }
    for (file, text) in texts {
        for name in metric_words(&text) {
            let parts = ["", "_bucket", "_sum", "_count"];
            let shown = parts.iter().any(|part| {
                name.strip_suffix(part)
                    .is_some_and(|whole| page.contains(&format!("# TYPE {whole} ")))
            });
            if !shown {
                return Err(format!("{file}: {name} is on no page of slotkeeper"));
            }
        }
    }
    Ok(())
}

/// Every label that a page writes behind a metric, `metric{label}` or `metric{label="value"}`, is one of its labels.
pub(crate) fn labels_on_pages(bundle: &Bundle) -> Result<(), String> {
    let known = metrics(bundle)?;
    let mut pages = vec![(
        "deploy/README.md".to_owned(),
        bundle.text("deploy/README.md")?.to_owned(),
    )];
    let runbooks = bundle.under(super::bundle::RUNBOOKS);
    pages.extend(runbooks.map(|(name, text)| (name.to_owned(), text.to_owned())));
    for entry in std::fs::read_dir(root().join("docs")).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.extension().is_some_and(|e| e == "md") {
            let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
            pages.push((path.display().to_string(), text));
        }
    }
    let mut seen = 0;
    for (file, text) in pages {
        for (at, _) in text.match_indices("slotkeeper_") {
            let rest = &text[at..];
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
            let Some((inside, _)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) else {
                continue;
            };
            let labels = promql::Known::family(&known, name).map(|f| f.labels);
            for part in inside.split(',') {
                let label = part.split(['=', '!']).next().unwrap_or_default().trim();
                seen += 1;
                if !labels.as_ref().is_some_and(|l| l.contains(label)) {
                    return Err(format!("{file}: {name} has no label {label}"));
                }
            }
        }
    }
    if seen < 10 {
        return Err(format!("only {seen} labels on all pages"));
    }
    Ok(())
}

/// Words that can only be metrics of slotkeeper.
fn metric_words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with("slotkeeper_") && !word.contains(':'))
        .map(|word| word.to_owned())
        .collect()
}

#[test]
fn promtool_passes_the_rules() {
    promtool(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn rules_speak_of_metrics_and_labels_that_exist() {
    expressions(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
    on_the_page(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
    labels_on_pages(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn alerts_carry_what_people_need() {
    annotations(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn only_the_alerts_meant_to_act_have_an_action() {
    actions(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}
