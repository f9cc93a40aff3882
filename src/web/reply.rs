//! What a listener answers: bodies, the usual replies, and gzip. Pure but for the compressor.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Bytes, Frame, SizeHint};
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION,
    VARY, WWW_AUTHENTICATE,
};
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::page::POLICY;

/// A whole body, or one that goes on (server-sent events).
#[derive(Debug)]
pub enum Body {
    /// All of it, in pieces that are not taken yet.
    Whole(VecDeque<Bytes>),
    /// Pieces as they come.
    Stream(mpsc::Receiver<Bytes>),
}

/// An answer.
pub type Reply = Response<Body>;

/// Bodies below this are not worth compressing.
const GZIP_FROM: usize = 1024;

// === impl Body ===

impl Body {
    /// Length, where it is known.
    #[must_use]
    pub fn whole_len(&self) -> Option<usize> {
        match self {
            Self::Whole(pieces) => Some(pieces.iter().map(Bytes::len).sum()),
            Self::Stream(_) => None,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(pieces) => Poll::Ready(pieces.pop_front().map(|b| Ok(Frame::data(b)))),
            Self::Stream(pieces) => pieces.poll_recv(cx).map(|p| p.map(|b| Ok(Frame::data(b)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(pieces) if pieces.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        self.whole_len()
            .map_or_else(SizeHint::default, |n| SizeHint::with_exact(n as u64))
    }
}

// === replies ===

/// A whole body of some type.
#[must_use]
pub(super) fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Reply {
    in_parts(status, content_type, [body.into()])
}

/// A whole body of some type, in parts that need not be copied together.
#[must_use]
pub(super) fn in_parts<const N: usize>(
    status: StatusCode,
    content_type: &'static str,
    parts: [Bytes; N],
) -> Reply {
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    let mut reply = Response::new(Body::Whole(parts.collect()));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// One line (or a few) for people.
#[must_use]
pub(super) fn text(status: StatusCode, line: impl Into<String>) -> Reply {
    let mut line = line.into();
    if !line.ends_with('\n') {
        line.push('\n');
    }
    with_type(status, "text/plain; charset=utf-8", line)
}

/// JSON.
#[must_use]
pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    with_type(status, "application/json", value.to_string())
}

/// An error as JSON: `{"error": …}`.
#[must_use]
pub(super) fn problem(status: StatusCode, what: impl Into<String>) -> Reply {
    json(status, &json!({"error": what.into()}))
}

/// HTML whose only script and style are its own, and that no other site may frame or look into.
#[must_use]
pub(super) fn html(status: StatusCode, page: String) -> Reply {
    let mut reply = with_type(status, "text/html; charset=utf-8", page);
    let headers = reply.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert("content-security-policy", policy);
    }
    headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
    for name in ["cross-origin-opener-policy", "cross-origin-resource-policy"] {
        headers.insert(name, HeaderValue::from_static("same-origin"));
    }
    headers.insert("referrer-policy", HeaderValue::from_static("same-origin"));
    reply
}

/// 401 with the way in.
#[must_use]
pub(super) fn unauthorized(challenge: &'static str) -> Reply {
    let mut reply = problem(
        StatusCode::UNAUTHORIZED,
        "authentication needed: a bearer token, a user with password or a client certificate, as configured",
    );
    reply
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    reply
}

/// 405 with what is allowed.
#[must_use]
pub(super) fn method_not_allowed(allow: &'static str) -> Reply {
    let mut reply = problem(StatusCode::METHOD_NOT_ALLOWED, format!("use {allow} here"));
    reply
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    reply
}

/// 303: look there now (after a form).
#[must_use]
pub(super) fn see_other(location: &str) -> Reply {
    let mut reply = text(StatusCode::SEE_OTHER, format!("see {location}"));
    if let Ok(value) = HeaderValue::from_str(location) {
        reply.headers_mut().insert(LOCATION, value);
    }
    reply
}

/// Compresses a whole body when the caller takes gzip and it pays.
#[must_use]
pub(super) fn compress(request: &HeaderMap, mut reply: Reply) -> Reply {
    let Some(length) = reply.body().whole_len() else {
        return reply;
    };
    if length < GZIP_FROM || reply.headers().contains_key(CONTENT_ENCODING) {
        return reply;
    }
    reply
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if !takes_gzip(request) {
        return reply;
    }
    let Body::Whole(pieces) = reply.body() else {
        return reply;
    };
    let mut encoder = GzEncoder::new(Vec::with_capacity(length / 8), Compression::fast());
    let written = pieces.iter().try_for_each(|p| encoder.write_all(p));
    let Ok(packed) = written.and_then(|()| encoder.finish()) else {
        return reply;
    };
    *reply.body_mut() = Body::Whole([Bytes::from(packed)].into());
    reply
        .headers_mut()
        .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    reply
}

/// Whether `Accept-Encoding` allows gzip (RFC 9110 section 12.5.3).
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let mut star = false;
    for value in headers.get_all(ACCEPT_ENCODING) {
        for item in value.to_str().unwrap_or("").split(',') {
            let mut parts = item.split(';').map(str::trim);
            let coding = parts.next().unwrap_or("");
            let refused = parts.any(|p| {
                p.strip_prefix("q=")
                    .and_then(|q| q.parse::<f32>().ok())
                    .is_some_and(|q| q <= 0.0)
            });
            if coding.eq_ignore_ascii_case("gzip") {
                return !refused;
            }
            star |= coding == "*" && !refused;
        }
    }
    star
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_only_when_asked_for() {
        for (accept, takes) in [
            ("gzip", true),
            ("deflate, gzip;q=1.0", true),
            ("gzip;q=0", false),
            ("*", true),
            ("gzip;q=0, *", false),
            ("br", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, accept.parse().unwrap());
            assert_eq!(takes_gzip(&headers), takes, "{accept:?}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
