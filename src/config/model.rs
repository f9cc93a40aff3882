//! The validated configuration: every default applied, every reference resolved, every rule checked. Built only by
//! [`super::load`]; nothing else constructs it outside tests.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::notify::{NotifyConfig, PingConfig};
use crate::chain::{ChainSpec, Method};
use crate::keys::PublicKey;

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Public listener: `/metrics`, status.
    pub web: Listener,
    /// Control listener: webhook and operator commands. `None` when the section says `listen: ""`.
    pub control: ControlListener,
    /// SQLite state file (journal, ledger, arm state).
    pub state_file: PathBuf,
    /// Chains, in configured order; names are unique.
    pub chains: Vec<ChainConfig>,
    /// Producers, in configured order; (chain, name) is unique.
    pub producers: Vec<ProducerConfig>,
    /// Actuator settings.
    pub actuator: ActuatorConfig,
    /// What counts as a fault of a key.
    pub fault: FaultConfig,
    /// Local trigger.
    pub guard: GuardConfig,
    /// Expected heartbeat sources.
    pub heartbeats: Vec<HeartbeatConfig>,
    /// Who is told directly when Alertmanager cannot be relied on; names are unique.
    pub notify: Vec<NotifyConfig>,
    /// Checkers elsewhere that are told that all is well.
    pub pings: Vec<PingConfig>,
    /// Things worth saying that are no errors (no Alertmanager configured …).
    pub warnings: Vec<String>,
}

/// A public HTTP listener.
#[derive(Debug, Clone)]
pub struct Listener {
    /// `host:port`.
    pub listen: String,
    /// Exporter-toolkit web configuration (TLS, basic auth).
    pub config_file: Option<PathBuf>,
    /// Where people reach the status page: the link in messages.
    pub external_url: Option<String>,
}

/// The control listener.
#[derive(Debug, Clone)]
pub struct ControlListener {
    /// `host:port`.
    pub listen: String,
    /// File with the bearer token.
    pub token_file: Option<PathBuf>,
    /// Exporter-toolkit web configuration (TLS, client certificates, basic auth).
    pub config_file: Option<PathBuf>,
}

/// One chain and its endpoints.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// Resolved constants.
    pub spec: ChainSpec,
    /// Time between ticks; default a third of the block interval, at least 500 ms (devnets below 1.5 s: a third).
    pub poll_interval: Duration,
    /// Providers that must agree.
    pub quorum: usize,
    /// True when the quorum was written down: needed to arm with one or two providers.
    pub quorum_explicit: bool,
    /// Below this share of produced slots nothing is switched.
    pub min_participation: f64,
    /// Endpoints, in configured order.
    pub endpoints: Vec<EndpointConfig>,
    /// Watch every producer of the chain.
    pub watch_all: bool,
}

/// One RPC URL. Its `Debug` form shows the label only.
#[derive(Clone)]
pub struct EndpointConfig {
    /// The URL, with credentials if any: never printed.
    pub url: String,
    /// The URL without credentials, query and fragment: label and log form.
    pub label: String,
    /// One vote per provider.
    pub provider: String,
    /// `http://` beyond loopback was explicitly allowed.
    pub allow_insecure: bool,
    /// Soft limit: after it a quorum is not kept waiting.
    pub soft_timeout: Duration,
    /// Hard limit of a request.
    pub hard_timeout: Duration,
}

/// One producer: watched only (no `keys`) or kept producing.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// Name of its chain.
    pub chain: String,
    /// Account name.
    pub name: String,
    /// Its keys in order of preference; empty = watched only.
    pub keys: Vec<KeyConfig>,
    /// Ways to authorize a switch, in order.
    pub authority: Vec<AuthorityConfig>,
    /// What happens when no standby is left.
    pub when_exhausted: WhenExhausted,
    /// When `WhenExhausted::Disable` may disable.
    pub disable_when: DisableWhen,
    /// `reenable: manual`: the operator knows that re-enabling needs a key that is not here.
    pub reenable_manual: bool,
    /// Rest after a switch; at least the transaction expiry (30 s).
    pub cooldown: Duration,
    /// At most this many switches …
    pub budget_switches: u32,
    /// … per this much chain time.
    pub budget_per: Duration,
}

/// One signing key of a producer and the node that holds it.
#[derive(Debug, Clone)]
pub struct KeyConfig {
    /// The key.
    pub signing_key: PublicKey,
    /// Where the health of the node that holds it is read.
    pub node: Option<EndpointConfig>,
    /// Counts as ready without a node to ask.
    pub assume_ready: bool,
    /// Savanna: the finalizer key of the same host (`PUB_BLS_…`), activated together with a switch to it.
    pub finalizer_key: Option<String>,
}

