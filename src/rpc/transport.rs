//! One POST: connect, send, read the answer up to 4 MiB, follow redirects as POSTs; or one connection made a websocket.
//! Owns the HTTP clients; knows nothing of JSON.

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{
    CONNECTION, CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Certificate, Client, ClientBuilder, Response, StatusCode, Upgraded, Url};
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};

use super::failure::{self, DnsError, failure};
use super::redirect;
use super::types::{EndpointError, RpcOutcome};
use crate::clock::{Millis, now_ms};

/// Largest body that is read: an endpoint must not be able to fill our memory.
pub(super) const MAX_BODY: usize = 4 << 20;
/// How long an idle https connection is kept for the next tick.
const KEEP_IDLE: Duration = Duration::from_secs(20);

/// The HTTP clients of one endpoint. https connections are kept between reads, for a handshake costs two round trips; plain
/// ones only where the node is known to keep them: steemd and hived close after each reply without saying so.
pub(super) struct Transport {
    plain: Client,
    /// Plain connections that are kept, where they may be.
    plain_kept: Option<Client>,
    habits: Habits,
    /// Built when first needed: it loads the system's root certificates.
    secure: OnceLock<Result<Secure, String>>,
    extra_roots: Vec<Certificate>,
}

struct Secure {
    kept: Client,
    fresh: Client,
}

/// What is known of the servers of a framing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    /// Plain http connections stay open for the next request.
    pub(super) keep_plain: bool,
    /// Connections worth keeping.
    pub(super) idle: usize,
    /// Error statuses carry a body that means something.
    pub(super) error_bodies: bool,
}

/// A reply that is no redirect.
#[derive(Debug)]
pub(super) struct Received {
    /// Success; or an error, where [`Habits::error_bodies`] says that its body counts.
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// How a request may be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A question: may use a kept connection, and is asked once more when that turns out to be closed.
    Read,
    /// A broadcast: always a fresh connection, never repeated here.
    Broadcast,
}

/// What the headers and the connection told, whatever became of the body.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    /// HTTP `Date` minus the local clock.
    pub(super) clock_offset: Option<Millis>,
    /// End of the certificate's validity, Unix seconds.
    pub(super) certificate_expiry: Option<i64>,
    /// The endpoint wants to be left alone for so long.
    pub(super) retry_after: Option<Duration>,
}

/// Resolves through the system, but with an error type of ours.
struct Dns;

// === impl Transport ===

impl Transport {
    pub(super) fn new(extra_roots: Vec<Certificate>, habits: Habits) -> Result<Self, String> {
        // No certificates and no proxy: this client speaks plain http, mostly to this machine.
        let plain = |idle: usize| {
            builder()
                .pool_max_idle_per_host(idle)
                .pool_idle_timeout(KEEP_IDLE)
                .tls_certs_only(Vec::<Certificate>::new())
                .no_proxy()
                .build()
                .map_err(|e| chain_of(&e))
        };
        Ok(Self {
            plain: plain(0)?,
            plain_kept: habits.keep_plain.then(|| plain(habits.idle)).transpose()?,
            habits,
            secure: OnceLock::new(),
            extra_roots,
        })
    }

    /// Posts `body` as JSON. `facts` is filled in as far as the exchange came, also when it fails. The caller bounds
    /// the time.
    pub(super) async fn post(
        &self,
        url: &Url,
        body: &[u8],
        kind: Kind,
        facts: &mut Facts,
    ) -> Result<Received, EndpointError> {
        let mut url = url.clone();
        for _ in 0..=redirect::MAX_HOPS {
            let response = self.send(&url, body, kind).await?;
            *facts = facts_of(&response);
            let status = response.status();
            if status.is_success() {
                let body = read_body(response).await?;
                return Ok(Received { status, body });
            }
            match status.as_u16() {
                301 | 302 | 303 | 307 | 308 => {
                    let location = response.headers().get(LOCATION);
                    let location = location.and_then(|value| value.to_str().ok());
                    url = redirect::next(&url, location)
                        .map_err(|why| failure(RpcOutcome::Redirect, why))?;
                }
                300..=399 => {
                    return Err(failure(
                        RpcOutcome::Redirect,
                        format!("HTTP status {}, which cannot be followed", status.as_u16()),
                    ));
                }
                // nodeos and BitShares put an error into words there; the others' gateways send their own pages.
                _ if self.habits.error_bodies => {
                    let body = read_body(response).await;
                    let body = body.map_err(|_| failure::status(status))?;
                    return Ok(Received { status, body });
                }
                _ => return Err(failure::status(status)),
            }
        }
        Err(failure(
            RpcOutcome::Redirect,
            format!("more than {} redirects", redirect::MAX_HOPS),
        ))
    }

    async fn send(&self, url: &Url, body: &[u8], kind: Kind) -> Result<Response, EndpointError> {
        if url.scheme() != "https" {
            return exchange(self.plain_kept.as_ref(), &self.plain, url, body, kind).await;
        }
        let secure = self.secure()?;
        exchange(Some(&secure.kept), &secure.fresh, url, body, kind).await
    }

