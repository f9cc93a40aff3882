//! The last decisions: each in one sentence, and behind it what every interlock said, in plain words. Pure.

use std::fmt::Write as _;

use super::parts::{Level, badge, esc, relative, short_key};
use super::producer::steps;
use crate::actuator::{Check, DecisionRecord, JournalError};
use crate::clock::Millis;

/// The list.
pub(super) fn render(
    out: &mut String,
    decisions: &Result<Vec<DecisionRecord>, JournalError>,
    now: Millis,
) {
    out.push_str("<section aria-labelledby=decisions><h2 id=decisions>Last decisions</h2>");
    match decisions {
        Ok(decisions) if decisions.is_empty() => out.push_str(
            "<p class=dim>None yet: nobody has asked for anything since this journal began.</p>",
        ),
        Ok(decisions) => {
            for d in decisions {
                let _ = write!(
                    out,
                    "<details id=\"d-{}-{}\"><summary>{}</summary>",
                    esc(&d.request_id),
                    esc(&d.time),
                    summary(d, now)
                );
                one(out, d);
                out.push_str("</details>");
            }
        }
        Err(error) => {
            let _ = write!(
                out,
                "<p><span class=bad>They cannot be read: {}</span></p>",
                esc(&error.to_string())
            );
        }
    }
    out.push_str("</section>");
}

/// When.
pub(super) fn at(d: &DecisionRecord) -> Option<Millis> {
    let time: jiff::Timestamp = d.time.parse().ok()?;
    Some(time.as_millisecond())
}

/// One sentence, and when.
pub(super) fn summary(d: &DecisionRecord, now: Millis) -> String {
    let when = relative(at(d), now);
    format!("{} <span class=dim>{when}</span>", sentence(d))
}

/// One sentence. Without a time: where it is read aloud when it changes, a ticking one would never let it rest.
pub(super) fn sentence(d: &DecisionRecord) -> String {
    let rehearsal = d.action == "rehearse" || d.cause == "drill";
    let (level, verdict) = match d.verdict.as_str() {
        "act" if rehearsal => (Level::Ok, "Would act"),
        "act" => (Level::Ok, "Acted"),
        "wait" => (Level::Busy, "Waits"),
        "refuse" => (Level::Note, "Refused"),
        other => (Level::Note, other),
    };
    let target = d
        .target
        .as_deref()
        .map_or_else(String::new, |key| format!(" to {}", short_key(key)));
    let why = d
        .interlocks
        .iter()
        .find(|i| i.name.as_str() == d.reason && i.verdict != Check::Pass)
        .map(|i| format!(": {}", esc(&i.detail)))
        .unwrap_or_else(|| match d.reason.as_str() {
            "ok" => String::new(),
            reason => format!(": {}", esc(reason)),
        });
    format!(
        "{} {} of {}/{}{target}, asked for by {}{why}",
        badge(level, verdict),
        esc(&d.action),
        esc(&d.chain),
        esc(&d.producer),
        match d.cause.as_str() {
            "webhook" => "Alertmanager".to_owned(),
            "guard" => "the guard".to_owned(),
            "operator" => "an operator".to_owned(),
            "drill" => "a drill".to_owned(),
            other => esc(other),
        },
    )
}

/// What every interlock said, and what came of it.
pub(super) fn one(out: &mut String, d: &DecisionRecord) {
    if let Some(note) = &d.note {
        let _ = write!(out, "<p>{}</p>", esc(note));
    }
    if let Some(attempt) = &d.attempt {
        steps(out, attempt.stage.as_str());
        let _ = write!(
            out,
            "<p class=dim>Transaction <code>{}</code>{}</p>",
            esc(&attempt.txid),
            attempt
                .note
                .as_deref()
                .map_or_else(String::new, |n| format!(" · {}", esc(n)))
        );
    }
    if d.interlocks.is_empty() {
        out.push_str("<p class=dim>No interlock was asked.</p>");
        return;
    }
    out.push_str("<table class=why><caption class=hidden>What each interlock said</caption><thead><tr><th scope=col>Reason not to act<th scope=col>Holds<th scope=col>Because</tr></thead><tbody>");
    // What stands in the way first.
    let (passing, against): (Vec<_>, Vec<_>) =
        d.interlocks.iter().partition(|i| i.verdict == Check::Pass);
    for i in against.into_iter().chain(passing) {
        let (level, says) = match i.verdict {
            Check::Pass => (Level::Ok, "no"),
            Check::Deny => (Level::Bad, "yes"),
            Check::Unknown => (Level::Note, "cannot tell"),
        };
        let _ = write!(
            out,
            "<tr><th scope=row>{}<td>{}<td>{}</tr>",
            esc(&i.name.as_str().replace('_', " ")),
            badge(level, says),
            esc(&i.detail),
        );
    }
    let _ = write!(
        out,
        "</tbody></table><p class=dim>Request <code>{}</code>{}</p>",
        esc(&d.request_id),
        d.view.as_ref().map_or_else(String::new, |v| format!(
            ", decided on block {} of {}",
            v.head,
            esc(&v.head_time)
        )),
    );
}
