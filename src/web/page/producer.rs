//! Producers: a card for each of a few, a table for many (a card is then one link away). Pure.

use std::fmt::Write as _;

use serde_json::Value;

use super::Look;
use super::parts::{
    Level, badge, clock, esc, full_name, list, moment, query, relative, said, short_key, shown,
    text, yes,
};
use super::strip::strip;

/// More than these are a table.
const CARDS: usize = 12;
/// Rows of the table: those with keys here and those in trouble come first; the rest is counted.
const ROWS: usize = 250;

/// All producers, or the one that was asked for.
pub(super) fn render(out: &mut String, status: &Value, look: &Look<'_>) {
    let all = list(status, "producers");
    out.push_str("<section aria-labelledby=producers><h2 id=producers>Producers</h2>");
    let one = look.only.map(|name| {
        let found = all.iter().find(|p| full_name(p) == name);
        (name, found)
    });
    match one {
        Some((_, Some(p))) => {
            out.push_str("<p><a href=/>All producers</a></p>");
            card(out, p, look);
        }
        Some((name, None)) => {
            let _ = write!(
                out,
                "<p>No producer {} is watched here. <a href=/>All producers</a></p>",
                esc(name)
            );
        }
        None if all.is_empty() => out.push_str("<p class=dim>None is watched yet.</p>"),
        None if all.len() <= CARDS => all.iter().for_each(|p| card(out, p, look)),
        None => table(out, all, look),
    }
    out.push_str("</section>");
}

/// How a producer stands, in a few words.
fn standing(p: &Value) -> (Level, String) {
    let fault = text(p, "fault");
    let stage = p
        .get("attempt")
        .map(|a| text(a, "stage"))
        .unwrap_or_default();
    match fault.as_str() {
        _ if matches!(stage.as_str(), "signed" | "sent" | "included") => {
            (Level::Busy, "being moved".to_owned())
        }
        "no" if text(p, "consecutive_missed") == "0" => (Level::Ok, "producing".to_owned()),
        "no" => (Level::Note, "missed its last slot".to_owned()),
        "unknown" | "–" => (Level::Note, "not judged yet".to_owned()),
        words => (Level::Bad, words.to_owned()),
    }
}

/// When its next slot is, or why nobody can say.
fn next_slot(p: &Value, look: &Look<'_>) -> String {
    match moment(p, "next_slot") {
        None if yes(p, "scheduled") => "<span class=dim>in a coming round</span>".to_owned(),
        None => "<span class=dim>not scheduled</span>".to_owned(),
        at => relative(at, look.now),
    }
}

/// Armed and able, or what is in the way.
fn readiness(p: &Value) -> (Level, &'static str) {
    match (yes(p, "armed"), yes(p, "able")) {
        _ if yes(p, "watched_only") => (Level::Note, "watched only"),
        _ if yes(p, "pinned") => (Level::Note, "pinned"),
        (_, false) => (Level::Bad, "not able to switch"),
        (false, true) => (Level::Note, "disarmed"),
        (true, true) => (Level::Ok, "armed and able"),
    }
}

