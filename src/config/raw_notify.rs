//! `notify` and `pings` as they are written.

use serde::Deserialize;

use super::notify::{MailSecurity, Severity};
use super::scalars::{Choice, FileName, Span, Text, Whole, Words};

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {name: oncall, pagerduty: {routing_key_file: pd.key}}"
)]
pub(super) struct RawNotify {
    pub(super) name: Text,
    pub(super) pagerduty: Option<RawPagerduty>,
    pub(super) slack: Option<RawSlack>,
    pub(super) webhook: Option<RawHook>,
    pub(super) mail: Option<RawMail>,
    pub(super) twilio: Option<RawTwilio>,
    pub(super) min_severity: Option<Choice<Severity>>,
    pub(super) reminder: Option<Span>,
    pub(super) rate_limit: Option<RawRate>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {routing_key_file: pd.key}"
)]
pub(super) struct RawPagerduty {
    pub(super) routing_key_file: FileName,
    pub(super) url: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {url_file: slack.url}"
)]
pub(super) struct RawSlack {
    pub(super) url_file: FileName,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {url_file: hook.url}"
)]
pub(super) struct RawHook {
    pub(super) url_file: FileName,
    pub(super) token_file: Option<FileName>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {server: smtp.example.org, from: slotkeeper@example.org, to: [oncall@example.org]}"
)]
pub(super) struct RawMail {
    pub(super) server: Text,
    pub(super) port: Option<Whole>,
    pub(super) security: Option<Choice<MailSecurity>>,
    pub(super) username: Option<Text>,
    pub(super) password_file: Option<FileName>,
    pub(super) ca_file: Option<FileName>,
    pub(super) from: Text,
    pub(super) to: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {account_sid: AC…, token_file: twilio.token, from: \"+15005550006\", to: \"+15005550001\"}"
)]
pub(super) struct RawTwilio {
    pub(super) account_sid: Text,
    pub(super) token_file: FileName,
    pub(super) from: Text,
    pub(super) to: Text,
    pub(super) url: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {messages: 20, per: 10m}"
)]
pub(super) struct RawRate {
    pub(super) messages: Option<Whole>,
    pub(super) per: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping such as {name: healthchecks, url_file: ping.url}"
)]
pub(super) struct RawPing {
    pub(super) name: Text,
    pub(super) url_file: FileName,
    pub(super) fail_url_file: Option<FileName>,
    pub(super) interval: Option<Span>,
}

impl Words for Severity {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("info", Self::Info),
        ("warning", Self::Warning),
        ("critical", Self::Critical),
    ];
}

impl Words for MailSecurity {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("starttls", Self::Starttls),
        ("tls", Self::Tls),
        ("plain", Self::Plain),
    ];
}