/// One way to authorize a switch.
#[derive(Debug, Clone)]
pub struct AuthorityConfig {
    /// Operation and kind of key.
    pub method: Method,
    /// Files with the secret keys.
    pub key_files: Vec<PathBuf>,
    /// File with their passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// Antelope: the permission of the producer's account that signs, without the actor (`failover`); `None` = `active`.
    pub permission: Option<String>,
}

/// What happens when no standby is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenExhausted {
    /// Keep the key, keep ringing.
    Hold,
    /// Register the null key once [`DisableWhen`] holds.
    Disable,
}

/// Condition of disabling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisableWhen {
    /// Consecutive misses (default 10).
    pub consecutive_misses: u32,
    /// And no ready standby for this long (default 10 minutes).
    pub no_ready_standby_for: Duration,
}

/// Actuator settings.
#[derive(Debug, Clone)]
pub struct ActuatorConfig {
    /// Seeds an empty state file only.
    pub armed: bool,
    /// Oldest acceptable `evaluated_at`.
    pub max_alert_age: Duration,
    /// Alertmanagers asked about silences.
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

/// One Alertmanager.
#[derive(Debug, Clone)]
pub struct AlertmanagerConfig {
    /// Base URL.
    pub url: String,
    /// Bearer token file.
    pub token_file: Option<PathBuf>,
    /// CA certificate file.
    pub ca_file: Option<PathBuf>,
}

/// The fault definition (design: Fault).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultConfig {
    /// Consecutive misses that are a fault (2).
    pub consecutive_misses: u32,
    /// The same while the key's own node probes healthy (3).
    pub consecutive_misses_node_healthy: u32,
    /// More misses than this in the window are a fault (5).
    pub allowed_misses: u32,
    /// The sliding window (1 day).
    pub miss_window: Duration,
}

/// When the local guard acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardMode {
    /// Never.
    Off,
    /// When the alert pipeline is dead or does not deliver.
    Fallback,
    /// By itself.
    Always,
}

/// Guard settings.
#[derive(Debug, Clone)]
pub struct GuardConfig {
    /// Mode; omitted with no heartbeats = always.
    pub mode: GuardMode,
    /// How long a fault may stand without an authenticated request (30 s).
    pub patience: Duration,
    /// Labels of the shipped alert that silences are matched against, besides chain, producer, signing_key and action.
    pub labels: Vec<(String, String)>,
}

/// One expected heartbeat source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatConfig {
    /// Value of the label `source`.
    pub source: String,
    /// Overdue when not heard for this long.
    pub max_silence: Duration,
    /// Overdue when its `evaluated_at` is older than this.
    pub max_age: Duration,
}

// === impl Config ===

impl Config {
    /// The chain called `name`.
    #[must_use]
    pub fn chain(&self, name: &str) -> Option<&ChainConfig> {
        self.chains.iter().find(|c| c.spec.name == name)
    }

    /// The producer `chain`/`name`.
    #[must_use]
    pub fn producer(&self, chain: &str, name: &str) -> Option<&ProducerConfig> {
        self.producers
            .iter()
            .find(|p| p.chain == chain && p.name == name)
    }
}

// === impl AuthorityConfig ===

impl AuthorityConfig {
    /// The authority to ask the chain about, as in [`crate::chain::Memory::authorities`]: `alice`, or `alice@failover`.
    #[must_use]
    pub fn of(&self, producer: &str) -> String {
        match &self.permission {
            None => producer.to_owned(),
            Some(permission) => format!("{producer}@{permission}"),
        }
    }
}

// === impl EndpointConfig ===

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold credentials.
        f.debug_struct("EndpointConfig")
            .field("label", &self.label)
            .field("provider", &self.provider)
            .field("allow_insecure", &self.allow_insecure)
            .field("soft_timeout", &self.soft_timeout)
            .field("hard_timeout", &self.hard_timeout)
            .finish_non_exhaustive()
    }
}

// === impl ProducerConfig ===

impl ProducerConfig {
    /// The authorities whose keys must be known to switch it (see [`crate::chain::Memory::authorities`]): each once.
    #[must_use]
    pub fn authorities(&self) -> Vec<String> {
        let mut all: Vec<String> = self.authority.iter().map(|a| a.of(&self.name)).collect();
        if all.is_empty() {
            all.push(self.name.clone());
        }
        all.sort();
        all.dedup();
        all
    }

    /// Whether `key` is one of the configured keys.
    #[must_use]
    pub fn lists(&self, key: &PublicKey) -> bool {
        self.keys.iter().any(|k| k.signing_key == *key)
    }
}
