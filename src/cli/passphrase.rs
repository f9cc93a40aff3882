//! The passphrase options that every command with a key file shares. Reads the environment, once.

use std::path::PathBuf;

use clap::Args;

use crate::keys::key_file::PassphraseSource;

/// Without `--passphrase-file`: `SLOTKEEPER_PASSPHRASE`, then `UNLOCK`, then a question on the terminal.
#[derive(Debug, Args)]
pub(super) struct PassphraseArgs {
    /// File with the passphrase of the key file (mode 0600). Without it: the environment variable
    /// SLOTKEEPER_PASSPHRASE, then UNLOCK, then a question on the terminal.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    pub(super) fn source(&self) -> PassphraseSource {
        PassphraseSource::with_variables(
            self.passphrase_file.clone(),
            |name| std::env::var_os(name),
            true,
        )
    }
}
