//! One HTTP request and what its answer means. Owns the client: no redirects (they would carry secrets elsewhere), short
//! timeouts, https beyond loopback.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, redirect};
use secrecy::ExposeSecret;

use super::{Outcome, secret};
use crate::config::outbound;
use crate::notify::TIMEOUT;

/// A client for messages.
#[derive(Debug, Clone)]
pub(in crate::notify) struct Http(Client);

const CONNECT: Duration = Duration::from_secs(5);

// === impl Http ===

impl Http {
    pub(in crate::notify) fn new() -> Result<Self, String> {
        Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            // Messages are rare: a kept connection would be dead by the next one.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("slotkeeper/", env!("CARGO_PKG_VERSION")))
            .build()
            .map(Self)
            .map_err(|e| e.without_url().to_string())
    }

    pub(in crate::notify) fn get(&self, url: Url) -> RequestBuilder {
        self.0.get(url)
    }

    pub(in crate::notify) fn post(&self, url: Url) -> RequestBuilder {
        self.0.post(url)
    }
}

/// The URL in a secret's file.
pub(in crate::notify) fn url_of(file: &Path) -> Result<Url, String> {
    outbound(secret(file)?.expose_secret()).map_err(|e| format!("{} {e}", file.display()))
}

/// Sends it and says how it went. The error never holds the URL, which may be the secret.
pub(in crate::notify) async fn send(request: RequestBuilder) -> Outcome {
    match request.send().await {
        Ok(answer) => judge(&answer),
        Err(error) => Outcome::Retry {
            why: in_words(error),
            after: None,
        },
    }
}

/// With its causes: "error sending request" alone helps nobody.
fn in_words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}

fn judge(answer: &Response) -> Outcome {
    let status = answer.status();
    if status.is_success() {
        return Outcome::Delivered;
    }
    let again = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
        );
    if again {
        let after = answer.headers().get(reqwest::header::RETRY_AFTER);
        return Outcome::Retry {
            why: format!("answered {status}"),
            after: after
                .and_then(|v| v.to_str().ok()?.trim().parse().ok())
                .map(Duration::from_secs),
        };
    }
    Outcome::Refused(if status.is_redirection() {
        format!("answered {status}, and redirects are not followed: give the final address")
    } else {
        format!("answered {status}: is the secret right, and of this receiver?")
    })
}
