//! `chain_properties_update` of Golos: every property a witness votes for, in the versions that hard forks brought. Pure.
//!
//! On the wire a version's number, then its fields in the chain's order; each version has all fields of the one before.
//! Source of order and widths: golos-blockchain `protocol/steem_operations.hpp`, the reflection of `chain_properties_17`
//! to `chain_properties_30`, and its JavaScript library; checked by vectors of versions 17, 18, 22, 26 and 30.

use serde_json::{Map, Value, json};

use super::asset::Asset;
use super::codec::varint;
use super::dialect::Dialect;
use super::json::{Object, bad};
use super::{Serialization, TxError};

/// The properties of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainProperties {
    /// Index of the version: 0 is that of hard fork 17.
    version: usize,
    /// In the chain's order: exactly the fields of the version.
    values: Vec<Property>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Property {
    Asset(Asset),
    /// Also booleans and the 64-bit number that an enumeration is on the wire.
    Number(u64),
}

/// How a value stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Asset,
    Flag,
    Bytes(usize),
    /// An enumeration: JSON has its name or its number.
    Curve,
}

use Kind::{Asset as A, Curve, Flag};
const U16: Kind = Kind::Bytes(2);
const U32: Kind = Kind::Bytes(4);

/// Names of `curation_curve`, by number.
const CURVES: [&str; 3] = ["bounded", "linear", "square_root"];

/// What each version adds: hard fork, fields.
const VERSIONS: [(u8, &[(&str, Kind)]); 11] = [
    (
        17,
        &[
            ("account_creation_fee", A),
            ("maximum_block_size", U32),
            ("sbd_interest_rate", U16),
        ],
    ),
    (
        18,
        &[
            ("create_account_min_golos_fee", A),
            ("create_account_min_delegation", A),
            ("create_account_delegation_time", U32),
            ("min_delegation", A),
        ],
    ),
    (
        19,
        &[
            ("max_referral_interest_rate", U16),
            ("max_referral_term_sec", U32),
            ("min_referral_break_fee", A),
            ("max_referral_break_fee", A),
            ("posts_window", U16),
            ("posts_per_window", U16),
            ("comments_window", U16),
            ("comments_per_window", U16),
            ("votes_window", U16),
            ("votes_per_window", U16),
            ("auction_window_size", U16),
            ("max_delegated_vesting_interest_rate", U16),
            ("custom_ops_bandwidth_multiplier", U16),
            ("min_curation_percent", U16),
            ("max_curation_percent", U16),
            ("curation_reward_curve", Curve),
            ("allow_distribute_auction_reward", Flag),
            ("allow_return_auction_reward_to_fund", Flag),
        ],
    ),
    (
        22,
        &[
            ("worker_reward_percent", U16),
            ("witness_reward_percent", U16),
            ("vesting_reward_percent", U16),
            ("worker_request_creation_fee", A),
            ("worker_request_approve_min_percent", U16),
            ("sbd_debt_convert_rate", U16),
            ("vote_regeneration_per_day", U32),
            ("witness_skipping_reset_time", U32),
            ("witness_idleness_time", U32),
            ("account_idleness_time", U32),
        ],
    ),
    (
        23,
        &[("claim_idleness_time", U32), ("min_invite_balance", A)],
    ),
    (
        24,
        &[
            ("asset_creation_fee", A),
            ("invite_transfer_interval_sec", U32),
        ],
    ),
    (
        26,
        &[
            ("convert_fee_percent", U16),
            ("min_golos_power_to_curate", A),
            ("worker_emission_percent", U16),
            ("vesting_of_remain_percent", U16),
            ("negrep_posting_window", U16),
            ("negrep_posting_per_window", U16),
        ],
    ),
    (
        27,
        &[
            ("unwanted_operation_cost", A),
            ("unlimit_operation_cost", A),
        ],
    ),
    (28, &[("min_golos_power_to_emission", A)]),
    (29, &[("nft_issue_cost", A)]),
    (
        30,
        &[("private_group_golos_power", A), ("private_group_cost", A)],
    ),
];

fn fields(version: usize) -> impl Iterator<Item = (&'static str, Kind)> {
    VERSIONS
        .iter()
        .take(version.saturating_add(1))
        .flat_map(|(_, added)| added.iter().copied())
}

// === impl ChainProperties ===

impl ChainProperties {
    /// Reads `[index, {…}]`.
    pub(super) fn read(value: &Value, path: &str, dialect: &Dialect) -> Result<Self, TxError> {
        let pair = value.as_array().map(Vec::as_slice);
        let Some([index, body]) = pair else {
            return bad(
                path,
                "a pair [version, {…}] is needed here; version 0 is that of hard fork 17",
            );
        };
        let version = index.as_u64().and_then(|n| usize::try_from(n).ok());
        let Some(version) = version.filter(|v| *v < VERSIONS.len()) else {
            let known: Vec<String> = VERSIONS
                .iter()
                .enumerate()
                .map(|(i, (fork, _))| format!("{i} (hard fork {fork})"))
                .collect();
            return bad(
                format!("{path}[0]"),
                format!("versions known: {}", known.join(", ")),
            );
        };
        let names: Vec<&str> = fields(version).map(|(name, _)| name).collect();
        let o = Object::new(body, &format!("{path}[1]"), &names)?;
        let values = fields(version)
            .map(|(name, kind)| property(&o, name, kind, dialect))
            .collect::<Result<_, _>>()?;
        Ok(Self { version, values })
    }

    /// Appends version and fields.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        dialect: &Dialect,
        form: Serialization,
    ) -> Result<(), TxError> {
        varint(out, self.version as u64);
        for ((_, kind), value) in fields(self.version).zip(&self.values) {
            match value {
                Property::Asset(asset) => asset.write(out, dialect, form)?,
                Property::Number(number) => {
                    let width = match kind {
                        Kind::Bytes(width) => width,
                        Flag => 1,
                        Curve | A => 8,
                    };
                    out.extend(number.to_le_bytes().iter().take(width));
                }
            }
        }
        Ok(())
    }

    /// `[index, {…}]`.
    pub(super) fn to_json(&self) -> Value {
        let body: Map<String, Value> = fields(self.version)
            .zip(&self.values)
            .map(|((name, kind), value)| {
                let value = match (value, kind) {
                    (Property::Asset(asset), _) => asset.to_string().into(),
                    (Property::Number(number), Flag) => (*number != 0).into(),
                    (Property::Number(number), _) => (*number).into(),
                };
                (name.to_owned(), value)
            })
            .collect();
        json!([self.version, body])
    }
}

fn property(
    o: &Object<'_>,
    name: &str,
    kind: Kind,
    dialect: &Dialect,
) -> Result<Property, TxError> {
    Ok(match kind {
        A => Property::Asset(o.asset(name, dialect)?),
        Flag => match o.get(name)?.as_bool() {
            Some(flag) => Property::Number(u64::from(flag)),
            None => return bad(o.at(name), "true or false is needed here"),
        },
        Kind::Bytes(2) => Property::Number(o.number::<u16>(name)?.into()),
        Kind::Bytes(_) => Property::Number(o.number::<u32>(name)?.into()),
        Curve => {
            let named = o.get(name)?.as_str();
            let known = named.and_then(|text| CURVES.iter().position(|curve| *curve == text));
            let number = match known {
                Some(number) => number as u64,
                None => o.number(name)?,
            };
            if number >= CURVES.len() as u64 {
                return bad(
                    o.at(name),
                    format!(
                        "one of {}, or its number, is needed here",
                        CURVES.join(", ")
                    ),
                );
            }
            Property::Number(number)
        }
    })
}
