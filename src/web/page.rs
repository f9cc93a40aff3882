//! The status page and the control page: one look at 3 a.m. must tell whether anything is wrong and whether slotkeeper would
//! act. Plain HTML, no script, nothing from elsewhere. Pure: the status in, HTML out.

use std::fmt::Write as _;

use serde_json::Value;

use super::underway::underway;
use crate::actuator::{Check, DecisionRecord, JournalError};

/// What the control page has beyond the status page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Controls<'a> {
    /// The login's token: every form carries it.
    pub csrf: &'a str,
    /// What the last command came to.
    pub said: Option<&'a str>,
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:1.5em auto;max-width:76em;padding:0 1em;color:#1a1a1a;background:#fff}\
h1{font-size:1.4em}h2{font-size:1.1em;margin:1.6em 0 .4em}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.25em .8em .25em 0;border-bottom:1px solid #ddd;vertical-align:top}th{font-weight:600}\
.ok{color:#0a6b2d}.bad{color:#b00020;font-weight:600}.dim{color:#666}code{font-size:.85em;word-break:break-all}\
.box{border:2px solid;padding:.5em .9em;margin:.8em 0}form{display:inline-block;margin:.15em .4em .15em 0}input[type=text],input[type=password]{width:16em}\
@media(prefers-color-scheme:dark){body{background:#14171a;color:#e4e4e4}td,th{border-color:#333}.ok{color:#5fd08a}.bad{color:#ff7b8a}.dim{color:#999}a{color:#8ab4f8}}";

/// A page.
#[must_use]
pub(super) fn render(
    status: &Value,
    decisions: &Result<Vec<DecisionRecord>, JournalError>,
    controls: Option<&Controls<'_>>,
) -> String {
    let mut out = head(if controls.is_some() {
        "slotkeeper control"
    } else {
        "slotkeeper"
    });
    if let Some(said) = controls.and_then(|c| c.said) {
        let _ = write!(out, "<p class=box role=status>{}</p>", esc(said));
    }
    summary(&mut out, status);
    if let Some(controls) = controls {
        global_forms(&mut out, controls, yes(status, "armed"));
    }
    for producer in list(status, "producers") {
        render_producer(&mut out, producer, controls);
    }
    for chain in list(status, "chains") {
        render_chain(&mut out, chain);
    }
    heartbeats(&mut out, status);
    render_decisions(&mut out, decisions);
    for warning in list(status, "warnings") {
        let _ = write!(
            out,
            "<p class=dim>Warning: {}</p>",
            esc(warning.as_str().unwrap_or(""))
        );
    }
    if controls.is_none() {
        out.push_str("<p><a href=/metrics>metrics</a> · <a href=/-/ready>ready</a> · <a href=/api/v1/status>status as JSON</a> · <a href=/api/v1/decisions>decisions as JSON</a></p>");
    }
    let _ = write!(
        out,
        "<p class=dim>slotkeeper {}</p></body></html>",
        esc(&text(status, "version"))
    );
    out
}

/// The login form.
#[must_use]
pub(super) fn login(problem: Option<&str>) -> String {
    let mut out = head("slotkeeper control");
    if let Some(problem) = problem {
        let _ = write!(out, "<p class=\"box bad\" role=alert>{}</p>", esc(problem));
    }
    out.push_str("<form method=post action=/login><label>Control token <input type=password name=token autocomplete=current-password autofocus></label> <button>Log in</button></form><p class=dim>It is in the file that control.token_file names.</p></body></html>\n");
    out
}

/// Text as part of a query.
#[must_use]
pub(super) fn query(text: &str) -> String {
    let mut out = String::new();
    // A location is a header: what is said there stays short.
    for byte in text.chars().take(400).collect::<String>().bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn head(title: &str) -> String {
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><link rel=icon href=\"data:,\"><title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
    )
}

fn summary(out: &mut String, status: &Value) {
    let armed = yes(status, "armed");
    let able = yes(status, "able");
    let _ = write!(
        out,
        "<p class=box><b class={}>{}</b> — {}; <b class={}>{}</b>.{}</p>",
        if armed { "ok" } else { "bad" },
        if armed { "Armed" } else { "Disarmed" },
        if armed {
            "a fault is acted on"
        } else {
            "faults are watched and reported, nothing is switched but by hand"
        },
        if able { "ok" } else { "bad" },
        if able {
            "able to switch"
        } else {
            "not able to switch"
        },
        match status.get("armed_note").and_then(Value::as_str) {
            Some(note) => format!(" {}", esc(note)),
            None => String::new(),
        },
    );
    let reasons = list(status, "not_ready");
    if !reasons.is_empty() {
        out.push_str("<div class=\"box bad\">Not ready:<ul>");
        for reason in reasons {
            let _ = write!(out, "<li>{}</li>", esc(reason.as_str().unwrap_or("")));
        }
        out.push_str("</ul></div>");
    }
}

fn render_producer(out: &mut String, p: &Value, controls: Option<&Controls<'_>>) {
    let (chain, name) = (text(p, "chain"), text(p, "name"));
    let fault = text(p, "fault");
    let _ = write!(
        out,
        "<h2>{}/{}</h2><p>Fault: <b class={}>{}</b> · missed {} (in a row {}) · produced {} · last block {} · next slot {}</p>",
        esc(&chain),
        esc(&name),
        if fault == "no" { "ok" } else { "bad" },
        esc(&fault),
        esc(&text(p, "missed")),
        esc(&text(p, "consecutive_missed")),
        esc(&text(p, "produced")),
        esc(&text(p, "last_block")),
        esc(&text(p, "next_slot")),
    );
    if yes(p, "watched_only") {
        let _ = write!(
            out,
            "<p class=dim>Watched only: no keys are configured. Registered: <code>{}</code></p>",
            esc(&text(p, "registered_key"))
        );
        return;
    }
    standing(out, p, "armed", "Armed", "Disarmed");
    standing(out, p, "able", "Able to switch", "Not able to switch");
    if yes(p, "pinned") {
        out.push_str("<p class=bad>Pinned by an operator: left alone.</p>");
    }
    if let Some(until) = p.get("maintenance_until").and_then(Value::as_str) {
        let _ = write!(out, "<p class=bad>In maintenance until {}.</p>", esc(until));
    }
    underway(out, p);
    keys(out, p);
    if let Some(controls) = controls {
        producer_forms(out, controls, &chain, &name, p);
    }
}

fn standing(out: &mut String, p: &Value, field: &str, good: &str, bad: &str) {
    if yes(p, field) {
        let _ = write!(out, "<p class=ok>{good}.</p>");
    } else {
        let note = p
            .get(format!("{field}_note"))
            .and_then(Value::as_str)
            .unwrap_or("");
        let _ = write!(
            out,
            "<p class=bad>{bad}{}{}</p>",
            if note.is_empty() { "." } else { ": " },
            esc(note)
        );
    }
}

fn keys(out: &mut String, p: &Value) {
    let registered = text(p, "registered_key");
    out.push_str("<table><tr><th>Signing key<th>Role<th>Registered<th>Ready<th>Detail</tr>");
    for key in list(p, "keys") {
        let signing_key = text(key, "signing_key");
        let (class, ready) = match key.get("ready").and_then(Value::as_bool) {
            Some(true) => ("ok", "yes"),
            Some(false) => ("bad", "no"),
            None => ("dim", "not known yet"),
        };
        let _ = write!(
            out,
            "<tr><td><code>{}</code><td>{}<td>{}<td class={class}>{ready}<td>{}</tr>",
            esc(&signing_key),
            esc(&text(key, "role")),
            if signing_key == registered {
                "<b>yes</b>"
            } else {
                ""
            },
            esc(&text(key, "detail")),
        );
    }
    out.push_str("</table>");
    let role = text(p, "role");
    if matches!(role.as_str(), "foreign" | "null") {
        let _ = write!(
            out,
            "<p class=bad>Registered is {}: <code>{}</code>. An operator's hand: it is left alone.</p>",
            if role == "null" {
                "the null key (disabled)"
            } else {
                "a key that is not configured here"
            },
            esc(&registered)
        );
    }
}

fn render_chain(out: &mut String, chain: &Value) {
    let _ = write!(
        out,
        "<h2>Chain {}</h2><p>Head {} at {} · irreversible {} · {} of {} providers agree, {} needed · participation {}</p>",
        esc(&text(chain, "name")),
        esc(&text(chain, "head")),
        esc(&text(chain, "head_time")),
        esc(&text(chain, "irreversible")),
        esc(&text(chain, "agreeing")),
        esc(&text(chain, "providers")),
        esc(&text(chain, "quorum")),
        chain
            .get("participation")
            .and_then(Value::as_f64)
            .map_or("not known".to_owned(), |p| format!("{:.1} %", p * 100.0)),
    );
    if let Some(why) = chain.get("disagreement").and_then(Value::as_str) {
        let _ = write!(out, "<p class=bad>No agreed view: {}</p>", esc(why));
    }
    out.push_str("<table><tr><th>Endpoint<th>Provider<th>Up<th>Head<th>Lag<th>Trouble</tr>");
    for e in list(chain, "endpoints") {
        let up = yes(e, "up");
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td class={}>{}<td>{}<td>{}<td>{}</tr>",
            esc(&text(e, "endpoint")),
            esc(&text(e, "provider")),
            if up { "ok" } else { "bad" },
            if up { "yes" } else { "no" },
            esc(&text(e, "head")),
            esc(&text(e, "lag")),
            e.get("error")
                .and_then(Value::as_str)
                .map(esc)
                .unwrap_or_default(),
        );
    }
    out.push_str("</table>");
}

fn heartbeats(out: &mut String, status: &Value) {
    let sources = list(status, "heartbeats");
    if sources.is_empty() {
        return;
    }
    out.push_str("<h2>Heartbeats</h2><table><tr><th>Source<th>Last heard<th>State</tr>");
    for h in sources {
        let overdue = yes(h, "overdue");
        let age = h
            .get("age")
            .and_then(Value::as_f64)
            .map_or("never".to_owned(), |s| format!("{s:.0} s ago"));
        let _ = write!(
            out,
            "<tr><td>{}<td>{age}<td class={}>{}</tr>",
            esc(&text(h, "source")),
            if overdue { "bad" } else { "ok" },
            if overdue { "overdue" } else { "alive" },
        );
    }
    out.push_str("</table>");
}

fn render_decisions(out: &mut String, decisions: &Result<Vec<DecisionRecord>, JournalError>) {
    out.push_str("<h2>Last decisions</h2>");
    let decisions = match decisions {
        Ok(decisions) if decisions.is_empty() => {
            out.push_str("<p class=dim>None yet.</p>");
            return;
        }
        Ok(decisions) => decisions,
        Err(error) => {
            let _ = write!(out, "<p class=bad>{}</p>", esc(&error.to_string()));
            return;
        }
    };
    out.push_str(
        "<table><tr><th>Time<th>Producer<th>Asked<th>Verdict<th>Reason<th>In the way</tr>",
    );
    for d in decisions {
        let in_the_way: Vec<String> = d
            .interlocks
            .iter()
            .filter(|i| i.verdict != Check::Pass)
            .map(|i| format!("{}: {}", i.name.as_str(), i.detail))
            .chain(d.note.clone())
            .collect();
        let _ = write!(
            out,
            "<tr><td>{}<td>{}/{}<td>{} by {}<td class={}>{}<td>{}<td>{}</tr>",
            esc(&d.time),
            esc(&d.chain),
            esc(&d.producer),
            esc(&d.action),
            esc(&d.cause),
            if d.verdict == "act" { "ok" } else { "bad" },
            esc(&d.verdict),
            esc(&d.reason),
            esc(&in_the_way.join("; ")),
        );
    }
    out.push_str("</table>");
}

fn global_forms(out: &mut String, controls: &Controls<'_>, armed: bool) {
    let (path, word) = if armed {
        ("disarm", "Disarm everything")
    } else {
        ("arm", "Arm")
    };
    form(out, controls, &format!("/api/v1/{path}"), word, "");
    form(out, controls, "/-/reload", "Reload configuration", "");
    form(out, controls, "/logout", "Log out", "");
}

fn producer_forms(out: &mut String, controls: &Controls<'_>, chain: &str, name: &str, p: &Value) {
    let path = |verb: &str| format!("/api/v1/producers/{}/{}/{verb}", query(chain), query(name));
    let mut standing =
        |verb: &str, word: &str, fields: &str| form(out, controls, &path(verb), word, fields);
    if yes(p, "armed") {
        standing("disarm", "Disarm", "");
    } else {
        standing("arm", "Arm", "");
    }
    if yes(p, "pinned") {
        standing("unpin", "Unpin", "");
    } else {
        standing("pin", "Pin (hands off)", "");
    }
    standing(
        "maintenance",
        "Maintenance",
        "<input type=text name=until placeholder=\"until: 30m or a time; empty ends it\"> ",
    );
    standing("rehearse", "Rehearse", "");
    let mut target = String::from(
        "to <select name=to aria-label=target><option value=\"\">the next ready key</option>",
    );
    for key in list(p, "keys") {
        let text = esc(&text(key, "signing_key"));
        let _ = write!(target, "<option value=\"{text}\">{text}</option>");
    }
    target.push_str("</select> <input type=text name=override_reason placeholder=\"override reason, if one is needed\"> ");
    for (verb, word) in [
        ("failover", "Fail over now"),
        ("switchover", "Switch over"),
        ("enable", "Enable"),
    ] {
        standing(verb, word, &target);
    }
    standing(
        "disable",
        "Disable (null key)",
        "<input type=text name=override_reason placeholder=\"override reason, if one is needed\"> ",
    );
}

fn form(out: &mut String, controls: &Controls<'_>, action: &str, word: &str, fields: &str) {
    let _ = write!(
        out,
        "<form method=post action=\"{}\"><input type=hidden name=csrf value=\"{}\">{fields}<button>{}</button></form>",
        esc(action),
        esc(controls.csrf),
        esc(word),
    );
}

// === fields ===

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn yes(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

pub(super) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Text for HTML, also within quoted attributes.
pub(super) fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_from_far_away_cannot_write_html() {
        let evil = "<script>alert(1)</script>\"'";
        let status = json!({
            "armed": true, "able": false, "not_ready": [evil], "version": evil,
            "producers": [{"chain": evil, "name": evil, "registered_key": evil, "role": "foreign", "fault": evil,
                "keys": [{"signing_key": evil, "ready": false, "detail": evil}], "able_note": evil, "attempt": {"stage": evil, "txid": evil, "note": evil}}],
            "chains": [{"name": evil, "disagreement": evil, "endpoints": [{"endpoint": evil, "error": evil}]}],
            "heartbeats": [{"source": evil}], "warnings": [evil],
        });
        let controls = Controls {
            csrf: evil,
            said: Some(evil),
        };
        for page in [
            render(&status, &Ok(vec![]), Some(&controls)),
            render(&status, &Err(JournalError::Io(evil.into())), None),
        ] {
            assert!(!page.contains("<script"), "{page}");
            assert!(!page.contains("\"'"), "{page}");
        }
    }

    #[test]
    fn what_is_said_fits_into_a_header() {
        assert_eq!(query("a b\r\n<ä"), "a%20b%0D%0A%3C%C3%A4");
    }
}
