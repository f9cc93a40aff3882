//! The loop of one receiver: asks its desk what is next, sends it, keeps what it was told. A receiver that is down or slow
//! holds up nobody else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::desk::{Desk, Next};
use super::engine::Board;
use super::facts::Deaf;
use super::keep::{self, Memory};
use super::message::Message;
use super::receiver::{Outcome, Receiver};
use crate::clock::now_ms;
use crate::metrics::{Counters, Task};

/// A message that has not been taken by then will be tried again.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait without looking at the clock, which may have been set.
const LOOK: Duration = Duration::from_secs(10);
/// A message on its way may take this long when the process is going down: else it may be told again after the start.
const LAST: Duration = Duration::from_secs(4);

/// One receiver and what it needs.
pub(super) struct Delivery {
    pub(super) desk: Desk,
    pub(super) name: String,
    /// Under which its record is kept.
    pub(super) key: String,
    pub(super) receiver: Box<dyn Receiver>,
    pub(super) memory: Arc<dyn Memory>,
    pub(super) board: watch::Receiver<Arc<Board>>,
    pub(super) deaf: Deaf,
    pub(super) counters: Counters,
    pub(super) task: Task,
}

// === impl Delivery ===

impl Delivery {
    pub(super) async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        loop {
            self.task.tick();
            let board = Arc::clone(&self.board.borrow_and_update());
            let now = now_ms();
            let left_out = self.desk.see(&board, now);
            self.counters.notifications_left_out(&self.name, left_out);
            self.keep().await;
            let wait = match self.desk.next(&board, now) {
                Next::Send(message) => {
                    let Some(outcome) = self.send(&message, &mut shutdown).await else {
                        break;
                    };
                    self.note(&message, &outcome);
                    self.keep().await;
                    Duration::ZERO
                }
                Next::Wait(until) => until.map_or(LOOK, |until| {
                    let ms = u64::try_from(until.saturating_sub(now)).unwrap_or(0);
                    Duration::from_millis(ms).min(LOOK)
                }),
            };
            if *shutdown.borrow() {
                break;
            }
            if wait.is_zero() {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = self.board.changed() => if changed.is_err() {
                    // The engine has ended: so does everything.
                    let _ = shutdown.wait_for(|s| *s).await;
                },
                _ = async { let _ = shutdown.wait_for(|s| *s).await; } => break,
            }
        }
        self.task.retire();
    }

    /// `None` when the process ended before it was taken.
    async fn send(
        &self,
        message: &Message,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Option<Outcome> {
        let sending = tokio::time::timeout(TIMEOUT, self.receiver.send(message));
        tokio::pin!(sending);
        let sent = tokio::select! {
            sent = &mut sending => sent,
            _ = async { let _ = shutdown.wait_for(|s| *s).await; } => {
                tokio::time::timeout(LAST, sending).await.ok()?
            }
        };
        Some(sent.unwrap_or_else(|_| Outcome::Retry {
            why: format!("no answer within {} s", TIMEOUT.as_secs()),
            after: None,
        }))
    }

    fn note(&mut self, message: &Message, outcome: &Outcome) {
        self.counters.notification(&self.name, outcome.as_str());
        self.deaf.note(&self.name, *outcome == Outcome::Delivered);
        let (receiver, act, about) = (&self.name, message.act.as_str(), &message.summary);
        match outcome {
            Outcome::Delivered => tracing::info!(receiver, act, about, "told"),
            Outcome::Retry { why, .. } => {
                tracing::warn!(receiver, act, about, why, "not told yet, trying again");
            }
            Outcome::Refused(why) => tracing::error!(receiver, act, about, why, "was not told"),
        }
        self.desk.done(message, outcome, now_ms());
    }

    async fn keep(&mut self) {
        let kept = match self.desk.take_changed() {
            Some(record) => keep::put(self.memory.as_ref(), &self.key, record).await,
            None => return,
        };
        if !kept {
            self.desk.not_kept();
        }
    }
}
