//! The long lists of the chain's state in pieces of a few entries each, so that a tick writes the pieces that changed and
//! not the lists: with half-second blocks hundreds are reversible. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::rows::{RowError, unfit};
use super::slots::{Outcome, SlotRecord};
use super::state::{ChainState, Judged};
use crate::chain::Schedule;

/// Blocks, or slots, of one piece.
const SPAN: u64 = 16;
/// Row of the bounds of all lists; without it the lists are in the chain's row, as they were in older state files.
pub(super) const SPANS: &str = "spans";

/// Which list a piece belongs to, by the first part of its row's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    /// Judged blocks, by number.
    Blocks,
    /// Slot records, by slot.
    Slots,
    /// Outcomes, by slot.
    Outcomes,
    /// Contents of schedule versions, one each.
    Versions,
}

/// A piece: the list, and which one of it.
type Piece = (List, u64);

/// Which pieces changed since they were saved, and which are in the state file.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    changed: BTreeSet<Piece>,
    saved: BTreeSet<Piece>,
}

/// Bounds of the lists. What a piece holds beyond them was dropped since it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Spans {
    /// First and last judged block.
    blocks: Option<(u64, u64)>,
    /// Slot records are of slots after this one.
    slots_after: u64,
    /// First and last slot with an outcome.
    outcomes: Option<(u64, u64)>,
}

// === impl Chunks ===

