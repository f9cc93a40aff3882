//! What holds for the dashboards together: the same variables, marks and links on each, a way to every runbook, panels
//! that lie beside each other, and files that provision them.

use std::collections::BTreeSet;

use super::super::bundle::{Bundle, at, seconds};
use super::super::rules::RUNBOOK_BASE;
use super::model::{self, Dashboard, Kind, Panel, PanelLink, Property, dashboards};
use super::verdict;

/// One set of variables, marks and links, so that going from one dashboard to another keeps what was chosen.
pub(crate) fn together(bundle: &Bundle) -> Result<(), String> {
    let all = dashboards(bundle)?;
    let mut wrong = Vec::new();
    let uids: BTreeSet<&str> = all.iter().map(|(_, d)| d.uid.as_str()).collect();
    let (_, first) = &all[0];
    for (file, dashboard) in &all {
        if dashboard.templating != first.templating
            || dashboard.annotations != first.annotations
            || dashboard.links != first.links
        {
            wrong.push(format!(
                "{file}: other variables, marks or links than the first"
            ));
        }
        if dashboard.tags != ["slotkeeper"] || !dashboard.uid.starts_with("slotkeeper-") {
            wrong.push(format!(
                "{file}: tags {:?}, uid {}",
                dashboard.tags, dashboard.uid
            ));
        }
        // 36 is the oldest that Grafana 10 and later take as it is; 42 the newest known.
        if !(36..=42).contains(&dashboard.schema_version) {
            wrong.push(format!(
                "{file}: schemaVersion {}",
                dashboard.schema_version
            ));
        }
        for time in [&dashboard.refresh, &dashboard.time.from.replace("now-", "")] {
            wrong.extend(seconds(time).err().map(|e| format!("{file}: {e}")));
        }
        for link in links(dashboard) {
            let inside = link.url.strip_prefix("/d/");
            let uid = inside.and_then(|path| path.split('?').next());
            if uid.is_some_and(|uid| !uids.contains(uid)) {
                wrong.push(format!("{file}: {}: there is no such dashboard", link.url));
            }
            for variable in ["datasource", "job", "instance"] {
                if inside.is_some_and(|path| !path.contains(&format!("{{{variable}"))) {
                    wrong.push(format!("{file}: {} forgets {variable}", link.url));
                }
            }
        }
    }
    if uids.len() != all.len() {
        wrong.push(format!("uids {uids:?}"));
    }
    let names: Vec<&str> = first
        .templating
        .list
        .iter()
        .map(|v| v.name.as_str())
        .collect();
    if names != ["datasource", "job", "instance", "chain", "producer"] {
        wrong.push(format!("variables {names:?}"));
    }
    if !first
        .links
        .iter()
        .any(|l| l.tags == ["slotkeeper"] && l.include_vars && l.keep_time)
    {
        wrong.push("no link from one dashboard to the others".to_owned());
    }
    let marks: Vec<&str> = first
        .annotations
        .list
        .iter()
        .map(|a| a.name.as_str())
        .collect();
    if !marks.contains(&"Switches") {
        wrong.push(format!("switches are not marked: {marks:?}"));
    }
    verdict(wrong)
}

/// Links of panels and of cells.
fn links(dashboard: &Dashboard) -> Vec<&PanelLink> {
    let mut found = Vec::new();
    for panel in &dashboard.panels {
        found.extend(&panel.links);
        let overrides = panel.field_config.iter().flat_map(|c| &c.overrides);
        for property in overrides.flat_map(|o| &o.properties) {
            if let Property::Links(links) = property {
                found.extend(links);
            }
        }
    }
    found
}

