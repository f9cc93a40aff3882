//! Real Prometheus and Alertmanager with the shipped `deploy/` files, on loopback, for the demo and the tests. Starts
//! and ends processes. The files are changed in where things listen, and in who is called: nobody, or one listener.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_yaml::Value;
use tokio::process::{Child, Command};

use crate::clock::Stopwatch;

const PROMETHEUS_YML: &str = include_str!("../../deploy/prometheus/prometheus.yml");
const ALERTMANAGER_YML: &str = include_str!("../../deploy/alertmanager/alertmanager.yml");
const RELAXED_PROMETHEUS_YML: &str = include_str!("../../deploy/prometheus/prometheus-relaxed.yml");
const RELAXED_ALERTMANAGER_YML: &str =
    include_str!("../../deploy/alertmanager/alertmanager-relaxed.yml");
const TEMPLATES: &str = include_str!("../../deploy/alertmanager/templates/slotkeeper.tmpl");

/// The rule files, by name.
macro_rules! rule_files {
    ($($name:literal),*) => {
        &[$(($name, include_str!(concat!("../../deploy/prometheus/rules/", $name)))),*]
    };
}

const RULE_FILES: &[(&str, &str)] = rule_files![
    "act.yml",
    "chain.yml",
    "monitor.yml",
    "production.yml",
    "rpc.yml",
    "stack.yml",
    "standby.yml"
];

/// How long either may take to say that it is ready.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Which of the two shipped paces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Profile {
    /// Every second.
    #[default]
    Fast,
    /// Every 15 seconds, Prometheus without flags.
    Relaxed,
}

/// Where slotkeeper listens and what it wants to hear.
#[derive(Debug, Clone)]
pub struct Monitored {
    /// Public listener: scraped.
    pub web: SocketAddr,
    /// Control listener: receives webhooks.
    pub control: SocketAddr,
    /// File with the bearer token that Alertmanager sends.
    pub token_file: PathBuf,
    /// Where Prometheus shall listen.
    pub prometheus_port: u16,
    /// Where Alertmanager shall listen.
    pub alertmanager_port: u16,
    /// The pace.
    pub profile: Profile,
    /// Further slotkeepers that Prometheus scrapes.
    pub also_scraped: Vec<SocketAddr>,
    /// Where Prometheus reaches Alertmanager, when that is not where it listens (a way that a test can cut).
    pub alertmanager_at: Option<SocketAddr>,
    /// Further Alertmanagers that Prometheus tells (to show what a dead one costs).
    pub others: Vec<SocketAddr>,
    /// Who plays PagerDuty (`/pagerduty`) and Slack (`/slack`). `None`: nobody is called.
    pub people: Option<SocketAddr>,
}

/// A running pair; both end when it is dropped.
#[derive(Debug)]
pub struct Monitoring {
    prometheus: Child,
    alertmanager: Child,
    /// Base URL of Prometheus.
    pub prometheus_url: String,
    /// Base URL of Alertmanager.
    pub alertmanager_url: String,
    directory: tempfile::TempDir,
}

/// Why the pair could not be started.
#[derive(Debug, thiserror::Error)]
pub enum MonitoringError {
    /// A program is missing.
    #[error(
        "{program} is not installed. On Debian: apt-get install --no-install-recommends prometheus prometheus-alertmanager"
    )]
    Missing {
        /// Which.
        program: &'static str,
    },
    /// A file or process failed.
    #[error("starting the monitoring pair: {0}")]
    Io(#[from] std::io::Error),
    /// It did not become ready.
    #[error("{program} was not ready within {limit:?}; the end of its log:\n{log}")]
    NotReady {
        /// Which.
        program: &'static str,
        /// How long it had.
        limit: Duration,
        /// Last lines it wrote.
        log: String,
    },
}

// === impl Monitoring ===

