//! Whole failovers on a simulated Antelope chain: turns of twelve, keys that take their time, and what must not be taken
//! for a fault.

use slotkeeper::chain::Protocol;
use slotkeeper::devnet::antelope::{AntelopeConfig, Finality, HandoverFork};

use crate::rig::{ALICE, Rig, RigConfig};

fn config(finality: Finality) -> RigConfig {
    RigConfig {
        protocol: Protocol::Antelope,
        interval_ms: 250,
        others: 3,
        antelope: AntelopeConfig {
            finality,
            election_slots: 12,
            irreversible_lag: match finality {
                Finality::Leap => Some(8),
                Finality::Savanna => None,
            },
            transaction_status: true,
        },
        ..RigConfig::default()
    }
}

/// Address and location as registered.
fn echoed(rig: &Rig) -> (String, u16) {
    rig.devnet.with_antelope(|chain| {
        let head = chain.head();
        let row = head.row(ALICE).expect("alice");
        (row.url.clone(), row.location)
    })
}

async fn crash_and_take_over(finality: Finality) {
    let rig = Rig::start(config(finality)).await;
    rig.until_able().await;
    let (a, b) = (rig.key("A"), rig.key("B"));
    assert_eq!(rig.registered(), a);
    let before = echoed(&rig);
    rig.devnet.crash_node("A").expect("A");
    rig.until("key B is registered", |rig| rig.registered() == b)
        .await;
    // The old key stays in force for a while, and the turns stay empty: no reason to switch again.
    rig.until("key B is in force", |rig| {
        assert!(rig.switches().len() <= 1, "{:?}", rig.switches());
        rig.truth().effective[ALICE] == b
    })
    .await;
    rig.until("B signs", |rig| {
        let slots = rig.truth().slots;
        slots.iter().any(|s| s.node.as_deref() == Some("B"))
    })
    .await;
    rig.until_status("the switch is done with", |status| {
        status["producers"][0]["switch_pending"] != true
    })
    .await;
    rig.slots_of_alice(12).await;
    let truth = rig.truth();
    assert_eq!(rig.switches().len(), 1, "{:?}", truth.transactions);
    assert_eq!(truth.transactions.len(), 1);
    let action = &truth.transactions[0].operations[0];
    assert_eq!(action["name"], "regproducer");
    assert_eq!(action["authorization"][0]["permission"], "failover");
    assert_eq!(echoed(&rig), before, "address and location are echoed");
    // Nothing was missed under the new key.
    let lost = truth.missed(ALICE).filter(|s| s.effective_key == b).count();
    assert_eq!(lost, 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_is_replaced_by_one_regproducer_and_the_standby_signs_once_its_key_is_in_force()
{
    crash_and_take_over(Finality::Leap).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_savanna_too() {
    crash_and_take_over(Finality::Savanna).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_slots_lost_blocks_and_a_claim_are_no_empty_turns() {
    let rig = Rig::start(config(Finality::Leap)).await;
    rig.until_able().await;
    rig.devnet.with_antelope(|chain| {
        chain.set_partial("A", 40).expect("A");
        chain.set_handover_fork(Some(HandoverFork {
            blocks: 2,
            after: None,
        }));
        chain.operator_claims(ALICE).expect("claimed");
    });
    rig.slots_of_alice(36).await;
    let truth = rig.truth();
    assert!(truth.missed(ALICE).count() > 0, "slots were missed");
    assert_eq!(rig.switches().len(), 0, "{:?}", truth.transactions);
    assert_eq!(rig.registered(), rig.key("A"));
    rig.stop().await;
}
