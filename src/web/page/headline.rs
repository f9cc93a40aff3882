//! One sentence that says whether all is well, or what is wrong and what to do: the first thing to read at 3 a.m. What is
//! worst comes first. Pure: the status in, findings out.

use std::fmt::Write as _;

use serde_json::Value;

use super::parts::{Level, esc, full_name, list, said, text, yes};

/// Where the runbooks are read: the same place that the alerts name.
const RUNBOOKS: &str = "https://github.com/slotkeeper/slotkeeper/blob/main/docs/runbooks";
/// More than these say nothing more.
const SHOWN: usize = 8;

/// Something to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// How bad.
    pub(super) level: Level,
    /// What, in one sentence.
    pub(super) what: String,
    /// What to do or what happens by itself, in another.
    pub(super) then: String,
    /// The page of the runbook.
    pub(super) runbook: Option<&'static str>,
}

/// Everything worth saying, the worst first; never empty.
pub(super) fn findings(status: &Value) -> Vec<Finding> {
    let mut out = Vec::new();
    for reason in list(status, "not_ready").iter().filter_map(Value::as_str) {
        out.push(not_ready(reason));
    }
    let armed = yes(status, "armed");
    let kept = |p: &&Value| !yes(p, "watched_only");
    for p in list(status, "producers").iter().filter(kept) {
        producer(p, armed, &mut out);
    }
    if !armed {
        out.push(Finding {
            level: Level::Note,
            what: "Disarmed: nothing is switched but by a person's hand.".into(),
            then: said(status, "armed_note").map_or_else(
                || "Faults are watched and told. Arm it on the control page or with `slotkeeper arm`.".into(),
                sentence,
            ),
            runbook: Some("SlotkeeperDisarmed"),
        });
    }
    for h in list(status, "heartbeats")
        .iter()
        .filter(|h| yes(h, "overdue"))
    {
        out.push(Finding {
            level: Level::Note,
            what: format!("The heartbeat of {} is overdue.", text(h, "source")),
            then: "Alerts may not get through: look at Prometheus and Alertmanager.".into(),
            runbook: Some("SlotkeeperHeartbeatOverdue"),
        });
    }
    for chain in list(status, "chains") {
        for e in list(chain, "endpoints").iter().filter(|e| !yes(e, "up")) {
            out.push(Finding {
                level: Level::Note,
                what: format!(
                    "{} of {} gives no usable answer.",
                    text(e, "endpoint"),
                    text(chain, "name")
                ),
                then: "The others are enough as long as they agree.".into(),
                runbook: Some("SlotkeeperEndpointDown"),
            });
        }
    }
    if out.is_empty() {
        out.push(well(status));
    }
    out.sort_by_key(|f| std::cmp::Reverse(rank(f.level)));
    out
}

/// What is being cured comes before what only deserves to be known.
fn rank(level: Level) -> u8 {
    match level {
        Level::Bad => 3,
        Level::Busy => 2,
        Level::Note => 1,
        Level::Ok => 0,
    }
}

fn well(status: &Value) -> Finding {
    let all = list(status, "producers");
    let kept = all.iter().filter(|p| !yes(p, "watched_only")).count();
    let (what, then) = match (kept, all.len()) {
        (0, 0) => (
            "All is well, and no producer is watched yet.".into(),
            String::new(),
        ),
        (0, n) => (
            format!("All is well: {n} watched."),
            "None has keys here, so nothing would ever be switched.".into(),
        ),
        (1, _) => (
            format!(
                "All is well: {} produces.",
                all.iter()
                    .find(|p| !yes(p, "watched_only"))
                    .map(full_name)
                    .unwrap_or_default()
            ),
            "Armed and able: a fault would be acted on.".into(),
        ),
        (n, _) => (
            format!("All is well: {n} producers produce."),
            "Armed and able: a fault of any of them would be acted on.".into(),
        ),
    };
    Finding {
        level: Level::Ok,
        what,
        then,
        runbook: None,
    }
}

fn not_ready(reason: &str) -> Finding {
    let (then, runbook) = if reason.contains("no agreed view") {
        (
            "Nothing can be switched until the endpoints agree.",
            "SlotkeeperNoQuorum",
        )
    } else if reason.contains("journal") {
        (
            "Look at the disk of the state file.",
            "SlotkeeperJournalFailing",
        )
    } else if reason.contains("not been polled") {
        (
            "It has just started: wait a moment.",
            "SlotkeeperObservationStale",
        )
    } else {
        ("Look at the log.", "SlotkeeperTaskStalled")
    };
    Finding {
        level: Level::Bad,
        what: format!("Not ready: {}", sentence(reason)),
        then: then.into(),
        runbook: Some(runbook),
    }
}