fn table(out: &mut String, all: &[Value], look: &Look<'_>) {
    let standings: Vec<(Level, String)> = all.iter().map(standing).collect();
    let _ = write!(out, "<p>{} producers", all.len());
    for level in [Level::Bad, Level::Busy, Level::Note, Level::Ok] {
        let n = standings.iter().filter(|(l, _)| *l == level).count();
        let words = match level {
            Level::Bad => "at fault",
            Level::Busy => "being moved",
            Level::Note => "to look at",
            Level::Ok => "producing",
        };
        if n > 0 {
            let _ = write!(out, ", {}", badge(level, &format!("{n} {words}")));
        }
    }
    out.push_str(".</p><div class=wide role=region aria-label=\"Table of producers\" tabindex=0><table><thead><tr><th scope=col>Producer<th scope=col>State<th scope=col>Key in force<th scope=col>Standbys<th scope=col>Recent slots<th scope=col>Next slot<th scope=col>Would it act</tr></thead><tbody>");
    let mut order: Vec<(&Value, (Level, String))> = all.iter().zip(standings).collect();
    order.sort_by_key(|(p, (level, _))| {
        std::cmp::Reverse((!yes(p, "watched_only"), *level, readiness(p).0))
    });
    let left_out = order.len().saturating_sub(ROWS);
    for (p, (level, state)) in order.into_iter().take(ROWS) {
        let name = full_name(p);
        let (able_level, able) = readiness(p);
        let (ready, of) = standbys(p);
        let in_force = text(p, "effective_key");
        let _ = write!(
            out,
            "<tr id=\"p-{}\"><th scope=row><a href=\"/?producer={}\">{}</a><td>{}<td>{} {}<td{}>{}<td>{}<td>{}<td>{}</tr>",
            esc(&name),
            query(&name),
            esc(&name),
            badge(level, &state),
            shown(p, "role"),
            short_key(&in_force),
            if of > 0 && ready == 0 {
                " class=bad"
            } else {
                ""
            },
            if of == 0 {
                "–".to_owned()
            } else {
                format!("{ready} of {of} ready")
            },
            strip(&text(p, "recent_slots")),
            next_slot(p, look),
            badge(able_level, able),
        );
    }
    out.push_str("</tbody></table></div>");
    if left_out > 0 {
        let _ = write!(
            out,
            "<p class=dim>And {left_out} more that are only watched or well: <code>/?producer=CHAIN/NAME</code> shows one of them, <a href=/api/v1/status>the status as JSON</a> all.</p>"
        );
    }
}

/// Keys that are ready to take over, of those that could.
fn standbys(p: &Value) -> (usize, usize) {
    let registered = text(p, "registered_key");
    let others = list(p, "keys")
        .iter()
        .filter(|k| text(k, "signing_key") != registered);
    others.fold((0, 0), |(ready, of), k| {
        (
            usize::from(yes(k, "ready")).saturating_add(ready),
            of.saturating_add(1),
        )
    })
}

fn card(out: &mut String, p: &Value, look: &Look<'_>) {
    let name = full_name(p);
    let (level, state) = standing(p);
    let id = esc(&name);
    let _ = write!(
        out,
        "<article class=\"card {}\" id=\"p-{id}\" aria-labelledby=\"h-{id}\"><h3 id=\"h-{id}\">{id} {}</h3>",
        level.class(),
        badge(level, &state),
    );
    let recent = text(p, "recent_slots");
    let (slots, produced) = (recent.chars().count(), recent.matches('p').count());
    let _ = write!(
        out,
        "<div class=facts><p class=slots><span class=label>Last {slots} slots: {produced} produced</span>{}<span class=legend>oldest left, newest right · full bar: produced · low bar: missed</span></p><dl><div><dt>Next slot<dd class=big>{}</div><div><dt>Last block<dd>{}{}</div><div><dt>Missed<dd>{} <span class=dim>({} in a row)</span></div><div><dt>Would it act<dd>{}</div></dl></div>",
        strip(&recent),
        next_slot(p, look),
        shown(p, "last_block"),
        moment(p, "last_block_time").map_or_else(String::new, |at| format!(
            " <span class=dim>{}</span>",
            relative(Some(at), look.now)
        )),
        shown(p, "missed"),
        shown(p, "consecutive_missed"),
        badge(readiness(p).0, readiness(p).1),
    );
    notes(out, p);
    if yes(p, "watched_only") {
        let _ = write!(
            out,
            "<p class=dim>Watched only: no keys are configured. Registered: <code>{}</code></p></article>",
            shown(p, "registered_key")
        );
        return;
    }
    attempt(out, p, look);
    keys(out, p, &name);
    if look.controls.is_some() {
        orders(out, p);
    }
    out.push_str("</article>");
}

