//! The failover permission, made on a real chain by our own commands: what is missing is said, the owner key is refused,
//! and what a permission can do is judged as the chain has it.

use std::path::Path;

use serde_json::{Value, json};
use slotkeeper::demo::nodeos::{PERMISSION, PRODUCER};

use super::scene::{Scene, key, piped};
use crate::rig::Ran;

/// Another permission of the same producer, made first; what is linked to it is then linked away.
const SPARE: &str = "spare";

/// From nothing to a permission that does for a switch.
pub(super) async fn it_is_made_by_our_own_commands(scene: &mut Scene) {
    scene.read().await;
    let (from, config) = (scene.truth.head(), scene.world.config_file());
    let said = checked(scene, &config, 1).await;
    let missing = format!("permission {PRODUCER}@{PERMISSION} does not exist on chain");
    assert!(said.contains(&missing), "{said}");
    scene
        .until("slotkeeper says that it could not sign", async |s| {
            let status = s.status().await;
            status["able"] == false
                && status["able_note"]
                    .as_str()
                    .is_some_and(|note| note.contains(PERMISSION))
        })
        .await;

    let spare = config.with_file_name("spare.yml");
    let text = std::fs::read_to_string(&config).expect("config");
    let text = text.replace(&format!("@{PERMISSION}"), &format!("@{SPARE}"));
    std::fs::write(&spare, text).expect("config");
    printed_signed_elsewhere_and_sent(scene, &spare, from).await;
    let said = checked(scene, &spare, 0).await;
    let suffices = "may call what a switch needs and nothing else";
    assert!(said.contains(suffices), "{said}");

    let more =
        json!({"account": PRODUCER, "code": "eosio", "type": "buyram", "requirement": SPARE});
    let linked = scene.signed("linkauth", more, "active").await;
    let ran = scene.broadcast(&linked).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    in_a_block(scene, from, 2).await;
    let said = checked(scene, &spare, 0).await;
    let excess =
        format!("{PRODUCER}@{SPARE} suffices, and can do more than a switch needs (eosio::buyram)");
    assert!(said.contains(&excess), "{said}");

    // Were the owner's sent, there would be one more transaction than the next line finds.
    let ran = sent(scene, &config, "owner").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("is the owner key"), "{ran:?}");
    assert_eq!(ran.out, "");
    let ran = sent(scene, &config, "active").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    in_a_block(scene, from, 3).await;
    let said = checked(scene, &config, 0).await;
    assert!(
        said.contains(suffices) && said.contains(&key(PERMISSION)),
        "{said}"
    );
    // An action has one link: those of the other permission went with it.
    let said = checked(scene, &spare, 1).await;
    let lacks = format!("{PRODUCER}@{SPARE} may not call regproducer, regproducer2, unregprod");
    assert!(said.contains(&lacks), "{said}");

    // Once more is no harm: the chain refuses a link that stands, so there is none in it.
    let ran = sent(scene, &config, "active").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    in_a_block(scene, from, 4).await;
    let said = checked(scene, &config, 0).await;
    assert!(said.contains(suffices), "{said}");
}

/// As for an active key that never comes near this machine: printed, signed by `tx sign`, sent by `tx broadcast`.
async fn printed_signed_elsewhere_and_sent(scene: &mut Scene, config: &Path, from: u64) {
    let producer = format!("nodeos/{PRODUCER}");
    let ran = scene
        .cli_with(config, &["producer", "permission", &producer])
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let file = key_file(scene, "active");
    let sign = ["tx", "sign", "--protocol", "antelope", "--key-file", &file];
    let ran = piped(&sign, &ran.out).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let signed: Value = serde_json::from_str(&ran.out).expect("JSON");
    let ran = scene.broadcast(&signed).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    in_a_block(scene, from, 1).await;
}

/// Waits until exactly so many transactions stand in blocks after block `from`.
async fn in_a_block(scene: &mut Scene, from: u64, transactions: usize) {
    scene
        .until(
            &format!("{transactions} transactions in blocks"),
            async |s| s.truth.transactions_after(from) >= transactions,
        )
        .await;
    assert_eq!(scene.truth.transactions_after(from), transactions);
}

/// `producer permission --broadcast` with the key file of a role.
async fn sent(scene: &Scene, config: &Path, role: &str) -> Ran {
    let (producer, file) = (format!("nodeos/{PRODUCER}"), key_file(scene, role));
    let command = [
        "producer",
        "permission",
        &producer,
        "--broadcast",
        "--key-file",
        &file,
    ];
    scene.cli_with(config, &command).await
}

/// What `check-config --online` prints, ending as it must.
async fn checked(scene: &Scene, config: &Path, code: i32) -> String {
    let ran = scene.cli_with(config, &["check-config", "--online"]).await;
    assert_eq!(ran.code, Some(code), "{ran:?}");
    ran.out
}

fn key_file(scene: &Scene, role: &str) -> String {
    let file = format!("{PRODUCER}-{role}.wif");
    let path = scene.world.directory.path().join(file);
    path.display().to_string()
}
