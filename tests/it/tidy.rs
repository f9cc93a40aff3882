//! The house rules that a reader would otherwise have to remember. Each failure names the file and the rule.
//!
//! Works on text: comments are cut off, and what follows a `#[cfg(test)]` module is tests. That is crude, and enough.

mod docs;

use std::path::{Path, PathBuf};

/// Who may use whom: arrows point down only (src/lib.rs draws the map). `cli` and the tests may use everything.
const ROOMS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("hex", &[]),
    ("keys", &["hex"]),
    ("chain", &["clock", "hex", "keys"]),
    ("config", &["chain", "hex", "keys"]),
    ("rpc", &["chain", "clock", "config", "hex", "keys"]),
    ("watch", &["chain", "clock", "config", "hex", "keys", "rpc"]),
    (
        "actuator",
        &["chain", "clock", "config", "hex", "keys", "rpc", "watch"],
    ),
    (
        "metrics",
        &[
            "actuator", "chain", "clock", "config", "keys", "rpc", "watch",
        ],
    ),
    (
        "guard",
        &["actuator", "chain", "clock", "config", "keys", "watch"],
    ),
    (
        "alertmanager",
        &[
            "actuator", "chain", "clock", "config", "keys", "metrics", "watch",
        ],
    ),
    // It may look at everything and act on nothing: see tidy_escalation_has_no_way_to_a_switch.
    (
        "notify",
        &[
            "actuator",
            "alertmanager",
            "chain",
            "clock",
            "config",
            "hex",
            "metrics",
            "watch",
        ],
    ),
    (
        "web",
        &[
            "actuator",
            "alertmanager",
            "chain",
            "clock",
            "config",
            "hex",
            "keys",
            "metrics",
            "rpc",
            "watch",
        ],
    ),
    ("devnet", &["chain", "clock", "hex", "keys"]),
    // Wires everything; decides nothing.
    (
        "app",
        &[
            "actuator",
            "alertmanager",
            "chain",
            "clock",
            "config",
            "guard",
            "keys",
            "metrics",
            "notify",
            "rpc",
            "watch",
            "web",
        ],
    ),
    (
        "demo",
        &["app", "chain", "clock", "config", "devnet", "hex", "keys"],
    ),
];

/// Lines of code (tests not counted) that a file may have: a longer one is two ideas.
const MAX_LINES: usize = 450;

struct Source {
    /// Path inside the repository, with forward slashes.
    path: String,
    /// All of it.
    text: String,
    /// Without its test module and without comments, line by line.
    code: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && name != ".git" {
                walk(&path, found);
            }
        } else if name != ".git" {
            found.push(path);
        }
    }
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap()
        .to_string_lossy()
        .replace('\\', "/")
}

/// A line without its `//` comment. A `//` right after a colon is a URL in a string.
fn without_comment(line: &str) -> &str {
    let mut from = 0;
    while let Some(found) = line[from..].find("//") {
        let at = from + found;
        if !line[..at].ends_with(':') {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}

fn sources(folder: &str) -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root().join(folder), &mut files);
    files.retain(|f| f.extension().is_some_and(|e| e == "rs"));
    files.sort();
    files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let code = text
                .split("\n#[cfg(test)]\nmod ")
                .next()
                .unwrap_or_default()
                .lines()
                .map(|line| without_comment(line).to_owned())
                .collect();
            Source {
                path: relative(file),
                text,
                code,
            }
        })
        .collect()
}

/// Source files of the crate that are not test modules of their own.
fn product() -> Vec<Source> {
    let mut all = sources("src");
    assert!(all.len() > 20, "the walk found only {} files", all.len());
    all.retain(|s| !s.path.ends_with("/tests.rs") && !s.path.contains("/tests/"));
    all
}

