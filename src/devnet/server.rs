//! HTTP/1.1 on loopback: one listener for each endpoint, acting out its fault; every connection is closed after one reply.
//!
//! Like a real steemd it sends no `Connection` header before closing. Bodies are bounded, as are connections and their time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::antelope::rest;
use super::bitshares;
use super::body::ReplyBody;
use super::control;
use super::faults::{Fault, spoil};
use super::rpc::{self, Answer};
use super::shared::{Endpoint, Shared};
use super::sim::Sim;
use super::socket;
use crate::chain::Protocol;

/// Largest request body.
const MAX_BODY: usize = 1024 * 1024;
/// Connections at once per listener.
const MAX_CONNECTIONS: usize = 1024;
/// Longest life of a connection.
const MAX_LIFE: Duration = Duration::from_secs(600);
/// Longest wait for a request's first byte and head.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// Listens for one endpoint until dropped.
pub(crate) async fn serve(shared: Arc<Shared>, index: usize, listener: TcpListener) {
    let Some(addr) = shared.endpoints.get(index).map(|e| e.addr) else {
        return;
    };
    let mut conditions = shared.conditions.subscribe();
    let mut listener = Some(listener);
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        conditions.mark_unchanged();
        let refuse = shared
            .endpoints
            .get(index)
            .is_some_and(|e| shared.refuses(e));
        if refuse {
            // A dead node's connections die with it. The port stays bound without listening: connections are refused,
            // and nobody else can take it before the node comes back.
            connections.abort_all();
            drop(listener.take());
            let held = hold(addr);
            if conditions.changed().await.is_err() {
                return;
            }
            drop(held);
            continue;
        }
        let bound = match listener.take() {
            Some(l) => l,
            None => match listen(addr) {
                Ok(l) => l,
                Err(e) => {
                    tracing::warn!("devnet: listening on {addr} again: {e}; trying once more");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        tokio::select! {
            accepted = bound.accept() => {
                while connections.try_join_next().is_some() {}
                if let Ok((stream, _)) = accepted
                    && connections.len() < MAX_CONNECTIONS
                {
                    connections.spawn(connection(shared.clone(), index, stream));
                }
            }
            changed = conditions.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        listener = Some(bound);
    }
}

fn socket(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

fn hold(addr: SocketAddr) -> Option<TcpSocket> {
    socket(addr).ok()
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    socket(addr)?.listen(1024)
}

async fn connection(shared: Arc<Shared>, index: usize, stream: TcpStream) {
    // Dropped or cut short: nothing to tell anybody.
    let _ = timeout(MAX_LIFE, converse(shared, index, stream)).await;
}

async fn converse(shared: Arc<Shared>, index: usize, mut stream: TcpStream) {
    let Some(endpoint) = shared.endpoints.get(index) else {
        return;
    };
    let mut head = [0u8; 64];
    let Ok(Ok(n)) = timeout(HEAD_TIME, stream.peek(&mut head)).await else {
        return;
    };
    let head = head.get(..n).unwrap_or_default();
    // The devnet's own paths answer through every fault but `refused`, else a fault could not be switched off.
    let control = head.windows(8).any(|w| w == b"/devnet/");
    if !control {
        match endpoint.fault() {
            Some(Fault::BlackHole) => {
                let mut sink = [0u8; 4096];
                while matches!(stream.read(&mut sink).await, Ok(n) if n > 0) {}
                return;
            }
            Some(Fault::TlsFailure) => {
                if head.first() == Some(&0x16) {
                    let _ = stream
                        .write_all(b"\x16\x03\x03\x00\x05this is no TLS")
                        .await;
                }
                return;
            }
            _ => {}
        }
    }
    if !control && socket::wanted(&shared, endpoint, head) {
        return socket::serve(&shared, endpoint, stream).await;
    }
    let (done_tx, done_rx) = oneshot::channel::<()>();
    let done = std::sync::Mutex::new(Some(done_tx));
    let service = service_fn(|request: Request<Incoming>| {
        let shared = shared.clone();
        let done = done.lock().ok().and_then(|mut d| d.take());
        async move {
            match reply(&shared, index, request).await {
                Some(response) => Ok(response.map(|b| b.telling(done))),
                None => Err(io::Error::other("reply lost on purpose")),
            }
        }
    });
    let conn = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .auto_date_header(shared.date_header)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(conn);
    tokio::select! {
        _ = conn.as_mut() => return,
        // The body is used up, so the head is out already, without a `Connection: close`.
        _ = done_rx => conn.as_mut().graceful_shutdown(),
    }
    let _ = conn.await;
}

fn respond(status: StatusCode, kind: &'static str, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn json_reply(status: StatusCode, value: &Value) -> Response<ReplyBody> {
    respond(
        status,
        "application/json",
        ReplyBody::full(value.to_string()),
    )
}

/// The reply, or `None` when it is to be lost.
async fn reply(
    shared: &Arc<Shared>,
    index: usize,
    request: Request<Incoming>,
) -> Option<Response<ReplyBody>> {
    let endpoint = shared.endpoints.get(index)?;
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Some(json_reply(
            StatusCode::PAYLOAD_TOO_LARGE,
            &json!({"error": "at most 1 MiB"}),
        ));
    };
    let body = body.to_bytes();
    if parts.uri.path().starts_with("/devnet/") {
        let (status, value) = control::handle(shared, endpoint, &parts.method, &parts.uri, &body);
        return Some(json_reply(status, &value));
    }
    let fault = endpoint.fault();
    match &fault {
        Some(Fault::HttpStatus {
            status,
            retry_after,
        }) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let mut r = respond(status, "text/plain", ReplyBody::full("devnet fault"));
            if let Some(s) = retry_after {
                r.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*s));
            }
            return Some(r);
        }
        Some(Fault::Html) => {
            let page = "<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>It works</h1></body></html>";
            return Some(respond(StatusCode::OK, "text/html", ReplyBody::full(page)));
        }
        Some(Fault::HugeBody { bytes }) => {
            return Some(respond(
                StatusCode::OK,
                "application/json",
                ReplyBody::endless(*bytes),
            ));
        }
        Some(Fault::RedirectHttps { status }) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::MOVED_PERMANENTLY);
            let mut r = respond(status, "text/html", ReplyBody::full("moved"));
            let to = format!("https://{}{}", endpoint.addr, parts.uri.path());
            r.headers_mut()
                .insert(LOCATION, HeaderValue::from_str(&to).ok()?);
            return Some(r);
        }
        _ => {}
    }
    let (method, path) = (&parts.method, parts.uri.path());
    let protocol = shared.chain().protocol();
    let antelope = protocol == Protocol::Antelope;
    if !antelope && *method != Method::POST {
        return Some(json_reply(
            StatusCode::METHOD_NOT_ALLOWED,
            &json!({"error": "POST JSON-RPC here"}),
        ));
    }
    if let Some(Fault::Slow { ms }) = &fault {
        tokio::time::sleep(Duration::from_millis(*ms)).await;
    }
    let (status, value) = if antelope {
        let view = shared.view(endpoint)?;
        let mut reply = match &mut *shared.chain() {
            Sim::Antelope(chain) => rest::answer(chain, method, path, &body, view, &endpoint.name),
            Sim::Graphene(_) => return None,
        };
        if let Some(f) = &fault {
            rest::spoil(f, path, &mut reply);
        }
        reply
    } else {
        let (mut status, mut value) = answer(shared, endpoint, &body).await?;
        if let Some(names) = &shared.identity {
            names.put_on(&mut value);
        }
        if let Some(f) = &fault {
            let request = serde_json::from_slice(&body).unwrap_or_default();
            spoil(f, &request, &mut value);
        }
        if protocol == Protocol::BitShares {
            status = StatusCode::from_u16(bitshares::status(&value)).unwrap_or(status);
        }
        (status, value)
    };
    let text = value.to_string();
    Some(match fault {
        Some(Fault::LostReply) => return None,
        Some(Fault::TruncatedJson) => {
            let half = text
                .as_bytes()
                .get(..text.len() / 2)
                .unwrap_or_default()
                .to_vec();
            respond(status, "application/json", ReplyBody::full(half))
        }
        Some(Fault::SlowDrip { byte_ms }) => {
            let body = ReplyBody::drip(text, Duration::from_millis(byte_ms));
            respond(status, "application/json", body)
        }
        _ => respond(status, "application/json", ReplyBody::full(text)),
    })
}

