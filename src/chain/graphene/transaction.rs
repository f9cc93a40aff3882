//! Transactions: bytes, digest, id, reference block. Pure.

use sha2::{Digest, Sha256};

use super::codec::varint;
use super::dialect::Dialect;
use super::operation::Operation;
use super::{Serialization, TxError};
use crate::keys::{KeyError, PublicKey, Signature};

/// A transaction without signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Low 16 bits of the reference block's number.
    pub ref_block_num: u16,
    /// From the reference block's id; see [`tapos`].
    pub ref_block_prefix: u32,
    /// Seconds since 1970, UTC. Judged against the head block's time, not the wall clock.
    pub expiration: u32,
    /// What it does.
    pub operations: Vec<Operation>,
}

/// A transaction and the signatures beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// What was signed.
    pub tx: Transaction,
    /// In the order of the JSON.
    pub signatures: Vec<Signature>,
}

impl Transaction {
    /// The unsigned bytes: what digest and id are made of.
    ///
    /// # Errors
    /// An operation, asset or serialization the chain does not have.
    pub fn serialize(&self, dialect: &Dialect, form: Serialization) -> Result<Vec<u8>, TxError> {
        dialect.check_serialization(form)?;
        let mut out = Vec::with_capacity(256);
        out.extend(self.ref_block_num.to_le_bytes());
        out.extend(self.ref_block_prefix.to_le_bytes());
        out.extend(self.expiration.to_le_bytes());
        varint(&mut out, self.operations.len() as u64);
        for operation in &self.operations {
            operation.write(&mut out, dialect, form)?;
        }
        varint(&mut out, 0); // extensions
        Ok(out)
    }
}

impl SignedTransaction {
    /// The keys that made the signatures, over this digest.
    ///
    /// # Errors
    /// A signature from which no key recovers.
    pub fn signers(&self, digest: &[u8; 32]) -> Result<Vec<PublicKey>, KeyError> {
        self.signatures.iter().map(|s| s.recover(digest)).collect()
    }
}

/// What is signed: `sha256(chain id ‖ bytes)`.
#[must_use]
pub fn digest(chain_id: &[u8; 32], serialized: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(chain_id)
        .chain_update(serialized)
        .finalize()
        .into()
}

/// The transaction id: the first 20 bytes of `sha256(bytes)`. Signatures do not enter.
#[must_use]
pub fn txid(serialized: &[u8]) -> [u8; 20] {
    let hash: [u8; 32] = Sha256::digest(serialized).into();
    let mut id = [0; 20];
    id.copy_from_slice(&hash[..20]);
    id
}

/// `ref_block_num` and `ref_block_prefix` of a block id, whose first four bytes are the block's number.
#[must_use]
pub fn tapos(block_id: &[u8; 20]) -> (u16, u32) {
    let num = u16::from_be_bytes([block_id[2], block_id[3]]);
    let prefix = u32::from_le_bytes([block_id[4], block_id[5], block_id[6], block_id[7]]);
    (num, prefix)
}