/// Fails with every place at which code contains one of the words, save in the allowed files.
fn only_in(allowed: &[&str], words: &[&str], why: &str) {
    let mut found = Vec::new();
    for source in product() {
        if allowed.contains(&source.path.as_str()) {
            continue;
        }
        for (n, line) in source.code.iter().enumerate() {
            if words.iter().any(|w| line.contains(w)) {
                found.push(format!("{}:{}: {}", source.path, n + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{why}\n{}", found.join("\n"));
}

#[test]
fn tidy_the_clock_is_read_in_one_place() {
    only_in(
        &["src/clock.rs"],
        &[
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
        ],
        "time comes in as an argument or through crate::clock",
    );
}

#[test]
fn tidy_only_the_actuator_and_the_offline_tool_broadcast() {
    let allowed = [
        "src/actuator/driver.rs",
        "src/cli/broadcast.rs",
        "src/rpc/endpoint.rs", // defines sending once
        "src/rpc/pool.rs",     // defines sending to all
    ];
    let mut found = Vec::new();
    for source in product() {
        if allowed.contains(&source.path.as_str()) {
            continue;
        }
        for (n, line) in source.code.iter().enumerate() {
            // `chain.broadcast(&sealed)` only writes the call down; sending is a pool's.
            if line.contains("pool.broadcast(")
                || line.contains("pool().broadcast(")
                || line.contains("Pool::broadcast")
                || line.contains("send_once(")
            {
                found.push(format!("{}:{}: {}", source.path, n + 1, line.trim()));
            }
        }
    }
    assert!(
        found.is_empty(),
        "only the actuator may send to a chain\n{}",
        found.join("\n")
    );
}

/// How many files lie in a room, and the lines there that hold one of `words`.
fn lines_with(words: &[&str], room: impl Fn(&str) -> bool) -> (usize, Vec<String>) {
    let mut checked = 0;
    let mut found = Vec::new();
    for source in product() {
        if !room(&source.path) {
            continue;
        }
        checked += 1;
        for (n, line) in source.code.iter().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                found.push(format!("{}:{}: {word}", source.path, n + 1));
            }
        }
    }
    (checked, found)
}

#[test]
fn tidy_escalation_has_no_way_to_a_switch() {
    let doors = [
        "ActuatorHandle",
        "Incoming",
        "OperatorCommand",
        "Intake",
        "Entry::",
        "Guard",
        "submit(",
        "operate(",
        "rpc::",
    ];
    let (checked, found) = lines_with(&doors, |path| path.starts_with("src/notify/"));
    assert!(checked > 8, "the room has moved");
    assert!(
        found.is_empty(),
        "an overdue heartbeat escalates, it never actuates: this room has no door to the actuator\n{}",
        found.join("\n")
    );
}

#[test]
fn tidy_decisions_bytes_and_ledger_are_pure() {
    let impure = [
        "now_ms",
        "Stopwatch",
        "tokio::",
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "getrandom",
        "reqwest",
        "rusqlite",
        "async fn",
        ".await",
    ];
    let pure = [
        "src/chain/",
        "src/rpc/agree",
        "src/watch/ledger",
        "src/actuator/decide",
        "src/actuator/interlocks",
    ];
    let (checked, found) = lines_with(&impure, |path| {
        pure.iter().any(|room| path.starts_with(room))
    });
    assert!(checked > 5, "the pure rooms have moved");
    assert!(
        found.is_empty(),
        "these files take time and data as arguments and return data: no I/O, clock, randomness\n{}",
        found.join("\n")
    );
}

#[test]
fn tidy_arrows_point_down() {
    let mut found = Vec::new();
    for source in product() {
        let room = source
            .path
            .strip_prefix("src/")
            .unwrap()
            .split(['/', '.'])
            .next()
            .unwrap();
        if matches!(room, "cli" | "main" | "lib") {
            continue;
        }
        let Some((_, below)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            found.push(format!(
                "{}: the room {room} is not on the map (ROOMS)",
                source.path
            ));
            continue;
        };
        for (n, line) in source.code.iter().enumerate() {
            for part in line.split("crate::").skip(1) {
                let used: String = part
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                    .collect();
                if used != room && !below.contains(&used.as_str()) {
                    found.push(format!("{}:{}: {room} uses {used}", source.path, n + 1));
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "arrows point down only\n{}",
        found.join("\n")
    );
}

#[test]
fn tidy_files_hold_one_idea() {
    let mut found = Vec::new();
    for source in product() {
        let lines = source.code.len();
        if lines > MAX_LINES {
            found.push(format!(
                "{}: {lines} lines, at most {MAX_LINES}",
                source.path
            ));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn tidy_nothing_is_left_half_done() {
    let words = [
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
        concat!("db", "g!("),
        concat!("#[ig", "nore"),
    ];
    let mut found = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        for (n, line) in source.text.lines().enumerate() {
            if words.iter().any(|w| without_comment(line).contains(w)) {
                found.push(format!("{}:{}: {}", source.path, n + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn tidy_every_file_says_what_it_owns() {
    let silent: Vec<String> = sources("src")
        .into_iter()
        .chain(sources("tests/it"))
        .filter(|s| !s.text.starts_with("//!") && !s.path.ends_with("/tests.rs"))
        .map(|s| s.path)
        .collect();
    assert!(silent.is_empty(), "no `//!` at the top of: {silent:?}");
}

#[test]
fn tidy_no_merge_was_left_unfinished() {
    let marks = [["<"; 7].concat(), [">"; 7].concat()];
    let found = lines_anywhere(|line| marks.iter().any(|mark| line.starts_with(mark.as_str())));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn tidy_nothing_points_outside_the_repository() {
    let words = [
        concat!("../", "shared"),
        concat!("/", "work/"),
        concat!("/", "tmp/bash_jobs"),
    ];
    let found = lines_anywhere(|line| words.iter().any(|w| line.contains(w)));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Where in the repository, in any text file, there is such a line.
fn lines_anywhere(such: impl Fn(&str) -> bool) -> Vec<String> {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    let mut found = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue; // no text
        };
        for (n, line) in text.lines().enumerate() {
            if such(line) {
                found.push(format!("{}:{}", relative(&file), n + 1));
            }
        }
    }
    found
}
