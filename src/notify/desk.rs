//! One receiver: what is it sent next, and when? Pure; time comes in, the outcome of each sending comes back.
//!
//! An episode is due until it has been told, then again each reminder, and once more when it is over. Beyond the rate
//! limit nothing is sent but ends; an episode stays due, and what came and went meanwhile is counted and summed up in the
//! next message.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::engine::Board;
use super::episodes::Episode;
use super::message::{Act, Message};
use super::notices::Notice;
use super::receiver::Outcome;
use crate::clock::{Millis, millis};
use crate::config::{NotifyConfig, RateLimit, Severity};

/// Notices that wait for one receiver at most.
const QUEUE: usize = 32;
/// Notices remembered as taken: more than a board holds.
const TAKEN: usize = 4 * super::engine::NOTICES;
/// Names given of what was left out.
const NAMES: usize = 5;
/// Pauses after failures: this, doubled each time …
const BACKOFF: Duration = Duration::from_secs(1);
/// … up to this.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A receiver may ask for a longer pause, up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// What was refused for good (a wrong key, a malformed address) is tried again after this, for somebody may mend it.
const REFUSED: Duration = Duration::from_secs(300);
/// Pause after a refusal, so that many of them are not a flood.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// One receiver's desk.
#[derive(Debug)]
pub(super) struct Desk {
    min_severity: Severity,
    reminder: Millis,
    limit: RateLimit,
    kept: Record,
    /// Due, not told yet: when these end untold, they were left out.
    due: BTreeMap<String, Episode>,
    /// Refused for good, not before this time again.
    refused: BTreeMap<String, Millis>,
    not_before: Millis,
    failures: u32,
    changed: bool,
}

/// What outlives a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// Events before this are none of this receiver's business.
    begun: Millis,
    /// Episodes that it was told of and whose end it was not told of.
    told: BTreeMap<String, Told>,
    /// Notices that wait.
    queue: VecDeque<Notice>,
    /// Ids of notices taken in, newest last.
    taken: VecDeque<String>,
    left_out: LeftOut,
    /// When messages were sent that count for the limit.
    sent: VecDeque<Millis>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    episode: Episode,
    /// When last.
    at: Millis,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct LeftOut {
    count: u32,
    worst: Severity,
    names: Vec<String>,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Send this, and say how it went.
    Send(Box<Message>),
    /// Nothing before this time, unless the board changes.
    Wait(Option<Millis>),
}

// === impl Record ===

impl Record {
    /// A receiver never seen before.
    pub(super) fn new(now: Millis) -> Self {
        Self {
            begun: now,
            ..Self::default()
        }
    }
}

// === impl Desk ===

impl Desk {
    pub(super) fn new(config: &NotifyConfig, kept: Record) -> Self {
        Self {
            min_severity: config.min_severity,
            reminder: millis(config.reminder),
            limit: config.rate_limit,
            kept,
            due: BTreeMap::new(),
            refused: BTreeMap::new(),
            not_before: 0,
            failures: 0,
            changed: true,
        }
    }

    /// What is to be kept, when it has changed since it was last asked for.
    pub(super) fn take_changed(&mut self) -> Option<&Record> {
        std::mem::take(&mut self.changed).then_some(&self.kept)
    }

    /// It could not be kept: it will be asked for again.
    pub(super) fn not_kept(&mut self) {
        self.changed = true;
    }

    /// Takes in what the board shows. How many messages were left out by that.
    pub(super) fn see(&mut self, board: &Board, now: Millis) -> u32 {
        let before = self.kept.left_out.count;
        for notice in &board.notices {
            self.note(notice);
        }
        let open: BTreeMap<&str, &Episode> = board
            .open
            .iter()
            .filter(|e| e.severity >= self.min_severity || self.kept.told.contains_key(&e.id))
            .map(|e| (e.id.as_str(), e))
            .collect();
        let over: Vec<String> = self
            .due
            .keys()
            .filter(|id| !open.contains_key(id.as_str()))
            .cloned()
            .collect();
        for id in over {
            if let Some(episode) = self.due.remove(&id) {
                let name = format!("{} (over again)", episode.summary);
                self.leave_out(name, episode.severity);
            }
        }
        for (id, episode) in &open {
            match self.kept.told.get_mut(*id) {
                // The words for its end and its reminders are the latest.
                Some(told) => told.episode.clone_from(episode),
                None => {
                    self.due.insert((*id).to_owned(), (*episode).clone());
                }
            }
        }
        self.refused.retain(|id, _| self.due.contains_key(id));
        self.heal(now);
        self.kept.left_out.count.saturating_sub(before)
    }

