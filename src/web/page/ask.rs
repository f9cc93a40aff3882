//! The control listener's small pages: login, "are you sure?" with what will happen, and what became of a request. They
//! work without a script. Pure.

use std::fmt::Write as _;

use serde_json::Value;

use super::parts::{
    Level, badge, esc, full_name, list, query, relative, said, short_key, shown, text, yes,
};
use super::{Decisions, decisions, frame, standing};
use crate::clock::Millis;

const HEADING: &str = "slotkeeper control";

/// The login form.
#[must_use]
pub(in crate::web) fn login(problem: Option<&str>) -> String {
    let mut out = frame::open("Log in · slotkeeper control", HEADING, "", false);
    out.push_str("<main>");
    if let Some(problem) = problem {
        let _ = write!(
            out,
            "<p class=\"box bad\" role=alert><span class=bad>{}</span></p>",
            esc(problem)
        );
    }
    out.push_str("<form class=ask method=post action=/login><label>Control token <input type=password name=token autocomplete=current-password required autofocus></label><p><button class=go>Log in</button></p></form><p class=dim>It is in the file that <code>control.token_file</code> of the configuration names. The login lasts eight hours.</p></main>");
    frame::close(&mut out, "", false);
    out
}

/// Something that cannot be done, with the way back.
#[must_use]
pub(in crate::web) fn problem(what: &str) -> String {
    let mut out = frame::open("Not done · slotkeeper control", HEADING, "", false);
    let _ = write!(
        out,
        "<main><p class=\"box bad\" role=alert><span class=bad>{}</span></p><p><a href=/>Back to the control page</a></p></main>",
        esc(what)
    );
    frame::close(&mut out, "", false);
    out
}

/// Something that was done, with the way back.
#[must_use]
pub(in crate::web) fn notice(what: &str) -> String {
    let mut out = frame::open("Done · slotkeeper control", HEADING, "", false);
    let _ = write!(
        out,
        "<main><p class=said role=status>{}</p><p><a href=/>Back to the control page</a></p></main>",
        esc(what)
    );
    frame::close(&mut out, "", false);
    out
}

/// What an order is called, what it does, and how grave it is.
struct Order {
    question: &'static str,
    yes: &'static str,
    does: &'static str,
    grave: bool,
}

fn order(verb: &str, global: bool) -> Option<Order> {
    let (question, yes, does, grave) = match (verb, global) {
        ("arm", true) => (
            "Arm slotkeeper?",
            "Yes, arm it",
            "From now on a fault is acted on without asking anybody: production moves to a ready standby. Producers that are disarmed themselves stay so.",
            false,
        ),
        ("disarm", true) => (
            "Disarm everything?",
            "Yes, disarm everything",
            "From now on nothing is switched but by a person's hand. Faults are still watched and told. A switch that was sent already is followed to its end.",
            true,
        ),
        ("reload", true) => (
            "Reload the configuration?",
            "Yes, reload it",
            "The configuration file is read again and put in force if it is valid. If not, the old one stays and you are told why.",
            false,
        ),
        ("arm", false) => (
            "Arm",
            "Yes, arm",
            "From now on a fault of this producer is acted on without asking anybody, as long as slotkeeper as a whole is armed.",
            false,
        ),
        ("disarm", false) => (
            "Disarm",
            "Yes, disarm",
            "From now on this producer is switched by a person's hand only. Its faults are still watched and told.",
            true,
        ),
        ("pin", false) => (
            "Pin",
            "Yes, pin",
            "Hands off: whatever happens, slotkeeper leaves this producer alone until somebody unpins it.",
            true,
        ),
        ("unpin", false) => (
            "Unpin",
            "Yes, unpin",
            "slotkeeper looks after this producer again, as armed or disarmed as it is.",
            false,
        ),
        ("maintenance", false) => (
            "Declare maintenance of",
            "Yes, declare it for",
            "Until the time you give, slotkeeper leaves this producer alone. Left empty, a maintenance that was declared ends now.",
            false,
        ),
        ("rehearse", false) => (
            "Rehearse a switch of",
            "Yes, rehearse for",
            "Everything but the sending: a fresh look at the chain, every interlock, target, transaction and signature. Nothing is sent and nothing changes.",
            false,
        ),
        ("switchover", false) => (
            "Switch over",
            "Yes, switch over",
            "A planned move. slotkeeper looks at the chain afresh, asks every interlock that binds a person, and registers another key by one transaction. From then on the chain refuses blocks of the old key, and the node with the new one produces.",
            false,
        ),
        ("failover", false) => (
            "Fail over",
            "Yes, fail over",
            "For a fault now. slotkeeper looks at the chain afresh, asks every interlock that binds a person, and registers another key by one transaction. From then on the chain refuses blocks of the old key, and the node with the new one produces.",
            true,
        ),
        ("disable", false) => (
            "Disable",
            "Yes, disable",
            "The null key is registered: production stops, and NOBODY produces until somebody enables it again. With signing keys alone that cannot be undone: the account's active key is needed.",
            true,
        ),
        ("enable", false) => (
            "Enable",
            "Yes, enable",
            "A listed key is registered again, and its node produces.",
            true,
        ),
        _ => return None,
    };
    Some(Order {
        question,
        yes,
        does,
        grave,
    })
}

