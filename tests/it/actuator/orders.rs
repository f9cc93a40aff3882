//! What people say to the actuator: keys set by hand, disarmed, pinned, in maintenance, silenced; and operators' commands.

use std::sync::Arc;
use std::time::Duration;

use slotkeeper::actuator::{AlertSource, OperateError, OperatorCommand, Stage, Standing, Verb};
use slotkeeper::clock::now_ms;
use slotkeeper::keys::PublicKey;
use slotkeeper::watch::{Fault, FaultClause};

use super::life::{Life, config};
use super::world::{World, key, until, webhook};
use super::{command, open, stage, until_reason};

#[tokio::test]
async fn an_operators_null_or_foreign_key_is_never_undone() {
    for chosen in [PublicKey::NULL, key(77)] {
        let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
        world.with(|s| s.fault = Fault::No);
        world.publish();
        let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
        for _ in 0..5 {
            world.step();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.with(|s| {
            s.key = chosen;
            s.fault = Fault::Yes(FaultClause::Consecutive);
        });
        for (n, reason) in [(1, "fence_mismatch"), (77, "operator_override")] {
            if n == 77 && chosen.is_null() {
                continue; // nobody can blame the null key: its alert would have no such fence
            }
            life.alert(n).await.unwrap();
            until_reason(&world, &life, reason).await;
        }
        assert_eq!(world.with(|s| (s.key, s.broadcasts)), (chosen, 0));
        let events = life.handle.history(50).await.unwrap();
        assert!(events.iter().any(|e| e.kind == "operator_override"));
        life.end().await;
    }
}

#[tokio::test]
async fn disarmed_pinned_and_maintenance_send_nothing_until_lifted() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    life.handle.arm_all(false).await.unwrap();
    life.handle.operate(command(Verb::Pin)).await.unwrap();
    let until_then = OperatorCommand {
        until: Some(now_ms() + 3_600_000),
        ..command(Verb::Maintenance)
    };
    life.handle.operate(until_then).await.unwrap();
    life.alert(1).await.unwrap();
    let lifts = [
        ("disarmed", None),
        ("pinned", Some(Verb::Unpin)),
        ("maintenance", Some(Verb::Maintenance)),
    ];
    for (reason, lift) in lifts {
        until_reason(&world, &life, reason).await;
        assert_eq!(world.with(|s| s.broadcasts), 0);
        match lift {
            None => life.handle.arm_all(true).await.unwrap(),
            Some(verb) => drop(life.handle.operate(command(verb)).await.unwrap()),
        }
    }
    until(&world, "switched", || world.with(|s| s.key == key(2))).await;
    life.end().await;
}

#[tokio::test]
async fn operators_rehearse_switch_and_are_told_what_is_wrong() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    world.with(|s| s.fault = Fault::No);
    world.publish();
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    let decided = |id: String| {
        let handle = life.handle.clone();
        async move {
            loop {
                let all = handle.decisions(Some(id.clone()), 1).await.unwrap();
                if let Some(d) = all.first() {
                    return d.clone();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    world.step();
    let id = life.handle.operate(command(Verb::Rehearse)).await.unwrap();
    let d = tokio::time::timeout(Duration::from_secs(90), decided(id))
        .await
        .unwrap();
    assert_eq!((d.verdict.as_str(), d.reason.as_str()), ("act", "ok"));
    assert!(d.note.unwrap().starts_with("rehearsed: transaction "));
    assert_eq!(world.with(|s| s.broadcasts), 0);

    world.step();
    let id = life.handle.operate(command(Verb::Failover)).await.unwrap();
    let d = tokio::time::timeout(Duration::from_secs(90), decided(id))
        .await
        .unwrap();
    assert_eq!(
        (d.verdict.as_str(), d.reason.as_str()),
        ("refuse", "not_corroborated")
    );
    let foreign = OperatorCommand {
        to: Some(key(50)),
        ..command(Verb::Switchover)
    };
    assert!(matches!(
        life.handle.operate(foreign).await,
        Err(OperateError::Invalid(_))
    ));
    let nobody = OperatorCommand {
        producer: "bob".into(),
        ..command(Verb::Failover)
    };
    assert!(matches!(
        life.handle.operate(nobody).await,
        Err(OperateError::UnknownProducer(_))
    ));
    world.step();
    let planned = OperatorCommand {
        to: Some(key(3)),
        ..command(Verb::Switchover)
    };
    life.handle.operate(planned).await.unwrap();
    until(&world, "switched over", || world.with(|s| s.key == key(3))).await;
    until(&world, "effective", || {
        stage(&life) >= Some(Stage::Effective)
    })
    .await;
    let state = life.handle.state();
    let budget = state
        .borrow()
        .producers
        .values()
        .next()
        .unwrap()
        .budget_remaining;
    assert_eq!(budget, 3, "operators spend no budget");
    life.end().await;
}

struct Silenced;

impl AlertSource for Silenced {
    fn standing<'a>(
        &'a self,
        _: &'a [(String, String)],
    ) -> std::pin::Pin<Box<dyn Future<Output = Standing> + Send + 'a>> {
        Box::pin(async { Standing::Suppressed("silence 7, by ops".into()) })
    }
    fn cached_silence(&self, _: &str, _: &str, _: &str) -> Option<String> {
        Some("silence 7, by ops".into())
    }
}

#[tokio::test]
async fn a_silence_keeps_webhook_and_guard_still() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let alerts = Arc::new(Silenced);
    let life = Life::with_alerts(&world, config(dir.path()), open(&dir), alerts).await;
    life.alert(1).await.unwrap();
    until_reason(&world, &life, "alert_not_active").await;
    let guard = slotkeeper::actuator::Incoming {
        cause: slotkeeper::actuator::Cause::Guard,
        ..webhook(1, now_ms())
    };
    life.handle.submit(vec![guard]).await.unwrap();
    until_reason(&world, &life, "maintenance").await;
    assert_eq!(world.with(|s| s.broadcasts), 0);
    life.end().await;
}
