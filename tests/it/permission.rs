//! `producer permission` and `check-config --online`, the built binary against a hand-written nodeos on loopback.

use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use slotkeeper::chain::antelope::Transaction;
use slotkeeper::hex;
use slotkeeper::keys::{PublicKey, SecretKey, key_file};

use crate::rpc_server::{Act, Seen, Server};
use crate::tx_sign::slotkeeper;

const CHAIN_ID: &str = "73e4385a2708e6d7048834fbc1079f2fabb17b3c125b146af438971e90716c4d";
const OTHER: &str = "00000000000000000000000000000000000000000000000000000000000000ff";
const OWNER: &str = "5HrbNruPM9oLJNECYRXNFe3qko6YxfeuAnHJkJvrrNN6GUW7Uyc";
const ACTIVE: &str = "5KAQQqtyYccDekSEWunpznt8XUBggyVASYfZuNJpiLD5qxe4fkn";
const FAILOVER: &str = "5J9sDPTcQ2HbhtrBgy7RyyHxKJsaS1gx2vKJJJAyeT6mNCzb8Wf";

fn public(wif: &str) -> PublicKey {
    use slotkeeper::keys::Signer;
    SecretKey::from_wif(wif).unwrap().public_key()
}

/// The permissions of bpone: owner, active and, when it has links, failover.
fn account(failover: Option<&[&str]>) -> Value {
    let permission = |name: &str, parent: &str, wif: &str, links: &[&str]| {
        let links: Vec<Value> = links
            .iter()
            .map(|a| json!({"account": "eosio", "action": a}))
            .collect();
        json!({"perm_name": name, "parent": parent, "linked_actions": links, "required_auth": {
            "threshold": 1, "accounts": [], "waits": [],
            "keys": [{"key": public(wif).to_text("EOS"), "weight": 1}]}})
    };
    let mut all = vec![
        permission("owner", "", OWNER, &[]),
        permission("active", "owner", ACTIVE, &[]),
    ];
    all.extend(failover.map(|links| permission("failover", "active", FAILOVER, links)));
    json!({"account_name": "bpone", "permissions": all})
}

/// Answers like nodeos; `active` producers beside bpone, three in the schedule; keeps what is sent.
async fn nodeos(
    chain_id: &'static str,
    account: Value,
    others: usize,
) -> (Server, Arc<Mutex<Vec<Value>>>) {
    let sent: Arc<Mutex<Vec<Value>>> = Arc::default();
    let log = Arc::clone(&sent);
    let server = Server::start(move |seen: &Seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let row = |owner: &str| json!({"owner": owner, "total_votes": "1.5", "is_active": 1});
        let answer = match seen.path.rsplit('/').next().unwrap() {
            "get_info" => json!({
                "chain_id": chain_id, "head_block_num": 100, "head_block_time": "2026-11-21T08:00:00.500",
                "head_block_id": format!("00000064{}", "0".repeat(56)),
                "last_irreversible_block_num": 90,
                "last_irreversible_block_id": format!("0000005a{}", "ab".repeat(28))}),
            "get_account" => account.clone(),
            "get_producer_schedule" => json!({"active": {"version": 1, "producers": [{}, {}, {}]}}),
            "get_producers" => {
                let names = ["bptwo", "bpthree", "bpfour"];
                let rows: Vec<Value> = std::iter::once("bpone")
                    .chain(names.into_iter().take(others))
                    .map(row)
                    .collect();
                json!({"rows": rows, "more": ""})
            }
            _ => {
                log.lock().unwrap().push(body);
                let done = json!({"transaction_id": "00", "processed": {
                    "except": null, "receipt": {"status": "executed"}}});
                return Act::Keep("202 Accepted", done.to_string().into_bytes());
            }
        };
        Act::Keep("200 OK", answer.to_string().into_bytes())
    })
    .await;
    (server, sent)
}

/// A folder with the config and the key files.
fn house(url: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let keys = [OWNER, ACTIVE, FAILOVER].map(|wif| SecretKey::from_wif(wif).unwrap());
    for (name, key) in ["owner", "active", "failover"].into_iter().zip(&keys) {
        key_file::save_wif(&dir.path().join(format!("{name}.wif")), key, false).unwrap();
    }
    let config = format!(
        "chains: [{{name: jungle, protocol: antelope, chain_id: '{CHAIN_ID}', quorum: 1, endpoints: [{{url: '{url}'}}]}}]\n\
         producers:\n  - chain: jungle\n    name: bpone\n    keys:\n\
         \x20     - {{signing_key: EOS5YHnNgis74GWeARGtzkjYwfwLnvih4Y5fG5vHyPseKzomk9NSE, assume_ready: true}}\n\
         \x20     - {{signing_key: EOS7aDRDWUTLHKKdmJQYmReMFSrFmMP4rW4h5Qyx9KXVZuqgPCqQ1, assume_ready: true}}\n\
         \x20   authority: [{{method: regproducer, permission: bpone@failover, key_files: [failover.wif]}}]\n"
    );
    std::fs::write(dir.path().join("slotkeeper.yml"), config).unwrap();
    dir
}

