//! Both pages as they are served, with a stand-in for the actuator: they load, ask nobody else, work without scripts and
//! by keyboard, and can be read by everybody.

use std::sync::atomic::Ordering;

use tempfile::TempDir;

use super::{Chromium, Page, origin};
use crate::fixtures;
use crate::web::harness::House;

/// A control listener that wants the token `sesame`.
async fn locked() -> (House, TempDir) {
    let dir = TempDir::new().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "sesame").unwrap();
    let mut config = fixtures::config();
    config.control.token_file = Some(token);
    (House::up(config).await, dir)
}

async fn log_in(page: &Page, origin: &str) {
    page.open(origin).await;
    page.click("textbox", "Control token").await;
    page.type_text("sesame").await;
    page.follow("button", "Log in").await;
}

/// Everything that a reader of the accessibility tree could stumble over.
async fn stumbles(page: &Page) -> Vec<String> {
    let nodes = page.nodes().await;
    let mut found: Vec<String> = nodes
        .iter()
        .filter(|n| n.focusable && n.name.is_empty() && n.role != "RootWebArea")
        .map(|n| format!("a {} without a name", n.role))
        .collect();
    for (role, exactly) in [("main", 1), ("banner", 1)] {
        let n = nodes.iter().filter(|n| n.role == role).count();
        if n != exactly {
            found.push(format!("{n} of {role}"));
        }
    }
    for image in nodes
        .iter()
        .filter(|n| n.role == "image" || n.role == "img")
    {
        if image.name.is_empty() {
            found.push("a picture without words".into());
        }
    }
    let counts = page
        .eval(
            "(() => { const n = q => document.querySelectorAll(q).length;
               const bare = [...document.querySelectorAll('table')].filter(t =>
                 !t.querySelector('th[scope=col]') || !(t.caption || t.closest('[aria-label]'))).length;
               const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
               return [n('h1'), bare, ids.length - new Set(ids).size,
                 n('html[lang]'), n('button:not(form button)'), n('[role=status] time, [aria-live] time')] })()",
        )
        .await;
    if counts != serde_json::json!([1, 0, 0, 1, 0, 0]) {
        found.push(format!(
            "h1, tables without headers or name, ids given twice, language, buttons without a form, times read aloud again and again: {counts}"
        ));
    }
    found
}

