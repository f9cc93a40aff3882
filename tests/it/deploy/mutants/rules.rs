//! Broken rules, tests of rules and runbooks.

use super::super::bundle::Bundle;
use super::super::{rule_tests, rules, runbooks};
use super::{Check, Mutant, caught, mutant};

fn act_tests(bundle: &Bundle) -> Result<(), String> {
    rule_tests::run(bundle, "act.yml")
}

fn monitor_tests(bundle: &Bundle) -> Result<(), String> {
    rule_tests::run(bundle, "monitor.yml")
}

fn rpc_tests(bundle: &Bundle) -> Result<(), String> {
    rule_tests::run(bundle, "rpc.yml")
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
            MONITOR,
            "[1m]) < 0.5",
            "[1m]) < 0.01",
            monitor_tests,
            "SlotkeeperExporterDown",
        ),
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
