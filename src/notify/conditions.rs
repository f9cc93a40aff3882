//! What is wrong, from the facts of one moment. Pure. Each condition says how long it must stand before anybody is told.
//!
//! One cause should ring once: what follows from something else that rings anyway (a producer that is not able because
//! there is no quorum) is [`State::Unknown`] meanwhile, which neither begins nor ends an episode.

use std::time::Duration;

use super::facts::Facts;
use crate::clock::{Millis, millis};
use crate::config::{HeartbeatConfig, Severity};
use crate::watch::{Fault, Snapshot};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reading {
    /// Which condition, of what: `heartbeat/prometheus-a`. The same for as long as the same thing is meant.
    pub(super) key: String,
    /// How it stands.
    pub(super) state: State,
}

/// How a condition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It does not hold.
    Clear,
    /// It cannot be told, or follows from something else.
    Unknown,
    /// It holds.
    Stands(Trouble),
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// How bad.
    pub(super) severity: Severity,
    /// In one line. It does not change while it stands: the same episode has the same title.
    pub(super) summary: String,
    /// What is known of it now, and what to do.
    pub(super) detail: String,
    /// It must stand this long before anybody is told.
    pub(super) hold: Duration,
}

/// Nobody has read `/metrics` for this long: Prometheus scrapes far more often.
const SCRAPE: Duration = Duration::from_secs(60);
/// No Alertmanager has answered for this long: each is asked every 15 s.
const ALERTMANAGER: Duration = Duration::from_secs(60);
/// Alertmanager failed to deliver to us: when that lasts, the heartbeats ring for it before this has passed.
const OWN_WEBHOOK: Duration = Duration::from_secs(60);
/// Without a quorum for this long. Endpoints fail for seconds all the time.
const QUORUM: Duration = Duration::from_secs(60);
/// The agreed head does not move for this long, after it is old by the rules of switching.
const STANDSTILL: Duration = Duration::from_secs(60);
/// The journal refuses writes for this long.
const JOURNAL: Duration = Duration::from_secs(10);
/// Armed and not able for this long.
const ABLE: Duration = Duration::from_secs(60);
/// A fault is cured within seconds (on Antelope the registered key is no longer at fault); after this it is not being cured.
const FAULT: Duration = Duration::from_secs(60);
/// Left disarmed for this long: longer than most work that one disarms for.
const DISARMED: Duration = Duration::from_secs(15 * 60);
/// A receiver has taken no message for this long: the others are told.
const DEAF: Duration = Duration::from_secs(5 * 60);
/// So many starts …
const STARTS: usize = 4;
/// … in this time are a restart loop, however well each goes.
const STARTS_IN: Duration = Duration::from_secs(15 * 60);

/// Everything that is looked at, each key once.
pub(super) fn judge(facts: &Facts<'_>) -> Vec<Reading> {
    let mut out = Vec::new();
    pipeline(facts, &mut out);
    loops(facts, &mut out);
    for snapshot in facts.snapshots {
        chain(facts, snapshot, &mut out);
    }
    producers(facts, &mut out);
    own(facts, &mut out);
    receivers(facts, &mut out);
    out
}

/// Heartbeats, scrapes, Alertmanagers: whether an alert would reach anybody.
fn pipeline(facts: &Facts<'_>, out: &mut Vec<Reading>) {
    let unreachable = facts.alertmanagers_silent.filter(|s| *s > ALERTMANAGER);
    for source in &facts.config.heartbeats {
        out.push(heartbeat(facts, source, unreachable.is_some()));
    }
    let expected = !facts.config.heartbeats.is_empty();
    // A dead pipeline also stops scraping and answering: that is one cause, and the heartbeats ring for it.
    let dead = expected && facts.heartbeats.iter().all(|h| h.overdue);
    if expected {
        put(
            out,
            "scrape",
            (facts.since_scrape > SCRAPE).then(|| Trouble {
                severity: Severity::Critical,
                summary: "nobody reads the metrics".into(),
                detail: format!(
                    "/metrics was last read {} ago: no rule can see a missed block. Look at the targets of Prometheus.",
                    ago(facts.since_scrape)
                ),
                hold: Duration::ZERO,
            }),
            dead,
        );
    }
    if facts.alertmanagers_silent.is_some() {
        put(
            out,
            "alertmanager",
            unreachable.map(|silent| Trouble {
                // With heartbeats it is known anyway whether alerts get through.
                severity: if expected { Severity::Warning } else { Severity::Critical },
                summary: "no Alertmanager answers".into(),
                detail: format!(
                    "No configured Alertmanager has answered for {}: alerts may reach nobody, and silences are not known. Look at Alertmanager and the way to it.",
                    ago(silent)
                ),
                hold: Duration::ZERO,
            }),
            dead,
        );
    }
    for failing in facts.undelivered {
        let own = expected && failing.integration == "webhook";
        let trouble = Trouble {
            severity: Severity::Critical,
            summary: format!(
                "Alertmanager cannot deliver through {}",
                failing.integration
            ),
            detail: format!(
                "{} gave up a message {} ago: what it has to tell does not arrive. Look at its log, the key or address of the receiver, and its way out.",
                failing.alertmanager,
                ago(failing.ago)
            ),
            hold: if own { OWN_WEBHOOK } else { Duration::ZERO },
        };
        let key = format!("delivery/{}", failing.integration);
        // Of a pair the first is enough.
        if out.iter().all(|reading: &Reading| reading.key != key) {
            put(out, &key, Some(trouble), own && dead);
        }
    }
}

