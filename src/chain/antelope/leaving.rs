//! Reads who stands for election from a node's list of producers. Pure; what follows from it: [`crate::chain::Election`].

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::read::rows;
use crate::chain::graphene::fields::{as_integer, text};
use crate::chain::{Call, Election, ReadError};

/// Inactive producers come last in the list, and no schedule is longer than 21 on the chains we know.
const ENOUGH: u64 = 100;

/// The question whose answer [`election`] reads.
#[must_use]
pub fn candidates_call() -> Call {
    Call {
        method: "/v1/chain/get_producers".to_owned(),
        params: json!({"json": true, "lower_bound": "", "limit": ENOUGH}),
    }
}

/// Who stands, by the answer to [`candidates_call`], against the number of producers in the newest schedule.
///
/// # Errors
/// A reply of another shape.
pub fn election(reply: &Value, scheduled: usize) -> Result<Election, ReadError> {
    let (rows, more) = rows(reply)?;
    let mut standing = BTreeSet::new();
    let mut whole = !more;
    for row in rows {
        let active = match row.get("is_active") {
            Some(Value::Bool(active)) => *active,
            Some(value) => as_integer(value).is_some_and(|n| n != 0),
            None => true,
        };
        // Sorted by votes, the inactive behind: after the first that is no candidate comes none.
        let voted = text(row, "total_votes")?
            .parse()
            .is_ok_and(|votes: f64| votes > 0.0);
        if active && voted {
            standing.insert(text(row, "owner")?.to_owned());
        } else {
            whole = true;
        }
    }
    Ok(Election {
        standing,
        whole,
        scheduled,
    })
}
