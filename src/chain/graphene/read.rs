//! Replies of Steem-family nodes → chain-neutral words. Pure; knows both the `condenser_api` and the `database_api`
//! form of every object.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answers::Answers;
use super::fields::{as_integer, bad, block_id, field, integer, parse_time, text, time};
use super::{BlockHeader, Dialect, Signatory};
use crate::chain::{
    Block, BlockRef, ChainSpec, Memory, Observation, ProducerState, ReadError, Schedule,
};
use crate::clock::Millis;
use crate::keys::{PublicKey, Signature};

/// Dynamic global properties, as far as all of them have them.
pub(super) struct Head {
    pub(super) block: BlockRef,
    pub(super) slot: u64,
    pub(super) irreversible: u64,
    pub(super) participation: Option<f64>,
}

/// Reads `get_dynamic_global_properties`.
pub(super) fn head(value: &Value) -> Result<Head, ReadError> {
    Ok(Head {
        block: BlockRef {
            num: integer(value, "head_block_number")?,
            id: block_id(value, "head_block_id")?,
            time: time(value, "time")?,
        },
        slot: integer(value, "current_aslot")?,
        irreversible: integer(value, "last_irreversible_block_num")?,
        // participation_count is out of the last 128 slots ([steem] database.cpp, update_global_dynamic_data).
        participation: value
            .get("participation_count")
            .and_then(as_integer)
            .map(|count| f64::from(u32::try_from(count.min(128)).unwrap_or(128)) / 128.0),
    })
}

/// What two readings of the head frame. What was read between two equal heads belongs to that head; otherwise the schedule
/// may be of the one or the other, and is not told.
pub(super) fn framed(before: &BlockRef, after: Head, schedule: Schedule) -> Observation {
    let settled = *before == after.block;
    Observation {
        chain_id: None,
        settled,
        schedule: settled.then_some(schedule),
        producers: BTreeMap::new(),
        blocks: Vec::new(),
        active_keys: BTreeMap::new(),
        slack: 0,
        aliases: None,
        finalizers: None,
        election: None,
        head: after.block,
        head_slot: after.slot,
        irreversible: after.irreversible,
        participation: after.participation,
    }
}

/// The chain id inside `get_config`: the one member whose name ends in `_CHAIN_ID` and holds 64 hex digits
/// (`STEEM_CHAIN_ID`, `HIVE_CHAIN_ID`, `BLURT_CHAIN_ID`). Several must agree.
pub(super) fn chain_id(config: &Value) -> Result<String, ReadError> {
    let object = config
        .as_object()
        .ok_or_else(|| bad("get_config", "is not an object"))?;
    let mut found: Option<String> = None;
    // Hive serves HIVE_CHAIN_ID and, for old clients, STEEM_CHAIN_ID: its own name comes first.
    for name in [
        "HIVE_CHAIN_ID",
        "BLURT_CHAIN_ID",
        "STEEM_CHAIN_ID",
        "STEEMIT_CHAIN_ID", // Golos kept the first name.
    ] {
        if let Some(Value::String(id)) = object.get(name) {
            found = Some(id.to_ascii_lowercase());
            break;
        }
    }
    found
        .filter(|id| id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()))
        .ok_or_else(|| bad("get_config", "names no chain id"))
}

/// Reads `get_witness_schedule`.
pub(super) fn schedule(value: &Value, read_at: u64) -> Result<Schedule, ReadError> {
    let count = usize::try_from(integer(value, "num_scheduled_witnesses")?)
        .map_err(|_| bad("num_scheduled_witnesses", "is out of range"))?;
    // Padded with empty names to 21.
    let order: Vec<String> = field(value, "current_shuffled_witnesses")?
        .as_array()
        .ok_or_else(|| bad("current_shuffled_witnesses", "is not a list"))?
        .iter()
        .take(count)
        .map(|name| name.as_str().unwrap_or_default().to_owned())
        .collect();
    if order.is_empty() || order.len() != count || order.iter().any(String::is_empty) {
        return Err(bad(
            "current_shuffled_witnesses",
            format!("does not name {count} witnesses"),
        ));
    }
    Ok(Schedule {
        read_at,
        until: integer(value, "next_shuffle_block_num")?,
        order,
        turn: 1,
        version: None,
    })
}

/// Reads one witness object: `null` is an unknown producer.
pub(super) fn witness(spec: &ChainSpec, value: &Value) -> Result<Option<ProducerState>, ReadError> {
    if value.is_null() {
        return Ok(None);
    }
    let key = key(spec, text(value, "signing_key")?, "signing_key")?;
    let feed = ["last_sbd_exchange_update", "last_hbd_exchange_update"]
        .iter()
        .find_map(|name| value.get(*name).and_then(Value::as_str))
        .and_then(parse_time)
        .filter(|t| *t > 0);
    Ok(Some(ProducerState {
        registered_key: key,
        effective_key: key,
        enabled: !key.is_null(),
        url: text(value, "url")?.to_owned(),
        props: props(spec, field(value, "props")?)?,
        reported_missed: value.get("total_missed").and_then(as_integer),
        last_block: value.get("last_confirmed_block_num").and_then(as_integer),
        version: value
            .get("running_version")
            .and_then(Value::as_str)
            .map(str::to_owned),
        feed_time: feed,
        unpaid_blocks: None,
        coming: None,
    }))
}

