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
    assert!(examples.len() >= 8);
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

#[test]
fn no_error_repeats_a_secret() {
    for golden in files("tests/data/config", "error") {
        let text = std::fs::read_to_string(&golden).unwrap();
        for secret in [
            "hunter",
            "5HrbN",
            "hooks.slack",
            "s3cr3t",
            "0123456789abcdef",
        ] {
            assert!(!text.contains(secret), "{}: {text}", golden.display());
        }
    }
}

#[test]
fn broken_files_give_one_line_and_never_a_panic() {
    let text = std::fs::read_to_string("examples/full.yml").unwrap();
    let noise = [
        "{",
        "]",
        "\t",
        ": ",
        "- ",
        "&a ",
        "*a ",
        "!x ",
        "\u{0}",
        "\"",
        "99999999999999999999999",
        "~",
        "?",
        "|\n",
    ];
    // Every place that matters, once with every piece of noise: cuts and insertions at line ends and after colons.
    let places: Vec<usize> = text
        .char_indices()
        .filter(|(_, c)| matches!(c, '\n' | ':' | '{' | ','))
        .map(|(i, c)| i + c.len_utf8())
        .collect();
    let mut refused = 0;
    for (n, place) in places.iter().enumerate() {
        let mut broken = text.clone();
        broken.insert_str(*place, noise[n % noise.len()]);
        for candidate in [&broken, &text[..*place].to_owned()] {
            if let Err(error) = config::parse(candidate, Path::new("")) {
                assert!(!error.to_string().contains('\n'), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > places.len() / 2, "{refused} of {}", places.len());
}

#[test]
fn devnets_poll_a_third_of_their_block_interval() {
    let config = |interval: &str, poll: &str| {
        let text = format!(
            "chains: [{{name: d, protocol: steem, chain_id: '18dcf0a285365fc58b71f18b3d3fec954aa0c141c44e4e5cb4cf777b9eab274e', \
             address_prefix: TST, core_symbol: TESTS, block_interval: {interval}, {poll} endpoints: [{{url: 'http://127.0.0.1:1'}}]}}]"
        );
        parse(&text)
    };
    for (interval, poll, ms, slow) in [
        ("300ms", "", 100, true),
        ("100ms", "", 50, true),
        ("300ms", "poll_interval: 60ms,", 60, true),
        ("1s", "", 333, true),
        ("1500ms", "", 500, false),
        ("3s", "", 1000, false),
    ] {
        let config = config(interval, poll);
        assert_eq!(
            config.chains[0].poll_interval,
            Duration::from_millis(ms),
            "{interval}"
        );
        let warned = config
            .warnings
            .iter()
            .any(|w| w.contains("devnets of your own"));
        assert_eq!(warned, slow, "{interval} {:?}", config.warnings);
        assert_eq!(config.chains[0].spec.address_prefix, "TST");
        assert_eq!(config.chains[0].spec.core_symbol, "TESTS");
    }
}

#[test]
fn every_known_network_fills_in_what_is_not_written() {
    use slotkeeper::chain::Protocol;
    let config = |protocol: &str, more: &str| {
        let text = format!(
            "chains: [{{name: c, protocol: {protocol}, {more} endpoints: [{{url: 'https://a.example'}}]}}]"
        );
        parse(&text).chains.remove(0)
    };
    for net in config::networks::NETWORKS {
        let id = format!("chain_id: '{}',", slotkeeper::hex::encode(&net.chain_id));
        let chain = config(net.protocol.as_str(), &id);
        assert_eq!(chain.spec.address_prefix, net.address_prefix);
        assert_eq!(chain.spec.core_symbol, net.core_symbol, "{}", net.name);
        let interval = i64::try_from(net.block_interval.as_millis()).unwrap();
        assert_eq!(chain.spec.block_interval, interval, "{}", net.name);
        if net.protocol != Protocol::Antelope {
            assert_eq!(config(net.protocol.as_str(), "").spec, chain.spec);
        }
    }
    let bitshares = config("bitshares", "block_interval: 3s,");
    assert_eq!(bitshares.spec.block_interval, 3_000);
    assert_eq!(bitshares.poll_interval, Duration::from_secs(1));
}

#[test]
fn half_second_blocks_are_polled_every_half_second() {
    let id = "73e4385a2708e6d7048834fbc1079f2fabb17b3c125b146af438971e90716c4d";
    for (more, poll) in [
        ("", 500),
        ("poll_interval: 1s,", 1_000),
        ("block_interval: 100ms,", 50),
        ("block_interval: 200ms, poll_interval: 60ms,", 60),
    ] {
        let text = format!(
            "chains: [{{name: jungle, protocol: antelope, chain_id: '{id}', {more} endpoints: [{{url: 'https://a.example'}}]}}]"
        );
        let config = parse(&text);
        assert_eq!(config.chains[0].poll_interval, Duration::from_millis(poll));
        let slow = config.warnings.iter().any(|w| w.contains("slower than"));
        assert!(!slow, "{more} {:?}", config.warnings);
    }
}

#[test]
fn a_permission_names_the_producer_and_its_own_key_files() {
    let config = config::load(Path::new("examples/antelope.yml")).unwrap();
    let alice = &config.producers[0];
    assert_eq!(alice.authority[0].permission.as_deref(), Some("failover"));
    assert_eq!(alice.authority[0].of("alice"), "alice@failover");
    // Both text forms are read, and each host has a finalizer key of its own.
    let prefix = &config.chains[0].spec.address_prefix;
    let shown: Vec<String> = alice
        .keys
        .iter()
        .map(|k| k.signing_key.to_text(prefix))
        .collect();
    assert!(shown.iter().all(|k| k.starts_with("EOS")), "{shown:?}");
    assert!(alice.keys.iter().all(|k| k.finalizer_key.is_some()));
    let text = std::fs::read_to_string("examples/antelope.yml").unwrap();
    for (written, permission) in [("permission: alice@active, ", None), ("", None)] {
        let config = parse(&text.replace("permission: alice@failover, ", written));
        let authority = &config.producers[0].authority[0];
        assert_eq!(authority.permission, permission);
        assert_eq!(authority.of("alice"), "alice");
        let warned = |w: &String| w.contains("can do everything");
        assert!(config.warnings.iter().any(warned), "{:?}", config.warnings);
    }
}

#[test]
fn a_made_up_fork_needs_configuration_only() {
    let config = config::load(Path::new("examples/made-up-fork.yml")).unwrap();
    let fork = config.chain("moonhive").unwrap();
    assert_eq!(fork.spec.address_prefix, "MUN");
    assert_eq!(fork.spec.core_symbol, "MOON");
    assert!(config::networks::network(&fork.spec.chain_id).is_none());
    let shown = config.producers[0].keys[0].signing_key.to_text("MUN");
    assert!(shown.starts_with("MUN5YHnNgis74"), "{shown}");
}

#[test]
fn endpoints_get_label_provider_and_limits() {
    let config = parse(
        "chains:\n- name: hive\n  protocol: hive\n  hard_timeout: 2s\n  endpoints:\n\
         \x20   - {url: 'https://user:pw@API.example.org/rpc/?key=1#x'}\n\
         \x20   - {url: 'http://localhost:8091', soft_timeout: 100ms}\n\
         \x20   - {url: 'http://10.0.0.1:8091', allow_insecure: true, provider: own}\n\
         producers: [{chain: hive, name: alice, keys: [{signing_key: STM5YHnNgis74GWeARGtzkjYwfwLnvih4Y5fG5vHyPseKzomk9NSE, node: 'http://10.0.0.1:8091'}]}]",
    );
    let seen: Vec<(&str, &str, u128, u128)> = config.chains[0]
        .endpoints
        .iter()
        .map(|e| {
            (
                e.label.as_str(),
                e.provider.as_str(),
                e.soft_timeout.as_millis(),
                e.hard_timeout.as_millis(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("https://api.example.org/rpc", "api.example.org", 1000, 2000),
            ("http://localhost:8091", "localhost", 100, 2000),
            ("http://10.0.0.1:8091", "own", 1000, 2000),
        ]
    );
    assert!(config.chains[0].endpoints[0].url.contains("user:pw@"));
    // A node that is an endpoint too needs no allow_insecure of its own.
    assert_eq!(
        config.producers[0].keys[0].node.as_ref().unwrap().provider,
        "own"
    );
}

#[test]
fn what_is_odd_but_no_error_is_a_warning() {
    let base = "chains: [{name: h, protocol: hive, endpoints: [{url: 'https://a.example'}, {url: 'https://b.example'}, {url: 'https://c.example'}]}]\n";
    let key = "signing_key: STM5YHnNgis74GWeARGtzkjYwfwLnvih4Y5fG5vHyPseKzomk9NSE";
    let producer = |keys: &str, more: &str| {
        format!("{base}producers: [{{chain: h, name: alice, keys: [{{{key}{keys}}}]{more}}}]\n")
    };
    let authority = ", authority: [{method: witness_update, key_files: [a]}]";
    for (text, says) in [
        (base.to_owned(), "only the chains themselves"),
        (
            format!("{base}control: {{listen: '127.0.0.1:1'}}"),
            "any user of this machine",
        ),
        (producer("", authority), "never counts as ready"),
        (producer(", assume_ready: true", ""), "no authority"),
        (
            producer(", assume_ready: true", authority),
            "nothing to switch to",
        ),
        (
            producer(", assume_ready: true", authority),
            "no actuator.alertmanagers",
        ),
        (
            format!("{base}actuator: {{max_alert_age: 1h}}"),
            "max_alert_age is 1h",
        ),
        (
            format!("{base}actuator: {{alertmanagers: [{{url: 'http://am.example'}}]}}"),
            "unencrypted",
        ),
        (
            base.replace("protocol: hive,", "protocol: hive, quorum: 1,"),
            "no majority",
        ),
        (
            base.replace("protocol: hive,", "protocol: hive, poll_interval: 10s,"),
            "slower than the blocks",
        ),
        (
            base.replace("protocol: hive,", "protocol: hive, min_participation: 0.2,"),
            "most of the network is down",
        ),
        (
            base.replace(", {url: 'https://c.example'}", ""),
            "arming needs",
        ),
    ] {
        let config = parse(&text);
        assert!(
            config.warnings.iter().any(|w| w.contains(says)),
            "{says}: {:?}",
            config.warnings
        );
    }
}

#[test]
fn the_guard_matches_silences_against_the_labels_of_the_shipped_rule() {
    let text = std::fs::read_to_string("deploy/prometheus/rules/act.yml").unwrap();
    let rules: serde_json::Value = serde_yaml::from_str(&text).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let acting: Vec<&serde_json::Value> = groups
        .iter()
        .flat_map(|g| g["rules"].as_array().unwrap())
        .filter(|r| r["labels"]["action"] == "failover")
        .collect();
    assert_eq!(acting.len(), 1, "one alert acts");
    for (name, value) in config::defaults::GUARD_LABELS {
        let shipped = match name {
            "alertname" => &acting[0]["alert"],
            name => &acting[0]["labels"][name],
        };
        assert_eq!(shipped, value, "{name}");
    }
}
