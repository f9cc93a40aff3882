//! `/api/v1/events`: what happens, as server-sent events. `head` for each new agreed head, `actuator` for everything the
//! actuator does, `alive` every few seconds with the time here, so that a follower notices a line that is dead. One that
//! cannot keep up is told `lagged` and goes on with the newest; one that reads nothing loses its place.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

use super::app::App;
use super::reply::{self, Body, Reply};
use super::status::rfc3339;
use crate::clock;
use crate::watch::Snapshot;

/// Silence for longer than a few of these means that nobody is there.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The answer to a question for the stream.
pub(super) fn answer(app: &Arc<App>, method: &Method) -> Reply {
    if *method == Method::HEAD {
        return reply::with_type(StatusCode::OK, "text/event-stream", "");
    }
    follow(app)
}

/// Starts a stream of events.
fn follow(app: &Arc<App>) -> Reply {
    let Ok(place) = Arc::clone(&app.followers).try_acquire_owned() else {
        return reply::problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many followers of events; try again later",
        );
    };
    let (pieces, body) = mpsc::channel(64);
    let app = Arc::clone(app);
    tokio::spawn(async move {
        // Ends when the follower is gone, when the process goes down, or when the actuator is.
        let mut shutdown = app.shutdown.clone();
        tokio::select! {
            () = feed(&app, &pieces) => {}
            () = pieces.closed() => {}
            () = async { let _ = shutdown.wait_for(|s| *s).await; } => {}
        }
        drop(place);
    });
    let mut reply = Reply::new(Body::Stream(body));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    reply
}

async fn feed(app: &App, pieces: &mpsc::Sender<Bytes>) {
    let mut happenings = app.desk.events();
    if pieces
        .send(Bytes::from_static(b"retry: 3000\n\n"))
        .await
        .is_err()
    {
        return;
    }
    let mut heads = JoinSet::new();
    for snapshots in app.snapshots.values() {
        heads.spawn(feed_heads(snapshots.clone(), pieces.clone()));
    }
    let mut keep_alive = tokio::time::interval(KEEP_ALIVE);
    loop {
        let piece = tokio::select! {
            _ = keep_alive.tick() => sse("alive", &json!({"now": clock::now_ms()})),
            happened = happenings.recv() => match happened {
                Ok(event) => sse("actuator", &json!(event)),
                Err(broadcast::error::RecvError::Lagged(n)) => sse("lagged", &json!({"events": n})),
                Err(broadcast::error::RecvError::Closed) => return,
            },
        };
        if pieces.send(piece).await.is_err() {
            return;
        }
    }
}

async fn feed_heads(mut snapshots: watch::Receiver<Arc<Snapshot>>, pieces: mpsc::Sender<Bytes>) {
    let mut shown = None;
    loop {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        let head = snapshot.last_view.as_ref().map(|v| v.head.num);
        let agreed = snapshot.agreement.is_ok();
        if shown != Some((head, agreed)) {
            shown = Some((head, agreed));
            if pieces
                .send(sse("head", &head_event(&snapshot)))
                .await
                .is_err()
            {
                return;
            }
        }
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

fn head_event(snapshot: &Snapshot) -> Value {
    let view = snapshot.last_view.as_ref();
    json!({
        "chain": snapshot.chain,
        "head": view.map(|v| v.head.num),
        "head_time": view.map(|v| rfc3339(v.head.time)),
        "agreed": snapshot.agreement.is_ok(),
        "disagreement": snapshot.agreement.as_ref().err().map(ToString::to_string),
    })
}

/// JSON has no raw line breaks, so one `data:` line always suffices.
fn sse(event: &str, data: &Value) -> Bytes {
    format!("event: {event}\ndata: {data}\n\n").into()
}
