//! Several producers of one chain at once: each is judged and moved by itself.

use slotkeeper::devnet::chain::{active_key, node_key};
use slotkeeper::keys::{SecretKey, Signer};

use crate::rig::{ALICE, Rig, RigConfig};

/// A second kept producer beside alice, whose node has no endpoint to probe.
const OTHER: &str = "wit01";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_producers_that_die_in_the_same_round_are_both_moved_once() {
    let own = node_key(OTHER, OTHER).expect("key");
    let standby = SecretKey::from_seed_sha256("the other's standby").expect("key");
    let text = |key: &SecretKey| key.public_key().to_text("TST");
    let rig = Rig::without_app(RigConfig {
        producer_extra: format!(
            "\n  - chain: devnet\n    name: {OTHER}\n    keys:\n      - {{signing_key: \"{}\", assume_ready: true}}\n      \
             - {{signing_key: \"{}\", assume_ready: true}}\n    authority:\n      \
             - {{method: witness_update, key_files: [other-active.wif]}}\n",
            text(&own),
            text(&standby)
        ),
        ..RigConfig::default()
    })
    .await;
    let active = active_key(OTHER).expect("key");
    rig.private("other-active.wif", &active.to_wif());
    let mut rig = rig;
    rig.start_app().await;
    rig.until_status("both able", |s| {
        s["producers"]
            .as_array()
            .is_some_and(|all| all.len() == 2 && all.iter().all(|p| p["able"] == true))
    })
    .await;
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    rig.devnet.crash_node(OTHER).expect("crash");
    let (b, other) = (rig.key("B"), text(&standby));
    rig.until("both are moved", |r| {
        let registered = r.truth().registered;
        registered[ALICE] == b && registered[OTHER] == other
    })
    .await;
    rig.slots_of_alice(4).await;
    let truth = rig.truth();
    let of = |name: &str| {
        truth
            .transactions
            .iter()
            .filter(|tx| tx.on_main && tx.operations.to_string().contains(&format!("\"{name}\"")))
            .count()
    };
    assert_eq!((of(ALICE), of(OTHER)), (1, 1));
    rig.stop().await;
}
