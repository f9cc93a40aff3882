//! One tab: goes somewhere, waits for what it shows, clicks and types as a person does (real input events), and tells what
//! went wrong. Waiting means waiting for DevTools events or for the page's own mutations, never for time to pass.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::devtools::{Devtools, Event};

/// A tab.
pub(crate) struct Page {
    devtools: Devtools,
    session: String,
    /// Where the current page's troubles begin.
    from: AtomicUsize,
}

/// One node of the accessibility tree, as a screen reader meets it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) role: String,
    pub(crate) name: String,
    pub(crate) focusable: bool,
    /// Handle of the element behind it.
    pub(crate) backend: Option<i64>,
}

// === impl Page ===

impl Page {
    pub(super) async fn new(devtools: Devtools, session: String) -> Self {
        let from = AtomicUsize::new(devtools.mark());
        let page = Self {
            devtools,
            session,
            from,
        };
        for domain in [
            "Page",
            "Runtime",
            "Network",
            "Log",
            "DOM",
            "Accessibility",
            "Audits",
        ] {
            page.call(&format!("{domain}.enable"), json!({})).await;
        }
        page.size(1280, 900).await;
        page.dark(false).await;
        page
    }

    async fn try_call(&self, method: &str, params: Value) -> Result<Value, String> {
        self.devtools
            .call(Some(&self.session), method, params)
            .await
    }

