//! The JSON schema of the config file, for editors (`check-config --schema`). Written by hand beside `raw`; a test
//! asks the YAML reader itself which keys it knows and compares.

mod notify;
mod reference;
mod shapes;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use crate::chain::{Method, Protocol};

use super::defaults;
use super::model::{GuardMode, WhenExhausted};
use super::raw::Reenable;
pub use reference::reference;
use shapes::{file, flag, list, number, object, span, text, words};

/// The schema (JSON Schema 2020-12).
#[must_use]
pub fn schema() -> Value {
    let mut top = object(
        &["chains"],
        vec![
            ("web", web()),
            ("control", control()),
            (
                "state_file",
                file("SQLite state file: journal, ledger, arm state (default slotkeeper.db)"),
            ),
            (
                "chains",
                list(chain(), 1, "Chains, each with its endpoints"),
            ),
            (
                "producers",
                list(
                    producer(),
                    0,
                    "Producers to watch, and to keep producing where keys and authority are given",
                ),
            ),
            ("actuator", actuator()),
            ("fault", fault()),
            ("guard", guard()),
            (
                "heartbeats",
                list(
                    heartbeat(),
                    0,
                    "Expected heartbeat sources, one per Prometheus",
                ),
            ),
            (
                "notify",
                list(
                    notify::notify(),
                    0,
                    "Direct escalation: who is told when Alertmanager cannot be relied on",
                ),
            ),
            (
                "pings",
                list(
                    notify::ping(),
                    0,
                    "Checkers elsewhere, told while all is well: they ring when it stops",
                ),
            ),
        ],
        "Configuration of slotkeeper. Relative paths count from the config file; secrets are read from files only.",
    );
    if let Some(top) = top.as_object_mut() {
        top.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        top.insert("title".to_owned(), json!("slotkeeper.yml"));
    }
    top
}

// === sections ===

fn web() -> Value {
    object(
        &[],
        vec![
            (
                "listen",
                text(&format!(
                    "host:port of the public listener (default {})",
                    defaults::WEB_LISTEN
                )),
            ),
            (
                "external_url",
                text("Where people reach the status page: the link in messages"),
            ),
            (
                "config_file",
                file("Exporter-toolkit web configuration: TLS, basic auth"),
            ),
        ],
        "Public listener: /metrics and status",
    )
}

fn control() -> Value {
    object(
        &[],
        vec![
            (
                "listen",
                text(&format!(
                    "host:port of the control listener (default {}); \"\" turns it off",
                    defaults::CONTROL_LISTEN
                )),
            ),
            ("token_file", file("File with the bearer token")),
            (
                "config_file",
                file("Exporter-toolkit web configuration: TLS, client certificates, basic auth"),
            ),
        ],
        "Control listener: webhook and operator commands",
    )
}

fn chain() -> Value {
    object(
        &["name", "protocol", "endpoints"],
        vec![
            ("name", text("Value of the label `chain`")),
            (
                "protocol",
                words::<Protocol>("Protocol; antelope is EOS/Vaulta, WAX, Telos and kin"),
            ),
            (
                "chain_id",
                json!({"type": "string", "pattern": "^[0-9a-fA-F]{64}$", "description": "Chain id, quoted; optional for a main net, always needed on antelope"}),
            ),
            (
                "address_prefix",
                json!({"type": "string", "pattern": "^[A-Z]{1,10}$", "description": "Prefix of public keys; optional for a known network, EOS on antelope"}),
            ),
            (
                "core_symbol",
                json!({"type": "string", "pattern": "^[A-Z]{1,10}$", "description": "Symbol of the core asset; optional for a known network and on antelope"}),
            ),
            (
                "block_interval",
                span("Time between slots, for devnets and BitShares (default that of the network)"),
            ),
            (
                "poll_interval",
                span("Time between polls (default a third of the block interval, at least 500ms)"),
            ),
            (
                "quorum",
                number("Providers that must agree (default a majority)", 1),
            ),
            (
                "min_participation",
                json!({"type": "number", "minimum": 0, "maximum": 1, "description": "Below this share of produced slots nothing is switched (default 0.67)"}),
            ),
            (
                "soft_timeout",
                span("After it a quorum is not kept waiting (default 1s, loopback 500ms)"),
            ),
            (
                "hard_timeout",
                span("End of a request (default 3s, loopback 1s)"),
            ),
            ("watch_all", flag("Watch every producer of the chain")),
            (
                "endpoints",
                list(
                    endpoint(),
                    1,
                    "RPC endpoints, best of three providers or more",
                ),
            ),
        ],
        "One chain",
    )
}

fn endpoint() -> Value {
    object(
        &["url"],
        vec![
            ("url", text("RPC URL: https, or http on this machine")),
            (
                "provider",
                text("Who runs it, one vote each (default the host)"),
            ),
            ("allow_insecure", flag("Allow http beyond this machine")),
            (
                "soft_timeout",
                span("After it a quorum is not kept waiting"),
            ),
            ("hard_timeout", span("End of a request")),
        ],
        "One RPC endpoint",
    )
}

