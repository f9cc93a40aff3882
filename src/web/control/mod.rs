//! The control listener (`control.listen`, default 127.0.0.1:10062): the only one that can change anything. Every caller is
//! judged by its credentials before its body is read.
//!
//! | method, path | what | answers |
//! |---|---|---|
//! | `POST /api/v1/alertmanager` | the webhook | 200 `{"results":[…]}`, 400, 401, 403, 408, 413, 429, 503 |
//! | `POST /-/reload` | reads the configuration again | 202, 500 |
//! | `POST /api/v1/arm`, `/api/v1/disarm` | the global switch | 200, 409, 503 |
//! | `POST /api/v1/producers/{chain}/{producer}/{verb}` | `arm`, `disarm`, `pin`, `unpin`, `maintenance`, `failover`, `switchover`, `disable`, `enable`, `rehearse`; body `{to?, until?, override_reason?}` | 202 `{"request_id"}`, 400, 404, 409, 503 |
//! | `GET /` (`?producer=CHAIN/NAME`) | control page | 200, 401 |
//! | `GET /confirm?verb=VERB[&producer=CHAIN/NAME]` | "are you sure?": what an order will do, and its form | 200, 401, 404 |
//! | `GET /requests/{id}` | what became of a request | 200, 401 |
//! | `GET /api/v1/events` | as on the public listener: what keeps these pages true | 200, 401, 503 |
//! | `POST /login`, `/logout` | session of the control page | 303, 401 |
//!
//! **Browsers.** A POST that another site's page made is refused (403): `Origin` must name this host. Forms carry a
//! session's CSRF token. Where nothing is configured to authenticate (loopback only), `Host` must be loopback too, so
//! that a name rebound to 127.0.0.1 opens nothing.

mod pages;

use std::sync::Arc;

use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use serde_json::json;

use super::app::App;
use super::auth::Who;
use super::browser::from_here;
use super::order::{Order, verb};
use super::reply::{self, Reply};
use super::server::{BoxFuture, Handler, Limits, Peer, read_body};
use super::session::Session;
use super::{Loaded, events, form, page};
use crate::actuator::{OperateError, OperatorCommand, Verb};
use crate::alertmanager::{Answer, MAX_BODY};
use crate::clock;

/// The control listener's routes.
pub struct Control {
    /// What they stand on.
    pub app: Arc<App>,
    /// Time for a body.
    pub limits: Limits,
}

/// Commands are small.
const MAX_COMMAND: usize = 16 * 1024;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Page,
    Confirm,
    Outcome(String),
    Events,
    Login,
    Logout,
    Webhook,
    Reload,
    Arm(bool),
    Producer {
        chain: String,
        producer: String,
        verb: Verb,
    },
}

/// A body and how its caller proved itself.
struct Given {
    body: Bytes,
    /// The login of a form of the control page: it is answered with a page.
    form: Option<Session>,
}

// === impl Route ===

impl Route {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Page,
            "/confirm" => Self::Confirm,
            "/api/v1/events" => Self::Events,
            "/login" => Self::Login,
            "/logout" => Self::Logout,
            "/api/v1/alertmanager" => Self::Webhook,
            "/-/reload" => Self::Reload,
            "/api/v1/arm" => Self::Arm(true),
            "/api/v1/disarm" => Self::Arm(false),
            _ => {
                if let Some(id) = path.strip_prefix("/requests/") {
                    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
                    return (!id.is_empty() && id.len() < 64 && id.chars().all(plain))
                        .then(|| Self::Outcome(id.to_owned()));
                }
                let mut parts = path.strip_prefix("/api/v1/producers/")?.split('/');
                let (chain, producer) = (parts.next()?, parts.next()?);
                let verb = verb(parts.next()?)?;
                if parts.next().is_some() {
                    return None;
                }
                Self::Producer {
                    chain: form::segment(chain),
                    producer: form::segment(producer),
                    verb,
                }
            }
        })
    }

    /// Read by a GET; everything else is an order.
    fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Page | Self::Confirm | Self::Outcome(_) | Self::Events
        )
    }
}

impl Handler for Control {
    fn handle<'a>(
        &'a self,
        request: Request<Incoming>,
        peer: Peer,
        security: &'a Loaded,
    ) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let route = Route::of(request.uri().path());
            let webhook = route == Some(Route::Webhook);
            let reply = self.route(route, request, peer, security).await;
            if webhook {
                self.app.webhook.counters().request(reply.status().as_u16());
            }
            reply
        })
    }
}

// === impl Control ===

