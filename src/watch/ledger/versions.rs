//! Who had which slot, and under which key, where schedules are numbered and stay until the next number is in force
//! (Antelope). Never guesses. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chain::{Block, Schedule};
use crate::keys::PublicKey;

/// Versions kept at most: those that a long backfill has yet to reach.
const VERSIONS_KEPT: usize = 128;

/// The versions read so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Versions {
    /// By number: when each is known to have been in force.
    ranges: BTreeMap<u64, Range>,
    /// By number: what each says. Saved in rows of their own: they never change.
    #[serde(skip)]
    contents: BTreeMap<u64, Schedule>,
}

/// In force in the state of some head not above `from`, and of some head not below `until`: of every head from `from` to
/// `until`, when that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    from: u64,
    until: u64,
}

/// What a reading adds to the timelines of keys: after block `after`, these were the effective keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effective {
    pub(super) after: u64,
    pub(super) keys: Vec<(String, PublicKey)>,
}

/// What is known of a block's schedule.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ruling<'a> {
    /// It is newer than all readings: the next one may tell.
    NotYet,
    /// It is one of these, and each of them names the block's producer. None: not known.
    OneOf(Vec<&'a Schedule>),
}

// === impl Versions ===

impl Versions {
    /// Takes in the schedules of a view. Returns what they say of effective keys, and whether anything was new (how far
    /// the version in force reaches is: what comes after a restart must be told from what was before).
    pub(super) fn learn(&mut self, schedules: &[Schedule]) -> (Vec<Effective>, bool) {
        let mut told = Vec::new();
        let before = self.ranges.clone();
        for schedule in schedules {
            let Some(version) = &schedule.version else {
                continue;
            };
            if schedule.order.is_empty() || schedule.order.len() != version.keys.len() {
                continue;
            }
            let read = Range {
                from: version.read_by,
                until: schedule.read_at,
            };
            let content = content(schedule);
            // One number has one content on one fork: what the view says replaces what a fork left unseen had said.
            if self.contents.get(&version.number) == Some(&content) {
                let range = self.ranges.entry(version.number).or_insert(read);
                range.from = range.from.min(read.from);
                range.until = range.until.max(read.until);
            } else {
                self.contents.insert(version.number, content);
                self.ranges.insert(version.number, read);
            }
            told.extend(self.effective(version.number));
        }
        while self.contents.len() > VERSIONS_KEPT
            && let Some((oldest, _)) = self.contents.pop_first()
        {
            self.ranges.remove(&oldest);
        }
        let new = self.ranges != before;
        (told, new)
    }

    /// Block `num` was made under version `number`, so that it was in force before it.
    pub(super) fn made_under(&mut self, number: u64, num: u64) -> Vec<Effective> {
        let before = num.saturating_sub(1);
        let Some(range) = self.ranges.get_mut(&number) else {
            return Vec::new();
        };
        range.until = range.until.max(before);
        if range.from <= before {
            return Vec::new();
        }
        range.from = before;
        self.effective(number)
    }

    fn effective(&self, number: u64) -> Vec<Effective> {
        let (Some(range), Some(keys)) = (
            self.ranges.get(&number),
            self.contents.get(&number).map(keys),
        ) else {
            return Vec::new();
        };
        let mut told = vec![Effective {
            after: range.from,
            keys,
        }];
        if range.until > range.from
            && let Some(first) = told.first()
        {
            told.push(Effective {
                after: range.until,
                keys: first.keys.clone(),
            });
        }
        told
    }

    /// Forgets what no block after `judged` can need.
    pub(super) fn forget(&mut self, judged: u64) {
        let needed = self
            .ranges
            .iter()
            .rev()
            .find(|(_, range)| range.from <= judged)
            .map(|(number, _)| *number);
        if let Some(needed) = needed {
            self.ranges.retain(|number, _| *number >= needed);
            self.contents.retain(|number, _| *number >= needed);
        }
    }

    /// The last block that is known to have an owner: the one after the highest head at which a schedule was in force.
    pub(super) fn reaches(&self) -> Option<u64> {
        let last = self.ranges.values().map(|range| range.until).max()?;
        last.checked_add(1)
    }

