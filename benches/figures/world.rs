//! What is measured: a devnet in this process on threads of its own, and a slotkeeper on a real configuration file,
//! either as the released program in a process of its own or in here, where its insides can be timed.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use slotkeeper::app::{App, Options};
use slotkeeper::chain::Protocol;
use slotkeeper::chain::graphene::TESTNET_CHAIN_ID;
use slotkeeper::clock::Stopwatch;
use slotkeeper::config::{self, Config};
use slotkeeper::devnet::chain::node_key;
use slotkeeper::devnet::{Devnet, DevnetConfig};
use slotkeeper::keys::Signer;
use slotkeeper::keys::key_file::{self, Passphrase};
use tokio::runtime::Runtime;

/// The chain's name.
pub(crate) const CHAIN: &str = "bench";
/// The control token.
pub(crate) const TOKEN: &str = "bench-token";
const PASSPHRASE: &str = "bench passphrase";
/// Threads of a slotkeeper in this process are called so.
pub(crate) const THREADS: &str = "slotkeeper";
/// How long anything may take before it counts as not measurable.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What to put together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) interval_ms: u64,
    pub(crate) poll_ms: u64,
    /// Witnesses with a node besides the devnet's own.
    pub(crate) others: usize,
    /// Witnesses that never have a slot.
    pub(crate) idle: usize,
    /// Producers with two keys each.
    pub(crate) kept: Vec<String>,
    /// How many of these have encrypted key files: opening one takes 16 MiB for a moment.
    pub(crate) encrypted: usize,
    /// Producers that are only watched.
    pub(crate) watched: Vec<String>,
    /// Where slotkeeper asks instead of the devnet's own endpoints.
    pub(crate) through: Vec<SocketAddr>,
}

impl Plan {
    /// So many producers with two keys each, at the pace of a real chain.
    pub(crate) fn producers(number: usize) -> Self {
        Self {
            interval_ms: 3_000,
            poll_ms: 1_000,
            others: number,
            kept: witnesses(1..=number),
            ..Self::default()
        }
    }
}

/// A devnet and a directory for slotkeeper's files.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) devnet: Devnet,
    pub(crate) runtime: Runtime,
    directory: tempfile::TempDir,
}

/// A slotkeeper in a process of its own, ended when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) web: SocketAddr,
    pub(crate) control: SocketAddr,
    log: PathBuf,
}

/// A slotkeeper in this process, on threads of its own.
pub(crate) struct Inside {
    pub(crate) runtime: Runtime,
    pub(crate) app: Option<App>,
}

/// `wit01` and so on, as the devnet names them.
pub(crate) fn witnesses(numbers: std::ops::RangeInclusive<usize>) -> Vec<String> {
    numbers.map(|n| format!("wit{n:02}")).collect()
}

/// Threads called `name`.
pub(crate) fn runtime(name: &str, threads: usize) -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        // A thread that ends takes its CPU time out of the sum.
        .thread_keep_alive(Duration::from_secs(3_600))
        .enable_all()
        .build()?)
}

/// The text of a witness's key number 0 or 1.
pub(crate) fn key_text(witness: &str, number: usize) -> anyhow::Result<String> {
    Ok(secret(witness, number)?.public_key().to_text("TST"))
}

fn secret(witness: &str, number: usize) -> anyhow::Result<slotkeeper::keys::SecretKey> {
    let node = if number == 0 { witness } else { "spare" };
    node_key(witness, node).map_err(|e| anyhow!(e))
}

// === impl World ===