    /// Opens a websocket (RFC 6455 §4.1) at `url`, which is given as `http` or `https`. Redirects are not followed: whoever
    /// is sent elsewhere should be told so, once, by a person.
    pub(super) async fn upgrade(
        &self,
        url: &Url,
        facts: &mut Facts,
    ) -> Result<Upgraded, EndpointError> {
        let client = if url.scheme() == "https" {
            &self.secure()?.fresh
        } else {
            &self.plain
        };
        let key = generate_key();
        let response = client
            .get(url.clone())
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
            .send()
            .await
            .map_err(|e| failure::transport(&e))?;
        *facts = facts_of(&response);
        let status = response.status();
        if status.is_redirection() {
            let why = "a websocket address that redirects (use the final address)";
            return Err(failure(RpcOutcome::Redirect, why));
        }
        if status.is_success() {
            let why = "no websocket there (it answered as a web server)";
            return Err(failure(RpcOutcome::Malformed, why));
        }
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(failure::status(status));
        }
        let accepted = text(response.headers(), SEC_WEBSOCKET_ACCEPT);
        if accepted != Some(derive_accept_key(key.as_bytes()).as_str()) {
            let why = "the answer to the websocket handshake is another's";
            return Err(failure(RpcOutcome::Malformed, why));
        }
        response.upgrade().await.map_err(|e| failure::transport(&e))
    }

    fn secure(&self) -> Result<&Secure, EndpointError> {
        self.secure
            .get_or_init(|| Secure::new(&self.extra_roots, self.habits.idle))
            .as_ref()
            .map_err(|why| {
                failure(
                    RpcOutcome::Tls,
                    format!("the system's root certificates cannot be loaded: {why}"),
                )
            })
    }
}

/// A question goes over a kept connection where there may be one, and once more over a fresh one when that turns out to be
/// closed. A broadcast goes once, over a fresh one.
async fn exchange(
    kept: Option<&Client>,
    fresh: &Client,
    url: &Url,
    body: &[u8],
    kind: Kind,
) -> Result<Response, EndpointError> {
    if let Some(kept) = kept.filter(|_| kind == Kind::Read) {
        match request(kept, url, body).send().await {
            Ok(response) => return Ok(response),
            Err(error) if failure::closed_before_reply(&error) => {}
            Err(error) => return Err(failure::transport(&error)),
        }
    }
    let sent = request(fresh, url, body).send().await;
    sent.map_err(|e| failure::transport(&e))
}

// === impl Secure ===

impl Secure {
    fn new(extra_roots: &[Certificate], idle: usize) -> Result<Self, String> {
        let secure = |idle: usize| {
            let mut builder = builder()
                .pool_max_idle_per_host(idle)
                .pool_idle_timeout(KEEP_IDLE)
                .tls_info(true);
            if !extra_roots.is_empty() {
                builder = builder.tls_certs_merge(extra_roots.iter().cloned());
            }
            builder.build().map_err(|e| chain_of(&e))
        };
        Ok(Self {
            kept: secure(idle)?,
            fresh: secure(0)?,
        })
    }
}

// === impl Dns ===

impl Resolve for Dns {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(DnsError)?;
            let addresses: Vec<_> = found.collect();
            if addresses.is_empty() {
                return Err(DnsError(io::Error::from(io::ErrorKind::NotFound)).into());
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("slotkeeper/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .http1_only()
        .dns_resolver(Dns)
}

fn request(client: &Client, url: &Url, body: &[u8]) -> reqwest::RequestBuilder {
    // reqwest turns the URL's userinfo into an Authorization header (marked sensitive) and strips it from the URL.
    client
        .post(url.clone())
        .header(CONTENT_TYPE, "application/json")
        .body(body.to_vec())
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, EndpointError> {
    let too_large = || {
        failure(
            RpcOutcome::TooLarge,
            format!("the body is larger than {} MiB", MAX_BODY >> 20),
        )
    };
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    if response.content_length().is_some_and(|n| n > limit) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > MAX_BODY => {
                return Err(too_large());
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => {
                let mut broken = failure::transport(&error);
                // Headers came, so the node is there: a body that breaks off is a bad answer, not a refusal.
                if broken.outcome == RpcOutcome::Refused {
                    broken = failure(RpcOutcome::Malformed, "the body broke off");
                }
                return Err(broken);
            }
        }
    }
}

fn facts_of(response: &Response) -> Facts {
    let now = now_ms();
    let headers = response.headers();
    let date = text(headers, DATE).and_then(http_date);
    Facts {
        clock_offset: date.map(|date| date.saturating_sub(now)),
        certificate_expiry: response
            .extensions()
            .get::<reqwest::tls::TlsInfo>()
            .and_then(|info| info.peer_certificate())
            .and_then(certificate_expiry),
        retry_after: text(headers, RETRY_AFTER).and_then(|v| retry_after(v, date.unwrap_or(now))),
    }
}

fn text(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An HTTP date as Unix milliseconds (RFC 9110 §5.6.7, the preferred form, which is RFC 2822 with "GMT").
fn http_date(text: &str) -> Option<Millis> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

/// `Retry-After` as seconds or as a date (RFC 9110 §10.2.3).
fn retry_after(text: &str, now: Millis) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = http_date(text)?.saturating_sub(now);
    Some(Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
}

fn certificate_expiry(der: &[u8]) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// An error with its causes, for errors of set-up (no URL is involved yet).
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        text.push_str(": ");
        text.push_str(&current.to_string());
        cause = current.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        let now = http_date("Sat, 21 Nov 2026 07:00:00 GMT").expect("a date");
        assert_eq!(now, 1_795_244_400_000);
        for (value, expected) in [
            ("17", Some(17)),
            (" 0 ", Some(0)),
            ("Sat, 21 Nov 2026 07:00:30 GMT", Some(30)),
            ("Sat, 21 Nov 2026 06:00:30 GMT", Some(0)),
            ("soon", None),
        ] {
            let got = retry_after(value, now);
            assert_eq!(got, expected.map(Duration::from_secs), "{value}");
        }
    }
}
