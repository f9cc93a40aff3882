//! The commands that check a config or talk to a running daemon, the built binary against a tiny server on loopback.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::canned::{nobody, serve};
use crate::config::files;
use crate::tx_sign::slotkeeper;

const KEY_A: &str = "STM5YHnNgis74GWeARGtzkjYwfwLnvih4Y5fG5vHyPseKzomk9NSE";
const KEY_B: &str = "STM7aDRDWUTLHKKdmJQYmReMFSrFmMP4rW4h5Qyx9KXVZuqgPCqQ1";

fn config(folder: &Path, web: &str, control: &str) -> PathBuf {
    let file = folder.join("slotkeeper.yml");
    std::fs::write(folder.join("token"), "hush\n").unwrap();
    std::fs::write(
        &file,
        format!(
            "web: {{listen: \"{web}\"}}\ncontrol: {{listen: \"{control}\", token_file: token}}\n\
             chains: [{{name: hive, protocol: hive, endpoints: [{{url: \"https://a.example\"}}]}}]\n\
             producers:\n\
             - {{chain: hive, name: alice, keys: [{{signing_key: {KEY_A}, assume_ready: true}}, {{signing_key: {KEY_B}, assume_ready: true}}]}}\n\
             - {{chain: hive, name: bob}}\n"
        ),
    )
    .unwrap();
    file
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(args: &[&str]) -> Ran {
    let output = slotkeeper(args, "");
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn decision(verdict: &str, reason: &str, more: Value) -> String {
    let mut one = json!({
        "request_id": "r1", "time": "2026-11-21T08:00:00.000Z", "chain": "hive", "producer": "alice", "action": "failover",
        "cause": "operator", "fence": null, "target": KEY_B, "verdict": verdict, "reason": reason, "interlocks": [], "attempt": null
    });
    for (key, value) in more.as_object().unwrap() {
        one[key] = value.clone();
    }
    json!({"decisions": [one]}).to_string()
}

#[test]
fn every_command_teaches_and_names_its_exit_codes() {
    let commands: &[&[&str]] = &[
        &[],
        &["check-config"],
        &["run"],
        &["status"],
        &["arm"],
        &["disarm"],
        &["producer"],
        &["producer", "failover"],
        &["producer", "switchover"],
        &["producer", "disable"],
        &["producer", "enable"],
        &["producer", "rehearse"],
        &["producer", "pin"],
        &["producer", "unpin"],
        &["producer", "arm"],
        &["producer", "disarm"],
        &["producer", "maintenance"],
        &["notify", "test"],
    ];
    for command in commands {
        let mut args = command.to_vec();
        args.push("--help");
        let ran = run(&args);
        assert_eq!(ran.code, Some(0), "{command:?}");
        assert!(
            ran.out.contains("Exit codes: 0 "),
            "{command:?}\n{}",
            ran.out
        );
        assert!(
            ran.out.contains("2 usage or config") || ran.out.contains("2 the config is wrong"),
            "{command:?}"
        );
    }
    assert!(
        run(&["producer", "--help"])
            .out
            .contains("--standalone takes")
    );
}

#[test]
fn check_config_passes_every_example_and_refuses_every_invalid_one() {
    for file in files("examples", "yml") {
        let ran = run(&["check-config", "--config.file", file.to_str().unwrap()]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(
            ran.out.starts_with(&format!("OK {}\n", file.display())),
            "{}",
            ran.out
        );
        assert!(ran.out.contains("If one part died"), "{}", ran.out);
    }
    let file = Path::new("tests/data/config/unknown-key-top.yml");
    let ran = run(&["check-config", "--config.file", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(2));
    let golden = std::fs::read_to_string(file.with_extension("error")).unwrap();
    assert_eq!(
        (ran.out, ran.err),
        (String::new(), format!("slotkeeper: {golden}"))
    );
}

#[test]
fn check_config_prints_a_schema() {
    let ran = run(&["check-config", "--schema"]);
    assert_eq!(ran.code, Some(0));
    let schema: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        schema["properties"]["chains"]["items"]["required"],
        json!(["name", "protocol", "endpoints"])
    );
}

#[test]
fn status_is_a_table_or_the_exact_json() {
    let body = std::fs::read_to_string("tests/data/status/status.json").unwrap();
    let server = serve(vec![(200, body.clone())]);
    let ran = run(&["status", "--web.address", &server.address]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let golden = std::fs::read_to_string("tests/data/status/status.txt").unwrap();
    assert_eq!(ran.out, golden, "\n{}", ran.out);
    let ran = run(&["status", "--json", "--web.address", &server.address]);
    assert_eq!(ran.out.trim_end(), body.trim_end());
    assert_eq!(server.seen.lock().unwrap()[0].line, "GET /api/v1/status");
}

#[test]
fn unknown_and_watched_producers_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), &nobody(), &nobody());
    let file = file.to_str().unwrap();
    for (args, says) in [
        (
            vec!["producer", "failover", "hive/carol"],
            "unknown producer hive/carol: the config names hive/alice, hive/bob",
        ),
        (
            vec!["producer", "pin", "hive/bob"],
            "hive/bob is watched only",
        ),
        (
            vec!["producer", "pin", "alice"],
            "not CHAIN/NAME, such as hive/alice",
        ),
        (
            vec![
                "producer",
                "failover",
                "hive/alice",
                "--to",
                "STM6MRyAjQq8ud7hVNYcfnVPJqcVpscN5So8BhtHuGYqET5GDW5CV",
            ],
            "does not list",
        ),
        (
            vec!["producer", "failover", "hive/alice", "--to", "BLT5YH"],
            "begins with BLT",
        ),
        (
            vec![
                "producer",
                "maintenance",
                "hive/alice",
                "--until",
                "2001-01-01T00:00:00Z",
            ],
            "is in the past",
        ),
        (
            vec!["producer", "maintenance", "hive/alice", "--until", "soon"],
            "not a time",
        ),
        (
            vec!["producer", "failover", "hive/alice", "--override", " "],
            "say why",
        ),
    ] {
        let mut all = args.clone();
        all.extend(["--config.file", file]);
        let ran = run(&all);
        assert_eq!(ran.code, Some(2), "{args:?} {}", ran.err);
        assert!(ran.err.contains(says), "{args:?} {}", ran.err);
    }
}

#[test]
fn a_dead_daemon_is_named_and_standalone_offered() {
    let folder = tempfile::tempdir().unwrap();
    let file = config(folder.path(), &nobody(), &nobody());
    let file = file.to_str().unwrap();
    let ran = run(&["producer", "failover", "hive/alice", "--config.file", file]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err
            .contains("the daemon does not answer at http://127.0.0.1:"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("repeat the command with --standalone"),
        "{}",
        ran.err
    );
    for args in [
        ["arm", "--config.file", file],
        ["status", "--config.file", file],
    ] {
        let ran = run(&args);
        assert_eq!(ran.code, Some(1), "{args:?}");
        assert!(
            ran.err.contains("the daemon does not answer"),
            "{args:?} {}",
            ran.err
        );
    }
}

#[test]
fn arm_and_state_commands_post_with_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let control = serve(vec![(202, r#"{"request_id":"r1"}"#.to_owned())]);
    let file = config(folder.path(), &nobody(), &control.address);
    let file = file.to_str().unwrap();
    for (args, says, line, body) in [
        (vec!["arm"], "armed:", "POST /api/v1/arm", json!({})),
        (
            vec!["disarm"],
            "disarmed:",
            "POST /api/v1/disarm",
            json!({}),
        ),
        (
            vec!["producer", "pin", "hive/alice"],
            "hive/alice is pinned",
            "POST /api/v1/producers/hive/alice/pin",
            json!({}),
        ),
        (
            vec![
                "producer",
                "maintenance",
                "hive/alice",
                "--until",
                "2099-12-01T08:00:00Z",
                "--override",
                "moving house",
            ],
            "hive/alice is in maintenance until 2099-12-01T08:00:00Z",
            "POST /api/v1/producers/hive/alice/maintenance",
            json!({"until": "2099-12-01T08:00:00Z", "override_reason": "moving house"}),
        ),
    ] {
        let mut all = args.clone();
        all.extend(["--config.file", file]);
        let ran = run(&all);
        assert_eq!(ran.code, Some(0), "{args:?} {}", ran.err);
        assert!(ran.out.starts_with(says), "{args:?} {}", ran.out);
        let seen = control.seen.lock().unwrap().last().cloned().unwrap();
        assert_eq!(seen.line, line);
        assert_eq!(seen.authorization.as_deref(), Some("Bearer hush"));
        assert_eq!(serde_json::from_str::<Value>(&seen.body).unwrap(), body);
    }
}

#[test]
fn a_switch_is_followed_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let control = serve(vec![(202, r#"{"request_id":"r1"}"#.to_owned())]);
    let stage = |stage: &str| {
        (
            200,
            decision(
                "act",
                "ok",
                json!({"attempt": {"id": "a1", "txid": "ab12", "stage": stage}}),
            ),
        )
    };
    let web = serve(vec![
        (200, json!({"decisions": []}).to_string()),
        (
            200,
            decision(
                "wait",
                "no_quorum",
                json!({"interlocks": [{"name": "no_quorum", "verdict": "unknown", "detail": "1 of 2"}]}),
            ),
        ),
        stage("sent"),
        stage("effective"),
    ]);
    let file = config(folder.path(), &web.address, &control.address);
    let ran = run(&[
        "producer",
        "failover",
        "hive/alice",
        "--to",
        KEY_B,
        "--config.file",
        file.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(
        ran.out,
        format!("failover hive/alice: done to {KEY_B}, in effect (transaction ab12)\n")
    );
    let seen = web.seen.lock().unwrap();
    assert!(
        seen.iter()
            .all(|s| s.line == "GET /api/v1/decisions?request_id=r1")
    );
    // The token is for the control listener only.
    assert!(seen.iter().all(|s| s.authorization.is_none()));
    let body = control.seen.lock().unwrap()[0].body.clone();
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({"to": KEY_B})
    );
}

#[test]
fn a_refusal_names_every_interlock_that_denied() {
    let folder = tempfile::tempdir().unwrap();
    let control = serve(vec![(202, r#"{"request_id":"r1"}"#.to_owned())]);
    let interlocks = json!([
        {"name": "disarmed", "verdict": "deny", "detail": "the global arm state is off"},
        {"name": "pinned", "verdict": "pass", "detail": "not pinned"},
        {"name": "cooldown", "verdict": "deny", "detail": "20 s of 60 s since the last switch"}]);
    let web = serve(vec![(
        200,
        decision("refuse", "disarmed", json!({"interlocks": interlocks})),
    )]);
    let file = config(folder.path(), &web.address, &control.address);
    let ran = run(&[
        "producer",
        "failover",
        "hive/alice",
        "--config.file",
        file.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.err,
        "slotkeeper: failover hive/alice refused: disarmed\n  disarmed: the global arm state is off\n  \
         cooldown: 20 s of 60 s since the last switch\nIf you know better, repeat it with --override \"why\".\n"
    );
}

#[test]
fn a_wrong_token_is_explained_and_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let control = serve(vec![(401, r#"{"error":"unauthorized"}"#.to_owned())]);
    let file = config(folder.path(), &nobody(), &control.address);
    let ran = run(&["arm", "--config.file", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("control.token_file"), "{}", ran.err);
    assert!(!ran.err.contains("hush"), "{}", ran.err);
}

#[test]
fn following_ends_at_its_timeout_and_says_that_the_request_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let control = serve(vec![(202, r#"{"request_id":"r1"}"#.to_owned())]);
    let waiting = json!({"interlocks": [{"name": "no_quorum", "verdict": "unknown", "detail": "1 of 2 providers"}]});
    let web = serve(vec![(200, decision("wait", "no_quorum", waiting))]);
    let file = config(folder.path(), &web.address, &control.address);
    let ran = run(&[
        "producer",
        "failover",
        "hive/alice",
        "--timeout",
        "1200ms",
        "--config.file",
        file.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err
            .contains("failover hive/alice: waiting (no_quorum: 1 of 2 providers) …\n"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("request r1 goes on"), "{}", ran.err);
}
