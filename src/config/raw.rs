//! The config file as it is written: the shapes of the YAML, nothing resolved, nothing checked beyond types. Unknown
//! keys are errors everywhere. `schema` mirrors these shapes and a test holds them together.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::chain::{Method, Protocol};

use super::model::{GuardMode, WhenExhausted};
pub(super) use super::raw_notify::*;
use super::scalars::{Choice, FileName, Flag, Hex32, Share, Span, Text, Whole, Words};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `chains` in it")]
pub(super) struct RawConfig {
    pub(super) web: Option<RawWeb>,
    pub(super) control: Option<RawControl>,
    pub(super) state_file: Option<FileName>,
    pub(super) chains: Vec<RawChain>,
    pub(super) producers: Option<Vec<RawProducer>>,
    pub(super) actuator: Option<RawActuator>,
    pub(super) fault: Option<RawFault>,
    pub(super) guard: Option<RawGuard>,
    pub(super) heartbeats: Option<Vec<RawHeartbeat>>,
    pub(super) notify: Option<Vec<RawNotify>>,
    pub(super) pings: Option<Vec<RawPing>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {listen: \"127.0.0.1:10061\"}"
)]
pub(super) struct RawWeb {
    pub(super) listen: Option<Text>,
    pub(super) external_url: Option<Text>,
    pub(super) config_file: Option<FileName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {listen: \"127.0.0.1:10062\", token_file: control.token}"
)]
pub(super) struct RawControl {
    pub(super) listen: Option<Text>,
    pub(super) token_file: Option<FileName>,
    pub(super) config_file: Option<FileName>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {name: hive, protocol: hive, endpoints: […]}"
)]
pub(super) struct RawChain {
    pub(super) name: Text,
    pub(super) protocol: Choice<Protocol>,
    pub(super) chain_id: Option<Hex32>,
    pub(super) address_prefix: Option<Text>,
    pub(super) core_symbol: Option<Text>,
    pub(super) block_interval: Option<Span>,
    pub(super) poll_interval: Option<Span>,
    pub(super) quorum: Option<Whole>,
    pub(super) min_participation: Option<Share>,
    pub(super) soft_timeout: Option<Span>,
    pub(super) hard_timeout: Option<Span>,
    pub(super) watch_all: Option<Flag>,
    pub(super) endpoints: Vec<RawEndpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {url: \"https://api.example.org\"}"
)]
pub(super) struct RawEndpoint {
    pub(super) url: Text,
    pub(super) provider: Option<Text>,
    pub(super) allow_insecure: Option<Flag>,
    pub(super) soft_timeout: Option<Span>,
    pub(super) hard_timeout: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {chain: hive, name: alice, keys: […]}"
)]
pub(super) struct RawProducer {
    pub(super) chain: Text,
    pub(super) name: Text,
    pub(super) keys: Option<Vec<RawKey>>,
    pub(super) authority: Option<Vec<RawAuthority>>,
    pub(super) when_exhausted: Option<Choice<WhenExhausted>>,
    pub(super) disable_when: Option<RawDisableWhen>,
    pub(super) reenable: Option<Choice<Reenable>>,
    pub(super) cooldown: Option<Span>,
    pub(super) budget: Option<RawBudget>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {signing_key: \"STM…\", node: \"https://node-a.example.org\"}"
)]
pub(super) struct RawKey {
    pub(super) signing_key: Text,
    pub(super) node: Option<Text>,
    pub(super) allow_insecure: Option<Flag>,
    pub(super) assume_ready: Option<Flag>,
    pub(super) finalizer_key: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {method: witness_update, key_files: [alice-active.pem]}"
)]
pub(super) struct RawAuthority {
    pub(super) method: Choice<Method>,
    pub(super) key_files: Vec<FileName>,
    pub(super) passphrase_file: Option<FileName>,
    pub(super) permission: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {consecutive_misses: 10, no_ready_standby_for: 10m}"
)]
pub(super) struct RawDisableWhen {
    pub(super) consecutive_misses: Option<Whole>,
    pub(super) no_ready_standby_for: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {switches: 3, per: 1d}"
)]
pub(super) struct RawBudget {
    pub(super) switches: Option<Whole>,
    pub(super) per: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {armed: false, max_alert_age: 2m}"
)]
pub(super) struct RawActuator {
    pub(super) armed: Option<Flag>,
    pub(super) max_alert_age: Option<Span>,
    pub(super) alertmanagers: Option<Vec<RawAlertmanager>>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {url: \"http://127.0.0.1:9093\"}"
)]
pub(super) struct RawAlertmanager {
    pub(super) url: Text,
    pub(super) token_file: Option<FileName>,
    pub(super) ca_file: Option<FileName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {consecutive_misses: 2, allowed_misses: 5, miss_window: 1d}"
)]
pub(super) struct RawFault {
    pub(super) consecutive_misses: Option<Whole>,
    pub(super) consecutive_misses_node_healthy: Option<Whole>,
    pub(super) allowed_misses: Option<Whole>,
    pub(super) miss_window: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {mode: fallback, patience: 30s}"
)]
pub(super) struct RawGuard {
    pub(super) mode: Option<Choice<GuardMode>>,
    pub(super) patience: Option<Span>,
    pub(super) labels: Option<BTreeMap<String, Text>>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {source: prometheus-a, max_silence: 20s, max_age: 30s}"
)]
pub(super) struct RawHeartbeat {
    pub(super) source: Text,
    pub(super) max_silence: Option<Span>,
    pub(super) max_age: Option<Span>,
}

/// How a disabled producer comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reenable {
    /// By a person, with a key that is not here.
    Manual,
}

// === impl Words ===

impl Words for Protocol {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("steem", Self::Steem),
        ("hive", Self::Hive),
        ("blurt", Self::Blurt),
        ("golos", Self::Golos),
        ("bitshares", Self::BitShares),
        ("antelope", Self::Antelope),
    ];
}

impl Words for Method {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("witness_set_properties", Self::WitnessSetProperties),
        ("witness_update", Self::WitnessUpdate),
        ("regproducer", Self::Regproducer),
    ];
}

impl Words for WhenExhausted {
    const WORDS: &'static [(&'static str, Self)] =
        &[("hold", Self::Hold), ("disable", Self::Disable)];
}

impl Words for GuardMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("fallback", Self::Fallback),
        ("always", Self::Always),
    ];
}

impl Words for Reenable {
    const WORDS: &'static [(&'static str, Self)] = &[("manual", Self::Manual)];
}
