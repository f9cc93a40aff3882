//! A BitShares chain and slotkeeper: producers named by account here and by object on the chain, a fee, no
//! compare-and-swap, the active key alone.

use slotkeeper::chain::Protocol;
use slotkeeper::devnet::Fault;

use crate::operator::there_and_back;
use crate::rig::{Rig, RigConfig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switchover_and_back_on_bitshares() {
    there_and_back(Protocol::BitShares, 205).await;
}

/// A crash makes exactly one switch; it names the key alone, so the url stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_on_bitshares_makes_one_switch() {
    crash_and_switch(206, false).await;
}

/// The same with websockets for the surveys and the broadcast, also after a connection was cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_makes_one_switch_over_websockets() {
    crash_and_switch(207, true).await;
}

async fn crash_and_switch(seed: u64, websockets: bool) {
    let rig = Rig::start(RigConfig {
        protocol: Protocol::BitShares,
        seed,
        websockets,
        ..RigConfig::default()
    })
    .await;
    rig.until_able().await;
    if websockets {
        let first = rig.devnet.endpoint_of("full1").expect("endpoint");
        first.set_fault(Fault::LostReply);
        rig.slots_of_alice(1).await;
        first.clear_fault();
        rig.until_able().await;
    }
    let before = rig.properties();
    let b = rig.key("B");
    rig.devnet.crash_node("A").expect("node");
    rig.until("the standby's key is registered", |rig| {
        rig.registered() == b
    })
    .await;
    rig.until("the standby produces", |rig| {
        let truth = rig.truth();
        truth.slots.iter().any(|s| s.node.as_deref() == Some("B"))
    })
    .await;
    rig.slots_of_alice(3).await;
    assert_eq!(rig.switches().len(), 1);
    assert_eq!(rig.properties(), before);
    let last = rig.truth().transactions.last().cloned().expect("sent");
    assert_eq!(last.operations[0][0], 21);
    let update = &last.operations[0][1];
    assert_eq!(update["new_signing_key"], b.as_str());
    assert!(update.get("new_url").is_none());
    rig.stop().await;
}