    /// Times that lie ahead were noted before the clock was set back: they count from now.
    fn heal(&mut self, now: Millis) {
        for told in self.kept.told.values_mut() {
            told.at = told.at.min(now);
        }
        for at in &mut self.kept.sent {
            *at = (*at).min(now);
        }
        for at in self.refused.values_mut() {
            *at = (*at).min(now.saturating_add(millis(REFUSED)));
        }
        self.not_before = self
            .not_before
            .min(now.saturating_add(millis(RETRY_AFTER_MAX)));
        let window = now.saturating_sub(millis(self.limit.per));
        while self.kept.sent.front().is_some_and(|at| *at <= window) {
            self.kept.sent.pop_front();
        }
    }

    fn note(&mut self, notice: &Notice) {
        if notice.severity < self.min_severity
            || notice.at < self.kept.begun
            || self.kept.taken.contains(&notice.id)
        {
            return;
        }
        self.changed = true;
        self.kept.taken.push_back(notice.id.clone());
        if self.kept.taken.len() > TAKEN {
            self.kept.taken.pop_front();
        }
        self.kept.queue.push_back(notice.clone());
        if self.kept.queue.len() > QUEUE
            && let Some(old) = self.kept.queue.pop_front()
        {
            self.leave_out(old.summary, old.severity);
        }
    }

    fn leave_out(&mut self, name: String, severity: Severity) {
        let left = &mut self.kept.left_out;
        left.count = left.count.saturating_add(1);
        left.worst = left.worst.max(severity);
        if left.names.len() < NAMES {
            left.names.push(name);
        }
        self.changed = true;
    }

    /// What to send now. Call [`Desk::see`] first.
    pub(super) fn next(&self, board: &Board, now: Millis) -> Next {
        if now < self.not_before {
            return Next::Wait(Some(self.not_before));
        }
        let open: BTreeSet<&str> = board.open.iter().map(|e| e.id.as_str()).collect();
        let full = self.kept.sent.len() >= self.limit.messages as usize;
        let message = (!full)
            .then(|| self.first_due(now))
            .flatten()
            .or_else(|| self.first_over(&open, now))
            .or_else(|| (!full).then(|| self.first_reminder(now)).flatten());
        if let Some(message) = message {
            return Next::Send(Box::new(self.with_left_out(message)));
        }
        if !full && self.kept.left_out.count > 0 {
            return Next::Send(Box::new(self.summary(now)));
        }
        Next::Wait(self.wake(full))
    }

    /// The worst new episode, else the oldest notice.
    fn first_due(&self, now: Millis) -> Option<Message> {
        let ripe = |id: &String| self.refused.get(id).is_none_or(|at| *at <= now);
        let episode = self
            .due
            .iter()
            .filter(|(id, _)| ripe(id))
            .map(|(_, e)| e)
            .min_by_key(|e| (std::cmp::Reverse(e.severity), e.since));
        match episode {
            Some(episode) => Some(Message::of_episode(Act::Trigger, episode, now)),
            None => Some(Message::of_notice(self.kept.queue.front()?, now)),
        }
    }

    fn first_over(&self, open: &BTreeSet<&str>, now: Millis) -> Option<Message> {
        let over = self
            .kept
            .told
            .iter()
            .find(|(id, _)| !open.contains(id.as_str()));
        over.map(|(_, told)| Message::of_episode(Act::Resolve, &told.episode, now))
    }

    fn first_reminder(&self, now: Millis) -> Option<Message> {
        let due = self
            .kept
            .told
            .values()
            .find(|told| now.saturating_sub(told.at) >= self.reminder);
        due.map(|told| Message::of_episode(Act::Remind, &told.episode, now))
    }

