//! The ledger as rows of the state file, and back. All dirty rows of a tick are saved together, so that counters and
//! position never part. A row with an empty value is removed. Pure.

use std::collections::BTreeMap;

use super::chunks::Chunks;
use super::{ChainState, Track};

/// Row of the chain-wide state.
const CHAIN: &str = "chain";
/// Rows of producers: this and the name.
const PRODUCER: &str = "p/";

/// A saved row could not be read back.
#[derive(Debug, thiserror::Error)]
#[error("row {row:?} of the saved ledger cannot be read: {problem}")]
pub struct RowError {
    row: String,
    problem: String,
}

pub(super) fn unfit(row: &str, problem: impl std::fmt::Display) -> RowError {
    RowError {
        row: row.to_owned(),
        problem: problem.to_string(),
    }
}

/// Writes the chain-wide row.
pub(super) fn chain(state: &ChainState) -> Option<(String, String)> {
    // Plain data with text or number keys always serializes; were it not so, the row would be left as it was.
    serde_json::to_string(state)
        .ok()
        .map(|json| (CHAIN.to_owned(), json))
}

/// Writes one producer's row.
pub(super) fn producer(name: &str, track: &Track) -> Option<(String, String)> {
    serde_json::to_string(track)
        .ok()
        .map(|json| (format!("{PRODUCER}{name}"), json))
}

/// Reads rows back; rows of other kinds are left alone.
pub(super) fn read(
    rows: &[(String, String)],
) -> Result<(ChainState, BTreeMap<String, Track>, Chunks), RowError> {
    let mut state = ChainState::default();
    let mut tracks = BTreeMap::new();
    for (row, json) in rows.iter().filter(|(_, json)| !json.is_empty()) {
        let bad = |source| unfit(row, source);
        if row == CHAIN {
            state = serde_json::from_str(json).map_err(bad)?;
        } else if let Some(name) = row.strip_prefix(PRODUCER) {
            tracks.insert(name.to_owned(), serde_json::from_str(json).map_err(bad)?);
        }
    }
    let chunks = Chunks::restore(rows, &mut state)?;
    Ok((state, tracks, chunks))
}
