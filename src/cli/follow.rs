//! Follows a request until its decision is final, and says the outcome in plain words; before one, what to know. Reads the public listener only.

use std::fmt::Write;
use std::io::Write as _;
use std::time::Duration;

use anyhow::anyhow;
use serde_json::Value;

use super::client::Client;
use super::recipe::recipe;
use super::{CliError, CliResult, print};
use crate::actuator::Reason;
use crate::clock::Stopwatch;
use crate::config::ChainConfig;

/// How long and how far to follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Follow {
    /// To irreversible instead of effective.
    pub(super) irreversible: bool,
    /// Give up following after this long.
    pub(super) timeout: Duration,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// Nothing final yet; what it waits for.
    Open(String),
    /// Over, as wanted.
    Done(String),
    /// Over, not as wanted.
    Failed(String),
}

/// Time between two looks: the daemon answers from memory.
const LOOK: Duration = Duration::from_millis(250);
/// Interlocks that no `--override` passes.
const MANDATORY: [Reason; 7] = [
    Reason::UnknownProducer,
    Reason::NoQuorum,
    Reason::StaleView,
    Reason::AttemptOpen,
    Reason::SwitchPending,
    Reason::AuthorityInvalid,
    Reason::KeyUnavailable,
];

/// Says beforehand that disabling would change nothing, where the daemon knows. It is done all the same: somebody wants it.
pub(super) async fn forewarn(web: &Client, verb: &str, chain: &str, name: &str) {
    if verb != "disable" {
        return;
    }
    // Not answered: its decision says it again.
    let status = web.get_json("/api/v1/status").await.unwrap_or_default();
    let producers = status.get("producers").and_then(Value::as_array);
    let one = producers.into_iter().flatten().find(|p| {
        p.get("chain").and_then(Value::as_str) == Some(chain)
            && p.get("name").and_then(Value::as_str) == Some(name)
    });
    let note = one.and_then(|p| p.get("disable_note"));
    if let Some(note) = note.and_then(Value::as_str) {
        let _ = writeln!(std::io::stderr(), "{chain}/{name}: {note}");
    }
}

