//! The pages in a real browser (Debian's `chromium`, headless): what people see, press and hear.

mod chromium;
mod devtools;
mod elsewhere;
mod live;
mod page;
mod served;
mod story;

use std::time::Duration;

pub(crate) use chromium::Chromium;
pub(crate) use page::Page;

use crate::web::harness::House;

/// How long anything may take before the test says that it never happened.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the public page and the control page are.
fn origin(house: &House) -> (String, String) {
    let listeners = house.listeners.as_ref().unwrap();
    (
        format!("http://{}", listeners.web),
        format!("http://{}", listeners.control),
    )
}
