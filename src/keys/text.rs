//! Base58 with its checksums, and why a key text is refused. Pure; messages never repeat a secret.

use ripemd::Ripemd160;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::hex::HexError;

/// Why a key or signature text was refused. Texts of private keys are never repeated in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Hex of the wrong shape.
    #[error("not a {what} in hex: {cause}")]
    Hex {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it.
        cause: HexError,
    },
    /// A character outside the base58 alphabet, at this place counted from 1.
    #[error(
        "{what}: character {position} is not base58 (0, O, I, l and punctuation are not used); copy the key again"
    )]
    Base58 {
        /// What was being read.
        what: &'static str,
        /// Place in the text, from 1.
        position: usize,
    },
    /// Too few bytes.
    #[error("{what}: too short, {found} bytes where {expected} are needed; the end was cut off")]
    TooShort {
        /// What was being read.
        what: &'static str,
        /// Bytes needed.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A WIF that lost characters. It may still decode to the right number of bytes, so this counts characters.
    #[error("private key (WIF): {0} characters where 51 are needed; some are missing")]
    WifCut(usize),
    /// Too many bytes.
    #[error(
        "{what}: too long, {found} bytes where {expected} are needed; something stands before or behind the key"
    )]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// Bytes needed.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// The checksum does not fit: a typing error.
    #[error("{what}: the checksum does not match, so a character is wrong; copy the key again")]
    Checksum {
        /// What was being read, with its prefix.
        what: String,
    },
    /// A checksum of the legacy form under the new prefix.
    #[error(
        "public key PUB_K1_…: the checksum is that of the legacy form; write the same characters with EOS in front, or take the PUB_K1_ form from its source"
    )]
    LegacyChecksum,
    /// A key of another chain.
    #[error(
        "public key begins with {found}, but this chain's keys begin with {expected}: is it a key of another chain?"
    )]
    WrongPrefix {
        /// The prefix of this chain.
        expected: String,
        /// What the text begins with.
        found: String,
    },
    /// No prefix at all.
    #[error(
        "public key without a prefix: put {expected} in front of it if it is a key of this chain"
    )]
    NoPrefix {
        /// The prefix of this chain.
        expected: String,
    },
    /// A WIF of another network.
    #[error(
        "private key (WIF): version byte 0x{0:02x} where 0x80 is needed; this is a key of another network"
    )]
    WifVersion(u8),
    /// A Bitcoin "compressed" WIF.
    #[error(
        "private key (WIF): this is Bitcoin's compressed form (it begins with K or L); the chains here use the form that begins with 5"
    )]
    WifCompressed,
    /// Zero, or not below the order of the curve.
    #[error(
        "private key: the number is outside the range of secp256k1 (zero, or too large); it is no key"
    )]
    OutOfRange,
    /// A key or signature of another curve.
    #[error("{what} of curve {curve}: only K1 (secp256k1) is supported")]
    Curve {
        /// What was being read.
        what: &'static str,
        /// The curve's name in the text.
        curve: String,
    },
    /// A signature text that does not begin with `SIG_K1_`.
    #[error("a signature text begins with SIG_K1_")]
    SignaturePrefix,
    /// A signature whose first byte is no recovery byte of a compressed key, or whose numbers are out of range.
    #[error("signature: first byte {0} is not 31 to 34, or r and s are out of range")]
    SignatureRange(u8),
    /// No key recovers.
    #[error("signature: no public key can be recovered from it for this digest")]
    Unrecoverable,
}

/// Decodes base58 into a buffer that is wiped, since it may hold a secret.
pub(super) fn base58(text: &str, what: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    // Base58 takes time quadratic in its length; no key text is anywhere near this long.
    if text.len() > 256 {
        return Err(KeyError::TooLong {
            what,
            expected: 69,
            found: text.len(),
        });
    }
    match bs58::decode(text).into_vec() {
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        Err(
            bs58::decode::Error::InvalidCharacter { index, .. }
            | bs58::decode::Error::NonAsciiCharacter { index },
        ) => Err(KeyError::Base58 {
            what,
            position: index + 1,
        }),
        Err(_) => Err(KeyError::Checksum { what: what.into() }),
    }
}

/// Refuses any length but `expected`.
pub(super) fn exact_len(bytes: &[u8], expected: usize, what: &'static str) -> Result<(), KeyError> {
    let found = bytes.len();
    match found.cmp(&expected) {
        std::cmp::Ordering::Less => Err(KeyError::TooShort {
            what,
            expected,
            found,
        }),
        std::cmp::Ordering::Greater => Err(KeyError::TooLong {
            what,
            expected,
            found,
        }),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// First four bytes of `ripemd160(payload ‖ suffix)`; the suffix is `K1` in the typed text forms, empty in legacy ones.
pub(super) fn checksum_ripemd(payload: &[u8], suffix: &[u8]) -> [u8; 4] {
    let hash = Ripemd160::new()
        .chain_update(payload)
        .chain_update(suffix)
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// First four bytes of `sha256(sha256(payload))`, the checksum of a WIF.
pub(super) fn checksum_sha256d(payload: &[u8]) -> [u8; 4] {
    let hash = Sha256::digest(Sha256::digest(payload));
    [hash[0], hash[1], hash[2], hash[3]]
}
