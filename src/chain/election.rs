//! Who stands for election, and whether a change of that can change the schedule (Antelope). Data and arithmetic only.
//!
//! The system contract elects at most 21 of those that are active and voted for, and then keeps the old schedule when it
//! found fewer than the last one had (`update_elected_producers` in its `voting.cpp`; seen on a real nodeos with three of
//! three). Who unregisters then stays scheduled, with the old key, and misses every turn; and no key that anybody registers
//! comes into force.

use std::collections::BTreeSet;

/// What the next election has to go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    /// Producers that are active and voted for, as far as the node listed them. Since Savanna only those with a finalizer
    /// key count, which the list does not tell.
    pub standing: BTreeSet<String>,
    /// The list goes on to its end: who is not in it does not stand.
    pub whole: bool,
    /// How many the newest schedule has, on its way or in force.
    pub scheduled: usize,
}

/// What unregistering would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// Enough others remain: the next schedule is without the producer.
    Leaves,
    /// Too few others remain: the schedule stays as it is, the producer in it.
    Stays {
        /// Active producers with votes, without this one.
        others: usize,
        /// How many the schedule has.
        scheduled: usize,
    },
    /// The node did not list enough of them to tell.
    Unknown,
}

// === impl Election ===

impl Election {
    /// What unregistering `producer` would do.
    #[must_use]
    pub fn without(&self, producer: &str) -> Leaving {
        let others = self.standing.iter().filter(|name| *name != producer);
        let (others, scheduled) = (others.count(), self.scheduled);
        if others >= scheduled {
            Leaving::Leaves
        } else if self.whole {
            Leaving::Stays { others, scheduled }
        } else {
            Leaving::Unknown
        }
    }

    /// Why no new schedule is elected now, in words; `None` while one can be, or when that cannot be told.
    #[must_use]
    pub fn halted(&self) -> Option<String> {
        let standing = self.standing.len();
        (self.whole && standing < self.scheduled).then(|| {
            format!(
                "the chain elects no new schedule now: {standing} producers are active and voted for, and its newest schedule has {}",
                self.scheduled
            )
        })
    }
}

// === impl Leaving ===

impl Leaving {
    /// Why unregistering would be in vain, in words; `None` when it would not be, or when that cannot be told.
    #[must_use]
    pub fn in_vain(self) -> Option<String> {
        match self {
            Self::Stays { others, scheduled } => Some(format!(
                "disabling cannot change the schedule now: {others} other producers are active and the schedule has {scheduled}, so it would stay scheduled and miss every turn"
            )),
            Self::Leaves | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn election(standing: &[&str], whole: bool, scheduled: usize) -> Election {
        Election {
            standing: standing.iter().map(|name| (*name).to_owned()).collect(),
            whole,
            scheduled,
        }
    }

    #[test]
    fn no_schedule_is_elected_while_fewer_stand_than_the_newest_has() {
        assert_eq!(election(&["a", "b"], true, 2).halted(), None);
        assert_eq!(election(&["a", "b"], false, 3).halted(), None);
        let why = election(&["a", "b"], true, 3).halted().unwrap();
        assert!(why.contains("2 producers are active"), "{why}");
    }

    #[test]
    fn who_is_needed_to_fill_the_schedule_unregisters_in_vain() {
        let three = election(&["a", "b", "c"], true, 3);
        assert!(three.without("a").in_vain().is_some());
        // Who does not stand takes nobody away.
        assert_eq!(three.without("d").in_vain(), None);
        assert_eq!(
            election(&["a", "b", "c"], true, 2).without("a").in_vain(),
            None
        );
        assert_eq!(election(&["a", "b"], false, 3).without("a").in_vain(), None);
    }
}
