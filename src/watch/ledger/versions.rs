//! Who had which slot, and under which key, where schedules are numbered and stay until the next number is in force
//! (Antelope). Never guesses. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::chain::{BlockId, Schedule};
use crate::keys::PublicKey;
use crate::rpc::View;

/// Versions kept at most: those that a long backfill has yet to reach.
const VERSIONS_KEPT: usize = 128;
/// Readings kept at most that may still turn out to be of a dead fork.
const READINGS_KEPT: usize = 128;
/// No head.
const NEVER: u64 = u64::MAX;

/// The versions read so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Versions {
    /// By number: when each is known to have been in force.
    ranges: BTreeMap<u64, Range>,
    /// By number: what each says. Saved in rows of their own: they never change.
    #[serde(skip)]
    contents: BTreeMap<u64, Arc<Schedule>>,
    /// A version is in force by time, from the beginning of a turn, and headers do not carry it (Savanna).
    #[serde(default)]
    timed: bool,
    /// What was read at heads that may still be left for another fork, oldest first. Only where headers do not carry the
    /// version: nothing else tells then which fork a reading was of.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    readings: VecDeque<Reading>,
}

/// In force in the state of some head not above `from` ([`NEVER`]: not known), and of some head not below `until`: of every
/// head from `from` to `until`, when that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    from: u64,
    until: u64,
}

/// One version read at one head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Reading {
    number: u64,
    range: Range,
    head: u64,
    id: BlockId,
    /// Of every fork that the head may be of.
    irreversible: u64,
    /// The chain of known blocks has come to this head.
    #[serde(skip)]
    linked: bool,
}

/// What a reading adds to the timelines of keys: after block `after`, these were the effective keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effective {
    pub(super) after: u64,
    pub(super) keys: Vec<(String, PublicKey)>,
}

/// What is known of the schedule that rules a slot.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It is newer than all readings: the next one may tell.
    NotYet,
    /// It is one of these. None: not known.
    OneOf(Vec<Arc<Schedule>>),
}

// === impl Versions ===

impl Versions {
    /// Takes in the schedules of a view; `timed`: headers do not carry versions. Returns what they say of effective keys,
    /// and whether anything was new (how far the version in force reaches is: what comes after a restart must be told from
    /// what was before).
    pub(super) fn learn(&mut self, view: &View, timed: Option<bool>) -> (Vec<Effective>, bool) {
        self.timed = timed.unwrap_or(self.timed);
        let mut told = Vec::new();
        let before = self.ranges.clone();
        let mut new = false;
        for schedule in &view.schedules {
            let Some(version) = &schedule.version else {
                continue;
            };
            if schedule.order.is_empty() || schedule.order.len() != version.keys.len() {
                continue;
            }
            let number = version.number;
            let read = Range {
                from: version.read_by,
                until: schedule.read_at,
            };
            let content = content(schedule);
            // One number has one content on one fork: what the view says replaces what a fork left unseen had said.
            if self.contents.get(&number).map(Arc::as_ref) != Some(&content) {
                self.contents.insert(number, Arc::new(content));
                self.ranges.remove(&number);
                self.readings.retain(|reading| reading.number != number);
            }
            if self.timed {
                self.readings.push_back(Reading {
                    number,
                    range: read,
                    head: view.head.num,
                    id: view.head.id.clone(),
                    irreversible: view.irreversible,
                    linked: false,
                });
                new = true;
            } else {
                self.ranges.entry(number).or_insert(read).widen(read);
            }
            told.extend(self.effective(number));
        }
        while self.readings.len() > READINGS_KEPT {
            // Between others, it says the least.
            self.readings.remove(READINGS_KEPT / 2);
        }
        while self.contents.len() > VERSIONS_KEPT
            && let Some((oldest, _)) = self.contents.pop_first()
        {
            self.ranges.remove(&oldest);
            self.readings.retain(|reading| reading.number != oldest);
        }
        (told, new || self.ranges != before)
    }

    /// Compares the heads at which something was read with the chain of blocks: `known` tells their ids, and blocks up to
    /// `irreversible` stay as they are.
    pub(super) fn link(&mut self, known: impl Fn(u64) -> Option<BlockId>, irreversible: u64) {
        let mut waiting = VecDeque::new();
        for mut reading in self.readings.drain(..) {
            let id = known(reading.head);
            if id.as_ref().is_some_and(|id| *id != reading.id) {
                continue;
            }
            reading.linked = id.is_some();
            let from = Some(reading.range.from).filter(|from| *from != NEVER);
            if reading.linked && reading.head.max(from.unwrap_or(0)) <= irreversible {
                let range = self.ranges.entry(reading.number);
                range.or_insert(reading.range).widen(reading.range);
            } else {
                waiting.push_back(reading);
            }
        }
        self.readings = waiting;
        self.drop_unread();
    }

    /// Forgets what versions say of which no reading is left.
    fn drop_unread(&mut self) {
        let (ranges, readings) = (&self.ranges, &self.readings);
        self.contents.retain(|number, _| {
            ranges.contains_key(number) || readings.iter().any(|r| r.number == *number)
        });
    }