/// "Are you sure?", with what will happen. `None` when there is no such order or producer.
#[must_use]
pub(in crate::web) fn confirm(
    status: &Value,
    verb: &str,
    producer: Option<&str>,
    csrf: &str,
) -> Option<String> {
    let order = order(verb, producer.is_none())?;
    let found = match producer {
        None => None,
        Some(name) => Some(
            list(status, "producers")
                .iter()
                .find(|p| full_name(p) == name && !yes(p, "watched_only"))?,
        ),
    };
    let (question, yes_word, action) = match found {
        None => (
            order.question.to_owned(),
            order.yes.to_owned(),
            if verb == "reload" {
                "/-/reload".to_owned()
            } else {
                format!("/api/v1/{verb}")
            },
        ),
        Some(p) => (
            format!("{} {}?", order.question, full_name(p)),
            format!("{} {}", order.yes, full_name(p)),
            format!(
                "/api/v1/producers/{}/{}/{verb}",
                query(&text(p, "chain")),
                query(&text(p, "name"))
            ),
        ),
    };
    let mut out = frame::open(
        &format!("{} · {HEADING}", esc(&question)),
        HEADING,
        "",
        false,
    );
    let _ = write!(
        out,
        "<main><h2>{}</h2><p>{}</p>",
        esc(&question),
        order.does
    );
    if let Some(p) = found {
        now(&mut out, status, p, verb);
    }
    let _ = write!(
        out,
        "<form class=ask method=post action=\"{}\"><input type=hidden name=csrf value=\"{}\">",
        esc(&action),
        esc(csrf)
    );
    if let Some(p) = found {
        fields(&mut out, p, verb);
    }
    let _ = write!(
        out,
        "<p><button class={}>{}</button> <a class=button href=/>No, go back</a></p></form></main>",
        if order.grave { "danger" } else { "go" },
        esc(&yes_word)
    );
    frame::close(&mut out, "", false);
    Some(out)
}

/// How the producer stands, as far as it matters for the order.
fn now(out: &mut String, status: &Value, p: &Value, verb: &str) {
    let fault = text(p, "fault");
    let _ = write!(
        out,
        "<dl><div><dt>Registered now<dd>{} <span class=dim>{}</span></div><div><dt>Fault<dd>{}</div><div><dt>Switch<dd>{}</div></dl>",
        short_key(&text(p, "registered_key")),
        shown(p, "role"),
        if fault == "no" {
            badge(Level::Ok, "none")
        } else {
            badge(Level::Bad, &fault)
        },
        match (yes(status, "armed"), yes(p, "armed")) {
            (true, true) => badge(Level::Ok, "armed"),
            _ => badge(Level::Note, "disarmed"),
        },
    );
    let moves = matches!(
        verb,
        "failover" | "switchover" | "rehearse" | "enable" | "disable"
    );
    if moves && let Some(why) = said(p, "able_note") {
        let _ = write!(
            out,
            "<p><span class=bad>It could not be done now: {}</span></p>",
            esc(why)
        );
    }
    if matches!(verb, "failover" | "switchover") && (!yes(p, "armed") || !yes(status, "armed")) {
        out.push_str("<p><span class=note>It is disarmed: give an override reason below, or arm it first.</span></p>");
    }
}