/// What stands in the way, and what to know.
fn notes(out: &mut String, p: &Value) {
    if yes(p, "watched_only") {
        return;
    }
    for (field, note, word) in [
        ("armed", "armed_note", "Disarmed"),
        ("able", "able_note", "Not able to switch"),
    ] {
        if !yes(p, field) {
            let why = said(p, note).map_or_else(String::new, |w| format!(": {}", esc(w)));
            let _ = write!(out, "<p><span class=note>{word}{why}.</span></p>");
        }
    }
    if yes(p, "pinned") {
        out.push_str("<p><span class=note>Pinned by an operator: left alone.</span></p>");
    }
    if let Some(until) = said(p, "maintenance_until") {
        let _ = write!(
            out,
            "<p><span class=note>In maintenance until {}.</span></p>",
            esc(until)
        );
    }
    if let Some(waiting) = p.get("waiting").filter(|w| w.is_object()) {
        let _ = write!(
            out,
            "<p><span class=busy>{} is {}.</span></p>",
            short_key(&text(waiting, "signing_key")),
            shown(waiting, "detail"),
        );
    }
    if let Some(note) = said(p, "disable_note") {
        let _ = write!(out, "<p class=dim>To know: {}.</p>", esc(note));
    }
}

/// The last switch, step by step.
fn attempt(out: &mut String, p: &Value, look: &Look<'_>) {
    let Some(a) = p.get("attempt").filter(|a| a.is_object()) else {
        return;
    };
    let stage = text(a, "stage");
    let over = matches!(stage.as_str(), "irreversible" | "expired" | "failed");
    let signed = a.get("signed_at").and_then(Value::as_i64);
    let _ = write!(
        out,
        "<div class=attempt><p>{}: {} → {}{}</p>",
        if over {
            "Last switch"
        } else {
            "Switch under way"
        },
        short_key(&text(a, "from")),
        short_key(&text(a, "to")),
        signed.map_or_else(String::new, |at| format!(
            ", signed {} <span class=dim>({})</span>",
            relative(Some(at), look.now),
            clock(at)
        )),
    );
    steps(out, &stage);
    let _ = write!(
        out,
        "<p class=dim>Transaction <code>{}</code>{}</p></div>",
        shown(a, "txid"),
        said(a, "note").map_or_else(String::new, |n| format!(" · {}", esc(n))),
    );
}

/// The stages of an attempt as a list: what is done, where it is, what is to come.
pub(super) fn steps(out: &mut String, stage: &str) {
    const STAGES: [(&str, &str); 5] = [
        ("signed", "Signed and written down"),
        ("sent", "Taken by an endpoint"),
        ("included", "In a block"),
        ("effective", "The new key is in force"),
        ("irreversible", "For good"),
    ];
    let reached = STAGES.iter().position(|(name, _)| *name == stage);
    out.push_str("<ol class=steps aria-label=\"Steps of the switch\">");
    for (n, (name, words)) in STAGES.iter().enumerate() {
        let last = STAGES.len().saturating_sub(1);
        let (class, state) = match reached {
            Some(at) if n < at || at == last => ("done", "done"),
            Some(at) if n == at => ("here", "reached"),
            _ => ("todo", "to come"),
        };
        let _ = write!(
            out,
            "<li class={class}{}><b>{name}</b> <span>{words}</span> <i>{state}</i></li>",
            if class == "here" {
                " aria-current=step"
            } else {
                ""
            },
        );
    }
    out.push_str("</ol>");
    match stage {
        "expired" => out.push_str(
            "<p><span class=bad>It expired: it never came into a block, and nothing was changed.</span></p>",
        ),
        "failed" => out.push_str(
            "<p><span class=bad>It failed: the chain refused it for good.</span></p>",
        ),
        _ => {}
    }
}

