//! The pages in a real browser (Debian's `chromium`, headless): what people see, press and hear.

mod chromium;
mod devtools;
mod page;
mod served;

use std::time::Duration;

pub(crate) use chromium::Chromium;
pub(crate) use page::Page;

/// How long anything may take before the test says that it never happened.
const PATIENCE: Duration = Duration::from_secs(60);
