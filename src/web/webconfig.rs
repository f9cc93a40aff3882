//! The Prometheus exporter-toolkit `web.config.file`: TLS, client certificates, basic auth and response headers of a
//! listener. Owns the format; reads that one file. Keys it does not know are errors with their line, for a
//! misspelt `client_auth_type` must not leave a listener open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hyper::header::{HeaderName, HeaderValue};
use serde::Deserialize;

/// A validated web configuration. All paths are resolved.
#[derive(Debug, Clone, Default)]
pub struct WebConfig {
    /// TLS, when configured.
    pub tls: Option<TlsFiles>,
    /// Headers added to every response.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Users and their bcrypt hashes.
    pub users: BTreeMap<String, String>,
}

/// `tls_server_config`.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Private key, PEM.
    pub key_file: PathBuf,
    /// CAs that client certificates must chain to.
    pub client_ca_file: Option<PathBuf>,
    /// Whether client certificates are asked for.
    pub client_auth: ClientAuth,
    /// TLS 1.2 is spoken too.
    pub tls12: bool,
}

/// `client_auth_type`, as far as it proves anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate is asked for.
    None,
    /// A certificate may be given and is verified.
    IfGiven,
    /// A verified certificate is needed.
    Required,
}

/// A web configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("web config {path}: {problem}")]
pub struct WebConfigError {
    /// The file.
    pub path: String,
    /// What is wrong with it and what to write instead.
    pub problem: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    tls_server_config: Option<RawTls>,
    http_server_config: Option<RawHttp>,
    basic_auth_users: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawTls {
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    client_ca_file: Option<PathBuf>,
    client_auth_type: Option<String>,
    min_version: Option<String>,
    max_version: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawHttp {
    // Both listeners speak HTTP/1.1 only, which is what `false` asks for and what every client of `true` falls back to.
    #[allow(dead_code)]
    http2: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
}

/// Headers that the toolkit's format allows.
const HEADERS: [&str; 5] = [
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
];

// === impl WebConfig ===

impl WebConfig {
    /// Reads and checks the file at `path`. Files it names are relative to it; they are opened later.
    pub fn load(path: &Path) -> Result<Self, WebConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| error(path, format!("cannot be read: {e}")))?;
        Self::parse(&text, path)
    }

    /// Checks `text`, the content of the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, WebConfigError> {
        let raw: Option<Raw> =
            serde_yaml::from_str(text).map_err(|e| error(path, with_line(&e, text)))?;
        let raw = raw.unwrap_or_default();
        let base = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            tls: raw
                .tls_server_config
                .map(|tls| tls.check(base).map_err(|problem| error(path, problem)))
                .transpose()?,
            headers: headers(raw.http_server_config.unwrap_or_default())
                .map_err(|problem| error(path, problem))?,
            users: users(raw.basic_auth_users.unwrap_or_default())
                .map_err(|problem| error(path, problem))?,
        })
    }
}

// === impl RawTls ===

impl RawTls {
    fn check(self, base: &Path) -> Result<TlsFiles, String> {
        let file = |name: &str, file: Option<PathBuf>| {
            file.filter(|f| !f.as_os_str().is_empty())
                .map(|f| base.join(f))
                .ok_or_else(|| {
                    format!("tls_server_config.{name} is missing: TLS needs cert_file and key_file")
                })
        };
        let client_auth = match self.client_auth_type.as_deref() {
            None | Some("" | "NoClientCert") => ClientAuth::None,
            Some("VerifyClientCertIfGiven") => ClientAuth::IfGiven,
            Some("RequireAndVerifyClientCert") => ClientAuth::Required,
            Some(weak @ ("RequestClientCert" | "RequireAnyClientCert")) => {
                return Err(format!(
                    "tls_server_config.client_auth_type {weak} accepts certificates of anybody: use RequireAndVerifyClientCert or VerifyClientCertIfGiven"
                ));
            }
            Some(other) => {
                return Err(format!(
                    "tls_server_config.client_auth_type {other:?} is not known: use NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"
                ));
            }
        };
        let client_ca_file = self
            .client_ca_file
            .filter(|f| !f.as_os_str().is_empty())
            .map(|f| base.join(f));
        match (client_auth, &client_ca_file) {
            (ClientAuth::None, Some(_)) => {
                return Err("tls_server_config.client_ca_file is set but client_auth_type asks for no certificate: set client_auth_type: RequireAndVerifyClientCert".into());
            }
            (ClientAuth::IfGiven | ClientAuth::Required, None) => {
                return Err("tls_server_config.client_auth_type needs client_ca_file: the CA that signs the clients' certificates".into());
            }
            _ => {}
        }
        if let Some(max) = self.max_version.as_deref()
            && max != "TLS13"
        {
            return Err(format!(
                "tls_server_config.max_version {max}: only TLS13 is supported; leave it out"
            ));
        }
        let tls12 = match self.min_version.as_deref() {
            None | Some("" | "TLS12") => true,
            Some("TLS13") => false,
            Some(other) => {
                return Err(format!(
                    "tls_server_config.min_version {other} is not supported: use TLS12 or TLS13"
                ));
            }
        };
        Ok(TlsFiles {
            cert_file: file("cert_file", self.cert_file)?,
            key_file: file("key_file", self.key_file)?,
            client_ca_file,
            client_auth,
            tls12,
        })
    }
}

