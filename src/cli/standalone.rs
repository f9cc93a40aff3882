//! `--standalone`: an operator's command carried out in this process, for when the daemon is dead. Takes the state
//! file's lock, so a living daemon refuses it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::CliError;
use super::client::block_on;
use crate::actuator::standalone::{Errand, StandaloneError, run};
use crate::actuator::{OperateError, OperatorCommand, load_keyrings};
use crate::config::Config;
use crate::keys::key_file::PassphraseSource;

/// Does `command` and says how it ended; what happens on the way goes to standard error.
pub(super) fn standalone(
    config: &Config,
    command: OperatorCommand,
    irreversible: bool,
    timeout: Duration,
) -> Result<String, CliError> {
    let mut config = config.clone();
    // Only what the command is about: no passphrase is asked for that it does not need.
    config
        .producers
        .retain(|p| p.chain == command.chain && p.name == command.producer);
    let source = |file: Option<&Path>| {
        let prompt = std::io::IsTerminal::is_terminal(&std::io::stdin());
        let file = file.map(Path::to_path_buf);
        PassphraseSource::with_variables(file, |name| std::env::var_os(name), prompt)
    };
    let errand = Errand {
        keyrings: load_keyrings(&config, &source),
        config: Arc::new(config),
        command,
        irreversible,
        timeout,
    };
    let mut progress = |event: &crate::actuator::EventRecord| {
        eprintln!("{}: {}", event.kind, event.detail);
    };
    let done = block_on(run(errand, &mut progress))?;
    match done {
        Ok(text) => Ok(text),
        Err(
            error @ StandaloneError::Operate(
                OperateError::Invalid(_) | OperateError::UnknownProducer(_),
            ),
        ) => Err(CliError::Usage(anyhow!(error))),
        Err(error) => Err(CliError::Failed(anyhow!(error))),
    }
}
