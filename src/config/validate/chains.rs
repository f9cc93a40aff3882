//! Rules for `chains`: endpoints, providers, quorum. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::defaults;
use super::super::error::ConfigError;
use super::super::model::{ChainConfig, EndpointConfig};
use super::super::raw::{RawChain, RawEndpoint};
use super::super::url;
use super::{Checking, at_least, flag, label, network, shown, unique};
use crate::chain::Protocol;

/// Timeouts written down for a whole chain.
#[derive(Debug, Clone, Copy)]
struct Limits {
    soft: Option<Duration>,
    hard: Option<Duration>,
}

pub(super) fn chains(
    cx: &mut Checking<'_>,
    raw: Vec<RawChain>,
) -> Result<Vec<ChainConfig>, ConfigError> {
    if raw.is_empty() {
        return Err(ConfigError::rule(
            "chains",
            "the list is empty; add {name: hive, protocol: hive, endpoints: […]}",
        ));
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (i, one) in raw.into_iter().enumerate() {
        let at = format!("chains[{i}]");
        let name = label(format!("{at}.name"), &one.name.0)?;
        unique(&mut seen, format!("{at}.name"), &name, "the chain")?;
        out.push(chain(cx, &at, name, one)?);
    }
    Ok(out)
}

fn chain(
    cx: &mut Checking<'_>,
    at: &str,
    name: String,
    raw: RawChain,
) -> Result<ChainConfig, ConfigError> {
    let spec = network::spec(cx, at, name, &raw)?;
    let limits = Limits {
        soft: raw.soft_timeout.map(|s| s.0),
        hard: raw.hard_timeout.map(|s| s.0),
    };
    let endpoints = endpoints(at, &raw.endpoints, limits, spec.protocol)?;
    let providers = endpoints
        .iter()
        .map(|e| e.provider.as_str())
        .collect::<BTreeSet<_>>()
        .len();
    let quorum_explicit = raw.quorum.is_some();
    let quorum = match raw.quorum {
        None => providers / 2 + 1,
        Some(quorum) => usize::try_from(quorum.0).unwrap_or(usize::MAX),
    };
    if quorum == 0 {
        return Err(ConfigError::rule(
            format!("{at}.quorum"),
            "0 providers agree on nothing: at least 1",
        ));
    }
    if quorum > providers {
        return Err(ConfigError::rule(
            format!("{at}.quorum"),
            format!(
                "{quorum} can never be reached with {}: one vote each, endpoints of one provider count once; add endpoints of other providers or lower the quorum",
                counted(providers)
            ),
        ));
    }
    let interval = Duration::from_millis(u64::try_from(spec.block_interval).unwrap_or(0));
    let poll_interval = network::poll_interval(cx, at, &raw, &spec)?;
    let chain = ChainConfig {
        spec,
        poll_interval,
        quorum,
        quorum_explicit,
        min_participation: raw
            .min_participation
            .map_or(defaults::MIN_PARTICIPATION, |s| s.0),
        endpoints,
        watch_all: flag(raw.watch_all),
    };
    warn(cx, &chain, providers, interval);
    Ok(chain)
}

fn counted(providers: usize) -> String {
    if providers == 1 {
        "1 provider".to_owned()
    } else {
        format!("{providers} providers")
    }
}

fn warn(cx: &mut Checking<'_>, chain: &ChainConfig, providers: usize, interval: Duration) {
    let name = &chain.spec.name;
    if providers <= 2 && !chain.quorum_explicit {
        cx.warn(format!(
            "chain {name} has {} and no explicit quorum: it is watched, but arming needs three providers or `quorum: 1`",
            counted(providers)
        ));
    } else if chain.quorum * 2 <= providers {
        cx.warn(format!(
            "chain {name}: a quorum of {} of {providers} is no majority, so one fresh answer that contradicts it stops every switch",
            chain.quorum
        ));
    }
    if chain.min_participation < 0.5 {
        cx.warn(format!(
            "chain {name}: min_participation {} lets a switch happen while most of the network is down or on another fork",
            chain.min_participation
        ));
    }
    let seen_in = interval * network::turn(chain.spec.protocol);
    if chain.poll_interval > seen_in {
        cx.warn(format!(
            "chain {name}: polling every {} is slower than the {} ({}); misses are noticed late",
            shown(chain.poll_interval),
            if seen_in > interval {
                "producers' turns"
            } else {
                "blocks"
            },
            shown(seen_in)
        ));
    }
}

fn endpoints(
    at: &str,
    raw: &[RawEndpoint],
    limits: Limits,
    protocol: Protocol,
) -> Result<Vec<EndpointConfig>, ConfigError> {
    if raw.is_empty() {
        return Err(ConfigError::rule(
            format!("{at}.endpoints"),
            "the list is empty; add {url: \"https://api.example.org\"}, best three of different providers",
        ));
    }
    let mut labels: BTreeMap<String, usize> = BTreeMap::new();
    let mut out = Vec::new();
    let mut nameless = Vec::new();
    for (i, one) in raw.iter().enumerate() {
        let at = format!("{at}.endpoints[{i}]");
        let (checked, mut endpoint) = endpoint(
            &at,
            "url",
            &one.url.0,
            flag(one.allow_insecure),
            Limits {
                soft: one.soft_timeout.map(|s| s.0).or(limits.soft),
                hard: one.hard_timeout.map(|s| s.0).or(limits.hard),
            },
            protocol,
        )?;
        if let Some(provider) = &one.provider {
            endpoint.provider = label(format!("{at}.provider"), &provider.0)?;
        } else if checked.loopback {
            nameless.push(i);
        }
        if let Some(first) = labels.insert(endpoint.label.clone(), i) {
            return Err(ConfigError::rule(
                format!("{at}.url"),
                format!(
                    "{} is endpoints[{first}] already (what follows `?` or stands before `@` does not make it another)",
                    endpoint.label
                ),
            ));
        }
        out.push(endpoint);
    }
    let loopback = out
        .iter()
        .filter(|e| url::check_node(&e.url, protocol).is_ok_and(|c| c.loopback))
        .count();
    if loopback > 1
        && let Some(i) = nameless.first()
    {
        return Err(ConfigError::rule(
            format!("{at}.endpoints[{i}].provider"),
            "is missing: several endpoints are on this machine, and its address cannot tell who runs them; name the provider of each (one vote per provider)",
        ));
    }
    Ok(out)
}

/// Checks one URL that will be asked: an endpoint's or a node's. The provider is the host until told otherwise.
pub(super) fn one_url(
    at: &str,
    key: &str,
    text: &str,
    allow_insecure: bool,
    protocol: Protocol,
) -> Result<EndpointConfig, ConfigError> {
    let limits = Limits {
        soft: None,
        hard: None,
    };
    endpoint(at, key, text, allow_insecure, limits, protocol).map(|(_, endpoint)| endpoint)
}

fn endpoint(
    at: &str,
    key: &str,
    text: &str,
    allow_insecure: bool,
    limits: Limits,
    protocol: Protocol,
) -> Result<(url::Checked, EndpointConfig), ConfigError> {
    let checked =
        url::check_node(text, protocol).map_err(|e| ConfigError::rule(format!("{at}.{key}"), e))?;
    if !checked.https && !checked.loopback && !allow_insecure {
        let encrypted = if checked.full.starts_with("ws") {
            "wss"
        } else {
            "https"
        };
        return Err(ConfigError::rule(
            format!("{at}.{key}"),
            format!(
                "{} is not encrypted and leaves this machine: use {encrypted}, or say `allow_insecure: true` if the network between is your own",
                checked.label
            ),
        ));
    }
    let (soft_default, hard_default) = if checked.loopback {
        defaults::TIMEOUTS_LOOPBACK
    } else {
        defaults::TIMEOUTS
    };
    let soft = limits
        .soft
        .unwrap_or_else(|| soft_default.min(limits.hard.unwrap_or(soft_default)));
    let hard = limits.hard.unwrap_or_else(|| hard_default.max(soft));
    let soft = at_least(
        format!("{at}.soft_timeout"),
        soft,
        Duration::from_millis(10),
        "no answer comes that fast",
    )?;
    if hard < soft {
        return Err(ConfigError::rule(
            format!("{at}.hard_timeout"),
            format!(
                "{} is shorter than soft_timeout ({})",
                shown(hard),
                shown(soft)
            ),
        ));
    }
    if hard > defaults::TIMEOUT_MAX {
        return Err(ConfigError::rule(
            format!("{at}.hard_timeout"),
            format!(
                "{} is too long, at most {}",
                shown(hard),
                shown(defaults::TIMEOUT_MAX)
            ),
        ));
    }
    let endpoint = EndpointConfig {
        url: checked.full.clone(),
        label: checked.label.clone(),
        provider: checked.host.clone(),
        allow_insecure,
        soft_timeout: soft,
        hard_timeout: hard,
    };
    Ok((checked, endpoint))
}