fn keys(out: &mut String, p: &Value, name: &str) {
    let (registered, effective) = (text(p, "registered_key"), text(p, "effective_key"));
    let _ = write!(
        out,
        "<div class=wide role=region tabindex=0 aria-label=\"Keys of {0}\"><table><caption class=hidden>Keys of {0}</caption><thead><tr><th scope=col>Signing key<th scope=col>Role<th scope=col>On chain<th scope=col>Its node</tr></thead><tbody>",
        esc(name)
    );
    for key in list(p, "keys") {
        let signing_key = text(key, "signing_key");
        let (level, ready) = match key.get("ready").and_then(Value::as_bool) {
            Some(true) => (Level::Ok, "ready"),
            Some(false) => (Level::Bad, "not ready"),
            None => (Level::Note, "not known yet"),
        };
        let detail = text(key, "detail");
        let on_chain = match (signing_key == registered, signing_key == effective) {
            (true, true) => badge(Level::Ok, "in force"),
            (true, false) => badge(Level::Busy, "registered, not yet in force"),
            (false, true) => badge(Level::Busy, "still in force"),
            (false, false) => "–".to_owned(),
        };
        let _ = write!(
            out,
            "<tr><td><code>{}</code><td>{}<td>{on_chain}<td>{}{}</tr>",
            esc(&signing_key),
            shown(key, "role"),
            badge(level, ready),
            if detail == ready || level == Level::Note {
                String::new()
            } else {
                format!(": {}", esc(&detail))
            },
        );
    }
    out.push_str("</tbody></table></div>");
    let foreign = match text(p, "role").as_str() {
        "foreign" => "a key that is not configured here",
        "null" => "the null key (disabled)",
        _ => return,
    };
    let _ = write!(
        out,
        "<p><span class=bad>Registered is {foreign}: <code>{}</code>. An operator's hand: it is left alone.</span></p>",
        esc(&registered)
    );
}

/// Ways to the pages that ask before anything is done.
fn orders(out: &mut String, p: &Value) {
    let (chain, name) = (text(p, "chain"), text(p, "name"));
    let _ = write!(
        out,
        "<nav class=orders aria-label=\"Orders for {}\">",
        esc(&full_name(p))
    );
    let mut verbs = vec![
        ("rehearse", "Rehearse…"),
        ("switchover", "Switch over…"),
        ("failover", "Fail over…"),
    ];
    verbs.push(if yes(p, "armed") {
        ("disarm", "Disarm…")
    } else {
        ("arm", "Arm…")
    });
    verbs.push(if yes(p, "pinned") {
        ("unpin", "Unpin…")
    } else {
        ("pin", "Pin…")
    });
    verbs.push(("maintenance", "Maintenance…"));
    verbs.push(if text(p, "role") == "null" {
        ("enable", "Enable…")
    } else {
        ("disable", "Disable…")
    });
    for (verb, word) in verbs {
        let _ = write!(
            out,
            "<a class=button href=\"/confirm?verb={verb}&amp;producer={}\" aria-label=\"{word} {}\">{word}</a> ",
            query(&format!("{chain}/{name}")),
            esc(&full_name(p)),
        );
    }
    out.push_str("</nav>");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_waits_and_a_disable_in_vain_are_shown_escaped() {
        let mut out = String::new();
        let waiting = json!({"signing_key": "EOS7", "detail": "registered for 30 s <"});
        let p =
            json!({"armed": true, "able": true, "waiting": waiting, "disable_note": "in vain <"});
        notes(&mut out, &p);
        assert!(out.contains("registered for 30 s &lt;"), "{out}");
        assert!(out.contains("in vain &lt;"), "{out}");
        let mut out = String::new();
        notes(&mut out, &json!({"armed": true, "able": true}));
        assert_eq!(out, "");
    }

    #[test]
    fn the_steps_say_what_is_done_and_what_is_to_come() {
        let mut out = String::new();
        steps(&mut out, "included");
        assert_eq!(out.matches("class=done").count(), 2, "{out}");
        assert_eq!(out.matches("aria-current=step").count(), 1, "{out}");
        let mut out = String::new();
        steps(&mut out, "irreversible");
        assert_eq!(out.matches("class=done").count(), 5, "{out}");
        let mut out = String::new();
        steps(&mut out, "expired");
        assert!(
            out.contains("nothing was changed") && !out.contains("class=done"),
            "{out}"
        );
    }
}
