//! The actuator on a chain in memory: one switch, whatever is lost, repeated or killed in between.

mod disk;
mod life;
mod orders;
mod twice;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use slotkeeper::actuator::{Journal, OperatorCommand, SqliteJournal, Stage, SubmitStatus, Verb};
use slotkeeper::clock::now_ms;
use slotkeeper::watch::{Fault, FaultClause};

use life::{Dying, Life, config};
use world::{World, key, until, webhook};

fn open(dir: &tempfile::TempDir) -> Arc<SqliteJournal> {
    Arc::new(SqliteJournal::open(&dir.path().join("s.db")).unwrap())
}

fn stage(life: &Life) -> Option<Stage> {
    let state = life.handle.state();
    let state = state.borrow();
    let alice = state.producers.values().next()?;
    alice.attempt.as_ref().map(|a| a.stage)
}

/// Steps the world until the newest decision has this reason.
async fn until_reason(world: &World, life: &Life, reason: &str) {
    let waiting = async {
        while life.last_reason().await != reason {
            world.step();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(90), waiting).await;
    assert!(done.is_ok(), "never {reason}: {}", life.last_reason().await);
}

fn command(verb: Verb) -> OperatorCommand {
    OperatorCommand {
        chain: "steem".into(),
        producer: "alice".into(),
        verb,
        to: None,
        until: None,
        override_reason: None,
    }
}

#[tokio::test]
async fn one_fault_one_switch_followed_to_irreversible() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    assert_eq!(life.alert(1).await, Ok(SubmitStatus::Accepted));
    until(&world, "irreversible", || {
        stage(&life) == Some(Stage::Irreversible)
    })
    .await;
    assert_eq!(world.with(|s| s.switches.len()), 1);
    assert_eq!(world.with(|s| s.key), key(2));
    // The same alert lingers: answered already.
    assert_eq!(life.alert(1).await, Ok(SubmitStatus::Duplicate));
    let events = life.handle.history(50).await.unwrap();
    let mut kinds: Vec<&str> = events.iter().map(|e| e.kind.as_str()).collect();
    kinds.reverse();
    assert_eq!(
        kinds,
        [
            "decided",
            "signed",
            "sent",
            "included",
            "effective",
            "irreversible"
        ]
    );
    let decisions = life.handle.decisions(None, 10).await.unwrap();
    assert_eq!(decisions[0].verdict, "act");
    assert_eq!(decisions[0].interlocks.len(), 22);
    assert_eq!(
        decisions[0].attempt.as_ref().map(|a| a.stage),
        Some(Stage::Irreversible)
    );
    life.end().await;
}

#[tokio::test]
async fn a_thousand_copies_fifty_at_a_time_and_again_after_a_restart() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    for life in 0..2 {
        let life_now = Life::begin(&world, config(dir.path()), open(&dir)).await;
        let at = now_ms();
        let mut sending = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let handle = life_now.handle.clone();
            sending.spawn(async move {
                for _ in 0..20 {
                    handle.submit(vec![webhook(1, at)]).await.unwrap();
                }
            });
        }
        while sending.join_next().await.is_some() {}
        until(&world, "switched", || world.with(|s| s.key == key(2))).await;
        if life == 0 {
            life_now.kill().await;
        } else {
            until(&world, "over", || {
                stage(&life_now) == Some(Stage::Irreversible)
            })
            .await;
            life_now.end().await;
        }
    }
    assert_eq!(world.with(|s| s.switches.len()), 1);
}

/// SIGKILL right after, and right before, every single write of the journal.
#[tokio::test]
async fn dying_at_every_write_still_makes_exactly_one_switch() {
    for durable in [true, false] {
        for n in 1.. {
            let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
            let dying = Arc::new(Dying {
                inner: SqliteJournal::open(&dir.path().join("s.db")).unwrap(),
                left: AtomicUsize::new(n + 1), // the seed of the arm state comes first
                durable,
                dead: AtomicBool::new(false),
            });
            let first = Life::begin(
                &world,
                config(dir.path()),
                Arc::clone(&dying) as Arc<dyn Journal>,
            )
            .await;
            // The sender may never hear back from a process that dies.
            let _ = tokio::time::timeout(Duration::from_millis(200), first.alert(1)).await;
            let mut over = false;
            for _ in 0..60 {
                if dying.dead.load(Ordering::SeqCst) {
                    break;
                }
                over = stage(&first) == Some(Stage::Irreversible);
                world.step();
                tokio::time::sleep(Duration::from_millis(4)).await;
                if over {
                    break;
                }
            }
            // What was handed to the disk gets there; then the power goes.
            let _ = dying.inner.kv_all("x").await;
            first.kill().await;
            drop(dying);
            if over {
                assert!(
                    n > 4,
                    "the switch took only {n} writes: is this test still testing?"
                );
                break; // it lived through the whole switch
            }
            let second = Life::begin(&world, config(dir.path()), open(&dir)).await;
            let mut rounds = 0;
            while world.with(|s| s.switches.is_empty())
                || stage(&second) != Some(Stage::Irreversible)
            {
                if world.with(|s| s.key == key(1)) {
                    second.alert(1).await.unwrap(); // the fault stands, so it is presented again
                }
                world.step();
                tokio::time::sleep(Duration::from_millis(4)).await;
                rounds += 1;
                assert!(
                    rounds < 400,
                    "write {n} durable {durable}: {:?}",
                    stage(&second)
                );
            }
            for _ in 0..30 {
                world.step();
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            assert_eq!(
                world.with(|s| s.switches.len()),
                1,
                "write {n} durable {durable}"
            );
            second.end().await;
        }
    }
}

#[tokio::test]
async fn lost_replies_are_read_back_from_the_chain() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    world.with(|s| s.lose_replies = true);
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    life.alert(1).await.unwrap();
    until(&world, "irreversible", || {
        stage(&life) == Some(Stage::Irreversible)
    })
    .await;
    assert_eq!(world.with(|s| s.switches.len()), 1);
    life.end().await;
}

