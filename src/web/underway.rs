//! What is under way for a producer, on the status page: its last switch, a key that is not in force yet, and what to know
//! before disabling.

use std::fmt::Write as _;

use serde_json::Value;

use super::page::{esc, text};

/// Adds it to the page.
pub(super) fn underway(out: &mut String, p: &Value) {
    if let Some(attempt) = p.get("attempt").filter(|a| a.is_object()) {
        let _ = write!(
            out,
            "<p>Last switch: <b>{}</b>, transaction <code>{}</code> {}</p>",
            esc(&text(attempt, "stage")),
            esc(&text(attempt, "txid")),
            attempt
                .get("note")
                .and_then(Value::as_str)
                .map(esc)
                .unwrap_or_default(),
        );
    }
    if let Some(waiting) = p.get("waiting").filter(|w| w.is_object()) {
        let _ = write!(
            out,
            "<p class=bad><code>{}</code> is {}.</p>",
            esc(&text(waiting, "signing_key")),
            esc(&text(waiting, "detail")),
        );
    }
    if let Some(note) = p.get("disable_note").and_then(Value::as_str) {
        let _ = write!(out, "<p class=dim>To know: {}.</p>", esc(note));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_waits_and_a_disable_in_vain_are_shown_escaped() {
        let mut out = String::new();
        underway(
            &mut out,
            &json!({"attempt": null, "waiting": null, "disable_note": null}),
        );
        assert_eq!(out, "");
        let waiting = json!({"signing_key": "EOS7", "detail": "registered for 30 s <"});
        underway(
            &mut out,
            &json!({"waiting": waiting, "disable_note": "in vain <"}),
        );
        assert!(out.contains("registered for 30 s &lt;"), "{out}");
        assert!(out.contains("in vain &lt;"), "{out}");
    }
}
