//! What the queries read exists, and what is shown comes out of them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::bundle::Bundle;
use super::super::known::Metrics;
use super::super::promql::{Known, Labels, Selector, read_all};
use super::super::rules;
use super::ask::shown;
use super::lint::{UNITS, label_values, readable};
use super::model::{
    Dashboard, Format, Kind, Matcher, Organize, Panel, Property, Transformation, VariableKind,
    dashboards, variable_query,
};
use super::verdict;

/// Every metric and label that panels, marks and variables read exists, what a legend shows is there, and what is chosen
/// on top of the page counts.
pub(crate) fn expressions(bundle: &Bundle) -> Result<(), String> {
    let known = rules::metrics(bundle)?;
    let mut wrong = Vec::new();
    for (file, dashboard) in dashboards(bundle)? {
        for panel in &dashboard.panels {
            for target in &panel.targets {
                let name = format!("{file}: {}: {}", panel.title, target.ref_id);
                let legend = target.legend_format.as_deref();
                wrong.extend(one(&name, &target.expr, legend.unwrap_or_default(), &known).err());
                if (target.format, panel.r#type) == (None, Kind::Table)
                    || target.instant == target.range
                {
                    wrong.push(format!("{name}: format, instant or range"));
                }
                // Bars stand side by side, and Grafana lets their windows overlap by one scrape: no event is lost
                // between two of them, as it would be with $__interval.
                let counted =
                    target.expr.contains("increase(") && target.expr.contains("[$__rate_interval]");
                if counted != (panel.interval.as_deref() == Some("1m"))
                    || target.expr.contains("$__interval")
                {
                    wrong.push(format!("{name}: bars of events are a minute wide"));
                }
                let one_line = panel.r#type != Kind::Table && legend.is_none();
                if one_line
                    || target.format.is_some_and(|f| f == Format::Table)
                        != (panel.r#type == Kind::Table)
                {
                    wrong.push(format!("{name}: a legend for lines, a table for tables"));
                }
            }
        }
        for mark in &dashboard.annotations.list {
            if let Some(expr) = &mark.expr {
                let texts =
                    [&mark.title_format, &mark.text_format].map(|t| t.clone().unwrap_or_default());
                let tags = mark.tag_keys.clone().unwrap_or_default();
                let tags: String = tags.split(',').map(|t| format!("{{{{{t}}}}}")).collect();
                let texts = texts.join(" ") + &tags;
                wrong.extend(one(&format!("{file}: {}", mark.name), expr, &texts, &known).err());
            }
        }
        wrong.extend(variables(&file, &dashboard, &known));
    }
    verdict(wrong)
}

fn one(name: &str, expr: &str, legend: &str, known: &Metrics) -> Result<(), String> {
    let (kind, selectors) =
        read_all(&readable(expr), known).map_err(|e| format!("{name}: {}", e.join("\n")))?;
    let labels = kind.ok_or_else(|| format!("{name} is a number"))?;
    for label in shown(legend) {
        if !labels.contains(&label) {
            return Err(format!("{name} shows {label}, and has only {labels:?}"));
        }
    }
    for selector in &selectors {
        let wanted = unfiltered(selector, known);
        if !wanted.is_empty() {
            return Err(format!(
                "{name}: {} is not limited to {wanted:?}",
                selector.name
            ));
        }
    }
    Ok(())
}

/// What a selector must be limited to and is not: the chosen chain and producer; and what is not ours to one job, for
/// `All` is every job that there is.
fn unfiltered(selector: &Selector, known: &Metrics) -> Vec<&'static str> {
    let labels = known.family(&selector.name).map(|f| f.labels);
    let labels = labels.unwrap_or_default();
    let has = |label: &str, signs: &[&str], value: &dyn Fn(&str) -> bool| {
        let mut all = selector.matchers.iter();
        all.any(|(l, s, v)| l == label && signs.contains(&s.as_str()) && value(v))
    };
    let mut wanted = Vec::new();
    for (label, value) in [("chain", "$chain"), ("producer", "$producer")] {
        if labels.contains(label) && !has(label, &["=~"], &|v| v.trim_end_matches('|') == value) {
            wanted.push(label);
        }
    }
    let ours = selector.name.starts_with("slotkeeper_")
        || has("job", &["="], &|_| true)
        || has("alertname", &["=~"], &|v| v.starts_with("Slotkeeper"));
    if !ours {
        wanted.push("job");
    }
    wanted
}

fn variables(file: &str, dashboard: &Dashboard, known: &Metrics) -> Vec<String> {
    let mut wrong = Vec::new();
    for variable in &dashboard.templating.list {
        if variable.r#type != VariableKind::Query {
            continue;
        }
        let Ok(query) = variable_query(variable) else {
            wrong.push(format!("{file}: ${} has no query", variable.name));
            continue;
        };
        let Some((selector, label)) = label_values(&query.query) else {
            continue;
        };
        match read_all(selector, known) {
            Err(e) => wrong.push(format!("{file}: ${}: {}", variable.name, e.join("\n"))),
            Ok((labels, _)) => {
                if !labels.unwrap_or_default().contains(label) || label != variable.name {
                    wrong.push(format!("{file}: ${} has no label {label}", variable.name));
                }
            }
        }
    }
    wrong
}

/// Columns by the name before they are renamed: the labels of the queries, and `Value #A` or `Value`.
struct Columns {
    labels: Labels,
    values: BTreeMap<String, String>,
}

