//! Reorgs, edited configurations, commands without a daemon: nothing of it makes a second switch on the devnet.

use slotkeeper::devnet::faults::Fault;

use crate::rig::{ALICE, Rig, RigConfig};
use crate::webhooks::failover;

/// Blocks of the chain, whoever makes them.
async fn blocks(rig: &Rig, n: u64) {
    let head = rig.truth().head_num;
    rig.until("the chain goes on", |r| r.truth().head_num >= head + n)
        .await;
}

/// Rewrites the configuration file.
fn edit(rig: &Rig, from: &str, to: &str) {
    let file = rig.config_file();
    let yaml = std::fs::read_to_string(&file).expect("config");
    assert!(yaml.contains(from), "{from} is not in\n{yaml}");
    std::fs::write(&file, yaml.replace(from, to)).expect("config");
}

fn transactions(rig: &Rig) -> usize {
    let truth = rig.truth();
    truth
        .transactions
        .iter()
        .filter(|t| t.via != "operator")
        .count()
}

/// Only the active key: `witness_update`, which compares nothing.
fn active_key_only(rig: &Rig) {
    edit(
        rig,
        "      - {method: witness_set_properties, key_files: [alice-A.wif, alice-B.wif]}\n",
        "",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_that_takes_the_switch_back_makes_no_second_one() {
    for swaps in [true, false] {
        let mut rig = Rig::without_app(RigConfig::default()).await;
        if !swaps {
            active_key_only(&rig);
        }
        rig.start_app().await;
        rig.until_able().await;
        rig.devnet.crash_node("A").expect("crash");
        let b = rig.key("B");
        rig.until("production moves", |r| r.registered() == b).await;
        // The block that has it is taken back, and its slot stays empty; the transaction is pending again everywhere.
        rig.devnet
            .with_chain(|chain| {
                let txid = chain.transactions().last().expect("it").txid.clone();
                let (block, _) = chain.included(&txid).expect("in a block");
                let slots = chain.slots().collect::<Vec<_>>();
                let slot = slots
                    .iter()
                    .find(|s| s.block.as_ref().is_some_and(|b| b.0 == block));
                let maker = slot.expect("its slot").scheduled.clone();
                chain.reorg(chain.head().head_num - block + 1, Some(&maker), false)
            })
            .expect("not final yet");
        rig.until("the switch is back", |r| r.registered() == b)
            .await;
        rig.until_status("over", |s| {
            s["producers"][0]["attempt"]["stage"] == "irreversible"
        })
        .await;
        rig.slots_of_alice(4).await;
        assert_eq!(
            transactions(&rig),
            1,
            "swaps {swaps}: {:?}",
            rig.truth().transactions
        );
        assert_eq!(rig.registered(), b, "swaps {swaps}");
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_replies_make_no_second_switch_where_the_chain_does_not_compare() {
    let mut rig = Rig::without_app(RigConfig::default()).await;
    active_key_only(&rig);
    rig.start_app().await;
    rig.until_able().await;
    // The primary dies; from the fault on, what slotkeeper sends is done, but nobody ever answers it.
    rig.devnet.crash_node("A").expect("crash");
    rig.until_status("the fault stands", |s| {
        s["producers"][0]["consecutive_missed"].as_u64() >= Some(1)
    })
    .await;
    for name in ["full1", "full2", "full3"] {
        let endpoint = rig.devnet.endpoint_of(name).expect("endpoint");
        endpoint.set_fault(Fault::LostReply);
    }
    blocks(&rig, 10).await;
    for name in ["full1", "full2", "full3"] {
        rig.devnet
            .endpoint_of(name)
            .expect("endpoint")
            .clear_fault();
    }
    let b = rig.key("B");
    rig.until("production moves", |r| r.registered() == b).await;
    rig.restart_app().await;
    rig.slots_of_alice(4).await;
    assert_eq!(transactions(&rig), 1, "{:?}", rig.truth().transactions);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registered_key_that_was_taken_out_of_the_list_is_somebodys_choice() {
    let mut rig = Rig::start(RigConfig::default()).await;
    rig.until_able().await;
    rig.app.take().expect("app").stop().await;
    let line = rig
        .yaml()
        .lines()
        .find(|l| l.contains("signing_key") && l.contains(&rig.key("A")))
        .expect("the line of A")
        .to_owned();
    edit(&rig, &format!("{line}\n"), "");
    rig.start_app().await;
    rig.devnet.crash_node("A").expect("crash");
    for _ in 0..4 {
        let alert = failover(&rig.key("A"), ALICE);
        rig.post("/api/v1/alertmanager", &alert).await;
        rig.slots_of_alice(1).await;
    }
    assert_eq!(transactions(&rig), 0);
    assert_eq!(rig.registered(), rig.key("A"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_command_that_was_not_done_in_time_is_not_done_later() {
    let mut rig = Rig::without_app(RigConfig {
        extra: "guard: {mode: off}".into(),
        ..RigConfig::default()
    })
    .await;
    let endpoints = ["full1", "full2", "full3"];
    for name in endpoints {
        let endpoint = rig.devnet.endpoint_of(name).expect("endpoint");
        endpoint.set_fault(Fault::HttpStatus {
            status: 503,
            retry_after: None,
        });
    }
    let ran = tokio::process::Command::new(env!("CARGO_BIN_EXE_slotkeeper"))
        .args(["producer", "failover", "devnet/alice", "--standalone"])
        .args(["--override", "it burns", "--timeout", "7s", "--config.file"])
        .arg(rig.config_file())
        .output()
        .await
        .expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("no_quorum"), "{said}");
    for name in endpoints {
        rig.devnet
            .endpoint_of(name)
            .expect("endpoint")
            .clear_fault();
    }
    rig.start_app().await;
    // Held off after the fresh state file; that would not hold an operator's command.
    rig.until_status("able", |s| {
        let alice = &s["producers"][0];
        alice["able"] == true && alice["keys"][1]["ready"] == true
    })
    .await;
    blocks(&rig, 8).await;
    assert_eq!(transactions(&rig), 0, "nobody waits for it any more");
    rig.stop().await;
}

/// Disabled because nothing was left; a person registers a key again while the old alerts still linger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_disabled_and_enabled_by_hand_is_not_disabled_again_for_old_misses() {
    let rig = Rig::start(RigConfig {
        producer_extra: "    when_exhausted: disable\n    disable_when: {consecutive_misses: 3, \
                         no_ready_standby_for: 1s}\n"
            .into(),
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    rig.devnet.crash_node("B").expect("crash");
    rig.until_status("B is not ready", |s| {
        s["producers"][0]["keys"][1]["ready"] == false
    })
    .await;
    rig.devnet.crash_node("A").expect("crash");
    let null = slotkeeper::keys::PublicKey::NULL.to_text("TST");
    rig.until("disabled", |r| r.registered() == null).await;
    let (a, b) = (rig.key("A"), rig.key("B"));
    rig.devnet.restore_node("B").expect("restore");
    rig.devnet.restore_node("A").expect("restore");
    let key = slotkeeper::keys::PublicKey::parse(&b, "TST").expect("key");
    rig.devnet.operator_sets_key(ALICE, &key).expect("operator");
    rig.until("enabled", |r| r.registered() == b).await;
    for fence in [&a, &null, &b, &a] {
        for action in ["failover", "disable"] {
            let now = slotkeeper::clock::now_ms() / 1000;
            let alert = crate::webhooks::alert(fence, ALICE, action, "firing", now);
            rig.post("/api/v1/alertmanager", &alert).await;
        }
        blocks(&rig, 5).await;
    }
    assert_eq!(rig.switches().len(), 1, "{:?}", rig.truth().transactions);
    assert_eq!(rig.registered(), b);
    rig.stop().await;
}
