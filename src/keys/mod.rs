//! Keys: their text formats, signatures, encrypted key files, and [`Signer`], the only way to use a secret.
//!
//! Owns everything that knows a secret or its text forms. May use [`crate::hex`]; knows nothing of chains.

pub mod file;
mod passphrase;
mod public;
mod secret;
mod serde;
mod signature;
mod text;
mod typed;

pub use file as key_file;
pub use public::PublicKey;
pub use secret::SecretKey;
pub use signature::Signature;
pub use text::KeyError;
pub use typed::TypedKey;

/// What is mixed into the deterministic nonce, so that attempt after attempt gives another signature until one is
/// canonical. Each chain family's reference libraries do it differently; following them keeps signatures
/// reproducible bit for bit. Any other canonical signature would be as valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonce {
    /// `sha256(digest ‖ attempt)`, as dsteem and dhive do.
    Graphene,
    /// The attempt byte alone, as wharfkit and eosjs do.
    Antelope,
}

/// Why a digest could not be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// 255 attempts in a row gave a signature that is not canonical. One attempt in two succeeds.
    #[error("no canonical signature within 255 attempts; this does not happen with a sound build")]
    NotCanonical,
    /// The device or service that holds the key did not sign.
    #[error("the signer for {public_key} did not answer: {reason}")]
    Unavailable {
        /// The key that was asked.
        public_key: PublicKey,
        /// What it said, without secrets.
        reason: String,
    },
}

/// Something that signs with one key. There is deliberately no way to take the secret out.
pub trait Signer: Send + Sync + std::fmt::Debug {
    /// The public half, so that a caller can pick the signer and check what it produced.
    fn public_key(&self) -> PublicKey;

    /// Signs a digest; the signature is low-S and fc-canonical, which every supported chain accepts.
    ///
    /// # Errors
    /// When the backend cannot sign; trying again may help with [`SignError::Unavailable`] only.
    fn sign(&self, digest: &[u8; 32], nonce: Nonce) -> Result<Signature, SignError>;
}
