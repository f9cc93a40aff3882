//! The schema of `notify` and `pings`.

use serde_json::Value;

use super::shapes::{file, list, number, object, span, text, words};
use crate::config::notify::{MailSecurity, Severity};

pub(super) fn notify() -> Value {
    object(
        &["name"],
        vec![
            ("name", text("Receiver name: label `receiver`")),
            (
                "pagerduty",
                object(
                    &["routing_key_file"],
                    vec![
                        ("routing_key_file", file("File with the routing key")),
                        (
                            "url",
                            text(
                                "Where events are taken (default the main region's; EU: https://events.eu.pagerduty.com/v2/enqueue)",
                            ),
                        ),
                    ],
                    "PagerDuty Events v2",
                ),
            ),
            (
                "slack",
                object(
                    &["url_file"],
                    vec![("url_file", file("File with the webhook URL"))],
                    "Slack",
                ),
            ),
            (
                "webhook",
                object(
                    &["url_file"],
                    vec![
                        ("url_file", file("File with the URL")),
                        ("token_file", file("File with a bearer token")),
                    ],
                    "JSON to any address",
                ),
            ),
            ("mail", mail()),
            (
                "twilio",
                object(
                    &["account_sid", "token_file", "from", "to"],
                    vec![
                        ("account_sid", text("Account SID (AC…)")),
                        ("token_file", file("File with the auth token")),
                        (
                            "from",
                            text("Number or sender it comes from, quoted: \"+15005550006\""),
                        ),
                        (
                            "to",
                            text("Number it goes to, quoted; one entry for each person"),
                        ),
                        ("url", text("Base URL of the API (default Twilio's)")),
                    ],
                    "A text message by Twilio",
                ),
            ),
            (
                "min_severity",
                words::<Severity>(
                    "What is less bad is not sent (default info; warning for pagerduty, critical for twilio)",
                ),
            ),
            (
                "reminder",
                span("How often what still stands is repeated (default 1h)"),
            ),
            (
                "rate_limit",
                object(
                    &[],
                    vec![
                        (
                            "messages",
                            number("At most this many messages (default 20) …", 1),
                        ),
                        ("per", span("… in this time (default 10m)")),
                    ],
                    "Limit of messages; what is left out is counted and summed up in the next one",
                ),
            ),
        ],
        "One receiver: exactly one way to reach it",
    )
}

fn mail() -> Value {
    object(
        &["server", "from", "to"],
        vec![
            ("server", text("Host of the mail server")),
            (
                "port",
                number("Its port (default 587, 465 with tls, 25 with plain)", 1),
            ),
            (
                "security",
                words::<MailSecurity>(
                    "How the way to it is protected (default starttls; plain on this machine only)",
                ),
            ),
            ("username", text("Whom to log in as")),
            ("password_file", file("File with the password")),
            (
                "ca_file",
                file("File with a CA certificate to trust beside the system's"),
            ),
            ("from", text("Sender")),
            ("to", list(text("An address"), 1, "Recipients")),
        ],
        "Mail",
    )
}

pub(super) fn ping() -> Value {
    object(
        &["name", "url_file"],
        vec![
            ("name", text("Name: label `ping`")),
            (
                "url_file",
                file("File with the URL to ask while all is well"),
            ),
            (
                "fail_url_file",
                file("File with the URL to ask while it is not"),
            ),
            ("interval", span("How often (default 1m)")),
        ],
        "One checker elsewhere",
    )
}
