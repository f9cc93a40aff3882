//! The frame of every page: head, style, script, and the policy that allows exactly these. All of it is in the program:
//! nothing is fetched from elsewhere, and no other script runs whatever a name from far away contains.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("live.js");
/// A mark for the tab, drawn here.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M2 2h3v12H2zM7 2h3v12H7zM12 9h3v5h-3z' fill='%23208050'/%3E%3C/svg%3E";

/// The content security policy of all pages.
pub(in crate::web) static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        base64(&Sha256::digest(STYLE)),
        base64(&Sha256::digest(SCRIPT)),
    )
});

/// Everything before a page's own content. `live`: the script is there to keep it true. `title` is safe text.
pub(super) fn open(title: &str, heading: &str, standing: &str, refresh: bool) -> String {
    let mut out = String::with_capacity(64 * 1024);
    out.push_str("<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\"><title>");
    out.push_str(title);
    out.push_str("</title><link rel=icon href=\"");
    out.push_str(ICON);
    out.push_str("\"><style>");
    out.push_str(STYLE);
    out.push_str("</style>");
    if refresh {
        // The same without a script.
        out.push_str("<noscript><meta http-equiv=refresh content=2></noscript>");
    }
    out.push_str("</head><body><header><h1>");
    out.push_str(heading);
    out.push_str("</h1>");
    out.push_str(standing);
    out.push_str("</header>");
    out
}

/// Everything after it.
pub(super) fn close(out: &mut String, footer: &str, script: bool) {
    if !footer.is_empty() {
        out.push_str("<footer>");
        out.push_str(footer);
        out.push_str("</footer>");
    }
    if script {
        out.push_str("<script>");
        out.push_str(SCRIPT);
        out.push_str("</script>");
    }
    out.push_str("</body></html>\n");
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let at = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = (at(0) << 16) | (at(1) << 8) | at(2);
        for n in 0..4_usize {
            if n <= three.len() {
                let letter = (bits >> (18 - 6 * n)) & 63;
                out.push(char::from(LETTERS[letter as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_written_as_in_the_rfc() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }

    #[test]
    fn nothing_here_points_elsewhere_or_writes_html_from_text() {
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "eval(",
            "http://",
            "https://",
        ] {
            assert!(!SCRIPT.contains(word), "{word}");
        }
    }
}
