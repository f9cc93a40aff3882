//! Chains with their endpoints, and the heartbeats of the alert path. Pure.

use std::fmt::Write as _;

use serde_json::Value;

use super::parts::{Level, badge, esc, list, moment, relative, said, shown, text, yes};
use crate::clock::Millis;

/// Every chain and its endpoints.
pub(super) fn render(out: &mut String, status: &Value, now: Millis) {
    for chain in list(status, "chains") {
        one(out, chain, now);
    }
    heartbeats(out, status, now);
}

fn one(out: &mut String, chain: &Value, now: Millis) {
    let name = shown(chain, "name");
    let _ = write!(
        out,
        "<section aria-labelledby=\"c-{name}\"><h2 id=\"c-{name}\">Chain {name}</h2><dl class=row><div><dt>Head<dd>{} <span class=dim>{}</span></div><div><dt>Irreversible<dd>{}</div><div><dt>Providers that agree<dd>{} of {} <span class=dim>({} needed)</span></div><div><dt>Participation<dd>{}</div></dl>",
        shown(chain, "head"),
        relative(moment(chain, "head_time"), now),
        shown(chain, "irreversible"),
        shown(chain, "agreeing"),
        shown(chain, "providers"),
        shown(chain, "quorum"),
        chain
            .get("participation")
            .and_then(Value::as_f64)
            .map_or("not known".to_owned(), |p| format!("{:.1} %", p * 100.0)),
    );
    if let Some(why) = said(chain, "disagreement") {
        let _ = write!(
            out,
            "<p><span class=bad>No agreed view: {}</span></p>",
            esc(why)
        );
    }
    let _ = write!(
        out,
        "<div class=wide role=region tabindex=0 aria-label=\"Endpoints of {name}\"><table><caption class=hidden>Endpoints of {name}</caption><thead><tr><th scope=col>Endpoint<th scope=col>Provider<th scope=col>State<th scope=col>Head<th scope=col>Behind<th scope=col>Trouble</tr></thead><tbody>"
    );
    for e in list(chain, "endpoints") {
        let (level, word) = if yes(e, "up") {
            (Level::Ok, "answers")
        } else {
            (Level::Bad, "no usable answer")
        };
        let _ = write!(
            out,
            "<tr><th scope=row>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            shown(e, "endpoint"),
            shown(e, "provider"),
            badge(level, word),
            shown(e, "head"),
            match e.get("lag").and_then(Value::as_u64) {
                Some(0) => "level".to_owned(),
                Some(1) => "1 block".to_owned(),
                Some(n) => format!("{n} blocks"),
                None => "–".to_owned(),
            },
            said(e, "error").map_or_else(|| "none".to_owned(), esc),
        );
    }
    out.push_str("</tbody></table></div></section>");
}

fn heartbeats(out: &mut String, status: &Value, now: Millis) {
    out.push_str("<section aria-labelledby=heartbeats><h2 id=heartbeats>Heartbeats</h2>");
    let sources = list(status, "heartbeats");
    if sources.is_empty() {
        out.push_str("<p class=dim>None is configured: nothing here tells whether the alert path is alive.</p></section>");
        return;
    }
    out.push_str("<table><caption class=hidden>Heartbeats of the alert path</caption><thead><tr><th scope=col>Source<th scope=col>State<th scope=col>Last heard<th scope=col>May be silent for</tr></thead><tbody>");
    for h in sources {
        let overdue = yes(h, "overdue");
        let _ = write!(
            out,
            "<tr><th scope=row>{}<td>{}<td>{}<td>{}</tr>",
            shown(h, "source"),
            if overdue {
                badge(Level::Bad, "overdue")
            } else {
                badge(Level::Ok, "alive")
            },
            match moment(h, "heard") {
                None => "never".to_owned(),
                at => relative(at, now),
            },
            match h.get("max_silence").and_then(Value::as_f64) {
                Some(seconds) => format!("{seconds:.0} s"),
                None => text(h, "max_silence"),
            },
        );
    }
    out.push_str("</tbody></table></section>");
}
