//! The operations slotkeeper writes, and their bytes. Pure.
//!
//! An operation holds meaning, not layout: numbers and fields that differ between chains come from the [`Dialect`].

use super::asset::Asset;
use super::chain_properties::ChainProperties;
use super::codec::{bytes, varint};
use super::dialect::{Dialect, OperationKind};
use super::objects::WitnessChange;
use super::{Serialization, TxError};
use crate::keys::PublicKey;

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Sets signing key, url and props at once, with the owner's active authority. It *overwrites* url and props, so
    /// read them first and echo them.
    WitnessUpdate {
        /// Account name of the witness.
        owner: String,
        /// 1 to 2048 bytes, or the chain refuses it; not checked here.
        url: String,
        /// The new signing key; [`PublicKey::NULL`] stops production.
        block_signing_key: PublicKey,
        /// What the witness votes for.
        props: WitnessProps,
        /// Not charged; must not be negative.
        fee: Asset,
    },
    /// Sets only the named properties, signed with the *current signing key*, which must stand in `key`: a compare-and-swap.
    WitnessSetProperties {
        /// Account name of the witness.
        owner: String,
        /// Name and packed value. Written in bytewise order of the names, in which the node checks the signature.
        props: Vec<(String, Vec<u8>)>,
    },
    /// Publishes a price, with active authority.
    FeedPublish {
        /// Account name of the witness.
        publisher: String,
        /// In the debt asset.
        base: Asset,
        /// In the core asset.
        quote: Asset,
    },
    /// `witness_update` of a chain that names objects (BitShares): changes only what it carries, with the active
    /// authority of the witness's account.
    WitnessChange(WitnessChange),
    /// Sets all chain properties a witness votes for (Golos), with active authority.
    ChainPropertiesUpdate {
        /// Account name of the witness.
        owner: String,
        /// The properties, of one version.
        props: ChainProperties,
    },
}

/// What a witness votes for in `witness_update`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessProps {
    /// Fee for a new account.
    pub account_creation_fee: Asset,
    /// Bytes.
    pub maximum_block_size: u32,
    /// Interest on the debt asset in hundredths of a percent; `None` exactly where the chain has no such field (Blurt).
    pub interest_rate: Option<u16>,
}

/// Packs single values for `witness_set_properties`.
pub mod properties {
    use super::{PublicKey, bytes};

    /// `key` and `new_signing_key`: the 33 raw bytes.
    #[must_use]
    pub fn key(key: &PublicKey) -> Vec<u8> {
        key.as_bytes().to_vec()
    }

    /// `url`: a length and the text, so that with the property's own length it is prefixed twice.
    #[must_use]
    pub fn url(url: &str) -> Vec<u8> {
        let mut out = vec![];
        bytes(&mut out, url.as_bytes());
        out
    }
}

impl Operation {
    /// Which operation this is.
    #[must_use]
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::WitnessUpdate { .. } | Self::WitnessChange(_) => OperationKind::WitnessUpdate,
            Self::ChainPropertiesUpdate { .. } => OperationKind::ChainPropertiesUpdate,
            Self::WitnessSetProperties { .. } => OperationKind::WitnessSetProperties,
            Self::FeedPublish { .. } => OperationKind::FeedPublish,
        }
    }

    /// The switch as compare-and-swap: from `current` (which must sign) to `new`.
    #[must_use]
    pub fn swap_signing_key(owner: &str, current: &PublicKey, new: &PublicKey) -> Self {
        Self::WitnessSetProperties {
            owner: owner.into(),
            props: vec![
                ("key".into(), properties::key(current)),
                ("new_signing_key".into(), properties::key(new)),
            ],
        }
    }

    /// Appends number and fields.
    ///
    /// # Errors
    /// An operation, asset or serialization the chain does not have; a property named twice; props that do not fit.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        dialect: &Dialect,
        form: Serialization,
    ) -> Result<(), TxError> {
        varint(out, u64::from(dialect.operation_id(self.kind())?));
        match self {
            Self::WitnessUpdate {
                owner,
                url,
                block_signing_key,
                props,
                fee,
            } => {
                bytes(out, owner.as_bytes());
                bytes(out, url.as_bytes());
                out.extend(block_signing_key.as_bytes());
                props.write(out, dialect, form)?;
                fee.write(out, dialect, form)
            }
            Self::WitnessSetProperties { owner, props } => {
                bytes(out, owner.as_bytes());
                let props = sorted(props)?;
                varint(out, props.len() as u64);
                for (name, value) in props {
                    bytes(out, name.as_bytes());
                    bytes(out, value);
                }
                varint(out, 0); // extensions
                Ok(())
            }
            Self::FeedPublish {
                publisher,
                base,
                quote,
            } => {
                bytes(out, publisher.as_bytes());
                base.write(out, dialect, form)?;
                quote.write(out, dialect, form)
            }
            Self::WitnessChange(change) => {
                change.write(out);
                Ok(())
            }
            Self::ChainPropertiesUpdate { owner, props } => {
                bytes(out, owner.as_bytes());
                props.write(out, dialect, form)
            }
        }
    }
}

/// In the order of the node's map; a name twice would silently lose one.
pub(super) fn sorted(props: &[(String, Vec<u8>)]) -> Result<Vec<&(String, Vec<u8>)>, TxError> {
    let mut sorted: Vec<_> = props.iter().collect();
    sorted.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    match sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(TxError::DuplicateProperty(pair[0].0.clone())),
        None => Ok(sorted),
    }
}

impl WitnessProps {
    fn write(
        &self,
        out: &mut Vec<u8>,
        dialect: &Dialect,
        form: Serialization,
    ) -> Result<(), TxError> {
        self.account_creation_fee.write(out, dialect, form)?;
        out.extend(self.maximum_block_size.to_le_bytes());
        match (dialect.interest_rate_name(), self.interest_rate) {
            (Some(_), Some(rate)) => out.extend(rate.to_le_bytes()),
            (None, None) => {}
            (Some(name), None) => return Err(TxError::Props(format!("props need {name}"))),
            (None, Some(_)) => {
                return Err(TxError::Props(format!(
                    "props of {} have no interest rate",
                    dialect.protocol
                )));
            }
        }
        Ok(())
    }
}
