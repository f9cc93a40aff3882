//! Key text formats, signatures, encrypted key files, and `trait Signer`.