fn producer() -> Value {
    object(
        &["chain", "name"],
        vec![
            ("chain", text("Name of an entry under chains")),
            ("name", text("Account name, without @")),
            (
                "keys",
                list(
                    key(),
                    0,
                    "Its signing keys in order of preference; none = watched only",
                ),
            ),
            (
                "authority",
                list(
                    authority(),
                    0,
                    "Ways to authorize a switch; the first usable for the current key wins",
                ),
            ),
            (
                "when_exhausted",
                words::<WhenExhausted>("When no standby is left (default hold)"),
            ),
            (
                "disable_when",
                object(
                    &[],
                    vec![
                        (
                            "consecutive_misses",
                            number("Misses in a row (default 10)", 1),
                        ),
                        (
                            "no_ready_standby_for",
                            span("And no ready standby for this long (default 10m)"),
                        ),
                    ],
                    "When disabling is allowed",
                ),
            ),
            (
                "reenable",
                words::<Reenable>("manual: the key that can re-enable is kept elsewhere"),
            ),
            (
                "cooldown",
                span("Rest after a switch (default 1m, at least 30s)"),
            ),
            (
                "budget",
                object(
                    &[],
                    vec![
                        (
                            "switches",
                            number("At most this many switches (default 3) …", 1),
                        ),
                        ("per", span("… per this much chain time (default 1d)")),
                    ],
                    "Limit of switches",
                ),
            ),
        ],
        "One producer",
    )
}

fn key() -> Value {
    object(
        &["signing_key"],
        vec![
            (
                "signing_key",
                text("Public signing key with the chain's prefix"),
            ),
            (
                "node",
                text("URL where the health of the node that holds it is read"),
            ),
            (
                "allow_insecure",
                flag("Allow http beyond this machine for node"),
            ),
            (
                "assume_ready",
                flag("Counts as ready without a node to ask"),
            ),
            (
                "finalizer_key",
                json!({"type": "string", "pattern": "^PUB_BLS_[0-9A-Za-z_-]{134}$", "description": "Antelope with Savanna: the host's own finalizer key, activated together with a switch to it"}),
            ),
        ],
        "One signing key and its node",
    )
}

fn authority() -> Value {
    object(
        &["method", "key_files"],
        vec![
            (
                "method",
                words::<Method>("Operation; regproducer is Antelope's"),
            ),
            (
                "key_files",
                list(
                    file("File with a private key (slotkeeper keys import)"),
                    1,
                    "Private keys",
                ),
            ),
            (
                "passphrase_file",
                file("File with their passphrase; else SLOTKEEPER_PASSPHRASE or a prompt"),
            ),
            (
                "permission",
                text("Antelope: producer@permission that signs (default active); never owner"),
            ),
        ],
        "One way to authorize a switch",
    )
}

fn actuator() -> Value {
    object(
        &[],
        vec![
            (
                "armed",
                flag("Arm state of an empty state file (default false)"),
            ),
            (
                "max_alert_age",
                span("Oldest acceptable evaluated_at (default 2m)"),
            ),
            (
                "alertmanagers",
                list(
                    object(
                        &["url"],
                        vec![
                            ("url", text("Base URL of the Alertmanager")),
                            ("token_file", file("File with a bearer token")),
                            ("ca_file", file("File with the CA certificate")),
                        ],
                        "One Alertmanager",
                    ),
                    0,
                    "Asked about silences; [] turns it off",
                ),
            ),
        ],
        "Actuator",
    )
}

fn fault() -> Value {
    object(
        &[],
        vec![
            (
                "consecutive_misses",
                number("Misses in a row that are a fault (default 2)", 1),
            ),
            (
                "consecutive_misses_node_healthy",
                number(
                    "The same while the key's node probes healthy (default 3)",
                    1,
                ),
            ),
            (
                "allowed_misses",
                number(
                    "More misses than this in the window are a fault (default 5)",
                    0,
                ),
            ),
            ("miss_window", span("The sliding window (default 1d)")),
        ],
        "What counts as a fault of a key",
    )
}

fn guard() -> Value {
    object(
        &[],
        vec![
            (
                "mode",
                words::<GuardMode>("Default: always without heartbeats, fallback with them"),
            ),
            (
                "patience",
                span("How long a fault may stand without an authenticated request (default 30s)"),
            ),
            (
                "labels",
                json!({"type": "object", "additionalProperties": {"type": "string"}, "description": "Labels of the alert that silences are matched against (default the shipped rule's)"}),
            ),
        ],
        "Local trigger for when the alert pipeline is dead",
    )
}

fn heartbeat() -> Value {
    object(
        &["source"],
        vec![
            ("source", text("Value of the label `source`")),
            (
                "max_silence",
                span("Overdue when not heard for this long (default 20s)"),
            ),
            (
                "max_age",
                span("Overdue when its evaluated_at is older (default 30s)"),
            ),
        ],
        "One expected heartbeat source",
    )
}