fn producer(p: &Value, armed_at_all: bool, out: &mut Vec<Finding>) {
    let name = full_name(p);
    let mut say = |level, what: String, then: String, runbook| {
        out.push(Finding {
            level,
            what,
            then,
            runbook: Some(runbook),
        });
    };
    let stage = p
        .get("attempt")
        .map(|a| text(a, "stage"))
        .unwrap_or_default();
    let under_way = matches!(stage.as_str(), "signed" | "sent" | "included");
    let fault = text(p, "fault");
    let faulty = !matches!(fault.as_str(), "no" | "unknown" | "–");
    let missed = p.get("consecutive_missed").and_then(Value::as_u64);
    let missed = missed.unwrap_or(0);
    if under_way {
        let doing = match stage.as_str() {
            "signed" => "signed, on its way to the endpoints",
            "sent" => "sent, waiting for a block to take it",
            _ => "in a block, waiting to come into force",
        };
        say(
            Level::Busy,
            format!("{name} is being moved to another key: {doing}."),
            "Nothing to do: the steps are below.".into(),
            "SlotkeeperAttemptOpen",
        );
    } else if faulty {
        let then = if !armed_at_all || !yes(p, "armed") {
            "It is NOT being cured: disarmed. Switch by hand on the control page, or arm.".into()
        } else if let Some(why) = said(p, "able_note").filter(|_| !yes(p, "able")) {
            format!("It cannot be cured now: {}", sentence(why))
        } else {
            "It is looked at on every tick; the last decision below says what is in the way.".into()
        };
        say(
            Level::Bad,
            format!("{name} is at fault: {fault}."),
            then,
            "SlotkeeperFaultNotCured",
        );
    } else if missed > 0 {
        let slots = if missed == 1 { "slot" } else { "slots" };
        say(
            Level::Note,
            format!("{name} missed its last {missed} {slots}."),
            "Not a fault yet.".into(),
            "SlotkeeperMissedBlock",
        );
    }
    match text(p, "role").as_str() {
        "null" => say(
            Level::Bad,
            format!("{name} is disabled on chain: the null key is registered."),
            "Somebody's decision, so it is left alone. Enable it when its node is well.".into(),
            "SlotkeeperProducerDisabled",
        ),
        "foreign" => say(
            Level::Bad,
            format!("{name} has a signing key that is not configured here."),
            "Somebody's decision, so it is left alone.".into(),
            "SlotkeeperForeignKey",
        ),
        _ => {}
    }
    if yes(p, "pinned") {
        say(
            Level::Note,
            format!("{name} is pinned: hands off until somebody unpins it."),
            String::new(),
            "SlotkeeperDisarmed",
        );
    } else if let Some(until) = said(p, "maintenance_until") {
        say(
            Level::Note,
            format!("{name} is in maintenance until {until}: left alone."),
            String::new(),
            "SlotkeeperDisarmed",
        );
    } else if armed_at_all && !yes(p, "armed") {
        say(
            Level::Note,
            format!("{name} is disarmed: it is watched, not switched."),
            said(p, "armed_note").map(sentence).unwrap_or_default(),
            "SlotkeeperDisarmed",
        );
    }
    if !yes(p, "able") && !faulty && !under_way {
        say(
            Level::Bad,
            format!("{name} could not be switched now."),
            said(p, "able_note").map(sentence).unwrap_or_default(),
            "SlotkeeperNotAble",
        );
    }
    let standby = |k: &&Value| text(k, "signing_key") != text(p, "registered_key");
    let mut standbys = list(p, "keys").iter().filter(standby).peekable();
    if standbys.peek().is_some() && !standbys.any(|k| yes(k, "ready")) {
        say(
            Level::Note,
            format!("{name} has no standby that is ready."),
            "A fault could not be cured: repair one.".into(),
            "SlotkeeperNoReadyStandby",
        );
    }
}

/// Begins with a capital and ends with a full stop, as sentences do.
fn sentence(words: &str) -> String {
    let mut letters = words.trim().chars();
    let mut out: String = letters
        .next()
        .map(|c| c.to_uppercase().chain(letters).collect())
        .unwrap_or_default();
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}

