//! Commands to the running daemon: `arm`, `disarm`, `producer …`. Each is a POST to the control listener; switches are then
//! followed by polling their decision until it is final.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::check_config::{ConfigArgs, load};
use super::client::{Client, ClientError, block_on};
use super::follow::{self, Follow};
use super::{CliError, CliResult, print};
use crate::clock;
use crate::config::{Config, ProducerConfig, parse_duration};
use crate::keys::PublicKey;

/// Allow the daemon to switch.
#[derive(Debug, Args)]
#[command(
    long_about = "Allow the daemon to switch signing keys: the global arm state, kept in its state file.\n\n\
        A producer is switched only when both the global state and its own (slotkeeper producer arm CHAIN/NAME) say armed.",
    after_help = "Example:\n  slotkeeper arm --config.file /etc/slotkeeper/slotkeeper.yml\n\n\
        Exit codes: 0 done, 1 failed or refused, 2 usage or config."
)]
pub(super) struct ArmArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Forbid the daemon every switch, at once.
#[derive(Debug, Args)]
#[command(
    long_about = "Forbid the daemon every switch, at once: the global arm state, kept in its state file. It goes on watching.\n\n\
        An attempt that is already sent cannot be called back; it is followed to its end.",
    after_help = "Example:\n  slotkeeper disarm --config.file /etc/slotkeeper/slotkeeper.yml\n\n\
        Exit codes: 0 done, 1 failed or refused, 2 usage or config."
)]
pub(super) struct DisarmArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Command one producer: switch, disable, enable, rehearse, arm, pin …
#[derive(Debug, Args)]
#[command(
    long_about = "Command one producer.\n\n\
        Every command passes through the actuator of the running daemon and is journaled. Chain id, quorum, an open attempt, \
        authority and key are never overridden; the other interlocks warn and give way to --override REASON. When the daemon \
        is dead, --standalone takes the state file's lock and acts without it.",
    after_help = "Exit codes: 0 done, 1 failed or refused, 2 usage or config."
)]
pub(super) struct ProducerArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Move production to a ready standby now, as if its key were at fault.
    #[command(after_help = "Examples:\n  \
        slotkeeper producer failover hive/alice\n  \
        slotkeeper producer failover hive/alice --to STM7… --wait\n  \
        slotkeeper producer failover hive/alice --standalone     # the daemon is dead\n\n\
        Exit codes: 0 done, 1 failed or refused, 2 usage or config.")]
    Failover(SwitchArgs),
    /// Move production as planned, for instance before maintenance of a node.
    #[command(after_help = "Example:\n  \
        slotkeeper producer switchover hive/alice --to STM7…\n\n\
        Exit codes: 0 done, 1 failed or refused, 2 usage or config.")]
    Switchover(SwitchArgs),
    /// Register the null key: the producer stops producing, and missing.
    #[command(after_help = "Example:\n  \
        slotkeeper producer disable hive/alice --override \"both nodes are being moved\"\n\n\
        A signing key alone cannot undo it: see enable. On Antelope the schedule may stay as it is when too few other \
        producers are active:\n`check-config --online` says so beforehand.\n\n\
        Exit codes: 0 done, 1 failed or refused, 2 usage or config.")]
    Disable(PlainSwitchArgs),
    /// Register a configured key again after a disable.
    #[command(after_help = "Example:\n  \
        slotkeeper producer enable hive/alice --to STM5…\n\n\
        Where no configured authority can do it (reenable: manual), the offline recipe is printed.\n\n\
        Exit codes: 0 done, 1 failed or refused, 2 usage or config.")]
    Enable(SwitchArgs),
    /// Everything but the broadcast: interlocks, target, signature; shows what would happen.
    #[command(after_help = "Example:\n  \
        slotkeeper producer rehearse hive/alice\n\n\
        Exit codes: 0 a switch would be sent, 1 it would be refused, 2 usage or config.")]
    Rehearse(SwitchArgs),
    /// Hands off this producer: it is watched, never switched, until unpin.
    #[command(after_help = STATE_HELP)]
    Pin(StateArgs),
    /// Ends a pin.
    #[command(after_help = STATE_HELP)]
    Unpin(StateArgs),
    /// Allow switches of this producer (the global arm state must allow them too).
    #[command(after_help = STATE_HELP)]
    Arm(StateArgs),
    /// Forbid switches of this producer.
    #[command(after_help = STATE_HELP)]
    Disarm(StateArgs),
    /// No switches of this producer until a time; without a time, maintenance ends now.
    #[command(after_help = "Examples:\n  \
        slotkeeper producer maintenance hive/alice --until 30m\n  \
        slotkeeper producer maintenance hive/alice --until 2026-12-01T08:00:00Z\n  \
        slotkeeper producer maintenance hive/alice                    # ends it\n\n\
        Exit codes: 0 done, 1 failed or refused, 2 usage or config.")]
    Maintenance(MaintenanceArgs),
    Permission(super::permission::PermissionArgs),
}

const STATE_HELP: &str = "Exit codes: 0 done, 1 failed or refused, 2 usage or config.";

