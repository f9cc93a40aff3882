//! Broken dashboards and provisioning.

use super::super::dashboards::{lint, queries, schema, whole};
use super::super::rules;
use super::{Check, Mutant, caught, mutant};

const FLEET: &str = "deploy/grafana/dashboards/fleet.json";
const PRODUCER: &str = "deploy/grafana/dashboards/producer.json";
const RPC: &str = "deploy/grafana/dashboards/rpc-chain.json";
const ACTUATOR: &str = "deploy/grafana/dashboards/actuator-liveness.json";
const LINT: &str = "deploy/grafana/dashboards/.lint";
const SOURCE: &str = "deploy/grafana/provisioning/datasources/slotkeeper.yml";
const PROVIDER: &str = "deploy/grafana/provisioning/dashboards/slotkeeper.yml";

#[test]
fn in_the_shape_of_a_dashboard() {
    let check = schema as Check;
    let gone = Mutant {
        path: RPC,
        from: "",
        to: None,
        check,
        says: "dashboards [",
    };
    caught(&[
        gone,
        // What Grafana ignores without a word: a stray field, a misspelt one.
        mutant(FLEET, "\"editable\"", "\"editible\"", check, "editible"),
        mutant(FLEET, "\"noValue\"", "\"novalue\"", check, "novalue"),
        mutant(PRODUCER, "\"legendFormat\"", "\"legend\"", check, "legend"),
        mutant(PRODUCER, "\"reduceOptions\"", "\"reduce\"", check, "reduce"),
        mutant(RPC, "\"drawStyle\"", "\"style\"", check, "style"),
        mutant(ACTUATOR, "\"titleFormat\"", "\"title\"", check, "title"),
        mutant(ACTUATOR, "\"renameByName\"", "\"rename\"", check, "rename"),
        // A missing one: `current: {}` made dashboards fail to load.
        mutant(
            FLEET,
            "\"current\": {\"selected\": false, \"text\": \"default\", \"value\": \"default\"}",
            "\"current\": {}",
            check,
            "missing field",
        ),
        // A wrong type, a wrong word.
        mutant(
            FLEET,
            "\"schemaVersion\": 39",
            "\"schemaVersion\": \"39\"",
            check,
            "invalid type",
        ),
        mutant(
            RPC,
            "\"type\": \"timeseries\"",
            "\"type\": \"graph\"",
            check,
            "graph",
        ),
        mutant(
            RPC,
            "\"drawStyle\": \"line\"",
            "\"drawStyle\": \"lines\"",
            check,
            "lines",
        ),
        mutant(
            PRODUCER,
            "\"mode\": \"absolute\"",
            "\"mode\": \"relative\"",
            check,
            "relative",
        ),
        mutant(
            PRODUCER,
            "\"calcs\": [\"lastNotNull\"]",
            "\"calcs\": [\"last\"]",
            check,
            "`last`",
        ),
        mutant(FLEET, "\"h\": 4", "\"h\": -4", check, "-4"),
        // What provisions them.
        mutant(SOURCE, "timeInterval:", "interval:", check, "interval"),
        mutant(SOURCE, "type: prometheus", "type: loki", check, "loki"),
        mutant(SOURCE, "access: proxy", "access: direct", check, "direct"),
        mutant(PROVIDER, "type: file", "type: files", check, "files"),
        mutant(
            PROVIDER,
            "    options:\n      path",
            "    path",
            check,
            "path",
        ),
        mutant(
            PROVIDER,
            "apiVersion: 1",
            "apiVersion: 2",
            check,
            "apiVersion",
        ),
    ]);
}

