//! Broken files must not pass: each row breaks one shipped file in one place and names the check that has to notice, and
//! what it has to say. The checks pass on the files as they are (their own tests), so what they say is about the break.

use super::bundle::Bundle;
use super::{profiles, routing, rule_tests, rules, runbooks};

type Check = fn(&Bundle) -> Result<(), String>;

/// What is broken, and who notices.
struct Mutant {
    path: &'static str,
    /// This text …
    from: &'static str,
    /// … becomes this one. Nothing at all: the file is taken away.
    to: Option<&'static str>,
    check: Check,
    says: &'static str,
}

const fn mutant(
    path: &'static str,
    from: &'static str,
    to: &'static str,
    check: Check,
    says: &'static str,
) -> Mutant {
    Mutant {
        path,
        from,
        to: Some(to),
        check,
        says,
    }
}

fn act_tests(bundle: &Bundle) -> Result<(), String> {
    rule_tests::run(bundle, "act.yml")
}

fn rpc_tests(bundle: &Bundle) -> Result<(), String> {
    rule_tests::run(bundle, "rpc.yml")
}

/// Where a break must be caught, file by file.
fn caught(mutants: &[Mutant]) {
    for mutant in mutants {
        let mut bundle = Bundle::shipped();
        match mutant.to {
            Some(to) => bundle.replace(mutant.path, mutant.from, to),
            None => bundle.remove(mutant.path),
        }
        let what = format!("{}: {:?} for {:?}", mutant.path, mutant.to, mutant.from);
        let said = (mutant.check)(&bundle).expect_err(&what);
        assert!(
            said.contains(mutant.says),
            "{what} is noticed, but as\n{said}"
        );
    }
}

const ACT: &str = "deploy/prometheus/rules/act.yml";
const PRODUCTION: &str = "deploy/prometheus/rules/production.yml";
const RPC: &str = "deploy/prometheus/rules/rpc.yml";
const MONITOR: &str = "deploy/prometheus/rules/monitor.yml";

#[test]
fn in_a_rule() {
    let renamed = rules::expressions as Check;
    caught(&[
        // A renamed metric, in each file of rules.
        mutant(
            ACT,
            "slotkeeper_producer_fault\n",
            "slotkeeper_producer_faults\n",
            renamed,
            "no metric slotkeeper_producer_faults",
        ),
        mutant(
            PRODUCTION,
            "slotkeeper_producer_enabled",
            "slotkeeper_enabled",
            renamed,
            "no metric slotkeeper_enabled",
        ),
        mutant(
            RPC,
            "slotkeeper_rpc_secure",
            "slotkeeper_rpc_tls",
            renamed,
            "no metric slotkeeper_rpc_tls",
        ),
        mutant(
            MONITOR,
            "slotkeeper_actuator_able ==",
            "slotkeeper_able ==",
            renamed,
            "no metric slotkeeper_able",
        ),
        mutant(
            "deploy/prometheus/rules/chain.yml",
            "slotkeeper_chain_participation_ratio",
            "slotkeeper_participation",
            renamed,
            "no metric",
        ),
        mutant(
            "deploy/prometheus/rules/standby.yml",
            "slotkeeper_node_up",
            "slotkeeper_up",
            renamed,
            "no metric",
        ),
        mutant(
            "deploy/prometheus/rules/stack.yml",
            "prometheus_rule_evaluation_failures_total",
            "prometheus_rule_failures_total",
            renamed,
            "no metric",
        ),
        // A dropped, a renamed and a mistyped label.
        mutant(
            ACT,
            "count by (chain, producer, signing_key)",
            "count by (chain, producer)",
            renamed,
            "shows signing_key",
        ),
        mutant(
            PRODUCTION,
            "max by (chain, producer, signing_key)",
            "max by (chain, signing_key)",
            renamed,
            "producer",
        ),
        mutant(
            RPC,
            "max by (job, instance, chain) (slotkeeper_rpc_up)",
            "max by (job, instance) (slotkeeper_rpc_up)",
            renamed,
            "shows chain",
        ),
        mutant(
            RPC,
            "{{ $labels.endpoint }}",
            "{{ $labels.url }}",
            renamed,
            "shows url",
        ),
        mutant(
            PRODUCTION,
            "role=\"foreign\"",
            "rolle=\"foreign\"",
            renamed,
            "no label rolle",
        ),
        mutant(
            PRODUCTION,
            "role=\"foreign\"",
            "role=\"alien\"",
            renamed,
            "matches nothing",
        ),
        mutant(
            MONITOR,
            "up{job=\"slotkeeper\"}",
            "up{job=\"slotkeepers\"}",
            renamed,
            "matches nothing",
        ),
        mutant(
            PRODUCTION,
            "alertname=\"SlotkeeperProducerFault\"",
            "alertname=\"SlotkeeperFault\"",
            renamed,
            "matches nothing",
        ),
        // A counter's function on the node's own count, which falls and rises again.
        mutant(
            PRODUCTION,
            "increase(slotkeeper_producer_missed_blocks_total[5m])",
            "increase(slotkeeper_producer_reported_missed_blocks[5m])",
            renamed,
            "no counter",
        ),
        mutant(
            ACT,
            "- record: slotkeeper:chain:in_trouble",
            "- record: slotkeeper:chain:trouble",
            renamed,
            "slotkeeper:chain:trouble",
        ),
        // Texts and labels for people and for the actuator.
        mutant(
            PRODUCTION,
            "severity: info",
            "severity: notice",
            rules::annotations,
            "severity",
        ),
        mutant(
            RPC,
            "          summary: \"No endpoint of {{ $labels.chain }} gives a usable answer\"\n",
            "",
            rules::annotations,
            "no summary",
        ),
        mutant(
            RPC,
            "runbooks/SlotkeeperNoQuorum.md",
            "runbooks/NoQuorum.md",
            rules::annotations,
            "runbook_url",
        ),
        mutant(
            ACT,
            "action: failover",
            "action: disable",
            rules::actions,
            "disable",
        ),
        mutant(
            ACT,
            "          action: failover\n",
            "",
            rules::actions,
            "no action",
        ),
        mutant(
            ACT,
            "          evaluated_at: '{{ query \"time()\" | first | value | printf \"%.0f\" }}'\n",
            "",
            rules::actions,
            "evaluated_at",
        ),
        mutant(
            MONITOR,
            "severity: critical",
            "severity: critical\n          action: failover",
            rules::actions,
            "evaluated_at",
        ),
        mutant(
            ACT,
            "count by (chain, producer, signing_key)",
            "count by (instance, chain, producer, signing_key)",
            rules::actions,
            "instance",
        ),
        // What promtool itself refuses.
        mutant(
            RPC,
            "for: 15s",
            "for: 15 seconds",
            rules::promtool,
            "15 seconds",
        ),
        mutant(
            MONITOR,
            "SlotkeeperExporterAbsent",
            "SlotkeeperExporterDown",
            rules::annotations,
            "twice",
        ),
    ]);
}

