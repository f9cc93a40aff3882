//! `slotkeeper check-config`: is the file right, what is worth knowing about it, and what would the death of one part cost?

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::client::block_on;
use super::{CliError, CliResult, online, print};
use crate::chain::Protocol;
use crate::chain::antelope::Antelope;
use crate::config::{self, Config, GuardMode, simulate};

/// Where the config is.
#[derive(Debug, Clone, Args)]
pub(super) struct ConfigArgs {
    /// The config file.
    #[arg(
        long = "config.file",
        value_name = "FILE",
        default_value = "slotkeeper.yml"
    )]
    pub(super) file: PathBuf,
}

/// Check a config file without starting anything.
#[derive(Debug, Args)]
#[command(
    long_about = "Check a config file without starting anything.\n\n\
        Prints a summary, warnings, and what could no longer be done if any one node or provider died: read that part \
        before arming. Nothing is sent anywhere and no key file is opened; --online reads from the chain's endpoints. The first error is printed with its line and \
        column, or with the path of the field.",
    after_help = "Examples:\n  \
        slotkeeper check-config --config.file /etc/slotkeeper/slotkeeper.yml\n  \
        slotkeeper check-config --online                            # do the permissions on chain suffice (Antelope)?\n  \
        slotkeeper check-config --schema > slotkeeper.schema.json   # completion and checks in your editor\n\n\
        Exit codes: 0 the config is right (warnings included), 1 --online found a permission that does not suffice or got no answer, 2 the config is wrong."
)]
pub(super) struct CheckConfigArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print the JSON schema of the config file instead.
    #[arg(long)]
    schema: bool,
    /// Ask the endpoints of Antelope chains whether the configured permissions suffice, can do more than they need, and
    /// whether disabling would change the schedule.
    #[arg(long, conflicts_with = "schema")]
    online: bool,
}

pub(super) fn run(args: &CheckConfigArgs) -> CliResult {
    if args.schema {
        let schema = serde_json::to_string_pretty(&config::schema::schema())?;
        return print(&schema);
    }
    let config = load(&args.config)?;
    print(report(&args.config.file, &config).trim_end())?;
    if args.online { online(&config) } else { Ok(()) }
}

/// What the chains say of the configured permissions.
fn online(config: &Config) -> CliResult {
    let mut out = "\nOn chain\n".to_owned();
    let mut wrong = 0_usize;
    for producer in &config.producers {
        let Some(chain) = config
            .chain(&producer.chain)
            .filter(|c| c.spec.protocol == Protocol::Antelope && !producer.authority.is_empty())
        else {
            continue;
        };
        let adapter = Antelope::new(chain.spec.clone());
        let asked = block_on(online::ask(&adapter, chain, &producer.name))?;
        let found = match asked {
            Ok(asked) => online::judge(&asked, producer, &chain.spec.address_prefix),
            Err(error) => online::Findings {
                wrong: vec![format!(
                    "{}/{} was not checked: {error:#}",
                    producer.chain, producer.name
                )],
                ..online::Findings::default()
            },
        };
        wrong = wrong.saturating_add(found.wrong.len());
        for (mark, lines) in [
            ("ok   ", found.good),
            ("warn ", found.warnings),
            ("WRONG", found.wrong),
        ] {
            for line in lines {
                let _ = writeln!(out, "  {mark} {line}");
            }
        }
    }
    if out.lines().count() <= 2 {
        out.push_str("  nothing to ask: no producer with an authority on an Antelope chain\n");
    }
    print(out.trim_end())?;
    if wrong == 0 {
        return Ok(());
    }
    Err(CliError::Failed(anyhow::anyhow!(
        "{} on chain would keep a switch from being made, or could not be checked",
        counted(wrong, "thing")
    )))
}

/// Loads a config for a command; a wrong one is a usage error.
pub(super) fn load(args: &ConfigArgs) -> Result<Config, CliError> {
    config::load(&args.file).map_err(|e| CliError::Usage(e.into()))
}