/// The properties that `witness_update` overwrites, in condenser form: what an echo needs and nothing else.
fn props(spec: &ChainSpec, value: &Value) -> Result<Value, ReadError> {
    let mut echo = Map::new();
    echo.insert(
        "account_creation_fee".into(),
        asset(spec, field(value, "account_creation_fee")?)?,
    );
    echo.insert(
        "maximum_block_size".into(),
        json!(integer(value, "maximum_block_size")?),
    );
    if let Some(name) = Dialect::mainnet(spec.protocol).interest_rate_name() {
        echo.insert(name.into(), json!(integer(value, name)?));
    }
    Ok(Value::Object(echo))
}

/// An asset as condenser text. `database_api` writes `{amount, precision, nai}`; the fee is always in core symbol.
fn asset(spec: &ChainSpec, value: &Value) -> Result<Value, ReadError> {
    if let Some(text) = value.as_str() {
        return Ok(json!(text));
    }
    let amount = integer(value, "amount")?;
    let precision = integer(value, "precision")?;
    if text(value, "nai")? != "@@000000021" || precision != 3 {
        return Err(bad("account_creation_fee", "is not in the core asset"));
    }
    Ok(json!(format!(
        "{}.{:03} {}",
        amount / 1000,
        amount % 1000,
        spec.core_symbol
    )))
}

/// A public key in text.
pub(super) fn key(spec: &ChainSpec, text: &str, name: &str) -> Result<PublicKey, ReadError> {
    PublicKey::parse(text, &spec.address_prefix).map_err(|e| bad(name, e.to_string()))
}

/// Reads `condenser_api.get_block`: `null` for a block that is not there yet.
pub(super) fn block(spec: &ChainSpec, num: u64, value: &Value) -> Result<Option<Block>, ReadError> {
    if value.is_null() {
        return Ok(None);
    }
    let id = block_id(value, "block_id")?;
    // The number is the first four bytes of the id: an endpoint cannot answer with another block unnoticed.
    if u64::from_str_radix(&id.0[..8], 16).ok() != Some(num & 0xffff_ffff) {
        return Err(bad("block_id", format!("is not of block {num}")));
    }
    let signing_key = match value.get("signing_key").and_then(Value::as_str) {
        Some(text) => Some(key(spec, text, "signing_key")?),
        None => signer(value),
    };
    Ok(Some(Block {
        num,
        id,
        previous: block_id(value, "previous")?,
        time: time(value, "timestamp")?,
        producer: text(value, "witness")?.to_owned(),
        signing_key,
        key_changes: key_changes(spec, value),
        schedule_version: None,
        slot: None,
    }))
}

/// The key that signed a block, recovered from its header. `None` for a header with extensions (version votes, in few
/// blocks): a mistake in their bytes would give a wrong key.
fn signer(block: &Value) -> Option<PublicKey> {
    let witness = Signatory::Name(block.get("witness")?.as_str()?.to_owned());
    let header = header(block, witness).filter(|h| h.extensions.is_empty())?;
    let signature = Signature::from_hex(block.get("witness_signature")?.as_str()?).ok()?;
    signature.recover(&super::block_header_digest(&header)).ok()
}

/// The header of a block, as far as its fields are understood.
pub(super) fn header(block: &Value, witness: Signatory) -> Option<BlockHeader> {
    let extensions = block.get("extensions")?.as_array()?;
    Some(BlockHeader {
        previous: crate::hex::decode_array(block.get("previous")?.as_str()?).ok()?,
        // Devnets with short intervals write milliseconds, which are not signed.
        timestamp: parse_time(block.get("timestamp")?.as_str()?)?
            .checked_div(1000)
            .and_then(|seconds| u32::try_from(seconds).ok())?,
        witness,
        transaction_merkle_root: crate::hex::decode_array(
            block.get("transaction_merkle_root")?.as_str()?,
        )
        .ok()?,
        extensions: extensions.iter().map(extension).collect::<Option<_>>()?,
    })
}

/// A header extension: which of them, then its content. Layout by each chain's `protocol/block_header.hpp` and
/// `version.hpp`.
fn extension(value: &Value) -> Option<Vec<u8>> {
    let (which, content) = (value.get(0)?.as_u64()?, value.get(1)?);
    let mut out = vec![u8::try_from(which).ok()?];
    match which {
        0 => {}
        1 => out.extend(version(content.as_str()?)?.to_le_bytes()),
        2 => {
            out.extend(version(content.get("hf_version")?.as_str()?)?.to_le_bytes());
            out.extend(super::parse_time(content.get("hf_time")?.as_str()?)?.to_le_bytes());
        }
        _ => return None,
    }
    Some(out)
}

