//! Rules of `notify` and `pings`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::defaults;
use super::super::error::ConfigError;
use super::super::notify::{NotifyConfig, PingConfig, RateLimit, Severity, Via};
use super::super::raw::{RawNotify, RawPagerduty, RawPing, RawRate};
use super::super::url;
use super::{Checking, at_least, label, span, unique, whole};

pub(super) fn notify(
    cx: &Checking<'_>,
    raw: Vec<RawNotify>,
) -> Result<Vec<NotifyConfig>, ConfigError> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (i, one) in raw.into_iter().enumerate() {
        let at = format!("notify[{i}]");
        let field = |name: &str| format!("{at}.{name}");
        let name = label(field("name"), &one.name.0)?;
        unique(&mut seen, field("name"), &name, "the receiver")?;
        let mut ways = Vec::new();
        if let Some(raw) = one.pagerduty {
            ways.push(pagerduty(cx, raw, &field("pagerduty"))?);
        }
        if let Some(raw) = one.slack {
            ways.push(Via::Slack {
                url_file: cx.path(&raw.url_file),
            });
        }
        if let Some(raw) = one.webhook {
            ways.push(Via::Webhook {
                url_file: cx.path(&raw.url_file),
                token_file: cx.path_of(raw.token_file),
            });
        }
        let via = only(ways, &at)?;
        out.push(NotifyConfig {
            name,
            min_severity: one
                .min_severity
                .map_or_else(|| default_severity(&via), |s| s.0),
            via,
            reminder: at_least(
                field("reminder"),
                span(one.reminder, defaults::REMINDER),
                Duration::from_secs(60),
                "each is a message to a person",
            )?,
            rate_limit: rate_limit(one.rate_limit.unwrap_or_default(), &field("rate_limit"))?,
        });
    }
    Ok(out)
}

/// Who is called by telephone need not hear that something went well.
fn default_severity(via: &Via) -> Severity {
    match via {
        Via::Pagerduty { .. } => Severity::Warning,
        Via::Slack { .. } | Via::Webhook { .. } => Severity::Info,
    }
}

fn only(mut ways: Vec<Via>, at: &str) -> Result<Via, ConfigError> {
    match (ways.pop(), ways.pop()) {
        (Some(via), None) => Ok(via),
        (Some(second), Some(first)) => Err(ConfigError::rule(
            at,
            format!(
                "has both {} and {}: make two entries of it",
                first.as_str(),
                second.as_str()
            ),
        )),
        (None, _) => Err(ConfigError::rule(
            at,
            "names no way to reach anyone: add pagerduty: {routing_key_file: …} or slack: {url_file: …}",
        )),
    }
}

fn pagerduty(cx: &Checking<'_>, raw: RawPagerduty, at: &str) -> Result<Via, ConfigError> {
    let url = raw
        .url
        .map_or_else(|| defaults::PAGERDUTY.to_owned(), |t| t.0);
    let field = || format!("{at}.url");
    let checked = url::check(&url).map_err(|e| ConfigError::rule(field(), e))?;
    if !checked.https && !checked.loopback {
        return Err(ConfigError::rule(
            field(),
            format!(
                "{} would carry the routing key unencrypted over the network: use https",
                checked.label
            ),
        ));
    }
    if checked.credentials {
        return Err(ConfigError::rule(
            field(),
            "carries a user name or password; PagerDuty takes the routing key of routing_key_file",
        ));
    }
    Ok(Via::Pagerduty {
        routing_key_file: cx.path(&raw.routing_key_file),
        url: checked.full,
    })
}

fn rate_limit(raw: RawRate, at: &str) -> Result<RateLimit, ConfigError> {
    let messages = whole(raw.messages, defaults::NOTIFY_MESSAGES);
    if messages == 0 {
        return Err(ConfigError::rule(
            format!("{at}.messages"),
            "0 would never tell anybody anything: at least 1, or remove the receiver",
        ));
    }
    Ok(RateLimit {
        messages,
        per: at_least(
            format!("{at}.per"),
            span(raw.per, defaults::NOTIFY_PER),
            Duration::from_secs(1),
            "it is a limit for people",
        )?,
    })
}

pub(super) fn pings(cx: &Checking<'_>, raw: Vec<RawPing>) -> Result<Vec<PingConfig>, ConfigError> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (i, one) in raw.into_iter().enumerate() {
        let field = |name: &str| format!("pings[{i}].{name}");
        let name = label(field("name"), &one.name.0)?;
        unique(&mut seen, field("name"), &name, "the ping")?;
        out.push(PingConfig {
            name,
            url_file: cx.path(&one.url_file),
            fail_url_file: cx.path_of(one.fail_url_file),
            interval: at_least(
                field("interval"),
                span(one.interval, defaults::PING),
                Duration::from_secs(1),
                "somebody else answers each one",
            )?,
        });
    }
    Ok(out)
}
