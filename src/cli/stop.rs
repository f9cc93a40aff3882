//! When a command in the foreground is told to stop: Ctrl-C by a person, SIGTERM by a supervisor. What it started is ended
//! by its caller afterwards, so that neither leaves processes or directories behind.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals, caught from now on.
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Catches both.
    ///
    /// # Errors
    ///
    /// The system gives no handler.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Returns when either came, since they are caught.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
