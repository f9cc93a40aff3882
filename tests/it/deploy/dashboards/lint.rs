//! The rules of grafana/dashboard-linter by their own names, and the exceptions in `.lint`, each of which must be needed
//! and give its reason. (The linter itself is a Go program that cannot be installed from a Debian package.)

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::bundle::{Bundle, DASHBOARDS, tool};
use super::super::promql::{Selector, read_all};
use super::super::rules;
use super::model::{
    Dashboard, Kind, Panel, SourceKind, Target, Variable, VariableKind, dashboards, variable_query,
};
use super::verdict;

/// The units in use, of those that Grafana knows.
pub(crate) const UNITS: [&str; 6] = [
    "none",
    "short",
    "s",
    "dtdurations",
    "percentunit",
    "dateTimeFromNow",
];

/// A rule was broken here.
#[derive(Debug)]
struct Complaint {
    rule: &'static str,
    dashboard: String,
    panel: String,
    what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    exclusions: BTreeMap<String, Exclusion>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclusion {
    reason: String,
    entries: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dashboard: String,
    panel: String,
}

/// No rule is broken but where `.lint` says why, and it says so nowhere else.
pub(crate) fn lint(bundle: &Bundle) -> Result<(), String> {
    let path = format!("{DASHBOARDS}.lint");
    let exceptions: Exceptions =
        serde_yaml::from_str(bundle.text(&path)?).map_err(|e| format!("{path}: {e}"))?;
    let mut complaints = Vec::new();
    let known = rules::metrics(bundle)?;
    for (_, dashboard) in dashboards(bundle)? {
        let mut tell = |rule, panel: &str, what: String| {
            complaints.push(Complaint {
                rule,
                dashboard: dashboard.title.clone(),
                panel: panel.to_owned(),
                what,
            });
        };
        of_dashboard(&dashboard, &mut |rule, what| tell(rule, "", what));
        for panel in dashboard.panels.iter().filter(|p| p.r#type != Kind::Row) {
            of_panel(panel, &mut |rule, what| tell(rule, &panel.title, what));
            for target in &panel.targets {
                // What cannot be read is `queries`' to tell; what Prometheus cannot read, promtool's below.
                let selectors = read_all(&readable(&target.expr), &known);
                let selectors = selectors.map(|(_, s)| s).unwrap_or_default();
                of_target(target, &selectors, &mut |rule, what| {
                    tell(rule, &panel.title, what);
                });
            }
        }
    }
    let mut wrong = Vec::new();
    for (rule, exclusion) in &exceptions.exclusions {
        if exclusion.reason.len() < 20 {
            wrong.push(format!(".lint: {rule} without a reason"));
        }
        for entry in &exclusion.entries {
            let before = complaints.len();
            complaints.retain(|c| {
                c.rule != rule || c.dashboard != entry.dashboard || c.panel != entry.panel
            });
            if complaints.len() == before {
                wrong.push(format!(".lint: {rule}: {entry:?} is left over"));
            }
        }
    }
    wrong.extend(
        complaints
            .iter()
            .map(|c| format!("{}: {} / {}: {}", c.rule, c.dashboard, c.panel, c.what)),
    );
    wrong.extend(target_promql(bundle)?);
    verdict(wrong)
}

/// As our reader takes it: it knows no variables outside of texts and ranges.
pub(crate) fn readable(expr: &str) -> String {
    expr.replace("$__range", "1h")
}

fn of_dashboard(dashboard: &Dashboard, tell: &mut dyn FnMut(&'static str, String)) {
    if dashboard.editable {
        tell("uneditable-dashboard-rule", "editable is true".into());
    }
    let sources = of_kind(dashboard, VariableKind::Datasource);
    match &sources[..] {
        [source] => {
            if source.name != "datasource" || source.label != "Data Source" {
                let what = format!("it is {} labelled {}", source.name, source.label);
                tell("template-datasource-rule", what);
            }
            if source.query != "prometheus" {
                tell("template-datasource-rule", "not Prometheus".into());
            }
        }
        _ => tell(
            "template-datasource-rule",
            format!("{} data sources", sources.len()),
        ),
    }
    let queries = of_kind(dashboard, VariableKind::Query);
    for (rule, name, label) in [
        ("template-job-rule", "job", "Job"),
        ("template-instance-rule", "instance", "Instance"),
    ] {
        match queries.iter().find(|v| v.name == name) {
            None => tell(rule, format!("no variable {name}")),
            Some(v) => {
                let uid = v.datasource.as_ref().map(|d| d.uid.as_str());
                let all = v.all_value.as_deref();
                if v.label != label || !v.multi || all != Some(".+") || uid != Some("${datasource}")
                {
                    tell(
                        rule,
                        format!(
                            "label {}, multi {}, allValue {all:?}, data source {uid:?}",
                            v.label, v.multi
                        ),
                    );
                }
            }
        }
    }
    for variable in queries {
        if variable.refresh != 2 {
            let what = format!("{}: refresh {}", variable.name, variable.refresh);
            tell("template-on-time-change-reload-rule", what);
        }
        let asked = variable_query(variable).map(|q| q.query);
        let parts = asked.as_deref().map(label_values);
        if !matches!(parts, Ok(Some(_))) {
            let what = format!("{}: {asked:?} is no label_values(…, …)", variable.name);
            tell("template-label-promql-rule", what);
        }
    }
}

fn of_kind(dashboard: &Dashboard, kind: VariableKind) -> Vec<&Variable> {
    let all = dashboard.templating.list.iter();
    all.filter(|v| v.r#type == kind).collect()
}

/// Selector and label of `label_values(selector, label)`.
pub(crate) fn label_values(query: &str) -> Option<(&str, &str)> {
    let inside = query.strip_prefix("label_values(")?.strip_suffix(')')?;
    let (selector, label) = inside.rsplit_once(',')?;
    Some((selector.trim(), label.trim()))
}

fn of_panel(panel: &Panel, tell: &mut dyn FnMut(&'static str, String)) {
    let described = panel.description.as_ref().is_some_and(|d| !d.is_empty());
    if panel.title.is_empty() || !described {
        tell("panel-title-description-rule", "one is missing".into());
    }
    let sources = panel.targets.iter().map(|t| Some(&t.datasource));
    for source in sources.chain([panel.datasource.as_ref()]) {
        if source.is_none_or(|s| s.r#type != SourceKind::Prometheus || s.uid != "${datasource}") {
            tell("panel-datasource-rule", format!("{source:?}"));
        }
    }
    if panel.targets.is_empty() {
        tell("panel-no-targets-rule", "no query".into());
    }
    let unit = panel
        .field_config
        .as_ref()
        .map(|c| c.defaults.unit.as_str());
    if unit.is_none_or(|u| !UNITS.contains(&u)) {
        tell("panel-units-rule", format!("unit {unit:?}"));
    }
}

fn of_target(target: &Target, selectors: &[Selector], tell: &mut dyn FnMut(&'static str, String)) {
    for selector in selectors {
        for (rule, label) in [
            ("target-job-rule", "job"),
            ("target-instance-rule", "instance"),
        ] {
            let wanted = (label.to_owned(), "=~".to_owned(), format!("${label}"));
            if !selector.matchers.contains(&wanted) {
                tell(
                    rule,
                    format!("{} without {label}=~\"${label}\"", selector.name),
                );
            }
        }
        let function = selector.function.as_deref();
        let rate = matches!(function, Some("rate" | "irate"));
        if rate && selector.range.as_deref() != Some("$__rate_interval") {
            let what = format!("{} over {:?}", selector.name, selector.range);
            tell("target-rate-interval-rule", what);
        }
        if !rate
            && function != Some("increase")
            && selector.range.as_deref() == Some("$__rate_interval")
        {
            let what = format!("$__rate_interval in {function:?}");
            tell("target-rate-interval-rule", what);
        }
        let risen = selector.range.is_some() && (rate || function == Some("increase"));
        if selector.name.ends_with("_total") && !risen {
            tell("target-counter-agg-rule", selector.name.clone());
        }
    }
    if target.expr.is_empty() {
        tell("target-promql-rule", "empty".into());
    }
}

/// promtool, which has Prometheus's own parser, reads each query as if it were a rule.
fn target_promql(bundle: &Bundle) -> Result<Vec<String>, String> {
    let chosen = super::ask::Chosen::all();
    let mut rules = Vec::new();
    for (file, dashboard) in dashboards(bundle)? {
        for panel in &dashboard.panels {
            for target in &panel.targets {
                let name = format!(
                    "{}:panel_{}:{}",
                    file.replace('-', "_"),
                    panel.id,
                    target.ref_id
                );
                let expr = chosen.fill(&target.expr, 3_600);
                rules.push(serde_json::json!({"record": name, "expr": expr}));
            }
        }
    }
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let groups = serde_json::json!({"groups": [{"name": "queries", "rules": rules}]});
    std::fs::write(dir.path().join("queries.yml"), groups.to_string())
        .map_err(|e| e.to_string())?;
    let said = tool(dir.path(), "promtool", &["check", "rules", "queries.yml"]);
    Ok(said
        .err()
        .map(|e| format!("target-promql-rule: {e}"))
        .into_iter()
        .collect())
}
