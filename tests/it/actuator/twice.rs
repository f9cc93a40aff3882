//! Ways to make it switch twice, to a key nobody wants, or against a person: each was a suspicion first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use slotkeeper::actuator::{AlertSource, OperatorCommand, Stage, Standing, SubmitStatus, Verb};
use slotkeeper::clock::now_ms;
use slotkeeper::watch::{Fault, FaultClause, Readiness};

use super::life::{Life, config, config_of};
use super::world::{World, key, until};
use super::{command, open, stage, until_reason};

pub(super) const FAULT: Fault = Fault::Yes(FaultClause::Consecutive);

/// Lets the loop see some blocks.
pub(super) async fn steps(world: &World, n: usize) {
    for _ in 0..n {
        world.step();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Polls until `done`, without a new block.
pub(super) async fn settled(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(90), waiting).await;
    assert!(done.is_ok(), "never: {what}");
}

/// A switch from 1 to 2 that is signed and durable, but that no endpoint has heard of.
async fn signed_but_unheard(world: &Arc<World>, life: &Life) {
    world.with(|s| s.drop_broadcasts = true);
    life.alert(1).await.unwrap();
    settled("a broadcast is tried", || world.with(|s| s.broadcasts) > 0).await;
    assert_eq!(stage(life), Some(Stage::Signed));
}

#[tokio::test]
async fn what_was_signed_under_another_configuration_is_not_sent_under_this_one() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    signed_but_unheard(&world, &life).await;
    life.kill().await;
    world.with(|s| s.drop_broadcasts = false);
    // The machine of key 2 burns; its owner takes it out of the list.
    let life = Life::begin(&world, config_of(dir.path(), "alice", &[1, 3]), open(&dir)).await;
    let mut rounds = 0;
    while world.with(|s| s.key == key(1)) {
        life.alert(1).await.unwrap();
        steps(&world, 1).await;
        rounds += 1;
        assert!(rounds < 300, "never moved");
    }
    assert_eq!(world.with(|s| (s.switches.len(), s.key)), (1, key(3)));
    life.end().await;
}

#[tokio::test]
async fn a_producer_that_is_no_longer_configured_is_left_alone() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    signed_but_unheard(&world, &life).await;
    life.kill().await;
    world.with(|s| (s.drop_broadcasts, s.broadcasts) = (false, 0));
    let life = Life::begin(&world, config_of(dir.path(), "bob", &[1, 2, 3]), open(&dir)).await;
    steps(&world, 30).await;
    assert_eq!(world.with(|s| (s.broadcasts, s.key)), (0, key(1)));
    life.end().await;
}

#[tokio::test]
async fn a_standby_that_fell_ill_is_not_sent_for_again() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    signed_but_unheard(&world, &life).await;
    world.with(|s| {
        s.ready
            .insert(key(2), Readiness::NotReady("crashed".into()));
        s.drop_broadcasts = false;
    });
    let mut rounds = 0;
    while world.with(|s| s.key == key(1)) {
        life.alert(1).await.unwrap();
        steps(&world, 1).await;
        rounds += 1;
        assert!(rounds < 300, "never moved");
    }
    assert_eq!(world.with(|s| (s.switches.len(), s.key)), (1, key(3)));
    life.end().await;
}

#[derive(Default)]
struct Silencer(AtomicBool);

impl AlertSource for Silencer {
    fn standing<'a>(
        &'a self,
        _: &'a [(String, String)],
    ) -> std::pin::Pin<Box<dyn Future<Output = Standing> + Send + 'a>> {
        let silenced = self.0.load(Ordering::SeqCst);
        Box::pin(async move {
            if silenced {
                Standing::Suppressed("silence 7".into())
            } else {
                Standing::Active
            }
        })
    }
    fn cached_silence(&self, _: &str, _: &str, _: &str) -> Option<String> {
        let silenced = self.0.load(Ordering::SeqCst);
        silenced.then(|| "silence 7".to_owned())
    }
}

#[tokio::test]
async fn silenced_pinned_or_disarmed_after_signing_it_is_not_sent_again() {
    for how in ["silenced", "pinned", "disarmed"] {
        let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
        let alerts = Arc::new(Silencer::default());
        let life = Life::with_alerts(&world, config(dir.path()), open(&dir), alerts.clone()).await;
        signed_but_unheard(&world, &life).await;
        match how {
            "silenced" => alerts.0.store(true, Ordering::SeqCst),
            "pinned" => drop(life.handle.operate(command(Verb::Pin)).await.unwrap()),
            _ => life.handle.arm_all(false).await.unwrap(),
        }
        // One broadcast may be under way already.
        steps(&world, 1).await;
        world.with(|s| s.drop_broadcasts = false);
        steps(&world, 30).await;
        assert_eq!(world.with(|s| s.key), key(1), "{how}");
        life.end().await;
    }
}