fn heartbeat(facts: &Facts<'_>, source: &HeartbeatConfig, unreachable: bool) -> Reading {
    let key = format!("heartbeat/{}", source.source);
    let figure = facts.heartbeats.iter().find(|h| h.source == source.source);
    let Some(figure) = figure else {
        return Reading {
            key,
            state: State::Unknown,
        };
    };
    let heard_since_start = figure.heard_at.is_some_and(|at| at >= facts.started_at);
    let up_for = facts.now.saturating_sub(facts.started_at);
    // We were away ourselves: it had no chance to be heard.
    let away =
        figure.overdue && !heard_since_start && (0..=millis(source.max_silence)).contains(&up_for);
    let mut detail = match (figure.heard_at, figure.evaluated_at) {
        (Some(at), Some(evaluated)) => format!(
            "Last heard {} ago, evaluated {} ago.",
            since(at, facts.now),
            since(evaluated, facts.now)
        ),
        _ => format!(
            "Never heard in {} since the start.",
            since(facts.started_at, facts.now)
        ),
    };
    detail.push_str(
        " Alerts of this Prometheus may reach nobody: look at Prometheus, its rules, Alertmanager and the route of the heartbeat.",
    );
    if unreachable {
        detail.push_str(" No Alertmanager answers either.");
    }
    let state = if away {
        State::Unknown
    } else if figure.overdue {
        State::Stands(Trouble {
            severity: Severity::Critical,
            summary: format!("heartbeat {} is overdue", source.source),
            detail,
            hold: Duration::ZERO,
        })
    } else {
        State::Clear
    };
    Reading { key, state }
}

/// Loops that stand still. One that runs is not listed: an episode of a loop that is no longer mentioned is over.
fn loops(facts: &Facts<'_>, out: &mut Vec<Reading>) {
    for stalled in facts.stalled {
        let trouble = Trouble {
            severity: Severity::Critical,
            summary: format!("task {} is stuck", stalled.task),
            detail: format!(
                "It has not gone round for {}. Part of slotkeeper does not work: read its log, then restart it; nothing is repeated by that.",
                ago(stalled.silent_for)
            ),
            hold: Duration::ZERO,
        };
        put(out, &format!("task/{}", stalled.task), Some(trouble), false);
    }
}

fn chain(facts: &Facts<'_>, snapshot: &Snapshot, out: &mut Vec<Reading>) {
    let name = &snapshot.chain;
    // Before the first poll there is nothing to say; when polls stand still, their loop rings.
    let silent = snapshot.tick == 0 || facts.is_stalled(&crate::metrics::watch_task(name));
    let quorum = snapshot.agreement.as_ref().err().map(|why| Trouble {
        severity: Severity::Critical,
        summary: format!("no quorum on {name}"),
        detail: format!(
            "{why}. Nothing can be switched on {name} meanwhile: look at its endpoints."
        ),
        hold: QUORUM,
    });
    let agreed = snapshot.agreement.is_ok();
    put(out, &format!("quorum/{name}"), quorum, silent);
    let interval = facts
        .config
        .chain(name)
        .map_or(0, |c| c.spec.block_interval);
    let limit = interval.saturating_mul(10).max(15_000);
    let old = snapshot.last_view.as_ref().and_then(|view| {
        let age = facts.now.saturating_sub(view.head.time);
        (age > limit).then(|| Trouble {
            severity: Severity::Critical,
            summary: format!("{name} stands still"),
            detail: format!(
                "The agreed head, block {}, is {} old: the chain has halted, all endpoints are stale, or the local clock is wrong. Nothing is switched meanwhile.",
                view.head.num,
                since(view.head.time, facts.now)
            ),
            hold: STANDSTILL,
        })
    });
    put(out, &format!("standstill/{name}"), old, silent || !agreed);
}

