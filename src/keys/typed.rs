//! Public keys of Antelope chains, which know more curves than ours: K1, R1 (NIST P-256) and WA (WebAuthn). Pure.
//!
//! slotkeeper signs with K1 only. Keys of the other curves stand in other people's rows and in authorities that a switch
//! must echo, so they can be read, told apart and written again.

use sha2::{Digest, Sha256};

use super::public::PublicKey;
use super::text::{KeyError, base58, checksum_ripemd};

const WHAT: &str = "public key";

/// A public key with its curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypedKey {
    /// secp256k1: the only one that slotkeeper has secrets for.
    K1(PublicKey),
    /// NIST P-256, 33 bytes.
    R1([u8; 33]),
    /// WebAuthn: 33 bytes, a byte for user presence, the relying party's id as a counted string.
    Wa(Vec<u8>),
}

impl TypedKey {
    /// Reads `EOS…`, `PUB_K1_…`, `PUB_R1_…` or `PUB_WA_…`.
    ///
    /// # Errors
    /// Another prefix or curve, a character outside base58, a wrong length or checksum.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if let Some(body) = text.strip_prefix("PUB_R1_") {
            let payload = checked(body, "R1")?;
            let found = payload.len();
            let bytes = payload.try_into().map_err(|_| KeyError::TooLong {
                what: WHAT,
                expected: 33,
                found,
            })?;
            return Ok(Self::R1(bytes));
        }
        if let Some(body) = text.strip_prefix("PUB_WA_") {
            let payload = checked(body, "WA")?;
            if wa_len(&payload) != Some(payload.len()) {
                return Err(KeyError::Checksum {
                    what: "public key PUB_WA_…".into(),
                });
            }
            return Ok(Self::Wa(payload));
        }
        PublicKey::parse_antelope(text).map(Self::K1)
    }

    /// The text form; `prefix` is that of K1 keys (`EOS` or `PUB_K1_`).
    #[must_use]
    pub fn to_text(&self, prefix: &str) -> String {
        match self {
            Self::K1(key) => key.to_text(prefix),
            Self::R1(bytes) => typed(bytes, "R1"),
            Self::Wa(bytes) => typed(bytes, "WA"),
        }
    }

    /// The packed form: a byte for the curve, then its bytes.
    #[must_use]
    pub fn to_packed(&self) -> Vec<u8> {
        let (curve, bytes) = match self {
            Self::K1(key) => (0, key.as_bytes().as_slice()),
            Self::R1(bytes) => (1, bytes.as_slice()),
            Self::Wa(bytes) => (2, bytes.as_slice()),
        };
        let mut out = vec![curve];
        out.extend(bytes);
        out
    }

    /// Reads the packed form from the front of `bytes`: the key and how many bytes it took. `None` for a curve that is not
    /// known, or too few bytes.
    #[must_use]
    pub fn from_packed(bytes: &[u8]) -> Option<(Self, usize)> {
        let (curve, rest) = bytes.split_first()?;
        match curve {
            0 => {
                let key = PublicKey::from_bytes(*rest.first_chunk::<33>()?);
                Some((Self::K1(key), 34))
            }
            1 => Some((Self::R1(*rest.first_chunk::<33>()?), 34)),
            2 => {
                let len = wa_len(rest)?;
                Some((Self::Wa(rest.get(..len)?.to_vec()), len + 1))
            }
            _ => None,
        }
    }

    /// The key as chain-neutral code compares it. One of another curve becomes `0xff ‖ sha256(its text)`: the same key always
    /// the same value, and never a key of ours, since those begin with 2 or 3 (or are null).
    #[must_use]
    pub fn comparable(&self) -> PublicKey {
        match self {
            Self::K1(key) => *key,
            other => {
                let hash = Sha256::digest(other.to_text(""));
                let mut bytes = [0xff; 33];
                for (to, from) in bytes.iter_mut().skip(1).zip(hash) {
                    *to = from;
                }
                PublicKey::from_bytes(bytes)
            }
        }
    }
}

/// Length of a WebAuthn key's bytes: 33, one for presence, and the counted id.
fn wa_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 34;
    let mut len = 0usize;
    for shift in [0, 7, 14] {
        let byte = *bytes.get(at)?;
        at += 1;
        len |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (at + len <= bytes.len()).then_some(at + len);
        }
    }
    None
}

fn checked(body: &str, curve: &str) -> Result<Vec<u8>, KeyError> {
    let bytes = base58(body, WHAT)?;
    let Some((payload, check)) = bytes.split_last_chunk::<4>() else {
        return Err(KeyError::TooShort {
            what: WHAT,
            expected: 37,
            found: bytes.len(),
        });
    };
    // Too short for any curve: say that, rather than that the checksum is wrong.
    if payload.len() < 33 {
        return Err(KeyError::TooShort {
            what: WHAT,
            expected: 37,
            found: bytes.len(),
        });
    }
    if *check != checksum_ripemd(payload, curve.as_bytes()) {
        return Err(KeyError::Checksum {
            what: format!("public key PUB_{curve}_…"),
        });
    }
    Ok(payload.to_vec())
}

fn typed(bytes: &[u8], curve: &str) -> String {
    let mut out = bytes.to_vec();
    out.extend(checksum_ripemd(bytes, curve.as_bytes()));
    format!("PUB_{curve}_{}", bs58::encode(out).into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the vector `regproducer/r1-key`.
    const R1: &str = "PUB_R1_6FPFZqw5ahYrR9jD96yDbbDNTdKtNqRbze6oTDLntrsANgQKZu";

    fn wa() -> TypedKey {
        let mut bytes = vec![2; 33];
        bytes.push(1);
        bytes.extend([4, b'a', b'.', b'i', b'o']);
        TypedKey::Wa(bytes)
    }

    #[test]
    fn keys_of_every_curve_come_back_from_text_and_bytes() {
        let k1 = "EOS7NihpKCKvAfszJh4u2m93f29r95rCneHkNuJHTqSHeeQU36iFF".to_owned();
        for text in [k1, R1.to_owned(), wa().to_text("EOS")] {
            let key = TypedKey::parse(&text).unwrap();
            assert_eq!(key.to_text("EOS"), text);
            let mut packed = key.to_packed();
            let len = packed.len();
            packed.push(7);
            assert_eq!(TypedKey::from_packed(&packed), Some((key.clone(), len)));
            for cut in 0..len {
                assert_eq!(TypedKey::from_packed(&packed[..cut]), None);
            }
        }
    }

    #[test]
    fn a_key_of_another_curve_is_never_one_of_ours() {
        let r1 = TypedKey::parse(R1).unwrap().comparable();
        assert!(!r1.is_point() && !r1.is_null());
        assert_eq!(r1, TypedKey::parse(R1).unwrap().comparable());
        assert_ne!(r1, wa().comparable());
    }

    #[test]
    fn damage_is_refused() {
        let mut wrong = R1.to_owned();
        wrong.pop();
        assert!(TypedKey::parse(&wrong).is_err());
        for text in ["PUB_R1_", "PUB_WA_", "PUB_R1_0", "PUB_XX_abc", "", "PUB_"] {
            assert!(TypedKey::parse(text).is_err(), "{text}");
        }
    }
}
