//! Config files: every example loads, every invalid one gives exactly its golden error.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slotkeeper::config::{self, Config, GuardMode};

/// Files of a folder with this extension, sorted.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    out.sort();
    out
}

fn parse(text: &str) -> Config {
    config::parse(text, Path::new("/etc/slotkeeper")).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
fn every_example_loads() {
    let examples = files("examples", "yml");
    assert!(examples.len() >= 4);
    for path in examples {
        if let Err(error) = config::load(&path) {
            panic!("{error}");
        }
    }
}

#[test]
fn every_invalid_config_gives_its_one_exact_error() {
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    for path in files("tests/data/config", "yml") {
        let golden = path.with_extension("error");
        names.insert(golden.clone());
        let want = std::fs::read_to_string(&golden).unwrap_or_default();
        let got = match config::load(&path) {
            Ok(_) => format!("{} is accepted", path.display()),
            Err(error) => error.to_string(),
        };
        assert!(!got.contains('\n'), "one line: {got:?}");
        if want.trim_end_matches('\n') != got {
            if std::env::var_os("SLOTKEEPER_BLESS").is_some() {
                std::fs::write(&golden, format!("{got}\n")).unwrap();
            }
            wrong.push(format!(
                "{}\n  want {}\n  got  {got}",
                path.display(),
                want.trim_end()
            ));
        }
    }
    assert!(names.len() >= 40, "{} cases", names.len());
    let golden: BTreeSet<PathBuf> = files("tests/data/config", "error").into_iter().collect();
    assert_eq!(golden, names, "every golden error has its config");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_minimal_kill_switch_gets_every_default() {
    let config = config::load(Path::new("examples/minimal.yml")).unwrap();
    let chain = config.chain("hive").unwrap();
    assert_eq!(chain.spec.chain_id[..4], [0xbe, 0xea, 0xb0, 0xde]);
    assert_eq!(chain.spec.core_symbol, "HIVE");
    assert_eq!((chain.quorum, chain.quorum_explicit), (2, false));
    assert_eq!(chain.poll_interval, Duration::from_secs(1));
    assert_eq!(chain.endpoints[0].provider, "api.example.org");
    assert_eq!(chain.endpoints[0].soft_timeout, Duration::from_secs(1));
    assert_eq!(config.guard.mode, GuardMode::Always);
    assert!(config.actuator.armed);
    assert_eq!(config.web.listen, "127.0.0.1:10061");
    assert_eq!(config.control.listen, "127.0.0.1:10062");
    assert_eq!(config.state_file, Path::new("examples/slotkeeper.db"));
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(
        config.producers[0].authority[0].key_files[0],
        Path::new("examples/alice-a.pem")
    );
}

#[test]
fn guard_follows_heartbeats_unless_told() {
    let base = "chains: [{name: h, protocol: hive, endpoints: [{url: 'https://a.example'}]}]\n";
    for (more, mode) in [
        ("", GuardMode::Always),
        ("heartbeats: [{source: p}]", GuardMode::Fallback),
        (
            "heartbeats: [{source: p}]\nguard: {mode: off}",
            GuardMode::Off,
        ),
        (
            "heartbeats: [{source: p}]\nguard: {mode: always}",
            GuardMode::Always,
        ),
    ] {
        assert_eq!(parse(&format!("{base}{more}")).guard.mode, mode, "{more}");
    }
}
