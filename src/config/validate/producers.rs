//! Rules for `producers`: keys, nodes, what happens when no standby is left. Pure.

use std::collections::BTreeSet;

use crate::chain::{Method, Protocol};
use crate::keys::PublicKey;

use super::super::defaults;
use super::super::error::ConfigError;
use super::super::model::{
    ChainConfig, DisableWhen, EndpointConfig, KeyConfig, ProducerConfig, WhenExhausted,
};
use super::super::raw::{RawKey, RawProducer};
use super::super::scalars::looks_secret;
use super::super::url;
use super::{Checking, at_least, authority, chains, flag, shown, span, unique, whole};

pub(super) fn producers(
    cx: &mut Checking<'_>,
    raw: Vec<RawProducer>,
    chains: &[ChainConfig],
) -> Result<Vec<ProducerConfig>, ConfigError> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (i, one) in raw.into_iter().enumerate() {
        let at = format!("producers[{i}]");
        let Some(chain) = chains.iter().find(|c| c.spec.name == one.chain.0) else {
            let known: Vec<&str> = chains.iter().map(|c| c.spec.name.as_str()).collect();
            return Err(ConfigError::rule(
                format!("{at}.chain"),
                format!(
                    "no entry under chains has this name; known are {}",
                    known.join(", ")
                ),
            ));
        };
        account(&format!("{at}.name"), &one.name.0, chain.spec.protocol)?;
        let full = format!("{}/{}", chain.spec.name, one.name.0);
        unique(&mut seen, format!("{at}.name"), &full, "the producer")?;
        out.push(producer(cx, &at, &full, one, chain)?);
    }
    Ok(out)
}

/// Account names of the Graphene family: 3 to 16 of a-z, 0-9, `-` and `.`, beginning with a letter; on BitShares up to 63
/// and never an object id. Antelope's: see [`authority::name`].
fn account(field: &str, name: &str, protocol: Protocol) -> Result<(), ConfigError> {
    if protocol == Protocol::Antelope {
        return authority::name(field, name, "an account name");
    }
    let longest = if protocol == Protocol::BitShares {
        63
    } else {
        16
    };
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    if (3..=longest).contains(&name.len())
        && name.bytes().all(fits)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
    {
        return Ok(());
    }
    Err(ConfigError::rule(
        field,
        format!(
            "is no account name: 3 to {longest} of a-z, 0-9, `-` and `.`, beginning with a letter (without `@`)"
        ),
    ))
}

fn producer(
    cx: &mut Checking<'_>,
    at: &str,
    full: &str,
    raw: RawProducer,
    chain: &ChainConfig,
) -> Result<ProducerConfig, ConfigError> {
    let keys = keys(cx, at, full, raw.keys.unwrap_or_default(), chain)?;
    let authority = authority::authority(
        cx,
        at,
        &raw.name.0,
        raw.authority.unwrap_or_default(),
        chain,
    )?;
    if keys.is_empty() && !authority.is_empty() {
        return Err(ConfigError::rule(
            format!("{at}.authority"),
            "has nothing to switch to: list the producer's keys, or remove authority to only watch it",
        ));
    }
    let when_exhausted = raw.when_exhausted.map_or(WhenExhausted::Hold, |w| w.0);
    let reenable_manual = raw.reenable.is_some();
    let can_reenable = authority
        .iter()
        .any(|a| a.method != Method::WitnessSetProperties);
    if when_exhausted == WhenExhausted::Disable && keys.is_empty() {
        return Err(ConfigError::rule(
            format!("{at}.when_exhausted"),
            "disable needs the producer's keys; without them it is only watched",
        ));
    }
    if when_exhausted == WhenExhausted::Disable && chain.spec.protocol == Protocol::BitShares {
        return Err(ConfigError::rule(
            format!("{at}.when_exhausted"),
            "disable does nothing for the network here: BitShares schedules by votes, so a witness with the null key stays scheduled and misses; only its voters can take it out: use hold",
        ));
    }
    if when_exhausted == WhenExhausted::Disable && !can_reenable && !reenable_manual {
        return Err(ConfigError::rule(
            format!("{at}.when_exhausted"),
            "disable cannot be undone from here: a signing key cannot replace the null key; add {method: witness_update, key_files: […]} to authority, or say `reenable: manual` if you keep the active key elsewhere",
        ));
    }
    if !keys.is_empty() && authority.is_empty() {
        cx.warn(format!(
            "{full} has keys but no authority: its nodes are watched, nothing can be switched"
        ));
    }
    if keys.len() == 1 && when_exhausted == WhenExhausted::Hold && !authority.is_empty() {
        cx.warn(format!(
            "{full} has one key and when_exhausted: hold: there is nothing to switch to"
        ));
    }
    let disable_raw = raw.disable_when.unwrap_or_default();
    let disable_when = DisableWhen {
        consecutive_misses: whole(disable_raw.consecutive_misses, defaults::DISABLE_MISSES),
        no_ready_standby_for: span(
            disable_raw.no_ready_standby_for,
            defaults::DISABLE_NO_STANDBY,
        ),
    };
    if disable_when.consecutive_misses == 0 {
        return Err(ConfigError::rule(
            format!("{at}.disable_when.consecutive_misses"),
            "0 would disable a producer that misses nothing: at least 1",
        ));
    }
    let cooldown = at_least(
        format!("{at}.cooldown"),
        span(raw.cooldown, defaults::COOLDOWN),
        defaults::COOLDOWN_FLOOR,
        "a transaction lives that long, and a late one must not meet a second switch",
    )?;
    let budget = raw.budget.unwrap_or_default();
    let budget_switches = whole(budget.switches, defaults::BUDGET_SWITCHES);
    if budget_switches == 0 {
        return Err(ConfigError::rule(
            format!("{at}.budget.switches"),
            "0 would never switch: remove authority to only watch, or disarm the producer",
        ));
    }
    let budget_per = span(budget.per, defaults::BUDGET_PER);
    if budget_per < cooldown {
        return Err(ConfigError::rule(
            format!("{at}.budget.per"),
            format!(
                "{} is shorter than the cooldown ({}), so the budget would limit nothing",
                shown(budget_per),
                shown(cooldown)
            ),
        ));
    }
    Ok(ProducerConfig {
        chain: chain.spec.name.clone(),
        name: raw.name.0,
        keys,
        authority,
        when_exhausted,
        disable_when,
        reenable_manual,
        cooldown,
        budget_switches,
        budget_per,
    })
}

