//! `slotkeeper run`: the daemon. Reads the configuration, starts the [`App`], waits for signals, reloads, stops in order.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, CliResult};
use crate::app::{App, Asked, Options};
use crate::config::{self, Config};
use crate::notify::Systemd;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(
    about = "Run the exporter and actuator",
    long_about = "Watches the configured chains, serves /metrics and the status page, receives Alertmanager webhooks, \
                  and moves production when every interlock passes.\n\nA fresh one is disarmed: look at 'slotkeeper status', \
                  rehearse, then 'slotkeeper arm'; the state file remembers it. With actuator.armed: true in the \
                  configuration a new state file starts armed, after two minutes' hold.\n\nSIGHUP or POST /-/reload reads \
                  the configuration again; a broken one is refused and the old one stays in force. SIGTERM and \
                  Ctrl-C wait for what is in flight.",
    after_help = "Examples:\n  slotkeeper run --config.file slotkeeper.yml\n  slotkeeper run --config.file \
                  slotkeeper.yml --web.listen-address 127.0.0.1:10061 --log.format json\n\nExit codes: 0 stopped by a \
                  signal, 1 failed, 2 usage or config."
)]
pub(crate) struct RunArgs {
    /// Configuration file.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "slotkeeper.yml"
    )]
    config_file: PathBuf,
    /// Overrides `web.listen` of the configuration.
    #[arg(long = "web.listen-address", value_name = "ADDR")]
    listen_address: Option<String>,
    /// Overrides `web.config_file`: TLS and basic authentication, in the Prometheus exporter-toolkit format.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config_file: Option<PathBuf>,
    /// Least severity that is logged.
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,
    /// Form of the log lines on stderr.
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    log_format: LogFormat,
}

/// Severities, as Prometheus names them.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// Log formats.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Logfmt,
    /// One JSON object per line.
    Json,
}

/// What ends one life of the app.
enum End {
    Stop,
    Reload(Box<Config>),
}

/// Runs the daemon until a signal.
pub(crate) fn run(args: &RunArgs) -> CliResult {
    init_log(args.log_level, args.log_format);
    let config = read(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| CliError::Failed(e.into()))?;
    let ended = runtime.block_on(live(args, config));
    // A hung name lookup on the blocking pool must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

fn read(args: &RunArgs) -> Result<Config, CliError> {
    let mut config =
        config::load(&args.config_file).map_err(|e| CliError::Usage(anyhow::anyhow!("{e}")))?;
    if let Some(listen) = &args.listen_address {
        config.web.listen.clone_from(listen);
    }
    if let Some(file) = &args.web_config_file {
        config.web.config_file = Some(file.clone());
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(config)
}

/// One life after another: a reload is a stop and a start within the process, the way every start is tested. What was
/// under way is resumed from the journal. A configuration that reads well but cannot be started (a port that is taken, a
/// certificate that is not there) is refused like a broken one: the old one comes back.
async fn live(args: &RunArgs, mut config: Config) -> CliResult {
    let mut before: Option<Config> = None;
    let mut reloaded = None;
    loop {
        let options = Options {
            reloaded,
            ..Options::default()
        };
        let mut app = match (App::start(config.clone(), options).await, before.take()) {
            (Ok(app), _) => app,
            (Err(error), Some(old)) => {
                tracing::error!(
                    "the new configuration cannot be started, so the old one comes back: {error:#}"
                );
                config = old;
                reloaded = Some(false);
                continue;
            }
            (Err(error), None) => return Err(CliError::Failed(error)),
        };
        let end = until_end(args, &mut app).await;
        if !matches!(end, Ok(End::Reload(_))) {
            Systemd::from_env().stopping();
        }
        app.stop().await;
        match end? {
            End::Stop => return Ok(()),
            End::Reload(fresh) => {
                before = Some(std::mem::replace(&mut config, *fresh));
                reloaded = Some(true);
            }
        }
    }
}

async fn until_end(args: &RunArgs, app: &mut App) -> Result<End, CliError> {
    let catch = |kind| signal(kind).map_err(|e| CliError::Failed(e.into()));
    let (mut hangup, mut terminate, mut interrupt) = (
        catch(SignalKind::hangup())?,
        catch(SignalKind::terminate())?,
        catch(SignalKind::interrupt())?,
    );
    loop {
        let asked: Option<Asked> = tokio::select! {
            _ = hangup.recv() => None,
            asked = app.asked() => Some(asked.map_err(CliError::Failed)?),
            _ = terminate.recv() => return Ok(End::Stop),
            _ = interrupt.recv() => return Ok(End::Stop),
        };
        match read(args) {
            Ok(fresh) => {
                tracing::info!(file = %args.config_file.display(), "configuration reloaded");
                if let Some(asked) = asked {
                    asked.answer(Ok(()));
                }
                return Ok(End::Reload(Box::new(fresh)));
            }
            Err(CliError::Usage(error) | CliError::Failed(error)) => {
                tracing::error!(
                    "the configuration was not reloaded, the old one stays in force: {error:#}"
                );
                app.note_reload_failed();
                if let Some(asked) = asked {
                    asked.answer(Err(format!("{error:#}")));
                }
            }
        }
    }
}

fn init_log(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Debug => "slotkeeper=debug,warn",
        LogLevel::Info => "slotkeeper=info,warn",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(std::io::stderr)
        // Else a log that cannot be written (a full disk) ends the task that wanted to write: it would be reported on the
        // same stderr, by a macro that panics.
        .log_internal_errors(false)
        .with_target(false);
    match format {
        LogFormat::Logfmt => builder.with_ansi(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}
