//! Where the passphrase of an encrypted key file comes from: a file, the environment, or a prompt without echo.
//!
//! The environment is handed in by the caller, so that this can be tested and is read once, at start.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::file::{KeyFileError, read_private};

/// A passphrase; wiped on drop, never printed.
pub struct Passphrase(Zeroizing<String>);

/// Where to look for a passphrase. The first that is there wins: `file`, `slotkeeper_passphrase`, `unlock`, prompt.
#[derive(Default)]
pub struct PassphraseSource {
    /// A file with the passphrase, readable by its owner only; line ends at its end do not count.
    pub file: Option<PathBuf>,
    /// The value of `SLOTKEEPER_PASSPHRASE`.
    pub slotkeeper_passphrase: Option<Passphrase>,
    /// The value of `UNLOCK`, which other tools for these chains use.
    pub unlock: Option<Passphrase>,
    /// Whether a person may be asked. False for a daemon.
    pub prompt: bool,
    /// systemd's `CREDENTIALS_DIRECTORY`. systemd guards it itself and may show its files as readable by the group, so
    /// files directly in it are exempt from that part of the permission check.
    pub credentials_directory: Option<PathBuf>,
}

impl Passphrase {
    /// Wraps a passphrase.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The bytes, for the key derivation.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn copy(&self) -> Self {
        Self(self.0.clone())
    }
}

impl PassphraseSource {
    /// `file` first, then what `variable` gives for the names of the contract; a person is asked when `prompt`.
    pub fn with_variables(
        file: Option<PathBuf>,
        variable: impl Fn(&str) -> Option<OsString>,
        prompt: bool,
    ) -> Self {
        let secret = |name| Some(Passphrase::new(variable(name)?.into_string().ok()?));
        Self {
            file,
            slotkeeper_passphrase: secret("SLOTKEEPER_PASSPHRASE"),
            unlock: secret("UNLOCK"),
            prompt,
            credentials_directory: variable("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        }
    }

    /// The passphrase to open `key_file` with.
    ///
    /// # Errors
    /// An unreadable or unguarded passphrase file, or none of the sources has one.
    pub fn obtain(&self, key_file: &Path) -> Result<Passphrase, KeyFileError> {
        if let Some(found) = self.without_prompt()? {
            return Ok(found);
        }
        self.ask(key_file, "Passphrase for")
    }

    /// A passphrase for a new `key_file`; at a prompt it is asked for twice.
    ///
    /// # Errors
    /// As [`PassphraseSource::obtain`], two entries that differ, or an empty passphrase.
    pub fn obtain_new(&self, key_file: &Path) -> Result<Passphrase, KeyFileError> {
        let passphrase = match self.without_prompt()? {
            Some(found) => found,
            None => {
                let first = self.ask(key_file, "New passphrase for")?;
                let second = self.ask(key_file, "The same again for")?;
                if first.0 != second.0 {
                    return Err(KeyFileError::PassphrasesDiffer);
                }
                first
            }
        };
        if passphrase.is_empty() {
            return Err(KeyFileError::EmptyPassphrase);
        }
        Ok(passphrase)
    }

    fn without_prompt(&self) -> Result<Option<Passphrase>, KeyFileError> {
        if let Some(path) = &self.file {
            let text = read_private(path, self.credentials_directory.as_deref())?;
            let end = text.trim_end_matches(['\r', '\n']).len();
            return Ok(Some(Passphrase::new(text[..end].to_owned())));
        }
        Ok(self
            .slotkeeper_passphrase
            .as_ref()
            .or(self.unlock.as_ref())
            .map(Passphrase::copy))
    }

    fn ask(&self, key_file: &Path, what: &str) -> Result<Passphrase, KeyFileError> {
        let none = || KeyFileError::NoPassphrase(key_file.into());
        if !self.prompt {
            return Err(none());
        }
        // The prompt goes to the terminal itself, so that stdin and stdout stay free for data.
        rpassword::prompt_password(format!("{what} {}: ", key_file.display()))
            .map(Passphrase::new)
            .map_err(|_| none())
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

impl fmt::Debug for PassphraseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassphraseSource")
            .field("file", &self.file)
            .field("slotkeeper_passphrase", &self.slotkeeper_passphrase)
            .field("unlock", &self.unlock)
            .field("prompt", &self.prompt)
            .finish_non_exhaustive()
    }
}