/// Panels have a place of their own, a title of their own, and say what is normal.
pub(crate) fn layout(bundle: &Bundle) -> Result<(), String> {
    let mut wrong = Vec::new();
    for (file, dashboard) in dashboards(bundle)? {
        let panels = &dashboard.panels;
        for (n, panel) in panels.iter().enumerate() {
            let name = format!("{file}: {}", panel.title);
            let place = panel.grid_pos;
            if place.x + place.w > 24 || place.h == 0 || place.w == 0 {
                wrong.push(format!("{name} does not fit: {place:?}"));
            }
            for other in &panels[..n] {
                if other.id == panel.id || other.title == panel.title {
                    wrong.push(format!("{name}: its id or title is taken"));
                }
                if overlap(panel, other) {
                    wrong.push(format!("{name} lies on {}", other.title));
                }
            }
            let described = panel.description.as_deref().unwrap_or_default();
            if panel.r#type != Kind::Row && !described.contains("Normal: ") {
                wrong.push(format!("{name} does not say what is normal"));
            }
            let empty = panel
                .field_config
                .as_ref()
                .map(|c| c.defaults.no_value.as_str());
            if panel.r#type != Kind::Row && empty.is_none_or(str::is_empty) {
                wrong.push(format!("{name} does not say what it means to be empty"));
            }
            let refs: BTreeSet<&str> = panel.targets.iter().map(|t| t.ref_id.as_str()).collect();
            if refs.len() != panel.targets.len() {
                wrong.push(format!("{name}: refIds {refs:?}"));
            }
        }
    }
    verdict(wrong)
}

fn overlap(one: &Panel, other: &Panel) -> bool {
    let (a, b) = (one.grid_pos, other.grid_pos);
    a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}

/// A panel leads to the page of an alert that there is, and every alert is on some panel.
pub(crate) fn runbooks(bundle: &Bundle) -> Result<(), String> {
    let alerts: BTreeSet<String> = bundle.alerts()?.into_iter().map(|(name, _)| name).collect();
    let mut wrong = Vec::new();
    let mut led = BTreeSet::new();
    for (file, dashboard) in dashboards(bundle)? {
        for panel in &dashboard.panels {
            for link in &panel.links {
                let alert = link.title.strip_prefix("Runbook: ").unwrap_or_default();
                if !alerts.contains(alert) || link.url != format!("{RUNBOOK_BASE}{alert}.md") {
                    wrong.push(format!(
                        "{file}: {}: {} leads to {}",
                        panel.title, link.title, link.url
                    ));
                }
                led.insert(alert.to_owned());
            }
        }
    }
    let unled: Vec<&String> = alerts.difference(&led).collect();
    if !unled.is_empty() {
        wrong.push(format!("no panel leads to {unled:?}"));
    }
    verdict(wrong)
}

/// The data source is the Prometheus that is shipped, at its pace; the path is the one that the README tells.
pub(crate) fn provisioning(bundle: &Bundle) -> Result<(), String> {
    let (source, provider) = model::provisioning(bundle)?;
    let mut slowest = 0;
    for file in ["prometheus.yml", "prometheus-relaxed.yml"] {
        let config = bundle.yaml(&format!("deploy/prometheus/{file}"))?;
        let global = at(&config, &["global", "scrape_interval"])?.as_str();
        let jobs = at(&config, &["scrape_configs"])?.as_sequence();
        let own = jobs.into_iter().flatten();
        let own = own.filter_map(|job| job.get("scrape_interval")?.as_str());
        for interval in own.chain(global) {
            slowest = slowest.max(seconds(interval)?);
        }
    }
    if seconds(&source.json_data.time_interval)? != slowest {
        return Err(format!(
            "timeInterval {} where the slowest is scraped every {slowest}s",
            source.json_data.time_interval
        ));
    }
    if source.url != "http://127.0.0.1:9090" || source.r#type != model::SourceKind::Prometheus {
        return Err(format!("data source {source:?}"));
    }
    if provider.allow_ui_updates || !provider.disable_deletion {
        return Err("what is provisioned can be changed in the browser".to_owned());
    }
    let readme = bundle.text("deploy/README.md")?;
    if !readme.contains(&provider.options.path) {
        return Err(format!(
            "deploy/README.md does not name {}",
            provider.options.path
        ));
    }
    Ok(())
}
