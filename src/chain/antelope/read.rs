//! Replies of nodeos → chain-neutral words: head, producer rows, schedules, blocks, finalizers. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::chain::graphene::fields::{as_integer, bad, field, integer, text, time};
use crate::chain::{
    Activation, Block, BlockId, BlockRef, ChainSpec, Finalizer, ProducerState, ReadError, Schedule,
    Version,
};
use crate::clock::Millis;
use crate::keys::{PublicKey, TypedKey};

/// Consecutive slots of one turn: `producer_repetitions` in spring's `config.hpp`.
pub(super) const TURN: u32 = 12;

/// 2000-01-01T00:00:00 UTC, where slots are counted from (spring `block_timestamp.hpp`).
const EPOCH: Millis = 946_684_800_000;

/// What headers carry as schedule version since Savanna: says nothing (spring `block_header.hpp`).
const SAVANNA_VERSION: u64 = 1 << 31;

/// `get_info`, as far as needed.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub(super) chain_id: String,
    pub(super) block: BlockRef,
    pub(super) slot: u64,
    pub(super) irreversible: u64,
}

/// Reads `get_info`.
pub(super) fn head(spec: &ChainSpec, value: &Value) -> Result<Head, ReadError> {
    let time = time(value, "head_block_time")?;
    Ok(Head {
        chain_id: text(value, "chain_id")?.to_ascii_lowercase(),
        slot: slot(spec, time)?,
        block: BlockRef {
            num: integer(value, "head_block_num")?,
            id: block_id(value, "head_block_id")?,
            time,
        },
        irreversible: integer(value, "last_irreversible_block_num")?,
    })
}

/// The slot of a block's time.
fn slot(spec: &ChainSpec, time: Millis) -> Result<u64, ReadError> {
    time.checked_sub(EPOCH)
        .and_then(|since| since.checked_div(spec.block_interval))
        .and_then(|slot| u64::try_from(slot).ok())
        .ok_or_else(|| bad("head_block_time", "is before the year 2000"))
}

/// A block id: lower-case hex of 32 bytes.
fn block_id(value: &Value, name: &str) -> Result<BlockId, ReadError> {
    let id = text(value, name)?;
    if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(BlockId(id.to_ascii_lowercase()))
    } else {
        Err(bad(name, "is not a block id of 64 hex characters"))
    }
}

/// Threshold and keys of a block signing authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) threshold: u64,
    pub(super) keys: Vec<(TypedKey, u64)>,
}

impl Authority {
    /// Reads `["block_signing_authority_v0", {threshold, keys}]`; schedules say `0` for the name.
    pub(super) fn read(value: &Value) -> Result<Self, ReadError> {
        let what = "producer_authority";
        let inner = value
            .get(1)
            .ok_or_else(|| bad(what, "is no [name, authority]"))?;
        let list = field(inner, "keys")?
            .as_array()
            .ok_or_else(|| bad(what, "has no list of keys"))?;
        let keys = list
            .iter()
            .map(|one| Ok((key(one, "key")?, integer(one, "weight")?)))
            .collect::<Result<Vec<_>, ReadError>>()?;
        if keys.is_empty() {
            return Err(bad(what, "has no keys"));
        }
        Ok(Self {
            threshold: integer(inner, "threshold")?,
            keys,
        })
    }

    /// The same JSON whatever form the node gave: two nodes' rows are compared by it, and a switch echoes it.
    pub(super) fn to_json(&self, prefix: &str) -> Value {
        let keys: Vec<Value> = self
            .keys
            .iter()
            .map(|(key, weight)| json!({"key": key.to_text(prefix), "weight": weight}))
            .collect();
        json!(["block_signing_authority_v0", {"threshold": self.threshold, "keys": keys}])
    }

    /// The key that stands for the authority: the first, as the contract's own `producer_key`.
    pub(super) fn first(&self) -> PublicKey {
        self.keys
            .first()
            .map_or(PublicKey::NULL, |(key, _)| key.comparable())
    }
}

