//! `--standalone`: an operator's command with the daemon dead, through the built binary.

use slotkeeper::keys::SecretKey;

use crate::rig::{ALICE, Ran, Rig, RigConfig, free_ports};

const FAILOVER: [&str; 4] = ["producer", "failover", "devnet/alice", "--standalone"];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    FAILOVER.iter().chain(more).copied().collect()
}

/// In this order, each at the start of a line of standard error.
fn progress(ran: &Ran, kinds: &[&str]) {
    let mut lines = ran.err.lines();
    for kind in kinds {
        assert!(
            lines.any(|line| line.starts_with(&format!("{kind}: "))),
            "no progress {kind}: {ran:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn works_where_no_daemon_ever_ran() {
    let rig = Rig::without_app(RigConfig {
        actuator: "armed: false".into(),
        ..RigConfig::default()
    })
    .await;
    rig.devnet.crash_node("A").expect("crash");
    rig.slots_of_alice(2).await;

    // Disarmed is one of the interlocks that only warn an operator: refused, and told how.
    let ran = rig.cli(&with(&[])).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("disarmed"), "{ran:?}");
    assert!(ran.err.contains("--override"), "{ran:?}");
    assert!(rig.switches().is_empty(), "disarmed means nothing is sent");

    let ran = rig
        .cli(&with(&["--override", "the daemon's host burns"]))
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    progress(&ran, &["decided", "signed", "sent", "effective"]);
    assert!(ran.out.contains(&rig.key("B")), "{ran:?}");
    assert_eq!(rig.registered(), rig.key("B"));
    assert_eq!(rig.switches().len(), 1);
    rig.stop().await;
}

/// The daemon dies by SIGKILL; the command takes over its journal and lock, and a daemon started afterwards agrees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn works_after_the_daemon_was_killed_and_not_while_it_lives() {
    let mut rig = Rig::without_app(RigConfig {
        ports: free_ports(),
        extra: "guard: {mode: off}".into(),
        actuator: "armed: false".into(),
        ..RigConfig::default()
    })
    .await;
    let mut daemon = rig.spawn_process(&[]);
    rig.until_status("able", |s| s["producers"][0]["able"] == true)
        .await;
    let ran = rig.cli(&["arm"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    rig.until_status("the fault stands", |s| {
        s["producers"][0]["consecutive_missed"].as_u64() >= Some(1)
    })
    .await;

    // The lock is the daemon's.
    let ran = rig.cli(&with(&[])).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let pid = daemon.id().expect("runs");
    assert!(
        ran.err.contains("in use by another slotkeeper") && ran.err.contains(&format!("pid {pid}")),
        "{ran:?}"
    );
    assert!(rig.switches().is_empty());

    daemon.kill().await.expect("killed");
    // Without the daemon, the plain command says what to do instead.
    let ran = rig.cli(&FAILOVER[..3]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("--standalone"), "{ran:?}");

    // Armed by the journal: no override is needed for a fault that stands.
    let ran = rig.cli(&with(&["--wait"])).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    progress(
        &ran,
        &["decided", "signed", "sent", "effective", "irreversible"],
    );
    assert_eq!(rig.registered(), rig.key("B"));

    // The next daemon takes the journal over and has nothing to add.
    rig.start_app().await;
    rig.slots_of_alice(3).await;
    assert_eq!(rig.switches().len(), 1);
    rig.until_status("it knows the attempt", |s| {
        s["producers"][0]["attempt"]["stage"] == "irreversible"
            || s["producers"][0]["attempt"].is_null()
    })
    .await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_refused_and_nothing_is_sent() {
    let rig = Rig::without_app(RigConfig::default()).await;
    // Misspelt: usage.
    for arguments in [
        ["producer", "failover", "devnet/bob", "--standalone"],
        ["producer", "failover", "alice", "--standalone"],
    ] {
        let ran = rig.cli(&arguments).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
    let foreign = foreign_key();
    let ran = rig
        .cli(&[FAILOVER.as_slice(), &["--to", foreign.as_str()]].concat())
        .await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.err.contains(&rig.key("B")),
        "it names the keys: {ran:?}"
    );

    // No fault: an interlock that warns.
    let ran = rig.cli(&with(&[])).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("shows no fault"), "{ran:?}");

    // Key files that hold other keys: mandatory, whatever is overridden.
    for file in ["alice-A.wif", "alice-B.wif", "alice-active.wif"] {
        let other = SecretKey::from_seed_sha256(file).expect("key");
        rig.private(file, &other.to_wif());
    }
    let ran = rig.cli(&with(&["--override", "I insist"])).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("authority_invalid"), "{ran:?}");
    assert!(
        !ran.err.contains("--override"),
        "nothing overrides a wrong key: {ran:?}"
    );
    assert!(rig.switches().is_empty());
    assert_eq!(rig.registered(), rig.key("A"));
    rig.stop().await;
}

/// No quorum: the command waits, says so, and gives up after `--timeout` without having sent anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_it_waits_and_gives_up() {
    let rig = Rig::without_app(RigConfig::default()).await;
    for name in ["full1", "full3"] {
        rig.devnet
            .endpoint_of(name)
            .expect("endpoint")
            .set_fault(slotkeeper::devnet::Fault::Refused);
    }
    rig.devnet.crash_node("A").expect("crash");
    let ran = rig.cli(&with(&["--timeout", "6s"])).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    progress(&ran, &["decided"]);
    assert!(ran.err.contains("no_quorum"), "{ran:?}");
    assert!(rig.switches().is_empty());
    assert_eq!(rig.registered(), rig.key("A"), "{ALICE} is as before");
    rig.stop().await;
}

fn foreign_key() -> String {
    use slotkeeper::keys::Signer;
    SecretKey::from_seed_sha256("somebody else")
        .expect("key")
        .public_key()
        .to_text("TST")
}
