//! A secret key in memory: reading its text forms, signing. Wiped on drop, never printed.

use std::fmt;

use ecdsa::hazmat::sign_prehashed_rfc6979;
use k256::Secp256k1;
use k256::ecdsa::SigningKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::public::PublicKey;
use super::signature::Signature;
use super::text::{KeyError, base58, checksum_ripemd, checksum_sha256d, exact_len};
use super::{Nonce, SignError, Signer};

const WIF: &str = "private key (WIF)";
const PVT: &str = "private key PVT_K1_…";

/// A private key held in this process. Its memory is wiped on drop and `Debug` shows the public half only.
pub struct SecretKey {
    signing: SigningKey,
    public: PublicKey,
}

impl SecretKey {
    /// Reads a WIF: base58 of `0x80 ‖ 32 bytes ‖ first four of sha256²`.
    ///
    /// # Errors
    /// A character outside base58, a wrong length, checksum or version, Bitcoin's compressed form, or a number out of range.
    pub fn from_wif(text: &str) -> Result<Self, KeyError> {
        let bytes = base58(text, WIF)?;
        if bytes.len() == 38 {
            let (payload, check) = bytes.split_at(34);
            if payload[33] == 1 && check == checksum_sha256d(payload) {
                return Err(KeyError::WifCompressed);
            }
        }
        exact_len(&bytes, 37, WIF)?;
        let (payload, check) = bytes.split_at(33);
        if check != checksum_sha256d(payload) {
            return Err(match text.len() {
                cut @ 0..51 => KeyError::WifCut(cut),
                _ => KeyError::Checksum { what: WIF.into() },
            });
        }
        if payload[0] != 0x80 {
            return Err(KeyError::WifVersion(payload[0]));
        }
        Self::from_scalar(&payload[1..])
    }

    /// Reads the typed text form of Antelope, `PVT_K1_…`.
    ///
    /// # Errors
    /// Another curve, a character outside base58, a wrong length or checksum, or a number out of range.
    pub fn from_pvt_k1(text: &str) -> Result<Self, KeyError> {
        let rest = text.strip_prefix("PVT_").unwrap_or(text);
        let (curve, body) = rest.split_once('_').unwrap_or(("", rest));
        if curve != "K1" {
            return Err(KeyError::Curve {
                what: "private key",
                // A secret pasted into the wrong place must not come back in a message.
                curve: if matches!(curve, "R1" | "WA") {
                    curve.into()
                } else {
                    "other than K1".into()
                },
            });
        }
        let bytes = base58(body, PVT)?;
        exact_len(&bytes, 36, PVT)?;
        let (payload, check) = bytes.split_at(32);
        if check != checksum_ripemd(payload, b"K1") {
            return Err(KeyError::Checksum { what: PVT.into() });
        }
        Self::from_scalar(payload)
    }

    /// Reads either text form.
    ///
    /// # Errors
    /// As [`SecretKey::from_wif`] and [`SecretKey::from_pvt_k1`].
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        if text.starts_with("PVT_") {
            Self::from_pvt_k1(text)
        } else {
            Self::from_wif(text)
        }
    }

    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    /// When the operating system has none to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        loop {
            let mut bytes = Zeroizing::new([0u8; 32]);
            getrandom::fill(bytes.as_mut_slice())?;
            // All but one in 2^128 numbers are keys.
            if let Ok(key) = Self::from_scalar(bytes.as_slice()) {
                return Ok(key);
            }
        }
    }

    /// The key whose number is `sha256(seed)`. **Only for devnet and tests**: whoever knows the seed knows the key.
    ///
    /// # Errors
    /// [`KeyError::OutOfRange`], for one seed in 2^128.
    pub fn from_seed_sha256(seed: &str) -> Result<Self, KeyError> {
        Self::from_scalar(&Zeroizing::new(<[u8; 32]>::from(Sha256::digest(seed)))[..])
    }

    /// The WIF, for writing a key file. In a buffer that is wiped.
    #[must_use]
    pub fn to_wif(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0u8; 37]);
        bytes[0] = 0x80;
        bytes[1..33].copy_from_slice(&Zeroizing::new(self.signing.to_bytes())[..]);
        let check = checksum_sha256d(&bytes[..33]);
        bytes[33..].copy_from_slice(&check);
        Zeroizing::new(bs58::encode(&bytes[..]).into_string())
    }

    /// The curve's own type, for the PKCS#8 writer next door.
    pub(super) fn to_curve(&self) -> k256::SecretKey {
        k256::SecretKey::from(self.signing.as_nonzero_scalar())
    }

    /// Reads the 32-byte number of a key.
    pub(super) fn from_scalar(bytes: &[u8]) -> Result<Self, KeyError> {
        let signing = SigningKey::from_slice(bytes).map_err(|_| KeyError::OutOfRange)?;
        let point = signing.verifying_key().to_sec1_point(true);
        let mut public = [0; 33];
        public.copy_from_slice(point.as_bytes());
        Ok(Self {
            signing,
            public: PublicKey::from_bytes(public),
        })
    }
}

impl Signer for SecretKey {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, digest: &[u8; 32], nonce: Nonce) -> Result<Signature, SignError> {
        for attempt in 1..=u8::MAX {
            let extra: Vec<u8> = match nonce {
                Nonce::Graphene => Sha256::new()
                    .chain_update(digest)
                    .chain_update([attempt])
                    .finalize()
                    .to_vec(),
                Nonce::Antelope => vec![attempt],
            };
            let (signature, id) = sign_prehashed_rfc6979::<Secp256k1, Sha256>(
                self.signing.as_nonzero_scalar(),
                digest,
                &extra,
            );
            let mut bytes = [0; 65];
            bytes[0] = 31 + id.to_byte();
            bytes[1..].copy_from_slice(&signature.to_bytes());
            let signature = Signature::from_bytes(bytes);
            if signature.is_low_s() && signature.is_fc_canonical() {
                return Ok(signature);
            }
        }
        Err(SignError::NotCanonical)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}
