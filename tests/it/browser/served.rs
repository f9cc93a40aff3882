//! The driver against both pages as they are served: nothing on the console, nothing asked of anybody else.

use crate::fixtures;
use crate::web::harness::House;

use super::{Chromium, Page};

/// Roles of controls that a screen reader cannot name.
async fn nameless(page: &Page) -> Vec<String> {
    let nodes = page.nodes().await.into_iter();
    nodes
        .filter(|n| n.focusable && n.name.is_empty())
        .map(|n| n.role)
        .collect()
}

#[tokio::test]
async fn the_pages_load_in_a_real_browser_and_ask_nobody_else() {
    let house = House::up(fixtures::config()).await;
    let listeners = house.listeners.as_ref().unwrap();
    let browser = Chromium::start().await;
    let page = browser.page().await;
    for (address, title) in [
        (listeners.web, "slotkeeper"),
        (listeners.control, "slotkeeper control"),
    ] {
        let origin = format!("http://{address}");
        page.open(&origin).await;
        assert_eq!(page.eval("document.title").await, title);
        page.until("alice", "document.body.innerText.includes('steem/alice')")
            .await;
        assert_eq!(nameless(&page).await, Vec::<String>::new());
        assert_eq!(page.troubles(&[&origin]), Vec::<String>::new());
    }
    drop(browser);
    house.down().await;
}

/// With a token, by keyboard; scripts switched off, for nothing here needs one.
#[tokio::test]
async fn a_person_logs_in_with_mouse_and_keyboard() {
    let dir = tempfile::TempDir::new().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "sesame").unwrap();
    let mut config = fixtures::config();
    config.control.token_file = Some(token);
    let house = House::up(config).await;
    let origin = format!("http://{}", house.listeners.as_ref().unwrap().control);
    let browser = Chromium::start().await;
    let page = browser.page().await;
    page.javascript(false).await;
    page.size(390, 800).await;
    page.dark(true).await;
    page.open(&origin).await;
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
    assert!(page.text().await.contains("steem/alice"));
    let shot = page.screenshot(Some(400)).await;
    assert!(shot.starts_with(b"\x89PNG"), "{} bytes", shot.len());
    drop(browser);
    house.down().await;
}
