//! The state file as a file: created for nobody else to read, and noticed when it is taken away. Touches its metadata only.

use std::path::{Path, PathBuf};

use super::journal::JournalError;

/// Which file was opened: what is written to one that was removed or replaced since survives nothing.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

// === impl Place ===

impl Place {
    /// The file that is at `path` now.
    pub(super) fn of(path: &Path) -> Result<Self, JournalError> {
        let file = identity(path)
            .map_err(|e| JournalError::Io(format!("cannot look at {}: {e}", path.display())))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Whether that file is still at its path.
    pub(super) fn still_there(&self) -> bool {
        identity(&self.path).is_ok_and(|file| file == self.file)
    }

    /// What to say when it is not.
    pub(super) fn gone(&self) -> JournalError {
        JournalError::Io(format!(
            "the state file {} was removed or replaced while in use: restart slotkeeper",
            self.path.display()
        ))
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map(|m| (m.dev(), m.ino()))
}

/// The file says who acts and when; nobody else's business. Created before SQLite would, with a tighter mode.
pub(super) fn private(path: &Path) -> Result<(), JournalError> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|e| JournalError::Io(format!("cannot open {}: {e}", path.display())))
}
