//! Whether unregistering takes a producer out of the schedule. Pure.
//!
//! The system contract elects at most 21 of those that are active and voted for, and then keeps the old schedule when it
//! found fewer than the last one had (`update_elected_producers` in its `voting.cpp`; seen on a real nodeos with three of
//! three). Who unregisters then stays scheduled, with the old key, and misses every turn.

use serde_json::{Value, json};

use super::read::rows;
use crate::chain::graphene::fields::{as_integer, text};
use crate::chain::{Call, ReadError};

/// Inactive producers come last in the list, and no schedule is longer than 21 on the chains we know.
const ENOUGH: u64 = 100;

/// What unregistering would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// Enough others remain: the next schedule is without the producer.
    Leaves,
    /// Too few others remain: the schedule stays as it is, the producer in it.
    Stays {
        /// Active producers with votes, without this one.
        others: usize,
        /// How many the schedule in force has.
        scheduled: usize,
    },
    /// The node did not list enough of them to tell.
    Unknown,
}

/// The question whose answer [`leaving`] reads.
#[must_use]
pub fn candidates_call() -> Call {
    Call {
        method: "/v1/chain/get_producers".to_owned(),
        params: json!({"json": true, "lower_bound": "", "limit": ENOUGH}),
    }
}

/// What unregistering `producer` would do, by the answer to [`candidates_call`] and the number of producers in the
/// schedule in force ([`crate::chain::Schedule::order`]). Since Savanna only producers with a finalizer key count, which
/// rows do not tell: there `Leaves` may be too hopeful.
///
/// # Errors
/// A reply of another shape.
pub fn leaving(reply: &Value, producer: &str, scheduled: usize) -> Result<Leaving, ReadError> {
    let (rows, more) = rows(reply)?;
    let mut others = 0usize;
    let mut at_the_end = !more;
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
        if !active || !voted {
            at_the_end = true;
        } else if text(row, "owner")? != producer {
            others = others.saturating_add(1);
        }
    }
    Ok(if others >= scheduled {
        Leaving::Leaves
    } else if at_the_end {
        Leaving::Stays { others, scheduled }
    } else {
        Leaving::Unknown
    })
}