fn headers(raw: RawHttp) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    raw.headers
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| {
            if !HEADERS.contains(&name.as_str()) {
                return Err(format!(
                    "http_server_config.headers.{name} cannot be set: allowed are {}",
                    HEADERS.join(", ")
                ));
            }
            let header = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("http_server_config.headers.{name} is no header name"))?;
            let value = HeaderValue::from_str(&value).map_err(|_| {
                format!("http_server_config.headers.{name} has a value that no header can carry")
            })?;
            Ok((header, value))
        })
        .collect()
}

fn users(raw: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    for (user, hash) in &raw {
        if user.is_empty() || user.contains(':') {
            return Err(format!(
                "basic_auth_users: {user:?} cannot be a user name (empty, or with a colon)"
            ));
        }
        // The hash itself is never shown: someone may have written the password there.
        if hash.parse::<bcrypt::HashParts>().is_err() {
            return Err(format!(
                "basic_auth_users.{user} is no bcrypt hash: make one with `htpasswd -nBC 10 \"\"`"
            ));
        }
    }
    Ok(raw)
}

/// The parser's message with its line. For an unknown key at the top it names none: then the line is the one that
/// begins with that key.
fn with_line(error: &serde_yaml::Error, text: &str) -> String {
    let said = error.to_string();
    if said.contains(" line ") {
        return said;
    }
    let line = error.location().map(|l| l.line()).or_else(|| {
        let key = said.split('`').nth(1)?;
        let at = text.lines().position(|l| {
            l.trim_start()
                .trim_start_matches(['"', '\'', '{'])
                .starts_with(key)
        })?;
        Some(at.saturating_add(1))
    });
    match line {
        Some(line) => format!("{said} at line {line}"),
        None => said,
    }
}

fn error(path: &Path, problem: String) -> WebConfigError {
    WebConfigError {
        path: path.display().to_string(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2b$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie";

    fn parse(text: &str) -> Result<WebConfig, String> {
        WebConfig::parse(text, Path::new("/etc/sk/web.yml")).map_err(|e| e.problem)
    }

    #[test]
    fn a_whole_file_is_read() {
        let text = format!(
            "tls_server_config:\n  cert_file: a.crt\n  key_file: /k/a.key\n  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  min_version: TLS13\nhttp_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\nbasic_auth_users:\n  alice: {HASH}\n"
        );
        let config = parse(&text).unwrap();
        let tls = config.tls.unwrap();
        assert_eq!(tls.cert_file, Path::new("/etc/sk/a.crt"));
        assert_eq!(tls.key_file, Path::new("/k/a.key"));
        assert_eq!(tls.client_auth, ClientAuth::Required);
        assert!(!tls.tls12);
        assert_eq!(config.headers.len(), 1);
        assert!(config.users.contains_key("alice"));
    }

    #[test]
    fn empty_files_mean_nothing_is_configured() {
        for text in ["", "# nothing\n", "{}", "basic_auth_users:\n"] {
            let config = parse(text).unwrap();
            assert!(config.tls.is_none() && config.users.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let tls = "tls_server_config:\n  cert_file: a\n  key_file: b\n";
        for (text, problem) in [
            ("tls_server_confg: {}", "line 1"),
            (&format!("{tls}  client_auth: x\n"), "line 4"),
            (
                "basic_auth_users: {a: hunter2}",
                "basic_auth_users.a is no bcrypt hash",
            ),
            (
                "tls_server_config: {cert_file: a}",
                "tls_server_config.key_file is missing",
            ),
            (
                &format!("{tls}  client_ca_file: c\n"),
                "asks for no certificate",
            ),
            (
                &format!("{tls}  client_auth_type: RequireAndVerifyClientCert\n"),
                "needs client_ca_file",
            ),
            (
                &format!("{tls}  client_auth_type: RequireAnyClientCert\n"),
                "anybody",
            ),
            (
                &format!("{tls}  client_auth_type: yes please\n"),
                "is not known",
            ),
            (
                &format!("{tls}  min_version: TLS10\n"),
                "use TLS12 or TLS13",
            ),
            (
                "http_server_config: {headers: {X-Own: a}}",
                "X-Own cannot be set",
            ),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(problem), "{text:?} said {said:?}");
            assert!(!said.contains("hunter2"), "{said:?}");
        }
    }
}
