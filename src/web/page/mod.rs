//! The status page and the pages of the control listener: one look at 3 a.m. must tell whether anything is wrong and what
//! to do. Server-rendered; a script only keeps it true. Nothing from elsewhere. Pure: the status in, HTML out.
//!
//! | file | what |
//! |---|---|
//! | `headline` | the one sentence, and the worst things after it |
//! | `producer`, `strip` | cards or a table of producers, their newest slots |
//! | `decisions` | what was decided and what each interlock said |
//! | `chain` | endpoints, heartbeats |
//! | `ask` | login, "are you sure?", what became of a request |
//! | `frame` | head, style, script, content security policy |
//! | `parts` | escaping, times, keys |

mod ask;
mod chain;
mod decisions;
mod frame;
mod headline;
mod parts;
mod producer;
mod strip;

use std::fmt::Write as _;

use serde_json::Value;

use self::parts::{Level, clock, esc, list, said, shown, yes};
use crate::actuator::{DecisionRecord, JournalError};
use crate::clock::Millis;

pub(super) use ask::{confirm, login, notice, problem, request, request_live};
pub(super) use frame::POLICY;

/// What the control page has beyond the status page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Controls<'a> {
    /// The login's token: every form carries it.
    pub csrf: &'a str,
    /// What the last command came to.
    pub said: Option<&'a str>,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look<'a> {
    /// Local clock.
    pub now: Millis,
    /// Only this producer (`chain/name`).
    pub only: Option<&'a str>,
    /// On the control listener.
    pub controls: Option<Controls<'a>>,
}

/// What the pages show of decisions.
pub(super) type Decisions = Result<Vec<DecisionRecord>, JournalError>;

/// A whole page.
#[must_use]
fn render(status: &Value, decisions: &Decisions, look: &Look<'_>) -> String {
    let heading = heading(look.controls.is_some());
    let mut out = frame::open(&title(status, heading), heading, &standing(look.now), false);
    live(&mut out, status, decisions, look);
    let mut footer = String::new();
    match look.controls {
        None => footer.push_str("<nav aria-label=\"Other pages\"><a href=/metrics>Metrics</a><a href=/-/ready>Readiness</a><a href=/api/v1/status>Status as JSON</a><a href=/api/v1/decisions>Decisions as JSON</a></nav>"),
        Some(controls) => {
            let _ = write!(
                footer,
                "<form method=post action=/logout><input type=hidden name=csrf value=\"{}\"><button class=link>Log out</button></form>",
                esc(controls.csrf)
            );
        }
    }
    let _ = write!(footer, "<p>slotkeeper {}</p>", shown(status, "version"));
    frame::close(&mut out, &footer, true);
    out
}

/// The whole page, or only the part that changes.
pub(super) fn whole_or_live(
    only_live: bool,
    status: &Value,
    decisions: &Decisions,
    look: &Look<'_>,
) -> String {
    if only_live {
        let mut out = String::new();
        live(&mut out, status, decisions, look);
        out
    } else {
        render(status, decisions, look)
    }
}

/// The part that changes: what the script asks for again and again.
fn live(out: &mut String, status: &Value, decisions: &Decisions, look: &Look<'_>) {
    let _ = write!(
        out,
        "<main data-live data-title=\"{}\">",
        title(status, heading(look.controls.is_some()))
    );
    if let Some(words) = look.controls.and_then(|c| c.said) {
        let _ = write!(out, "<p id=said class=said role=status>{}</p>", esc(words));
    }
    headline::render(out, status);
    overall(out, status, look);
    producer::render(out, status, look);
    decisions::render(out, decisions, look.now);
    chain::render(out, status, look.now);
    let warnings = list(status, "warnings");
    if !warnings.is_empty() {
        out.push_str("<section aria-labelledby=warnings><h2 id=warnings>Warnings of the configuration</h2><ul>");
        for warning in warnings.iter().filter_map(Value::as_str) {
            let _ = write!(out, "<li>{}</li>", esc(warning));
        }
        out.push_str("</ul></section>");
    }
    out.push_str("</main>");
}

fn heading(control: bool) -> &'static str {
    if control {
        "slotkeeper control"
    } else {
        "slotkeeper"
    }
}

/// What a tab among many shows.
fn title(status: &Value, heading: &str) -> String {
    let word = match headline::findings(status).first().map(|f| f.level) {
        Some(Level::Bad) => "Trouble",
        Some(Level::Busy) => "Switching",
        Some(Level::Note) => "Attention",
        Some(Level::Ok) | None => "All well",
    };
    format!("{word} · {heading}")
}

/// As of when; the script says instead whether it is live.
fn standing(now: Millis) -> String {
    format!(
        "<p id=live role=status>As of {}. Reload for newer.</p>",
        clock(now)
    )
}

/// Armed, able, ready: the whole daemon in one line.
fn overall(out: &mut String, status: &Value, look: &Look<'_>) {
    let word = |field: &str, good: &str, bad: &str, level: Level| {
        if yes(status, field) {
            parts::badge(Level::Ok, good)
        } else {
            parts::badge(level, bad)
        }
    };
    let _ = write!(
        out,
        "<dl class=row id=overall><div><dt>Switch<dd>{}</div><div><dt>Could it act<dd>{}</div><div><dt>Process<dd>{}</div><div><dt>Journal<dd>{}</div><div><dt>Requests waiting<dd>{}</div></dl>",
        word("armed", "armed", "disarmed", Level::Note),
        word(
            "able",
            "able to switch all",
            "not able to switch all",
            Level::Bad
        ),
        word("ready", "ready", "not ready", Level::Bad),
        word("journal_writable", "writable", "not writable", Level::Bad),
        shown(status, "pending"),
    );
    if let Some(note) = said(status, "armed_note") {
        let _ = write!(out, "<p class=dim>{}</p>", esc(note));
    }
    if look.controls.is_some() {
        let (verb, label) = if yes(status, "armed") {
            ("disarm", "Disarm everything…")
        } else {
            ("arm", "Arm…")
        };
        let _ = write!(
            out,
            "<nav class=orders aria-label=\"Orders for everything\"><a class=button href=\"/confirm?verb={verb}\">{label}</a><a class=button href=\"/confirm?verb=reload\">Reload configuration…</a></nav>"
        );
    }
}

#[cfg(test)]
mod tests;