impl Control {
    async fn route(
        &self,
        route: Option<Route>,
        request: Request<Incoming>,
        peer: Peer,
        security: &Loaded,
    ) -> Reply {
        if let Err(why) = from_here(request.method(), request.headers(), peer, security) {
            return reply::problem(StatusCode::FORBIDDEN, why);
        }
        let who = security
            .auth
            .check(request.headers(), peer.certificate)
            .await;
        let session = self
            .app
            .sessions
            .find(request.headers(), security.auth.stamp());
        if who.is_none() && session.is_none() {
            return match route {
                Some(Route::Page | Route::Confirm | Route::Outcome(_))
                    if *request.method() == Method::GET =>
                {
                    pages::login_page(security)
                }
                Some(Route::Login) if *request.method() == Method::POST => {
                    self.login(request, peer, security).await
                }
                _ => reply::unauthorized(security.auth.challenge()),
            };
        }
        let Some(route) = route else {
            return reply::problem(
                StatusCode::NOT_FOUND,
                "no such command; metrics and status are on the other listener (web.listen)",
            );
        };
        let (wanted, allow) = if route.is_read() {
            (&[Method::GET, Method::HEAD][..], "GET, HEAD")
        } else {
            (&[Method::POST][..], "POST")
        };
        if !wanted.contains(request.method()) {
            return reply::method_not_allowed(allow);
        }
        match route {
            Route::Page => self.page(request, peer, session, security).await,
            Route::Confirm => self.confirm(&request, peer, session, security).await,
            Route::Outcome(id) => self.outcome(&id, &request, peer, session, security).await,
            Route::Events => events::answer(&self.app, request.method()),
            Route::Webhook if who.is_some() => self.webhook(request).await,
            Route::Webhook => reply::unauthorized(security.auth.challenge()),
            Route::Login => reply::see_other("/"),
            route => match self.given(request, who.as_ref(), session.as_ref()).await {
                Ok(given) => self.command(route, given, session).await,
                Err(reply) => reply,
            },
        }
    }

    async fn webhook(&self, request: Request<Incoming>) -> Reply {
        if self.app.stopping() {
            return unavailable("shutting down");
        }
        let body = match read_body(request.into_body(), MAX_BODY, self.limits.body).await {
            Ok(body) => body,
            Err(why) => {
                let what = format!(
                    "the body must be complete within {} s and at most 1 MiB",
                    self.limits.body.as_secs()
                );
                return reply::problem(why.status(), what);
            }
        };
        match self.app.webhook.receive(&body, clock::now_ms()).await {
            Answer::Results(rows) => reply::json(StatusCode::OK, &json!({"results": rows})),
            Answer::Unparsable(why) => reply::problem(StatusCode::BAD_REQUEST, why),
            Answer::Flood => reply::problem(
                StatusCode::TOO_MANY_REQUESTS,
                "more than 500 alerts a second; group them or raise group_interval",
            ),
            Answer::Unavailable(why) => unavailable(&why),
        }
    }

    /// The body of a command, once its caller may give one.
    async fn given(
        &self,
        request: Request<Incoming>,
        who: Option<&Who>,
        session: Option<&Session>,
    ) -> Result<Given, Reply> {
        let is_form = request.headers().get(CONTENT_TYPE).is_some_and(|t| {
            t.as_bytes()
                .starts_with(b"application/x-www-form-urlencoded")
        });
        let header = request
            .headers()
            .get("x-csrf-token")
            .and_then(|t| t.to_str().ok())
            .map(str::to_owned);
        let body = read_body(request.into_body(), MAX_COMMAND, self.limits.body)
            .await
            .map_err(|why| {
                reply::problem(
                    why.status(),
                    "the body of a command is small and comes at once",
                )
            })?;
        // Browsers send cookies by themselves, so a session alone proves nothing about who wrote the request; nor does a
        // form, whatever else came with it.
        if is_form || who.is_none() {
            let token = if is_form {
                form::parse(&String::from_utf8_lossy(&body)).remove("csrf")
            } else {
                header
            };
            let known = session.zip(token).is_some_and(|(s, token)| s.knows(&token));
            if !known {
                return Err(reply::problem(
                    StatusCode::FORBIDDEN,
                    "the form's token does not belong to this login: load the control page again",
                ));
            }
        }
        Ok(Given {
            body,
            form: session.filter(|_| is_form).cloned(),
        })
    }

    async fn command(&self, route: Route, given: Given, session: Option<Session>) -> Reply {
        match route {
            Route::Reload => self.reload(given.form.is_some()).await,
            Route::Arm(armed) => self.arm(armed, given.form.as_ref()).await,
            Route::Producer {
                chain,
                producer,
                verb,
            } => self.operate(chain, producer, verb, &given).await,
            Route::Logout => {
                if let Some(session) = session {
                    self.app.sessions.end(&session);
                }
                reply::see_other("/")
            }
            _ => reply::problem(StatusCode::NOT_FOUND, "no such command"),
        }
    }

