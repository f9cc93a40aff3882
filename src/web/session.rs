//! Logins on the control page: a random id in a SameSite=Strict, HttpOnly cookie, and for each a CSRF token that its
//! forms carry. In memory only: a restart logs everybody out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::COOKIE;
use subtle::ConstantTimeEq;

use crate::clock::Stopwatch;

/// All logins.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Mutex<HashMap<String, Open>>,
}

/// One login.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The cookie's value.
    pub id: String,
    /// What its forms carry.
    pub csrf: String,
}

#[derive(Debug)]
struct Open {
    /// Counts up with each login.
    nth: u64,
    csrf: String,
    since: Stopwatch,
    /// The ways in when it was opened.
    stamp: [u8; 32],
    /// What the last order came to, until a page has said it.
    said: Option<String>,
    /// What the page that is looked at now says.
    shown: Option<String>,
}

const COOKIE_NAME: &str = "slotkeeper_session";
/// A login lasts a shift.
const LASTS: Duration = Duration::from_secs(8 * 3600);
/// More logins than this at a time are somebody playing.
const AT_MOST: usize = 256;

// === impl Session ===

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// The `Set-Cookie` value.
    #[must_use]
    pub fn cookie(&self, tls: bool) -> String {
        format!(
            "{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{}",
            self.id,
            LASTS.as_secs(),
            if tls { "; Secure" } else { "" }
        )
    }

    /// Whether `csrf` is this session's.
    #[must_use]
    pub fn knows(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

// === impl Sessions ===

impl Sessions {
    /// Begins a login. `None` when the system gives no random numbers.
    /// `stamp`: of the ways in; when these change, it ends.
    pub fn begin(&self, stamp: [u8; 32]) -> Option<Session> {
        let session = Session {
            id: random()?,
            csrf: random()?,
        };
        let mut open = self.lock();
        open.retain(|_, o| o.since.elapsed() < LASTS);
        if open.len() >= AT_MOST {
            let oldest = open
                .iter()
                .min_by_key(|(_, o)| o.nth)
                .map(|(id, _)| id.clone());
            oldest.and_then(|id| open.remove(&id));
        }
        let newest = open.values().map(|o| o.nth).max();
        open.insert(
            session.id.clone(),
            Open {
                nth: newest.map_or(0, |n| n.saturating_add(1)),
                csrf: session.csrf.clone(),
                since: Stopwatch::start(),
                stamp,
                said: None,
                shown: None,
            },
        );
        Some(session)
    }

    /// The login that a request's cookie names.
    #[must_use]
    pub fn find(&self, headers: &HeaderMap, stamp: [u8; 32]) -> Option<Session> {
        let id = headers
            .get_all(COOKIE)
            .into_iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == COOKIE_NAME)
            .map(|(_, id)| id.to_owned())?;
        let open = self.lock();
        let found = open
            .get(&id)
            .filter(|o| o.since.elapsed() < LASTS && o.stamp == stamp)?;
        Some(Session {
            csrf: found.csrf.clone(),
            id,
        })
    }

    /// Keeps what an order came to for the next page.
    pub fn say(&self, session: &Session, what: String) {
        if let Some(open) = self.lock().get_mut(&session.id) {
            open.said = Some(what);
        }
    }

    /// What a page of this login has to say. `again`: the same page, asked for once more.
    #[must_use]
    pub fn said(&self, session: &Session, again: bool) -> Option<String> {
        let mut all = self.lock();
        let open = all.get_mut(&session.id)?;
        if !again {
            open.shown = open.said.take();
        }
        open.shown.clone()
    }

    /// Ends a login.
    pub fn end(&self, session: &Session) {
        self.lock().remove(&session.id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random() -> Option<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(crate::hex::encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_found_by_its_cookie_and_by_nothing_else() {
        let sessions = Sessions::default();
        let one = sessions.begin([7; 32]).unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(sessions.find(&headers, [7; 32]), None);
        headers.insert(COOKIE, "a=b; slotkeeper_session=00".parse().unwrap());
        assert_eq!(sessions.find(&headers, [7; 32]), None);
        let cookie = one.cookie(true);
        assert!(cookie.contains("HttpOnly; SameSite=Strict") && cookie.ends_with("; Secure"));
        headers.insert(
            COOKIE,
            format!("a=b; {}", cookie.split(';').next().unwrap())
                .parse()
                .unwrap(),
        );
        let found = sessions.find(&headers, [7; 32]).unwrap();
        assert!(found.knows(&one.csrf) && !found.knows("") && !found.knows(&one.id));
        assert_eq!(
            sessions.find(&headers, [8; 32]),
            None,
            "the token was changed"
        );
        sessions.say(&found, "done".into());
        assert_eq!(sessions.said(&found, true), None, "an older page");
        for again in [false, true] {
            assert_eq!(sessions.said(&found, again).as_deref(), Some("done"));
        }
        assert_eq!(sessions.said(&found, false), None, "said once");
        sessions.end(&found);
        assert_eq!(sessions.find(&headers, [7; 32]), None);
        assert!(!format!("{one:?}").contains(&one.id));
    }

    #[test]
    fn too_many_logins_end_the_oldest_not_everybodys() {
        let sessions = Sessions::default();
        let all: Vec<Session> = (0..=AT_MOST)
            .map(|_| sessions.begin([7; 32]).unwrap())
            .collect();
        assert_eq!(sessions.lock().len(), AT_MOST);
        assert!(!sessions.lock().contains_key(&all[0].id));
        assert!(sessions.lock().contains_key(&all[1].id));
    }
}
