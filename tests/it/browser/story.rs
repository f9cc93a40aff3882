//! A failover watched on the page, and a switch made on it: a devnet, a whole slotkeeper, a real browser. With
//! `UPDATE_SCREENSHOTS=1` the pictures in docs/images are made anew on the way.

use std::path::Path;

use super::{Chromium, Page};
use crate::rig::{Rig, RigConfig};

/// Writes a picture of the page when asked to.
async fn picture(page: &Page, name: &str, height: u32) {
    if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/images/{name}.png"));
        std::fs::write(file, page.screenshot(Some(height)).await).expect("a picture");
    }
}

fn taking_pictures() -> bool {
    std::env::var_os("UPDATE_SCREENSHOTS").is_some()
}

fn web(rig: &Rig) -> String {
    format!("http://{}", rig.app().web_address())
}

fn control(rig: &Rig) -> String {
    format!("http://{}", rig.app().control_address())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_watched_live() {
    let rig = Rig::start(RigConfig {
        nodes: vec!["A", "B", "C"],
        seed: 901,
        // Slow enough to look at, where somebody looks.
        interval_ms: if taking_pictures() { 700 } else { 300 },
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    let browser = Chromium::start().await;
    let page = browser.page().await;
    page.open(&web(&rig)).await;
    page.until(
        "all is well, live",
        "document.getElementById('live').className === 'live' && headline.innerText.includes('All is well: devnet/alice produces.')",
    )
    .await;
    // What the page says on the way: much of it is there for less than a second.
    page.eval(
        "window.never_reloaded = true; window.seen = new Set();
         window.note = () => { for (const e of document.querySelectorAll('#headline strong, .steps li, svg.strip'))
           seen.add(e.getAttribute('aria-label') || e.innerText.replace(/\\s+/g, ' ')) };
         note(); new MutationObserver(note).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true}); 0",
    )
    .await;
    if taking_pictures() {
        rig.slots_of_alice(20).await;
    }

    rig.devnet.crash_node("A").expect("crash");
    let (a, b) = (rig.key("A"), rig.key("B"));
    if taking_pictures() {
        page.until(
            "a switch under way",
            "headline.innerText.includes('is being moved')",
        )
        .await;
        picture(&page, "failover", 900).await;
    }
    page.until(
        "the decision",
        "[...document.querySelectorAll('summary')].some(s => s.innerText.includes('Acted failover of devnet/alice to') && s.innerText.includes('asked for by the guard'))",
    )
    .await;
    page.until(
        "the standby's key in force",
        &format!("[...document.querySelectorAll('tr')].some(r => r.innerText.includes('{b}') && r.innerText.includes('in force'))"),
    )
    .await;
    page.until(
        "the standby produces",
        "/newest first: [1-9]\\d* produced, [1-9]\\d* missed/.test(document.querySelector('svg.strip').getAttribute('aria-label'))",
    )
    .await;
    page.until(
        "the switch for good",
        "[...document.querySelectorAll('.attempt li')].at(-1)?.className === 'done'",
    )
    .await;
    page.click("DisclosureTriangle", &first_summary(&page).await)
        .await;
    page.until(
        "every interlock in words",
        "document.querySelector('details[open]').querySelectorAll('tbody tr').length === 22",
    )
    .await;
    let seen = page.eval("[...seen].join('\\n')").await;
    let seen = seen.as_str().expect("text");
    for part in ["missed", "irreversible For good done"] {
        assert!(seen.contains(part), "never seen: {part}; seen:\n{seen}");
    }
    assert_eq!(page.eval("window.never_reloaded").await, true);
    assert_eq!(rig.switches().len(), 1);
    let text = page.text().await;
    assert!(text.contains(&a), "{text}");
    assert_eq!(page.troubles(&[&web(&rig)]), Vec::<String>::new());
    if taking_pictures() {
        rig.devnet.restore_node("A").expect("restore");
        rig.until_able().await;
        rig.slots_of_alice(4).await;
        page.until("all is well", "headline.innerText.includes('All is well')")
            .await;
        page.eval("document.querySelectorAll('details').forEach(d => d.open = false)")
            .await;
        picture(&page, "status", 1000).await;
        page.dark(true).await;
        picture(&page, "status-dark", 760).await;
        page.dark(false).await;
        page.size(390, 844).await;
        picture(&page, "status-phone", 900).await;
    }
    drop(browser);
    rig.stop().await;
}

/// The name of the newest decision, as a screen reader has it.
async fn first_summary(page: &Page) -> String {
    let nodes = page.nodes().await;
    let first = nodes.iter().find(|n| n.role == "DisclosureTriangle");
    first.expect("a decision").name.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_is_made_with_the_buttons() {
    let rig = Rig::start(RigConfig {
        seed: 902,
        extra: "guard: {mode: off}".into(),
        actuator: "armed: false".into(),
        ..RigConfig::default()
    })
    .await;
    rig.until_status("able", |s| {
        s["producers"][0]["able"] == true && s["producers"][0]["keys"][1]["ready"] == true
    })
    .await;
    let browser = Chromium::start().await;
    let page = browser.page().await;
    let origin = control(&rig);
    page.open(&origin).await;
    page.click("textbox", "Control token").await;
    page.type_text("test-token").await;
    page.follow("button", "Log in").await;
    // The console names the 401 of the page that asked for the token.
    page.forget();

    page.follow("link", "Arm…").await;
    page.follow("button", "Yes, arm it").await;
    page.until("it says so", "said.innerText.startsWith('Armed:')")
        .await;
    rig.until_status("armed", |s| s["armed"] == true).await;
    page.until(
        "armed on the page",
        "overall.innerText.includes('armed') && !overall.innerText.includes('disarmed')",
    )
    .await;
    if taking_pictures() {
        rig.slots_of_alice(12).await;
        page.until(
            "live",
            "document.getElementById('live').className === 'live'",
        )
        .await;
        picture(&page, "control", 900).await;
    }

    page.follow("link", "Rehearse… devnet/alice").await;
    page.follow("button", "Yes, rehearse for devnet/alice")
        .await;
    page.until(
        "the rehearsal's outcome, with every interlock",
        "document.body.innerText.includes('Would act rehearse of devnet/alice') && document.querySelectorAll('tbody tr').length === 22",
    )
    .await;
    assert!(rig.switches().is_empty(), "a rehearsal sends nothing");
    assert_eq!(rig.registered(), rig.key("A"));

    page.follow("link", "Back to the control page").await;
    page.follow("link", "Switch over… devnet/alice").await;
    let b = rig.key("B");
    let choice = page.nodes().await.into_iter();
    let choice = choice
        .filter(|n| n.role == "radio" && n.name.contains(&b))
        .map(|n| n.name)
        .next();
    page.click("radio", &choice.expect("B can be chosen")).await;
    picture(&page, "confirm", 760).await;
    page.follow("button", "Yes, switch over devnet/alice").await;
    page.until(
        "the outcome, to its end",
        "document.body.innerText.includes('Acted switchover of devnet/alice') && [...document.querySelectorAll('.steps li')].at(-1)?.className === 'done'",
    )
    .await;
    assert_eq!(rig.registered(), b);
    assert_eq!(rig.switches().len(), 1);
    assert_eq!(page.troubles(&[&origin]), Vec::<String>::new());
    drop(browser);
    rig.stop().await;
}