fn producers(facts: &Facts<'_>, out: &mut Vec<Reading>) {
    for ((chain, producer), standing) in &facts.actuator.producers {
        let snapshot = facts.snapshots.iter().find(|s| s.chain == *chain);
        let blind = snapshot.is_none_or(|s| s.agreement.is_err())
            || !facts.actuator.journal_writable
            || facts.is_stalled(&format!("actuator/{chain}"));
        let able = match (&standing.armed, &standing.able) {
            (Ok(()), Err(why)) => Some(Trouble {
                severity: Severity::Critical,
                summary: format!("{chain}/{producer} is armed and could not be switched"),
                detail: format!("{why}. A fault now would not be cured."),
                hold: ABLE,
            }),
            _ => None,
        };
        put(out, &format!("able/{chain}/{producer}"), able, blind);
        let watched = snapshot.and_then(|s| s.producers.get(producer));
        let fault = watched.map(|w| (w.fault, w.consecutive_missed));
        let uncured = match fault {
            Some((Fault::Yes(_), missed)) => Some(Trouble {
                severity: Severity::Critical,
                summary: format!("{chain}/{producer} misses blocks and is not being cured"),
                detail: format!(
                    "{missed} missed in a row; armed: {}; able: {}. Look at /api/v1/decisions.",
                    or_why(&standing.armed),
                    or_why(&standing.able)
                ),
                hold: FAULT,
            }),
            _ => None,
        };
        let unsure = blind || matches!(fault, None | Some((Fault::Unknown, _)));
        put(out, &format!("fault/{chain}/{producer}"), uncured, unsure);
    }
}

/// This process itself.
fn own(facts: &Facts<'_>, out: &mut Vec<Reading>) {
    put(
        out,
        "journal",
        (!facts.actuator.journal_writable).then(|| Trouble {
            severity: Severity::Critical,
            summary: "the journal cannot be written".into(),
            detail: "Nothing is sent that is not first durable, so nothing can be switched: look at the disk that holds the state file.".into(),
            hold: JOURNAL,
        }),
        false,
    );
    put(
        out,
        "reload",
        (!facts.reload_ok).then(|| Trouble {
            severity: Severity::Warning,
            summary: "the last reload of the configuration failed".into(),
            detail: "The configuration before it is still in force: run slotkeeper check-config, mend it, reload.".into(),
            hold: Duration::ZERO,
        }),
        false,
    );
    let keeps = facts.config.producers.iter().any(|p| !p.keys.is_empty());
    put(
        out,
        "disarmed",
        (keeps && facts.config.actuator.armed && !facts.actuator.armed).then(|| Trouble {
            severity: Severity::Warning,
            summary: "left disarmed".into(),
            detail: "The configuration says armed, the state file says disarmed: faults are not acted on. Work done? slotkeeper arm".into(),
            hold: DISARMED,
        }),
        false,
    );
    let lately = facts
        .starts
        .iter()
        .filter(|at| (0..=millis(STARTS_IN)).contains(&facts.now.saturating_sub(**at)))
        .count();
    put(
        out,
        "restarts",
        (lately >= STARTS).then(|| Trouble {
            severity: Severity::Warning,
            summary: "slotkeeper is started again and again".into(),
            detail: format!(
                "{lately} starts in {}: read its log, and why its supervisor restarts it.",
                ago(STARTS_IN)
            ),
            hold: Duration::ZERO,
        }),
        false,
    );
}

/// Receivers that take no messages: the others hear of it, and it itself when it listens again.
fn receivers(facts: &Facts<'_>, out: &mut Vec<Reading>) {
    for (name, silent) in facts.deaf.iter().filter(|(_, silent)| *silent > DEAF) {
        let trouble = Trouble {
            severity: Severity::Warning,
            summary: format!("messages to {name} are not getting through"),
            detail: format!(
                "It has taken none for {}: the log says why; try slotkeeper notify test {name}.",
                ago(*silent)
            ),
            hold: Duration::ZERO,
        };
        put(out, &format!("receiver/{name}"), Some(trouble), false);
    }
}

fn put(out: &mut Vec<Reading>, key: &str, trouble: Option<Trouble>, unknown: bool) {
    let state = match trouble {
        _ if unknown => State::Unknown,
        Some(trouble) => State::Stands(trouble),
        None => State::Clear,
    };
    out.push(Reading {
        key: key.to_owned(),
        state,
    });
}

fn or_why(standing: &Result<(), String>) -> String {
    match standing {
        Ok(()) => "yes".into(),
        Err(why) => format!("no ({why})"),
    }
}

fn since(then: Millis, now: Millis) -> String {
    let ms = u64::try_from(now.saturating_sub(then)).unwrap_or(0);
    ago(Duration::from_millis(ms))
}

/// A duration as one says it.
pub(super) fn ago(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..=119 => format!("{s} s"),
        120..=7199 => format!("{} min", s / 60),
        7200..=172_799 => format!("{} h", s / 3600),
        _ => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests;
