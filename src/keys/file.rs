//! Key files: encrypted PKCS#8 PEM (`openssl pkcs8` reads it), plain PKCS#8 PEM, and plain WIF.
//!
//! Touches the file system and nothing else. A file that group or others can read is refused; new files are 0600 and
//! appear whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pkcs8::der::pem::PemLabel;
use pkcs8::pkcs5::{pbes2, scrypt};
use pkcs8::{
    DecodePrivateKey, EncodePrivateKey, EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef,
    SecretDocument,
};
use zeroize::Zeroizing;

pub use super::passphrase::{Passphrase, PassphraseSource};
use super::secret::SecretKey;
use super::text::KeyError;

/// No key file comes near this; anything larger is another file named by mistake.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a key file cannot be read or written. The messages are whole; there is no chain of sources to print behind them.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The operating system said no.
    #[error("{}: cannot {doing}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `write`, …
        doing: &'static str,
        /// What it said.
        cause: std::io::Error,
    },
    /// Group or others can read it.
    #[error(
        "{}: group or others have access (mode {mode:04o}), so this is not used; run: chmod 600 {}",
        path.display(), path.display()
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A directory, a device, or a file far too large.
    #[error("{}: not a key file: {reason}", path.display())]
    NotAKeyFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A key text in it is bad.
    #[error("{}: {cause}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with the key.
        cause: KeyError,
    },
    /// It does not open with this passphrase.
    #[error("{}: the passphrase does not open it (or the file is damaged)", .0.display())]
    WrongPassphrase(PathBuf),
    /// Encrypted, and no passphrase is at hand.
    #[error(
        "{}: a passphrase is needed; name a file that holds it (--passphrase-file, passphrase_file in the config), set SLOTKEEPER_PASSPHRASE or UNLOCK, or run on a terminal",
        .0.display()
    )]
    NoPassphrase(PathBuf),
    /// An empty passphrase for a new file.
    #[error("an empty passphrase protects nothing; choose one, or ask for a plain WIF file")]
    EmptyPassphrase,
    /// Two entries at the prompt differ.
    #[error("the two passphrases differ; nothing was written")]
    PassphrasesDiffer,
    /// The file is there already.
    #[error("{}: exists already and is left alone; choose another name, or say --force to replace it", .0.display())]
    Exists(PathBuf),
    /// Encryption failed.
    #[error("cannot encrypt the key: {0}")]
    Encrypt(String),
}

/// Reads a key file of any supported form.
///
/// # Errors
/// An unreadable or unguarded file, a bad key, or no or the wrong passphrase; each says what to do.
pub fn load(path: &Path, passphrase: &PassphraseSource) -> Result<SecretKey, KeyFileError> {
    let text = read_private(path, passphrase.credentials_directory.as_deref())?;
    let text = text.trim();
    let not = |reason: &str| KeyFileError::NotAKeyFile {
        path: path.into(),
        reason: reason.into(),
    };
    if text.is_empty() {
        return Err(not("it is empty"));
    }
    if !text.contains("-----BEGIN ") {
        return SecretKey::from_text(text).map_err(|cause| KeyFileError::Key {
            path: path.into(),
            cause,
        });
    }
    if text.contains("-----BEGIN EC PRIVATE KEY-----") {
        return Err(not(&format!(
            "an EC key in SEC1 form; convert it with: openssl pkcs8 -topk8 -scrypt -in {} -out NEW.pem",
            path.display()
        )));
    }
    // What stands before the first marker is commentary.
    let pem = &text[text.find("-----BEGIN ").unwrap_or(0)..];
    let (label, document) =
        SecretDocument::from_pem(pem).map_err(|_| not("the PEM in it is damaged"))?;
    if label == PrivateKeyInfoRef::PEM_LABEL {
        return from_pkcs8(document.as_bytes(), path);
    }
    if label != EncryptedPrivateKeyInfoRef::PEM_LABEL {
        return Err(not(&format!(
            "it holds a {label}, but PRIVATE KEY or ENCRYPTED PRIVATE KEY is needed"
        )));
    }
    let sealed = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|_| not("its encryption is none that slotkeeper knows (use scrypt or PBKDF2 with AES: openssl pkcs8 -topk8 -scrypt)"))?;
    let passphrase = passphrase.obtain(path)?;
    let opened = sealed
        .decrypt(passphrase.as_bytes())
        .map_err(|_| KeyFileError::WrongPassphrase(path.into()))?;
    from_pkcs8(opened.as_bytes(), path)
}

