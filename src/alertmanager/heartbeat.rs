//! Heartbeats: is the path Prometheus → Alertmanager → us alive? Expected sources are configured, not learned, so that
//! one that never arrived is missed too. Owns that state in memory; [`super::keep`] makes it outlive a restart.
//! Time comes in as an argument.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::config::HeartbeatConfig;
use crate::metrics::HeartbeatFigure;

/// Every configured heartbeat source.
#[derive(Debug)]
pub struct Heartbeats {
    state: Mutex<State>,
}

/// What is remembered of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// When the last heartbeat came, local clock, Unix milliseconds.
    pub at: Millis,
    /// The newest `evaluated_at` it carried, Unix milliseconds.
    pub evaluated_at: Millis,
}

#[derive(Debug)]
struct State {
    sources: BTreeMap<String, Source>,
    /// When we began to listen: a source never heard is overdue only after a grace from here.
    started_at: Millis,
}

#[derive(Debug)]
struct Source {
    config: HeartbeatConfig,
    heard: Option<Heard>,
    /// Not yet journaled.
    dirty: bool,
}

/// A source that has never been heard gets at least this long after the start.
const START_GRACE: Duration = Duration::from_secs(60);
/// A step of the local clock backwards, milliseconds, beyond which times noted before it mean nothing.
const MAX_STEP: Millis = 5_000;

// === impl Heartbeats ===

impl Heartbeats {
    /// Listens for `sources` since `now`.
    #[must_use]
    pub fn new(sources: &[HeartbeatConfig], now: Millis) -> Self {
        let heartbeats = Self {
            state: Mutex::new(State {
                sources: BTreeMap::new(),
                started_at: now,
            }),
        };
        heartbeats.configure(sources);
        heartbeats
    }

    /// Takes a changed configuration; sources that stay keep what is known of them.
    pub fn configure(&self, sources: &[HeartbeatConfig]) {
        let mut state = self.lock();
        let mut old = std::mem::take(&mut state.sources);
        for config in sources {
            let before = old.remove(&config.source);
            state.sources.insert(
                config.source.clone(),
                Source {
                    config: config.clone(),
                    heard: before.as_ref().and_then(|s| s.heard),
                    dirty: before.is_some_and(|s| s.dirty),
                },
            );
        }
    }

    /// Takes what was remembered before a restart. What came in since then is newer and stays.
    pub fn restore(&self, remembered: impl IntoIterator<Item = (String, Heard)>) {
        let mut state = self.lock();
        for (name, heard) in remembered {
            if let Some(source) = state.sources.get_mut(&name) {
                source.heard = Some(source.heard.map_or(heard, |now| now.merge(heard)));
            }
        }
    }

    /// A heartbeat of `source` came at `now`, evaluated at `evaluated_at`. False when nobody expects that source.
    pub fn beat(&self, source: &str, evaluated_at: Millis, now: Millis) -> bool {
        let mut state = self.lock();
        let Some(source) = state.sources.get_mut(source) else {
            return false;
        };
        let heard = Heard {
            at: now,
            // A clock ahead of ours must not buy life beyond the present.
            evaluated_at: evaluated_at.min(now),
        };
        // What was heard "later than now" was heard before the clock was set back.
        let before = source.heard.filter(|before| !ahead(before.at, now));
        source.heard = Some(before.map_or(heard, |before| before.merge(heard)));
        source.dirty = true;
        true
    }

    /// Every source as metrics and status show it.
    #[must_use]
    pub fn figures(&self, now: Millis) -> Vec<HeartbeatFigure> {
        let state = self.lock();
        state
            .sources
            .iter()
            .map(|(name, source)| HeartbeatFigure {
                source: name.clone(),
                heard_at: source.heard.map(|h| h.at),
                evaluated_at: source.heard.map(|h| h.evaluated_at),
                overdue: source.overdue(state.started_at, now),
            })
            .collect()
    }

    /// True when sources are configured and every one is overdue: the pipeline is dead.
    #[must_use]
    pub fn all_overdue(&self, now: Millis) -> bool {
        let state = self.lock();
        !state.sources.is_empty()
            && state
                .sources
                .values()
                .all(|s| s.overdue(state.started_at, now))
    }

