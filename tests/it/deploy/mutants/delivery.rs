//! Broken scrape configs, routes, inhibitions, messages and paces.

use super::super::{profiles, routing};
use super::{Mutant, caught, mutant};

#[test]
fn in_alertmanager() {
    const FILE: &str = "deploy/alertmanager/alertmanager.yml";
    const TEMPLATES: &str = "deploy/alertmanager/templates/slotkeeper.tmpl";
    const SOURCE: &str = "alertname=\"SlotkeeperNoReadyStandby\"";
    let gone = Mutant {
        path: TEMPLATES,
        from: "",
        to: None,
        check: routing::messages,
        says: "slotkeeper",
    };
    caught(&[
        gone,
        // A wrong receiver, by name or by matcher.
        mutant(
            FILE,
            "      receiver: slotkeeper\n",
            "      receiver: slotkeepers\n",
            routing::tools,
            "slotkeepers",
        ),
        mutant(
            FILE,
            "      receiver: slotkeeper\n",
            "      receiver: chat\n",
            routing::routes,
            "chat",
        ),
        mutant(
            FILE,
            "      receiver: oncall\n",
            "      receiver: chat\n",
            routing::routes,
            "critical",
        ),
        mutant(
            FILE,
            "      continue: true\n",
            "",
            routing::routes,
            "SlotkeeperProducerFault",
        ),
        mutant(
            FILE,
            "action=~\"failover|disable|drill\"",
            "action=~\"disable|drill\"",
            routing::routes,
            "SlotkeeperProducerFault",
        ),
        mutant(
            FILE,
            "action=\"heartbeat\"",
            "action=\"beat\"",
            routing::routes,
            "SlotkeeperHeartbeat",
        ),
        mutant(
            FILE,
            "receiver: \"null\"\n    # Production",
            "receiver: chat\n    # Production",
            routing::routes,
            "drill",
        ),
        // What reaches slotkeeper.
        mutant(
            FILE,
            "max_alerts: 0",
            "max_alerts: 1",
            routing::webhooks,
            "max_alerts",
        ),
        mutant(
            FILE,
            "follow_redirects: false",
            "follow_redirects: true",
            routing::webhooks,
            "follow_redirects",
        ),
        mutant(
            FILE,
            "/api/v1/alertmanager",
            "/api/v1/alerts",
            routing::webhooks,
            "url",
        ),
        mutant(
            FILE,
            "send_resolved: false",
            "send_resolved: true",
            routing::webhooks,
            "send_resolved",
        ),
        mutant(
            FILE,
            "group_by: ['...']",
            "group_by: [alertname]",
            routing::webhooks,
            "group_by",
        ),
        mutant(
            FILE,
            "repeat_interval: 4s",
            "repeat_interval: 5s",
            profiles::limits,
            "falls out",
        ),
        mutant(
            FILE,
            "      continue: true",
            "      continue: true\n      mute_time_intervals: [maintenance]",
            routing::webhooks,
            "muted",
        ),
        // Inhibitions.
        mutant(
            FILE,
            ", 'action=\"\"'",
            "",
            routing::inhibitions,
            "can stop an alert that acts",
        ),
        mutant(
            FILE,
            SOURCE,
            "alertname=\"SlotkeeperOnStandby\"",
            routing::inhibitions,
            "can fire before",
        ),
        mutant(
            FILE,
            SOURCE,
            "alertname=\"SlotkeeperStandbyGone\"",
            routing::inhibitions,
            "there is no",
        ),
        mutant(
            FILE,
            "alertname=\"SlotkeeperMissedBlock\"",
            "alertname=\"SlotkeeperProducerFault\"",
            routing::inhibitions,
            "acts and is inhibited",
        ),
        // Messages.
        mutant(
            FILE,
            "routing_key_file: pagerduty.key",
            "routing_key: secret",
            routing::messages,
            "routing_key_file",
        ),
        mutant(
            FILE,
            "slotkeeper.silence_url",
            "slotkeeper.graph_url",
            routing::messages,
            "no silence_url",
        ),
        mutant(
            TEMPLATES,
            "api/v1/decisions",
            "decisions",
            routing::messages,
            "decisions_url",
        ),
        mutant(
            TEMPLATES,
            "urlquery $label.Value",
            "$label.Value",
            routing::messages,
            "",
        ),
    ]);
}

#[test]
fn in_a_profile() {
    const PROMETHEUS: &str = "deploy/prometheus/prometheus.yml";
    const RELAXED: &str = "deploy/alertmanager/alertmanager-relaxed.yml";
    caught(&[
        mutant(
            PROMETHEUS,
            "scrape_interval: 1s",
            "scrape_interval: 2s",
            profiles::paces,
            "scrape_interval",
        ),
        mutant(
            PROMETHEUS,
            "timeout: 1s\n      static_configs",
            "static_configs",
            profiles::paces,
            "differ",
        ),
        mutant(
            PROMETHEUS,
            "job_name: slotkeeper",
            "job_name: witness",
            profiles::paces,
            "job_name",
        ),
        mutant(
            PROMETHEUS,
            "regex: prometheus",
            "regex: replica",
            profiles::paces,
            "differ",
        ),
        mutant(
            PROMETHEUS,
            "rules/*.yml",
            "rules/act.yml",
            profiles::paces,
            "differ",
        ),
        mutant(
            RELAXED,
            "max_alerts: 0",
            "max_alerts: 1",
            profiles::paces,
            "differ",
        ),
        mutant(
            RELAXED,
            "group_interval: 1m",
            "group_interval: 2m",
            profiles::limits,
            "max_silence",
        ),
        mutant(
            "examples/relaxed.yml",
            "max_age: 3m",
            "max_age: 90s",
            profiles::limits,
            "max_age",
        ),
        mutant(
            "examples/relaxed.yml",
            "max_alert_age: 3m",
            "max_alert_age: 2m",
            profiles::limits,
            "max_alert_age",
        ),
        mutant(
            "deploy/README.md",
            "| 5 s, 4 s |",
            "| 5 s, 5 s |",
            profiles::told,
            "no row",
        ),
        mutant(
            "deploy/alertmanager/ha/alertmanager-b",
            "--cluster.peer=10.0.0.1",
            "--cluster.peer=10.0.0.3",
            profiles::pair,
            "does not meet",
        ),
        mutant(
            "deploy/alertmanager/ha/alertmanager-a",
            "--cluster.peer-timeout",
            "--cluster.timeout",
            profiles::pair,
            "no flag",
        ),
        mutant(
            "deploy/alertmanager/ha/alerting.yml",
            ", \"10.0.0.2:9093\"",
            "",
            profiles::pair,
            "names",
        ),
    ]);
}
