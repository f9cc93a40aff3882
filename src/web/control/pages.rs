//! The control listener's pages: login, the page itself, "are you sure?", what became of a request.

use hyper::body::Incoming;
use hyper::header::{HeaderValue, SET_COOKIE};
use hyper::{Request, StatusCode};

use super::{Control, MAX_COMMAND, unavailable};
use crate::clock;
use crate::web::reply::{self, Reply};
use crate::web::routes::{last_decisions, status_of};
use crate::web::server::{Peer, read_body};
use crate::web::session::Session;
use crate::web::{Loaded, form, page};

impl Control {
    /// The login that forms on a page will carry: the caller's, or a new one for who came in another way.
    fn session(
        &self,
        found: Option<Session>,
        peer: Peer,
        security: &Loaded,
        render: impl FnOnce(&Session) -> Reply,
    ) -> Reply {
        let fresh = found.is_none();
        let Some(session) = found.or_else(|| self.app.sessions.begin(security.auth.stamp())) else {
            return unavailable("this system gives no random numbers");
        };
        let mut reply = render(&session);
        if fresh {
            set_cookie(&mut reply, &session, peer.tls);
        }
        reply
    }

    pub(super) async fn page(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        found: Option<Session>,
        security: &Loaded,
    ) -> Reply {
        let query = form::parse(request.uri().query().unwrap_or(""));
        let live = query.get("part").is_some_and(|p| p == "live");
        let decisions = last_decisions(&self.app).await;
        let status = status_of(&self.app).await;
        self.session(found, peer, security, |session| {
            let said = self.app.sessions.said(session, live);
            let look = page::Look {
                now: clock::now_ms(),
                only: query.get("producer").map(String::as_str),
                controls: Some(page::Controls {
                    csrf: &session.csrf,
                    said: said.as_deref(),
                }),
            };
            let html = page::whole_or_live(live, &status, &decisions, &look);
            reply::compress(request.headers(), reply::html(StatusCode::OK, html))
        })
    }

    /// "Are you sure?"
    pub(super) async fn confirm(
        &self,
        request: &Request<Incoming>,
        peer: Peer,
        found: Option<Session>,
        security: &Loaded,
    ) -> Reply {
        let query = form::parse(request.uri().query().unwrap_or(""));
        let verb = query.get("verb").map_or("", String::as_str);
        let producer = query.get("producer").map(String::as_str);
        let status = status_of(&self.app).await;
        self.session(found, peer, security, |session| {
            match page::confirm(&status, verb, producer, &session.csrf) {
                Some(html) => reply::html(StatusCode::OK, html),
                None => reply::html(
                    StatusCode::NOT_FOUND,
                    page::problem("There is no such order, or no such producer with keys here."),
                ),
            }
        })
    }

    /// What became of a request.
    pub(super) async fn outcome(
        &self,
        id: &str,
        request: &Request<Incoming>,
        peer: Peer,
        found: Option<Session>,
        security: &Loaded,
    ) -> Reply {
        let query = form::parse(request.uri().query().unwrap_or(""));
        let decisions = self.app.desk.decisions(Some(id.to_owned()), 20).await;
        let now = clock::now_ms();
        if query.get("part").is_some_and(|p| p == "live") {
            let mut out = String::new();
            page::request_live(&mut out, id, &decisions, now);
            return reply::html(StatusCode::OK, out);
        }
        self.session(found, peer, security, |session| {
            reply::html(
                StatusCode::OK,
                page::request(id, &decisions, now, &session.csrf),
            )
        })
    }

    pub(super) async fn login(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        security: &Loaded,
    ) -> Reply {
        let Ok(body) = read_body(request.into_body(), MAX_COMMAND, self.limits.body).await else {
            return login_page(security);
        };
        let token = form::parse(&String::from_utf8_lossy(&body)).remove("token");
        if !token.is_some_and(|t| security.auth.knows_token(t.trim())) {
            tracing::warn!(peer = %peer.addr, "a login with a wrong token");
            return reply::html(
                StatusCode::UNAUTHORIZED,
                page::login(Some("That is not the token.")),
            );
        }
        self.session(None, peer, security, |_| reply::see_other("/"))
    }
}

pub(super) fn login_page(security: &Loaded) -> Reply {
    if !security.auth.has_token() {
        return reply::unauthorized(security.auth.challenge());
    }
    let mut reply = reply::html(StatusCode::UNAUTHORIZED, page::login(None));
    // With users configured, a browser may as well ask for one.
    if let Ok(challenge) = HeaderValue::from_str(security.auth.challenge()) {
        reply
            .headers_mut()
            .insert(hyper::header::WWW_AUTHENTICATE, challenge);
    }
    reply
}

fn set_cookie(reply: &mut Reply, session: &Session, tls: bool) {
    if let Ok(cookie) = HeaderValue::from_str(&session.cookie(tls)) {
        reply.headers_mut().insert(SET_COOKIE, cookie);
    }
}