fn fields(out: &mut String, p: &Value, verb: &str) {
    if matches!(verb, "failover" | "switchover" | "enable" | "rehearse") {
        out.push_str("<fieldset><legend>To which key?</legend><label><input type=radio name=to value=\"\" checked> The next one that is ready</label>");
        for key in list(p, "keys") {
            let signing_key = text(key, "signing_key");
            if verb != "enable" && signing_key == text(p, "registered_key") {
                continue;
            }
            let ready = match key.get("ready").and_then(Value::as_bool) {
                Some(true) => badge(Level::Ok, "ready"),
                Some(false) => badge(Level::Bad, "not ready"),
                None => badge(Level::Note, "not known yet"),
            };
            let _ = write!(
                out,
                "<label><input type=radio name=to value=\"{0}\"> <code>{0}</code> ({1}) {ready}</label>",
                esc(&signing_key),
                shown(key, "role"),
            );
        }
        out.push_str("</fieldset>");
    }
    if verb == "maintenance" {
        out.push_str("<label>Until <input type=text name=until autocomplete=off placeholder=30m aria-describedby=until-help></label><p class=dim id=until-help>A span such as 30m or 4h, or a time such as 2026-12-01T08:00:00Z.</p>");
    }
    if matches!(verb, "failover" | "switchover" | "enable" | "disable") {
        out.push_str("<label>Override reason <input type=text name=override_reason autocomplete=off aria-describedby=override-help></label><p class=dim id=override-help>Only if an interlock would stop it and you know better: it passes those that may be overridden. What you write is journaled.</p>");
    }
}

/// What became of a request, newest decision first.
#[must_use]
pub(in crate::web) fn request(id: &str, found: &Decisions, time: Millis, csrf: &str) -> String {
    let over = found.as_ref().is_ok_and(|all| {
        all.first().is_some_and(|d| match d.verdict.as_str() {
            "act" => d.attempt.as_ref().is_none_or(|a| a.stage.is_over()),
            verdict => verdict == "refuse",
        })
    });
    let mut out = frame::open(
        &format!("Request · {HEADING}"),
        HEADING,
        &standing(time),
        !over,
    );
    request_live(&mut out, id, found, time);
    let _ = write!(out, "<p><a href=/>Back to the control page</a></p>");
    frame::close(
        &mut out,
        &format!(
            "<form method=post action=/logout><input type=hidden name=csrf value=\"{}\"><button class=link>Log out</button></form>",
            esc(csrf)
        ),
        true,
    );
    out
}

/// The part of it that changes.
pub(in crate::web) fn request_live(out: &mut String, id: &str, found: &Decisions, time: Millis) {
    let _ = write!(
        out,
        "<main data-live data-title=\"Request · {HEADING}\"><h2>Request <code>{}</code></h2>",
        esc(id)
    );
    match found {
        Err(error) => {
            let _ = write!(
                out,
                "<p><span class=bad>{}</span></p>",
                esc(&error.to_string())
            );
        }
        Ok(all) if all.is_empty() => out
            .push_str("<p role=status><span class=busy>Written down, not decided yet.</span></p>"),
        Ok(all) => {
            for (n, d) in all.iter().enumerate() {
                let _ = write!(
                    out,
                    "<section class=card><p{}>{}</p><p class=dim>Decided {}</p>",
                    if n == 0 { " role=status" } else { "" },
                    decisions::sentence(d),
                    relative(decisions::at(d), time)
                );
                decisions::one(out, d);
                out.push_str("</section>");
            }
        }
    }
    out.push_str("</main>");
}
