//! Browsers carry credentials by themselves, so a POST must not come from another site's page, and an open listener must
//! not answer to a name that was rebound to this machine. Pure.

use hyper::header::{HOST, HeaderValue, ORIGIN};
use hyper::{HeaderMap, Method};

use super::Loaded;
use super::server::Peer;

/// Refuses what another site's page sent through somebody's browser.
pub(super) fn from_here(
    method: &Method,
    headers: &HeaderMap,
    peer: Peer,
    security: &Loaded,
) -> Result<(), String> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let host = text(HOST).unwrap_or("");
    if !security.auth.is_configured() && !is_loopback(host) {
        return Err(format!(
            "without authentication this listener answers to 127.0.0.1, [::1] and localhost only, not to {host:?}"
        ));
    }
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    if let Some(origin) = headers.get(ORIGIN) {
        let scheme = if peer.tls { "https://" } else { "http://" };
        let ours = origin
            .to_str()
            .ok()
            .and_then(|o| o.strip_prefix(scheme))
            .is_some_and(|o| o.eq_ignore_ascii_case(host));
        // A proxy may take TLS off before us; the host must still be the one the browser sees.
        let proxied = origin
            .to_str()
            .ok()
            .and_then(|o| o.strip_prefix("https://"))
            .is_some_and(|o| o.eq_ignore_ascii_case(host));
        if !ours && !proxied {
            return Err("a page of another site sent this; commands come from the control page or without a browser".into());
        }
    }
    if headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site")
    {
        return Err("a page of another site sent this".into());
    }
    Ok(())
}

/// Whether a `Host` value names this machine itself.
fn is_loopback(host: &str) -> bool {
    let name = if let Some(v6) = host.strip_prefix('[') {
        v6.split(']').next().unwrap_or("")
    } else {
        host.rsplit_once(':').map_or(host, |(name, _)| name)
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names() {
        for (host, yes) in [
            ("127.0.0.1:10062", true),
            ("127.8.8.8", true),
            ("localhost:1", true),
            ("[::1]:10062", true),
            ("evil.example:10062", false),
            ("localhost.evil.example", false),
            ("10.0.0.1:10062", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), yes, "{host}");
        }
    }
}
