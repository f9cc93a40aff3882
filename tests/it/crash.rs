//! SIGKILL at every journal step, then restart: exactly one switch on chain, the attempt completed or proven expired.

use crate::rig::{ALICE, Rig, RigConfig, free_ports};
use crate::webhooks::failover;

/// Every step after which the process kills itself (debug builds only), in the order of a switch.
const STEPS: [&str; 8] = [
    "request",
    "decision",
    "signed",
    "before-send",
    "sent",
    "included",
    "effective",
    "irreversible",
];

async fn killed_after(step: &'static str, seed: u64) {
    let rig = Rig::without_app(RigConfig {
        seed,
        ports: free_ports(),
        extra: "guard: {mode: off}".into(),
        // Armed by hand: `armed: true` with a fresh state file holds off for two minutes.
        actuator: "armed: false".into(),
        ..RigConfig::default()
    })
    .await;
    let mut doomed = rig.spawn_process(&[("SLOTKEEPER_CRASH_AFTER", step)]);
    rig.until_status("able", |s| s["producers"][0]["able"] == true)
        .await;
    let (code, _) = rig.post("/api/v1/arm", &serde_json::json!({})).await;
    assert!(code < 300, "{code}");
    rig.until_able().await;
    rig.devnet.crash_node("A").expect("crash");
    rig.until_status("the fault stands", |s| {
        s["producers"][0]["consecutive_missed"].as_u64() >= Some(1)
    })
    .await;
    // The alert is presented until the process is dead; it may die before it can answer.
    let body = failover(&rig.key("A"), ALICE);
    let watch = slotkeeper::clock::Stopwatch::start();
    let status = loop {
        let _ = rig.try_post("/api/v1/alertmanager", &body).await;
        if let Ok(Some(status)) = doomed.try_wait() {
            break status;
        }
        assert!(
            watch.elapsed() < crate::rig::PATIENCE,
            "{step}: did not die\n{}",
            rig.log()
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert!(!status.success(), "{step}: ended in order");

    let mut second = rig.spawn_process(&[]);
    let standby = rig.key("B");
    let watch = slotkeeper::clock::Stopwatch::start();
    while rig.registered() != standby {
        // Alertmanager goes on presenting the alert.
        let _ = rig
            .try_post("/api/v1/alertmanager", &failover(&rig.key("A"), ALICE))
            .await;
        assert!(
            watch.elapsed() < crate::rig::PATIENCE,
            "{step}: never moved\n{}",
            rig.log()
        );
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    rig.until_status("the attempt is over", |status| {
        status["producers"][0]["attempt"]["stage"] == "irreversible"
    })
    .await;
    rig.slots_of_alice(3).await;
    assert_eq!(
        rig.switches().len(),
        1,
        "{step}: exactly one switch\n{}",
        rig.log()
    );
    assert_eq!(rig.registered(), standby, "{step}");
    let _ = second.kill().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_journal_step_it_switches_once() {
    let mut running = tokio::task::JoinSet::new();
    for (i, step) in STEPS.into_iter().enumerate() {
        running.spawn(killed_after(step, 200 + i as u64));
        if running.len() >= 4 {
            finish_one(&mut running).await;
        }
    }
    while !running.is_empty() {
        finish_one(&mut running).await;
    }
}

async fn finish_one(running: &mut tokio::task::JoinSet<()>) {
    if let Some(Err(error)) = running.join_next().await {
        std::panic::resume_unwind(error.into_panic());
    }
}