/// `major.hardfork.revision` as one number of 8, 8 and 16 bits.
fn version(text: &str) -> Option<u32> {
    let mut parts = text.split('.');
    let major: u8 = parts.next()?.parse().ok()?;
    let fork: u8 = parts.next()?.parse().ok()?;
    let revision: u16 = parts.next().unwrap_or("0").parse().ok()?;
    Some(u32::from(major) << 24 | u32::from(fork) << 16 | u32::from(revision))
}

/// The operations of a block's transactions, in order.
pub(super) fn operations(block: &Value) -> impl Iterator<Item = &Value> {
    let transactions = block.get("transactions").and_then(Value::as_array);
    transactions
        .into_iter()
        .flatten()
        .filter_map(|tx| tx.get("operations").and_then(Value::as_array))
        .flatten()
}

/// Signing keys registered by a block's transactions, in order. What does not parse is no change of ours.
pub(super) fn key_changes(spec: &ChainSpec, block: &Value) -> Vec<(String, PublicKey)> {
    operations(block)
        .filter_map(|op| key_change(spec, op))
        .collect()
}

fn key_change(spec: &ChainSpec, op: &Value) -> Option<(String, PublicKey)> {
    let (name, body) = match op {
        Value::Array(pair) => (pair.first()?.as_str()?, pair.get(1)?),
        _ => (op.get("type")?.as_str()?, op.get("value")?),
    };
    let owner = body.get("owner")?.as_str()?.to_owned();
    let key = match name.trim_end_matches("_operation") {
        "witness_update" => {
            let text = body.get("block_signing_key")?.as_str()?;
            PublicKey::parse(text, &spec.address_prefix).ok()?
        }
        "witness_set_properties" => {
            let hex = body
                .get("props")?
                .as_array()?
                .iter()
                .find(|pair| pair.get(0).and_then(Value::as_str) == Some("new_signing_key"))?
                .get(1)?
                .as_str()?;
            PublicKey::from_hex(hex).ok()?
        }
        _ => return None,
    };
    Some((owner, key))
}

/// The active authorities that `memory` asks for, as the last of `answers`. Some nodes do not offer the call: what they say
/// of the chain is no worse for that.
pub(super) fn authorities(
    spec: &ChainSpec,
    memory: &Memory,
    answers: &mut Answers<'_>,
) -> Result<BTreeMap<String, Vec<PublicKey>>, ReadError> {
    if memory.authorities.is_empty() {
        return Ok(BTreeMap::new());
    }
    match answers.maybe("get_accounts")? {
        Some(accounts) => Ok(active_keys(spec, accounts)?.into_iter().collect()),
        None => Ok(BTreeMap::new()),
    }
}

/// Keys that alone reach the threshold of the account's active authority, from `get_accounts`.
fn active_keys(
    spec: &ChainSpec,
    accounts: &Value,
) -> Result<Vec<(String, Vec<PublicKey>)>, ReadError> {
    let accounts = accounts
        .as_array()
        .ok_or_else(|| bad("get_accounts", "is not a list"))?;
    accounts
        .iter()
        // BitShares keeps the place of an account that does not exist.
        .filter(|account| !account.is_null())
        .map(|account| {
            let active = field(account, "active")?;
            let threshold = integer(active, "weight_threshold")?;
            let keys = field(active, "key_auths")?
                .as_array()
                .ok_or_else(|| bad("key_auths", "is not a list"))?
                .iter()
                .filter(|pair| pair.get(1).and_then(as_integer).unwrap_or(0) >= threshold)
                .filter_map(|pair| pair.get(0).and_then(Value::as_str))
                .map(|text| key(spec, text, "key_auths"))
                .collect::<Result<_, _>>()?;
            Ok((text(account, "name")?.to_owned(), keys))
        })
        .collect()
}

/// The last block of the round that the block after `head` belongs to, where rounds end at multiples of `blocks`.
pub(super) fn round_end(head: u64, blocks: u64) -> u64 {
    let rounds = head.checked_div(blocks).unwrap_or(0);
    rounds.saturating_add(1).saturating_mul(blocks)
}

/// Time of a head as read by a probe.
pub(super) fn probe(value: &Value) -> Result<BlockRef, ReadError> {
    head(value).map(|head| head.block)
}

/// Seconds, rounded up, of a chain time: whole-second dialects must never expire early.
pub(super) fn seconds_up(time: Millis) -> i64 {
    time.div_euclid(1000) + i64::from(time.rem_euclid(1000) > 0)
}
