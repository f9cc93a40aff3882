//! slotkeeper as a process of the stack: started, killed, frozen, told to reload, restarted as systemd restarts it; with a
//! clock that can be set apart from the world's.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::rig::{Rig, RigConfig, free_ports};

/// Everything needed to start it.
#[derive(Debug, Clone)]
struct Launch {
    config: PathBuf,
    log: PathBuf,
    clock: Option<[PathBuf; 2]>,
}

/// The process, or the loop that starts it again and again.
pub(crate) struct Daemon {
    launch: Launch,
    child: Option<Child>,
    supervisor: Option<JoinHandle<()>>,
}

/// Put before the C library: the wall clock of this one process is off by what a file says. (A container cannot set the
/// machine's clock, and must not.) The monotonic clock stays, as it does when a real clock is stepped.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *t) {
    int failed = syscall(SYS_clock_gettime, id, t);
    const char *file = getenv("SLOTKEEPER_TEST_CLOCK");
    if (failed || id != CLOCK_REALTIME || !file) return failed;
    char text[32] = {0};
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (read(fd, text, sizeof text - 1) > 0) t->tv_sec += atol(text);
        close(fd);
    }
    return 0;
}
"#;

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(task) = self.supervisor.take() {
            task.abort();
        }
    }
}

impl Daemon {
    /// Not started yet. With `clock`, its wall clock can be set ([`Self::set_clock`]).
    pub(crate) fn new(config: &Path, log: &Path, clock: bool) -> Self {
        let clock = clock.then(|| {
            let dir = config.parent().expect("a directory");
            let (source, library) = (dir.join("clock.c"), dir.join("clock.so"));
            std::fs::write(&source, CLOCK).expect("source");
            let compiled = std::process::Command::new("cc")
                .args(["-shared", "-fPIC", "-O1", "-o"])
                .args([&library, &source])
                .status();
            assert!(compiled.expect("cc (make setup)").success());
            let file = dir.join("clock");
            std::fs::write(&file, "0").expect("clock");
            [library, file]
        });
        Self {
            launch: Launch {
                config: config.to_owned(),
                log: log.to_owned(),
                clock,
            },
            child: None,
            supervisor: None,
        }
    }

    pub(crate) fn start(&mut self) {
        if let Some(task) = self.supervisor.take() {
            task.abort();
        }
        self.child = Some(self.launch.spawn());
    }

    /// SIGKILL; gone when this returns.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("killed");
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        send(child.id(), signal);
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// systemd's part: start it, and when it ends start it again after a pause. With `life` each one is killed so soon.
    pub(crate) async fn start_again_and_again(&mut self, life: Option<Duration>) {
        self.kill().await;
        let (launch, pause) = (self.launch.clone(), super::bounds::restart_pause());
        self.supervisor = Some(tokio::spawn(async move {
            loop {
                // What systemd does, not a wait for something.
                tokio::time::sleep(pause).await;
                let mut child = launch.spawn();
                match life {
                    None => {
                        let _ = child.wait().await;
                    }
                    Some(life) => {
                        let _ = tokio::time::timeout(life, child.wait()).await;
                        let _ = child.kill().await;
                    }
                }
            }
        }));
    }

    /// Its wall clock is so many seconds ahead of the world's.
    pub(crate) fn set_clock(&self, seconds: i64) {
        let [_, file] = self.launch.clock.as_ref().expect("a clock to set");
        // In one piece: it is read all the time.
        let fresh = file.with_extension("fresh");
        std::fs::write(&fresh, seconds.to_string()).expect("clock");
        std::fs::rename(&fresh, file).expect("clock");
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.launch.log).unwrap_or_default()
    }
}

impl Launch {
    fn spawn(&self) -> Child {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("log");
        // SIGXFSZ would end a process that reaches a limit of its file sizes, which stands for a full disk where none
        // can be mounted; a write that fails is what a full disk gives.
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_slotkeeper"))
            .args(["run", "--config.file"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .kill_on_drop(true);
        if let Some([library, file]) = &self.clock {
            command
                .env("LD_PRELOAD", library)
                .env("SLOTKEEPER_TEST_CLOCK", file);
        }
        command.spawn().expect("slotkeeper starts")
    }
}

/// A signal to a process that we started.
pub(crate) fn send(id: Option<u32>, signal: Signal) {
    let id = id.and_then(|id| i32::try_from(id).ok());
    let pid = id.and_then(Pid::from_raw).expect("it runs");
    kill_process(pid, signal).expect("signalled");
}

/// A full disk fails every line of the log, and with it what used to be reported on the same stderr.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let rig = Rig::without_app(RigConfig {
        ports: free_ports(),
        actuator: "armed: false".into(),
        seed: 2019,
        ..RigConfig::default()
    })
    .await;
    let mut daemon = Daemon::new(&rig.config_file(), Path::new("/dev/full"), false);
    daemon.start();
    rig.until_status("able", |s| s["producers"][0]["able"] == true)
        .await;
    daemon.kill().await;
    rig.stop().await;
}