fn columns(panel: &Panel, known: &Metrics) -> Result<Columns, String> {
    let mut columns = Columns {
        labels: Labels::new(),
        values: BTreeMap::new(),
    };
    let mut joint: Option<Labels> = None;
    for target in &panel.targets {
        let (kind, _) = read_all(&readable(&target.expr), known).map_err(|e| e.join("\n"))?;
        let labels = kind.unwrap_or_default();
        columns.labels.extend(labels.iter().cloned());
        joint = Some(match joint {
            None => labels,
            Some(joint) => &joint & &labels,
        });
        let value = match panel.targets.len() {
            1 => "Value".to_owned(),
            _ => format!("Value #{}", target.ref_id),
        };
        columns.values.insert(value, target.expr.clone());
    }
    // Rows of several queries become one where their common labels are equal.
    if joint.is_none_or(|j| j.is_empty()) {
        return Err("its queries have no label in common".into());
    }
    Ok(columns)
}

fn organized(panel: &Panel) -> Option<&Organize> {
    match panel.transformations.last() {
        Some(Transformation::Organize(organize)) => Some(organize),
        _ => None,
    }
}

/// Every column of a table is there, named or left out, and what is set for a column is set for one that there is.
pub(crate) fn tables(bundle: &Bundle) -> Result<(), String> {
    let known = rules::metrics(bundle)?;
    let mut wrong = Vec::new();
    for (file, dashboard) in dashboards(bundle)? {
        for panel in dashboard.panels.iter().filter(|p| p.r#type == Kind::Table) {
            let name = format!("{file}: {}", panel.title);
            match table(panel, &known) {
                Ok(()) => {}
                Err(e) => wrong.push(format!("{name}: {e}")),
            }
        }
    }
    verdict(wrong)
}

fn table(panel: &Panel, known: &Metrics) -> Result<(), String> {
    let columns = columns(panel, known)?;
    let organize = organized(panel).ok_or("its columns are not organized")?;
    let merged = panel.transformations.len() == 2;
    if merged != (panel.targets.len() > 1) {
        return Err("several queries are merged, one is not".into());
    }
    let mut there: BTreeSet<&str> = columns.labels.iter().map(String::as_str).collect();
    there.extend(columns.values.keys().map(String::as_str));
    let mut told: BTreeSet<&str> = organize.rename_by_name.keys().map(String::as_str).collect();
    told.extend(organize.exclude_by_name.keys().map(String::as_str));
    there.insert("Time");
    if there != told {
        let odd: Vec<_> = there.symmetric_difference(&told).collect();
        return Err(format!(
            "columns {odd:?} are not there, or neither named nor left out"
        ));
    }
    let shown: BTreeSet<&String> = organize.rename_by_name.values().collect();
    let config = panel.field_config.as_ref().ok_or("no fieldConfig")?;
    for over in &config.overrides {
        if over.matcher.id != Matcher::Name || !shown.contains(&over.matcher.options) {
            return Err(format!("there is no column {}", over.matcher.options));
        }
    }
    let options = panel.options.as_ref().and_then(|o| o.get("sortBy"));
    for sort in options.and_then(|o| o.as_array()).into_iter().flatten() {
        let by = sort["displayName"].as_str().unwrap_or_default();
        if !shown.iter().any(|s| *s == by) {
            return Err(format!("sorted by {by}, which is no column"));
        }
    }
    Ok(())
}

/// The unit of each figure is the one of what is read.
pub(crate) fn units(bundle: &Bundle) -> Result<(), String> {
    let mut wrong = Vec::new();
    for (file, dashboard) in dashboards(bundle)? {
        for panel in dashboard.panels.iter().filter(|p| p.r#type != Kind::Row) {
            let config = panel.field_config.as_ref().ok_or("no fieldConfig")?;
            for target in &panel.targets {
                let mut unit = config.defaults.unit.as_str();
                if panel.r#type == Kind::Table {
                    let value = match panel.targets.len() {
                        1 => "Value".to_owned(),
                        _ => format!("Value #{}", target.ref_id),
                    };
                    let organize = organized(panel).ok_or("its columns are not organized")?;
                    let Some(column) = organize.rename_by_name.get(&value) else {
                        continue;
                    };
                    let over = config
                        .overrides
                        .iter()
                        .find(|o| o.matcher.options == *column);
                    let set = over.into_iter().flat_map(|o| &o.properties);
                    let mut set = set.filter_map(|p| match p {
                        Property::Unit(unit) => Some(unit.as_str()),
                        _ => None,
                    });
                    unit = set.next_back().unwrap_or("");
                }
                let fit = fitting(&target.expr);
                if !UNITS.contains(&unit) || !fit.contains(&unit) {
                    wrong.push(format!(
                        "{file}: {}: {}: unit {unit:?}, not {fit:?}",
                        panel.title, target.ref_id
                    ));
                }
            }
        }
    }
    verdict(wrong)
}

/// The units that fit what an expression reads.
fn fitting(expr: &str) -> &'static [&'static str] {
    let has = |words: &[&str]| words.iter().any(|w| expr.contains(w));
    if expr.starts_with("1000 * ") {
        &["dateTimeFromNow"]
    } else if has(&["_ratio{", "_missed_slots_total{", "_last_duration_seconds{"]) {
        &["percentunit"]
    } else if has(&[
        "time()",
        "_seconds_bucket{",
        "_seconds_sum{",
        "_age_seconds{",
        "_last_vote_timestamp_seconds{",
    ]) {
        &["s", "dtdurations"]
    } else {
        &["none", "short"]
    }
}
