//! A real nodeos network.

mod truth;

use slotkeeper::demo::nodeos::{Network, Package};

use truth::Truth;

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
    let mut network = Network::start(package).await.unwrap();
    eprintln!("up after {:?}", t.elapsed());
    tokio::time::sleep(std::time::Duration::from_secs(25)).await;
    network.crash("B1").await.unwrap();
    eprintln!("crashed after {:?}", t.elapsed());
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    network.restart("B1").await.unwrap();
    eprintln!("back after {:?}", t.elapsed());
    tokio::time::sleep(std::time::Duration::from_secs(24)).await;
    let mut truth = Truth::new();
    truth.read(&network, "B1").await;
    eprintln!("read after {:?}", t.elapsed());
    for s in truth.slots_after(0) { if s.block.is_none() {eprint!("{}:{} ", s.number, s.producer);} }
    eprintln!("{:?}", truth.figures("bpone", &slotkeeper::demo::nodeos::keys::public("A").unwrap(), 0));
    eprintln!("{:?}", truth.registrations_after(0));
}
