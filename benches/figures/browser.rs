//! The browser that the tests drive, for measuring what a person waits for.
#![allow(clippy::unwrap_used, dead_code)] // it is the tests' own, and most of what it can do is not needed here

#[path = "../../tests/it/browser/chromium.rs"]
pub(crate) mod chromium;
#[path = "../../tests/it/browser/devtools.rs"]
pub(crate) mod devtools;
#[path = "../../tests/it/browser/page.rs"]
pub(crate) mod page;

use std::time::Duration;

/// How long anything may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);