    /// A DevTools command to this tab.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        self.try_call(method, params)
            .await
            .unwrap_or_else(|e| panic!("{e}"))
    }

    /// Goes to `url` and waits until it has loaded.
    pub(crate) async fn open(&self, url: &str) {
        let mark = self.devtools.mark();
        self.from.store(mark, Ordering::Relaxed);
        let answer = self.call("Page.navigate", json!({"url": url})).await;
        assert_eq!(answer.get("errorText"), None, "{url}: {answer}");
        self.loaded(mark).await;
    }

    /// Where to wait from: taken before a click that leads to another page.
    pub(crate) fn mark(&self) -> usize {
        self.devtools.mark()
    }

    /// Waits until a page has loaded since `mark`.
    pub(crate) async fn loaded(&self, mark: usize) {
        self.event(mark, "a page loads", |e| e.method == "Page.loadEventFired")
            .await;
    }

    /// Waits for an event since `mark`.
    pub(crate) async fn event(
        &self,
        mark: usize,
        what: &str,
        wanted: impl Fn(&Event) -> bool,
    ) -> Event {
        self.devtools.event(mark, &self.session, what, wanted).await
    }

    async fn try_eval(&self, script: &str) -> Result<Value, String> {
        let mut answer = self
            .try_call(
                "Runtime.evaluate",
                json!({"expression": script, "awaitPromise": true, "returnByValue": true}),
            )
            .await?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(format!("{script}: {details}")),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// The value of an expression in the page (of a promise, what it comes to).
    pub(crate) async fn eval(&self, script: &str) -> Value {
        self.try_eval(script)
            .await
            .unwrap_or_else(|e| panic!("{e}"))
    }

    /// Waits until an expression is true in the page, looking again whenever the page changes, across navigations too.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        let wait = format!(
            "new Promise(done => {{
               const look = () => {{ try {{ return !!({script}) }} catch {{ return false }} }};
               if (look()) return done(true);
               const watch = new MutationObserver(() => {{ if (look()) {{ watch.disconnect(); done(true) }} }});
               watch.observe(document, {{subtree: true, childList: true, attributes: true, characterData: true}});
             }})"
        );
        let all = async {
            loop {
                let mark = self.mark();
                match self.try_eval(&wait).await {
                    Ok(_) => return,
                    // It was another page's promise.
                    Err(e) if e.contains("context was destroyed") || e.contains("navigated") => {
                        self.event(mark, what, |e| {
                            e.method == "Runtime.executionContextCreated"
                        })
                        .await;
                    }
                    Err(e) => panic!("{what}: {e}"),
                }
            }
        };
        if tokio::time::timeout(super::PATIENCE, all).await.is_err() {
            let text = self.try_eval("document.body.innerText").await;
            panic!("never shown: {what} ({script}); the page says {text:?}");
        }
    }

    /// What a person reads.
    pub(crate) async fn text(&self) -> String {
        let text = self.eval("document.body.innerText").await;
        text.as_str().unwrap_or("").to_owned()
    }

    /// The size of the window.
    pub(crate) async fn size(&self, width: u32, height: u32) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        )
        .await;
    }

    /// What the reader prefers: dark or light.
    pub(crate) async fn dark(&self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({"features": [
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]}),
        )
        .await;
    }

    /// Switches the page's own scripts off or on, from the next page on.
    pub(crate) async fn javascript(&self, on: bool) {
        self.call(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": !on}),
        )
        .await;
    }

    /// What a screen reader meets, in order, without what it skips.
    pub(crate) async fn nodes(&self) -> Vec<Node> {
        let tree = self.call("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().expect("a tree");
        nodes
            .iter()
            .filter(|n| n["ignored"] != true)
            .map(|n| Node {
                role: n["role"]["value"].as_str().unwrap_or("").to_owned(),
                name: n["name"]["value"].as_str().unwrap_or("").to_owned(),
                focusable: n["properties"].as_array().is_some_and(|all| {
                    all.iter()
                        .any(|p| p["name"] == "focusable" && p["value"]["value"] == true)
                }),
                backend: n["backendDOMNodeId"].as_i64(),
            })
            .collect()
    }

    /// Clicks the one control with this role and name, as a person finds it.
    pub(crate) async fn click(&self, role: &str, name: &str) {
        let nodes = self.nodes().await;
        let found: Vec<&Node> = nodes
            .iter()
            .filter(|n| n.role == role && n.name == name)
            .collect();
        let [node] = found[..] else {
            let same: Vec<&str> = nodes
                .iter()
                .filter(|n| n.role == role)
                .map(|n| n.name.as_str())
                .collect();
            panic!(
                "{} of role {role} are named {name:?}; there are {same:?}",
                found.len()
            );
        };
        let element = json!({"backendNodeId": node.backend});
        self.call("DOM.scrollIntoViewIfNeeded", element.clone())
            .await;
        let quads = self.call("DOM.getContentQuads", element).await;
        let quad: Vec<f64> = quads["quads"][0]
            .as_array()
            .unwrap_or_else(|| panic!("{name:?} is nowhere on the screen"))
            .iter()
            .filter_map(Value::as_f64)
            .collect();
        let x = (quad[0] + quad[2] + quad[4] + quad[6]) / 4.0;
        let y = (quad[1] + quad[3] + quad[5] + quad[7]) / 4.0;
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            self.call(
                "Input.dispatchMouseEvent",
                json!({"type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1}),
            )
            .await;
        }
    }

    /// [`Self::click`] on what leads to another page, and waits for that.
    pub(crate) async fn follow(&self, role: &str, name: &str) {
        let mark = self.mark();
        self.click(role, name).await;
        self.loaded(mark).await;
    }

    /// Types into what has the focus.
    pub(crate) async fn type_text(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Presses a key: `Tab`, `Shift+Tab`, `Enter`, `Space`, `ArrowDown`, `Escape`.
    pub(crate) async fn press(&self, key: &str) {
        let (modifiers, key) = match key.strip_prefix("Shift+") {
            Some(key) => (8, key),
            None => (0, key),
        };
        let (key, code, number, text) = match key {
            "Tab" => ("Tab", "Tab", 9, ""),
            "Enter" => ("Enter", "Enter", 13, "\r"),
            "Space" => (" ", "Space", 32, " "),
            "ArrowDown" => ("ArrowDown", "ArrowDown", 40, ""),
            "Escape" => ("Escape", "Escape", 27, ""),
            other => panic!("no key {other}"),
        };
        let down = if text.is_empty() {
            "rawKeyDown"
        } else {
            "keyDown"
        };
        for kind in [down, "keyUp"] {
            self.call(
                "Input.dispatchKeyEvent",
                json!({"type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number,
                       "modifiers": modifiers, "text": if kind == "keyUp" { "" } else { text }}),
            )
            .await;
        }
    }

    /// A PNG of the whole page, or of its first `height` pixels.
    pub(crate) async fn screenshot(&self, height: Option<u32>) -> Vec<u8> {
        let size = self.call("Page.getLayoutMetrics", json!({})).await;
        let (width, full) = (
            size["cssContentSize"]["width"].as_f64().unwrap_or(1280.0),
            size["cssContentSize"]["height"].as_f64().unwrap_or(900.0),
        );
        let height = height.map_or(full, |h| full.min(f64::from(h)));
        let shot = self
            .call(
                "Page.captureScreenshot",
                json!({"format": "png", "captureBeyondViewport": true,
                       "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}),
            )
            .await;
        base64(shot["data"].as_str().expect("a picture"))
    }

    /// Forgets what went wrong so far.
    pub(crate) fn forget(&self) {
        self.from.store(self.mark(), Ordering::Relaxed);
    }

    /// Everything that went wrong since the page was opened: errors and warnings on the console, exceptions, requests
    /// that failed, what the content security policy stopped, and requests to anywhere but `origins`.
    pub(crate) fn troubles(&self, origins: &[&str]) -> Vec<String> {
        let from = self.from.load(Ordering::Relaxed);
        self.devtools
            .since(from, &self.session)
            .iter()
            .filter_map(|e| trouble(e, origins))
            .collect()
    }
}

fn trouble(event: &Event, origins: &[&str]) -> Option<String> {
    let p = &event.params;
    match event.method.as_str() {
        "Runtime.consoleAPICalled"
            if matches!(p["type"].as_str(), Some("error" | "warning" | "assert")) =>
        {
            Some(format!("console: {}", p["args"]))
        }
        "Runtime.exceptionThrown" => Some(format!("exception: {}", p["exceptionDetails"])),
        "Log.entryAdded" if matches!(p["entry"]["level"].as_str(), Some("error" | "warning")) => {
            Some(format!("log: {} {}", p["entry"]["text"], p["entry"]["url"]))
        }
        "Audits.issueAdded" if p["issue"]["code"] == "ContentSecurityPolicyIssue" => {
            Some(format!("policy: {}", p["issue"]["details"]))
        }
        // A stream of events that a page leaves behind is cancelled, not failed.
        "Network.loadingFailed" if p["canceled"] != true => {
            Some(format!("request failed: {}", p["errorText"]))
        }
        "Network.requestWillBeSent" => {
            let url = p["request"]["url"].as_str().unwrap_or("");
            let ours = url.starts_with("data:") || origins.iter().any(|o| url.starts_with(o));
            (!ours).then(|| format!("asks elsewhere: {url}"))
        }
        _ => None,
    }
}

/// RFC 4648 section 4, as DevTools sends pictures.
fn base64(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut bits = 0_u32;
    let mut held = 0;
    for byte in text.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}
