//! The public listener (`web.listen`, default 127.0.0.1:10061). Reads only; GET and HEAD only.
//!
//! | path | what |
//! |---|---|
//! | `/[?producer=CHAIN/NAME][&part=live]` | status page for people; one producer of many; what its script asks for again |
//! | `/metrics` | text format 0.0.4, gzip when accepted |
//! | `/-/healthy` | 200 while the process answers at all |
//! | `/-/ready` | 200 when every loop ticks, every chain has an agreed view and the journal can be written; else 503 with the reasons, one a line |
//! | `/api/v1/status` | the status as JSON |
//! | `/api/v1/decisions[?request_id=ID][&limit=N]` | decisions, newest first |
//! | `/api/v1/events` | server-sent events: `head`, `actuator`, `alive` |
//!
//! The control listener's table is in [`super::control`].

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::app::App;
use super::reply::{self, Reply};
use super::server::{BoxFuture, Handler, Peer};
use super::{Loaded, events, page, ready, status};
use crate::actuator::{DecisionRecord, JournalError};
use crate::clock;
use crate::metrics::CONTENT_TYPE;

/// The public listener's routes.
pub struct Public(pub Arc<App>);

/// Decisions given when no limit is asked for, and at most.
const DECISIONS: usize = 100;
const DECISIONS_MAX: usize = 1000;

impl Handler for Public {
    fn handle<'a>(
        &'a self,
        request: Request<Incoming>,
        peer: Peer,
        security: &'a Loaded,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            if security
                .auth
                .check(request.headers(), peer.certificate)
                .await
                .is_none()
            {
                return reply::unauthorized(security.auth.challenge());
            }
            let path = request.uri().path();
            if !is_known(path) {
                return reply::problem(
                    StatusCode::NOT_FOUND,
                    format!(
                        "no such page; the metrics are at /metrics, commands go to {}",
                        "control.listen"
                    ),
                );
            }
            if !matches!(*request.method(), Method::GET | Method::HEAD) {
                return reply::method_not_allowed("GET, HEAD");
            }
            self.get(&request, path).await
        })
    }
}

fn is_known(path: &str) -> bool {
    matches!(
        path,
        "/" | "/metrics"
            | "/-/healthy"
            | "/-/ready"
            | "/api/v1/status"
            | "/api/v1/decisions"
            | "/api/v1/events"
    )
}

// === impl Public ===

impl Public {
    async fn get(&self, request: &Request<Incoming>, path: &str) -> Reply {
        match path {
            "/metrics" => self.metrics(request).await,
            "/-/healthy" => reply::text(StatusCode::OK, "slotkeeper is healthy"),
            "/-/ready" => self.ready(),
            "/api/v1/status" => reply::compress(
                request.headers(),
                reply::json(StatusCode::OK, &status_of(&self.0).await),
            ),
            "/api/v1/decisions" => self.decisions(request).await,
            "/api/v1/events" => events::answer(&self.0, request.method()),
            _ => self.page(request).await,
        }
    }

    /// Rendered off the event loop, for ten thousand watched producers must not delay a webhook; at once where the page was
    /// rendered ahead and is sent as it is.
    async fn metrics(&self, request: &Request<Incoming>) -> Reply {
        if !reply::takes_gzip(request.headers())
            && let Some(page) = self.0.page_at_hand(clock::now_ms())
        {
            let page = reply::in_parts(StatusCode::OK, CONTENT_TYPE, page.parts());
            return reply::compress(request.headers(), page);
        }
        let (app, headers) = (Arc::clone(&self.0), request.headers().clone());
        let rendered = tokio::task::spawn_blocking(move || {
            let page = app.metrics_page(clock::now_ms());
            reply::compress(
                &headers,
                reply::in_parts(StatusCode::OK, CONTENT_TYPE, page.parts()),
            )
        });
        rendered.await.unwrap_or_else(|_| {
            reply::problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page could not be rendered; see the log",
            )
        })
    }

    fn ready(&self) -> Reply {
        let reasons = not_ready(&self.0);
        if reasons.is_empty() {
            reply::text(StatusCode::OK, "slotkeeper is ready")
        } else {
            reply::text(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n"))
        }
    }

    async fn decisions(&self, request: &Request<Incoming>) -> Reply {
        let query = super::form::parse(request.uri().query().unwrap_or(""));
        let limit = match query.get("limit").map(|l| l.parse::<usize>()) {
            None => DECISIONS,
            Some(Ok(n)) => n.min(DECISIONS_MAX),
            Some(Err(_)) => {
                return reply::problem(StatusCode::BAD_REQUEST, "limit is not a whole number");
            }
        };
        let request_id = query.get("request_id").cloned();
        match self.0.desk.decisions(request_id, limit).await {
            Ok(found) => reply::compress(
                request.headers(),
                reply::json(StatusCode::OK, &json!({"decisions": found})),
            ),
            Err(error) => reply::problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }

    async fn page(&self, request: &Request<Incoming>) -> Reply {
        let query = super::form::parse(request.uri().query().unwrap_or(""));
        let decisions = last_decisions(&self.0).await;
        let status = status_of(&self.0).await;
        let look = page::Look {
            now: clock::now_ms(),
            only: query.get("producer").map(String::as_str),
            controls: None,
        };
        let html = page::whole_or_live(
            query.get("part").is_some_and(|p| p == "live"),
            &status,
            &decisions,
            &look,
        );
        reply::compress(request.headers(), reply::html(StatusCode::OK, html))
    }
}

/// Why the process is not ready.
pub(super) fn not_ready(app: &App) -> Vec<String> {
    ready::reasons(
        &app.config,
        &app.snapshots(),
        &app.actuator(),
        &app.metrics.tasks,
        app.stopping(),
        clock::now_ms(),
    )
}

/// `/api/v1/status`, made off the event loop: of ten thousand producers it takes long enough to delay a webhook.
pub(super) async fn status_of(app: &Arc<App>) -> Value {
    let here = Arc::clone(app);
    let made = tokio::task::spawn_blocking(move || make_status(&here));
    made.await.unwrap_or(Value::Null)
}

fn make_status(app: &App) -> Value {
    let now = clock::now_ms();
    status::status(&status::Inputs {
        config: &app.config,
        snapshots: &app.snapshots(),
        actuator: &app.actuator(),
        heartbeats: &app.heartbeats.figures(now),
        not_ready: &not_ready(app),
        now,
    })
}

/// What the pages show of decisions.
pub(super) async fn last_decisions(app: &App) -> Result<Vec<DecisionRecord>, JournalError> {
    app.desk.decisions(None, 10).await
}
