//! Tells systemd that we are ready, what we do, and that we live (`sd_notify(3)`: datagrams to `NOTIFY_SOCKET`). Without
//! systemd all of it does nothing.
//!
//! The watchdog is fed while every loop goes round, and by that alone. A lost quorum, a full disk or a dead Alertmanager is
//! told to people and must not feed or starve it: a restart cures none of them, and would tear down what still works.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::sync::watch;

use super::facts::{Facts, Sources};
use crate::clock::now_ms;
use crate::metrics::Task;

/// The way to the service manager.
#[derive(Debug)]
pub struct Systemd {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// How often the watchdog wants to hear of us.
    watchdog: Option<Duration>,
}

/// How often the status line is renewed.
const STATUS: Duration = Duration::from_secs(10);

// === impl Systemd ===

impl Systemd {
    /// What the environment of this process says.
    #[must_use]
    pub fn from_env() -> Self {
        let text = |name| std::env::var(name).ok();
        let socket = std::env::var_os("NOTIFY_SOCKET");
        // The variables are inherited by children; they are meant for one process.
        let ours = text("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let micros = text("WATCHDOG_USEC")
            .filter(|_| ours)
            .and_then(|t| t.parse().ok());
        Self::new(socket.as_deref().map(OsStrExt::as_bytes), micros)
    }

    /// With `socket` as in `NOTIFY_SOCKET` (a path, or `@` and an abstract name) and `WATCHDOG_USEC`.
    #[must_use]
    pub fn new(socket: Option<&[u8]>, watchdog_usec: Option<u64>) -> Self {
        let to = socket.filter(|s| !s.is_empty()).and_then(|name| {
            let address = match name.strip_prefix(b"@") {
                Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name),
                None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name)),
            };
            let socket = UnixDatagram::unbound().and_then(|s| {
                s.set_nonblocking(true)?;
                Ok(s)
            });
            match (address, socket) {
                (Ok(address), Ok(socket)) => Some((socket, address)),
                (Err(error), _) | (_, Err(error)) => {
                    tracing::warn!(%error, "systemd cannot be told anything: NOTIFY_SOCKET cannot be used");
                    None
                }
            }
        });
        let watchdog = watchdog_usec
            .filter(|usec| *usec > 0 && to.is_some())
            .map(Duration::from_micros);
        Self { to, watchdog }
    }

    /// Whether somebody listens.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.to.is_some()
    }

    /// Everything is up: listeners answer.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// We are going down on purpose.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=stopping");
    }

    fn say(&self, words: &str) {
        if let Some((socket, address)) = &self.to {
            // A manager that does not listen is none of our troubles.
            let _ = socket.send_to_addr(words.as_bytes(), address);
        }
    }

    /// Feeds the watchdog and renews the status line until the shutdown.
    pub async fn run(self, sources: Sources, mut shutdown: watch::Receiver<bool>, task: Task) {
        let pace = self.watchdog.map_or(STATUS, |w| (w / 2).min(STATUS));
        let mut every = tokio::time::interval(pace.max(Duration::from_millis(10)));
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                _ = async { let _ = shutdown.wait_for(|s| *s).await; } => break,
            }
            task.tick();
            let (status, stuck) =
                sources.look(now_ms(), &[], &[], |f| (status(f), !f.stalled.is_empty()));
            self.say(&format!("STATUS={status}"));
            if self.watchdog.is_some() && !stuck {
                self.say("WATCHDOG=1");
            }
        }
        task.retire();
    }
}

/// One line for `systemctl status`.
fn status(facts: &Facts<'_>) -> String {
    let ailments = super::health::ailments(facts);
    let armed = facts.actuator.producers.values();
    let armed = armed.filter(|p| p.armed.is_ok()).count();
    let kept = facts.actuator.producers.len();
    let well = if ailments.is_empty() {
        "all is well".to_owned()
    } else {
        ailments.join("; ")
    };
    format!("{armed} of {kept} producers armed; {well}").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_both_heard() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let systemd = Systemd::new(Some(path.as_os_str().as_bytes()), Some(1_000_000));
        systemd.ready();
        assert_eq!(heard(&listener), "READY=1");
        assert_eq!(systemd.watchdog, Some(Duration::from_secs(1)));

        let name = format!("slotkeeper-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        Systemd::new(Some(format!("@{name}").as_bytes()), None).stopping();
        assert_eq!(heard(&listener), "STOPPING=1\nSTATUS=stopping");
    }

    #[test]
    fn without_systemd_nothing_happens() {
        for socket in [None, Some(&b""[..]), Some(&b"/nowhere/at/all"[..])] {
            let systemd = Systemd::new(socket, Some(0));
            systemd.ready();
            systemd.stopping();
            assert_eq!(systemd.watchdog, None);
        }
    }
}
