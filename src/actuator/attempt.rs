//! The state machine of one switch, from signed bytes to irreversible. Pure: what was seen goes in, what to do comes
//! out; `driver` does it.
//!
//! ```text
//! signed ──▶ sent ──▶ included ──▶ effective ──▶ irreversible
//!    │        │          │  ▲           │
//!    │        │          └──┴─ reorg ◀──┘  (back to sent; the same bytes go out again)
//!    └────────┴──▶ expired | failed        (only when it is proven that it can never enter a block)
//! ```
//!
//! Where a registered key takes a while to be in force (Antelope: proposed, pending, active), the attempt waits as
//! *included*: it is neither sent again nor given up, however long that takes. A key that somebody replaces meanwhile was
//! never in force: the attempt goes from included to irreversible, without effective, and names the key that overtook it.
//!
//! *Open* (one per producer, by a UNIQUE index) until the key is effective and head time has passed the expiry, or it
//! is expired or failed. Finality is followed beside that, for it can stall.

use serde::{Deserialize, Serialize};

use super::types::{Action, Cause, Stage};
use crate::chain::{Accepted, Activation, Method, Outcome, Rejection, Sealed};
use crate::clock::Millis;
use crate::keys::PublicKey;

/// A reading of a moving head may show what is a few blocks further on.
const READ_AHEAD: u64 = 8;

/// One switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id.
    pub id: String,
    /// The request that asked for it.
    pub request_id: String,
    /// Label `chain`.
    pub chain: String,
    /// What was asked for.
    pub action: Action,
    /// Who asked; operators spend no budget.
    pub cause: Cause,
    /// An operator overrode interlocks: disarming later does not stop what a person ordered explicitly.
    pub overridden: bool,
    /// The exact signed transaction, sent and sent again.
    pub sealed: Sealed,
    /// Its method is a compare-and-swap on the current key.
    pub swaps: bool,
    /// How far it is.
    pub stage: Stage,
    /// Occupies its producer: no other attempt may start.
    pub open: bool,
    /// When it became durable, local clock.
    pub signed_at: Millis,
    /// Agreed head time when it was drafted.
    pub drafted_at: Millis,
    /// When the first endpoint took it, local clock.
    pub sent_at: Option<Millis>,
    /// Some endpoint took it, or may have.
    pub maybe_taken: bool,
    /// When it was first seen in a block, local clock.
    pub included_at: Option<Millis>,
    /// The block it is in.
    pub block: Option<u64>,
    /// Head number at which the new key was first seen registered while the old one was still in force. A reorg that took
    /// it back leaves it standing: it was registered once.
    #[serde(default)]
    pub registered_block: Option<u64>,
    /// That registration is irreversible: an old key seen afterwards was put back by somebody.
    #[serde(default)]
    pub registered_for_good: bool,
    /// When the new key was first seen in a proposed schedule, local clock.
    #[serde(default)]
    pub proposed_at: Option<Millis>,
    /// When it was first seen in a pending schedule, local clock.
    #[serde(default)]
    pub pending_at: Option<Millis>,
    /// When the agreed view first had the new key in force, local clock.
    pub effective_at: Option<Millis>,
    /// Chain time of that view's head: cooldown and budget count from here. Without `effective_at`: when it was seen to be
    /// overtaken, which rests and spends budget like a switch.
    pub effective_time: Option<Millis>,
    /// Head number of that view.
    pub effective_block: Option<u64>,
    /// The key that somebody registered before the new one was seen in force: then nothing of ours took effect.
    #[serde(default)]
    pub overtaken_by: Option<PublicKey>,
    /// When it became irreversible, expired or failed, local clock.
    pub ended_at: Option<Millis>,
    /// Why it failed or expired, or what endpoints said last.
    pub note: Option<String>,
}