    /// A reload starts everything anew, logins too: its page is the answer itself.
    async fn reload(&self, form: bool) -> Reply {
        match (self.app.reload)().await {
            Ok(()) if form => reply::html(
                StatusCode::OK,
                page::notice(
                    "The configuration is reloaded. Logins ended with the old one: log in again.",
                ),
            ),
            Ok(()) => reply::json(StatusCode::ACCEPTED, &json!({"reloaded": true})),
            Err(why) => {
                tracing::error!(
                    why,
                    "the configuration could not be reloaded; the old one stays in force"
                );
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                if form {
                    let what = format!("Not reloaded, the old configuration stays in force: {why}");
                    return reply::html(status, page::problem(&what));
                }
                reply::problem(status, why)
            }
        }
    }

    async fn arm(&self, armed: bool, form: Option<&Session>) -> Reply {
        match self.app.desk.arm_all(armed).await {
            Ok(()) => match form {
                Some(session) if armed => {
                    self.back(session, "Armed: a fault is acted on from now on.")
                }
                Some(session) => self.back(
                    session,
                    "Disarmed: nothing is switched but by a person's hand.",
                ),
                None => reply::json(StatusCode::OK, &json!({"armed": armed})),
            },
            Err(error) => self.failed(form, status_of_error(&error), &error.to_string()),
        }
    }

    /// Back to the control page, which says it once.
    fn back(&self, session: &Session, said: &str) -> Reply {
        self.app.sessions.say(session, said.to_owned());
        reply::see_other("/")
    }

    fn failed(&self, form: Option<&Session>, status: StatusCode, why: &str) -> Reply {
        match form {
            Some(session) => self.back(session, &format!("Not done: {why}")),
            None => reply::problem(status, why),
        }
    }

    async fn operate(&self, chain: String, producer: String, verb: Verb, given: &Given) -> Reply {
        let order = if given.form.is_some() {
            Order::from_form(&form::parse(&String::from_utf8_lossy(&given.body)))
        } else {
            Order::from_json(&given.body)
        };
        let checked = order.and_then(|o| o.check(self.app.prefix(&chain), clock::now_ms()));
        let (to, until, override_reason) = match checked {
            Ok(checked) => checked,
            Err(why) => return self.failed(given.form.as_ref(), StatusCode::BAD_REQUEST, &why),
        };
        let command = OperatorCommand {
            chain,
            producer,
            verb,
            to,
            until,
            override_reason,
        };
        tracing::info!(?command, "operator command");
        let decided = verb.switches();
        let done = format!("{}/{}: {}", command.chain, command.producer, done(verb));
        match (self.app.desk.operate(command).await, &given.form) {
            (Ok(id), None) => reply::json(StatusCode::ACCEPTED, &json!({"request_id": id})),
            (Ok(id), Some(_)) if decided => reply::see_other(&format!("/requests/{id}")),
            (Ok(id), Some(session)) => self.back(session, &format!("{done} (request {id}).")),
            (Err(error), form) => {
                self.failed(form.as_ref(), status_of_error(&error), &error.to_string())
            }
        }
    }
}

/// What a standing order has done.
fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::Arm => "armed",
        Verb::Disarm => "disarmed",
        Verb::Pin => "pinned, left alone from now on",
        Verb::Unpin => "unpinned",
        Verb::Maintenance => "maintenance noted",
        _ => "accepted",
    }
}

fn unavailable(why: &str) -> Reply {
    let mut reply = reply::problem(StatusCode::SERVICE_UNAVAILABLE, why);
    reply
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

fn status_of_error(error: &OperateError) -> StatusCode {
    match error {
        OperateError::UnknownProducer(_) => StatusCode::NOT_FOUND,
        OperateError::Invalid(_) => StatusCode::BAD_REQUEST,
        OperateError::Refused(_) => StatusCode::CONFLICT,
        OperateError::Journal(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_the_table_says() {
        assert_eq!(Route::of("/"), Some(Route::Page));
        assert_eq!(Route::of("/api/v1/arm"), Some(Route::Arm(true)));
        assert_eq!(
            Route::of("/requests/r-01"),
            Some(Route::Outcome("r-01".into()))
        );
        assert_eq!(
            Route::of("/api/v1/producers/steem/al%69ce/failover"),
            Some(Route::Producer {
                chain: "steem".into(),
                producer: "alice".into(),
                verb: Verb::Failover
            })
        );
        for nowhere in [
            "/x",
            "/requests/",
            "/requests/../x",
            "/requests/%3Cscript%3E",
            "/api/v1/producers/steem/alice",
            "/api/v1/producers/steem/alice/explode",
            "/api/v1/producers/a/b/arm/c",
            "/metrics",
        ] {
            assert_eq!(Route::of(nowhere), None, "{nowhere}");
        }
    }
}
