//! `--standalone`: an operator's command carried out in this process, for when the daemon is dead. Takes the state
//! file's lock, so a living daemon refuses it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::CliError;
use super::client::block_on;
use super::follow::outcome;
use crate::actuator::standalone::{Done, Errand, StandaloneError, run};
use crate::actuator::{DecisionRecord, OperateError, OperatorCommand, Verdict, load_keyrings};
use crate::config::{ChainConfig, Config};
use crate::keys::key_file::PassphraseSource;

/// Does `command` and says how it ended; what happens on the way goes to standard error. `what`: the command in words.
pub(super) fn standalone(
    config: &Config,
    command: OperatorCommand,
    what: &str,
    irreversible: bool,
    timeout: Duration,
) -> Result<String, CliError> {
    let command_chain = command.chain.clone();
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
    let chain = config.chain(&command_chain);
    let told = |done: Done| {
        chain
            .and_then(|chain| told(&done.decisions, what, irreversible, chain))
            .unwrap_or(done.detail)
    };
    match block_on(run(errand, &mut progress))? {
        Ok(done) => Ok(told(done)),
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
        &serde_json::json!({ "decisions": decisions }),
        what,
        irreversible,
        chain,
    )
}