/// What one tick shows of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// Local clock.
    pub now: Millis,
    /// Agreed head: number and time.
    pub head: (u64, Millis),
    /// Agreed irreversible block: number and time; `None` until known.
    pub irreversible: Option<(u64, Millis)>,
    /// The agreed registered key; `None` while endpoints settle or it was not read.
    pub registered: Option<PublicKey>,
    /// The agreed effective key.
    pub effective: Option<PublicKey>,
    /// The key that is on its way to be effective, and how far it is.
    pub coming: Option<(PublicKey, Activation)>,
    /// What the endpoints say of the transaction, since the last sighting.
    pub outcomes: Vec<Outcome>,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// Something changed: make it durable.
    pub changed: bool,
    /// Send the same bytes again.
    pub resend: bool,
}

// === impl Sighting ===

impl Sighting {
    /// The blocks that endpoints say have it.
    fn claims(&self) -> impl Iterator<Item = u64> {
        self.outcomes.iter().filter_map(|o| match o {
            Outcome::Included { block } | Outcome::Irreversible { block } => Some(*block),
            _ => None,
        })
    }

    /// Most of the endpoints that answered say that an agreed irreversible block has it. One endpoint's word is not
    /// enough: a liar must not be able to talk a switch away.
    fn irreversibly_in(&self) -> bool {
        let Some((last, _)) = self.irreversible else {
            return false;
        };
        let sure = self.claims().filter(|block| *block <= last).count();
        sure.saturating_mul(2) > self.outcomes.len()
    }
}

// === impl Attempt ===