    /// When each version is known to have been in force, by all that was read.
    fn known(&self) -> BTreeMap<u64, Range> {
        let mut known = self.ranges.clone();
        for reading in &self.readings {
            let range = if reading.linked {
                reading.range
            } else {
                // Whatever fork it was of, its version had not been succeeded by the irreversible block.
                Range {
                    from: NEVER,
                    until: reading.range.until.min(reading.irreversible),
                }
            };
            known.entry(reading.number).or_insert(range).widen(range);
        }
        known
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

    /// All readings of version `number` together.
    fn reach(&self, number: u64) -> Option<Range> {
        let read = self.readings.iter().filter(|r| r.number == number);
        let all = read
            .map(|r| r.range)
            .chain(self.ranges.get(&number).copied());
        all.reduce(|mut one, other| {
            one.widen(other);
            one
        })
    }

    fn effective(&self, number: u64) -> Vec<Effective> {
        // Where time decides, the block at which it was read was made under it, and so were missed slots before that.
        let early = u64::from(self.timed);
        let (Some(range), Some(keys)) = (
            self.reach(number),
            self.contents.get(&number).map(|schedule| keys(schedule)),
        ) else {
            return Vec::new();
        };
        let mut told = Vec::with_capacity(2);
        if range.from != NEVER {
            told.push(Effective {
                after: range.from.saturating_sub(early),
                keys: keys.clone(),
            });
        }
        if range.until > range.from || range.from == NEVER {
            told.push(Effective {
                after: range.until,
                keys,
            });
        }
        told
    }

    /// Forgets what no block after `judged` can need.
    pub(super) fn forget(&mut self, judged: u64) {
        let known = self.known();
        let needed = known
            .iter()
            .rev()
            .find(|(_, range)| range.from <= judged)
            .map(|(number, _)| *number);
        if let Some(needed) = needed {
            self.ranges.retain(|number, _| *number >= needed);
            self.contents.retain(|number, _| *number >= needed);
            self.readings.retain(|reading| reading.number >= needed);
        }
    }

    /// The last block that is known to have an owner: the one after the highest head at which a schedule was in force
    /// (where schedules change by time, only if no turn begins between the two).
    pub(super) fn reaches(&self) -> Option<u64> {
        let known = self.known();
        let last = known.values().map(|range| range.until).max()?;
        last.checked_add(1)
    }

    /// The newest schedule read.
    pub(super) fn newest(&self) -> Option<&Schedule> {
        self.contents.values().next_back().map(Arc::as_ref)
    }

    /// What is known of version `number`, which a header named.
    pub(super) fn numbered(&self, number: u64) -> Ruling {
        match self.contents.get(&number) {
            Some(schedule) => Ruling::OneOf(vec![Arc::clone(schedule)]),
            None if self.contents.keys().all(|known| *known < number) => Ruling::NotYet,
            None => Ruling::OneOf(Vec::new()),
        }
    }

    /// What is known of the version that was in force no earlier than in the state of head `last`, and no later than in
    /// that of head `first` (see [`Ledger::heads_around`](super::Ledger::heads_around)).
    pub(super) fn between(&self, last: u64, first: u64) -> Ruling {
        let known = self.known();
        let mut above = known.iter().filter(|(_, r)| r.until >= first);
        let Some((high, _)) = above.next() else {
            return Ruling::NotYet;
        };
        let mut below = known.iter().rev().filter(|(_, r)| r.from <= last);
        let Some((low, _)) = below.next() else {
            return Ruling::OneOf(Vec::new());
        };
        // A number in between that was never read, or readings that contradict: nobody knows.
        let candidates: Vec<Arc<Schedule>> = self
            .contents
            .iter()
            .filter(|(number, _)| (low..=high).contains(number))
            .map(|(_, schedule)| Arc::clone(schedule))
            .collect();
        let all = high.checked_sub(*low).and_then(|n| n.checked_add(1));
        let complete = all.is_some_and(|n| u64::try_from(candidates.len()) == Ok(n));
        Ruling::OneOf(if complete { candidates } else { Vec::new() })
    }

    /// Forgets what was read after block `ancestor`, on another fork. Readings that tell their head wait for what `link`
    /// finds.
    pub(super) fn rollback(&mut self, ancestor: u64) {
        self.ranges.retain(|_, range| range.from <= ancestor);
        for range in self.ranges.values_mut() {
            range.until = range.until.min(ancestor);
        }
        // The head stands, but it had moved on to a block that does not when the reading was over.
        let over = |r: &&mut Reading| r.head <= ancestor && r.range.from > ancestor;
        for reading in self.readings.iter_mut().filter(over) {
            reading.range.from = NEVER;
        }
        self.drop_unread();
    }

    /// Every version's content, for the rows.
    pub(super) fn contents(&self) -> &BTreeMap<u64, Arc<Schedule>> {
        &self.contents
    }

    /// Puts the content of a version back that was saved.
    pub(super) fn restore(&mut self, number: u64, schedule: Schedule) {
        if self.reach(number).is_some() && schedule.version.is_some() {
            self.contents.insert(number, Arc::new(schedule));
        }
    }

    /// Ranges without content say nothing: the rows did not belong together.
    pub(super) fn restored(&mut self) {
        let contents = &self.contents;
        self.ranges
            .retain(|number, _| contents.contains_key(number));
        self.readings
            .retain(|reading| contents.contains_key(&reading.number));
    }
}

// === impl Range ===

impl Range {
    /// Takes in another reading of the same version.
    fn widen(&mut self, other: Range) {
        self.from = self.from.min(other.from);
        self.until = self.until.max(other.until);
    }
}

/// The owner of `slot`, when all of `rulers` name the same one.
pub(super) fn owner(rulers: &[Arc<Schedule>], slot: u64) -> Option<String> {
    let first = rulers.first()?.producer_of(slot)?;
    rulers
        .iter()
        .all(|s| s.producer_of(slot) == Some(first))
        .then(|| first.to_owned())
}

/// The effective key of `name`, when all of `rulers` name the same one.
pub(super) fn key_of(rulers: &[Arc<Schedule>], name: &str) -> Option<PublicKey> {
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
