//! The lock file beside the state file: one process writes, the others are told who does. Readers need no lock.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::journal::JournalError;

/// Holds the lock until dropped (or until the process dies, however it dies).
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

// === impl Lock ===

impl Lock {
    /// Takes the lock beside `state_file` without waiting.
    pub(super) fn take(state_file: &Path) -> Result<Self, JournalError> {
        let path = beside(state_file);
        let io = |what: &str, e: std::io::Error| {
            JournalError::Io(format!(
                "cannot {what} the lock file {}: {e}; is the directory there and writable?",
                path.display()
            ))
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|e| io("open", e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Only for the message: an unreadable pid must not hide the real trouble.
                let _ = file.read_to_string(&mut holder);
                return Err(JournalError::Locked(format!(
                    "state file {} is in use by another slotkeeper (pid {}): send it the command instead, or stop it first",
                    state_file.display(),
                    holder.trim()
                )));
            }
            Err(e) => return Err(io("lock", e.into())),
        }
        file.set_len(0).map_err(|e| io("write", e))?;
        file.rewind().map_err(|e| io("write", e))?;
        writeln!(file, "{}", std::process::id()).map_err(|e| io("write", e))?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone is not enough: a child process between fork and exec still holds a copy of the descriptor. The
        // lock would go with the process anyway, so a failure here changes nothing.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// `slotkeeper.db` → `slotkeeper.db.lock`. The file stays: removing it would let two processes lock two inodes.
fn beside(state_file: &Path) -> PathBuf {
    let mut name = state_file.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_process_is_kept_out_and_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("s.db");
        let first = Lock::take(&db).unwrap();
        let error = Lock::take(&db).unwrap_err().to_string();
        assert!(
            error.contains(&format!("pid {}", std::process::id())),
            "{error}"
        );
        drop(first);
        Lock::take(&db).unwrap();
    }
}
