//! JSON-RPC over a websocket (BitShares): one connection that questions share, matched by id, and a fresh one per
//! broadcast. The connection is opened by [`Transport`], so that TLS, names and failures are those of every other request;
//! bounds the size of an answer, no time. A question that is given up takes the connection with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{SinkExt, StreamExt};
use reqwest::{Upgraded, Url};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::failure::{self, failure};
use super::jsonrpc::{self, Said};
use super::transport::{Facts, Kind, MAX_BODY, Transport};
use super::types::{EndpointError, RpcOutcome};
use crate::chain::{Call, Reply};

/// Messages that answer nothing, one after another, before the endpoint is left: nobody subscribes to notices here.
const MOST_NOTICES: usize = 1_000;
/// Questions on their way into the connection.
const QUEUE: usize = 64;

type Answer = Result<Reply, EndpointError>;
type Pending = Mutex<HashMap<u64, oneshot::Sender<Answer>>>;

/// The websocket of one endpoint.
#[derive(Default)]
pub(super) struct Socket {
    /// Held while it is opened: eight questions at once open one connection.
    kept: tokio::sync::Mutex<Option<Arc<Connection>>>,
}

/// An open connection: a task of its own owns it, and ends when this is dropped.
struct Connection {
    questions: mpsc::Sender<Question>,
    next_id: AtomicU64,
    task: AbortHandle,
}

struct Question {
    id: u64,
    body: Vec<u8>,
    answer: oneshot::Sender<Answer>,
}

/// Closes the connection unless the answer came.
struct Closing<'a>(Option<&'a Connection>);

/// Why there is no answer.
enum Lost {
    /// The connection ended before it.
    Closed(EndpointError),
    /// Everything else.
    Failed(EndpointError),
}

// === impl Socket ===

impl Socket {
    /// One call. A question goes over the kept connection, and once more over a fresh one when that turns out to be closed;
    /// a broadcast goes once, over a fresh one.
    pub(super) async fn one(
        &self,
        transport: &Transport,
        url: &Url,
        call: &Call,
        kind: Kind,
        facts: &mut Facts,
    ) -> Answer {
        if kind == Kind::Broadcast {
            let fresh = Connection::open(transport, url, facts).await?;
            return fresh.ask(call).await.map_err(Lost::into_error);
        }
        let (connection, fresh) = self.connection(transport, url, facts, None).await?;
        match connection.ask(call).await {
            Err(Lost::Closed(_)) if !fresh => {
                let dead = Some(&connection);
                let (again, _) = self.connection(transport, url, facts, dead).await?;
                again.ask(call).await.map_err(Lost::into_error)
            }
            other => other.map_err(Lost::into_error),
        }
    }

    /// The kept connection, or a fresh one; never `dead`. Says whether it is fresh.
    async fn connection(
        &self,
        transport: &Transport,
        url: &Url,
        facts: &mut Facts,
        dead: Option<&Arc<Connection>>,
    ) -> Result<(Arc<Connection>, bool), EndpointError> {
        let mut kept = self.kept.lock().await;
        let usable = kept.as_ref().filter(|open| {
            !open.questions.is_closed() && dead.is_none_or(|dead| !Arc::ptr_eq(dead, open))
        });
        if let Some(open) = usable {
            return Ok((Arc::clone(open), false));
        }
        *kept = None;
        let fresh = Arc::new(Connection::open(transport, url, facts).await?);
        *kept = Some(Arc::clone(&fresh));
        Ok((fresh, true))
    }
}

// === impl Connection ===