fn key(value: &Value, name: &str) -> Result<TypedKey, ReadError> {
    TypedKey::parse(text(value, name)?).map_err(|e| bad(name, e.to_string()))
}

/// Reads a row of the table `producers`: owner and state. The effective key is the registered one until a schedule says
/// otherwise.
pub(super) fn row(spec: &ChainSpec, row: &Value) -> Result<(String, ProducerState), ReadError> {
    let authority = match row.get("producer_authority") {
        None | Some(Value::Null) => None,
        Some(value) => Some(Authority::read(value)?),
    };
    let registered = match &authority {
        Some(authority) => authority.first(),
        None => key(row, "producer_key")?.comparable(),
    };
    let active = match row.get("is_active") {
        None => true,
        Some(Value::Bool(active)) => *active,
        Some(value) => as_integer(value).is_some_and(|n| n != 0),
    };
    // Telos counts; both figures of a row together are what it has ever missed.
    let reported = ["lifetime_missed_blocks", "missed_blocks_per_rotation"]
        .into_iter()
        .filter_map(|name| row.get(name).and_then(as_integer))
        .reduce(u64::saturating_add);
    let state = ProducerState {
        registered_key: registered,
        effective_key: registered,
        enabled: active && !registered.is_null(),
        url: text(row, "url")?.to_owned(),
        props: json!({
            "location": integer(row, "location")?,
            "producer_authority": authority.map(|a| a.to_json(&spec.address_prefix)),
        }),
        reported_missed: reported,
        last_block: None,
        version: None,
        feed_time: None,
        unpaid_blocks: row.get("unpaid_blocks").and_then(as_integer),
        coming: None,
    };
    Ok((text(row, "owner")?.to_owned(), state))
}

/// The rows of `get_table_rows` or `get_producers`, and whether the node has more than it gave.
pub(super) fn rows(reply: &Value) -> Result<(&[Value], bool), ReadError> {
    let rows = field(reply, "rows")?
        .as_array()
        .ok_or_else(|| bad("rows", "is not a list"))?;
    // A flag in one, the next owner (or nothing) in the other.
    let more = match reply.get("more") {
        Some(Value::Bool(more)) => *more,
        Some(Value::String(next)) => !next.is_empty(),
        _ => false,
    };
    Ok((rows, more))
}

/// One of the schedules in `get_producer_schedule`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub(super) version: u64,
    pub(super) producers: Vec<(String, PublicKey)>,
}

/// `get_producer_schedule`.
#[derive(Debug, PartialEq)]
pub(super) struct Schedules {
    pub(super) active: Order,
    pub(super) pending: Option<Order>,
    pub(super) proposed: Option<Order>,
}

impl Schedules {
    pub(super) fn read(reply: &Value) -> Result<Self, ReadError> {
        let maybe = |name: &str| match reply.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => order(value).map(Some),
        };
        Ok(Self {
            active: order(field(reply, "active")?)?,
            pending: maybe("pending")?,
            proposed: maybe("proposed")?,
        })
    }

    /// The schedule in force, read while the head moved from `from` to `to`. Nodes answer with that of the block they are
    /// building (spring `controller::active_producers`), so it may be the one after `to`.
    pub(super) fn in_force(&self, from: u64, to: u64) -> Schedule {
        let (order, keys) = self.active.producers.iter().cloned().unzip();
        Schedule {
            read_at: from,
            until: u64::MAX,
            order,
            turn: TURN,
            version: Some(Version {
                number: self.active.version,
                read_by: to.saturating_add(1),
                keys,
            }),
        }
    }

    /// Producers in the schedule elected last: the contract elects no smaller one.
    pub(super) fn newest(&self) -> usize {
        let newest = self.proposed.as_ref().or(self.pending.as_ref());
        newest.unwrap_or(&self.active).producers.len()
    }

    /// Fills in what schedules say of `name`: the key in force, and one on its way.
    pub(super) fn complete(&self, name: &str, state: &mut ProducerState) {
        let of = |order: &Order| {
            let found = order.producers.iter().find(|(owner, _)| owner == name);
            found.map(|(_, key)| *key)
        };
        if let Some(key) = of(&self.active) {
            state.effective_key = key;
        }
        let coming = [
            (self.pending.as_ref(), Activation::Pending),
            (self.proposed.as_ref(), Activation::Proposed),
        ]
        .into_iter()
        .filter_map(|(order, stage)| Some((of(order?)?, stage)))
        .filter(|(key, _)| *key != state.effective_key);
        // Of two on their way the one that is registered now, else the one that comes first.
        let coming: Vec<_> = coming.collect();
        state.coming = coming
            .iter()
            .find(|(key, _)| *key == state.registered_key)
            .or(coming.first())
            .copied();
    }
}

