//! Public keys as the 33 raw bytes chains store, and their text forms. Pure.

use std::fmt;

use super::text::{KeyError, base58, checksum_ripemd, exact_len};
use crate::hex;

/// The typed text form of Antelope; its checksum covers the curve's name too.
const PUB_K1: &str = "PUB_K1_";
const WHAT: &str = "public key";

/// A public key as chains store it: 33 raw bytes.
///
/// Kept raw because the null key ("stop producing") is no point of the curve, and because what a chain reports must
/// be comparable even if it is no valid key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 33]);

impl PublicKey {
    /// 33 zero bytes: registered as signing key it means "stop producing".
    pub const NULL: Self = Self([0; 33]);

    /// Wraps raw bytes, whatever they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 33]) -> Self {
        Self(bytes)
    }

    /// Reads 66 hex digits.
    ///
    /// # Errors
    /// [`KeyError::Hex`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        hex::decode_array(text)
            .map(Self)
            .map_err(|cause| KeyError::Hex { what: WHAT, cause })
    }

    /// Reads a key's text form with this chain's prefix: `STM`, `TST`, `BLT`, `GLS`, `BTS`, `EOS`, or `PUB_K1_`.
    /// The null key is accepted. With `EOS`, the typed form `PUB_K1_…` is read as well: Antelope chains use both.
    ///
    /// # Errors
    /// Another prefix, no prefix, a character outside base58, a wrong length or checksum; each with its own message.
    pub fn parse(text: &str, prefix: &str) -> Result<Self, KeyError> {
        if prefix == "EOS" {
            return Self::parse_antelope(text);
        }
        Self::parse_form(text, prefix)
    }

    /// Reads the one form that begins with `prefix`.
    fn parse_form(text: &str, prefix: &str) -> Result<Self, KeyError> {
        let Some(body) = text.strip_prefix(prefix) else {
            return Err(foreign_prefix(text, prefix));
        };
        let bytes = base58(body, WHAT).map_err(|error| match error {
            // Places are counted from the beginning of what the user wrote.
            KeyError::Base58 { what, position } => KeyError::Base58 {
                what,
                position: position + prefix.len(),
            },
            other => other,
        })?;
        exact_len(&bytes, 37, WHAT)?;
        let (payload, check) = bytes.split_at(33);
        let typed = prefix == PUB_K1;
        if check != checksum_ripemd(payload, suffix(prefix)) {
            if typed && check == checksum_ripemd(payload, b"") {
                return Err(KeyError::LegacyChecksum);
            }
            return Err(KeyError::Checksum {
                what: format!("public key {prefix}…"),
            });
        }
        let mut key = [0; 33];
        key.copy_from_slice(payload);
        Ok(Self(key))
    }

    /// Reads either form Antelope chains use: `PUB_K1_…` or the legacy `EOS…`.
    ///
    /// # Errors
    /// As [`PublicKey::parse`], and [`KeyError::Curve`] for keys of other curves.
    pub fn parse_antelope(text: &str) -> Result<Self, KeyError> {
        if text.starts_with(PUB_K1) {
            return Self::parse_form(text, PUB_K1);
        }
        if let Some(curve) = text.strip_prefix("PUB_").and_then(|t| t.split('_').next()) {
            return Err(KeyError::Curve {
                what: WHAT,
                curve: curve.chars().take(4).collect(),
            });
        }
        if text.starts_with("EOS") {
            return Self::parse_form(text, "EOS");
        }
        Err(foreign_prefix(text, "EOS or PUB_K1_"))
    }

    /// The text form with this prefix; [`PublicKey::parse`] reads it back.
    #[must_use]
    pub fn to_text(&self, prefix: &str) -> String {
        let mut bytes = self.0.to_vec();
        bytes.extend(checksum_ripemd(&self.0, suffix(prefix)));
        format!("{prefix}{}", bs58::encode(bytes).into_string())
    }

    /// Whether this is the null key.
    #[must_use]
    pub fn is_null(&self) -> bool {
        *self == Self::NULL
    }

    /// Whether the bytes are a point of the curve, so that a secret for them can exist. False for the null key.
    #[must_use]
    pub fn is_point(&self) -> bool {
        k256::PublicKey::from_sec1_bytes(&self.0).is_ok()
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }
}

fn suffix(prefix: &str) -> &'static [u8] {
    if prefix == PUB_K1 { b"K1" } else { b"" }
}

/// Tells a key of another chain from a key whose prefix was left out.
fn foreign_prefix(text: &str, expected: &str) -> KeyError {
    if PublicKey::parse_form(text, "").is_ok() {
        return KeyError::NoPrefix {
            expected: expected.into(),
        };
    }
    KeyError::WrongPrefix {
        expected: expected.into(),
        found: text.chars().take(3).collect(),
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}
