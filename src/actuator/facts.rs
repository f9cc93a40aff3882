//! Everything [`super::decide`] looks at, as plain data: gathered once per decision by `gather`, so that any
//! decision can be replayed from its facts.

use std::sync::Arc;

use super::activation::Waiting;
use super::alert_source::Standing;
use super::authority::{ActiveKeys, Authority};
use super::types::{Cause, Request};
use crate::chain::Election;
use crate::clock::Millis;
use crate::config::{DisableWhen, WhenExhausted};
use crate::keys::PublicKey;
use crate::watch::{Fault, OthersSince, Readiness};

/// The input of one decision.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Local clock.
    pub now: Millis,
    /// What is asked for.
    pub request: Request,
    /// The chain's key prefix, for messages.
    pub prefix: String,
    /// Settings of the producer and its chain; `None` when no producer of that name has keys configured.
    pub rules: Option<Rules>,
    /// Arm state.
    pub arm: Arm,
    /// What Alertmanager says; `None` when it was not asked (no webhook).
    pub standing: Option<Standing>,
    /// A cached silence that covers the producer.
    pub silence: Option<String>,
    /// The agreed view, or why there is none.
    pub view: Result<Seen, String>,
    /// When the newest tick ended, local clock.
    pub tick_at: Millis,
    /// Fault of the registered key.
    pub fault: Fault,
    /// Misses in a row within the tenure.
    pub consecutive_missed: u32,
    /// Since when (local clock) no standby has been ready.
    pub no_ready_standby_since: Option<Millis>,
    /// Share of slots the other producers filled over two rounds.
    pub others_participation: Option<f64>,
    /// Which of them still produce since the producer's current run of misses began.
    pub others_since_run: Option<OthersSince>,
    /// The attempt under way.
    pub attempt: Option<Underway>,
    /// Chain time at which the key last changed hands (our own effective switch, or an adopted change).
    pub last_switch: Option<Millis>,
    /// Switches that spent budget within the period.
    pub switches_spent: u32,
    /// Ways to authorize, in order, with the keys that are loaded.
    pub authority: Vec<Authority>,
    /// Keys that alone suffice for a switch, per authority (`alice`, `alice@failover`), as far as agreed.
    pub active_keys: ActiveKeys,
    /// The registered key that is not in force yet, and how long that takes.
    pub waiting: Option<Waiting>,
    /// Who stands for election, as last agreed: whether disabling would change the schedule (Antelope).
    pub election: Option<Arc<Election>>,
}

/// Settings that a decision needs.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The configured keys, in order, with their readiness.
    pub keys: Vec<Standby>,
    /// Oldest acceptable `evaluated_at`, milliseconds.
    pub max_alert_age: Millis,
    /// Oldest acceptable view, milliseconds.
    pub max_view_age: Millis,
    /// Oldest acceptable head, milliseconds.
    pub max_head_age: Millis,
    /// Lowest acceptable participation.
    pub min_participation: f64,
    /// Rest after a switch, chain time, milliseconds.
    pub cooldown: Millis,
    /// Switches per period.
    pub budget: u32,
    /// The period, in words.
    pub budget_per: String,
    /// What happens when no standby is left.
    pub when_exhausted: WhenExhausted,
    /// When disabling is allowed.
    pub disable_when: DisableWhen,
    /// The operator knows that re-enabling needs a key that is not here.
    pub reenable_manual: bool,
}

/// One configured key.
#[derive(Debug, Clone)]
pub struct Standby {
    /// The key.
    pub key: PublicKey,
    /// Its readiness.
    pub ready: Readiness,
    /// Readiness comes from its node, not from `assume_ready`.
    pub proven: bool,
    /// Savanna: the finalizer key of its host, activated with the switch.
    pub finalizer: Option<String>,
}

/// The arm state as it applies to one producer: each `Err` says why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arm {
    /// Globally and for the producer.
    pub armed: Result<(), String>,
    /// Held off after a missing state file: binds what acts by itself, not an operator.
    pub hold: Option<String>,
    /// Hands off.
    pub pinned: bool,
    /// No action before this local time.
    pub maintenance_until: Option<Millis>,
}

/// What the agreed view shows.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When its answers were complete, local clock.
    pub observed_at: Millis,
    /// Head block.
    pub head: u64,
    /// Head time.
    pub head_time: Millis,
    /// Providers that share it, and how many must.
    pub agreeing: (usize, usize),
    /// The registered key; `None` when the chain does not know the producer.
    pub registered: Option<PublicKey>,
    /// The effective key.
    pub effective: Option<PublicKey>,
    /// False when disabled by null key, unregistration or the chain's own shutdown.
    pub enabled: bool,
    /// Endpoints at different heads differ, or the producer was not read this tick: wait.
    pub settling: bool,
    /// An agreed irreversible block is known (drafts refer to it).
    pub anchored: bool,
    /// HTTP `Date` minus local clock, median.
    pub clock_offset: Option<Millis>,
    /// The nodes' own participation figure.
    pub participation: Option<f64>,
}

/// The attempt under way for a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Underway {
    /// Its id.
    pub id: String,
    /// The key it sets.
    pub to: PublicKey,
    /// How far it is.
    pub stage: super::types::Stage,
    /// Its time has passed by head time and the key is still the old one.
    pub lapsed: bool,
    /// Its method is a compare-and-swap.
    pub swaps: bool,
}

// === impl Arm ===

impl Arm {
    /// Armed for requests of this cause, or why not.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn allows(&self, cause: Cause) -> Result<(), String> {
        match &self.hold {
            Some(why) if self.armed.is_ok() && cause != Cause::Operator => Err(why.clone()),
            _ => self.armed.clone(),
        }
    }
}

// === impl Facts ===

impl Facts {
    /// A key as this chain writes it.
    #[must_use]
    pub fn show(&self, key: &PublicKey) -> String {
        key.to_text(&self.prefix)
    }

    /// The agreed registered key, when it is known and not settling.
    #[must_use]
    pub fn registered(&self) -> Option<PublicKey> {
        self.view
            .as_ref()
            .ok()
            .filter(|v| !v.settling)
            .and_then(|v| v.registered)
    }

    /// The finalizer key of the host of a configured key.
    #[must_use]
    pub fn finalizer_of(&self, key: &PublicKey) -> Option<String> {
        let keys = &self.rules.as_ref()?.keys;
        keys.iter().find(|k| k.key == *key)?.finalizer.clone()
    }

    /// Why disabling would not take the producer out of the schedule; `None` when it would, or that is not known.
    #[must_use]
    pub fn disabling_in_vain(&self) -> Option<String> {
        let election = self.election.as_ref()?;
        election.without(&self.request.producer).in_vain()
    }

    /// How long no standby has been ready, milliseconds.
    #[must_use]
    pub fn no_ready_standby_for(&self) -> Millis {
        self.no_ready_standby_since
            .map_or(0, |since| self.now.saturating_sub(since))
    }
}
