//! The list of faults, what must show each of them, and what every story of it needs.

use slotkeeper::chain::Protocol;
use slotkeeper::devnet::Fault;

use crate::rig::{Rig, series};

/// A fault by name, and what must show it: the name of the metric and the test its value must pass.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) fault: Fault,
    pub(super) shows: fn(&str, &str) -> bool,
}

fn down(page: &str, label: &str) -> bool {
    series(page, "slotkeeper_rpc_up", &[label]) == Some(0.0)
}

fn behind(page: &str, label: &str) -> bool {
    series(page, "slotkeeper_rpc_head_lag_blocks", &[label]).is_some_and(|lag| lag >= 2.0)
        || down(page, label)
}

fn wrong_chain(page: &str, label: &str) -> bool {
    series(page, "slotkeeper_rpc_chain_id_match", &[label]) == Some(0.0)
}

/// A dip of the node's own counter is no fault of the transport: it must not show as one, and must cost nothing.
fn nothing(page: &str, label: &str) -> bool {
    series(page, "slotkeeper_rpc_up", &[label]) == Some(1.0)
}

/// Every fault that one endpoint can show on this chain.
pub(super) fn cases(protocol: Protocol) -> Vec<Case> {
    let case = |name, fault, shows| Case { name, fault, shows };
    let dip = match protocol {
        Protocol::Antelope => Fault::UnpaidDip { by: 5 },
        _ => Fault::TotalMissedDip { by: 5 },
    };
    vec![
        case("refused", Fault::Refused, down),
        case("black hole", Fault::BlackHole, down),
        case("slow drip", Fault::SlowDrip { byte_ms: 20 }, down),
        case("tls failure", Fault::TlsFailure, down),
        case(
            "429",
            Fault::HttpStatus {
                status: 429,
                retry_after: Some(1),
            },
            down,
        ),
        case(
            "503",
            Fault::HttpStatus {
                status: 503,
                retry_after: None,
            },
            down,
        ),
        case("html", Fault::Html, down),
        case("truncated json", Fault::TruncatedJson, down),
        case("huge body", Fault::HugeBody { bytes: 100_000_000 }, down),
        case("wrong chain id", Fault::WrongChainId, wrong_chain),
        case("stale head", Fault::StaleHead { blocks: 20 }, behind),
        case("frozen head", Fault::FrozenHead, behind),
        case("minority fork", Fault::MinorityFork { back: 1 }, behind),
        case("counter dip", dip, nothing),
        case(
            "redirect to https",
            Fault::RedirectHttps { status: 301 },
            down,
        ),
    ]
}

/// Most faults show at once; another chain id is asked for only every so often.
pub(super) async fn until_visible(case: &Case, rig: &Rig, label: &str) {
    let watch = slotkeeper::clock::Stopwatch::start();
    loop {
        let page = rig.metrics().await;
        if (case.shows)(&page, label) {
            return;
        }
        assert!(
            watch.elapsed() < crate::rig::PATIENCE,
            "{}: never visible for {label}:\n{}",
            case.name,
            rpc_lines(&page)
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn rpc_lines(page: &str) -> String {
    page.lines()
        .filter(|l| l.starts_with("slotkeeper_rpc_") && !l.contains("_bucket"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// At most this many stories at once: two cores.
const AT_ONCE: usize = 5;

pub(super) async fn all(stories: Vec<impl Future<Output = ()> + Send + 'static>) {
    let permits = std::sync::Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut running = tokio::task::JoinSet::new();
    for story in stories {
        let permits = permits.clone();
        running.spawn(async move {
            let _permit = permits.acquire_owned().await.expect("open");
            story.await;
        });
    }
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// Waits for a decision of this reason, whoever asked.
pub(super) async fn until_reason(rig: &Rig, reason: &str) {
    let watch = slotkeeper::clock::Stopwatch::start();
    loop {
        let answer = rig.get("/api/v1/decisions").await;
        let decisions = answer["decisions"].as_array();
        if decisions.is_some_and(|all| all.iter().any(|one| one["reason"] == reason)) {
            return;
        }
        assert!(
            watch.elapsed() < crate::rig::PATIENCE,
            "never {reason}: {answer}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// The newest decision of a request, once there is one.
pub(super) async fn decided(rig: &Rig, request_id: &str) -> serde_json::Value {
    let path = format!("/api/v1/decisions?request_id={request_id}");
    let watch = slotkeeper::clock::Stopwatch::start();
    loop {
        let answer = rig.get(&path).await;
        if let Some(newest) = answer["decisions"].get(0) {
            return newest.clone();
        }
        assert!(
            watch.elapsed() < crate::rig::PATIENCE,
            "{request_id}: not decided"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
