//! The bytes of the simulated chain: transaction digests and ids, block ids and signatures, by the crate's own Graphene codec.
//!
//! Owns nothing but the dialect and the chain id. Pure.

use ripemd::Ripemd160;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::dialect::{CORE, DEBT, PREFIX};
use super::identity::Identity;
use super::state::Block;
use crate::chain::Protocol;
use crate::chain::graphene::{
    self, BlockHeader, Dialect, Serialization, Signatory, TESTNET_CHAIN_ID, Transaction,
};
use crate::hex;
use crate::keys::{Nonce, SignError, Signer};

/// Id and digest of a transaction under one serialization.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    pub(crate) txid: String,
    pub(crate) digest: [u8; 32],
}

/// How this chain writes bytes.
#[derive(Debug, Clone)]
pub(crate) struct Codec {
    pub(crate) dialect: Dialect,
    pub(crate) chain_id: [u8; 32],
}

impl Codec {
    /// The test net of `protocol` under other names.
    pub(crate) fn named(protocol: Protocol, names: &Identity) -> Codec {
        let usual = Codec::testnet(protocol);
        Codec {
            dialect: usual
                .dialect
                .clone()
                .with_address_prefix(&names.prefix)
                .with_symbols(&names.symbol, &usual.dialect.debt_symbol),
            chain_id: names.chain_id,
        }
    }

    /// The test net of `protocol`.
    pub(crate) fn testnet(protocol: Protocol) -> Codec {
        Codec {
            // One set of names for all simulated chains of the family, also where real test nets have their own.
            dialect: Dialect::testnet(protocol)
                .with_address_prefix(PREFIX)
                .with_symbols(
                    CORE,
                    if matches!(protocol, Protocol::Blurt | Protocol::BitShares) {
                        ""
                    } else {
                        DEBT
                    },
                ),
            chain_id: TESTNET_CHAIN_ID,
        }
    }

    /// What public keys begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.dialect.address_prefix
    }

    /// The serializations a node tries, in its order: Hive the new one first, the others only the old one.
    pub(crate) fn variants(&self, tx: &Value) -> Result<Vec<Variant>, String> {
        let tx = Transaction::from_json(tx, &self.dialect)
            .map_err(|e| e.to_string())?
            .tx;
        let forms: &[Serialization] = match self.dialect.protocol {
            Protocol::Hive => &[Serialization::Hf26, Serialization::Legacy],
            _ => &[Serialization::Legacy],
        };
        forms
            .iter()
            .map(|form| {
                let bytes = tx
                    .serialize(&self.dialect, *form)
                    .map_err(|e| e.to_string())?;
                Ok(Variant {
                    txid: hex::encode(&graphene::txid(&bytes)),
                    digest: graphene::digest(&self.chain_id, &bytes),
                })
            })
            .collect()
    }

    /// Signs a transaction given in the condenser form, in the old serialization.
    pub(crate) fn sign(&self, tx: &mut Value, signers: &[&dyn Signer]) -> Result<(), String> {
        let digest = self.variants(tx)?.pop().ok_or("no serialization")?.digest;
        let signatures: Result<Vec<Value>, SignError> = signers
            .iter()
            .map(|s| Ok(Value::String(s.sign(&digest, Nonce::Graphene)?.to_hex())))
            .collect();
        tx["signatures"] = Value::Array(signatures.map_err(|e| e.to_string())?);
        Ok(())
    }

    /// Fills a block's merkle root, signature and id. `witness` is how the header names its producer; `salt` makes the blocks of different forks differ even when they are empty.
    pub(crate) fn seal(
        &self,
        block: &mut Block,
        witness: Signatory,
        signer: &dyn Signer,
        salt: u64,
    ) -> Result<(), String> {
        block.merkle_root = merkle_root(block, salt);
        let header = BlockHeader {
            previous: hex::decode_array(&block.previous).map_err(|e| e.to_string())?,
            timestamp: u32::try_from(block.time_ms / 1000).map_err(|e| e.to_string())?,
            witness,
            transaction_merkle_root: hex::decode_array(&block.merkle_root)
                .map_err(|e| e.to_string())?,
            extensions: Vec::new(),
        };
        let signature = signer
            .sign(&graphene::block_header_digest(&header), Nonce::Graphene)
            .map_err(|e| e.to_string())?;
        block.signing_key = signer.public_key();
        block.signature = signature.to_hex();
        block.id = hex::encode(&graphene::block_id(&header, &signature));
        Ok(())
    }
}

/// Zero for an empty block of the main fork; otherwise a hash over the transaction ids. No client checks it.
fn merkle_root(block: &Block, salt: u64) -> String {
    if block.txs.is_empty() && salt == 0 {
        return "0".repeat(40);
    }
    let mut hash = Sha256::new();
    hash.update(salt.to_le_bytes());
    for tx in &block.txs {
        hash.update(tx.id.as_bytes());
    }
    hex::encode(&Ripemd160::digest(hash.finalize()))
}
