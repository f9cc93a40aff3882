//! Debian's Chromium, headless: one process for all tests that run at the same time, each with a browser context (cookies,
//! cache) of its own. Started on a port of its own choice with an empty profile, ended by its process id.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::json;
use slotkeeper::clock::Stopwatch;

use super::devtools::Devtools;
use super::page::Page;

/// A place in the shared browser. The process ends with the last of them.
pub(crate) struct Chromium {
    devtools: Devtools,
    context: String,
    /// Last, so that the connection is gone before the process is.
    _process: Arc<Process>,
}

/// The process and its profile.
struct Process {
    child: Child,
    address: String,
    _profile: tempfile::TempDir,
}

static SHARED: Mutex<Weak<Process>> = Mutex::new(Weak::new());

/// Nothing that calls home, and nothing that a container lacks.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-breakpad",
    "--disable-default-apps",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--disable-features=OptimizationHints,MediaRouter,Translate,DialMediaRouteProvider",
    "--password-store=basic",
    "--hide-scrollbars",
    "--lang=en",
    "--remote-debugging-port=0",
];

// === impl Process ===

impl Process {
    fn start() -> Self {
        let profile = tempfile::Builder::new()
            .prefix("slotkeeper-chromium-")
            .tempdir()
            .expect("a directory for the profile");
        let home = profile.path();
        let mut child = Command::new("chromium")
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", home.display()))
            .arg("about:blank")
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env("XDG_CACHE_HOME", home)
            .env("TZ", "UTC")
            // A group of its own: its helpers end with it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium starts (`make setup` installs it; elsewhere put a `chromium` on the PATH)");
        let stderr = child.stderr.take().expect("piped");
        let (tell, told) = std::sync::mpsc::channel();
        // Reads to the end, so that the browser never waits for somebody to read.
        std::thread::spawn(move || {
            let mut said = Vec::new();
            let mut tell = Some(tell);
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("DevTools listening on ") {
                    if let Some(tell) = tell.take() {
                        let _ = tell.send(Ok(address.trim().to_owned()));
                    }
                } else if tell.is_some() {
                    said.push(line);
                }
            }
            if let Some(tell) = tell {
                let _ = tell.send(Err(said.join("\n")));
            }
        });
        let address = told
            .recv_timeout(super::PATIENCE)
            .unwrap_or_else(|_| Err("it says nothing".into()))
            .unwrap_or_else(|said| panic!("chromium offers no DevTools: {said}"));
        Self {
            child,
            address,
            _profile: profile,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) else {
            return;
        };
        // Asked to go, it takes its helpers along; one that does not go is ended, and they with it.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let asked = Stopwatch::start();
        while asked.elapsed() < Duration::from_secs(5) && matches!(self.child.try_wait(), Ok(None))
        {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

// === impl Chromium ===

impl Chromium {
    /// The browser that runs, or a new one.
    pub(crate) async fn start() -> Self {
        let process = tokio::task::spawn_blocking(|| {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            shared.upgrade().unwrap_or_else(|| {
                let process = Arc::new(Process::start());
                *shared = Arc::downgrade(&process);
                process
            })
        })
        .await
        .expect("chromium starts");
        let devtools = Devtools::connect(&process.address).await;
        let made = devtools
            .call(
                None,
                "Target.createBrowserContext",
                json!({"disposeOnDetach": true}),
            )
            .await
            .expect("a browser context");
        Self {
            devtools,
            context: made["browserContextId"].as_str().expect("an id").to_owned(),
            _process: process,
        }
    }

    /// A new tab, light, wide as a laptop, that watches for whatever goes wrong.
    pub(crate) async fn page(&self) -> Page {
        let target = self
            .devtools
            .call(
                None,
                "Target.createTarget",
                json!({"url": "about:blank", "browserContextId": self.context}),
            )
            .await
            .expect("a tab");
        let attached = self
            .devtools
            .call(
                None,
                "Target.attachToTarget",
                json!({"targetId": target["targetId"], "flatten": true}),
            )
            .await
            .expect("attached");
        let session = attached["sessionId"].as_str().expect("an id").to_owned();
        Page::new(self.devtools.clone(), session).await
    }
}
