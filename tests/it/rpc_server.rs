//! A hand-written HTTP server on loopback that misbehaves to order: every byte of its answers is chosen by the test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use slotkeeper::config::EndpointConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Status line and extra headers, body with its length; then closes without a `Connection` header, as steemd does.
    Reply(&'static str, Vec<(&'static str, String)>, Vec<u8>),
    /// Status and body; keeps the connection, as nodeos does.
    Keep(&'static str, Vec<u8>),
    /// Keeps the connection for one more request, which it meets with a close.
    ReplyThenCloseOnNext(Vec<u8>),
    /// These bytes, then close.
    Raw(Vec<u8>),
    /// Nothing, ever.
    Hang,
    /// Headers, then one byte of the body every 20 ms.
    Drip,
    /// Headers without a length, then a body without end.
    Flood,
    /// Closes without a byte.
    Close,
}

/// The running server; its tasks end with the test's runtime.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    requests: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    flooded: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Shared {
    handler: Arc<dyn Fn(&Seen) -> Act + Send + Sync>,
    requests: Arc<Mutex<Vec<Seen>>>,
    flooded: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

// === impl Act ===

impl Act {
    pub(crate) fn json(body: &str) -> Self {
        Self::Reply("200 OK", Vec::new(), body.as_bytes().to_vec())
    }

    pub(crate) fn status(status: &'static str) -> Self {
        Self::Reply(status, Vec::new(), b"<html>leak-me</html>".to_vec())
    }

    pub(crate) fn redirect(status: &'static str, to: &str) -> Self {
        Self::Reply(status, vec![("Location", to.to_owned())], Vec::new())
    }
}

// === impl Server ===

impl Server {
    pub(crate) async fn start(handler: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        Self::run(handler, None).await
    }

    pub(crate) async fn start_tls(
        config: rustls::ServerConfig,
        handler: impl Fn(&Seen) -> Act + Send + Sync + 'static,
    ) -> Self {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        Self::run(handler, Some(acceptor)).await
    }

    async fn run(
        handler: impl Fn(&Seen) -> Act + Send + Sync + 'static,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            addr: listener.local_addr().unwrap(),
            requests: Arc::default(),
            connections: Arc::default(),
            flooded: Arc::default(),
            open: Arc::default(),
        };
        let shared = Shared {
            handler: Arc::new(handler),
            requests: Arc::clone(&server.requests),
            flooded: Arc::clone(&server.flooded),
            open: Arc::clone(&server.open),
        };
        let connections = Arc::clone(&server.connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (shared, tls) = (shared.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, shared).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                converse(stream, shared).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Bytes that a flood could get rid of.
    pub(crate) fn flooded(&self) -> usize {
        self.flooded.load(Ordering::SeqCst)
    }

    /// Requests that it is sitting on.
    pub(crate) fn hanging(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// An endpoint configuration with limits that a loaded test machine does not reach.
pub(crate) fn endpoint(url: &str, provider: &str) -> EndpointConfig {
    EndpointConfig {
        url: url.to_owned(),
        label: format!("label-of-{provider}"),
        provider: provider.to_owned(),
        allow_insecure: false,
        soft_timeout: Duration::from_secs(10),
        hard_timeout: Duration::from_secs(20),
    }
}

/// Waits until `condition` holds; the deadline only ends a test that has failed.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: Shared) {
    let act = loop {
        let Some(seen) = read_request(&mut stream).await else {
            return;
        };
        let act = (shared.handler)(&seen);
        shared.requests.lock().unwrap().push(seen);
        let Act::Keep(status, body) = act else {
            break act;
        };
        let _ = stream.write_all(&reply(status, &[], &body)).await;
    };
    match act {
        Act::Keep(..) => {}
        Act::Reply(status, headers, body) => {
            let _ = stream.write_all(&reply(status, &headers, &body)).await;
        }
        Act::ReplyThenCloseOnNext(body) => {
            let _ = stream.write_all(&reply("200 OK", &[], &body)).await;
            if let Some(seen) = read_request(&mut stream).await {
                shared.requests.lock().unwrap().push(seen);
            }
        }
        Act::Raw(bytes) => {
            let _ = stream.write_all(&bytes).await;
        }
        Act::Hang => {
            shared.open.fetch_add(1, Ordering::SeqCst);
            let mut rest = [0; 64];
            // Ends when the client gives up.
            while matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {}
            shared.open.fetch_sub(1, Ordering::SeqCst);
        }
        Act::Drip => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n[")
                .await;
            while stream.write_all(b" ").await.is_ok() && stream.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Act::Flood => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[").await;
            let block = [b' '; 65536];
            for _ in 0..1600 {
                if stream.write_all(&block).await.is_err() {
                    break;
                }
                shared.flooded.fetch_add(block.len(), Ordering::SeqCst);
            }
        }
        Act::Close => {}
    }
    let _ = stream.shutdown().await;
}

fn reply(status: &str, headers: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    [text.into_bytes(), body.to_vec()].concat()
}

pub(crate) async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        let n = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&buffer[..n]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").map_or(0, |v| v.parse().unwrap());
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length {
        let n = stream.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        body.extend_from_slice(&buffer[..n]);
    }
    Some(Seen {
        method: head.split(' ').next().unwrap().to_owned(),
        path: head.split(' ').nth(1).unwrap().to_owned(),
        authorization: header("authorization"),
        body,
    })
}
