//! What went wrong with a request: error chains and statuses → [`RpcOutcome`], by type and never by message text.
//! Details are for people and hold no URL, no credentials and no body.

use std::error::Error;
use std::io;

use reqwest::StatusCode;

use super::types::{EndpointError, RpcOutcome};

/// Name resolution failed: our own resolver wraps it so that it can be told from a refused connection.
#[derive(Debug, thiserror::Error)]
#[error("name not resolved")]
pub(super) struct DnsError(#[source] pub(super) io::Error);

/// A failure with its detail.
pub(super) fn failure(outcome: RpcOutcome, detail: impl Into<String>) -> EndpointError {
    EndpointError {
        outcome,
        detail: detail.into(),
    }
}

/// Classifies a transport error.
pub(super) fn transport(error: &reqwest::Error) -> EndpointError {
    if error.is_timeout() {
        return failure(RpcOutcome::Timeout, "no answer in time");
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(found) = classify(current) {
            return found;
        }
        cause = current.source();
    }
    if error.is_connect() {
        return failure(RpcOutcome::Refused, "no connection");
    }
    if error.is_decode() || error.is_body() {
        return failure(RpcOutcome::Malformed, "the body broke off");
    }
    failure(RpcOutcome::Malformed, "the reply is not HTTP")
}

/// Classifies an error of an open connection.
pub(super) fn of_io(error: &io::Error) -> EndpointError {
    classify(error).unwrap_or_else(|| failure(RpcOutcome::Refused, "the connection broke"))
}

/// Whether the connection ended before any byte of a reply: a kept connection that the node had closed meanwhile.
pub(super) fn closed_before_reply(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        let hyper = current.downcast_ref::<hyper::Error>();
        let io = current.downcast_ref::<io::Error>();
        let closed =
            hyper.is_some_and(|e| e.is_incomplete_message() || e.is_canceled() || e.is_closed());
        let reset = io.is_some_and(|e| {
            matches!(
                e.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            )
        });
        if closed || reset {
            return true;
        }
        cause = current.source();
    }
    false
}

/// What a status that is neither success nor redirect means.
pub(super) fn status(status: StatusCode) -> EndpointError {
    let outcome = match status.as_u16() {
        429 => RpcOutcome::RateLimited,
        500..=599 => RpcOutcome::ServerError,
        _ => RpcOutcome::HttpError,
    };
    failure(outcome, format!("HTTP status {}", status.as_u16()))
}

fn classify(cause: &(dyn Error + 'static)) -> Option<EndpointError> {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(failure(RpcOutcome::Tls, format!("TLS failed: {tls}")));
    }
    if cause.is::<DnsError>() {
        return Some(failure(
            RpcOutcome::Refused,
            "the host name does not resolve",
        ));
    }
    if let Some(hyper) = cause.downcast_ref::<hyper::Error>() {
        if hyper.is_incomplete_message() {
            return Some(failure(
                RpcOutcome::Refused,
                "the connection was closed before a full reply",
            ));
        }
        if hyper.is_parse() {
            return Some(failure(RpcOutcome::Malformed, "the reply is not HTTP"));
        }
    }
    let io = cause.downcast_ref::<io::Error>()?;
    // `source()` of an io::Error skips the error it wraps; TLS and DNS failures sit there.
    if let Some(found) = io.get_ref().and_then(|inner| {
        let inner: &(dyn Error + 'static) = inner;
        classify(inner)
    }) {
        return Some(found);
    }
    use io::ErrorKind as Kind;
    let (outcome, detail) = match io.kind() {
        Kind::ConnectionRefused => (RpcOutcome::Refused, "connection refused"),
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => {
            (RpcOutcome::Refused, "connection reset")
        }
        Kind::UnexpectedEof => (RpcOutcome::Refused, "the connection was closed"),
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::AddrNotAvailable => {
            (RpcOutcome::Refused, "no route to the host")
        }
        Kind::TimedOut => (RpcOutcome::Timeout, "the connection timed out"),
        _ => return None,
    };
    Some(failure(outcome, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_apart_by_type_however_they_are_wrapped() {
        let tls = || rustls::Error::HandshakeNotComplete;
        let table: [(Box<dyn Error>, Option<RpcOutcome>); 7] = [
            (Box::new(tls()), Some(RpcOutcome::Tls)),
            (
                Box::new(io::Error::other(io::Error::other(tls()))),
                Some(RpcOutcome::Tls),
            ),
            (
                Box::new(DnsError(io::Error::other("name"))),
                Some(RpcOutcome::Refused),
            ),
            (
                Box::new(io::Error::from(io::ErrorKind::ConnectionRefused)),
                Some(RpcOutcome::Refused),
            ),
            (
                Box::new(io::Error::from(io::ErrorKind::ConnectionReset)),
                Some(RpcOutcome::Refused),
            ),
            (
                Box::new(io::Error::from(io::ErrorKind::TimedOut)),
                Some(RpcOutcome::Timeout),
            ),
            // Its text names TLS, but text decides nothing.
            (Box::new(io::Error::other("tls certificate")), None),
        ];
        for (error, expected) in table {
            let got = classify(error.as_ref()).map(|e| e.outcome);
            assert_eq!(got, expected, "{error}");
        }
        let unresolved = classify(&DnsError(io::Error::other("x"))).map(|e| e.detail);
        assert_eq!(
            unresolved.as_deref(),
            Some("the host name does not resolve")
        );
    }
}
