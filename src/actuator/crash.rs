//! Crash injection for tests: `SLOTKEEPER_CRASH_AFTER=<point>` makes a debug build kill itself with SIGKILL the first
//! time it has passed that point. Release builds do not look.

/// Kills this process when the environment asks for it at `point`: `request`, `decision`, `signed`, `before-send`,
/// `sent`, `included`, `effective`, `irreversible`.
pub(super) fn after(point: &str) {
    if cfg!(debug_assertions) && std::env::var("SLOTKEEPER_CRASH_AFTER").is_ok_and(|p| p == point) {
        // No unwinding, no destructors: what a power cut would leave behind.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::thread::park(); // the signal is on its way
    }
}
