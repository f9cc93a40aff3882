//! A disk that stalls, is full, or loses writes: what was ordered holds, nothing is sent twice, nobody is overruled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use slotkeeper::actuator::journal::{Entry, Loaded, Soon};
use slotkeeper::actuator::{
    DecisionRecord, EventRecord, Journal, JournalError, SqliteJournal, Stage, SubmitStatus, Verb,
};
use slotkeeper::clock::now_ms;
use slotkeeper::keys::PublicKey;

use super::life::{Life, config};
use super::twice::{FAULT, settled, steps};
use super::world::{World, key, until, webhook};
use super::{command, stage};

/// A journal that can be told to fail, or to take its time.
struct Ailing {
    inner: SqliteJournal,
    failing: AtomicBool,
    /// Writes of attempts and of the arm state wait until this is false.
    slow: AtomicBool,
    /// Writes are lost, and their writers told so when `tell` is set.
    losing: AtomicBool,
    lost: AtomicBool,
    tell: AtomicBool,
}

impl Ailing {
    fn open(dir: &tempfile::TempDir) -> Arc<Self> {
        Arc::new(Self {
            inner: SqliteJournal::open(&dir.path().join("s.db")).unwrap(),
            failing: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            losing: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            tell: AtomicBool::new(false),
        })
    }
}

/// Shared, so that a slow write can wait for its own flag.
struct Shared(Arc<Ailing>);

impl Journal for Shared {
    fn write(&self, entries: Vec<Entry>) -> Soon<'static, Result<(), JournalError>> {
        if self.0.failing.load(Ordering::SeqCst) {
            return Box::pin(async { Err(JournalError::Io("disk full".into())) });
        }
        let attempt = entries
            .iter()
            .any(|e| matches!(e, Entry::Attempt(_) | Entry::Arm(_)));
        let ailing = Arc::clone(&self.0);
        if ailing.losing.load(Ordering::SeqCst) {
            ailing.lost.store(true, Ordering::SeqCst);
            return Box::pin(async move {
                while !ailing.tell.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(JournalError::Io("disk full".into()))
            });
        }
        let written = self.0.inner.write(entries);
        Box::pin(async move {
            while attempt && ailing.slow.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            written.await
        })
    }
    fn load(&self) -> Result<Loaded, JournalError> {
        self.0.inner.load()
    }
    fn decisions(
        &self,
        id: Option<String>,
        limit: usize,
    ) -> Soon<'static, Result<Vec<DecisionRecord>, JournalError>> {
        self.0.inner.decisions(id, limit)
    }
    fn events(&self, limit: usize) -> Soon<'static, Result<Vec<EventRecord>, JournalError>> {
        self.0.inner.events(limit)
    }
    fn ledger(&self, chain: &str) -> Soon<'static, Result<Vec<(String, String)>, JournalError>> {
        self.0.inner.ledger(chain)
    }
    fn kv_all(
        &self,
        kind: &str,
    ) -> Soon<'static, Result<Vec<(String, serde_json::Value)>, JournalError>> {
        self.0.inner.kv_all(kind)
    }
    fn writable(&self) -> bool {
        self.0.inner.writable()
    }
    fn write_failures(&self) -> u64 {
        self.0.inner.write_failures()
    }
}

/// A life on such a journal, in good health so far.
async fn begin() -> (tempfile::TempDir, Arc<World>, Arc<Ailing>, Life) {
    let (dir, world) = (tempfile::tempdir().unwrap(), World::new());
    let journal = Ailing::open(&dir);
    let shared = Arc::new(Shared(Arc::clone(&journal)));
    let life = Life::begin(&world, config(dir.path()), shared).await;
    (dir, world, journal, life)
}