/// Texts whose contrast with what is behind them is below 4.5 (WCAG 2, AA).
async fn pale(page: &Page) -> serde_json::Value {
    page.eval(
        "(() => {
           const rgb = c => { const m = c.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m.length > 3 ? m[3] : 1] };
           const light = ([r, g, b]) => { const f = v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 };
             return .2126 * f(r) + .7152 * f(g) + .0722 * f(b) };
           const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c } return [255, 255, 255] };
           const bad = new Set(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
           let seen = 0;
           while (walk.nextNode()) {
             const e = walk.currentNode.parentElement;
             if (!walk.currentNode.data.trim() || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(e.nodeName) || !e.checkVisibility()) continue;
             seen++;
             const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
             const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
             if (ratio < 4.5) bad.add(`${e.nodeName} ${e.className} ${walk.currentNode.data.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
           }
           return seen < 5 ? ['no text found'] : [...bad] })()",
    )
    .await
}

/// Goes over the page with Tab: everything that can be used is reached, in the order of the page, and its focus is seen.
async fn tab_through(page: &Page) -> usize {
    page.eval(
        "window.stops = [...document.querySelectorAll('a[href],button,summary,input:not([type=hidden]),select,[tabindex=\"0\"]')]
           .filter(e => e.checkVisibility() && !(e.type === 'radio' && !e.checked)); document.activeElement.blur(); scrollTo(0, 0); 0",
    )
    .await;
    let all = page.eval("stops.length").await.as_u64().unwrap();
    for n in 0..all {
        page.press("Tab").await;
        let here = page
            .eval(
                "(() => { const e = document.activeElement, s = getComputedStyle(e);
                   return [stops.indexOf(e), e.outerHTML.slice(0, 90), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1] })()",
            )
            .await;
        assert_eq!(here[0], n, "Tab led to {here}");
        assert_eq!(here[2], true, "focus is not seen: {here}");
    }
    usize::try_from(all).unwrap()
}

#[tokio::test]
async fn everybody_can_read_and_use_the_pages_in_light_and_dark() {
    let (house, _dir) = locked().await;
    let (web, control) = origin(&house);
    let browser = Chromium::start().await;
    let page = browser.page().await;
    for (n, path) in [
        "/",
        "/confirm?verb=failover&producer=steem%2Falice",
        "/requests/r-1",
    ]
    .into_iter()
    .enumerate()
    {
        for (place, least) in [(&web, 8), (&control, 2)] {
            if *place == web && n > 0 {
                continue;
            }
            if *place == control && n == 0 {
                log_in(&page, place).await;
            }
            page.open(&format!("{place}{path}")).await;
            if n == 0 {
                assert!(page.text().await.contains("steem/alice"));
                page.until(
                    "live",
                    "document.getElementById('live').className === 'live'",
                )
                .await;
            }
            assert_eq!(stumbles(&page).await, Vec::<String>::new(), "{place}{path}");
            for dark in [false, true] {
                page.dark(dark).await;
                assert_eq!(
                    pale(&page).await,
                    serde_json::json!([]),
                    "{path} dark: {dark}"
                );
            }
            let stops = tab_through(&page).await;
            assert!(stops >= least, "{path}: only {stops} places for Tab");
            page.size(360, 740).await;
            page.eval("document.querySelectorAll('details').forEach(d => d.open = true)")
                .await;
            let wide = page.eval("document.documentElement.scrollWidth").await;
            assert_eq!(wide, 360, "{place}{path} scrolls sideways on a telephone");
            page.size(1280, 900).await;
            assert_eq!(page.troubles(&[place]), Vec::<String>::new(), "{path}");
        }
    }
    drop(browser);
    house.down().await;
}

/// Scripts switched off; login by keyboard, arm by mouse, an order that somebody refuses.
#[tokio::test]
async fn without_scripts_everything_can_be_read_and_every_button_works() {
    let (house, _dir) = locked().await;
    let (web, control) = origin(&house);
    let browser = Chromium::start().await;
    let page = browser.page().await;
    page.javascript(false).await;
    page.open(&web).await;
    let text = page.text().await;
    for part in [
        "Disarmed",
        "steem/alice",
        "Last 40 slots",
        "As of ",
        "https://b.example",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("Live"), "it is not live: {text}");

    page.open(&control).await;
    assert!(!page.text().await.contains("alice"));
    page.click("textbox", "Control token").await;
    page.type_text("wrong").await;
    page.follow("button", "Log in").await;
    assert!(page.text().await.contains("That is not the token"));
    assert!(page.nodes().await.iter().any(|n| n.role == "alert"));
    page.click("textbox", "Control token").await;
    page.type_text("sesame").await;
    let mark = page.mark();
    page.press("Enter").await;
    page.loaded(mark).await;

    page.follow("link", "Arm…").await;
    assert!(
        page.text()
            .await
            .contains("a fault is acted on without asking")
    );
    page.follow("link", "No, go back").await;
    assert!(house.desk.armed.lock().unwrap().is_empty());
    page.follow("link", "Arm…").await;
    page.follow("button", "Yes, arm it").await;
    assert!(
        page.text()
            .await
            .contains("Armed: a fault is acted on from now on.")
    );
    assert_eq!(*house.desk.armed.lock().unwrap(), [true]);

    page.follow("link", "Fail over… steem/alice").await;
    page.click("textbox", "Override reason").await;
    page.type_text("rack on fire").await;
    page.follow("button", "Yes, fail over steem/alice").await;
    assert!(page.text().await.contains("Written down, not decided yet."));
    // It looks again by itself until there is something to see.
    let mark = page.mark();
    page.loaded(mark).await;
    assert!(page.text().await.contains("r-9"));
    let command = house.desk.commands.lock().unwrap()[0].clone();
    assert_eq!(command.override_reason.as_deref(), Some("rack on fire"));

    house.desk.broken.store(true, Ordering::Relaxed);
    page.open(&format!("{control}/confirm?verb=disarm")).await;
    page.follow("button", "Yes, disarm everything").await;
    assert!(page.text().await.contains("Not done: "));
    house.desk.broken.store(false, Ordering::Relaxed);
    page.follow("button", "Log out").await;
    assert!(!page.text().await.contains("alice"));
    drop(browser);
    house.down().await;
}

/// Another site (another port of this machine is as near as one can come) makes the browser of somebody who is logged in send
/// orders, and shows the page in a frame.
#[tokio::test]
async fn another_sites_page_can_neither_order_nor_frame() {
    let (house, _dir) = locked().await;
    let (_, control) = origin(&house);
    let browser = Chromium::start().await;
    let page = browser.page().await;
    log_in(&page, &control).await;
    assert!(page.text().await.contains("steem/alice"));
    let evil = super::elsewhere::say(format!(
        "<form method=post action='{control}/api/v1/arm'><button>Free cookies</button></form><iframe src='{control}/'></iframe>"
    ))
    .await;
    page.open(&evil).await;
    let framed = page
        .troubles(&[&evil, &control])
        .iter()
        .any(|t| t.contains("frame"));
    assert!(framed, "{:?}", page.troubles(&[&evil, &control]));
    page.follow("button", "Free cookies").await;
    assert!(
        page.text().await.contains("another site"),
        "{}",
        page.text().await
    );
    assert!(house.desk.armed.lock().unwrap().is_empty());
    // The person is still logged in.
    page.open(&control).await;
    assert!(page.text().await.contains("steem/alice"));
    drop(browser);
    house.down().await;
}

#[tokio::test]
async fn a_hundred_producers_fit_on_the_page() {
    let house = House::crowded(100).await;
    let (web, _) = origin(&house);
    let browser = Chromium::start().await;
    let page = browser.page().await;
    // For whoever runs it with --nocapture; `make bench ARGS="-- paint"` measures it in the released program.
    for _ in 0..4 {
        page.open(&web).await;
        let painted = page
            .eval(
                "new Promise(done => new PerformanceObserver(list => {
                   const got = performance.getEntriesByType('navigation')[0].responseEnd;
                   for (const e of list.getEntries()) if (e.name === 'first-contentful-paint') done([got, e.startTime]);
                 }).observe({type: 'paint', buffered: true}))",
            )
            .await;
        println!("100 producers: milliseconds to the last byte, to the first paint: {painted}");
    }
    page.size(360, 740).await;
    let size = page
        .eval("performance.getEntriesByType('navigation')[0].decodedBodySize")
        .await;
    let size = size.as_u64().unwrap();
    assert!((20_000..=150_000).contains(&size), "{size} bytes");
    assert_eq!(
        page.eval("document.querySelectorAll('tbody tr[id^=p-]').length")
            .await,
        100
    );
    assert_eq!(page.eval("document.documentElement.scrollWidth").await, 360);
    assert_eq!(stumbles(&page).await, Vec::<String>::new());
    page.follow("link", "steem/producer-042").await;
    page.until(
        "its card",
        "document.querySelector('article h3').innerText.includes('producer-042')",
    )
    .await;
    assert_eq!(page.troubles(&[&web]), Vec::<String>::new());
    drop(browser);
    house.down().await;
}
