//! The status page keeps itself true, keeps what its reader does, and says so when it cannot.

use std::sync::Arc;

use super::{Chromium, origin};
use crate::fixtures;
use crate::rig::relay::{Manner, Relay};
use crate::web::harness::{House, current_snapshot};

const LIVE: &str = "document.getElementById('live').className === 'live'";
const LOST: &str = "document.getElementById('live').className === 'lost' && document.getElementById('live').innerText.startsWith('Not live since ')";

#[tokio::test]
async fn what_changes_is_shown_and_what_was_opened_stays() {
    let house = House::up(fixtures::config()).await;
    let (web, _) = origin(&house);
    let browser = Chromium::start().await;
    let page = browser.page().await;
    page.open(&web).await;
    page.until("live", LIVE).await;
    page.eval("window.same = true; document.querySelector('details').open = true; document.querySelector('summary').focus(); scrollTo(0, 120); 0")
        .await;
    let mut next = current_snapshot();
    let mut alice = (*next.producers["alice"]).clone();
    alice.last_block = Some((123_456, fixtures::NOW));
    next.producers.insert("alice".into(), Arc::new(alice));
    if let Some(view) = &mut next.last_view {
        let mut moved = (**view).clone();
        moved.head.num += 1;
        *view = Arc::new(moved);
    }
    house.snapshot.send_replace(Arc::new(next));
    page.until(
        "the new block",
        "document.body.innerText.includes('123456')",
    )
    .await;
    let kept = page
        .eval("[window.same, document.querySelector('details').open, document.activeElement.nodeName, scrollY]")
        .await;
    assert_eq!(kept, serde_json::json!([true, true, "SUMMARY", 120]));
    assert_eq!(page.troubles(&[&web]), Vec::<String>::new());
    drop(browser);
    house.down().await;
}

#[tokio::test]
async fn a_page_that_is_not_live_says_so_and_recovers() {
    let house = House::up(fixtures::config()).await;
    let relay = Relay::to(house.listeners.as_ref().unwrap().web).await;
    let browser = Chromium::start().await;
    let page = browser.page().await;
    page.open(&format!("http://{}", relay.at)).await;
    page.until("live", LIVE).await;

    relay.cut(Some(Manner::Refused));
    page.until("lost", LOST).await;
    let old = page
        .eval("[document.querySelector('main').classList.contains('old'), document.querySelector('time[data-t]').innerText]")
        .await;
    assert_eq!(old[0], true);
    let shown = old[1].as_str().unwrap();
    assert!(shown.starts_with("at "), "no countdown goes on: {shown}");
    relay.cut(None);
    page.until("live again", LIVE).await;
    let old = page
        .eval("document.querySelector('main').classList.contains('old')")
        .await;
    assert_eq!(old, false);

    // Nothing breaks, nothing comes: the page notices by its own clock, which is put forward here.
    relay.cut(Some(Manner::Silent));
    page.eval("{ const now = performance.now.bind(performance); performance.now = () => now() + 13000; 0 }")
        .await;
    page.until("lost in silence", LOST).await;
    relay.cut(None);
    page.until("live once more", LIVE).await;
    drop(browser);
    house.down().await;
}