fn keys(
    cx: &mut Checking<'_>,
    at: &str,
    full: &str,
    raw: Vec<RawKey>,
    chain: &ChainConfig,
) -> Result<Vec<KeyConfig>, ConfigError> {
    let mut out: Vec<KeyConfig> = Vec::new();
    for (i, one) in raw.into_iter().enumerate() {
        let at = format!("{at}.keys[{i}]");
        let field = format!("{at}.signing_key");
        let text = &one.signing_key.0;
        if looks_secret(text) {
            return Err(ConfigError::rule(
                field,
                format!(
                    "this looks like a private key (not shown here); the public key is needed, it begins with {}. Treat the private key as exposed if this file was shared",
                    chain.spec.address_prefix
                ),
            ));
        }
        let signing_key = PublicKey::parse(text, &chain.spec.address_prefix)
            .map_err(|e| ConfigError::rule(field.clone(), e.to_string()))?;
        if signing_key.is_null() {
            return Err(ConfigError::rule(
                field,
                "is the null key, which means \"stop producing\": remove it; disabling is when_exhausted: disable",
            ));
        }
        if !signing_key.is_point() {
            return Err(ConfigError::rule(
                field,
                "is no point of the curve, so no private key can belong to it; copy the key again",
            ));
        }
        let finalizer_key = one
            .finalizer_key
            .map(|text| authority::finalizer_key(&at, text.0, chain.spec.protocol, &out))
            .transpose()?;
        if let Some(first) = out.iter().position(|k| k.signing_key == signing_key) {
            return Err(ConfigError::rule(
                field,
                format!("is keys[{first}] already: each node needs its own key"),
            ));
        }
        let node = match one.node {
            None => None,
            Some(node) => Some(node_url(&at, &node.0, flag(one.allow_insecure), chain)?),
        };
        let assume_ready = flag(one.assume_ready);
        if node.is_none() && !assume_ready {
            cx.warn(format!(
                "{full} keys[{i}] has neither node nor assume_ready: it never counts as ready, so nothing ever switches to it"
            ));
        }
        let same_node = |k: &KeyConfig| match (&k.node, &node) {
            (Some(a), Some(b)) => a.label == b.label,
            _ => false,
        };
        if let Some(first) = out.iter().position(same_node) {
            cx.warn(format!(
                "{full} keys[{i}] is on the same node as keys[{first}]: when it dies, both are gone"
            ));
        }
        out.push(KeyConfig {
            signing_key,
            node,
            assume_ready,
            finalizer_key,
        });
    }
    let with = out.iter().filter(|k| k.finalizer_key.is_some()).count();
    if with > 0 && with < out.len() {
        return Err(ConfigError::rule(
            format!("{at}.keys"),
            "some keys have a finalizer_key and some have none: a switch to one without would leave the finalizer key of the old host active; give every key its own, or none",
        ));
    }
    Ok(out)
}

/// A node is asked like an endpoint; one that is an endpoint too keeps that endpoint's settings.
fn node_url(
    at: &str,
    text: &str,
    allow_insecure: bool,
    chain: &ChainConfig,
) -> Result<EndpointConfig, ConfigError> {
    let label = url::check_node(text, chain.spec.protocol)
        .map(|c| c.label)
        .ok();
    if let Some(same) = chain
        .endpoints
        .iter()
        .find(|e| Some(&e.label) == label.as_ref())
    {
        return Ok(same.clone());
    }
    chains::one_url(at, "node", text, allow_insecure, chain.spec.protocol)
}