#[test]
fn in_what_the_linter_asks() {
    let check = lint::lint as Check;
    caught(&[
        mutant(
            FLEET,
            "\"editable\": false",
            "\"editable\": true",
            check,
            "uneditable-dashboard-rule",
        ),
        mutant(
            FLEET,
            "\"Data Source\"",
            "\"Source\"",
            check,
            "template-datasource-rule",
        ),
        mutant(
            FLEET,
            "\"query\": \"prometheus\"",
            "\"query\": \"loki\"",
            check,
            "template-datasource-rule",
        ),
        mutant(
            FLEET,
            "\"label\": \"Job\"",
            "\"label\": \"job\"",
            check,
            "template-job-rule",
        ),
        mutant(
            FLEET,
            "\"name\": \"instance\"",
            "\"name\": \"host\"",
            check,
            "template-instance-rule",
        ),
        mutant(
            FLEET,
            "\"allValue\": \".+\"",
            "\"allValue\": \".*\"",
            check,
            "template-instance-rule",
        ),
        mutant(
            RPC,
            "\"refresh\": 2",
            "\"refresh\": 1",
            check,
            "template-on-time-change-reload-rule",
        ),
        mutant(
            RPC,
            "label_values(slotkeeper_build_info, job)",
            "label_values(job)",
            check,
            "template-label-promql-rule",
        ),
        mutant(
            PRODUCER,
            "\"uid\": \"${datasource}\"",
            "\"uid\": \"slotkeeper-prometheus\"",
            check,
            "panel-datasource-rule",
        ),
        mutant(
            PRODUCER,
            "\"title\": \"Last switch\"",
            "\"title\": \"\"",
            check,
            "panel-title-description-rule",
        ),
        mutant(
            PRODUCER,
            "\"unit\": \"dateTimeFromNow\"",
            "\"unit\": \"fromNow\"",
            check,
            "panel-units-rule",
        ),
        mutant(
            ACTUATOR,
            "[$__range]))",
            "[$__range])",
            check,
            "target-promql-rule",
        ),
        mutant(
            RPC,
            "[$__rate_interval]",
            "[1m]",
            check,
            "target-rate-interval-rule",
        ),
        mutant(RPC, "job=~\\\"$job\\\", ", "", check, "target-job-rule"),
        mutant(
            PRODUCER,
            ", instance=~\\\"$instance\\\"",
            "",
            check,
            "target-instance-rule",
        ),
        mutant(
            FLEET,
            "increase(slotkeeper_producer_missed_blocks_total",
            "max_over_time(slotkeeper_producer_missed_blocks_total",
            check,
            "target-counter-agg-rule",
        ),
        // An exception that nobody needs, one without a reason, one too few.
        mutant(
            LINT,
            "panel: Decisions",
            "panel: Switches",
            check,
            "left over",
        ),
        mutant(
            LINT,
            "reason: As under target-job-rule, instances of other programs",
            "reason: \"\"",
            check,
            "without a reason",
        ),
        mutant(
            LINT,
            "      - {dashboard: slotkeeper / Fleet, panel: Alerts firing}\n",
            "",
            check,
            "Alerts firing",
        ),
    ]);
}