/// `CHAIN/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Producer {
    pub(super) chain: String,
    pub(super) name: String,
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// The producer, as in the config.
    #[arg(value_name = "CHAIN/NAME")]
    pub(super) producer: Producer,
    #[command(flatten)]
    config: ConfigArgs,
    /// Pass the interlocks that only warn, and say why; the reason is journaled.
    #[arg(long = "override", value_name = "REASON", value_parser = reason)]
    pub(super) override_reason: Option<String>,
    /// The daemon is dead: take the lock of its state file and act without it.
    #[arg(long)]
    standalone: bool,
}

#[derive(Debug, Args)]
struct PlainSwitchArgs {
    #[command(flatten)]
    common: Common,
    /// Wait until the switch is irreversible, not only effective.
    #[arg(long)]
    wait: bool,
    /// Stop following after this long; the request itself goes on.
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = parse_duration)]
    timeout: Duration,
}

#[derive(Debug, Args)]
struct SwitchArgs {
    #[command(flatten)]
    plain: PlainSwitchArgs,
    /// The configured key to move to (default: the first ready one after the current).
    #[arg(long, value_name = "KEY")]
    to: Option<String>,
}

#[derive(Debug, Args)]
struct StateArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct MaintenanceArgs {
    #[command(flatten)]
    common: Common,
    /// When it ends: RFC 3339 (2026-12-01T08:00:00Z) or from now on (30m, 2h). Left out: now.
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<jiff::Timestamp>,
}

/// What a command asks for, whoever carries it out.
struct Order<'a> {
    verb: &'static str,
    common: &'a Common,
    to: Option<&'a str>,
    until: Option<jiff::Timestamp>,
    follow: Option<Follow>,
}

pub(super) fn arm(args: &ArmArgs) -> CliResult {
    global(
        &args.config,
        "arm",
        "armed: faults of armed producers are switched from now on",
    )
}

pub(super) fn disarm(args: &DisarmArgs) -> CliResult {
    let done = "disarmed: nothing is switched until slotkeeper arm";
    global(&args.config, "disarm", done)
}

pub(super) fn producer(args: &ProducerArgs) -> CliResult {
    match &args.verb {
        Verb::Failover(a) => switch("failover", a),
        Verb::Switchover(a) => switch("switchover", a),
        Verb::Enable(a) => switch("enable", a),
        Verb::Rehearse(a) => switch("rehearse", a),
        Verb::Disable(a) => plain_switch("disable", a, None),
        Verb::Pin(a) => state("pin", &a.common, None),
        Verb::Unpin(a) => state("unpin", &a.common, None),
        Verb::Arm(a) => state("arm", &a.common, None),
        Verb::Disarm(a) => state("disarm", &a.common, None),
        Verb::Maintenance(a) => state("maintenance", &a.common, a.until),
        Verb::Permission(a) => super::permission::run(a),
    }
}

// === the commands ===

fn global(config_args: &ConfigArgs, verb: &str, done: &str) -> CliResult {
    let config = load(config_args)?;
    let control = Client::control(&config)?;
    block_on(control.post_json(&format!("/api/v1/{verb}"), &json!({})))?
        .map_err(|e| explain(&control, e, &config_args.file, false))?;
    print(done)
}

fn switch(verb: &'static str, args: &SwitchArgs) -> CliResult {
    plain_switch(verb, &args.plain, args.to.as_deref())
}

fn plain_switch(verb: &'static str, args: &PlainSwitchArgs, to: Option<&str>) -> CliResult {
    order(&Order {
        verb,
        common: &args.common,
        to,
        until: None,
        follow: Some(Follow {
            irreversible: args.wait,
            timeout: args.timeout,
        }),
    })
}

fn state(verb: &'static str, common: &Common, until: Option<jiff::Timestamp>) -> CliResult {
    order(&Order {
        verb,
        common,
        to: None,
        until,
        follow: None,
    })
}

fn order(order: &Order<'_>) -> CliResult {
    let common = order.common;
    let config = load(&common.config)?;
    let producer = known(&config, &common.producer)?;
    let to = match order.to {
        Some(to) => Some(target(&config, producer, to)?),
        None => None,
    };
    if common.standalone {
        let done = super::standalone::run(
            &config,
            super::standalone::command(order.verb, common, to, order.until)?,
            order.follow,
        )?;
        return print(&done.unwrap_or_else(|| said_done(order)));
    }
    let chain = config
        .chain(&producer.chain)
        .ok_or_else(|| CliError::Usage(anyhow!("chain {} is not in the config", producer.chain)))?;
    let control = Client::control(&config)?;
    let web = Client::web(Some(&config), None)?;
    let file = &common.config.file;
    block_on(async {
        let name = &common.producer;
        let path = format!(
            "/api/v1/producers/{}/{}/{}",
            name.chain, name.name, order.verb
        );
        follow::forewarn(&web, order.verb, &name.chain, &name.name).await;
        let answer = control
            .post_json(&path, &body(order))
            .await
            .map_err(|e| explain(&control, e, file, true))?;
        let Some(follow) = &order.follow else {
            return print(&said_done(order));
        };
        let request_id = answer
            .get("request_id")
            .and_then(Value::as_str)
            .ok_or_else(|| {
                CliError::Failed(anyhow!(
                    "{} accepted the command but named no request_id: is it another version?",
                    control.address()
                ))
            })?;
        let what = format!("{} {}/{}", order.verb, name.chain, name.name);
        follow::follow(&web, request_id, &what, follow, chain).await
    })?
}

