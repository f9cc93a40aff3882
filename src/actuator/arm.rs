//! Arming: global and per producer, pinned, maintenance; effective = all of them. The state file holds it;
//! `actuator.armed` in the configuration seeds an empty state file only. Pure.

use std::collections::BTreeMap;

use super::facts;
use super::journal::ArmRow;
use crate::clock::Millis;
use crate::config::{Config, ProducerConfig, simulate};

/// The scope of the global row.
const GLOBAL: &str = "*";

/// The arm state, as kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArmState {
    /// The global switch.
    pub armed: bool,
    /// Per `chain/producer`; absent = armed, not pinned, no maintenance.
    pub(super) rows: BTreeMap<String, ArmRow>,
    /// Held off until this local time: the state file was missing although the configuration says armed.
    pub hold_until: Option<Millis>,
    /// Global maintenance.
    pub maintenance_until: Option<Millis>,
}

// === impl ArmState ===

impl ArmState {
    /// From the journal's rows; `None` when there is no global row yet (an empty state file).
    #[must_use]
    pub fn from_rows(rows: Vec<ArmRow>) -> Option<Self> {
        let mut state = Self::default();
        let mut seeded = false;
        for row in rows {
            if row.scope == GLOBAL {
                state.armed = row.armed;
                state.maintenance_until = row.maintenance_until;
                seeded = true;
            } else {
                state.rows.insert(row.scope.clone(), row);
            }
        }
        seeded.then_some(state)
    }

    /// The global row, to be kept.
    #[must_use]
    pub fn global_row(&self) -> ArmRow {
        ArmRow {
            scope: GLOBAL.into(),
            armed: self.armed,
            pinned: false,
            maintenance_until: self.maintenance_until,
        }
    }

    /// A producer's own row (not joined with the global one).
    #[must_use]
    pub fn row(&self, chain: &str, producer: &str) -> ArmRow {
        let scope = scope(chain, producer);
        self.rows.get(&scope).cloned().unwrap_or(ArmRow {
            scope,
            armed: true,
            pinned: false,
            maintenance_until: None,
        })
    }

    /// Replaces a producer's row.
    pub fn set(&mut self, row: ArmRow) {
        self.rows.insert(row.scope.clone(), row);
    }

    /// Adds what `row` forbids to what holds, and allows nothing.
    pub(super) fn restrict(&mut self, row: &ArmRow) {
        let held = self.rows.entry(row.scope.clone()).or_insert(ArmRow {
            scope: row.scope.clone(),
            armed: true,
            pinned: false,
            maintenance_until: None,
        });
        held.armed &= row.armed;
        held.pinned |= row.pinned;
        held.maintenance_until = held.maintenance_until.max(row.maintenance_until);
    }

    /// What holds for a producer. `fit` is [`may_arm`]'s answer: an unfit setup is never armed, whatever was said.
    #[must_use]
    pub fn effective(
        &self,
        chain: &str,
        producer: &str,
        fit: &Result<(), String>,
        now: Millis,
    ) -> facts::Arm {
        let row = self.row(chain, producer);
        let armed = if !self.armed {
            Err("slotkeeper is disarmed: `slotkeeper arm` lets it act".to_owned())
        } else if !row.armed {
            Err(format!(
                "{chain}/{producer} is disarmed: `slotkeeper producer arm {chain}/{producer}` lets it act"
            ))
        } else {
            fit.clone()
        };
        let hold = self.hold_until.filter(|until| *until > now).map(|until| {
            format!(
                "the state file was missing although the configuration says armed; held for another {} s in case it was lost (`slotkeeper arm` ends this)",
                until.saturating_sub(now).saturating_add(999) / 1000
            )
        });
        facts::Arm {
            armed,
            hold,
            pinned: row.pinned,
            maintenance_until: row.maintenance_until.max(self.maintenance_until),
        }
    }
}

fn scope(chain: &str, producer: &str) -> String {
    format!("{chain}/{producer}")
}

/// Whether a producer's setup is fit to be armed at all (design: Agreement).
///
/// # Errors
/// What would have to be configured differently, in words.
pub fn may_arm(config: &Config, producer: &ProducerConfig) -> Result<(), String> {
    let name = format!("{}/{}", producer.chain, producer.name);
    if producer.keys.is_empty() {
        return Err(format!("{name} has no keys configured: it is watched only"));
    }
    simulate::may_arm_producer(config, producer).map_err(|refusal| refusal.message)
}
