//! One call on the wire: its address and body in the endpoint's framing, and what came back. Bounds the size of an answer
//! but no time; what the replies mean is not known here.

use reqwest::{Certificate, StatusCode, Url};

use super::failure::{self, failure};
use super::jsonrpc::{self, Parsed};
use super::redirect::is_loopback;
use super::rest;
use super::socket::Socket;
use super::transport::{Facts, Habits, Kind, Received, Transport};
use super::types::{EndpointError, RpcOutcome};
use crate::chain::{Call, Framing, Reply};
use crate::config::EndpointConfig;

/// Calls of one ask that may be under way at once.
pub(super) const LANES: usize = 8;

/// See the module.
pub(super) struct Wire {
    /// Also of a websocket as `http` or `https`: it begins as a request there.
    url: Url,
    framing: Framing,
    transport: Transport,
    socket: Option<Socket>,
}

// === impl Wire ===

impl Wire {
    /// Checks that the address may be used. Nothing is sent.
    pub(super) fn open(
        config: &EndpointConfig,
        framing: Framing,
        roots: Vec<Certificate>,
    ) -> Result<Self, String> {
        let mut url = Url::parse(&config.url).map_err(|e| format!("no valid URL ({e})"))?;
        let shown = url.scheme().to_owned();
        let below = match shown.as_str() {
            "ws" => Some("http"),
            "wss" => Some("https"),
            _ => None,
        };
        if let Some(scheme) = below {
            if framing != Framing::JsonRpcStatus {
                return Err("websockets are spoken only with BitShares nodes: use https://".into());
            }
            url.set_scheme(scheme)
                .map_err(|()| "no valid URL".to_owned())?;
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) || config.allow_insecure => {}
            "http" => {
                return Err(format!(
                    "{shown}:// beyond this machine can be read and changed on the way: use \
                     {shown}s://, or set allow_insecure: true"
                ));
            }
            _ => return Err(format!("{shown}:// is neither https:// nor http://")),
        }
        let batches = framing == Framing::JsonRpc { batches: true };
        let habits = Habits {
            keep_plain: framing == Framing::Rest,
            idle: if batches { 1 } else { LANES },
            error_bodies: !matches!(framing, Framing::JsonRpc { .. }),
        };
        Ok(Self {
            url,
            framing,
            transport: Transport::new(roots, habits)?,
            socket: below.map(|_| Socket::default()),
        })
    }

    /// Encrypted, or this machine.
    pub(super) fn is_secure(&self) -> bool {
        self.url.scheme() == "https" || is_loopback(&self.url)
    }

    /// One call. An error that the node itself put into words is a [`Reply`].
    pub(super) async fn one(
        &self,
        call: &Call,
        kind: Kind,
        facts: &mut Facts,
    ) -> Result<Reply, EndpointError> {
        if let Some(socket) = &self.socket {
            let asked = socket.one(&self.transport, &self.url, call, kind, facts);
            return asked.await;
        }
        if self.framing == Framing::Rest {
            let url = rest::address(&self.url, call);
            let body = rest::body(call);
            let received = self.transport.post(&url, &body, kind, facts).await?;
            return rest::reply(received.status, &received.body);
        }
        let body = jsonrpc::single(call);
        let received = self.transport.post(&self.url, &body, kind, facts).await?;
        with_status(&received)
    }

    /// Several calls as one batch: the answer, a list not taken apart yet; `None` when the endpoint takes none.
    pub(super) async fn batch(
        &self,
        calls: &[Call],
        facts: &mut Facts,
    ) -> Result<Option<Vec<u8>>, EndpointError> {
        let body = jsonrpc::batch(calls);
        let received = self.transport.post(&self.url, &body, Kind::Read, facts);
        let body = received.await?.body;
        if jsonrpc::is_list(&body) {
            return Ok(Some(body));
        }
        match jsonrpc::parse_batch(&body, calls.len()) {
            Parsed::NoBatches => Ok(None),
            Parsed::Malformed(why) => Err(failure(RpcOutcome::Malformed, why)),
            Parsed::Replies(_) => Ok(Some(body)),
        }
    }
}

/// What came back of several calls.
#[derive(Debug)]
pub(super) enum Said {
    /// One body for all, not taken apart yet.
    Batch {
        body: Vec<u8>,
        /// Calls that it answers.
        count: usize,
    },
    /// One reply for each call.
    Replies(Vec<Reply>),
}

// === impl Said ===

impl Said {
    /// One reply for each call.
    pub(super) fn replies(self) -> Result<Vec<Reply>, EndpointError> {
        match self {
            Self::Batch { body, count } => apart(&body, count),
            Self::Replies(replies) => Ok(replies),
        }
    }
}

/// The replies in the answer to a batch of `count` calls.
pub(super) fn apart(body: &[u8], count: usize) -> Result<Vec<Reply>, EndpointError> {
    match jsonrpc::parse_batch(body, count) {
        Parsed::Replies(replies) => Ok(replies),
        Parsed::Malformed(why) => Err(failure(RpcOutcome::Malformed, why)),
        Parsed::NoBatches => Err(failure(RpcOutcome::Malformed, "the answer is no list")),
    }
}

/// A JSON-RPC answer; with an error status only a proper error counts as one, and 429 and 503 only say that it is busy.
fn with_status(received: &Received) -> Result<Reply, EndpointError> {
    let parsed = match jsonrpc::parse_single(&received.body) {
        Parsed::Replies(mut replies) => replies.pop(),
        Parsed::Malformed(why) if received.status.is_success() => {
            return Err(failure(RpcOutcome::Malformed, why));
        }
        Parsed::NoBatches | Parsed::Malformed(_) => None,
    };
    let busy = matches!(
        received.status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    match parsed {
        Some(reply) if received.status.is_success() => Ok(reply),
        Some(Err(fault)) if !busy => Ok(Err(fault)),
        _ if received.status.is_success() => Err(failure(RpcOutcome::Malformed, "no reply")),
        _ => Err(failure::status(received.status)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_jsonrpc_error_counts_whatever_its_status_but_busy_is_busy() {
        let error =
            br#"{"id":1,"jsonrpc":"2.0","error":{"code":-32601,"message":"no such method"}}"#;
        let get = |status: u16, body: &[u8]| {
            with_status(&Received {
                status: StatusCode::from_u16(status).expect("a status"),
                body: body.to_vec(),
            })
        };
        for status in [200, 400, 500] {
            let fault = get(status, error).expect("a reply").expect_err("an error");
            assert_eq!(
                (fault.code, fault.message.as_str()),
                (-32601, "no such method")
            );
        }
        assert_eq!(get(200, br#"{"id":1,"result":7}"#), Ok(Ok(json!(7))));
        for (status, body, outcome) in [
            (429, &error[..], RpcOutcome::RateLimited),
            (503, &error[..], RpcOutcome::ServerError),
            (400, b"<html>", RpcOutcome::HttpError),
            (502, b"", RpcOutcome::ServerError),
            // A result with an error status is neither.
            (500, br#"{"id":1,"result":7}"#, RpcOutcome::ServerError),
            (200, b"<html>", RpcOutcome::Malformed),
        ] {
            assert_eq!(get(status, body).expect_err("no reply").outcome, outcome);
        }
    }
}