impl Connection {
    async fn open(
        transport: &Transport,
        url: &Url,
        facts: &mut Facts,
    ) -> Result<Self, EndpointError> {
        let upgraded = transport.upgrade(url, facts).await?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_BODY))
            .max_frame_size(Some(MAX_BODY));
        let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await;
        let (questions, incoming) = mpsc::channel(QUEUE);
        Ok(Self {
            questions,
            next_id: AtomicU64::new(1),
            task: tokio::spawn(converse(stream, incoming)).abort_handle(),
        })
    }

    async fn ask(&self, call: &Call) -> Result<Reply, Lost> {
        let mut closing = Closing(Some(self));
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let question = Question {
            id,
            body: jsonrpc::numbered(call, id),
            answer,
        };
        if self.questions.send(question).await.is_err() {
            return Err(Lost::Closed(closed()));
        }
        match answered.await {
            Ok(Ok(reply)) => {
                closing.0 = None;
                Ok(reply)
            }
            Ok(Err(error)) if error.outcome == RpcOutcome::Refused => Err(Lost::Closed(error)),
            Ok(Err(error)) => Err(Lost::Failed(error)),
            Err(_) => Err(Lost::Closed(closed())),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            connection.task.abort();
        }
    }
}

// === impl Lost ===

impl Lost {
    fn into_error(self) -> EndpointError {
        match self {
            Self::Closed(error) | Self::Failed(error) => error,
        }
    }
}

/// Carries questions out and answers in until the connection ends; then everybody who still waits learns why.
async fn converse(stream: WebSocketStream<Upgraded>, mut incoming: mpsc::Receiver<Question>) {
    let pending = Pending::default();
    let (mut sink, mut messages) = stream.split();
    let speak = async {
        while let Some(question) = incoming.recv().await {
            lock(&pending).insert(question.id, question.answer);
            let text = String::from_utf8_lossy(&question.body).into_owned();
            if let Err(error) = sink.send(Message::text(text)).await {
                return broken(&error);
            }
        }
        closed()
    };
    let hear = async {
        let mut notices = 0_usize;
        loop {
            match messages.next().await {
                None => return closed(),
                Some(Err(error)) => return broken(&error),
                Some(Ok(message)) => match take(&pending, &message) {
                    Ok(true) => notices = 0,
                    Ok(false) if notices < MOST_NOTICES => notices += 1,
                    Ok(false) => {
                        return failure(RpcOutcome::Malformed, "it sends what nobody asked for");
                    }
                    Err(error) => return error,
                },
            }
        }
    };
    let why = tokio::select! {
        why = speak => why,
        why = hear => why,
    };
    for (_, answer) in lock(&pending).drain() {
        // Whoever asked may have given up.
        let _ = answer.send(Err(why.clone()));
    }
}

/// Hands a message to whom it answers; `false` when it answers nobody.
fn take(pending: &Pending, message: &Message) -> Result<bool, EndpointError> {
    let body = match message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
        Message::Close(_) => return Err(closed()),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(false),
    };
    let mut pending = lock(pending);
    let (id, reply) = match jsonrpc::parse_message(body) {
        Said::Notice => return Ok(false),
        Said::Malformed(why) => return Err(failure(RpcOutcome::Malformed, why)),
        Said::Reply(id, reply) => (id, reply),
    };
    let id = match id {
        Some(id) => id,
        // An error before the request was understood names no id: sure only when one question is open.
        None if reply.is_err() && pending.len() == 1 => {
            pending.keys().next().copied().unwrap_or_default()
        }
        None => return Err(failure(RpcOutcome::Malformed, "the reply carries no id")),
    };
    let Some(answer) = pending.remove(&id) else {
        return Err(failure(
            RpcOutcome::Malformed,
            "the reply carries another request's id",
        ));
    };
    let _ = answer.send(Ok(reply));
    Ok(true)
}

fn broken(error: &WsError) -> EndpointError {
    match error {
        WsError::Capacity(_) => failure(
            RpcOutcome::TooLarge,
            format!("the message is larger than {} MiB", MAX_BODY >> 20),
        ),
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing,
        ) => closed(),
        WsError::Io(cause) => failure::of_io(cause),
        _ => failure(RpcOutcome::Malformed, "what came is no websocket message"),
    }
}

fn closed() -> EndpointError {
    failure(
        RpcOutcome::Refused,
        "the connection was closed before a reply",
    )
}

/// A poisoned lock only means that a panic happened elsewhere; the data stays usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