#[tokio::test]
async fn an_alert_from_the_future_is_refused() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    life.alert_at(1, now_ms() + 3_600_000).await.unwrap();
    until_reason(&world, &life, "stale_alert").await;
    assert_eq!(world.with(|s| s.broadcasts), 0);
    // It does not stand in the way of a sane one.
    assert_eq!(life.alert(1).await, Ok(SubmitStatus::Accepted));
    until(&world, "switched", || world.with(|s| s.key == key(2))).await;
    life.end().await;
}

#[tokio::test]
async fn orders_given_at_once_all_hold() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    let until_then = OperatorCommand {
        until: Some(now_ms() + 3_600_000),
        ..command(Verb::Maintenance)
    };
    let (pin, disarm, maintenance) = tokio::join!(
        life.handle.operate(command(Verb::Pin)),
        life.handle.operate(command(Verb::Disarm)),
        life.handle.operate(until_then),
    );
    assert!(pin.is_ok() && disarm.is_ok() && maintenance.is_ok());
    let state = life.handle.state();
    {
        let state = state.borrow();
        let alice = state.producers.values().next().unwrap();
        assert!(alice.pinned, "the pin was lost");
        assert!(alice.armed.is_err(), "the disarm was lost");
        assert!(
            alice.maintenance_until.is_some(),
            "the maintenance was lost"
        );
    }
    life.end().await;
}

#[tokio::test]
async fn a_person_who_returns_to_a_key_we_once_set_is_noticed() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    life.alert(1).await.unwrap();
    until(&world, "over", || stage(&life) == Some(Stage::Irreversible)).await;
    let adopted = async |n: usize| {
        let counting = async {
            loop {
                let events = life.handle.history(100).await.unwrap();
                if events.iter().filter(|e| e.kind == "adopted").count() == n {
                    return;
                }
                world.step();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(90), counting).await;
        assert!(done.is_ok(), "not adopted {n} times");
    };
    world.with(|s| s.key = key(3));
    adopted(1).await;
    world.with(|s| s.key = key(2));
    adopted(2).await;
    // And it rests as after any switch: an hour later by chain time it would act, a moment later it does not.
    world.with(|s| s.fault = FAULT);
    life.alert(2).await.unwrap();
    until_reason(&world, &life, "cooldown").await;
    life.end().await;
}

#[tokio::test]
async fn a_lapsed_swap_is_signed_again_although_finality_stalls() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    world.with(|s| s.finality = 900);
    world.publish();
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    signed_but_unheard(&world, &life).await;
    let start = world.with(|s| s.time);
    until(&world, "lapsed", || world.with(|s| s.time) > start + 45_000).await;
    world.with(|s| s.drop_broadcasts = false);
    until(&world, "switched", || world.with(|s| s.key == key(2))).await;
    steps(&world, 20).await;
    assert_eq!(world.with(|s| s.switches.len()), 1);
    life.end().await;
}

/// The first command was given while nothing could be seen; a person has changed the key by the time it can.
#[tokio::test]
async fn a_command_that_had_to_wait_is_about_the_key_that_was_seen() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    steps(&world, 3).await;
    world.with(|s| s.quorum = false);
    steps(&world, 3).await;
    let now = OperatorCommand {
        override_reason: Some("it burns".into()),
        ..command(Verb::Failover)
    };
    let id = life.handle.operate(now).await.unwrap();
    world.with(|s| {
        s.key = key(3);
        s.quorum = true;
    });
    steps(&world, 20).await;
    let all = life.handle.decisions(Some(id), 1).await.unwrap();
    assert_eq!(all[0].reason, "fence_mismatch", "{:?}", all[0]);
    assert_eq!(world.with(|s| (s.broadcasts, s.key)), (0, key(3)));
    life.end().await;
}

/// Every pair of things that can go wrong at once, in one life after another: at most one transaction lands for a fault.
#[tokio::test]
async fn whatever_is_lost_between_restarts_one_fault_is_one_switch() {
    for seed in 0..12_u32 {
        let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
        for life in 0..4_u32 {
            let bits = seed.wrapping_mul(2_654_435_761).rotate_left(life * 7);
            world.with(|s| {
                s.drop_broadcasts = bits & 1 != 0;
                s.lose_replies = bits & 2 != 0;
                s.quorum = bits & 4 == 0;
            });
            world.publish();
            let now = Life::begin(&world, config(dir.path()), open(&dir)).await;
            for _ in 0..(bits >> 3 & 7) {
                if world.with(|s| s.fault != Fault::No) {
                    now.alert(1).await.unwrap();
                }
                steps(&world, 1).await;
            }
            now.kill().await;
        }
        world.with(|s| (s.drop_broadcasts, s.lose_replies, s.quorum) = (false, false, true));
        let last = Life::begin(&world, config(dir.path()), open(&dir)).await;
        let mut rounds = 0;
        while world.with(|s| s.key == key(1)) {
            last.alert(1).await.unwrap();
            steps(&world, 1).await;
            rounds += 1;
            assert!(rounds < 300, "seed {seed}: never moved");
        }
        steps(&world, 20).await;
        assert_eq!(
            world.with(|s| (s.switches.len(), s.key)),
            (1, key(2)),
            "seed {seed}"
        );
        last.end().await;
    }
}