/// Whether a file holds an encrypted key, by its text alone.
///
/// # Errors
/// An unreadable or unguarded file.
pub fn is_encrypted(path: &Path, credentials: Option<&Path>) -> Result<bool, KeyFileError> {
    Ok(read_private(path, credentials)?.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----"))
}

/// Writes an encrypted PKCS#8 PEM: scrypt and AES-256-CBC.
///
/// # Errors
/// An empty passphrase, an existing file unless `overwrite`, or what the operating system says.
pub fn save_encrypted(
    path: &Path,
    key: &SecretKey,
    passphrase: &Passphrase,
    overwrite: bool,
) -> Result<(), KeyFileError> {
    if passphrase.is_empty() {
        return Err(KeyFileError::EmptyPassphrase);
    }
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).map_err(|e| KeyFileError::Encrypt(e.to_string()))?;
    let (salt, iv) = random.split_at(16);
    let pem = seal(key, passphrase, salt, iv).map_err(|e| KeyFileError::Encrypt(e.to_string()))?;
    write_private(path, pem.as_bytes(), overwrite)
}

/// Writes a plain WIF.
///
/// # Errors
/// An existing file unless `overwrite`, or what the operating system says.
pub fn save_wif(path: &Path, key: &SecretKey, overwrite: bool) -> Result<(), KeyFileError> {
    let text = Zeroizing::new(format!("{}\n", key.to_wif().as_str()));
    write_private(path, text.as_bytes(), overwrite)
}

/// N = 2^14, r = 8 is the most memory that openssl's own limit for reading lets through; p = 5 makes up for it in time.
fn seal(
    key: &SecretKey,
    passphrase: &Passphrase,
    salt: &[u8],
    iv: &[u8],
) -> Result<Zeroizing<String>, pkcs8::Error> {
    let bad = |_| pkcs8::Error::KeyMalformed(pkcs8::KeyError::Invalid);
    let cost = scrypt::Params::new(14, 8, 5).map_err(|_| bad(()))?;
    let iv = iv.try_into().map_err(|_| bad(()))?;
    let parameters = pbes2::Parameters::generate_scrypt_aes256cbc(cost, salt, iv)?;
    let plain = key.to_curve().to_pkcs8_der()?;
    let sealed = PrivateKeyInfoRef::try_from(plain.as_bytes())?
        .encrypt_with_params(parameters, passphrase.as_bytes())?;
    Ok(sealed.to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)?)
}

fn from_pkcs8(der: &[u8], path: &Path) -> Result<SecretKey, KeyFileError> {
    let key = k256::SecretKey::from_pkcs8_der(der).map_err(|_| KeyFileError::NotAKeyFile {
        path: path.into(),
        reason: "the key in it is no secp256k1 key".into(),
    })?;
    SecretKey::from_scalar(&Zeroizing::new(key.to_bytes())[..]).map_err(|cause| KeyFileError::Key {
        path: path.into(),
        cause,
    })
}

/// Reads a secret text file, refusing one that group or others have access to.
pub(super) fn read_private(
    path: &Path,
    credentials: Option<&Path>,
) -> Result<Zeroizing<String>, KeyFileError> {
    let io = |cause| KeyFileError::Io {
        path: path.into(),
        doing: "read",
        cause,
    };
    // Non-blocking, so that a named pipe in the file's place cannot hang the start.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(path)
        .map_err(io)?;
    // Of the open file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(io)?;
    let not = |reason: &str| KeyFileError::NotAKeyFile {
        path: path.into(),
        reason: reason.into(),
    };
    if !metadata.is_file() {
        return Err(not("it is no regular file"));
    }
    let mode = metadata.mode() & 0o7777;
    let credential = credentials.is_some() && path.parent() == credentials;
    let forbidden = if credential { 0o037 } else { 0o077 };
    if mode & forbidden != 0 {
        return Err(KeyFileError::Permissions {
            path: path.into(),
            mode,
        });
    }
    if metadata.len() > MAX_BYTES {
        return Err(not("it is larger than 64 KiB"));
    }
    // Room for everything at once: a growing buffer would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len() as usize + 1));
    (&mut file)
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(not("it is not text; DER files are not read, PEM files are")),
    }
}

/// Writes a file that only its owner can read: whole, synced, then put in place under its name.
fn write_private(path: &Path, contents: &[u8], overwrite: bool) -> Result<(), KeyFileError> {
    let io = |cause| KeyFileError::Io {
        path: path.into(),
        doing: "write",
        cause,
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(KeyFileError::Exists(path.into()));
    }
    let mut file = tempfile::Builder::new()
        .prefix(".slotkeeper-key-")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(directory)
        .map_err(|error| KeyFileError::Io {
            path: path.into(),
            doing: "write into its directory",
            // The original names the temporary file, which would only confuse.
            cause: error.kind().into(),
        })?;
    file.write_all(contents).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    let placed = if overwrite {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    match placed {
        Ok(_) => {}
        Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(KeyFileError::Exists(path.into()));
        }
        Err(e) => return Err(io(e.error)),
    }
    File::open(directory).and_then(|d| d.sync_all()).map_err(io)
}
