//! Block headers: the digest a producer signs, and the block id. Pure.

use sha2::{Digest, Sha224, Sha256};

use super::codec::{bytes, varint};
use crate::keys::Signature;

/// Who produced a block, as the header names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signatory {
    /// An account name.
    Name(String),
    /// The instance of a witness object (BitShares).
    Object(u64),
}

/// A block header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockHeader {
    /// Id of the block before.
    pub previous: [u8; 20],
    /// Seconds since 1970, UTC.
    pub timestamp: u32,
    /// The producer.
    pub witness: Signatory,
    /// Root over the transactions; zeros when there are none.
    pub transaction_merkle_root: [u8; 20],
    /// Packed extensions without their count: version reports and votes, in few blocks. Usually none.
    pub extensions: Vec<Vec<u8>>,
}

impl BlockHeader {
    fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend(self.previous);
        out.extend(self.timestamp.to_le_bytes());
        match &self.witness {
            Signatory::Name(name) => bytes(&mut out, name.as_bytes()),
            Signatory::Object(instance) => varint(&mut out, *instance),
        }
        out.extend(self.transaction_merkle_root);
        varint(&mut out, self.extensions.len() as u64);
        for extension in &self.extensions {
            out.extend(extension);
        }
        out
    }

    /// This block's number: one more than the number in the previous id.
    #[must_use]
    pub fn number(&self) -> u32 {
        let p = &self.previous;
        u32::from_be_bytes([p[0], p[1], p[2], p[3]]).wrapping_add(1)
    }
}

/// What the producer signs. Recover the signing key from `witness_signature` with it. No chain id enters.
#[must_use]
pub fn block_header_digest(header: &BlockHeader) -> [u8; 32] {
    Sha256::digest(header.write()).into()
}

/// The block id: number in the first four bytes, then `sha224` of the signed header.
#[must_use]
pub fn block_id(header: &BlockHeader, witness_signature: &Signature) -> [u8; 20] {
    let hash = Sha224::new()
        .chain_update(header.write())
        .chain_update(witness_signature.as_bytes())
        .finalize();
    let mut id = [0; 20];
    id.copy_from_slice(&hash[..20]);
    id[..4].copy_from_slice(&header.number().to_be_bytes());
    id
}
