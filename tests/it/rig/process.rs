//! The built binary beside a rig: slotkeeper as a process of its own, and an operator's commands.

use super::Rig;

/// How a command of the built binary ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: &std::process::Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Rig {
    /// slotkeeper as a process of its own, with `environment` added. Needs fixed `ports`.
    pub(crate) fn spawn_process(&self, environment: &[(&str, &str)]) -> tokio::process::Child {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.path().join("run.log"))
            .expect("log");
        tokio::process::Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
            .arg("run")
            .arg("--config.file")
            .arg(self.config_file())
            .envs(environment.iter().copied())
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("slotkeeper starts")
    }

    /// Runs the built binary with `--config.file` added, as an operator beside the daemon would.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Ran {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
            .args(arguments)
            .arg("--config.file")
            .arg(self.operator_file())
            .env_remove("SLOTKEEPER_PASSPHRASE")
            .env_remove("UNLOCK")
            .env_remove("SLOTKEEPER_WEB_ADDRESS")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("slotkeeper starts");
        Ran::of(&output)
    }

    /// What a spawned slotkeeper has written.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("run.log")).unwrap_or_default()
    }
}

/// Two ports that are free now and stay so until the process that wants them has started: below the range that the
/// kernel hands out to connections and to everybody who asks for port 0, and never the same pair twice.
pub(crate) fn free_ports() -> (u16, u16) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(97);
    let port = || {
        loop {
            let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let port = 12_000 + u16::try_from(step % 20_000).expect("small");
            if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        }
    };
    (port(), port())
}
