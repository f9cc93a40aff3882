//! Recoverable signatures: 65 bytes, their text forms, canonicity, recovery of the signer. Pure.

use std::fmt;

use k256::ecdsa::{RecoveryId, VerifyingKey};

use super::public::PublicKey;
use super::text::{KeyError, base58, checksum_ripemd, exact_len};
use crate::hex;

const WHAT: &str = "signature";

/// A signature as chains carry it: `(31 + recovery id) ‖ r ‖ s`, 65 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 65]);

impl Signature {
    /// Wraps raw bytes; whether they mean anything shows in [`Signature::recover`].
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 65]) -> Self {
        Self(bytes)
    }

    /// Reads 130 hex digits.
    ///
    /// # Errors
    /// [`KeyError::Hex`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        hex::decode_array(text)
            .map(Self)
            .map_err(|cause| KeyError::Hex { what: WHAT, cause })
    }

    /// The form Graphene chains use in JSON.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(&self.0)
    }

    /// Reads the text form of Antelope chains.
    ///
    /// # Errors
    /// Another prefix or curve, a character outside base58, a wrong length or checksum.
    pub fn from_sig_k1(text: &str) -> Result<Self, KeyError> {
        let Some(rest) = text.strip_prefix("SIG_") else {
            return Err(KeyError::SignaturePrefix);
        };
        let Some((curve, body)) = rest.split_once('_') else {
            return Err(KeyError::SignaturePrefix);
        };
        if curve != "K1" {
            return Err(KeyError::Curve {
                what: WHAT,
                curve: curve.chars().take(4).collect(),
            });
        }
        let bytes = base58(body, WHAT)?;
        exact_len(&bytes, 69, WHAT)?;
        let (payload, check) = bytes.split_at(65);
        if check != checksum_ripemd(payload, b"K1") {
            return Err(KeyError::Checksum {
                what: "signature SIG_K1_…".into(),
            });
        }
        let mut out = [0; 65];
        out.copy_from_slice(payload);
        Ok(Self(out))
    }

    /// The text form of Antelope chains, `SIG_K1_…`.
    #[must_use]
    pub fn to_sig_k1(&self) -> String {
        let mut bytes = self.0.to_vec();
        bytes.extend(checksum_ripemd(&self.0, b"K1"));
        format!("SIG_K1_{}", bs58::encode(bytes).into_string())
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// The key that made this signature over `digest`. Says nothing of canonicity: a chain that demands it judges
    /// [`Signature::is_low_s`] and [`Signature::is_fc_canonical`] apart.
    ///
    /// # Errors
    /// A first byte that is no recovery byte, numbers out of range, or no such point.
    pub fn recover(&self, digest: &[u8; 32]) -> Result<PublicKey, KeyError> {
        let range = || KeyError::SignatureRange(self.0[0]);
        let id = self.0[0]
            .checked_sub(31)
            .and_then(RecoveryId::from_byte)
            .ok_or_else(range)?;
        let signature = k256::ecdsa::Signature::from_slice(&self.0[1..]).map_err(|_| range())?;
        let key = VerifyingKey::recover_from_prehash(digest, &signature, id)
            .map_err(|_| KeyError::Unrecoverable)?;
        let point = key.to_sec1_point(true);
        let mut bytes = [0; 33];
        bytes.copy_from_slice(point.as_bytes());
        Ok(PublicKey::from_bytes(bytes))
    }

    /// The rule of fc: neither r nor s has its top bit set or a needless leading zero byte. Golos, BitShares and
    /// Antelope nodes refuse anything else.
    #[must_use]
    pub fn is_fc_canonical(&self) -> bool {
        let half = |n: &[u8]| n[0] < 0x80 && !(n[0] == 0 && n[1] < 0x80);
        half(&self.0[1..33]) && half(&self.0[33..65])
    }

    /// Whether s is in the lower half of the group order, as Steem, Hive and Blurt demand.
    #[must_use]
    pub fn is_low_s(&self) -> bool {
        k256::ecdsa::Signature::from_slice(&self.0[1..]).is_ok_and(|s| s.normalize_s() == s)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}
