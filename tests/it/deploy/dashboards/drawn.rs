//! The dashboards drawn by `scripts/dashboards/draw.html` in a real browser, as for the pictures in docs/images: every panel
//! shows something, and the story is there in words that a person reads.

use serde_json::json;

use super::super::bundle::{Bundle, DASHBOARDS, root};
use crate::browser::{Chromium, Page};

/// What must be read on each after a producer was moved.
const READ: [(&str, &[&str]); 4] = [
    (
        "fleet",
        &["producing", "standby", "SlotkeeperSwitched", "alice"],
    ),
    (
        "producer",
        &[
            "producing",
            "standby",
            "registered",
            "DOWN",
            "nothing waits",
        ],
    ),
    (
        "rpc-chain",
        &["caught up", "none seen", "agreeing on devnet", "100 %"],
    ),
    (
        "actuator-liveness",
        &[
            "armed",
            "act",
            "on time",
            "writable",
            "effective",
            "prometheus-a",
        ],
    ),
];

/// Draws each dashboard from this Prometheus.
pub(super) async fn every_panel_shows_something(prometheus: &str) {
    let browser = Chromium::start().await;
    let bundle = Bundle::shipped();
    let place = format!("file://{}/scripts/dashboards/draw.html", root().display());
    for (name, words) in READ {
        let page = browser.page().await;
        page.open(&place).await;
        let dashboard = bundle
            .text(&format!("{DASHBOARDS}{name}.json"))
            .expect("dashboard");
        let empty = page
            .eval(&format!("draw({dashboard}, {}, 300)", json!(prometheus)))
            .await;
        assert_eq!(empty, json!([]), "{name}: panels that show nothing");
        let text = page.text().await;
        for word in words {
            assert!(text.contains(word), "{name} does not say {word}: {text}");
        }
        assert!(
            !text.contains("NaN") && !text.contains("undefined"),
            "{name}: {text}"
        );
        nothing_is_cut_off(name, &page).await;
        let troubles = page.troubles(&[prometheus, "file://"]);
        assert!(troubles.is_empty(), "{name}: {troubles:?}");
    }
}

/// On a screen as wide as a laptop's no figure is wider than its tile.
async fn nothing_is_cut_off(name: &str, page: &Page) {
    let cut = "[...document.querySelectorAll('.stat .value, h2')]
        .filter(e => e.scrollWidth > e.parentElement.clientWidth + 1).map(e => e.textContent)";
    let cut = page.eval(cut).await;
    assert_eq!(cut, json!([]), "{name}: wider than its place");
}
