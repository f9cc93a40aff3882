//! The chains of `examples/made-up-fork.yml` exist here only: a devnet plays each under its id, prefix and symbol, and one
//! failover shows that a configuration is all it takes.

use std::path::Path;

use slotkeeper::config;
use slotkeeper::devnet::Identity;

use crate::rig::{Rig, RigConfig};

/// Plays the chain that the example calls `name`.
async fn switches_once(name: &str, config: RigConfig) {
    let example = config::load(Path::new("examples/made-up-fork.yml")).expect("the example");
    let spec = example.chain(name).expect(name).spec.clone();
    let rig = Rig::start(RigConfig {
        protocol: spec.protocol,
        identity: Some(Identity {
            chain_id: spec.chain_id,
            prefix: spec.address_prefix,
            symbol: spec.core_symbol,
        }),
        ..config
    })
    .await;
    rig.until_able().await;
    assert_eq!(rig.devnet.chain_id(), spec.chain_id);
    let (a, b) = (rig.key("A"), rig.key("B"));
    assert_eq!(rig.registered(), a);
    rig.devnet.crash_node("A").expect("crash");
    rig.until("key B is registered", |rig| rig.registered() == b)
        .await;
    rig.until("B signs", |rig| {
        let slots = rig.truth().slots;
        slots.iter().any(|s| s.node.as_deref() == Some("B"))
    })
    .await;
    assert_eq!(rig.switches().len(), 1, "{:?}", rig.switches());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_made_up_fork_of_hive_switches_once_by_either_method() {
    for active_only in [false, true] {
        let config = RigConfig {
            active_only,
            ..RigConfig::default()
        };
        switches_once("moonhive", config).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_made_up_fork_of_antelope_switches_once() {
    let config = RigConfig {
        interval_ms: 250,
        others: 3,
        ..RigConfig::default()
    };
    switches_once("moonwax", config).await;
}
