//! Who may speak to a listener: bearer token, basic auth, client certificate, session. Compares in constant time; owns
//! no sockets. A caller is judged before anything of its body is read.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

/// The ways in that a listener has.
pub struct Auth {
    /// SHA-256 of the bearer token: equal lengths make the comparison constant in time.
    token: Option<[u8; 32]>,
    users: BTreeMap<String, String>,
    /// A verified client certificate suffices.
    certificates: bool,
    /// SHA-256 of credentials that passed: bcrypt takes tens of milliseconds, a webhook is answered in fewer.
    passed: Mutex<HashSet<[u8; 32]>>,
    /// At most two bcrypt computations at a time, so that wrong passwords cannot take the whole machine.
    gate: Semaphore,
}

/// Who a caller turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Nothing is configured: anybody.
    Anybody,
    /// Knows the bearer token.
    Token,
    /// A basic-auth user.
    User(String),
    /// Has a client certificate of our CA.
    Certificate,
}

/// A hash of a password nobody has, so that an unknown user costs the same time as a wrong password.
const NOBODY: &str = "$2b$10$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie";

// === impl Auth ===

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("token", &self.token.is_some())
            .field("users", &self.users.len())
            .field("certificates", &self.certificates)
            .finish()
    }
}

impl Auth {
    /// With these ways in; none = anybody.
    #[must_use]
    pub fn new(token: Option<&str>, users: BTreeMap<String, String>, certificates: bool) -> Self {
        Self {
            token: token.map(digest),
            users,
            certificates,
            passed: Mutex::default(),
            gate: Semaphore::new(2),
        }
    }

    /// Whether any way in is configured.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.token.is_some() || !self.users.is_empty() || self.certificates
    }

    /// Whether a bearer token is configured.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether `token` is the bearer token.
    #[must_use]
    pub fn knows_token(&self, token: &str) -> bool {
        self.token
            .is_some_and(|known| bool::from(known.ct_eq(&digest(token))))
    }

    /// Changes whenever the ways in do: a login ends with the token that opened it.
    #[must_use]
    pub fn stamp(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.token.unwrap_or_default());
        for (user, password) in &self.users {
            hash.update(digest(user));
            hash.update(digest(password));
        }
        hash.update([u8::from(self.certificates)]);
        hash.finalize().into()
    }

    /// What to answer a caller without credentials, so that a browser asks for them.
    #[must_use]
    pub fn challenge(&self) -> &'static str {
        if self.users.is_empty() {
            "Bearer"
        } else {
            "Basic realm=\"slotkeeper\", charset=\"UTF-8\""
        }
    }

    /// Who the caller is; `None` = nobody we know.
    pub async fn check(&self, headers: &HeaderMap, certificate: bool) -> Option<Who> {
        if !self.is_configured() {
            return Some(Who::Anybody);
        }
        if self.certificates && certificate {
            return Some(Who::Certificate);
        }
        let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, credentials) = header.split_once(' ')?;
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.knows_token(credentials).then_some(Who::Token);
        }
        if scheme.eq_ignore_ascii_case("basic") && !self.users.is_empty() {
            return self.basic(credentials).await;
        }
        None
    }

    async fn basic(&self, credentials: &str) -> Option<Who> {
        let decoded = String::from_utf8(base64_decode(credentials)?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        let known = self.users.get(user);
        let hash = known.map_or(NOBODY, String::as_str).to_owned();
        // The hash is part of what is remembered: a changed password forgets the old one.
        let key = digest(&format!("{hash}\n{decoded}"));
        let remembered = self.passed().contains(&key);
        if !remembered {
            let _permit = self.gate.acquire().await.ok()?;
            let password = password.to_owned();
            let right = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash))
                .await
                .is_ok_and(|r| r.unwrap_or(false));
            if !right || known.is_none() {
                return None;
            }
            let mut passed = self.passed();
            if passed.len() >= 1024 {
                passed.clear();
            }
            passed.insert(key);
        }
        Some(Who::User(user.to_owned()))
    }

    fn passed(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Standard base 64 with padding (RFC 4648 section 4); `None` for anything else.
fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn base64_is_read_as_in_the_rfc() {
        for (text, plain) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("YTpi", "a:b"),
        ] {
            assert_eq!(base64_decode(text).unwrap(), plain.as_bytes());
        }
        assert_eq!(base64_decode("a b"), None);
    }

    #[tokio::test]
    async fn any_configured_way_in_suffices_and_nothing_else() {
        let users = BTreeMap::from([("alice".to_owned(), bcrypt::hash("s3cret", 4).unwrap())]);
        let auth = Auth::new(Some("tok"), users, true);
        let none = HeaderMap::new();
        assert_eq!(auth.check(&none, false).await, None);
        assert_eq!(auth.check(&none, true).await, Some(Who::Certificate));
        assert_eq!(
            auth.check(&headers("Bearer tok"), false).await,
            Some(Who::Token)
        );
        // YWxpY2U6czNjcmV0 = alice:s3cret, twice: the second time from memory.
        for _ in 0..2 {
            assert_eq!(
                auth.check(&headers("Basic YWxpY2U6czNjcmV0"), false).await,
                Some(Who::User("alice".into()))
            );
        }
        for wrong in [
            "Bearer tokk",
            "Bearer ",
            "Basic YWxpY2U6eA==",
            "Basic Ym9iOng=",
            "Basic !",
            "tok",
            "Digest a=b",
        ] {
            assert_eq!(auth.check(&headers(wrong), false).await, None, "{wrong}");
        }
        assert!(!format!("{auth:?}").contains("tok\""));
    }

    #[tokio::test]
    async fn nothing_configured_lets_anybody_in() {
        let auth = Auth::new(None, BTreeMap::new(), false);
        assert!(!auth.is_configured());
        assert_eq!(
            auth.check(&HeaderMap::new(), false).await,
            Some(Who::Anybody)
        );
    }
}
