//! A small client of the daemon's two listeners, for the commands that ask or command it. Never prints the token.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::CliError;
use crate::config::{Config, listen_address};

/// Longest wait for one answer: everything asked here is answered from memory or after one durable write.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer read; a status of 10,000 producers is a few MiB.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// One listener of a running daemon.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

/// Why the daemon gave no useful answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nobody answers there.
    #[error("no answer from {address}: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What happened.
        why: String,
    },
    /// It answers, but not with success.
    #[error("{address} answered {status}: {message}")]
    Refused {
        /// Where.
        address: String,
        /// HTTP status.
        status: StatusCode,
        /// What it said.
        message: String,
    },
    /// It answers with something else than JSON.
    #[error("{address} answered something that is not JSON: is it really slotkeeper?")]
    NotJson {
        /// Where.
        address: String,
    },
}

// === impl Client ===

impl Client {
    /// A client of the public listener: `address` where given, else as configured.
    pub(super) fn web(config: Option<&Config>, address: Option<&str>) -> Result<Self, CliError> {
        let (listen, file) = match config {
            Some(config) => (config.web.listen.clone(), config.web.config_file.as_deref()),
            None => (crate::config::defaults::WEB_LISTEN.to_owned(), None),
        };
        Self::new(&listen, file, address, None)
    }

    /// A client of the control listener, with the token of the config's `token_file`.
    pub(super) fn control(config: &Config) -> Result<Self, CliError> {
        let control = &config.control;
        if control.listen.is_empty() {
            return Err(CliError::Usage(anyhow!(
                "the config turns the control listener off (control.listen is empty), so the daemon takes no commands"
            )));
        }
        let token = match &control.token_file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| {
                        format!(
                            "cannot read the control token {} (control.token_file); commands need it, so run this as a user who may read it",
                            path.display()
                        )
                    })
                    .map_err(CliError::Usage)?;
                Some(text.trim().to_owned())
            }
        };
        Self::new(&control.listen, control.config_file.as_deref(), None, token)
    }

    fn new(
        listen: &str,
        web_config: Option<&Path>,
        address: Option<&str>,
        token: Option<String>,
    ) -> Result<Self, CliError> {
        let certificate = web_config.and_then(server_certificate);
        let text = match address {
            Some(address) if address.contains("://") => address.to_owned(),
            Some(address) => format!("http://{}", reachable(address)?),
            None if certificate.is_some() => format!("https://{}", reachable(listen)?),
            None => format!("http://{}", reachable(listen)?),
        };
        let base = Url::parse(&text)
            .with_context(|| format!("{listen} is no address that can be asked"))
            .map_err(CliError::Usage)?;
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(3))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(pem) = certificate
            && let Ok(certificates) = reqwest::Certificate::from_pem_bundle(&pem)
        {
            // The daemon's own certificate is often self-signed; whoever may read its config may trust it.
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().context("cannot set up the HTTP client")?;
        Ok(Self { http, base, token })
    }

    /// Where it asks, without credentials.
    pub(super) fn address(&self) -> String {
        let mut url = self.base.clone();
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.to_string().trim_end_matches('/').to_owned()
    }

    /// GETs a path; the exact body.
    pub(super) async fn get(&self, path: &str) -> Result<String, ClientError> {
        let url = self.url(path)?;
        self.send(self.http.get(url)).await
    }

    /// GETs a path; the body as JSON.
    pub(super) async fn get_json(&self, path: &str) -> Result<Value, ClientError> {
        self.json(&self.get(path).await?)
    }

    /// POSTs JSON to a path; the answer as JSON, `null` when it is empty.
    pub(super) async fn post_json(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let url = self.url(path)?;
        let text = self.send(self.http.post(url).json(body)).await?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        self.json(&text)
    }

    fn json(&self, text: &str) -> Result<Value, ClientError> {
        serde_json::from_str(text).map_err(|_| ClientError::NotJson {
            address: self.address(),
        })
    }

    fn url(&self, path: &str) -> Result<Url, ClientError> {
        // Paths are put together from checked names and request ids.
        self.base.join(path).map_err(|e| ClientError::Unreachable {
            address: self.address(),
            why: e.to_string(),
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<String, ClientError> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let unreachable = |e: reqwest::Error| ClientError::Unreachable {
            address: self.address(),
            why: innermost(&e),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(ClientError::NotJson {
                    address: self.address(),
                });
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() {
            return Ok(text);
        }
        Err(ClientError::Refused {
            address: self.address(),
            status,
            message: said(&text, status),
        })
    }
}

// === small helpers ===

/// Runs a command's asynchronous part on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    Ok(runtime.block_on(future))
}

/// A listen address as one that can be asked: every interface means this machine.
fn reachable(listen: &str) -> Result<String, CliError> {
    let (host, port) =
        listen_address(listen).map_err(|e| CliError::Usage(anyhow!("{listen}: {e}")))?;
    Ok(match host.as_str() {
        "" | "0.0.0.0" => format!("127.0.0.1:{port}"),
        "::" => format!("[::1]:{port}"),
        host if host.contains(':') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    })
}

/// The PEM of the certificate that an exporter-toolkit file serves, when it serves TLS.
fn server_certificate(web_config: &Path) -> Option<Vec<u8>> {
    let text = std::fs::read_to_string(web_config).ok()?;
    let yaml: serde_yaml::Value = serde_yaml::from_str(&text).ok()?;
    let file = yaml.get("tls_server_config")?.get("cert_file")?.as_str()?;
    let folder = web_config.parent().unwrap_or(Path::new(""));
    std::fs::read(folder.join(file)).ok()
}

/// The error that says most: reqwest wraps it several times.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} seconds", TIMEOUT.as_secs());
    }
    let mut source: &dyn std::error::Error = error;
    while let Some(next) = source.source() {
        source = next;
    }
    source.to_string()
}

/// What an answer without success says: the field `error` of its JSON, else its first line; and what the status means.
fn said(text: &str, status: StatusCode) -> String {
    let json: Option<Value> = serde_json::from_str(text).ok();
    let field = json
        .as_ref()
        .and_then(|v| v.get("error"))
        .and_then(Value::as_str);
    let line = text
        .lines()
        .next()
        .filter(|l| json.is_none() && !l.trim().is_empty() && !l.contains('<'));
    let said: String = field
        .or(line)
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(500)
        .collect();
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "does control.token_file hold the token the daemon was started with?"
        }
        StatusCode::NOT_FOUND if said.is_empty() => {
            "it does not know this address: is it another version, or another program?"
        }
        _ if said.is_empty() => "without saying why; look at the daemon's log",
        _ => "",
    };
    match (said.is_empty(), hint.is_empty()) {
        (true, _) => hint.to_owned(),
        (false, true) => said,
        (false, false) => format!("{said} ({hint})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_become_askable() {
        for (listen, asked) in [
            ("127.0.0.1:10061", "127.0.0.1:10061"),
            (":10061", "127.0.0.1:10061"),
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("[fd00::1]:1", "[fd00::1]:1"),
            ("keeper.example:1", "keeper.example:1"),
        ] {
            assert_eq!(reachable(listen).ok().as_deref(), Some(asked), "{listen}");
        }
    }

    #[test]
    fn the_daemons_own_words_come_first() {
        let status = StatusCode::CONFLICT;
        assert_eq!(
            said(r#"{"error": "an attempt is open"}"#, status),
            "an attempt is open"
        );
        assert_eq!(said("too many requests\nmore", status), "too many requests");
        assert!(said("<html>", StatusCode::UNAUTHORIZED).contains("token"));
    }
}
