//! The pages for people: one for each alert, with what somebody needs at night, and none left over.

use std::collections::BTreeSet;

use super::bundle::{Bundle, RUNBOOKS, root};

/// Each alert has its page with the four sections, each page its alert, and the index names them all.
pub(crate) fn complete(bundle: &Bundle) -> Result<(), String> {
    let index = bundle.text("docs/runbooks/README.md")?;
    let pages: BTreeSet<&str> = bundle
        .under(RUNBOOKS)
        .map(|(name, _)| name)
        .filter(|name| *name != "README.md")
        .collect();
    let alerts = bundle.alerts()?;
    for page in &pages {
        if !alerts
            .iter()
            .any(|(name, _)| format!("{name}.md") == **page)
        {
            return Err(format!("{page} is left over"));
        }
    }
    for (name, alert) in alerts {
        let text = bundle.text(&format!("{RUNBOOKS}{name}.md"))?;
        if !text.starts_with(&format!("# {name}\n")) {
            return Err(format!("{name}: the page is about something else"));
        }
        let mut rest = text;
        for section in ["Meaning", "Impact", "Diagnosis", "Mitigation"] {
            let (_, after) = rest
                .split_once(&format!("\n## {section}\n"))
                .ok_or_else(|| format!("{name}: no {section}, or in another place"))?;
            let body = after.split("\n## ").next().unwrap_or_default();
            if body.trim().len() < 15 {
                return Err(format!("{name}: {section} is empty"));
            }
            rest = after;
        }
        let severity = alert.labels.get("severity").cloned().unwrap_or_default();
        let after = match &alert.patience {
            Some(patience) => format!("after {patience}"),
            None => "at once".to_owned(),
        };
        if !text.contains(&format!("\n{severity}, {after} · ")) {
            return Err(format!("{name}: the page does not say {severity}, {after}"));
        }
        let row = format!(
            "| [{name}]({name}.md) | {severity} | {} |",
            after.trim_start_matches("after ")
        );
        if !index.contains(&row) {
            return Err(format!("the index has no row {row}"));
        }
    }
    Ok(())
}

/// Whatever a page of the repository links to inside it exists.
pub(crate) fn links(bundle: &Bundle) -> Result<(), String> {
    let mut pages: Vec<(String, String)> = bundle
        .under(RUNBOOKS)
        .map(|(name, text)| (format!("{RUNBOOKS}{name}"), text.to_owned()))
        .collect();
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "docs/chains.md",
        "docs/interlocks.md",
    ] {
        pages.push((
            page.to_owned(),
            std::fs::read_to_string(root().join(page)).unwrap(),
        ));
    }
    if let Ok(text) = bundle.text("deploy/README.md") {
        pages.push(("deploy/README.md".to_owned(), text.to_owned()));
    }
    for (page, text) in pages {
        let folder = root().join(&page);
        let folder = folder.parent().unwrap_or(&folder);
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            if !folder.join(file).exists() {
                return Err(format!("{page} links to {target}, which is not there"));
            }
        }
    }
    Ok(())
}

#[test]
fn every_alert_has_its_page_and_no_page_is_left_over() {
    complete(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn links_lead_somewhere() {
    links(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}