/// The sentence, and what else there is to say.
pub(super) fn render(out: &mut String, status: &Value) {
    let all = findings(status);
    let Some(first) = all.first() else { return };
    let _ = write!(
        out,
        "<section id=now class=\"box {}\" aria-label=\"How it stands\"><p id=headline role=status aria-live=polite><strong class={}>{}</strong> {}{}</p>",
        first.level.class(),
        first.level.class(),
        esc(&first.what),
        esc(&first.then),
        link(first),
    );
    if all.len() > 1 {
        out.push_str("<ul class=also>");
        for one in all.iter().skip(1).take(SHOWN) {
            let _ = write!(
                out,
                "<li><span class={}>{}</span> {}{}</li>",
                one.level.class(),
                esc(&one.what),
                esc(&one.then),
                link(one)
            );
        }
        let more = all.len().saturating_sub(SHOWN.saturating_add(1));
        if more > 0 {
            let _ = write!(out, "<li>and {more} more, below</li>");
        }
        out.push_str("</ul>");
    }
    out.push_str("</section>");
}

fn link(one: &Finding) -> String {
    one.runbook.map_or_else(String::new, |page| {
        format!(" <a href=\"{RUNBOOKS}/{page}.md\" rel=noreferrer aria-label=\"Runbook: {page}\">Runbook</a>")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alice(extra: Value) -> Value {
        let mut p = json!({"chain": "steem", "name": "alice", "fault": "no", "armed": true, "able": true,
            "role": "primary", "registered_key": "A", "consecutive_missed": 0,
            "keys": [{"signing_key": "A", "ready": true}, {"signing_key": "B", "ready": true}]});
        for (k, v) in extra.as_object().unwrap() {
            p[k] = v.clone();
        }
        p
    }

    #[test]
    fn the_worst_comes_first_and_says_what_to_do() {
        for (extra, level, part) in [
            (json!({}), Level::Ok, "All is well: steem/alice produces."),
            (
                json!({"consecutive_missed": 1}),
                Level::Note,
                "missed its last 1 slot.",
            ),
            (
                json!({"fault": "too many misses in a row"}),
                Level::Bad,
                "is at fault: too many misses in a row.",
            ),
            (
                json!({"fault": "too many misses in a row", "attempt": {"stage": "sent"}}),
                Level::Busy,
                "being moved to another key: sent",
            ),
            (
                json!({"fault": "no", "attempt": {"stage": "irreversible"}}),
                Level::Ok,
                "All is well",
            ),
            (json!({"role": "null"}), Level::Bad, "disabled on chain"),
            (
                json!({"role": "foreign"}),
                Level::Bad,
                "not configured here",
            ),
            (json!({"pinned": true}), Level::Note, "pinned"),
            (
                json!({"armed": false}),
                Level::Note,
                "steem/alice is disarmed",
            ),
            (
                json!({"able": false, "able_note": "no quorum"}),
                Level::Bad,
                "could not be switched",
            ),
            (
                json!({"keys": [{"signing_key": "A", "ready": true}, {"signing_key": "B", "ready": false}]}),
                Level::Note,
                "no standby that is ready",
            ),
        ] {
            let found = findings(&json!({"armed": true, "producers": [alice(extra.clone())]}));
            assert_eq!(found[0].level, level, "{extra}: {found:?}");
            assert!(found[0].what.contains(part), "{extra}: {found:?}");
        }
    }

    #[test]
    fn a_fault_outweighs_an_overdue_heartbeat_and_is_honest_about_being_disarmed() {
        let status = json!({"armed": false, "heartbeats": [{"source": "p", "overdue": true}],
            "not_ready": [], "producers": [alice(json!({"fault": "too many misses in a row", "armed": false}))]});
        let found = findings(&status);
        assert_eq!(found[0].level, Level::Bad);
        assert!(found[0].then.contains("NOT being cured"), "{found:?}");
        assert_eq!(found.len(), 3, "{found:?}");
        let found =
            findings(&json!({"armed": true, "not_ready": ["the journal cannot be written"]}));
        assert_eq!(found[0].what, "Not ready: The journal cannot be written.");
    }

    #[test]
    fn every_runbook_that_is_named_exists() {
        let source = include_str!("headline.rs");
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
        let mut seen = 0;
        for word in source
            .split('"')
            .filter(|w| w.starts_with("Slotkeeper") && w.len() > 10)
        {
            assert!(folder.join(format!("{word}.md")).exists(), "{word}");
            seen += 1;
        }
        assert!(seen > 10, "{seen}");
    }
}