    fn with_left_out(&self, mut message: Message) -> Message {
        if self.kept.left_out.count > 0 && message.act != Act::Resolve {
            message.left_out = Some(self.kept.left_out.to_string());
        }
        message
    }

    fn summary(&self, now: Millis) -> Message {
        let left = &self.kept.left_out;
        Message {
            id: format!("left-out@{now}"),
            act: Act::Summary,
            severity: left.worst,
            summary: format!("messages were left out: {}", left.count),
            detail: String::new(),
            since: now,
            at: now,
            left_out: Some(left.to_string()),
        }
    }

    /// When something will be due by itself.
    fn wake(&self, full: bool) -> Option<Millis> {
        let free = full
            .then(|| self.kept.sent.front())
            .flatten()
            .map(|at| at.saturating_add(millis(self.limit.per)));
        let reminders = self
            .kept
            .told
            .values()
            .map(|told| told.at.saturating_add(self.reminder));
        let wake = reminders.chain(self.refused.values().copied()).min();
        match (free, wake) {
            (Some(free), Some(wake)) => Some(free.min(wake)),
            (free, wake) => free.or(wake),
        }
    }

    /// How the sending of `message` went.
    pub(super) fn done(&mut self, message: &Message, outcome: &Outcome, now: Millis) {
        match outcome {
            Outcome::Delivered => {
                self.failures = 0;
                self.not_before = 0;
                if message.act != Act::Resolve {
                    self.kept.sent.push_back(now);
                }
                self.delivered(message, now);
            }
            Outcome::Retry { after, .. } => {
                let doubled = BACKOFF
                    .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX))
                    .min(BACKOFF_MAX);
                self.failures = self.failures.saturating_add(1).min(16);
                let pause = after.map_or(doubled, |a| a.clamp(doubled, RETRY_AFTER_MAX));
                self.not_before = now.saturating_add(millis(pause));
                return;
            }
            Outcome::Refused(_) => {
                self.failures = 0;
                self.not_before = now.saturating_add(millis(AFTER_REFUSAL));
                self.refused(message, now);
            }
        }
        self.changed = true;
    }

    fn delivered(&mut self, message: &Message, now: Millis) {
        if message.left_out.is_some() {
            self.kept.left_out = LeftOut::default();
        }
        match message.act {
            Act::Trigger => {
                if let Some(episode) = self.due.remove(&message.id) {
                    self.refused.remove(&message.id);
                    self.kept
                        .told
                        .insert(message.id.clone(), Told { episode, at: now });
                }
            }
            Act::Remind | Act::Resolve => self.over(message, now),
            Act::Notice => {
                self.kept.queue.pop_front();
            }
            Act::Summary | Act::Test => {}
        }
    }

    /// A reminder or an end is over, whether it was taken or refused for good: neither is tried again.
    fn over(&mut self, message: &Message, now: Millis) {
        if message.act == Act::Resolve {
            self.kept.told.remove(&message.id);
        } else if let Some(told) = self.kept.told.get_mut(&message.id) {
            told.at = now;
        }
    }

    fn refused(&mut self, message: &Message, now: Millis) {
        let again = now.saturating_add(millis(REFUSED));
        match message.act {
            Act::Trigger => {
                self.refused.insert(message.id.clone(), again);
            }
            Act::Remind | Act::Resolve => self.over(message, now),
            Act::Notice => {
                if let Some(notice) = self.kept.queue.pop_front() {
                    self.leave_out(notice.summary, notice.severity);
                }
                // Or the summary would be refused at once in its place.
                self.not_before = again;
            }
            Act::Summary => self.not_before = again,
            Act::Test => {}
        }
    }
}

// === impl LeftOut ===

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let more = if self.names.len() < self.count as usize {
            " …"
        } else {
            ""
        };
        write!(
            f,
            "Left out before this message: {} ({}{more}).",
            self.count,
            self.names.join("; ")
        )
    }
}

#[cfg(test)]
mod tests;
