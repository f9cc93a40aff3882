//! Pings to checkers elsewhere (healthchecks.io and kin), which ring when they stop: the only way to hear of the death of
//! this machine. [`super::health`] says when all is well; otherwise nothing is sent, or a failure where a URL for that is
//! configured.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use super::TIMEOUT;
use super::facts::Sources;
use super::health::ailments;
use super::receiver::{Http, Outcome, send, url_of};
use crate::clock::{Millis, millis, now_ms};
use crate::config::PingConfig;
use crate::metrics::{Metrics, Task};

/// How often health is looked at: a ping that is due goes out when all is well again, not an interval later.
const LOOK: Duration = Duration::from_secs(1);
/// A ping that failed is tried again after this, or sooner where the interval is shorter.
const AGAIN: Duration = Duration::from_secs(15);

/// One checker and what it needs.
pub(super) struct Ping {
    name: String,
    url_file: PathBuf,
    fail_url_file: Option<PathBuf>,
    http: Http,
    pulse: Pulse,
    sources: Sources,
}

/// When something is due. Pure.
#[derive(Debug)]
struct Pulse {
    interval: Millis,
    /// When the next ping is due.
    next: Millis,
    /// Since when it has not been well without a break.
    ill_since: Option<Millis>,
    /// When a failure was last reported.
    reported: Option<Millis>,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    Alive,
    /// It has not been well for an interval: a moment's weakness is not worth a page.
    Ill,
}

// === impl Pulse ===

impl Pulse {
    fn new(interval: Duration, now: Millis) -> Self {
        Self {
            interval: millis(interval),
            next: now,
            ill_since: None,
            reported: None,
        }
    }

    fn due(&mut self, well: bool, now: Millis) -> Due {
        // A clock set back must not keep a living one silent.
        self.next = self.next.min(now.saturating_add(self.interval));
        if well {
            (self.ill_since, self.reported) = (None, None);
            return if now >= self.next {
                Due::Alive
            } else {
                Due::Nothing
            };
        }
        let since = self.ill_since.map_or(now, |at| at.min(now));
        self.ill_since = Some(since);
        let last = self.reported.map_or(since, |at| at.min(now));
        if now.saturating_sub(last) >= self.interval {
            Due::Ill
        } else {
            Due::Nothing
        }
    }

    fn done(&mut self, due: Due, worked: bool, now: Millis) {
        let pause = if worked {
            self.interval
        } else {
            self.interval.min(millis(AGAIN))
        };
        match due {
            Due::Alive => self.next = now.saturating_add(pause),
            Due::Ill => self.reported = Some(now),
            Due::Nothing => {}
        }
    }
}

// === impl Ping ===

impl Ping {
    pub(super) fn new(config: &PingConfig, sources: Sources) -> Result<Self, String> {
        Ok(Self {
            name: config.name.clone(),
            url_file: config.url_file.clone(),
            fail_url_file: config.fail_url_file.clone(),
            http: Http::new()?,
            pulse: Pulse::new(config.interval, now_ms()),
            sources,
        })
    }

    pub(super) async fn run(mut self, mut shutdown: watch::Receiver<bool>, task: Task) {
        let mut every = tokio::time::interval(LOOK);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                _ = async { let _ = shutdown.wait_for(|s| *s).await; } => break,
            }
            task.tick();
            let now = now_ms();
            let ailments = self.sources.look(now, &[], &[], ailments);
            let due = self.pulse.due(ailments.is_empty(), now);
            let sent = tokio::select! {
                sent = self.ask(due) => sent,
                _ = async { let _ = shutdown.wait_for(|s| *s).await; } => break,
            };
            let Some(outcome) = sent else { continue };
            self.note(due, &outcome, &ailments);
        }
        task.retire();
    }

    /// `None` when there is nothing to say, or nobody to say it to.
    async fn ask(&self, due: Due) -> Option<Outcome> {
        let file = match due {
            Due::Nothing => return None,
            Due::Alive => &self.url_file,
            Due::Ill => self.fail_url_file.as_ref()?,
        };
        let url = match url_of(file) {
            Ok(url) => url,
            Err(problem) => return Some(Outcome::Refused(problem)),
        };
        let asked = tokio::time::timeout(TIMEOUT, send(self.http.get(url)));
        Some(asked.await.unwrap_or_else(|_| Outcome::Retry {
            why: "no answer in time".into(),
            after: None,
        }))
    }

    fn note(&mut self, due: Due, outcome: &Outcome, ailments: &[String]) {
        let now = now_ms();
        let worked = *outcome == Outcome::Delivered;
        self.pulse.done(due, worked, now);
        let metrics: &Metrics = &self.sources.metrics;
        let ping = &self.name;
        match (due, outcome) {
            (Due::Alive, Outcome::Delivered) => metrics.counters.pinged(ping, now),
            (_, Outcome::Delivered) => {
                tracing::warn!(ping, why = ailments.join("; "), "reported as failing");
            }
            (_, Outcome::Retry { why, .. } | Outcome::Refused(why)) => {
                tracing::warn!(ping, why, "could not be pinged");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Millis = 1_763_710_000_000;

    /// One second each, `+` well and `-` not, every ping works: what was due when.
    fn story(states: &str, interval_s: u64) -> Vec<(i64, Due)> {
        let mut pulse = Pulse::new(Duration::from_secs(interval_s), T);
        let mut out = Vec::new();
        for (s, state) in states.chars().enumerate() {
            let s = i64::try_from(s).unwrap();
            let due = pulse.due(state == '+', T + s * 1000);
            if due != Due::Nothing {
                out.push((s, due));
                pulse.done(due, true, T + s * 1000);
            }
        }
        out
    }

    #[test]
    fn it_pings_while_all_is_well_and_only_then() {
        use Due::{Alive, Ill};
        assert_eq!(story("++++++++", 3), [(0, Alive), (3, Alive), (6, Alive)]);
        // A moment's weakness delays a ping and reports nothing.
        assert_eq!(story("+++--++++", 3), [(0, Alive), (5, Alive), (8, Alive)]);
        assert_eq!(
            story("+--------+", 3),
            [(0, Alive), (4, Ill), (7, Ill), (9, Alive)]
        );
        assert_eq!(story("---", 3), []);
    }

    #[test]
    fn what_failed_is_tried_again_soon_and_a_clock_set_back_silences_nothing() {
        let mut pulse = Pulse::new(Duration::from_secs(60), T);
        pulse.done(Due::Alive, false, T);
        assert_eq!(pulse.due(true, T + 14_999), Due::Nothing);
        assert_eq!(pulse.due(true, T + 15_000), Due::Alive);
        pulse.done(Due::Alive, true, T + 15_000);
        assert_eq!(pulse.due(true, T - 3_600_000), Due::Nothing);
        assert_eq!(pulse.due(true, T - 3_540_000), Due::Alive);
    }
}
