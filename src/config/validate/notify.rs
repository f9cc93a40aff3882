//! Rules of `notify` and `pings`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::defaults;
use super::super::error::ConfigError;
use super::super::notify::{
    MailConfig, MailSecurity, NotifyConfig, PingConfig, RateLimit, Severity, TwilioConfig, Via,
};
use super::super::raw::{RawMail, RawNotify, RawPagerduty, RawPing, RawRate, RawTwilio};
use super::super::scalars::Text;
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
        if let Some(raw) = one.mail {
            ways.push(Via::Mail(mail(cx, raw, &field("mail"))?));
        }
        if let Some(raw) = one.twilio {
            ways.push(Via::Twilio(twilio(cx, raw, &field("twilio"))?));
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
        Via::Twilio(_) => Severity::Critical,
        Via::Slack { .. } | Via::Webhook { .. } | Via::Mail(_) => Severity::Info,
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
            "names no way to reach anyone: add pagerduty: {routing_key_file: …} or slack: {url_file: …} (webhook, mail and twilio are there too)",
        )),
    }
}

fn pagerduty(cx: &Checking<'_>, raw: RawPagerduty, at: &str) -> Result<Via, ConfigError> {
    Ok(Via::Pagerduty {
        routing_key_file: cx.path(&raw.routing_key_file),
        url: service(raw.url, defaults::PAGERDUTY, "the routing key", at)?,
    })
}

/// The address of a service that is given a secret.
fn service(
    given: Option<Text>,
    default: &str,
    secret: &str,
    at: &str,
) -> Result<String, ConfigError> {
    let field = || format!("{at}.url");
    let url = given.map_or_else(|| default.to_owned(), |t| t.0);
    let checked = url::check(&url).map_err(|e| ConfigError::rule(field(), e))?;
    if !checked.https && !checked.loopback {
        return Err(ConfigError::rule(
            field(),
            format!(
                "{} would carry {secret} unencrypted over the network: use https",
                checked.label
            ),
        ));
    }
    if checked.credentials {
        return Err(ConfigError::rule(
            field(),
            format!(
                "carries a user name or password; {secret} is all that is needed, and it stands in a file"
            ),
        ));
    }
    Ok(checked.full)
}

fn mail(cx: &Checking<'_>, raw: RawMail, at: &str) -> Result<MailConfig, ConfigError> {
    let field = |name: &str| format!("{at}.{name}");
    let server = raw.server.0;
    if server.is_empty() || server.contains(['/', ':', '@', ' ']) {
        return Err(ConfigError::rule(
            field("server"),
            "must be the name of a mail server, such as smtp.example.org; its port goes into port",
        ));
    }
    let security = raw.security.map_or(MailSecurity::Starttls, |s| s.0);
    if security == MailSecurity::Plain && !url::is_loopback_host(&server) {
        return Err(ConfigError::rule(
            field("security"),
            "plain is for a mail server on this machine: use starttls or tls",
        ));
    }
    if raw.username.is_some() != raw.password_file.is_some() {
        return Err(ConfigError::rule(
            at,
            "needs username and password_file together, or neither",
        ));
    }
    let port = match raw.port.map(|w| u16::try_from(w.0)) {
        Some(Ok(port)) if port > 0 => port,
        Some(_) => {
            return Err(ConfigError::rule(
                field("port"),
                "a port is a number from 1 to 65535",
            ));
        }
        None => match security {
            MailSecurity::Starttls => 587,
            MailSecurity::Tls => 465,
            MailSecurity::Plain => 25,
        },
    };
    if raw.to.is_empty() {
        return Err(ConfigError::rule(
            field("to"),
            "names nobody: give at least one address",
        ));
    }
    let to = raw
        .to
        .into_iter()
        .enumerate()
        .map(|(i, one)| address(one, format!("{at}.to[{i}]")))
        .collect::<Result<_, _>>()?;
    Ok(MailConfig {
        server,
        port,
        security,
        username: raw.username.map(|t| t.0),
        password_file: cx.path_of(raw.password_file),
        ca_file: cx.path_of(raw.ca_file),
        from: address(raw.from, field("from"))?,
        to,
    })
}

fn address(text: Text, field: String) -> Result<String, ConfigError> {
    if text.0.parse::<lettre::message::Mailbox>().is_err() {
        return Err(ConfigError::rule(
            field,
            "must be a mail address, such as oncall@example.org or \"On call <oncall@example.org>\"",
        ));
    }
    Ok(text.0)
}

fn twilio(cx: &Checking<'_>, raw: RawTwilio, at: &str) -> Result<TwilioConfig, ConfigError> {
    let sid = raw.account_sid.0;
    // It becomes part of a URL.
    if sid.is_empty() || !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(ConfigError::rule(
            format!("{at}.account_sid"),
            "must be an account SID: AC and 32 letters and digits",
        ));
    }
    Ok(TwilioConfig {
        account_sid: sid,
        token_file: cx.path(&raw.token_file),
        from: raw.from.0,
        to: raw.to.0,
        url: service(raw.url, defaults::TWILIO, "the token", at)?,
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