async fn run(dir: &Path, args: &[&str]) -> Output {
    let config = dir.join("slotkeeper.yml").display().to_string();
    let mut all: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
    all.extend(["--config.file".to_owned(), config]);
    tokio::task::spawn_blocking(move || {
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        slotkeeper(&all, "")
    })
    .await
    .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_permission_is_printed_for_signing_elsewhere() {
    let (server, sent) = nodeos(CHAIN_ID, account(None), 3).await;
    let dir = house(&server.url());
    let out = run(dir.path(), &["producer", "permission", "jungle/bpone"]).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    let printed: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(printed["sign_with"], "bpone@active");
    let transaction = Transaction::from_json(&printed["transaction"]).unwrap();
    let chain_id: [u8; 32] = hex::decode_array(CHAIN_ID).unwrap();
    let digest = hex::encode(&transaction.digest(&chain_id));
    assert_eq!(printed["digest"], digest);
    let actions = printed["transaction"]["actions"].as_array().unwrap();
    let names: Vec<&str> = actions.iter().filter_map(|a| a["name"].as_str()).collect();
    assert_eq!(names, ["updateauth", "linkauth", "linkauth", "linkauth"]);
    let key = &actions[0]["data"]["auth"]["keys"][0]["key"];
    let key = PublicKey::parse(key.as_str().unwrap(), "EOS").unwrap();
    assert_eq!(key, public(FAILOVER), "that of the configured key file");
    assert!(sent.lock().unwrap().is_empty(), "nothing is sent");
    signed_as_printed(dir.path(), &text(&out.stdout));
    // What is linked already is left out: the chain refuses a link that stands.
    let (server, _) = nodeos(CHAIN_ID, account(Some(&["regproducer", "unregprod"])), 3).await;
    let dir = house(&server.url());
    let out = run(dir.path(), &["producer", "permission", "jungle/bpone"]).await;
    let printed: Value = serde_json::from_slice(&out.stdout).unwrap();
    let actions = printed["transaction"]["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 2, "{printed}");
    assert_eq!(actions[1]["data"]["type"], "regproducer2");
}

/// `tx sign` takes what was printed, and for the chain that it was printed for alone.
fn signed_as_printed(dir: &Path, printed: &str) {
    let key = dir.join("active.wif").display().to_string();
    let sign = ["tx", "sign", "--protocol", "antelope", "--key-file", &key];
    let out = slotkeeper(&sign, printed);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let signed: Value = serde_json::from_slice(&out.stdout).unwrap();
    let transaction = Transaction::from_json(&signed["transaction"]).unwrap();
    let chain_id: [u8; 32] = hex::decode_array(CHAIN_ID).unwrap();
    let signers = transaction.signers(&transaction.digest(&chain_id)).unwrap();
    assert_eq!(signers, [public(ACTIVE)]);
    let out = slotkeeper(&[&sign[..], &["--chain-id", CHAIN_ID]].concat(), printed);
    assert_eq!(text(&out.stdout), format!("{signed}\n"));
    let out = slotkeeper(&[&sign[..], &["--chain-id", OTHER]].concat(), printed);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stderr);
    assert!(said.contains("was made for the chain 73e4"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_sent_with_the_active_key_and_never_with_the_owner_key() {
    let (server, sent) = nodeos(CHAIN_ID, account(None), 3).await;
    let dir = house(&server.url());
    let command = async |file: &str| {
        let file = dir.path().join(file).display().to_string();
        let args = ["producer", "permission", "jungle/bpone", "--broadcast"];
        let key = ["--key-file", &file];
        run(dir.path(), &[&args[..], &key[..]].concat()).await
    };
    for (file, why) in [
        ("owner.wif", "is the owner key"),
        ("failover.wif", "is not an active key"),
    ] {
        let out = command(file).await;
        assert_eq!(out.status.code(), Some(1));
        let said = text(&out.stderr);
        assert!(said.contains(why), "{said}");
        assert!(!said.contains(OWNER), "{said}");
    }
    assert!(sent.lock().unwrap().is_empty());
    let out = command("active.wif").await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    let printed: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(printed["results"][0]["outcome"], "accepted");
    let bodies = sent.lock().unwrap().clone();
    assert_eq!(bodies.len(), 1);
    let transaction = Transaction::from_json(&bodies[0]["transaction"]).unwrap();
    let chain_id: [u8; 32] = hex::decode_array(CHAIN_ID).unwrap();
    let signers = transaction.signers(&transaction.digest(&chain_id)).unwrap();
    assert_eq!(signers, [public(ACTIVE)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_config_online_tells_what_suffices_what_lacks_and_what_is_too_much() {
    let all = ["regproducer", "regproducer2", "unregprod"];
    let more = ["regproducer", "regproducer2", "unregprod", "buyram"];
    for (failover, others, code, says) in [
        (
            Some(&all[..]),
            3,
            0,
            "may call what a switch needs and nothing else",
        ),
        (
            Some(&more[..]),
            3,
            0,
            "can do more than a switch needs (eosio::buyram)",
        ),
        (Some(&all[..2]), 3, 1, "may not call unregprod"),
        (None, 3, 1, "does not exist on chain"),
        (
            Some(&all[..]),
            2,
            0,
            "disabling cannot change the schedule now",
        ),
    ] {
        let (server, _) = nodeos(CHAIN_ID, account(failover), others).await;
        let dir = house(&server.url());
        let out = run(dir.path(), &["check-config", "--online"]).await;
        let said = text(&out.stdout);
        assert_eq!(out.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{says}: {said}");
    }
    let (server, _) = nodeos(OTHER, account(None), 3).await;
    let dir = house(&server.url());
    let out = run(dir.path(), &["check-config", "--online"]).await;
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stdout);
    assert!(
        said.contains("was not checked") && said.contains("serves another chain"),
        "{said}"
    );
    // Without --online nobody is asked.
    let out = run(dir.path(), &["check-config"]).await;
    assert!(out.status.success());
}
