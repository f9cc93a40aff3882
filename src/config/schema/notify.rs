//! The schema of `notify` and `pings`.

use serde_json::Value;

use super::shapes::{file, number, object, span, text, words};
use crate::config::notify::Severity;

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
            (
                "min_severity",
                words::<Severity>(
                    "What is less bad is not sent (default info; warning for pagerduty)",
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
