//! Blocks of dialects whose replies name neither the block's id nor its signing key (Golos, BitShares): both follow
//! from the header, and the id is also what the block after it, or the head, says. Pure.

use serde_json::Value;

use super::fields::{bad, block_id, time};
use super::{Signatory, block_header_digest, read};
use crate::chain::{Block, BlockId, BlockRef, ReadError};
use crate::keys::{PublicKey, Signature};

/// Reads the blocks found among those asked for, `(number, reply)`. `heads` are the heads of the same reading;
/// `signatory` reads a header's witness, `name` what it is called here, `key_changes` the keys its operations register.
///
/// A block whose id cannot be known yet (a header with extensions that are not understood, and no block after it) is
/// left out: the next tick asks again.
pub(super) fn blocks(
    replies: &[(u64, &Value)],
    heads: [&BlockRef; 2],
    signatory: &dyn Fn(&Value) -> Result<Signatory, ReadError>,
    name: &dyn Fn(&Signatory) -> String,
    key_changes: &dyn Fn(&Value) -> Vec<(String, PublicKey)>,
) -> Result<Vec<Block>, ReadError> {
    let mut found: Vec<(u64, &Value)> = replies
        .iter()
        .filter(|(_, reply)| !reply.is_null())
        .copied()
        .collect();
    found.sort_by_key(|(num, _)| *num);
    let mut blocks = Vec::with_capacity(found.len());
    for (i, (num, value)) in found.iter().enumerate() {
        let previous = block_id(value, "previous")?;
        if number(&previous).map(|n| n.wrapping_add(1)) != u32::try_from(*num & 0xffff_ffff).ok() {
            return Err(bad("previous", format!("is not of the block before {num}")));
        }
        let after = found
            .get(i.saturating_add(1))
            .filter(|(next, _)| *next == num.saturating_add(1))
            .map(|(_, next)| block_id(next, "previous"))
            .transpose()?;
        let said = after.or_else(|| {
            let head = heads.into_iter().find(|head| head.num == *num);
            head.map(|head| head.id.clone())
        });
        let witness = signatory(value)?;
        let Some((id, signing_key)) = identity(value, witness.clone(), said) else {
            continue;
        };
        blocks.push(Block {
            num: *num,
            id,
            previous,
            time: time(value, "timestamp")?,
            producer: name(&witness),
            signing_key,
            key_changes: key_changes(value),
            schedule_version: None,
            slot: None,
        });
    }
    Ok(blocks)
}

/// Id and signing key of a block. `said`: the id that others give.
fn identity(
    value: &Value,
    witness: Signatory,
    said: Option<BlockId>,
) -> Option<(BlockId, Option<PublicKey>)> {
    let own = || {
        let header = read::header(value, witness)?;
        let signature = Signature::from_hex(value.get("witness_signature")?.as_str()?).ok()?;
        let id = BlockId(crate::hex::encode(&super::block_id(&header, &signature)));
        let key = signature.recover(&block_header_digest(&header)).ok();
        Some((id, key, header.extensions.is_empty()))
    };
    match (own(), said) {
        // A plain header is its own witness, even against a fork seen meanwhile.
        (Some((id, key, true)), _) => Some((id, key)),
        (Some((id, key, false)), Some(said)) if id == said => Some((id, key)),
        // Extensions of a later kind: the id is known from elsewhere, the key is not.
        (_, Some(said)) => Some((said, None)),
        (_, None) => None,
    }
}

/// The number in an id's first four bytes.
fn number(id: &BlockId) -> Option<u32> {
    u32::from_str_radix(id.0.get(..8)?, 16).ok()
}