impl World {
    pub(crate) fn start(plan: Plan) -> anyhow::Result<Self> {
        // One thread: endpoints elsewhere would take neither core from what is measured.
        let runtime = runtime("devnet", 1)?;
        let devnet = runtime.block_on(Devnet::start(DevnetConfig {
            protocol: Protocol::Hive,
            interval_ms: plan.interval_ms,
            others: plan.others,
            idle: plan.idle,
            ..DevnetConfig::default()
        }))?;
        // Beside the build: on a disk, where a sync costs what it costs.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let world = Self {
            plan,
            devnet,
            runtime,
            directory,
        };
        world.private("control.token", TOKEN)?;
        world.private("pass", PASSPHRASE)?;
        let passphrase = Passphrase::new(PASSPHRASE.to_owned());
        for (n, name) in world.plan.kept.iter().enumerate() {
            for number in [0, 1] {
                let path = world.directory().join(format!("{name}-{number}.key"));
                let key = secret(name, number)?;
                if n < world.plan.encrypted {
                    key_file::save_encrypted(&path, &key, &passphrase, false)?;
                } else {
                    key_file::save_wif(&path, &key, false)?;
                }
            }
        }
        Ok(world)
    }

    fn private(&self, name: &str, text: &str) -> anyhow::Result<()> {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.directory.path().join(name))?;
        Ok(writeln!(file, "{text}")?)
    }

    /// Addresses of the full nodes.
    pub(crate) fn endpoints(&self) -> Vec<SocketAddr> {
        let full = self.devnet.endpoints().filter(|e| e.node().is_none());
        full.map(|e| e.addr()).collect()
    }

    /// Where files of this world may go.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Writes the configuration file.
    fn configure(&self, ports: (u16, u16)) -> anyhow::Result<PathBuf> {
        let plan = &self.plan;
        let endpoints = if plan.through.is_empty() {
            self.endpoints()
        } else {
            plan.through.clone()
        };
        let mut text = format!(
            "web: {{listen: \"127.0.0.1:{}\"}}\n\
             control: {{listen: \"127.0.0.1:{}\", token_file: control.token}}\n\
             state_file: slotkeeper.db\nactuator: {{armed: true}}\nguard: {{mode: always}}\n\
             chains:\n  - name: {CHAIN}\n    protocol: hive\n    chain_id: \"{}\"\n    address_prefix: TST\n    \
             core_symbol: TESTS\n    block_interval: {}ms\n    poll_interval: {}ms\n    endpoints:\n",
            ports.0,
            ports.1,
            slotkeeper::hex::encode(&TESTNET_CHAIN_ID),
            plan.interval_ms,
            plan.poll_ms,
        );
        for (n, addr) in endpoints.iter().enumerate() {
            writeln!(
                text,
                "      - {{url: \"http://{addr}\", provider: \"provider{n}\"}}"
            )?;
        }
        writeln!(text, "producers:")?;
        for (n, name) in plan.kept.iter().enumerate() {
            let sealed = if n < plan.encrypted {
                ", passphrase_file: pass"
            } else {
                ""
            };
            writeln!(text, "  - chain: {CHAIN}\n    name: {name}\n    keys:")?;
            for number in [0, 1] {
                let key = key_text(name, number)?;
                writeln!(
                    text,
                    "      - {{signing_key: \"{key}\", assume_ready: true}}"
                )?;
            }
            writeln!(
                text,
                "    authority:\n      - {{method: witness_set_properties, key_files: [{name}-0.key, {name}-1.key]{sealed}}}"
            )?;
        }
        for name in &plan.watched {
            writeln!(text, "  - {{chain: {CHAIN}, name: {name}}}")?;
        }
        let path = self.directory.path().join("slotkeeper.yml");
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// The configuration as slotkeeper reads it.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        config::load(&self.configure((0, 0))?).map_err(|e| anyhow!("{e}"))
    }

    /// Starts slotkeeper in this process.
    pub(crate) fn inside(&self) -> anyhow::Result<Inside> {
        let config = self.config()?;
        // Two threads for everything, as the program has.
        let runtime = runtime(THREADS, 2)?;
        let options = Options {
            missing_state_hold: Duration::ZERO,
            ..Options::default()
        };
        let app = runtime.block_on(App::start(config, options))?;
        Ok(Inside {
            runtime,
            app: Some(app),
        })
    }

    /// Starts the released program.
    pub(crate) fn spawn(&self) -> anyhow::Result<Daemon> {
        let (web, control) = free_ports()?;
        let config = self.configure((web, control))?;
        let log = self.directory.path().join("run.log");
        let file = std::fs::File::create(&log)?;
        let child = Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
            .args(["run", "--config.file"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .context("starting slotkeeper")?;
        Ok(Daemon {
            child,
            web: SocketAddr::from(([127, 0, 0, 1], web)),
            control: SocketAddr::from(([127, 0, 0, 1], control)),
            log,
        })
    }
}

/// Two ports that are free now.
pub(crate) fn free_ports() -> anyhow::Result<(u16, u16)> {
    let hold = || std::net::TcpListener::bind("127.0.0.1:0");
    let (a, b) = (hold()?, hold()?);
    Ok((a.local_addr()?.port(), b.local_addr()?.port()))
}

// === impl Daemon ===

impl Daemon {
    /// One line of `/proc/PID/status`, in KiB.
    pub(crate) fn memory_kib(&self, line: &str) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        text.lines()
            .find_map(|l| l.strip_prefix(line)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("{path} has no {line}"))
    }

    /// CPU seconds used so far.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        cpu_of(&format!("/proc/{}/stat", self.child.id()))
    }

    /// Waits until it is ready.
    pub(crate) fn until_ready(&self) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        loop {
            let asked = super::http::Blocking::open(self.web)
                .and_then(|mut c| c.ask(&super::http::get("/-/ready")));
            if asked.is_ok_and(|a| a.status == 200) {
                return Ok(());
            }
            if watch.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                bail!("slotkeeper did not become ready; it said:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Inside ===

impl Inside {
    pub(crate) fn app(&self) -> anyhow::Result<&App> {
        self.app.as_ref().context("slotkeeper has been stopped")
    }

    /// CPU seconds of its threads so far.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for task in std::fs::read_dir("/proc/self/task")? {
            let path = task?.path();
            // A thread may end between the listing and the reading.
            let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
            if [THREADS, "journal"].contains(&name.trim()) {
                sum += cpu_of(&path.join("stat").to_string_lossy()).unwrap_or(0.0);
            }
        }
        Ok(sum)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            self.runtime.block_on(app.stop());
        }
    }
}

/// User and system time of a `stat` file. The clock of these figures ticks 100 times a second on every Linux.
fn cpu_of(path: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    // The name in parentheses may hold blanks.
    let rest = text.rsplit_once(')').context("no stat line")?.1;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next().and_then(|f| f.parse::<f64>().ok());
    let (user, system) = (next().context("no utime")?, next().context("no stime")?);
    Ok((user + system) / 100.0)
}