/// Asks the chain; waits for inclusion where the call does.
pub(super) async fn answer(
    shared: &Shared,
    endpoint: &Endpoint,
    body: &[u8],
) -> Option<(StatusCode, Value)> {
    let view = shared.view(endpoint)?;
    let mut slots = shared.slots.subscribe();
    let now = match &mut *shared.chain() {
        Sim::Graphene(chain) => rpc::answer(chain, body, view, &endpoint.name),
        Sim::Antelope(_) => return None,
    };
    let (txid, id, expiration_ms) = match now {
        Answer::Now(v) => return Some((StatusCode::OK, v)),
        Answer::WhenIncluded {
            txid,
            id,
            expiration_ms,
        } => (txid, id, expiration_ms),
    };
    loop {
        let (place, head) = {
            let sim = shared.chain();
            (sim.included(&txid), sim.head())
        };
        let result = match place {
            Some((block, n)) => {
                json!({"id": txid, "block_num": block, "trx_num": n, "expired": false})
            }
            None if head.1 > expiration_ms => {
                json!({"id": txid, "block_num": head.0, "trx_num": 0, "expired": true})
            }
            None => {
                slots.changed().await.ok()?;
                continue;
            }
        };
        let reply = json!({"jsonrpc": "2.0", "result": result, "id": id});
        return Some((StatusCode::OK, reply));
    }
}
