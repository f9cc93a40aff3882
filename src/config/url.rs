//! Rules for URLs in the config file: which are safe, how they are shown. Pure; a message shows a URL only in its label
//! form, without credentials, query and fragment.

use std::net::IpAddr;

use reqwest::Url;

use crate::chain::Protocol;

/// A URL that was read, with what the rules need of it.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    /// As written, credentials included: never printed.
    pub(super) full: String,
    /// Without credentials, query and fragment.
    pub(super) label: String,
    /// The host, lower case.
    pub(super) host: String,
    /// This machine.
    pub(super) loopback: bool,
    /// `https` or `wss`.
    pub(super) https: bool,
    /// Carries a user name or password.
    pub(super) credentials: bool,
}

/// Reads a URL.
///
/// # Errors
/// A sentence when it is no `http` or `https` URL.
pub(super) fn check(text: &str) -> Result<Checked, String> {
    read(text, None)
}

/// Reads the URL of a node of `protocol`: BitShares nodes speak websockets too.
///
/// # Errors
/// A sentence when it is no URL that such a node can be asked at.
pub(super) fn check_node(text: &str, protocol: Protocol) -> Result<Checked, String> {
    read(text, Some(protocol))
}

fn read(text: &str, node_of: Option<Protocol>) -> Result<Checked, String> {
    let refused = "not a URL such as https://api.example.org";
    let mut url = Url::parse(text.trim()).map_err(|e| {
        if text.contains("://") {
            format!("{refused}: {e}")
        } else {
            format!("{refused}: it must begin with https:// (or http:// on this machine)")
        }
    })?;
    let https = match url.scheme() {
        "https" => true,
        "http" => false,
        "wss" if node_of == Some(Protocol::BitShares) => true,
        "ws" if node_of == Some(Protocol::BitShares) => false,
        "ws" | "wss" => {
            return Err(format!(
                "{refused}: websockets are for BitShares nodes only, give the HTTP address"
            ));
        }
        _ => {
            return Err(format!(
                "{refused}: it must begin with https:// (or http:// on this machine)"
            ));
        }
    };
    let host = url
        .host_str()
        .filter(|h| !h.is_empty())
        .ok_or_else(|| format!("{refused}: the host is missing"))?
        .to_ascii_lowercase();
    let credentials = !url.username().is_empty() || url.password().is_some();
    let full = url.to_string();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    let label = url.to_string();
    Ok(Checked {
        full,
        label: label.trim_end_matches('/').to_owned(),
        loopback: is_loopback_host(&host),
        host,
        https,
        credentials,
    })
}

/// Reads a URL that stands in a secret file: https, or http on this machine. The error never repeats it.
///
/// # Errors
/// A sentence when it is no such URL.
pub fn outbound(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim())
        .map_err(|_| "does not hold a URL such as https://hooks.example.org/…".to_owned())?;
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(host)) if is_loopback_host(host) => Ok(url),
        ("http", Some(_)) => Err(
            "holds an http URL beyond this machine, which everybody on the way could read: use https"
                .to_owned(),
        ),
        _ => Err("does not hold a URL such as https://hooks.example.org/…".to_owned()),
    }
}

/// Whether a host name or address is this machine.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.to_ascii_lowercase().ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| match ip {
            IpAddr::V4(v4) => v4.is_loopback(),
            IpAddr::V6(v6) => {
                v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
            }
        })
}

/// Host and port of a listen address; an empty host means every interface.
///
/// # Errors
/// A sentence when it is no `host:port`.
pub fn listen_address(text: &str) -> Result<(String, u16), String> {
    let wanted = "not an address to listen on, such as 127.0.0.1:10061, [::1]:10061 or :10061";
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("{wanted}: the port is missing"))?;
    let port = port
        .parse()
        .map_err(|_| format!("{wanted}: the port is a number from 0 to 65535"))?;
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err(format!("{wanted}: put an IPv6 address in square brackets"));
    }
    if host.contains(['/', '@', ' ']) {
        return Err(wanted.to_owned());
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    Ok((bare.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_carries_no_credentials_query_or_fragment() {
        for (url, label) in [
            ("https://api.example.org", "https://api.example.org"),
            (
                "https://u:p@API.example.org/x/?key=1#f",
                "https://api.example.org/x",
            ),
            ("http://127.0.0.1:8090/", "http://127.0.0.1:8090"),
        ] {
            let checked = check(url).expect(url);
            assert_eq!(checked.label, label);
        }
        assert!(check("https://u:p@h.example/").expect("valid").credentials);
    }

    #[test]
    fn websockets_are_for_bitshares_nodes() {
        for (url, secure) in [
            ("wss://u:p@node.example/ws?key=1", true),
            ("ws://127.0.0.1:8090/ws", false),
        ] {
            let checked = check_node(url, Protocol::BitShares).expect(url);
            assert_eq!(checked.https, secure, "{url}");
            assert!(!checked.label.contains("u:p") && !checked.label.contains("key"));
            for protocol in Protocol::ALL {
                let fits = check_node(url, protocol).is_ok();
                assert_eq!(fits, protocol == Protocol::BitShares, "{protocol}");
            }
            assert!(check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        for (host, loopback) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("[::1]", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("localhost.example.org", false),
            ("", false),
        ] {
            assert_eq!(is_loopback_host(host), loopback, "{host}");
        }
    }

    #[test]
    fn listen_addresses() {
        assert_eq!(listen_address(":10061"), Ok((String::new(), 10061)));
        assert_eq!(listen_address("[::1]:1"), Ok(("::1".to_owned(), 1)));
        for bad in [
            "10061",
            "127.0.0.1",
            "127.0.0.1:x",
            "::1:99999",
            "::1:80",
            "http://x:1",
        ] {
            assert!(listen_address(bad).is_err(), "{bad}");
        }
    }
}