#[test]
fn in_a_query() {
    let check = queries::expressions as Check;
    caught(&[
        // A renamed metric, in each file.
        mutant(
            FLEET,
            "slotkeeper_standby_ready",
            "slotkeeper_ready",
            check,
            "no metric slotkeeper_ready",
        ),
        mutant(
            PRODUCER,
            "slotkeeper_node_up",
            "slotkeeper_up",
            check,
            "no metric slotkeeper_up",
        ),
        mutant(
            RPC,
            "slotkeeper_rpc_secure",
            "slotkeeper_rpc_tls",
            check,
            "no metric slotkeeper_rpc_tls",
        ),
        mutant(
            ACTUATOR,
            "slotkeeper_journal_writable",
            "slotkeeper_journal_ok",
            check,
            "no metric",
        ),
        mutant(
            ACTUATOR,
            "prometheus_rule_evaluation_failures_total",
            "prometheus_rule_failures_total",
            check,
            "no metric",
        ),
        mutant(
            RPC,
            "slotkeeper_build_info, job",
            "slotkeeper_info, job",
            check,
            "no metric slotkeeper_info",
        ),
        mutant(
            RPC,
            "slotkeeper_actuator_last_switch_timestamp_seconds",
            "slotkeeper_last_switch_timestamp_seconds",
            check,
            "Switches",
        ),
        mutant(
            RPC,
            "slotkeeper_rpc_up",
            "slotkeeper_rpc_ok",
            rules::on_the_page as Check,
            "slotkeeper_rpc_ok",
        ),
        // A dropped, a renamed and a mistyped label, and a value that there is not.
        mutant(
            RPC,
            "histogram_quantile(0.95, sum by (chain, endpoint, le)",
            "histogram_quantile(0.95, sum by (chain, le)",
            check,
            "shows endpoint",
        ),
        mutant(
            RPC,
            "sum by (chain, outcome)",
            "sum by (chain, code)",
            check,
            "groups by code",
        ),
        mutant(
            PRODUCER,
            "scope=\\\"effective\\\"",
            "scope=\\\"efective\\\"",
            check,
            "matches nothing",
        ),
        mutant(
            PRODUCER,
            "scope=\\\"effective\\\"",
            "scop=\\\"effective\\\"",
            check,
            "no label scop",
        ),
        mutant(
            PRODUCER,
            "{{version}}",
            "{{release}}",
            check,
            "shows release",
        ),
        mutant(
            FLEET,
            "\"textFormat\": \"{{chain}} {{producer}}\"",
            "\"textFormat\": \"{{key}}\"",
            check,
            "shows key",
        ),
        mutant(
            FLEET,
            "alertname!=\\\"SlotkeeperHeartbeat\\\"",
            "alertname!=\\\"SlotkeeperHeart\\\"",
            check,
            "matches nothing",
        ),
        mutant(ACTUATOR, "source}}", "sender}}", check, "shows sender"),
        // A counter's function on the node's own count.
        mutant(
            PRODUCER,
            "increase(slotkeeper_producer_conflicting_blocks_total",
            "increase(slotkeeper_producer_reported_missed_blocks",
            check,
            "no counter",
        ),
        // Bars a second wide, and bars between which events are lost.
        mutant(RPC, "\"interval\": \"1m\",\n", "", check, "a minute wide"),
        mutant(
            FLEET,
            "[$__rate_interval]",
            "[$__interval]",
            check,
            "a minute wide",
        ),
        // What is chosen on top must count, and All must not mean every job of a whole company.
        mutant(
            RPC,
            ", chain=~\\\"$chain\\\"",
            "",
            check,
            "not limited to [\"chain\"]",
        ),
        mutant(
            FLEET,
            ", producer=~\\\"$producer\\\"",
            "",
            check,
            "not limited to [\"producer\"]",
        ),
        mutant(
            FLEET,
            "job=\\\"slotkeeper\\\", ",
            "",
            check,
            "not limited to [\"job\"]",
        ),
        mutant(
            PRODUCER,
            "(slotkeeper_producer_enabled{job=~\\\"$job\\\", instance=~\\\"$instance\\\", chain=~\\\"$chain\\\"}, producer)",
            "(slotkeeper_producer_enabled, name)",
            check,
            "no label name",
        ),
    ]);
}

#[test]
fn in_a_table_or_a_unit() {
    let (tables, units) = (queries::tables as Check, queries::units as Check);
    caught(&[
        mutant(
            FLEET,
            "\"Value #D\": \"Missed in 1 h\",",
            "",
            tables,
            "Value #D",
        ),
        mutant(
            FLEET,
            "\"Value #D\": \"Missed in 1 h\"",
            "\"Value #Z\": \"Missed in 1 h\"",
            tables,
            "Value #Z",
        ),
        mutant(
            PRODUCER,
            "\"Node behind\"}",
            "\"Lag\"}",
            tables,
            "no column Lag",
        ),
        mutant(
            ACTUATOR,
            "\"displayName\": \"Times\"",
            "\"displayName\": \"Count\"",
            tables,
            "Count",
        ),
        mutant(
            ACTUATOR,
            "{\"id\": \"merge\", \"options\": {}},\n",
            "",
            tables,
            "merged",
        ),
        mutant(
            RPC,
            "max by (chain, endpoint) (slotkeeper_rpc_head_lag_blocks",
            "max by (instance) (slotkeeper_rpc_head_lag_blocks",
            tables,
            "no label in common",
        ),
        mutant(
            PRODUCER,
            "\"unit\": \"dateTimeFromNow\"",
            "\"unit\": \"s\"",
            units,
            "Last switch",
        ),
        mutant(
            RPC,
            "\"unit\": \"percentunit\"",
            "\"unit\": \"short\"",
            units,
            "Participation",
        ),
        mutant(
            ACTUATOR,
            "{\"id\": \"unit\", \"value\": \"s\"}",
            "{\"id\": \"unit\", \"value\": \"none\"}",
            units,
            "Heartbeats",
        ),
        mutant(
            RPC,
            "\"unit\": \"s\"",
            "\"unit\": \"ms\"",
            units,
            "Head age",
        ),
    ]);
}

