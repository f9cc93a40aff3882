//! The compose file as types: only what ours uses, and nothing that is not named here.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

use super::bundle::Bundle;
use super::places::hold;

const FILE: &str = "deploy/compose/compose.yml";

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stack {
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "x-locked")]
    _locked: Value,
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) networks: BTreeMap<String, Network>,
    pub(crate) volumes: BTreeMap<String, Empty>,
    pub(crate) secrets: BTreeMap<String, SecretFile>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) image: String,
    pub(crate) build: Option<String>,
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    pub(crate) restart: String,
    pub(crate) read_only: bool,
    pub(crate) cap_drop: Vec<String>,
    pub(crate) security_opt: Vec<String>,
    #[serde(rename = "logging")]
    _logging: Value,
    #[serde(rename = "stop_grace_period")]
    _grace: Option<String>,
    pub(crate) mem_limit: Option<String>,
    pub(crate) memswap_limit: Option<String>,
    pub(crate) networks: Networks,
    #[serde(default)]
    pub(crate) ports: Vec<String>,
    #[serde(default)]
    pub(crate) volumes: Vec<String>,
    #[serde(default, rename = "tmpfs")]
    _tmpfs: Vec<String>,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) secrets: Vec<Secret>,
    pub(crate) healthcheck: Health,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Networks {
    Names(Vec<String>),
    Joined(BTreeMap<String, Joined>),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Joined {
    pub(crate) ipv4_address: Option<String>,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Network {
    #[serde(default)]
    pub(crate) internal: bool,
    pub(crate) ipam: Option<Value>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretFile {
    pub(crate) file: String,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum Secret {
    Name(String),
    At { source: String, target: String },
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    pub(crate) test: Vec<String>,
    #[serde(rename = "interval")]
    _interval: String,
    #[serde(rename = "timeout")]
    _timeout: String,
    #[serde(rename = "start_period")]
    _start: Option<String>,
}

impl Secret {
    /// What it is called under `secrets`.
    fn name(&self) -> &str {
        match self {
            Secret::Name(name) => name,
            Secret::At { source, .. } => source,
        }
    }
}

impl Service {
    pub(crate) fn networks(&self) -> BTreeSet<&str> {
        match &self.networks {
            Networks::Names(names) => names.iter().map(String::as_str).collect(),
            Networks::Joined(map) => map.keys().map(String::as_str).collect(),
        }
    }

    /// Where each secret is, by what it is called.
    pub(crate) fn secrets(&self) -> BTreeMap<String, &str> {
        let place = |secret: &Secret| match secret {
            Secret::Name(name) => format!("/run/secrets/{name}"),
            Secret::At { target, .. } => target.clone(),
        };
        let names = self.secrets.iter();
        names.map(|s| (place(s), s.name())).collect()
    }

    /// Source and place of each volume, and whether it can only be read.
    pub(crate) fn volumes(&self) -> Result<Vec<(&str, &str, bool)>, String> {
        let parts = |text: &String| text.split(':').count();
        let odd = self.volumes.iter().find(|t| !(2..=3).contains(&parts(t)));
        hold(odd.is_none(), format!("volume {odd:?}"))?;
        Ok(self
            .volumes
            .iter()
            .filter_map(|text| {
                let (source, rest) = text.split_once(':')?;
                let (place, mode) = rest.split_once(':').unwrap_or((rest, ""));
                Some((source, place, mode == "ro"))
            })
            .collect())
    }
}

pub(crate) fn stack(bundle: &Bundle) -> Result<Stack, String> {
    let mut value = bundle.yaml(FILE)?;
    value.apply_merge().map_err(|e| format!("{FILE}: {e}"))?;
    serde_yaml::from_value(value).map_err(|e| format!("{FILE}: {e}"))
}
