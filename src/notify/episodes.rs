//! When something wrong begins to count, and when it is over. Pure; time comes in.
//!
//! A condition that stands for its hold opens an episode; one that has been gone for [`CLEAR`] ends it. What comes and
//! goes faster than that stands: a quorum that is lost with every block is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::conditions::{Reading, State, Trouble};
use crate::clock::{Millis, millis};
use crate::config::Severity;

/// A condition must be gone this long before its episode is over, or before its hold begins anew.
pub(super) const CLEAR: Duration = Duration::from_secs(5);

/// Something wrong that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Episode {
    /// Its name for ever: condition and beginning.
    pub(super) id: String,
    /// How bad.
    pub(super) severity: Severity,
    /// In one line.
    pub(super) summary: String,
    /// The latest words.
    pub(super) detail: String,
    /// Since when the condition stands, local clock.
    pub(super) since: Millis,
}

/// What stands, what is about to, what is about to end.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    open: BTreeMap<String, Episode>,
    /// Standing, not yet for its hold.
    brewing: BTreeMap<String, Brewing>,
    /// Open, but gone since.
    fading: BTreeMap<String, Millis>,
}

#[derive(Debug, Clone, Copy)]
struct Brewing {
    since: Millis,
    /// When it was last seen to stand.
    stood: Millis,
}

// === impl Episodes ===

impl Episodes {
    /// Takes up what was open before a restart.
    pub(super) fn restore(open: BTreeMap<String, Episode>) -> Self {
        Self {
            open,
            ..Self::default()
        }
    }

    /// What is open, by condition.
    pub(super) fn open(&self) -> &BTreeMap<String, Episode> {
        &self.open
    }

    /// Takes the readings of `now`. True when an episode began or ended: then [`Self::open`] is to be kept.
    pub(super) fn turn(&mut self, readings: Vec<Reading>, now: Millis) -> bool {
        let mut changed = false;
        let mut mentioned = BTreeSet::new();
        for Reading { key, state } in readings {
            match state {
                State::Stands(trouble) => changed |= self.stands(&key, trouble, now),
                State::Clear => changed |= self.gone(&key, now),
                // It neither goes on brewing nor goes on fading.
                State::Unknown => {
                    self.brewing.remove(&key);
                    self.fading.remove(&key);
                }
            }
            mentioned.insert(key);
        }
        // What nobody looks at any more (a loop that is well, a source no longer configured) is gone.
        let unmentioned: Vec<String> = self
            .open
            .keys()
            .chain(self.brewing.keys())
            .filter(|key| !mentioned.contains(*key))
            .cloned()
            .collect();
        for key in unmentioned {
            changed |= self.gone(&key, now);
        }
        changed
    }

    fn stands(&mut self, key: &str, trouble: Trouble, now: Millis) -> bool {
        self.fading.remove(key);
        if let Some(open) = self.open.get_mut(key) {
            open.severity = trouble.severity;
            open.summary = trouble.summary;
            open.detail = trouble.detail;
            return false;
        }
        let fresh = Brewing {
            since: now,
            stood: now,
        };
        let brewing = self.brewing.entry(key.to_owned()).or_insert(fresh);
        // A clock set back must not make it wait until it has caught up again.
        if brewing.since > now {
            *brewing = fresh;
            return false;
        }
        brewing.stood = now;
        let since = brewing.since;
        if now.saturating_sub(since) < millis(trouble.hold) {
            return false;
        }
        self.brewing.remove(key);
        self.open.insert(
            key.to_owned(),
            Episode {
                id: format!("{key}@{since}"),
                severity: trouble.severity,
                summary: trouble.summary,
                detail: trouble.detail,
                since,
            },
        );
        true
    }

