//! The passphrase options that every command with a key file shares. Reads the environment, once.

use std::path::PathBuf;

use clap::Args;

use crate::keys::key_file::{Passphrase, PassphraseSource};

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
        let variable = |name| std::env::var(name).ok().map(Passphrase::new);
        PassphraseSource {
            file: self.passphrase_file.clone(),
            slotkeeper_passphrase: variable("SLOTKEEPER_PASSPHRASE"),
            unlock: variable("UNLOCK"),
            prompt: true,
            credentials_directory: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        }
    }
}