fn report(file: &Path, config: &Config) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "OK {}", file.display());
    for chain in &config.chains {
        let spec = &chain.spec;
        let providers: std::collections::BTreeSet<&str> = chain
            .endpoints
            .iter()
            .map(|e| e.provider.as_str())
            .collect();
        let _ = writeln!(
            out,
            "  chain {}: {}, {} of {} must agree, polled every {} ms",
            spec.name,
            spec.protocol,
            chain.quorum,
            counted(providers.len(), "provider"),
            chain.poll_interval.as_millis()
        );
    }
    for producer in &config.producers {
        let what = if producer.keys.is_empty() {
            "watched only".to_owned()
        } else {
            format!(
                "{}, {} to switch",
                counted(producer.keys.len(), "key"),
                counted(producer.authority.len(), "way")
            )
        };
        let _ = writeln!(
            out,
            "  producer {}/{}: {what}",
            producer.chain, producer.name
        );
    }
    let guard = match config.guard.mode {
        GuardMode::Off => "off",
        GuardMode::Fallback => "fallback",
        GuardMode::Always => "always",
    };
    let _ = writeln!(
        out,
        "  guard {guard}; an empty state file starts {}",
        if config.actuator.armed {
            "armed"
        } else {
            "disarmed"
        }
    );
    for one in &config.notify {
        let _ = writeln!(
            out,
            "  notify {}: {}, from {} on, at most {} messages in {} s, reminded every {} s",
            one.name,
            one.via.as_str(),
            one.min_severity.as_str(),
            one.rate_limit.messages,
            one.rate_limit.per.as_secs(),
            one.reminder.as_secs()
        );
    }
    for one in &config.pings {
        let _ = writeln!(
            out,
            "  ping {}: every {} s while all is well{}",
            one.name,
            one.interval.as_secs(),
            if one.fail_url_file.is_some() {
                ", a failure otherwise"
            } else {
                ""
            }
        );
    }
    let warnings: Vec<String> = config
        .warnings
        .iter()
        .cloned()
        .chain(missing_files(config))
        .chain(open_files(config))
        .collect();
    if !warnings.is_empty() {
        let _ = writeln!(out, "\nWarnings");
        for warning in warnings {
            let _ = writeln!(out, "  {warning}");
        }
    }
    let losses = simulate::simulate(config);
    if !losses.is_empty() {
        let _ = writeln!(out, "\nIf one part died");
        for loss in losses {
            let mark = if loss.lost.is_empty() { "ok  " } else { "LOST" };
            let _ = writeln!(out, "  {mark} {loss}");
        }
    }
    let switchable = config
        .producers
        .iter()
        .any(|p| !p.keys.is_empty() && !p.authority.is_empty());
    if switchable {
        let _ = match simulate::may_arm(config) {
            Ok(()) => writeln!(out, "\nThis set-up may be armed."),
            Err(refusal) => writeln!(out, "\nThis set-up {}.", refusal.message),
        };
    }
    out
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}

/// Files that the config names and that are not there (yet): `run` would refuse to start without them.
fn missing_files(config: &Config) -> Vec<String> {
    let mut named: Vec<(&str, &PathBuf)> = Vec::new();
    named.extend(
        config
            .web
            .config_file
            .iter()
            .map(|f| ("web.config_file", f)),
    );
    named.extend(
        config
            .control
            .token_file
            .iter()
            .map(|f| ("control.token_file", f)),
    );
    named.extend(
        config
            .control
            .config_file
            .iter()
            .map(|f| ("control.config_file", f)),
    );
    for producer in &config.producers {
        for authority in &producer.authority {
            named.extend(authority.key_files.iter().map(|f| ("key file", f)));
            named.extend(
                authority
                    .passphrase_file
                    .iter()
                    .map(|f| ("passphrase_file", f)),
            );
        }
    }
    for one in &config.actuator.alertmanagers {
        named.extend(
            one.token_file
                .iter()
                .map(|f| ("Alertmanager token_file", f)),
        );
        named.extend(one.ca_file.iter().map(|f| ("Alertmanager ca_file", f)));
    }
    let secrets = notify_files(config);
    named.extend(secrets.iter().map(|(what, file)| (what.as_str(), file)));
    let mut seen = std::collections::BTreeSet::new();
    named
        .into_iter()
        .filter(|(_, file)| seen.insert((*file).clone()) && !file.exists())
        .map(|(what, file)| format!("{what} {} does not exist", file.display()))
        .collect()
}

/// Secrets of direct escalation and of pings, each with what it is.
fn notify_files(config: &Config) -> Vec<(String, PathBuf)> {
    let receivers = config.notify.iter().flat_map(|one| {
        let files = one.files().into_iter();
        files.map(|(key, file)| (format!("notify {} {key}", one.name), file.to_owned()))
    });
    let pings = config.pings.iter().flat_map(|one| {
        let files = std::iter::once(("url_file", &one.url_file))
            .chain(one.fail_url_file.iter().map(|f| ("fail_url_file", f)));
        files.map(|(key, file)| (format!("ping {} {key}", one.name), file.clone()))
    });
    receivers.chain(pings).collect()
}

/// Those of them that others than their owner can read.
fn open_files(config: &Config) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    notify_files(config)
        .into_iter()
        .filter(|(_, file)| file.metadata().is_ok_and(|m| m.mode() & 0o007 != 0))
        .map(|(what, file)| {
            format!(
                "{what} {} can be read by every user of this machine: chmod 600",
                file.display()
            )
        })
        .collect()
}
