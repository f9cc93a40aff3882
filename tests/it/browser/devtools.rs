//! The DevTools protocol over one WebSocket: commands with their answers, and every event in order, for each session.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_tungstenite::tungstenite::Message;

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) session: String,
    pub(crate) method: String,
    pub(crate) params: Value,
}

/// A connection. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Devtools {
    inner: Arc<Inner>,
}

struct Inner {
    next: AtomicU64,
    out: mpsc::UnboundedSender<String>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    events: Mutex<Vec<Event>>,
    seen: watch::Sender<usize>,
}

// === impl Devtools ===

impl Devtools {
    /// Connects to the browser at a `ws://` address.
    pub(crate) async fn connect(address: &str) -> Self {
        let host = address
            .strip_prefix("ws://")
            .and_then(|rest| rest.split('/').next())
            .expect("a ws:// address");
        let stream = TcpStream::connect(host).await.expect("the browser listens");
        stream.set_nodelay(true).expect("a socket");
        let (socket, _) = tokio_tungstenite::client_async(address, stream)
            .await
            .expect("DevTools answers");
        let (mut sink, mut source) = socket.split();
        let (out, mut queue) = mpsc::unbounded_channel::<String>();
        let inner = Arc::new(Inner {
            next: AtomicU64::new(1),
            out,
            waiting: Mutex::default(),
            events: Mutex::default(),
            seen: watch::channel(0).0,
        });
        let reader = Arc::downgrade(&inner);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    text = queue.recv() => match text {
                        Some(text) => if sink.send(Message::text(text)).await.is_err() { return },
                        None => return,
                    },
                    message = source.next() => {
                        let (Some(Ok(message)), Some(inner)) = (message, reader.upgrade()) else { return };
                        if let Ok(text) = message.to_text() {
                            inner.take(serde_json::from_str(text).unwrap_or(Value::Null));
                        }
                    }
                }
            }
        });
        Self { inner }
    }

    /// Gives a command and waits for its answer.
    pub(crate) async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        let id = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.inner.waiting.lock().unwrap().insert(id, tell);
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = json!(session);
        }
        self.inner
            .out
            .send(command.to_string())
            .map_err(|_| format!("{method}: the browser is gone"))?;
        let mut answer = tokio::time::timeout(super::PATIENCE, told)
            .await
            .map_err(|_| format!("{method}: no answer"))?
            .map_err(|_| format!("{method}: the browser is gone"))?;
        match answer.get("error") {
            Some(error) => Err(format!("{method}: {error}")),
            None => Ok(answer["result"].take()),
        }
    }

    /// How many events there have been: where to look from.
    pub(crate) fn mark(&self) -> usize {
        self.inner.events.lock().unwrap().len()
    }

    /// Events of a session since `mark`.
    pub(crate) fn since(&self, mark: usize, session: &str) -> Vec<Event> {
        let events = self.inner.events.lock().unwrap();
        events[mark..]
            .iter()
            .filter(|e| e.session == session)
            .cloned()
            .collect()
    }

    /// Waits for an event of a session after `mark`.
    pub(crate) async fn event(
        &self,
        mark: usize,
        session: &str,
        what: &str,
        wanted: impl Fn(&Event) -> bool,
    ) -> Event {
        let mut seen = self.inner.seen.subscribe();
        let wait = async {
            loop {
                seen.borrow_and_update();
                if let Some(event) = self.since(mark, session).into_iter().find(&wanted) {
                    return event;
                }
                if seen.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(super::PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("never happened in the browser: {what}"))
    }
}

// === impl Inner ===

impl Inner {
    fn take(&self, mut message: Value) {
        if let Some(id) = message["id"].as_u64() {
            if let Some(tell) = self.waiting.lock().unwrap().remove(&id) {
                let _ = tell.send(message);
            }
            return;
        }
        let event = Event {
            session: message["sessionId"].as_str().unwrap_or("").to_owned(),
            method: message["method"].as_str().unwrap_or("").to_owned(),
            params: message["params"].take(),
        };
        let mut events = self.events.lock().unwrap();
        events.push(event);
        self.seen.send_replace(events.len());
    }
}
