//! Replies of BitShares nodes → chain-neutral words. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fields::{as_integer, bad, field, integer, parse_time, text};
use super::objects::ObjectId;
use super::read;
use crate::chain::{Block, ChainSpec, ProducerState, ReadError, Rejection, RpcFault, Schedule};
use crate::clock::Millis;
use crate::keys::PublicKey;

/// The object that holds the schedule in force.
pub(super) const SCHEDULE: &str = "2.12.0";
/// Slots left out after a maintenance block, where the node does not say (`GRAPHENE_DEFAULT_MAINTENANCE_SKIP_SLOTS`).
const SKIP_SLOTS: u64 = 3;
/// Least life a transaction must be allowed: what drafts are given.
const LEAST_LIFE_S: u64 = 30;
/// Maintenance blocks looked back for: the widest backfill spans no more.
const MAINTENANCES: usize = 1_000;

/// Dynamic global properties, as far as needed.
pub(super) struct Head {
    pub(super) at: read::Head,
    /// Time of the last maintenance block.
    maintained: Option<Millis>,
    /// The first block at or after this time is the next maintenance block.
    maintenance_due: Option<Millis>,
}

/// What the committee has set, as far as needed.
pub(super) struct Globals {
    skip_slots: u64,
    maintenance_interval: Option<Millis>,
    /// Witnesses of the next round; with a maintenance the number may change in the middle of one.
    active: u64,
}

/// What object ids are called: by account where known, else by themselves.
pub(super) struct Names(BTreeMap<String, String>);

// === impl Head ===

impl Head {
    /// Reads `get_dynamic_global_properties`.
    pub(super) fn read(value: &Value) -> Result<Self, ReadError> {
        // One bit for each of the last 128 slots.
        let filled = match value.get("recent_slots_filled") {
            Some(Value::String(s)) => s.parse::<u128>().ok(),
            Some(Value::Number(n)) => n.as_u64().map(u128::from),
            _ => None,
        };
        Ok(Self {
            at: read::Head {
                participation: filled.map(|bits| f64::from(bits.count_ones()) / 128.0),
                ..read::head(value)?
            },
            maintained: moment(value, "last_budget_time"),
            maintenance_due: moment(value, "next_maintenance_time"),
        })
    }

    /// Writes each block's slot number. After a maintenance block the chain leaves slots out, which its numbering does
    /// not count, so numbers do not follow from times alone.
    pub(super) fn number_slots(
        &self,
        blocks: &mut [Block],
        spec: &ChainSpec,
        globals: Option<&Globals>,
    ) {
        let skip = globals.map_or(SKIP_SLOTS, |g| g.skip_slots);
        let times: Vec<Millis> = blocks.iter().map(|b| b.time).collect();
        let maintenances = self.maintenances(&times, globals);
        for block in blocks {
            let between = maintenances
                .iter()
                .filter(|m| block.time <= **m && **m < self.at.block.time)
                .count();
            let left_out = u64::try_from(between).unwrap_or(0).saturating_mul(skip);
            let back = self.at.block.time.checked_sub(block.time);
            let back = back.and_then(|ms| ms.checked_div(spec.block_interval));
            block.slot = back
                .and_then(i64::checked_neg)
                .and_then(|back| self.at.slot.checked_add_signed(back))
                .map(|slot| slot.saturating_add(left_out));
        }
    }

    /// Times of the maintenance blocks since the first of `times` (those of the blocks of this reading, ascending).
    fn maintenances(&self, times: &[Millis], globals: Option<&Globals>) -> Vec<Millis> {
        let (Some(last), Some(first)) = (self.maintained, times.first()) else {
            return Vec::new();
        };
        let mut found = vec![last];
        let interval = globals
            .and_then(|g| g.maintenance_interval)
            .or_else(|| self.maintenance_due?.checked_sub(last))
            .filter(|interval| *interval > 0);
        let (Some(interval), Some(due)) = (interval, self.maintenance_due) else {
            return found;
        };
        // The last one was due one interval before the next is; those before it, one interval earlier each.
        let mut boundary = due.saturating_sub(interval.saturating_mul(2));
        while boundary >= *first && found.len() < MAINTENANCES {
            // The first block at or after the boundary; exactly there unless that slot was missed.
            let at = times.partition_point(|t| *t < boundary);
            let seen = times.get(at).filter(|_| at > 0).copied();
            found.push(seen.unwrap_or(boundary));
            boundary = boundary.saturating_sub(interval);
        }
        found
    }
}