/// Polls the decisions of a request until they are final.
pub(super) async fn follow(
    web: &Client,
    request_id: &str,
    what: &str,
    how: &Follow,
    chain: &ChainConfig,
) -> CliResult {
    let watch = Stopwatch::start();
    let mut shown = String::new();
    loop {
        let standing = match web
            .get_json(&format!("/api/v1/decisions?request_id={request_id}"))
            .await
        {
            Ok(answer) => match standing(&answer, what, how.irreversible) {
                Standing::Failed(text) => Standing::Failed(with_recipe(text, &answer, chain)),
                other => other,
            },
            Err(error) => {
                return Err(CliError::Failed(anyhow::Error::new(error).context(format!(
                    "{what} was accepted as request {request_id}, but its decision cannot be read; see slotkeeper status"
                ))));
            }
        };
        let open = match standing {
            Standing::Done(text) => return print(&text),
            Standing::Failed(text) => return Err(CliError::Failed(anyhow!("{text}"))),
            Standing::Open(text) => text,
        };
        if watch.elapsed() >= how.timeout {
            return Err(CliError::Failed(anyhow!(
                "{what}: still {open} after {} s; not followed any longer, but request {request_id} goes on: see slotkeeper status",
                how.timeout.as_secs()
            )));
        }
        if watch.elapsed() >= Duration::from_secs(1) && open != shown {
            let _ = writeln!(std::io::stderr(), "{what}: {open} …");
            shown = open;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How a request ended, by its decisions; `None` while it has not.
pub(super) fn outcome(
    answer: &Value,
    what: &str,
    irreversible: bool,
    chain: &ChainConfig,
) -> Option<String> {
    match standing(answer, what, irreversible) {
        Standing::Done(text) => Some(text),
        Standing::Failed(text) => Some(with_recipe(text, answer, chain)),
        Standing::Open(_) => None,
    }
}

fn with_recipe(text: String, answer: &Value, chain: &ChainConfig) -> String {
    match recipe(answer, chain) {
        Some(recipe) => format!("{text}\n\n{recipe}"),
        None => text,
    }
}

/// What the decisions of one request amount to. The newest counts.
fn standing(answer: &Value, what: &str, irreversible: bool) -> Standing {
    let newest = answer
        .get("decisions")
        .and_then(Value::as_array)
        .and_then(|list| {
            list.iter()
                .max_by(|a, b| text(a, "time").cmp(&text(b, "time")))
        });
    let Some(decision) = newest else {
        return Standing::Open("waiting for the decision".to_owned());
    };
    let note = match text(decision, "note") {
        note if note.is_empty() => String::new(),
        note => format!("\n  {note}"),
    };
    match text(decision, "verdict").as_str() {
        "act" => acting(decision, what, irreversible, &note),
        "wait" => Standing::Open(format!("waiting ({})", denials(decision).join("; "))),
        _ => Standing::Failed(refused(decision, what)),
    }
}

fn acting(decision: &Value, what: &str, irreversible: bool, note: &str) -> Standing {
    let target = match text(decision, "target") {
        target if target.is_empty() => String::new(),
        target => format!(" to {target}"),
    };
    let rehearsal = text(decision, "action") == "rehearse" || text(decision, "cause") == "drill";
    let attempt = match decision.get("attempt") {
        None | Some(Value::Null) if rehearsal => {
            return Standing::Done(format!(
                "{what}: every interlock passes, a switch{target} would be sent; nothing was{note}"
            ));
        }
        None | Some(Value::Null) if note.is_empty() => {
            return Standing::Open("decided, about to be signed".to_owned());
        }
        None | Some(Value::Null) => {
            return Standing::Failed(format!("{what}: decided, but nothing could be sent{note}"));
        }
        Some(attempt) => attempt,
    };
    let txid = text(attempt, "txid");
    let sent = format!("transaction {txid}");
    match text(attempt, "stage").as_str() {
        "irreversible" if attempt.get("overtaken") == Some(&Value::Bool(true)) => {
            Standing::Failed(format!("{what}: {sent}: {}{note}", text(attempt, "note")))
        }
        "irreversible" => {
            Standing::Done(format!("{what}: done{target}, irreversible ({sent}){note}"))
        }
        "effective" if !irreversible => {
            Standing::Done(format!("{what}: done{target}, in effect ({sent}){note}"))
        }
        "effective" => Standing::Open(format!(
            "in effect, waiting to become irreversible ({sent})"
        )),
        "included" => Standing::Open(format!("in a block, waiting to take effect ({sent})")),
        "sent" => Standing::Open(format!("sent, waiting for a block ({sent})")),
        "signed" => Standing::Open(format!("signed, about to be sent ({sent})")),
        "expired" => Standing::Failed(format!(
            "{what}: {sent} expired without entering a block; nothing changed{note}"
        )),
        _ => Standing::Failed(format!(
            "{what}: the chain refused {sent}; nothing changed{note}"
        )),
    }
}

/// The interlocks that do not pass, each with its detail.
fn denials(decision: &Value) -> Vec<String> {
    decision
        .get("interlocks")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .filter(|i| text(i, "verdict") != "pass")
        .map(|i| format!("{}: {}", text(i, "name"), text(i, "detail")))
        .collect()
}

fn refused(decision: &Value, what: &str) -> String {
    let mut out = format!("{what} refused: {}", text(decision, "reason"));
    for line in denials(decision) {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n  {line}");
    }
    let note = text(decision, "note");
    if !note.is_empty() {
        let _ = write!(out, "\n  {note}");
    }
    let names: Vec<String> = decision
        .get("interlocks")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .filter(|i| text(i, "verdict") != "pass")
        .map(|i| text(i, "name"))
        .collect();
    let fixed = |name: &String| MANDATORY.iter().any(|m| m.as_str() == name);
    if !names.is_empty() && !names.iter().any(fixed) {
        out.push_str("\nIf you know better, repeat it with --override \"why\".");
    }
    out
}

/// A text field, or nothing.
fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(decision: Value, irreversible: bool) -> Standing {
        standing(
            &json!({"decisions": [decision]}),
            "failover hive/alice",
            irreversible,
        )
    }

    fn attempt(stage: &str) -> Value {
        json!({"time": "2", "verdict": "act", "action": "failover", "target": "STM7", "attempt": {"id": "a", "txid": "ab12", "stage": stage}})
    }

    #[test]
    fn stages_are_final_when_the_asked_for_one_is_reached() {
        for (stage, irreversible, is_final) in [
            ("signed", false, false),
            ("sent", false, false),
            ("included", false, false),
            ("effective", false, true),
            ("effective", true, false),
            ("irreversible", true, true),
        ] {
            let standing = of(attempt(stage), irreversible);
            assert_eq!(
                matches!(standing, Standing::Done(_)),
                is_final,
                "{stage} {standing:?}"
            );
            assert!(!matches!(standing, Standing::Failed(_)), "{stage}");
        }
        for stage in ["expired", "failed"] {
            assert!(
                matches!(of(attempt(stage), false), Standing::Failed(_)),
                "{stage}"
            );
        }
    }

    #[test]
    fn a_switch_that_somebody_overtook_is_not_done() {
        let mut decision = attempt("irreversible");
        decision["attempt"]["overtaken"] = json!(true);
        decision["attempt"]["note"] = json!("somebody changed the key again");
        for irreversible in [false, true] {
            let Standing::Failed(said) = of(decision.clone(), irreversible) else {
                panic!("not done");
            };
            assert!(said.contains("somebody changed the key again"), "{said}");
        }
    }

    #[test]
    fn a_rehearsal_is_done_without_an_attempt() {
        let done = of(
            json!({"time": "1", "verdict": "act", "action": "rehearse", "target": "STM7", "attempt": null}),
            false,
        );
        assert_eq!(
            done,
            Standing::Done("failover hive/alice: every interlock passes, a switch to STM7 would be sent; nothing was".to_owned())
        );
    }

    #[test]
    fn the_newest_decision_counts() {
        let answer = json!({"decisions": [attempt("effective"), {"time": "1", "verdict": "wait", "interlocks": []}]});
        assert!(matches!(standing(&answer, "x", false), Standing::Done(_)));
        assert!(matches!(
            standing(&json!({"decisions": []}), "x", false),
            Standing::Open(_)
        ));
    }

    #[test]
    fn a_refusal_names_each_interlock_and_offers_the_override_only_where_it_helps() {
        let refusal = |name: &str| {
            let decision = json!({"time": "1", "verdict": "refuse", "reason": name, "interlocks": [
                {"name": "pinned", "verdict": "pass", "detail": "not pinned"},
                {"name": name, "verdict": "deny", "detail": "because"}]});
            match of(decision, false) {
                Standing::Failed(text) => text,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            refusal("cooldown"),
            "failover hive/alice refused: cooldown\n  cooldown: because\nIf you know better, repeat it with --override \"why\"."
        );
        assert_eq!(
            refusal("no_quorum"),
            "failover hive/alice refused: no_quorum\n  no_quorum: because"
        );
    }
}