    /// The newest schedule read.
    pub(super) fn newest(&self) -> Option<&Schedule> {
        self.contents.values().next_back()
    }

    /// What is known of the schedule of `block`, which fills slot `slot`, and of the missed slots right before it.
    pub(super) fn ruling(&self, block: &Block, slot: u64) -> Ruling<'_> {
        let newest = self.contents.keys().next_back().copied();
        let (low, high) = if let Some(number) = block.schedule_version {
            if newest.is_none_or(|newest| number > newest) {
                return Ruling::NotYet;
            }
            (number, number)
        } else {
            // The schedule in the state of head h rules the slots up to and including block h + 1.
            let head = block.num.saturating_sub(1);
            let mut above = self.ranges.iter().filter(|(_, r)| r.until >= head);
            let Some((high, _)) = above.next() else {
                return Ruling::NotYet;
            };
            let mut below = self.ranges.iter().rev().filter(|(_, r)| r.from <= head);
            let Some((low, _)) = below.next() else {
                return Ruling::OneOf(Vec::new());
            };
            (*low, *high)
        };
        // A number in between that was never read, or readings that contradict: nobody knows.
        let candidates: Vec<&Schedule> = self
            .contents
            .iter()
            .filter(|(number, _)| (low..=high).contains(number))
            .map(|(_, schedule)| schedule)
            .collect();
        let all = high.checked_sub(low).and_then(|n| n.checked_add(1));
        let complete = all.is_some_and(|n| u64::try_from(candidates.len()) == Ok(n));
        // The sanity of it all: the schedule must name the one who produced.
        let right = |s: &&Schedule| s.producer_of(slot) == Some(block.producer.as_str());
        Ruling::OneOf(if complete {
            candidates.into_iter().filter(right).collect()
        } else {
            Vec::new()
        })
    }

    /// Forgets what was read after block `ancestor`, on another fork.
    pub(super) fn rollback(&mut self, ancestor: u64) {
        self.ranges.retain(|_, range| range.from <= ancestor);
        for range in self.ranges.values_mut() {
            range.until = range.until.min(ancestor);
        }
        let ranges = &self.ranges;
        self.contents
            .retain(|number, _| ranges.contains_key(number));
    }

    /// Every version's content, for the rows.
    pub(super) fn contents(&self) -> &BTreeMap<u64, Schedule> {
        &self.contents
    }

    /// Puts the content of a version back that was saved.
    pub(super) fn restore(&mut self, number: u64, schedule: Schedule) {
        if self.ranges.contains_key(&number) && schedule.version.is_some() {
            self.contents.insert(number, schedule);
        }
    }

    /// Ranges without content say nothing: the rows did not belong together.
    pub(super) fn restored(&mut self) {
        let contents = &self.contents;
        self.ranges
            .retain(|number, _| contents.contains_key(number));
    }
}

/// The owner of `slot`, when all of `rulers` name the same one.
pub(super) fn owner(rulers: &[&Schedule], slot: u64) -> Option<String> {
    let first = rulers.first()?.producer_of(slot)?;
    rulers
        .iter()
        .all(|s| s.producer_of(slot) == Some(first))
        .then(|| first.to_owned())
}

/// The effective key of `name`, when all of `rulers` name the same one.
pub(super) fn key_of(rulers: &[&Schedule], name: &str) -> Option<PublicKey> {
    let first = key_in(rulers.first()?, name)?;
    rulers
        .iter()
        .all(|s| key_in(s, name) == Some(first))
        .then_some(first)
}

fn key_in(schedule: &Schedule, name: &str) -> Option<PublicKey> {
    let at = schedule.order.iter().position(|n| n == name)?;
    schedule.version.as_ref()?.keys.get(at).copied()
}

fn keys(schedule: &Schedule) -> Vec<(String, PublicKey)> {
    let keys = schedule.version.iter().flat_map(|v| v.keys.iter().copied());
    schedule.order.iter().cloned().zip(keys).collect()
}

/// What `schedule` says, without when it was read.
fn content(schedule: &Schedule) -> Schedule {
    let mut content = schedule.clone();
    content.read_at = 0;
    content.until = u64::MAX;
    if let Some(version) = &mut content.version {
        version.read_by = 0;
    }
    content
}
