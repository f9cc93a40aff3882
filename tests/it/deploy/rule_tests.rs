//! The tests of the rules (`promtool test rules`): they pass, each alert is asked about when it should fire and when it
//! should not, and they notice a rule that always or never fires.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::bundle::{Bundle, RULE_TESTS, RULES, Rule, tool};

/// Runs one file of tests, in a directory of its own.
pub(crate) fn run(bundle: &Bundle, file: &str) -> Result<(), String> {
    let dir = bundle.on_disk();
    tool(
        &dir.path().join(RULE_TESTS),
        "promtool",
        &["test", "rules", file],
    )?;
    Ok(())
}

/// Each alert has a case in which it fires and one in which it does not.
pub(crate) fn both_ways(bundle: &Bundle) -> Result<(), String> {
    let (mut fires, mut keeps_quiet) = (BTreeSet::new(), BTreeSet::new());
    let alerts = bundle.alerts()?;
    for (file, text) in bundle.under(RULE_TESTS) {
        let tests: Value = serde_yaml::from_str(text).map_err(|e| format!("{file}: {e}"))?;
        for test in list(&tests, "tests") {
            for case in list(test, "alert_rule_test") {
                let name = case.get("alertname").and_then(Value::as_str);
                let name = name.ok_or_else(|| format!("{file}: a case without an alert"))?;
                let firing = !list(case, "exp_alerts").is_empty();
                let seen = if firing { &mut fires } else { &mut keeps_quiet };
                seen.insert(name.to_owned());
            }
            for case in list(test, "promql_expr_test") {
                let expr = case.get("expr").and_then(Value::as_str).unwrap_or_default();
                for (name, alert) in &alerts {
                    if !expr.contains(&format!("alertname=\"{name}\"")) {
                        continue;
                    }
                    if list(case, "exp_samples").is_empty() {
                        keeps_quiet.insert(name.clone());
                    } else if surely_firing(expr, alert) {
                        fires.insert(name.clone());
                    }
                }
            }
        }
    }
    for (name, _) in alerts {
        for (seen, what) in [(&fires, "fires"), (&keeps_quiet, "keeps quiet")] {
            if !seen.contains(&name) {
                return Err(format!("no rule test in which {name} {what}"));
            }
        }
    }
    Ok(())
}

/// A sample of `ALERTS` may be a pending one, where the alert has patience.
fn surely_firing(expr: &str, alert: &Rule) -> bool {
    alert.patience.is_none() || expr.contains("alertstate=\"firing\"")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let list = value.get(key).and_then(Value::as_sequence);
    list.map_or(&[], Vec::as_slice)
}

/// Which alerts the tests of a file complain about when every alert of `rules` has this expression.
fn complaints_about(expr: &str) -> BTreeSet<String> {
    let mut bundle = Bundle::shipped();
    let names: Vec<String> = bundle
        .under(RULES)
        .map(|(name, _)| name.to_owned())
        .collect();
    for name in names {
        let path = format!("{RULES}{name}");
        let mut file = bundle.yaml(&path).unwrap();
        let groups = file
            .get_mut("groups")
            .and_then(Value::as_sequence_mut)
            .unwrap();
        for group in groups {
            for rule in group
                .get_mut("rules")
                .and_then(Value::as_sequence_mut)
                .unwrap()
            {
                if rule.get("alert").is_some() {
                    rule["expr"] = expr.into();
                }
            }
        }
        bundle.add(&path, &serde_yaml::to_string(&file).unwrap());
    }
    let files: Vec<String> = bundle
        .under(RULE_TESTS)
        .map(|(name, _)| name.to_owned())
        .collect();
    let dir = bundle.on_disk();
    let mut said = String::new();
    for file in files {
        let args = ["test", "rules", file.as_str()];
        said += &tool(&dir.path().join(RULE_TESTS), "promtool", &args).expect_err("it must fail");
    }
    let alerts = bundle.alerts().unwrap().into_iter();
    alerts
        .map(|(name, _)| name)
        .filter(|name| {
            said.contains(&format!("alertname=\\\"{name}\\\""))
                || said.contains(&format!("alertname: {name},"))
        })
        .collect()
}

fn every_alert() -> BTreeSet<String> {
    let alerts = Bundle::shipped().alerts().unwrap().into_iter();
    alerts.map(|(name, _)| name).collect()
}

#[test]
fn they_notice_an_alert_that_never_fires() {
    assert_eq!(complaints_about("vector(0) > 1"), every_alert());
}

#[test]
fn they_notice_an_alert_that_always_fires() {
    assert_eq!(complaints_about("vector(1)"), every_alert());
}

#[test]
fn each_alert_is_tested_both_ways() {
    both_ways(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

/// One test for each file, so that they run beside each other.
macro_rules! files {
    ($($test:ident $file:literal)*) => {
        $(#[test]
        fn $test() {
            run(&Bundle::shipped(), $file).unwrap_or_else(|e| panic!("{e}"));
        })*

        #[test]
        fn every_file_is_run() {
            let bundle = Bundle::shipped();
            let shipped: Vec<&str> = bundle.under(RULE_TESTS).map(|(name, _)| name).collect();
            assert_eq!(shipped, [$($file),*]);
        }
    };
}

files! {
    act "act.yml"
    chain "chain.yml"
    days "days.yml"
    heartbeat "heartbeat.yml"
    hours "hours.yml"
    minutes "minutes.yml"
    monitor "monitor.yml"
    production "production.yml"
    rpc "rpc.yml"
    stack "stack.yml"
    standby "standby.yml"
}