impl Chunks {
    /// Entry `at` of `list` changed (a number that is not in the list any more does no harm).
    pub(super) fn mark(&mut self, list: List, at: u64) {
        self.changed.insert((list, piece(list, at)));
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The rows that bring the state file up to `state`; an empty value removes the row.
    pub(super) fn rows(&self, state: &ChainState) -> Vec<(String, String)> {
        let present = present(state);
        let mut rows: Vec<(String, String)> = present
            .iter()
            .filter(|p| self.changed.contains(p) || !self.saved.contains(p))
            .filter_map(|p| Some((name(*p), write(state, *p)?)))
            .collect();
        let gone = self.saved.difference(&present);
        rows.extend(gone.map(|p| (name(*p), String::new())));
        if let Ok(json) = serde_json::to_string(&Spans::of(state)) {
            rows.push((SPANS.to_owned(), json));
        }
        rows
    }

    /// [`Chunks::rows`] of `state` were saved.
    pub(super) fn saved(&mut self, state: &ChainState) {
        self.changed.clear();
        self.saved = present(state);
    }

    /// Puts the pieces among `rows` back into `state`.
    pub(super) fn restore(
        rows: &[(String, String)],
        state: &mut ChainState,
    ) -> Result<Self, RowError> {
        let mut chunks = Self::default();
        let find = |row: &str| rows.iter().find(|(name, _)| name == row);
        let Some((_, spans)) = find(SPANS) else {
            // An older state file: the lists came with the chain's row.
            return Ok(chunks);
        };
        let spans: Spans = serde_json::from_str(spans).map_err(|e| unfit(SPANS, e))?;
        let mut blocks: BTreeMap<u64, Judged> = BTreeMap::new();
        let mut outcomes: BTreeMap<u64, Outcome> = BTreeMap::new();
        let inside = |span: Option<(u64, u64)>, at: u64| {
            span.is_some_and(|(first, last)| (first..=last).contains(&at))
        };
        for (row, json) in rows.iter().filter(|(_, json)| !json.is_empty()) {
            let Some(piece) = parse(row) else { continue };
            let bad = |e| unfit(row, e);
            chunks.saved.insert(piece);
            match piece.0 {
                List::Blocks => {
                    let list: Vec<Judged> = serde_json::from_str(json).map_err(bad)?;
                    let list = list.into_iter().map(|j| (j.block.num, j));
                    blocks.extend(list.filter(|(num, _)| inside(spans.blocks, *num)));
                }
                List::Slots => {
                    let list: Vec<(u64, SlotRecord)> = serde_json::from_str(json).map_err(bad)?;
                    let list = list.into_iter();
                    state
                        .slots
                        .extend(list.filter(|(slot, _)| *slot > spans.slots_after));
                }
                List::Outcomes => {
                    let list: Vec<Outcome> = serde_json::from_str(json).map_err(bad)?;
                    let list = list.into_iter().map(|o| (o.slot, o));
                    outcomes.extend(list.filter(|(slot, _)| inside(spans.outcomes, *slot)));
                }
                List::Versions => {
                    let schedule: Schedule = serde_json::from_str(json).map_err(bad)?;
                    state.versions.restore(piece.1, schedule);
                }
            }
        }
        state.versions.restored();
        state.recent = blocks.into_values().collect();
        state.outcomes = outcomes.into_values().collect();
        if Spans::of(state).blocks != spans.blocks || !is_unbroken(state) {
            return Err(unfit(SPANS, "blocks are missing"));
        }
        Ok(chunks)
    }
}

// === impl Spans ===

impl Spans {
    fn of(state: &ChainState) -> Self {
        let ends = |first: Option<u64>, last: Option<u64>| first.zip(last);
        let mut outcomes = state.outcomes.iter().map(|o| o.slot);
        let first = outcomes.next();
        Self {
            blocks: ends(
                state.recent.front().map(|j| j.block.num),
                state.recent.back().map(|j| j.block.num),
            ),
            slots_after: state.recent.front().map_or(0, |j| j.slot),
            outcomes: ends(first, outcomes.next_back().or(first)),
        }
    }
}

fn is_unbroken(state: &ChainState) -> bool {
    let mut numbers = state.recent.iter().map(|j| j.block.num);
    let Some(mut last) = numbers.next() else {
        return true;
    };
    numbers.all(|num| std::mem::replace(&mut last, num).checked_add(1) == Some(num))
}

fn piece(list: List, at: u64) -> u64 {
    match list {
        List::Versions => at,
        _ => at.checked_div(SPAN).unwrap_or(0),
    }
}

fn present(state: &ChainState) -> BTreeSet<Piece> {
    let of = |list: List| move |at: u64| (list, piece(list, at));
    let blocks = state.recent.iter().map(|j| j.block.num);
    let outcomes = state.outcomes.iter().map(|o| o.slot);
    let versions = state.versions.contents().keys().copied();
    blocks
        .map(of(List::Blocks))
        .chain(state.slots.keys().copied().map(of(List::Slots)))
        .chain(outcomes.map(of(List::Outcomes)))
        .chain(versions.map(of(List::Versions)))
        .collect()
}

fn write(state: &ChainState, (list, number): Piece) -> Option<String> {
    let first = number.checked_mul(SPAN)?;
    let here = first..first.checked_add(SPAN)?;
    // Plain data with text or number keys always serializes; were it not so, the row would be left as it was.
    match list {
        List::Blocks => {
            let from = state.recent.partition_point(|j| j.block.num < here.start);
            let entries = state.recent.range(from..);
            let entries: Vec<&Judged> = entries
                .take_while(|j| here.contains(&j.block.num))
                .collect();
            serde_json::to_string(&entries)
        }
        List::Slots => {
            let entries: Vec<(&u64, &SlotRecord)> = state.slots.range(here).collect();
            serde_json::to_string(&entries)
        }
        List::Outcomes => {
            let entries = state.outcomes.iter();
            let entries: Vec<&Outcome> = entries.filter(|o| here.contains(&o.slot)).collect();
            serde_json::to_string(&entries)
        }
        List::Versions => serde_json::to_string(state.versions.contents().get(&number)?.as_ref()),
    }
    .ok()
}

fn name((list, number): Piece) -> String {
    let list = match list {
        List::Blocks => "b",
        List::Slots => "s",
        List::Outcomes => "o",
        List::Versions => "v",
    };
    format!("{list}/{number}")
}

fn parse(row: &str) -> Option<Piece> {
    let (list, number) = row.split_once('/')?;
    let list = match list {
        "b" => List::Blocks,
        "s" => List::Slots,
        "o" => List::Outcomes,
        "v" => List::Versions,
        _ => return None,
    };
    Some((list, number.parse().ok()?))
}
