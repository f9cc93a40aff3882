//! Breaking one thing of a running stack, and mending it.

use std::io::Write as _;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::json;
use slotkeeper::devnet::Fault;

use super::daemon::send;
use super::stack::Stack;
use super::table::{Break, Ill, Process};
use crate::rig::relay::Manner;

/// How long each one lives that dies soon after its start.
const SHORT_LIFE: Duration = Duration::from_secs(2);

impl Stack {
    pub(crate) async fn inflict(&mut self, what: Break) {
        match what {
            Break::Kill(Process::Slotkeeper | Process::Actuator) => self.daemon.kill().await,
            Break::Kill(Process::Prometheus) => self.monitoring.kill_prometheus().await,
            Break::Kill(Process::Alertmanager) => self.monitoring.kill_alertmanager().await,
            Break::Freeze(process) => self.signal(process, Signal::STOP),
            Break::Cut(link, manner) => self.cut(link, Some(manner)),
            Break::Rpc(names, ill) => {
                for name in names {
                    let endpoint = self.rig.devnet.endpoint_of(name).expect("endpoint");
                    endpoint.set_fault(match ill {
                        Ill::Dead => Fault::Refused,
                        Ill::MovedToHttps => Fault::RedirectHttps { status: 301 },
                    });
                }
            }
            Break::CannotStart => {
                self.spoil_config();
                self.daemon.start_again_and_again(None).await;
            }
            Break::DiesSoon => self.daemon.start_again_and_again(Some(SHORT_LIFE)).await,
            Break::Restart => {
                self.daemon.kill().await;
                self.daemon.start();
            }
            Break::BadReload => {
                self.spoil_config();
                self.daemon.signal(Signal::HUP);
            }
            Break::WrongToken => self.rig.private("alertmanager.token", "yesterdays-token"),
            Break::Disarm => self.order("/api/v1/disarm").await,
            Break::FillDisk => self.fill_disk(),
            Break::Clock(seconds) => self.daemon.set_clock(seconds),
            Break::CrashPrimary => self.rig.devnet.crash_node("A").expect("crash"),
        }
    }

    /// Undoes it. What cannot be undone is in no row that mends.
    pub(crate) async fn mend(&mut self, what: Break) {
        match what {
            Break::Kill(Process::Slotkeeper | Process::Actuator) | Break::DiesSoon => {
                self.daemon.start();
            }
            Break::Freeze(process) => self.signal(process, Signal::CONT),
            Break::Cut(link, _) => self.cut(link, None),
            Break::Rpc(names, _) => {
                for name in names {
                    let endpoint = self.rig.devnet.endpoint_of(name).expect("endpoint");
                    endpoint.clear_fault();
                }
            }
            Break::CannotStart => {
                self.restore_config();
                self.daemon.start();
            }
            Break::BadReload => {
                self.restore_config();
                self.daemon.signal(Signal::HUP);
            }
            Break::WrongToken => self.rig.private("alertmanager.token", "test-token"),
            Break::Disarm => self.order("/api/v1/arm").await,
            Break::FillDisk => self.empty_disk(),
            Break::Clock(_) => self.daemon.set_clock(0),
            Break::Restart => {}
            Break::Kill(Process::Prometheus | Process::Alertmanager) | Break::CrashPrimary => {
                panic!("{what:?} is not mended")
            }
        }
    }

    fn signal(&self, process: Process, signal: Signal) {
        let [prometheus, alertmanager] = self.monitoring.ids();
        let id = match process {
            Process::Slotkeeper | Process::Actuator => self.daemon.id(),
            Process::Prometheus => prometheus,
            Process::Alertmanager => alertmanager,
        };
        send(id, signal);
    }

    fn cut(&self, link: super::table::Link, manner: Option<Manner>) {
        for relay in &self.links[&link] {
            relay.cut(manner);
        }
    }

    async fn order(&self, path: &str) {
        let (code, answer) = self.rig.post(path, &json!({})).await;
        assert!(code < 300, "{path}: {code} {answer}");
    }

    fn spoil_config(&self) {
        let file = self.rig.config_file();
        std::fs::copy(&file, file.with_extension("good")).expect("copied");
        let mut config = std::fs::OpenOptions::new()
            .append(true)
            .open(file)
            .expect("config");
        writeln!(config, "guards: {{mode: always}}").expect("written");
    }

    fn restore_config(&self) {
        let file = self.rig.config_file();
        std::fs::copy(file.with_extension("good"), file).expect("copied");
    }

    /// To the last byte where the state file has a disk of its own; else by a limit on the process's file sizes, which
    /// fails its writes all the same.
    fn fill_disk(&self) {
        if !self.state.mounted {
            return self.limit_files(Some(1));
        }
        let mut file = std::fs::File::create(self.state.directory.join("ballast")).expect("file");
        let piece = [0; 4096];
        while file.write_all(&piece).is_ok() {}
    }

    fn empty_disk(&self) {
        if !self.state.mounted {
            return self.limit_files(None);
        }
        std::fs::remove_file(self.state.directory.join("ballast")).expect("removed");
    }

    fn limit_files(&self, current: Option<u64>) {
        let id = self.daemon.id().and_then(|id| i32::try_from(id).ok());
        let limit = Rlimit {
            current,
            maximum: None,
        };
        prlimit(id.and_then(Pid::from_raw), Resource::Fsize, limit).expect("limited");
    }
}