impl Attempt {
    /// Whose key it changes.
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.sealed.change.producer
    }

    /// It changed the registered key, and stands or was undone by somebody: it rests and spends budget.
    #[must_use]
    pub fn changed_key(&self) -> bool {
        matches!(self.stage, Stage::Effective | Stage::Irreversible)
    }

    /// Counts against the budget.
    #[must_use]
    pub fn spends_budget(&self) -> bool {
        self.cause != Cause::Operator && self.changed_key()
    }

    /// Notes what the endpoints answered to one broadcast. True when something changed.
    pub fn note_answers(&mut self, now: Millis, answers: &[Answer]) -> bool {
        let before = self.clone();
        if answers.iter().any(|a| !matches!(a, Answer::Refused(..))) {
            // A lost reply may have been a success.
            self.maybe_taken = true;
        }
        if answers.iter().any(|a| matches!(a, Answer::Taken)) {
            self.sent_at.get_or_insert(now);
            if self.stage == Stage::Signed {
                self.stage = Stage::Sent;
            }
        } else if !answers.is_empty() {
            let said: Vec<String> = answers.iter().map(Answer::in_words).collect();
            self.note = Some(format!("no endpoint took it: {}", said.join("; ")));
        }
        *self != before
    }

    /// Takes in what a tick shows.
    pub fn advance(&mut self, seen: &Sighting) -> Next {
        let before = self.clone();
        let change = &self.sealed.change;
        let (head, head_time) = seen.head;
        let expiry_passed = head_time > self.sealed.expiry;
        let in_block = seen.claims().find(|block| *block <= head);
        let registered = seen.registered == Some(change.to);
        // A disable is done when the producer is unregistered: whether the schedule follows is up to the chain.
        let in_force = change.to.is_null() || seen.effective.is_none_or(|k| k == change.to);
        let at_target = registered && in_force;
        let untouched = seen.registered == Some(change.from);

        if let Some(block) = in_block {
            self.block = Some(block);
            self.included_at.get_or_insert(seen.now);
            self.sent_at.get_or_insert(seen.now);
            self.maybe_taken = true;
            if self.stage < Stage::Included {
                self.stage = Stage::Included;
            }
        }
        if registered && !in_force && self.stage < Stage::Effective {
            self.activates(seen);
        }
        if at_target && self.stage < Stage::Effective && self.block.is_none_or(|b| b <= head) {
            self.stage = Stage::Effective;
            self.included_at.get_or_insert(seen.now);
            self.sent_at.get_or_insert(seen.now);
            self.maybe_taken = true;
            self.effective_at.get_or_insert(seen.now);
            self.effective_time = Some(head_time);
            self.effective_block = Some(head);
            self.note = None;
        } else if untouched && self.registered_for_good && self.stage == Stage::Included {
            self.changed_again(seen);
        } else if untouched
            && in_block.is_none()
            && !seen.outcomes.is_empty()
            && matches!(self.stage, Stage::Included | Stage::Effective)
            && self
                .effective_block
                .or(self.block)
                .or(self.registered_block)
                .is_none_or(|b| b <= head)
        {
            // The agreed fork does not have it (any more): a reorg took it back, or one endpoint was ahead of the rest.
            self.stage = Stage::Sent;
            self.block = None;
            self.effective_time = None;
            self.effective_block = None;
        }
        if self.stage == Stage::Effective {
            let landed = self.block.max(self.effective_block).unwrap_or(head);
            // Not on a tick that shows the old key again (a reorg may have taken it back, and nobody was asked yet) or
            // shows no key at all.
            let stands = seen.registered.is_some() && (!untouched || in_block.is_some());
            if stands && seen.irreversible.is_some_and(|(num, _)| num >= landed) {
                self.stage = Stage::Irreversible;
                self.ended_at = Some(seen.now);
            }
        }
        if self.stage < Stage::Effective && !registered {
            self.give_up(seen, untouched, in_block.is_some());
        }
        self.open = match self.stage {
            Stage::Signed | Stage::Sent | Stage::Included => true,
            Stage::Effective | Stage::Irreversible => !expiry_passed,
            Stage::Expired | Stage::Failed => false,
        };
        Next {
            changed: *self != before,
            resend: self.stage < Stage::Effective && untouched && !expiry_passed,
        }
    }

    /// The new key is registered, and the one before it still signs.
    fn activates(&mut self, seen: &Sighting) {
        if self.stage < Stage::Included {
            self.registered_block = None;
        }
        self.stage = Stage::Included;
        self.included_at.get_or_insert(seen.now);
        self.sent_at.get_or_insert(seen.now);
        let since = *self.registered_block.get_or_insert(seen.head.0);
        self.registered_for_good |= seen
            .irreversible
            .is_some_and(|(num, _)| num >= since.saturating_add(READ_AHEAD));
        self.maybe_taken = true;
        self.note = None;
        match seen.coming {
            Some((key, Activation::Proposed)) if key == self.sealed.change.to => {
                self.proposed_at.get_or_insert(seen.now);
            }
            Some((key, Activation::Pending)) if key == self.sealed.change.to => {
                self.pending_at.get_or_insert(seen.now);
            }
            _ => {}
        }
    }

    /// Ends it when it is proven that it can never enter a block (any more). `claimed`: some endpoint says that a block
    /// has it; one endpoint's word must not keep a producer occupied for ever, so it only matters beside a third key.
    fn give_up(&mut self, seen: &Sighting, untouched: bool, claimed: bool) {
        let expiry = self.sealed.expiry;
        let refused = !self.maybe_taken && self.note.is_some();
        // Irreversible time past the expiry, and an agreed head whose key is not ours: no block of this fork will have
        // it, and if one had it the key has been changed since.
        if seen.registered.is_some() && seen.irreversible.is_some_and(|(_, t)| t > expiry) {
            let was_registered = self.registered_block.is_some();
            if (claimed && !untouched) || was_registered || seen.irreversibly_in() {
                self.changed_again(seen);
            } else if refused {
                self.stage = Stage::Failed;
            } else {
                self.stage = Stage::Expired;
                self.note = Some(
                    "its expiration has passed irreversibly and no agreed block has it".to_owned(),
                );
            }
        } else if refused && untouched && !claimed && self.swaps && seen.head.1 > expiry {
            // Every endpoint refused it every time, and its time is over: nobody has it to include it. Should a fork
            // still have it, the chain's own comparison lets only one of two through; where the chain does not compare,
            // only finality will do.
            self.stage = Stage::Failed;
        }
        if self.stage.is_over() {
            self.ended_at = Some(seen.now);
        }
    }

    /// Somebody changed the key again, maybe while nobody of us looked. It was a switch: it starts the rest and spends budget
    /// like any other, and whoever undid it is not fought.
    fn changed_again(&mut self, seen: &Sighting) {
        self.stage = Stage::Irreversible;
        self.effective_time = Some(seen.head.1);
        self.ended_at = Some(seen.now);
        if self.effective_at.is_none() && self.takes_a_while() {
            self.overtaken_by = seen.registered;
            let still = if seen
                .coming
                .is_some_and(|(key, _)| key == self.sealed.change.to)
            {
                "; a schedule with it is on its way all the same, so it may sign for a while"
            } else {
                ""
            };
            self.note = Some(format!(
                "it was registered, and somebody changed the key again before it was seen in force{still}"
            ));
        } else {
            self.effective_at.get_or_insert(seen.now);
            self.note = Some("it took effect and the key was changed again".to_owned());
        }
    }

    /// Registered is not in force yet (Antelope). Disabling is done when registered.
    fn takes_a_while(&self) -> bool {
        self.sealed.change.method == Method::Regproducer && !self.sealed.change.to.is_null()
    }

    /// Its time has passed by head time while the key is still the old one. On a compare-and-swap chain a new draft
    /// with the same keys is then safe: both landing is the same as one landing.
    #[must_use]
    pub fn lapsed(&self, head_time: Millis, registered: Option<PublicKey>) -> bool {
        self.open
            && self.stage < Stage::Effective
            && head_time > self.sealed.expiry
            && registered == Some(self.sealed.change.from)
    }

    /// Ends a lapsed attempt in favour of a new draft.
    pub fn replace(&mut self, now: Millis) {
        self.stage = Stage::Expired;
        self.open = false;
        self.ended_at = Some(now);
        self.note = Some("its expiration has passed; signed again with the same keys".to_owned());
    }
}

