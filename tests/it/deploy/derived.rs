//! Files that follow from others: the same monitoring with other addresses, the same rules in another wrapping. They stand in
//! the repository, so that nobody needs a generator; `UPDATE_GOLDEN=1 cargo test --test it derived` renews them.

use super::bundle::{Bundle, RULES, root};

/// From, to, and what is replaced by what.
type Copy = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const COPIES: [Copy; 3] = [
    (
        "deploy/prometheus/prometheus.yml",
        "deploy/compose/prometheus.yml",
        &[
            ("127.0.0.1:9093", "alertmanager:9093"),
            ("127.0.0.1:10061", "slotkeeper:10061"),
        ],
    ),
    (
        "deploy/alertmanager/alertmanager.yml",
        "deploy/compose/alertmanager.yml",
        &[(
            "http://127.0.0.1:10062/",
            "http://slotkeeper-control:10062/",
        )],
    ),
    (
        "deploy/grafana/provisioning/datasources/slotkeeper.yml",
        "deploy/compose/grafana-datasource.yml",
        &[("http://127.0.0.1:9090", "http://prometheus:9090")],
    ),
];

const RULE_OBJECT: &str = "deploy/kubernetes/prometheusrule.yml";
const RENEW: &str = "UPDATE_GOLDEN=1 cargo test --test it derived renews it";

fn copied(bundle: &Bundle, (from, _, replaced): &Copy) -> Result<String, String> {
    let mut text = bundle.text(from)?.to_owned();
    for (one, other) in *replaced {
        if !text.contains(one) {
            return Err(format!("{from}: no {one}"));
        }
        text = text.replace(one, other);
    }
    Ok(format!(
        "# Made from {from}: only addresses differ. Change that one;\n# {RENEW}.\n#\n{text}"
    ))
}

/// All groups of all rule files, as they are, in one object.
fn rule_object(bundle: &Bundle) -> Result<String, String> {
    let mut text = format!(
        "# Made from {RULES}*.yml, for the Prometheus operator. Change those;\n# {RENEW}.\n\
         apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: slotkeeper\n  labels:\n    \
         app.kubernetes.io/name: slotkeeper\nspec:\n  groups:\n"
    );
    for (name, rules) in bundle.under(RULES) {
        let (_, groups) = rules
            .split_once("\ngroups:\n")
            .ok_or_else(|| format!("{name}: no groups"))?;
        for line in groups.lines() {
            let indent = if line.is_empty() { "" } else { "  " };
            text.push_str(&format!("{indent}{line}\n"));
        }
    }
    Ok(text)
}

fn all(bundle: &Bundle) -> Result<Vec<(&'static str, String)>, String> {
    let copies = COPIES
        .iter()
        .map(|copy| Ok((copy.1, copied(bundle, copy)?)));
    copies
        .chain([rule_object(bundle).map(|text| (RULE_OBJECT, text))])
        .collect()
}

/// Each is what its source makes of it.
pub(crate) fn current(bundle: &Bundle) -> Result<(), String> {
    for (path, text) in all(bundle)? {
        let is = bundle.text(path)?;
        if is != text {
            let line = is.lines().zip(text.lines()).position(|(a, b)| a != b);
            return Err(format!(
                "{path} is stale from line {:?} on: {RENEW}",
                line.map(|n| n + 1)
            ));
        }
    }
    Ok(())
}

/// The object holds every rule, as Prometheus reads them.
pub(crate) fn every_rule(bundle: &Bundle) -> Result<(), String> {
    let object = bundle.yaml(RULE_OBJECT)?;
    let mut held = Vec::new();
    for group in super::bundle::at(&object, &["spec", "groups"])?
        .as_sequence()
        .ok_or("groups is no list")?
    {
        for rule in group["rules"].as_sequence().ok_or("rules is no list")? {
            let name = rule.get("alert").or(rule.get("record"));
            held.push((
                name.and_then(|n| n.as_str()).unwrap_or_default().to_owned(),
                rule["expr"].as_str().unwrap_or_default().to_owned(),
            ));
        }
    }
    let rules: Vec<(String, String)> = bundle
        .rules()?
        .into_iter()
        .map(|(_, rule)| (rule.alert.or(rule.record).unwrap_or_default(), rule.expr))
        .collect();
    if held != rules {
        return Err(format!(
            "{RULE_OBJECT}: {} rules, {RULES} has {}, or they differ",
            held.len(),
            rules.len()
        ));
    }
    Ok(())
}

#[test]
fn derived_files_are_current() {
    let bundle = Bundle::shipped();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for (path, text) in all(&bundle).unwrap() {
            std::fs::write(root().join(path), text).unwrap();
        }
        return;
    }
    current(&bundle).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_rule_object_holds_every_rule() {
    every_rule(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}