impl Monitoring {
    /// Writes the configuration into a directory of its own and starts both.
    ///
    /// # Errors
    /// A missing program, a file that cannot be written, or one that does not become ready.
    pub async fn start(monitored: &Monitored) -> Result<Self, MonitoringError> {
        let directory = tempfile::Builder::new()
            .prefix("slotkeeper-monitoring-")
            .tempdir()?;
        let (prometheus_port, alertmanager_port) =
            (monitored.prometheus_port, monitored.alertmanager_port);
        let here = |text: &str| {
            text.replace("127.0.0.1:10061", &monitored.web.to_string())
                .replace("127.0.0.1:10062", &monitored.control.to_string())
                .replace("127.0.0.1:9093", &format!("127.0.0.1:{alertmanager_port}"))
                .replace("127.0.0.1:9090", &format!("127.0.0.1:{prometheus_port}"))
        };
        let dir = directory.path();
        std::fs::create_dir(dir.join("rules"))?;
        let (prometheus_yml, alertmanager_yml) = match monitored.profile {
            Profile::Fast => (PROMETHEUS_YML, ALERTMANAGER_YML),
            Profile::Relaxed => (RELAXED_PROMETHEUS_YML, RELAXED_ALERTMANAGER_YML),
        };
        let alertmanagers: String = monitored
            .others
            .iter()
            .map(|other| format!(", \"{other}\""))
            .collect();
        let mut prometheus_yml = here(prometheus_yml);
        let scraped: String = monitored
            .also_scraped
            .iter()
            .map(|other| format!(", \"{other}\""))
            .collect();
        let web = format!("\"{}\"", monitored.web);
        prometheus_yml = prometheus_yml.replacen(&web, &format!("{web}{scraped}"), 1);
        let at = format!("127.0.0.1:{alertmanager_port}");
        let seen = monitored
            .alertmanager_at
            .map_or(at.clone(), |a| a.to_string());
        prometheus_yml = prometheus_yml.replace(&at, &seen);
        // The first place is `alerting`; the scrape job stays as it is.
        let own = format!("\"{seen}\"");
        prometheus_yml = prometheus_yml.replacen(&own, &format!("{own}{alertmanagers}"), 1);
        std::fs::write(dir.join("prometheus.yml"), prometheus_yml)?;
        for (name, text) in RULE_FILES {
            std::fs::write(dir.join("rules").join(name), text)?;
        }
        let receivers = with_receivers(&here(alertmanager_yml), monitored)?;
        std::fs::write(dir.join("alertmanager.yml"), receivers)?;
        std::fs::create_dir(dir.join("templates"))?;
        std::fs::write(dir.join("templates/slotkeeper.tmpl"), TEMPLATES)?;
        if let Some(people) = monitored.people {
            std::fs::write(
                dir.join("pagerduty.key"),
                "0123456789abcdef0123456789abcdef",
            )?;
            std::fs::write(dir.join("slack.url"), format!("http://{people}/slack"))?;
        }

        let alertmanager = spawn(
            dir,
            &["prometheus-alertmanager", "alertmanager"],
            &[
                "--config.file=alertmanager.yml".into(),
                "--storage.path=alertmanager-data".into(),
                format!("--web.listen-address=127.0.0.1:{alertmanager_port}"),
                // Alone: without this the first notification waits ten seconds for peers.
                "--cluster.listen-address=".into(),
            ],
        )?;
        let mut flags = vec![
            "--config.file=prometheus.yml".into(),
            "--storage.tsdb.path=prometheus-data".into(),
            format!("--web.listen-address=127.0.0.1:{prometheus_port}"),
        ];
        if monitored.profile == Profile::Fast {
            flags.push("--rules.alert.resend-delay=5s".into());
        }
        let prometheus = spawn(dir, &["prometheus"], &flags)?;
        let pair = Self {
            prometheus,
            alertmanager,
            prometheus_url: format!("http://127.0.0.1:{prometheus_port}"),
            alertmanager_url: format!("http://127.0.0.1:{alertmanager_port}"),
            directory,
        };
        pair.ready("alertmanager", &pair.alertmanager_url).await?;
        pair.ready("prometheus", &pair.prometheus_url).await?;
        Ok(pair)
    }

    /// Ends both and waits for them.
    pub async fn stop(mut self) {
        for child in [&mut self.prometheus, &mut self.alertmanager] {
            // It may have ended by itself; either way it is gone afterwards.
            let _ = child.kill().await;
        }
    }

    /// Ends Prometheus alone (to show what its death does).
    pub async fn kill_prometheus(&mut self) {
        let _ = self.prometheus.kill().await;
    }

    /// Process ids of Prometheus and Alertmanager, as long as they run.
    #[must_use]
    pub fn ids(&self) -> [Option<u32>; 2] {
        [self.prometheus.id(), self.alertmanager.id()]
    }

    /// Ends Alertmanager alone.
    pub async fn kill_alertmanager(&mut self) {
        let _ = self.alertmanager.kill().await;
    }

    async fn ready(&self, program: &'static str, base: &str) -> Result<(), MonitoringError> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(1))
            .build()
            .map_err(std::io::Error::other)?;
        let watch = Stopwatch::start();
        while watch.elapsed() < START_LIMIT {
            let answer = client.get(format!("{base}/-/ready")).send().await;
            if answer.is_ok_and(|a| a.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(self.directory.path().join(format!("{program}.log")));
        let log = log.unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        Err(MonitoringError::NotReady {
            program,
            limit: START_LIMIT,
            log: tail.into_iter().rev().collect::<Vec<_>>().join("\n"),
        })
    }
}

/// Starts the first of `names` that exists, logging into a file named after the last.
fn spawn(dir: &Path, names: &[&'static str], args: &[String]) -> Result<Child, MonitoringError> {
    let last = names.last().copied().unwrap_or_default();
    for name in names {
        let log = std::fs::File::create(dir.join(format!("{last}.log")))?;
        let spawned = Command::new(name)
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        match spawned {
            Ok(child) => return Ok(child),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(MonitoringError::Missing { program: last })
}

/// The receivers with this token file, and with whoever plays the people's side. As YAML and not as text: whole blocks
/// go when nobody is to be called.
fn with_receivers(yaml: &str, monitored: &Monitored) -> Result<String, std::io::Error> {
    let mut config: Value = serde_yaml::from_str(yaml).map_err(std::io::Error::other)?;
    if let Some(people) = monitored.people {
        config["global"]["pagerduty_url"] = format!("http://{people}/pagerduty").into();
    }
    let receivers = config.get_mut("receivers").and_then(Value::as_sequence_mut);
    for receiver in receivers.into_iter().flatten() {
        if monitored.people.is_none()
            && let Some(receiver) = receiver.as_mapping_mut()
        {
            receiver.remove("pagerduty_configs");
            receiver.remove("slack_configs");
        }
        let webhooks = receiver
            .get_mut("webhook_configs")
            .and_then(Value::as_sequence_mut);
        for webhook in webhooks.into_iter().flatten() {
            webhook["http_config"]["authorization"]["credentials_file"] =
                monitored.token_file.display().to_string().into();
        }
    }
    serde_yaml::to_string(&config).map_err(std::io::Error::other)
}
