//! `--standalone`: an operator's command carried out in this process, for when the daemon is dead. Takes the state
//! file's lock, so a living daemon refuses it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use serde_json::json;

use super::CliError;
use super::client::block_on;
use super::follow::{Follow, outcome};
use super::operate::Common;
use crate::actuator::standalone::{self, Done, Errand, StandaloneError};
use crate::actuator::{DecisionRecord, OperateError, OperatorCommand, Verdict, load_keyrings};
use crate::config::{ChainConfig, Config};
use crate::keys::PublicKey;
use crate::keys::key_file::PassphraseSource;

/// Arming, pinning and the like are done as soon as they are durable.
const STANDING_TIMEOUT: Duration = Duration::from_secs(30);

/// The command that the arguments ask for.
pub(super) fn command(
    verb: &str,
    common: &Common,
    to: Option<PublicKey>,
    until: Option<jiff::Timestamp>,
) -> Result<OperatorCommand, CliError> {
    Ok(OperatorCommand {
        chain: common.producer.chain.clone(),
        producer: common.producer.name.clone(),
        verb: serde_json::from_value(json!(verb))
            .map_err(|e| CliError::Failed(anyhow!("{verb}: {e}")))?,
        to,
        until: until.map(|t| t.as_millisecond()),
        override_reason: common.override_reason.clone(),
    })
}

/// Does `command`; what happens on the way goes to standard error. Says how it ended where there was anything to
/// follow.
pub(super) fn run(
    config: &Config,
    command: OperatorCommand,
    follow: Option<Follow>,
) -> Result<Option<String>, CliError> {
    let switches = command.verb.switches();
    let (irreversible, timeout) =
        follow.map_or((false, STANDING_TIMEOUT), |f| (f.irreversible, f.timeout));
    let chain = config.chain(&command.chain);
    let verb = serde_json::to_value(command.verb).unwrap_or_default();
    let what = format!(
        "{} {}/{}",
        verb.as_str().unwrap_or_default(),
        command.chain,
        command.producer
    );
    let mut narrowed = config.clone();
    // Only what the command is about: no passphrase is asked for that it does not need.
    narrowed
        .producers
        .retain(|p| p.chain == command.chain && p.name == command.producer);
    let source = |file: Option<&Path>| {
        let prompt = std::io::IsTerminal::is_terminal(&std::io::stdin());
        let file = file.map(Path::to_path_buf);
        PassphraseSource::with_variables(file, |name| std::env::var_os(name), prompt)
    };
    let errand = Errand {
        keyrings: load_keyrings(&narrowed, &source),
        config: Arc::new(narrowed),
        command,
        irreversible,
        timeout,
    };
    let refuse = Some(Verdict::Refuse.as_str());
    let mut progress = |event: &crate::actuator::EventRecord| {
        // A refusal is told in full at the end.
        if event.verdict.as_deref() != refuse {
            eprintln!("{}: {}", event.kind, event.detail);
        }
    };
    let told = |done: Done| {
        chain
            .and_then(|chain| told(&done.decisions, &what, irreversible, chain))
            .unwrap_or(done.detail)
    };
    match block_on(standalone::run(errand, &mut progress))? {
        Ok(done) => Ok(switches.then(|| told(done))),
        Err(StandaloneError::Refused(done)) => Err(CliError::Failed(anyhow!(told(*done)))),
        Err(
            error @ StandaloneError::Operate(
                OperateError::Invalid(_) | OperateError::UnknownProducer(_),
            ),
        ) => Err(CliError::Usage(anyhow!(error))),
        Err(error) => Err(CliError::Failed(anyhow!(error))),
    }
}

/// The outcome in the words that the daemon's client uses; `None` where the decisions do not tell it.
fn told(
    decisions: &[DecisionRecord],
    what: &str,
    irreversible: bool,
    chain: &ChainConfig,
) -> Option<String> {
    let decisions = serde_json::to_value(decisions).ok()?;
    outcome(
        &json!({ "decisions": decisions }),
        what,
        irreversible,
        chain,
    )
}