fn body(order: &Order<'_>) -> Value {
    let mut body = Map::new();
    if let Some(to) = order.to {
        body.insert("to".to_owned(), json!(to));
    }
    if let Some(until) = order.until {
        body.insert("until".to_owned(), json!(until.to_string()));
    }
    if let Some(reason) = &order.common.override_reason {
        body.insert("override_reason".to_owned(), json!(reason));
    }
    Value::Object(body)
}

fn said_done(order: &Order<'_>) -> String {
    let name = format!(
        "{}/{}",
        order.common.producer.chain, order.common.producer.name
    );
    match (order.verb, order.until) {
        ("pin", _) => format!(
            "{name} is pinned: watched, never switched, until slotkeeper producer unpin {name}"
        ),
        ("unpin", _) => format!("{name} is no longer pinned"),
        ("arm", _) => {
            format!("{name} is armed (it is switched only while the global state is armed too)")
        }
        ("disarm", _) => format!("{name} is disarmed: it is watched, not switched"),
        (_, Some(until)) => {
            format!("{name} is in maintenance until {until}: it is not switched before")
        }
        ("maintenance", None) => format!("{name} is no longer in maintenance"),
        (verb, None) => format!("{name}: {verb} done"),
    }
}

// === checks before asking ===

fn known<'a>(config: &'a Config, producer: &Producer) -> Result<&'a ProducerConfig, CliError> {
    let Some(found) = config.producer(&producer.chain, &producer.name) else {
        let names: Vec<String> = config
            .producers
            .iter()
            .map(|p| format!("{}/{}", p.chain, p.name))
            .collect();
        let known = if names.is_empty() {
            "the config names no producer".to_owned()
        } else {
            format!("the config names {}", names.join(", "))
        };
        return Err(CliError::Usage(anyhow!(
            "unknown producer {}/{}: {known}",
            producer.chain,
            producer.name
        )));
    };
    if found.keys.is_empty() {
        return Err(CliError::Usage(anyhow!(
            "{}/{} is watched only: it has no keys in the config, so there is nothing to command",
            found.chain,
            found.name
        )));
    }
    Ok(found)
}

fn target(config: &Config, producer: &ProducerConfig, to: &str) -> Result<PublicKey, CliError> {
    let prefix = config
        .chain(&producer.chain)
        .map_or("", |c| c.spec.address_prefix.as_str());
    let key = PublicKey::parse(to, prefix)
        .map_err(|e| CliError::Usage(anyhow::Error::new(e).context("--to")))?;
    if !producer.lists(&key) {
        let keys: Vec<String> = producer
            .keys
            .iter()
            .map(|k| k.signing_key.to_text(prefix))
            .collect();
        return Err(CliError::Usage(anyhow!(
            "--to names a key that {}/{} does not list; its keys are {}",
            producer.chain,
            producer.name,
            keys.join(", ")
        )));
    }
    Ok(key)
}

fn explain(control: &Client, error: ClientError, file: &Path, standalone: bool) -> CliError {
    let context = match &error {
        ClientError::Unreachable { .. } => {
            let otherwise = if standalone {
                "; when it is really dead, repeat the command with --standalone, which takes the state file's lock and acts without it"
            } else {
                ""
            };
            format!(
                "the daemon does not answer at {}: start it with `slotkeeper run --config.file {}`{otherwise}",
                control.address(),
                file.display()
            )
        }
        ClientError::Refused { .. } => "the daemon refused".to_owned(),
        ClientError::NotJson { .. } => "the daemon's answer cannot be read".to_owned(),
    };
    CliError::Failed(anyhow::Error::new(error).context(context))
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.len() > 500 || text.contains(|c: char| c.is_control()) {
        return Err("say why, in one line of at most 500 characters".to_owned());
    }
    Ok(text.to_owned())
}

fn until(text: &str) -> Result<jiff::Timestamp, String> {
    let now = jiff::Timestamp::from_millisecond(clock::now_ms()).map_err(|e| e.to_string())?;
    let end = match parse_duration(text) {
        Ok(duration) => now.checked_add(duration).map_err(|e| e.to_string())?,
        Err(_) => jiff::Timestamp::from_str(text).map_err(|_| {
            "not a time: RFC 3339 such as 2026-12-01T08:00:00Z, or from now on such as 30m or 2h".to_owned()
        })?,
    };
    if end <= now {
        return Err("is in the past".to_owned());
    }
    Ok(end)
}

// === impl Producer ===

impl FromStr for Producer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        match text.split_once('/') {
            Some((chain, name)) if fits(chain) && fits(name) => Ok(Self {
                chain: chain.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err("not CHAIN/NAME, such as hive/alice".to_owned()),
        }
    }
}
