//! One listener: accepts, speaks TLS where configured, bounds what strangers can hold (connections, slow headers, slow
//! bodies), and drains on shutdown. Knows no routes.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::patience::Patient;
use super::reply::{Body, Reply};
use super::security::{Loaded, Security};
use crate::metrics::Task;

/// A refused body up to this size is read for this long, so that its sender sees the answer.
const LINGER_BYTES: u64 = 8 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// Limits of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// Time for a TLS handshake, and for the head of a request (and between two requests of one connection).
    pub head: Duration,
    /// Time for the body of a request.
    pub body: Duration,
    /// Time that a reader may take nothing of an answer before the connection is broken off.
    pub write: Duration,
    /// Time that requests under way get at shutdown.
    pub drain: Duration,
}

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub addr: SocketAddr,
    /// Over TLS.
    pub tls: bool,
    /// It presented a certificate that our CA signed.
    pub certificate: bool,
}

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// The answer to one request. `security` is what is in force now.
    fn handle<'a>(
        &'a self,
        request: Request<Incoming>,
        peer: Peer,
        security: &'a Loaded,
    ) -> BoxFuture<'a, Reply>;
}

/// Why a body could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// More than the limit.
    TooLarge,
    /// Not complete in time.
    TooSlow,
    /// The connection broke.
    Broken,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            head: Duration::from_secs(20),
            body: Duration::from_secs(10),
            write: Duration::from_secs(20),
            drain: Duration::from_secs(5),
        }
    }
}

// === impl BodyError ===

impl BodyError {
    /// The status to answer with.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// Takes the whole body, within `limit` bytes and `time`.
pub async fn read_body(body: Incoming, limit: usize, time: Duration) -> Result<Bytes, BodyError> {
    // A body that announces its size is refused before it is read.
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        if announced <= LINGER_BYTES {
            throw_away(body, time.min(LINGER)).await;
        }
        return Err(BodyError::TooLarge);
    }
    match tokio::time::timeout(time, Limited::new(body, limit).collect()).await {
        Err(_) => Err(BodyError::TooSlow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(e)) if e.downcast_ref::<LengthLimitError>().is_some() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
    }
}

/// Reads a body that nobody wants. Closing a connection on unread bytes resets it, and its sender might never see the answer.
async fn throw_away(mut body: Incoming, time: Duration) {
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    // Whoever does not send it gets the answer all the same.
    let _ = tokio::time::timeout(time, all).await;
}

/// Serves until `shutdown` says true, then lets requests under way finish.
pub async fn serve(
    listener: TcpListener,
    limits: Limits,
    security: Arc<Security>,
    handler: Arc<dyn Handler>,
    mut shutdown: watch::Receiver<bool>,
    task: Task,
) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    let mut heartbeat = tokio::time::interval(Duration::from_secs(1));
    loop {
        let accept = async {
            let permit = Arc::clone(&permits)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            (listener.accept().await, permit)
        };
        tokio::select! {
            // An ended sender is a shutdown too: nobody is left to say it.
            () = stopped(&mut shutdown) => break,
            _ = heartbeat.tick() => task.tick(),
            Some(_) = connections.join_next() => {}
            (accepted, permit) = accept => match accepted {
                Ok((stream, addr)) => {
                    let connection = Connection {
                        limits,
                        addr,
                        security: Arc::clone(&security),
                        handler: Arc::clone(&handler),
                        shutdown: shutdown.clone(),
                    };
                    connections.spawn(async move {
                        connection.run(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: at full speed this would only fill the log.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    let drained = tokio::time::timeout(limits.drain, async {
        while connections.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        tracing::warn!(left = connections.len(), "connections cut off at shutdown");
    }
    task.retire();
}

/// Waits for the shutdown, and lets go of the channel's lock.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

struct Connection {
    limits: Limits,
    addr: SocketAddr,
    security: Arc<Security>,
    handler: Arc<dyn Handler>,
    shutdown: watch::Receiver<bool>,
}

// === impl Connection ===

impl Connection {
    async fn run(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.security.current().tls.clone() else {
            return self.speak(stream, false, false).await;
        };
        match tokio::time::timeout(self.limits.head, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificate = stream.get_ref().1.peer_certificates().is_some();
                self.speak(stream, true, certificate).await;
            }
            Ok(Err(error)) => tracing::debug!(peer = %self.addr, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.addr, "TLS handshake took too long"),
        }
    }

    async fn speak<S>(mut self, stream: S, tls: bool, certificate: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = Peer {
            addr: self.addr,
            tls,
            certificate,
        };
        let (handler, security) = (&self.handler, &self.security);
        let service = service_fn(move |request: Request<Incoming>| async move {
            let head = request.method() == Method::HEAD;
            let (method, uri) = (request.method().clone(), request.uri().path().to_owned());
            // Looked up for each request: a token that was rotated out ends with it, on old connections too.
            let security = security.current();
            let mut reply = handler.handle(request, peer, &security).await;
            tracing::debug!(peer = %peer.addr, %method, uri, status = reply.status().as_u16(), "answered");
            finish(&mut reply, head, &security);
            Ok::<_, std::convert::Infallible>(reply)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_headers(64)
            .max_buf_size(64 * 1024)
            .serve_connection(
                TokioIo::new(Patient::new(stream, self.limits.write)),
                service,
            );
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut self.shutdown) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %peer.addr, %error, "connection ended");
        }
    }
}

fn finish(reply: &mut Reply, head: bool, security: &Loaded) {
    if let Some(length) = reply.body().whole_len() {
        reply
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if head {
        *reply.body_mut() = Body::Whole([].into());
    }
    let headers = reply.headers_mut();
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    for (name, value) in &security.headers {
        headers.insert(name.clone(), value.clone());
    }
}