#[tokio::test]
async fn a_person_who_acts_while_the_disk_stalls_is_not_overruled() {
    let (_dir, world, journal, life) = begin().await;
    journal.slow.store(true, Ordering::SeqCst);
    life.alert(1).await.unwrap();
    // The attempt is on its way to the disk when a person disables production by hand.
    let reader = life.handle.clone();
    let signed = async {
        while !reader
            .history(10)
            .await
            .unwrap()
            .iter()
            .any(|e| e.kind == "signed")
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), signed)
        .await
        .unwrap();
    world.with(|s| s.key = PublicKey::NULL);
    steps(&world, 2).await;
    journal.slow.store(false, Ordering::SeqCst);
    steps(&world, 30).await;
    assert_eq!(world.with(|s| (s.broadcasts, s.key)), (0, PublicKey::NULL));
    life.end().await;
}

/// The caller's connection breaks while the disk is slow: the order holds all the same, and what forbids holds at once.
#[tokio::test]
async fn an_order_whose_caller_hung_up_is_carried_out() {
    let (_dir, world, journal, life) = begin().await;
    journal.slow.store(true, Ordering::SeqCst);
    let moment = Duration::from_millis(50);
    for verb in [Verb::Pin, Verb::Disarm] {
        let order = life.handle.operate(command(verb));
        assert!(
            tokio::time::timeout(moment, order).await.is_err(),
            "{verb:?}"
        );
        life.alert(1).await.unwrap();
    }
    let all = life.handle.arm_all(false);
    assert!(tokio::time::timeout(moment, all).await.is_err());
    steps(&world, 10).await;
    assert_eq!(
        world.with(|s| s.broadcasts),
        0,
        "pinned before the disk knows"
    );
    journal.slow.store(false, Ordering::SeqCst);
    settled("all orders hold", || {
        let state = life.handle.state();
        let state = state.borrow();
        let alice = state.producers.values().next().unwrap();
        alice.pinned && !state.armed
    })
    .await;
    life.handle.arm_all(true).await.unwrap();
    life.handle.operate(command(Verb::Unpin)).await.unwrap();
    steps(&world, 10).await;
    assert_eq!(
        world.with(|s| s.broadcasts),
        0,
        "its own disarm still holds"
    );
    life.end().await;
}

/// The first presentation's write is lost while the second's is taken: what was answered "accepted" is not forgotten.
#[tokio::test]
async fn a_lost_write_of_one_presentation_does_not_take_back_another() {
    let (_dir, world, journal, life) = begin().await;
    world.with(|s| s.quorum = false);
    world.publish();
    journal.losing.store(true, Ordering::SeqCst);
    let handle = life.handle.clone();
    let first = tokio::spawn(async move { handle.submit(vec![webhook(1, now_ms())]).await });
    settled("the first is on its way", || {
        journal.lost.load(Ordering::SeqCst)
    })
    .await;
    journal.losing.store(false, Ordering::SeqCst);
    assert_eq!(life.alert(1).await, Ok(SubmitStatus::Accepted));
    journal.tell.store(true, Ordering::SeqCst);
    assert!(first.await.unwrap().is_err());
    world.with(|s| s.quorum = true);
    until(&world, "switched", || world.with(|s| s.key == key(2))).await;
    life.end().await;
}

#[tokio::test]
async fn a_disk_that_was_full_for_a_moment_does_not_block_the_next_switch() {
    let (_dir, world, journal, life) = begin().await;
    life.alert(1).await.unwrap();
    until(&world, "effective", || {
        stage(&life) >= Some(Stage::Effective)
    })
    .await;
    journal.failing.store(true, Ordering::SeqCst);
    let open_attempts = || {
        let state = life.handle.state();
        let state = state.borrow();
        state
            .producers
            .values()
            .map(|p| p.open_attempts)
            .sum::<u64>()
    };
    until(&world, "closed, in memory only", || open_attempts() == 0).await;
    journal.failing.store(false, Ordering::SeqCst);
    world.with(|s| s.fault = FAULT);
    let mut rounds = 0;
    while world.with(|s| s.key == key(2)) {
        life.alert(2).await.unwrap();
        steps(&world, 1).await;
        rounds += 1;
        assert!(rounds < 200, "blocked: {}", life.last_reason().await);
    }
    assert_eq!(world.with(|s| s.switches.len()), 2);
    life.end().await;
}
