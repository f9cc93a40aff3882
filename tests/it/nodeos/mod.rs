//! A real nodeos network.

mod truth;

use slotkeeper::demo::nodeos::{Network, Package};

/// The package, or a message that nobody overlooks: written past the capture of the test's output.
fn package() -> Option<Package> {
    let place = Package::usual_place(std::path::Path::new(env!("CARGO_MANIFEST_DIR")));
    match Package::find(&place) {
        Ok(package) => Some(package),
        Err(e) => {
            use std::io::Write;
            let text = format!("\n!!!!!!!! SKIPPED: a test on a real nodeos network: {e} !!!!!!!!\n\n");
            let _ = std::io::stderr().write_all(text.as_bytes());
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up() {
    let Some(package) = package() else { return };
    let t = slotkeeper::clock::Stopwatch::start();
    let network = Network::start(package).await.unwrap();
    eprintln!("up after {:?}", t.elapsed());
    for n in [1u64, 2, 8, 20, 40] {
        let b = network.ask("H", "get_block", &serde_json::json!({"block_num_or_id": n})).await.unwrap();
        let mut b = b; if b["transactions"].as_array().is_some_and(|t| !t.is_empty()) { b["transactions"] = "some".into(); }
        eprintln!("{b}");
    }
    eprintln!("{}", network.ask("H", "get_producer_schedule", &serde_json::json!({})).await.unwrap());
    eprintln!("{}", network.ask("H", "get_account", &serde_json::json!({"account_name":"bpone"})).await.unwrap()["permissions"]);
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let i = network.info("H").await.unwrap();
        let s = network.ask("H", "get_producer_schedule", &serde_json::json!({})).await.unwrap();
        eprintln!("{} {} {} v{} p{} {}", i["head_block_num"], i["head_block_producer"], i["last_irreversible_block_num"], s["active"]["version"], s["pending"].is_null(), s["proposed"].is_null());
    }
    for n in 1..80u64 {
        let b = network.ask("H", "get_block", &serde_json::json!({"block_num_or_id": n})).await.unwrap();
        if b["header_extensions"].is_array() || !b["new_producers"].is_null() {eprintln!("{n} {} {} {}", b["schedule_version"], b["header_extensions"], b["new_producers"]);}
    }
}