    fn gone(&mut self, key: &str, now: Millis) -> bool {
        let flapping = |b: &Brewing| (0..millis(CLEAR)).contains(&now.saturating_sub(b.stood));
        if !self.brewing.get(key).is_some_and(flapping) {
            self.brewing.remove(key);
        }
        if !self.open.contains_key(key) {
            return false;
        }
        let since = *self.fading.entry(key.to_owned()).or_insert(now);
        if since > now {
            self.fading.insert(key.to_owned(), now);
            return false;
        }
        if now.saturating_sub(since) < millis(CLEAR) {
            return false;
        }
        self.fading.remove(key);
        self.open.remove(key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Millis = 1_763_710_000_000;

    fn stands(key: &str, hold_s: u64) -> Reading {
        Reading {
            key: key.into(),
            state: State::Stands(Trouble {
                severity: Severity::Critical,
                summary: format!("{key} is wrong"),
                detail: String::new(),
                hold: Duration::from_secs(hold_s),
            }),
        }
    }

    fn reading(key: &str, state: State) -> Reading {
        Reading {
            key: key.into(),
            state,
        }
    }

    fn ids(episodes: &Episodes) -> Vec<String> {
        episodes.open().values().map(|e| e.id.clone()).collect()
    }

    /// `states`: one per second from T; `+` stands, `-` clear, `?` unknown. Every begin and end, with its second.
    fn story(states: &str, hold_s: u64) -> Vec<(i64, bool)> {
        let mut episodes = Episodes::default();
        let mut out = Vec::new();
        for (s, state) in states.chars().enumerate() {
            let s = i64::try_from(s).unwrap();
            let reading = match state {
                '+' => stands("a", hold_s),
                '-' => reading("a", State::Clear),
                _ => reading("a", State::Unknown),
            };
            if episodes.turn(vec![reading], T + s * 1000) {
                out.push((s, !episodes.open().is_empty()));
            }
        }
        out
    }

    #[test]
    fn an_episode_begins_after_its_hold_and_ends_when_it_has_been_gone_for_a_while() {
        assert_eq!(story("-+++++-------", 0), [(1, true), (11, false)]);
        assert_eq!(story("-+++++-------", 3), [(4, true), (11, false)]);
        assert_eq!(story("-+++-----++++--", 3), [(12, true)]);
    }

    #[test]
    fn what_flaps_stands() {
        assert_eq!(story("+-+-+-+-+-+-+-+-", 0), [(0, true)]);
        assert_eq!(story("+-+-+-+-+-+-+-+-", 2), [(2, true)]);
        assert_eq!(story("-+++-++++--", 3), [(5, true)]);
        // Lost with every block of three seconds, for a minute.
        assert_eq!(story(&"+--".repeat(21), 60), [(60, true)]);
        assert_eq!(story(&"+-----".repeat(20), 10), []);
        assert_eq!(story("+----+----+----+-----", 0), [(0, true)]);
    }

    #[test]
    fn what_is_not_known_neither_begins_nor_ends_anything() {
        assert_eq!(story("?????????", 0), []);
        assert_eq!(story("+?????????+", 0), [(0, true)]);
        assert_eq!(story("+---??????-----", 0), [(0, true)]);
        assert_eq!(story("++?++", 3), []);
    }

    #[test]
    fn an_episode_keeps_its_name_and_another_one_has_another() {
        let mut episodes = Episodes::default();
        assert!(episodes.turn(vec![stands("a", 0)], T));
        let first = ids(&episodes);
        assert_eq!(first, [format!("a@{T}")]);
        assert!(!episodes.turn(vec![stands("a", 0)], T + 60_000));
        assert_eq!(ids(&episodes), first);
        episodes.turn(vec![reading("a", State::Clear)], T + 61_000);
        assert!(episodes.turn(vec![reading("a", State::Clear)], T + 70_000));
        assert!(episodes.turn(vec![stands("a", 0)], T + 71_000));
        assert_ne!(ids(&episodes), first);
    }

    #[test]
    fn what_is_no_longer_looked_at_is_over() {
        let mut episodes = Episodes::default();
        assert!(episodes.turn(vec![stands("a", 0), stands("b", 0)], T));
        assert!(!episodes.turn(vec![stands("a", 0)], T + 1_000));
        assert!(episodes.turn(vec![stands("a", 0)], T + 7_000));
        assert_eq!(ids(&episodes), [format!("a@{T}")]);
    }

    #[test]
    fn a_restart_in_the_middle_neither_begins_it_again_nor_forgets_it() {
        let mut before = Episodes::default();
        before.turn(vec![stands("a", 0)], T);
        let kept = serde_json::to_string(before.open()).unwrap();

        let mut after = Episodes::restore(serde_json::from_str(&kept).unwrap());
        assert!(!after.turn(vec![reading("a", State::Unknown)], T + 30_000));
        assert!(!after.turn(vec![stands("a", 0)], T + 31_000));
        assert_eq!(ids(&after), [format!("a@{T}")]);
        assert!(!after.turn(vec![reading("a", State::Clear)], T + 40_000));
        assert!(after.turn(vec![reading("a", State::Clear)], T + 45_000));
        assert!(ids(&after).is_empty());
    }

    #[test]
    fn a_clock_set_back_costs_one_hold_and_no_more() {
        let mut episodes = Episodes::default();
        episodes.turn(vec![stands("a", 10)], T);
        let hour_before = T - 3_600_000;
        assert!(!episodes.turn(vec![stands("a", 10)], hour_before));
        assert!(episodes.turn(vec![stands("a", 10)], hour_before + 10_000));
        episodes.turn(vec![reading("a", State::Clear)], hour_before + 11_000);
        let day_before = T - 86_400_000;
        assert!(!episodes.turn(vec![reading("a", State::Clear)], day_before));
        assert!(episodes.turn(vec![reading("a", State::Clear)], day_before + 5_000));
    }
}
