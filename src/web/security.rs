//! What protects one listener: its web configuration, TLS and ways in, read from files and read again when they change,
//! so that certificates and tokens can be rotated without a restart. A bad new file leaves the old state in force.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hyper::header::{HeaderName, HeaderValue};
use tokio_rustls::TlsAcceptor;

use super::auth::Auth;
use super::tls;
use super::webconfig::{ClientAuth, WebConfig};
use crate::clock::Stopwatch;

/// Which listener: it decides what suffices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Read by many: what the web configuration asks for, all of it, as in every Prometheus exporter.
    Public,
    /// Written by few: any configured way in suffices.
    Control,
}

/// A listener's protection.
#[derive(Debug)]
pub struct Security {
    role: Role,
    config_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    state: Mutex<State>,
}

/// The protection in force.
pub struct Loaded {
    /// TLS, when configured.
    pub tls: Option<TlsAcceptor>,
    /// Ways in.
    pub auth: Auth,
    /// Headers added to every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Files it was read from, and their stamps then.
    stamps: Vec<(PathBuf, Stamp)>,
}

type Stamp = Option<(SystemTime, u64)>;

#[derive(Debug)]
struct State {
    loaded: Arc<Loaded>,
    looked: Stopwatch,
}

/// Files are looked at no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

// === impl Loaded ===

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded")
            .field("tls", &self.tls.is_some())
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

// === impl Security ===

impl Security {
    /// Reads the files of a listener.
    pub fn load(
        role: Role,
        config_file: Option<&Path>,
        token_file: Option<&Path>,
    ) -> Result<Self, String> {
        let loaded = load(role, config_file, token_file)?;
        Ok(Self {
            role,
            config_file: config_file.map(Path::to_owned),
            token_file: token_file.map(Path::to_owned),
            state: Mutex::new(State {
                loaded: Arc::new(loaded),
                looked: Stopwatch::start(),
            }),
        })
    }

    /// What is in force now, after a look at the files at most once a second.
    #[must_use]
    pub fn current(&self) -> Arc<Loaded> {
        let mut state = self.lock();
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Stopwatch::start();
            if state
                .loaded
                .stamps
                .iter()
                .any(|(file, old)| stamp(file) != *old)
            {
                self.swap(&mut state).unwrap_or_else(|problem| {
                    tracing::warn!(
                        problem,
                        "a changed web configuration cannot be used; the old one stays in force"
                    );
                });
            }
        }
        Arc::clone(&state.loaded)
    }

    /// Reads the files again now.
    pub fn reload(&self) -> Result<(), String> {
        self.swap(&mut self.lock())
    }

    fn swap(&self, state: &mut State) -> Result<(), String> {
        let fresh = load(
            self.role,
            self.config_file.as_deref(),
            self.token_file.as_deref(),
        )?;
        if state.loaded.auth.is_configured() && !fresh.auth.is_configured() {
            return Err("the new files configure no way to authenticate, the old ones did: restart to open the listener".into());
        }
        if state.loaded.tls.is_some() != fresh.tls.is_some() {
            return Err("TLS cannot be switched on or off while running: restart".into());
        }
        state.loaded = Arc::new(fresh);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(
    role: Role,
    config_file: Option<&Path>,
    token_file: Option<&Path>,
) -> Result<Loaded, String> {
    let mut files: Vec<PathBuf> = Vec::new();
    files.extend(config_file.map(Path::to_owned));
    files.extend(token_file.map(Path::to_owned));
    // Stamps before contents: a change in between is seen at the next look.
    let config = match config_file {
        Some(path) => WebConfig::load(path).map_err(|e| e.to_string())?,
        None => WebConfig::default(),
    };
    if let Some(tls) = &config.tls {
        files.extend([tls.cert_file.clone(), tls.key_file.clone()]);
        files.extend(tls.client_ca_file.clone());
    }
    let stamps = files
        .into_iter()
        .map(|file| {
            let stamp = stamp(&file);
            (file, stamp)
        })
        .collect();
    let token = token_file.map(read_token).transpose()?;
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let certificates = role == Role::Control
        && config
            .tls
            .as_ref()
            .is_some_and(|tls| tls.client_auth != ClientAuth::None);
    Ok(Loaded {
        tls,
        auth: Auth::new(token.as_deref(), config.users, certificates),
        headers: config.headers,
        stamps,
    })
}

fn read_token(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("control token file {}: cannot be read: {e}", path.display()))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(format!(
            "control token file {}: holds no token: write one line, for example from `openssl rand -hex 32`",
            path.display()
        ));
    }
    Ok(token.to_owned())
}

fn stamp(file: &Path) -> Stamp {
    let data = std::fs::metadata(file).ok()?;
    Some((data.modified().ok()?, data.len()))
}