#[test]
fn in_what_holds_them_together() {
    let (together, layout) = (whole::together as Check, whole::layout as Check);
    let runbooks = whole::runbooks as Check;
    caught(&[
        mutant(
            RPC,
            "\"includeAll\": true",
            "\"includeAll\": false",
            together,
            "other variables",
        ),
        mutant(
            ACTUATOR,
            "\"keepTime\": true",
            "\"keepTime\": false",
            together,
            "other variables",
        ),
        mutant(
            PRODUCER,
            "\"step\": \"15s\"",
            "\"step\": \"5m\"",
            together,
            "marks",
        ),
        mutant(
            PRODUCER,
            "\"uid\": \"slotkeeper-producer\"",
            "\"uid\": \"producer\"",
            together,
            "no such dashboard",
        ),
        mutant(
            FLEET,
            "/d/slotkeeper-producer?",
            "/d/slotkeeper-one?",
            together,
            "no such dashboard",
        ),
        mutant(FLEET, "&${job:queryparam}", "", together, "forgets job"),
        mutant(
            FLEET,
            "\"schemaVersion\": 39",
            "\"schemaVersion\": 99",
            together,
            "schemaVersion 99",
        ),
        mutant(
            FLEET,
            "\"refresh\": \"10s\"",
            "\"refresh\": \"often\"",
            together,
            "often",
        ),
        mutant(
            FLEET,
            "\"x\": 4, \"y\": 0",
            "\"x\": 3, \"y\": 0",
            layout,
            "lies on",
        ),
        mutant(
            FLEET,
            "\"x\": 20, \"y\": 0",
            "\"x\": 22, \"y\": 0",
            layout,
            "does not fit",
        ),
        mutant(FLEET, "Normal: 0. ", "", layout, "what is normal"),
        mutant(
            FLEET,
            "\"noValue\": \"no chain\"",
            "\"noValue\": \"\"",
            layout,
            "to be empty",
        ),
        mutant(
            PRODUCER,
            "\"title\": \"Last switch\"",
            "\"title\": \"Armed\"",
            layout,
            "is taken",
        ),
        mutant(
            RPC,
            "\"refId\": \"B\"",
            "\"refId\": \"A\"",
            layout,
            "refIds",
        ),
        mutant(
            RPC,
            "runbooks/SlotkeeperLedgerBehind.md",
            "runbooks/LedgerBehind.md",
            runbooks,
            "leads to",
        ),
        mutant(
            ACTUATOR,
            "SlotkeeperTaskStalled",
            "SlotkeeperTaskStuck",
            runbooks,
            "leads to",
        ),
        mutant(
            "deploy/prometheus/rules/rpc.yml",
            "- alert: SlotkeeperEndpointStale",
            "- alert: SlotkeeperEndpointOld",
            runbooks,
            "SlotkeeperEndpointOld",
        ),
    ]);
}

#[test]
fn in_what_provisions_them() {
    let check = whole::provisioning as Check;
    caught(&[
        mutant(
            SOURCE,
            "timeInterval: 15s",
            "timeInterval: 1s",
            check,
            "timeInterval 1s",
        ),
        mutant(
            "deploy/prometheus/prometheus.yml",
            "scrape_interval: 15s",
            "scrape_interval: 30s",
            check,
            "every 30s",
        ),
        mutant(SOURCE, ":9090", ":9091", check, "9091"),
        mutant(
            SOURCE,
            "type: prometheus",
            "type: grafana",
            check,
            "Grafana",
        ),
        mutant(
            PROVIDER,
            "allowUiUpdates: false",
            "allowUiUpdates: true",
            check,
            "in the browser",
        ),
        mutant(
            PROVIDER,
            "dashboards/slotkeeper\n",
            "dashboards/other\n",
            check,
            "does not name",
        ),
    ]);
}