/// A time that may be the epoch, which means never.
fn moment(value: &Value, name: &str) -> Option<Millis> {
    parse_time(value.get(name)?.as_str()?).filter(|t| *t > 0)
}

// === impl Globals ===

impl Globals {
    /// Reads `get_global_properties`.
    ///
    /// # Errors
    /// When the chain's parameters do not fit the configuration.
    pub(super) fn read(spec: &ChainSpec, value: &Value) -> Result<Self, ReadError> {
        let parameters = field(value, "parameters")?;
        let interval = field(parameters, "block_interval")?
            .as_f64()
            .ok_or_else(|| bad("block_interval", "is not a number"))?;
        #[allow(clippy::cast_possible_truncation)] // a small number of seconds; saturates otherwise
        let interval_ms = (interval * 1000.0).round() as i64;
        if interval_ms != spec.block_interval {
            return Err(bad(
                "block_interval",
                format!(
                    "is {interval} s on this chain now, not {} ms as configured: set block_interval of the chain",
                    spec.block_interval
                ),
            ));
        }
        let life = integer(parameters, "maximum_time_until_expiration")?;
        if life < LEAST_LIFE_S {
            return Err(bad(
                "maximum_time_until_expiration",
                format!("is {life} s: transactions here are made for {LEAST_LIFE_S} s"),
            ));
        }
        let maintenance = integer(parameters, "maintenance_interval").ok();
        let active = list(field(value, "active_witnesses")?, "active_witnesses")?.len();
        Ok(Self {
            skip_slots: integer(parameters, "maintenance_skip_slots").unwrap_or(SKIP_SLOTS),
            maintenance_interval: maintenance
                .and_then(|s| i64::try_from(s).ok())
                .and_then(|s| s.checked_mul(1000)),
            active: u64::try_from(active).unwrap_or(0),
        })
    }
}

// === impl Names ===

impl Names {
    /// What was agreed before, and what this reading says anew.
    pub(super) fn new(
        agreed: &BTreeMap<String, String>,
        fresh: Option<&BTreeMap<String, String>>,
    ) -> Self {
        let mut names = agreed.clone();
        names.extend(
            fresh
                .into_iter()
                .flatten()
                .map(|(i, n)| (i.clone(), n.clone())),
        );
        Self(names)
    }

    /// The object of a producer that was asked for by name.
    pub(super) fn learn(&mut self, id: &str, name: &str) {
        if id != name {
            self.0.insert(id.to_owned(), name.to_owned());
        }
    }

    /// What `id` is called.
    pub(super) fn of(&self, id: &str) -> String {
        self.0.get(id).map_or_else(|| id.to_owned(), String::clone)
    }
}

/// A list.
pub(super) fn list<'a>(value: &'a Value, what: &str) -> Result<&'a [Value], ReadError> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| bad(what, "is not a list"))
}

/// Reads `get_chain_id`.
pub(super) fn chain_id(value: &Value) -> Result<String, ReadError> {
    value
        .as_str()
        .filter(|id| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()))
        .map(str::to_ascii_lowercase)
        .ok_or_else(|| bad("get_chain_id", "is not a chain id of 64 hex characters"))
}

