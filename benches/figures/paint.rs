//! The status page of 100 producers in a real browser: from the start of the navigation to the first text on the screen;
//! and the same for a page of one line, which is what browser and machine take by themselves.

use std::time::Duration;

use anyhow::Context;

use super::Effort;
use super::browser::chromium::Chromium;
use super::report::{Figure, Samples};
use super::world::{Plan, World};

/// Producers.
const PRODUCERS: usize = 100;

/// When the first text was painted, milliseconds after the navigation began.
const PAINTED: &str = "new Promise(done => new PerformanceObserver(list => {
    for (const e of list.getEntries()) if (e.name === 'first-contentful-paint') done(e.startTime);
}).observe({type: 'paint', buffered: true}))";
const SIZE: &str = "performance.getEntriesByType('navigation')[0].decodedBodySize";

pub(crate) fn measure(effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let world = World::start(Plan::producers(PRODUCERS))?;
    let daemon = world.spawn()?;
    daemon.until_ready()?;
    let origin = format!("http://{}/", daemon.web);
    world.runtime.block_on(async {
        let browser = Chromium::start().await;
        let page = browser.page().await;
        let (mut times, mut bare) = (Vec::new(), Vec::new());
        let mut bytes = 0.0;
        for _ in 0..effort.samples(50) {
            for (path, times) in [("-/healthy", &mut bare), ("", &mut times)] {
                page.open(&format!("{origin}{path}")).await;
                let painted = page.eval(PAINTED).await;
                let ms = painted.as_f64().context("no first paint")?;
                times.push(Duration::from_secs_f64(ms / 1000.0));
            }
            let size = page.eval(SIZE).await.as_f64().context("no size")?;
            bytes = f64::max(bytes, size);
        }
        let (times, bare) = (Samples::new(times)?, Samples::new(bare)?);
        let note = format!("{} navigations on loopback", times.len());
        Ok(vec![
            Figure::new(
                "status page, 100 producers: first paint, p50",
                times.ms(50),
                "ms",
            ),
            Figure::new(
                "status page, 100 producers: first paint, p95",
                times.ms(95),
                "ms",
            )
            .at_most(200.0)
            .note(note),
            Figure::new(
                "  a page of one line, for comparison, p50",
                bare.ms(50),
                "ms",
            ),
            Figure::new("  the page, unpacked", bytes / 1000.0, "kB").at_most(150.0),
        ])
    })
}