    /// What has changed since it was last taken.
    pub fn take_dirty(&self) -> Vec<(String, Heard)> {
        let mut state = self.lock();
        state
            .sources
            .iter_mut()
            .filter_map(|(name, s)| {
                std::mem::take(&mut s.dirty).then_some((name.clone(), s.heard?))
            })
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Heard ===

impl Heard {
    /// Deliveries may overtake each other: the newest of both.
    fn merge(self, other: Self) -> Self {
        Self {
            at: self.at.max(other.at),
            evaluated_at: self.evaluated_at.max(other.evaluated_at),
        }
    }
}

// === impl Source ===

impl Source {
    fn overdue(&self, started_at: Millis, now: Millis) -> bool {
        match self.heard {
            Some(heard) => {
                // A clock set back must not make a dead pipeline look alive until it has caught up again; a living one
                // beats soon.
                ahead(heard.at, now)
                    || older(heard.at, self.config.max_silence, now)
                    || older(heard.evaluated_at, self.config.max_age, now)
            }
            None => older(started_at, self.config.max_silence.max(START_GRACE), now),
        }
    }
}

/// Further in the future than a slewing clock explains.
fn ahead(then: Millis, now: Millis) -> bool {
    then.saturating_sub(now) > MAX_STEP
}

fn older(then: Millis, limit: Duration, now: Millis) -> bool {
    u128::try_from(now.saturating_sub(then)).is_ok_and(|age| age > limit.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Millis = 1_763_710_000_000;

    fn source(name: &str, silence: u64, age: u64) -> HeartbeatConfig {
        HeartbeatConfig {
            source: name.into(),
            max_silence: Duration::from_secs(silence),
            max_age: Duration::from_secs(age),
        }
    }

    fn overdue(h: &Heartbeats, now: Millis) -> Vec<bool> {
        h.figures(now).iter().map(|f| f.overdue).collect()
    }

    #[test]
    fn silence_makes_a_source_overdue_and_a_beat_revives_it() {
        let h = Heartbeats::new(&[source("a", 20, 30)], T);
        assert!(h.beat("a", T, T));
        assert_eq!(overdue(&h, T + 20_000), [false]);
        assert_eq!(overdue(&h, T + 20_001), [true]);
        h.beat("a", T + 20_000, T + 20_500);
        assert_eq!(overdue(&h, T + 21_000), [false]);
    }

    #[test]
    fn an_old_evaluation_is_overdue_however_often_it_is_repeated() {
        // Prometheus is dead, Alertmanager keeps re-sending.
        let h = Heartbeats::new(&[source("a", 20, 30)], T);
        for s in 0..=30 {
            h.beat("a", T, T + s * 1000);
            assert_eq!(overdue(&h, T + s * 1000), [false]);
        }
        h.beat("a", T, T + 30_001);
        assert_eq!(overdue(&h, T + 30_001), [true]);
    }

    #[test]
    fn a_clock_ahead_of_ours_buys_no_life() {
        let h = Heartbeats::new(&[source("a", 3600, 30)], T);
        h.beat("a", T + 1_000_000, T);
        assert_eq!(overdue(&h, T + 30_001), [true]);
    }

    #[test]
    fn never_seen_is_overdue_after_the_grace() {
        let h = Heartbeats::new(&[source("a", 20, 30), source("b", 90, 30)], T);
        assert_eq!(overdue(&h, T + 60_000), [false, false]);
        assert_eq!(overdue(&h, T + 60_001), [true, false]);
        assert!(!h.all_overdue(T + 60_001));
        assert!(h.all_overdue(T + 90_001));
    }

    #[test]
    fn no_sources_are_never_all_overdue() {
        assert!(!Heartbeats::new(&[], T).all_overdue(T + 1_000_000));
    }

    #[test]
    fn unknown_sources_change_nothing() {
        let h = Heartbeats::new(&[source("a", 20, 30)], T);
        assert!(!h.beat("z", T, T));
        assert_eq!(h.figures(T).len(), 1);
        assert!(h.take_dirty().is_empty());
    }

    #[test]
    fn a_restart_forgets_nothing_and_late_deliveries_turn_nothing_back() {
        let old = Heartbeats::new(&[source("a", 20, 30)], T);
        old.beat("a", T, T);
        let kept = old.take_dirty();
        assert_eq!(kept.len(), 1);
        assert!(old.take_dirty().is_empty());

        let new = Heartbeats::new(&[source("a", 20, 30)], T + 15_000);
        new.restore(kept.clone());
        assert_eq!(overdue(&new, T + 19_000), [false]);
        assert_eq!(
            overdue(&new, T + 25_000),
            [true],
            "no fresh grace for what was heard"
        );

        new.beat("a", T + 25_000, T + 25_000);
        new.restore(kept);
        assert_eq!(overdue(&new, T + 30_000), [false]);
    }

    #[test]
    fn a_reload_keeps_what_is_known() {
        let h = Heartbeats::new(&[source("a", 20, 30), source("b", 20, 30)], T);
        h.beat("a", T, T);
        h.configure(&[source("a", 40, 50), source("c", 20, 30)]);
        let figures = h.figures(T + 30_000);
        assert_eq!(figures.len(), 2);
        assert_eq!(figures[0].heard_at, Some(T));
        assert!(!figures[0].overdue);
        assert_eq!(figures[1].heard_at, None);
    }

    #[test]
    fn a_clock_set_back_neither_keeps_a_dead_pipeline_alive_nor_a_living_one_dead() {
        let heartbeats = Heartbeats::new(&[source("a", 20, 30)], T);
        heartbeats.beat("a", T, T);
        let hour_before = T - 3_600_000;
        assert!(heartbeats.all_overdue(hour_before), "nothing heard since");
        heartbeats.beat("a", hour_before + 1_000, hour_before + 1_000);
        assert!(!heartbeats.all_overdue(hour_before + 2_000));
        assert!(heartbeats.all_overdue(hour_before + 40_000));
        heartbeats.beat("a", hour_before + 41_000, hour_before + 41_000);
        assert!(
            !heartbeats.all_overdue(hour_before + 37_000),
            "a small step is none"
        );
    }
}
