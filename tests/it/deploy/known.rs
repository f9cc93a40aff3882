//! The metrics that rules, runbooks and dashboards may speak of: slotkeeper's own table, what rules record, and the few of
//! Prometheus and Alertmanager that are used. Dashboards use the same.

use std::collections::BTreeSet;

use slotkeeper::metrics::names::{Kind, TABLE};

use super::promql::{Family, Known, Labels};

/// Metrics by name. `alerts` are the names that a matcher of `ALERTS` may ask for.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) alerts: BTreeSet<String>,
}

/// What the rules record, with its labels. A test compares it with what the expressions come to.
pub(crate) const RECORDED: [(&str, &str); 2] = [
    (
        "slotkeeper:producer_fault:known",
        "chain instance job producer signing_key",
    ),
    ("slotkeeper:chain:in_trouble", "chain"),
];

/// Other programs' metrics: name, labels beside job and instance.
const FOREIGN: [(&str, &str); 14] = [
    ("up", ""),
    (
        "ALERTS",
        "alertname alertstate severity action source receiver chain producer signing_key",
    ),
    ("prometheus_notifications_alertmanagers_discovered", ""),
    ("prometheus_notifications_errors_total", "alertmanager"),
    ("prometheus_notifications_queue_length", ""),
    ("prometheus_rule_evaluation_failures_total", "rule_group"),
    (
        "prometheus_rule_group_iterations_missed_total",
        "rule_group",
    ),
    ("prometheus_rule_group_last_duration_seconds", "rule_group"),
    ("prometheus_rule_group_interval_seconds", "rule_group"),
    ("prometheus_config_last_reload_successful", ""),
    ("alertmanager_config_last_reload_successful", ""),
    ("alertmanager_notifications_failed_total", "integration"),
    ("alertmanager_notifications_total", "integration"),
    ("alertmanager_cluster_members", ""),
];

/// Labels with few values, and these. Other labels may have any.
const VALUES: [(&str, &str); 5] = [
    ("job", "slotkeeper prometheus alertmanager"),
    ("scope", "registered effective active pending"),
    ("role", "primary standby null foreign"),
    ("alertstate", "pending firing"),
    ("integration", "webhook pagerduty slack email"),
];

fn words(text: &str) -> Labels {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The row of slotkeeper's table, also by the names of a histogram's parts.
fn own(name: &str) -> Option<(Labels, bool)> {
    TABLE.iter().find_map(|metric| {
        let part = name.strip_prefix(metric.name)?;
        let mut labels: Labels = metric.labels.iter().map(|l| (*l).to_owned()).collect();
        match (metric.kind, part) {
            (Kind::Histogram, "_bucket") => {
                labels.insert("le".to_owned());
                Some((labels, true))
            }
            (Kind::Histogram, "_sum" | "_count") | (Kind::Counter, "") => Some((labels, true)),
            (Kind::Gauge, "") => Some((labels, false)),
            _ => None,
        }
    })
}

// === impl Known ===

impl Known for Metrics {
    fn family(&self, name: &str) -> Option<Family> {
        let targets = words("job instance");
        if let Some((labels, counter)) = own(name) {
            return Some(Family {
                labels: &labels | &targets,
                counter,
            });
        }
        if let Some((_, labels)) = RECORDED.iter().find(|(n, _)| *n == name) {
            return Some(Family {
                labels: words(labels),
                counter: false,
            });
        }
        let (_, labels) = FOREIGN.iter().find(|(n, _)| *n == name)?;
        Some(Family {
            labels: &words(labels) | &targets,
            counter: name.ends_with("_total"),
        })
    }

    fn value(&self, name: &str, label: &str, value: &str) -> bool {
        if name == "ALERTS" && label == "alertname" {
            return self.alerts.contains(value);
        }
        // Other metrics have outcomes of their own.
        let outcomes: &[&str] = match name {
            "slotkeeper_actuator_switches_total" => &[
                "effective",
                "expired",
                "failed",
                "adopted",
                "operator_override",
            ],
            "slotkeeper_notifications_total" => &["delivered", "retried", "refused", "left_out"],
            _ => &[],
        };
        if label == "outcome" && !outcomes.is_empty() {
            return outcomes.contains(&value);
        }
        let few = VALUES.iter().find(|(l, _)| *l == label);
        few.is_none_or(|(_, values)| words(values).contains(value))
    }
}