/// Reads `lookup_witness_accounts`: pairs of account name and witness id.
pub(super) fn aliases(value: &Value) -> Result<BTreeMap<String, String>, ReadError> {
    list(value, "lookup_witness_accounts")?
        .iter()
        .map(|pair| {
            let name = pair.get(0).and_then(Value::as_str);
            let id = pair.get(1).and_then(Value::as_str);
            let id = id.filter(|id| ObjectId::of_kind(id, ObjectId::WITNESS).is_some());
            match (id, name) {
                (Some(id), Some(name)) => Ok((id.to_owned(), name.to_owned())),
                _ => Err(bad(
                    "lookup_witness_accounts",
                    "does not hold pairs of account name and witness id",
                )),
            }
        })
        .collect()
}

/// Reads `get_required_fees` of one operation.
pub(super) fn fee(value: &Value) -> Option<Value> {
    let fee = value.get(0)?;
    let amount = as_integer(fee.get("amount")?)?;
    let asset = fee.get("asset_id")?.as_str()?;
    ObjectId::of_kind(asset, ObjectId::ASSET)?;
    Some(json!({"amount": amount, "asset_id": asset}))
}

/// Whether a refusal means that the chain has no account of that name.
pub(super) fn is_unknown_account(fault: &RpcFault) -> bool {
    super::faults::classify_bitshares(fault)
        == crate::chain::Accepted::Refused(Rejection::UnknownAccount)
}

/// Reads a witness object.
pub(super) fn witness(
    spec: &ChainSpec,
    value: &Value,
    fee: Option<&Value>,
) -> Result<ProducerState, ReadError> {
    let key = read::key(spec, text(value, "signing_key")?, "signing_key")?;
    let mut props = Map::new();
    props.insert("witness".into(), text(value, "id")?.into());
    props.insert(
        "witness_account".into(),
        text(value, "witness_account")?.into(),
    );
    if let Some(fee) = fee {
        props.insert("fee".into(), fee.clone());
    }
    Ok(ProducerState {
        registered_key: key,
        effective_key: key,
        enabled: !key.is_null(),
        url: text(value, "url")?.to_owned(),
        props: Value::Object(props),
        reported_missed: value.get("total_missed").and_then(as_integer),
        last_block: value.get("last_confirmed_block_num").and_then(as_integer),
        version: None,
        feed_time: None,
        unpaid_blocks: None,
        coming: None,
    })
}

/// Reads the schedule object. A round ends with a block whose number is a multiple of the active witnesses' number.
pub(super) fn schedule(
    objects: &[Value],
    read_at: u64,
    globals: Option<&Globals>,
    names: &Names,
) -> Result<Schedule, ReadError> {
    let object = objects
        .first()
        .ok_or_else(|| bad("get_objects", "does not hold the schedule"))?;
    if text(object, "id")? != SCHEDULE {
        return Err(bad("get_objects", "is not the schedule"));
    }
    let shuffled = field(object, "current_shuffled_witnesses")?;
    let order = list(shuffled, "current_shuffled_witnesses")?
        .iter()
        .map(|id| id.as_str().map(|id| names.of(id)))
        .collect::<Option<Vec<String>>>()
        .filter(|order| !order.is_empty())
        .ok_or_else(|| bad("current_shuffled_witnesses", "is not a list of witness ids"))?;
    let scheduled = u64::try_from(order.len()).unwrap_or(u64::MAX);
    let active = globals.map(|g| g.active).filter(|n| *n > 0);
    Ok(Schedule {
        read_at,
        until: read::round_end(read_at, active.unwrap_or(scheduled)),
        order,
        turn: 1,
        version: None,
    })
}

/// Signing keys registered by a block's transactions, in order. What does not parse is no change of ours.
pub(super) fn key_changes(
    spec: &ChainSpec,
    block: &Value,
    names: &Names,
) -> Vec<(String, PublicKey)> {
    read::operations(block)
        .filter(|op| op.get(0).and_then(Value::as_u64) == Some(21))
        .filter_map(|op| {
            let body = op.get(1)?;
            let key = body.get("new_signing_key")?.as_str()?;
            let key = PublicKey::parse(key, &spec.address_prefix).ok()?;
            Some((names.of(body.get("witness")?.as_str()?), key))
        })
        .collect()
}