#[test]
fn in_a_threshold_or_a_majority() {
    caught(&[
        mutant(
            ACT,
            "slotkeeper:producer_fault:known == 1",
            "slotkeeper:producer_fault:known >= 0",
            act_tests,
            "SlotkeeperProducerFault",
        ),
        mutant(
            ACT,
            "0.5 * count",
            "0.3 * count",
            act_tests,
            "SlotkeeperProducerFault",
        ),
        mutant(
            ACT,
            "0.5 * count",
            "0.7 * count",
            act_tests,
            "SlotkeeperProducerFault",
        ),
        mutant(ACT, "[30s]", "[1s]", act_tests, "SlotkeeperProducerFault"),
        mutant(
            ACT,
            "        labels:\n          severity: critical",
            "        for: 2s\n        labels:\n          severity: critical",
            act_tests,
            "SlotkeeperProducerFault",
        ),
        mutant(RPC, "for: 15s", "for: 16s", rpc_tests, "SlotkeeperNoQuorum"),
        mutant(
            RPC,
            "slotkeeper_rpc_head_age_seconds > 60\n",
            "slotkeeper_rpc_head_age_seconds > 62\n",
            rpc_tests,
            "SlotkeeperEndpointStale",
        ),
    ]);
}

#[test]
fn in_a_runbook() {
    const PAGE: &str = "docs/runbooks/SlotkeeperNoQuorum.md";
    let gone = Mutant {
        path: PAGE,
        from: "",
        to: None,
        check: runbooks::complete,
        says: "is missing",
    };
    caught(&[
        gone,
        mutant(
            PAGE,
            "## Mitigation",
            "## Cure",
            runbooks::complete,
            "no Mitigation",
        ),
        mutant(
            PAGE,
            "# SlotkeeperNoQuorum\n",
            "# Quorum\n",
            runbooks::complete,
            "something else",
        ),
        mutant(
            PAGE,
            "critical, after 15s",
            "critical, after 1m",
            runbooks::complete,
            "does not say",
        ),
        mutant(
            PAGE,
            "slotkeeper_chain_quorum_providers",
            "slotkeeper_quorum",
            rules::on_the_page,
            "slotkeeper_quorum",
        ),
        mutant(
            "docs/runbooks/README.md",
            "[SlotkeeperNoQuorum]",
            "[NoQuorum]",
            runbooks::complete,
            "no row",
        ),
        mutant(
            "docs/runbooks/README.md",
            "(../interlocks.md)",
            "(../locks.md)",
            runbooks::links,
            "../locks.md",
        ),
        mutant(
            RPC,
            "- alert: SlotkeeperNoQuorum",
            "- alert: SlotkeeperQuorumLost",
            runbooks::complete,
            "left over",
        ),
    ]);
}

#[test]
fn in_a_rule_test() {
    const TESTS: &str = "deploy/prometheus/tests/rpc.yml";
    caught(&[
        mutant(
            TESTS,
            "alertname=\"SlotkeeperEndpointStale\",alertstate=\"firing\"",
            "alertname=\"SlotkeeperEndpointStale\"",
            rule_tests::both_ways,
            "SlotkeeperEndpointStale fires",
        ),
        mutant(
            TESTS,
            "SlotkeeperChainIdMismatch",
            "SlotkeeperNoQuorum",
            rule_tests::both_ways,
            "SlotkeeperChainIdMismatch",
        ),
    ]);
}

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