#[tokio::test]
async fn dropped_broadcasts_are_repeated_then_signed_again_after_expiry() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    world.with(|s| s.drop_broadcasts = true);
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    life.alert(1).await.unwrap();
    // Past the first transaction's 30 s of chain time, the network lets us through again.
    let start = world.with(|s| s.time);
    until(&world, "lapsed", || world.with(|s| s.time) > start + 45_000).await;
    assert!(
        world.with(|s| s.broadcasts) > 3,
        "the same bytes are sent again each tick"
    );
    world.with(|s| s.drop_broadcasts = false);
    until(&world, "switched", || world.with(|s| s.key == key(2))).await;
    until(&world, "irreversible", || {
        stage(&life) == Some(Stage::Irreversible)
    })
    .await;
    assert_eq!(world.with(|s| s.switches.len()), 1);
    life.end().await;
}

#[tokio::test]
async fn no_quorum_waits_and_switches_once_it_is_back() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    world.with(|s| s.quorum = false);
    world.publish();
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    for _ in 0..20 {
        assert_eq!(life.alert(1).await, Ok(SubmitStatus::Accepted));
        world.step();
    }
    let reader = life.handle.clone();
    let decided = async {
        while reader.decisions(None, 5).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), decided)
        .await
        .unwrap();
    assert_eq!(life.last_reason().await, "no_quorum");
    let decisions = life.handle.decisions(None, 100).await.unwrap();
    assert_eq!(
        decisions.len(),
        1,
        "journaled when the reason changes, not each tick"
    );
    until(&world, "unable", || {
        let state = life.handle.state();
        state.borrow().producers.values().all(|p| p.able.is_err())
    })
    .await;
    assert_eq!(world.with(|s| s.broadcasts), 0);
    world.with(|s| s.quorum = true);
    until(&world, "switched", || world.with(|s| s.key == key(2))).await;
    life.end().await;
}

#[tokio::test]
async fn an_alert_for_a_key_that_came_back_is_looked_at_and_not_corroborated() {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let life = Life::begin(&world, config(dir.path()), open(&dir)).await;
    life.alert(1).await.unwrap();
    until(&world, "over", || stage(&life) == Some(Stage::Irreversible)).await;
    // A person goes back to the first key: adopted, no latch, but the old alert finds no fault in the new tenure.
    world.with(|s| s.key = key(1));
    let adopted = || {
        let events = life.handle.history(50);
        async move { events.await.unwrap().iter().any(|e| e.kind == "adopted") }
    };
    let mut rounds = 0;
    while !adopted().await {
        world.step();
        rounds += 1;
        assert!(rounds < 200, "never adopted");
    }
    assert_eq!(life.alert(1).await, Ok(SubmitStatus::Accepted));
    until_reason(&world, &life, "not_corroborated").await;
    // A real fault of it is acted on, after the rest that the adoption began.
    world.with(|s| s.fault = Fault::Yes(FaultClause::Consecutive));
    life.alert(1).await.unwrap();
    until(&world, "switched again", || {
        world.with(|s| s.switches.len() == 2)
    })
    .await;
    life.end().await;
}

#[tokio::test]
async fn two_instances_with_equal_settings_never_ping_pong() {
    let (one, two, world) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        World::new(),
    );
    let a = Life::begin(&world, config(one.path()), open(&one)).await;
    let b = Life::begin(&world, config(two.path()), open(&two)).await;
    for _ in 0..60 {
        for life in [&a, &b] {
            life.alert(1).await.unwrap();
        }
        world.step();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.with(|s| (s.switches.len(), s.key)), (1, key(2)));
    a.end().await;
    b.end().await;
}