fn order(value: &Value) -> Result<Order, ReadError> {
    let list = field(value, "producers")?
        .as_array()
        .ok_or_else(|| bad("producers", "is not a list"))?;
    let producers = list
        .iter()
        .map(|one| {
            // Before EOSIO 2.0 there was one key and no authority.
            let key = match one.get("authority") {
                Some(authority) => Authority::read(authority)?.first(),
                None => key(one, "block_signing_key")?.comparable(),
            };
            Ok((text(one, "producer_name")?.to_owned(), key))
        })
        .collect::<Result<Vec<_>, ReadError>>()?;
    Ok(Order {
        version: integer(value, "version")?,
        producers,
    })
}

/// Reads `get_block_info`. Which key signed cannot be told from it: the signature covers more than the header.
pub(super) fn block(asked: u64, value: &Value) -> Result<Block, ReadError> {
    let num = integer(value, "block_num")?;
    if num != asked {
        return Err(bad(
            "block_num",
            format!("is {num} where {asked} was asked"),
        ));
    }
    let version = value.get("schedule_version").and_then(as_integer);
    Ok(Block {
        num,
        id: block_id(value, "id")?,
        previous: block_id(value, "previous")?,
        time: time(value, "timestamp")?,
        producer: text(value, "producer")?.to_owned(),
        signing_key: None,
        key_changes: Vec::new(),
        schedule_version: version.filter(|v| *v != SAVANNA_VERSION),
        slot: None,
    })
}

/// Reads `get_finalizer_info`: policies name finalizers by description, which the system contract sets to the producer's
/// name.
pub(super) fn finalizers(value: &Value) -> Result<BTreeMap<String, Finalizer>, ReadError> {
    let mut found: BTreeMap<String, Finalizer> = BTreeMap::new();
    for (policy, pending) in [
        ("active_finalizer_policy", false),
        ("pending_finalizer_policy", true),
    ] {
        let list = value
            .get(policy)
            .and_then(|policy| policy.get("finalizers"))
            .and_then(Value::as_array);
        for one in list.into_iter().flatten() {
            let entry = found
                .entry(text(one, "description")?.to_owned())
                .or_default();
            let key = text(one, "public_key")?.to_owned();
            if pending {
                entry.pending_key = Some(key);
            } else {
                entry.active_key = key;
            }
        }
    }
    let votes = value.get("last_tracked_votes").and_then(Value::as_array);
    for vote in votes.into_iter().flatten() {
        // Only votes of the active key: those of an earlier one say nothing of the node that should vote now.
        let key = text(vote, "public_key")?;
        let Some(entry) = found.get_mut(text(vote, "description")?) else {
            continue;
        };
        if entry.active_key == key {
            let seen = (
                integer(vote, "voted_for_block_num")?,
                time(vote, "voted_for_block_timestamp")?,
            );
            entry.last_vote = entry.last_vote.max(Some(seen));
        }
    }
    Ok(found)
}
