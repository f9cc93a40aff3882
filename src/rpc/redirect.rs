//! Where a redirected POST may go. Pure. reqwest would turn 301, 302 and 303 into a GET and drop the body, so that a
//! node behind an http→https redirect looks broken; here the same body is posted again, or the redirect is refused
//! with its reason.

use reqwest::Url;

/// How many redirects one request may follow.
pub(super) const MAX_HOPS: usize = 3;

/// The next address of a POST that was answered with a redirect to `location`, or why it is not followed. Credentials
/// of `from` go along only to the same host.
pub(super) fn next(from: &Url, location: Option<&str>) -> Result<Url, &'static str> {
    let location = location.ok_or("a redirect without Location")?;
    let mut to = from
        .join(location)
        .map_err(|_| "a redirect to something that is no URL")?;
    match to.scheme() {
        "https" => {}
        // Plain http stays on this machine, and only a server of this machine may send us there.
        "http" if is_loopback(&to) && is_loopback(from) => {}
        "http" => return Err("a redirect to http:// (use the final https URL)"),
        _ => return Err("a redirect to another protocol than https"),
    }
    if is_loopback(&to) && !is_loopback(from) {
        return Err("a redirect from a remote host to this machine");
    }
    let same_host = to.host_str() == from.host_str();
    // A failure of either setter means a URL without a host, which https and http never are.
    if same_host {
        let _ = to.set_username(from.username());
        let _ = to.set_password(from.password());
    } else {
        let _ = to.set_username("");
        let _ = to.set_password(None);
    }
    Ok(to)
}

/// Whether the URL's host is this machine, by its name or address alone.
pub(super) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(crate::config::is_loopback_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_post_may_go() {
        let table: [(&str, Option<&str>, Result<&str, &str>); 13] = [
            (
                "http://127.0.0.1:1/",
                Some("https://127.0.0.1:2/x"),
                Ok("https://127.0.0.1:2/x"),
            ),
            (
                "http://127.0.0.1:1/",
                Some("http://localhost:2/"),
                Ok("http://localhost:2/"),
            ),
            (
                "http://localhost:1/a/b",
                Some("c"),
                Ok("http://localhost:1/a/c"),
            ),
            (
                "https://a.example/",
                Some("https://b.example/rpc"),
                Ok("https://b.example/rpc"),
            ),
            (
                "https://a.example/",
                Some("//b.example/"),
                Ok("https://b.example/"),
            ),
            (
                "https://u:p@a.example/",
                Some("https://a.example/rpc"),
                Ok("https://u:p@a.example/rpc"),
            ),
            (
                "https://u:p@a.example/",
                Some("https://b.example/"),
                Ok("https://b.example/"),
            ),
            (
                "https://a.example/",
                Some("https://u:p@b.example/"),
                Ok("https://b.example/"),
            ),
            (
                "https://a.example/",
                Some("http://a.example/"),
                Err("a redirect to http:// (use the final https URL)"),
            ),
            (
                "https://a.example/",
                Some("http://127.0.0.1/"),
                Err("a redirect to http:// (use the final https URL)"),
            ),
            (
                "https://a.example/",
                Some("https://[::1]/"),
                Err("a redirect from a remote host to this machine"),
            ),
            (
                "https://a.example/",
                Some("ftp://a.example/"),
                Err("a redirect to another protocol than https"),
            ),
            (
                "https://a.example/",
                None,
                Err("a redirect without Location"),
            ),
        ];
        for (from, location, expected) in table {
            let from = Url::parse(from).expect("a URL");
            let got = next(&from, location);
            assert_eq!(
                got.as_ref().map(Url::as_str).map_err(|e| *e),
                expected,
                "{from} -> {location:?}"
            );
        }
    }

    #[test]
    fn loopback_by_name_and_address() {
        for (url, expected) in [
            ("http://localhost/", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]:80/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://10.0.0.1/", false),
            ("http://localhost.example/", false),
        ] {
            assert_eq!(
                is_loopback(&Url::parse(url).expect("a URL")),
                expected,
                "{url}"
            );
        }
    }
}