/// One endpoint's answer to a broadcast, classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accepted, now or before.
    Taken,
    /// No telling: lost reply, odd reply, timeout.
    Unsure(String),
    /// Refused.
    Refused(Rejection),
}

// === impl Answer ===

impl Answer {
    /// From what the chain makes of a reply.
    #[must_use]
    pub fn from_reply(accepted: Accepted) -> Self {
        match accepted {
            Accepted::Now | Accepted::Already => Self::Taken,
            Accepted::Refused(why) => Self::Refused(why),
            Accepted::Unsure => Self::Unsure("its answer does not tell".to_owned()),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Taken => "taken".to_owned(),
            Self::Unsure(why) => why.clone(),
            Self::Refused(why) => match why {
                Rejection::Expired => "refused: its expiration has passed there",
                Rejection::ExpirationTooFar => {
                    "refused: its expiration is too far ahead of that node's head"
                }
                Rejection::ReferenceBlock => {
                    "refused: its reference block is not on that node's fork"
                }
                Rejection::MissingAuthority => {
                    "refused: the signing key has no authority for this (or the chain id is wrong)"
                }
                Rejection::BadSignature => "refused: bad or superfluous signature",
                Rejection::FenceMismatch => {
                    "refused: the registered key is no longer the one we named"
                }
                Rejection::Resources => "refused: not enough funds or resource credits",
                Rejection::UnknownAccount => "refused: no such account there",
                Rejection::Invalid => "refused: the chain does not take its content",
                Rejection::NoSuchMethod => "refused: that endpoint does not take transactions",
                Rejection::BadRequest => "refused: that endpoint could not parse it",
            }
            .to_owned(),
        }
    }
}

#[cfg(test)]
mod activation;
#[cfg(test)]
mod tests;
