//! What distinguishes one network from another: chain id, prefix, symbol, intervals. Known networks fill in what is not
//! written; any other needs nothing but configuration. Pure.

use std::time::Duration;

use crate::chain::{ChainSpec, Protocol};

use super::super::defaults;
use super::super::error::ConfigError;
use super::super::networks::{self, Network};
use super::super::raw::RawChain;
use super::{Checking, at_least, shown, span};

/// Consecutive slots of one turn: what misses are judged in.
pub(super) fn turn(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::Antelope => 12,
        _ => 1,
    }
}

pub(super) fn spec(
    cx: &mut Checking<'_>,
    at: &str,
    name: String,
    raw: &RawChain,
) -> Result<ChainSpec, ConfigError> {
    let protocol = raw.protocol.0;
    let Some(chain_id) = raw
        .chain_id
        .map(|h| h.0)
        .or_else(|| networks::main_net(protocol).map(|net| net.chain_id))
    else {
        return Err(ConfigError::rule(
            format!("{at}.chain_id"),
            format!(
                "is needed: {protocol} is spoken by many networks and none of them is the default; it is `chain_id` in what `/v1/chain/get_info` of your endpoint answers"
            ),
        ));
    };
    let known = networks::network(&chain_id);
    if let Some(net) = known
        && net.protocol != protocol
    {
        return Err(ConfigError::rule(
            format!("{at}.chain_id"),
            format!(
                "is that of {}, which speaks {}, not {protocol}",
                net.name, net.protocol
            ),
        ));
    }
    let (address_prefix, core_symbol) = constants(at, raw, known, protocol)?;
    let block_interval = interval(cx, at, raw, known, protocol)?;
    Ok(ChainSpec {
        name,
        protocol,
        chain_id,
        address_prefix,
        core_symbol,
        block_interval,
    })
}

/// Prefix and symbol: written, or those of the known network; Antelope chains all write keys alike.
fn constants(
    at: &str,
    raw: &RawChain,
    known: Option<&Network>,
    protocol: Protocol,
) -> Result<(String, String), ConfigError> {
    let constant = |name: &str,
                    given: Option<&str>,
                    known: Option<&str>,
                    default: Option<&str>,
                    example: &str|
     -> Result<String, ConfigError> {
        let field = format!("{at}.{name}");
        match (given, known) {
            (Some(text), _)
                if text.is_empty()
                    || text.len() > 10
                    || !text.bytes().all(|b| b.is_ascii_uppercase()) =>
            {
                Err(ConfigError::rule(
                    field,
                    format!("must be 1 to 10 capital letters, such as {example}"),
                ))
            }
            (Some(text), Some(known)) if text != known && raw.chain_id.is_none() => {
                Err(ConfigError::rule(
                    field,
                    format!(
                        "is {known} on the {protocol} main net; for another network give its chain_id as well"
                    ),
                ))
            }
            (Some(text), _) => Ok(text.to_owned()),
            (None, Some(known)) => Ok(known.to_owned()),
            (None, None) => default.map(ToOwned::to_owned).ok_or_else(|| {
                ConfigError::rule(
                    field,
                    format!(
                        "is needed, because chain_id is not that of the {protocol} main net (there it is {example}; test nets often differ)"
                    ),
                )
            }),
        }
    };
    let main = networks::main_net(protocol);
    let (prefix, symbol) = if protocol == Protocol::Antelope {
        (
            Some(networks::ANTELOPE_PREFIX),
            Some(networks::ANTELOPE_SYMBOL),
        )
    } else {
        (None, None)
    };
    let address_prefix = constant(
        "address_prefix",
        raw.address_prefix.as_ref().map(|t| t.0.as_str()),
        known.map(|net| net.address_prefix),
        prefix,
        main.map_or(networks::ANTELOPE_PREFIX, |net| net.address_prefix),
    )?;
    let core_symbol = constant(
        "core_symbol",
        raw.core_symbol.as_ref().map(|t| t.0.as_str()),
        known.map(|net| net.core_symbol),
        symbol,
        main.map_or(networks::ANTELOPE_SYMBOL, |net| net.core_symbol),
    )?;
    Ok((address_prefix, core_symbol))
}

fn interval(
    cx: &mut Checking<'_>,
    at: &str,
    raw: &RawChain,
    known: Option<&Network>,
    protocol: Protocol,
) -> Result<i64, ConfigError> {
    let default = known
        .or_else(|| networks::main_net(protocol))
        .map_or(networks::ANTELOPE_INTERVAL, |net| net.block_interval);
    let interval = at_least(
        format!("{at}.block_interval"),
        span(raw.block_interval, default),
        Duration::from_millis(100),
        "no supported chain is faster",
    )?;
    if interval > Duration::from_secs(60) {
        return Err(ConfigError::rule(
            format!("{at}.block_interval"),
            format!(
                "{} is longer than 1m: no supported chain is that slow",
                shown(interval)
            ),
        ));
    }
    // BitShares' interval is a parameter that its committee may change; elsewhere it is compiled into the nodes.
    if let Some(net) = known
        && interval != net.block_interval
        && protocol != Protocol::BitShares
    {
        cx.warn(format!(
            "{at}.block_interval: {} where {} has {}: slots would be counted wrongly",
            shown(interval),
            net.name,
            shown(net.block_interval)
        ));
    }
    Ok(i64::try_from(interval.as_millis()).unwrap_or(i64::MAX))
}

pub(super) fn poll_interval(
    cx: &mut Checking<'_>,
    at: &str,
    raw: &RawChain,
    spec: &ChainSpec,
) -> Result<Duration, ConfigError> {
    let interval = Duration::from_millis(u64::try_from(spec.block_interval).unwrap_or(0));
    let turns = turn(spec.protocol) > 1;
    let devnet = interval
        < if turns {
            defaults::DEVNET_BELOW_TURNS
        } else {
            defaults::DEVNET_BELOW
        };
    let floor = if devnet {
        defaults::POLL_FLOOR_DEVNET
    } else {
        defaults::POLL_FLOOR
    };
    let default = if turns && !devnet {
        defaults::POLL_TURNS
    } else {
        interval / 3
    };
    let poll = match raw.poll_interval {
        None => {
            Duration::from_millis(u64::try_from(default.as_millis()).unwrap_or(u64::MAX)).max(floor)
        }
        Some(poll) => at_least(
            format!("{at}.poll_interval"),
            poll.0,
            floor,
            "endpoints are shared machines",
        )?,
    };
    if poll > Duration::from_secs(60) {
        return Err(ConfigError::rule(
            format!("{at}.poll_interval"),
            format!(
                "{} is longer than 1m: misses would go unnoticed",
                shown(poll)
            ),
        ));
    }
    if poll < defaults::POLL_FLOOR {
        cx.warn(format!(
            "{at}.poll_interval: every {} is for devnets of your own, public endpoints will refuse it",
            shown(poll)
        ));
    }
    Ok(poll)
}
