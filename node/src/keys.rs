//! Secret keys in files.
//!
//! A key file holds 32 secret bytes (the seed of RFC 8032) as 64 hex digits and a line end. Only its
//! owner may read it; any other file is refused, because a key that others could read is no longer
//! one replica's.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use daruma_types::{PublicKey, SecretKey, Signer};
use rand::TryRngCore;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

/// Bytes of a key file that are read: 64 digits, `0x`, and room for line ends.
pub const FILE_BYTES_MAX: usize = 80;

/// Permission bits that a key file must not have: any of group and others.
const OTHERS: u32 = 0o077;

/// The secret of an Ed25519 key: a replica's consensus key, its transport key, or a client's key. Wiped
/// from memory when dropped, and never printed.
#[derive(Clone)]
pub struct SecretSeed(Zeroizing<[u8; 32]>);

/// Why a key file cannot be used. No message contains anything that the file contains.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the key file {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner may read or write the file.
    #[error(
        "the key file {path} has mode {mode:03o}: others can use the key; allow its owner only: \
         chmod 600 {path}",
        path = path.display()
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold a key.
    #[error(
        "{path} is not a key file: 64 hex digits are expected, as `daruma keys new` writes them",
        path = path.display()
    )]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The file is there already. A key is never overwritten.
    #[error("{path} exists already, and a key is never overwritten", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write the key file {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for a key: {0}")]
    Random(String),
}

impl SecretSeed {
    /// A new key from the system's random generator.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        OsRng.try_fill_bytes(&mut *seed).map_err(|error| KeyError::Random(error.to_string()))?;
        Ok(Self(seed))
    }

    /// The key made from 32 secret bytes that come from elsewhere than a file.
    #[must_use]
    pub const fn from_bytes(seed: Zeroizing<[u8; 32]>) -> Self {
        Self(seed)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with the file and what to do.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let refused = |source| KeyError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(refused)?;
        // Of the opened file, so that nobody can change it in between.
        let metadata = file.metadata().map_err(refused)?;
        let mode = metadata.mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(KeyError::Permissions { path: path.to_owned(), mode });
        }
        let form = || KeyError::Form { path: path.to_owned() };
        let mut text = Zeroizing::new([0; FILE_BYTES_MAX + 1]);
        let length = fill(file, &mut text[..]).map_err(refused)?;
        let digits = text.get(..length).ok_or_else(form)?.trim_ascii();
        let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
        let mut seed = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, &mut *seed).map_err(|_| form())?;
        Ok(Self(seed))
    }

    /// Writes the key to a new file that only its owner may read, and waits until it is on the disk.
    ///
    /// # Errors
    /// [`KeyError::Exists`] or [`KeyError::Write`].
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        let refused = |source: io::Error| {
            let path = path.to_owned();
            if source.kind() == io::ErrorKind::AlreadyExists {
                KeyError::Exists { path }
            } else {
                KeyError::Write { path, source }
            }
        };
        let mut text = Zeroizing::new([b'\n'; 65]);
        // The room is exactly what the digits need.
        let _ = hex::encode_to_slice(*self.0, &mut text[..64]);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(refused)?;
        file.write_all(&text[..]).and_then(|()| file.sync_all()).map_err(refused)
    }

    /// The key that signs.
    #[must_use]
    pub fn secret_key(&self) -> SecretKey {
        SecretKey::from_bytes(&self.0)
    }

    /// The key that verifies what [`Self::secret_key`] signs, and, for a transport key, the one that its
    /// connections are authenticated with: what the chainspec lists.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.secret_key().public_key()
    }

    /// The secret bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Zeroizing<[u8; 32]> {
        &self.0
    }
}

impl fmt::Debug for SecretSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSeed({:?})", self.public_key())
    }
}

/// Reads until the end of the file or of `buffer`.
fn fill(mut file: File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..)
        && !rest.is_empty()
    {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_file_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        let key = SecretSeed::generate().unwrap();
        key.write_new(&path).unwrap();
        assert_eq!(SecretSeed::read(&path).unwrap().public_key(), key.public_key());
        assert!(matches!(key.write_new(&path), Err(KeyError::Exists { .. })));
        assert_ne!(SecretSeed::generate().unwrap().public_key(), key.public_key());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        SecretSeed::generate().unwrap().write_new(&path).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = SecretSeed::read(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && error.contains(&format!("{mode:o}")), "{error}");
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(SecretSeed::read(&path).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("empty", String::new()),
            ("short", "77".repeat(31)),
            ("long", "77".repeat(33)),
            ("very-long", "77".repeat(4096)),
            ("no-hex", "zz".repeat(32)),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, &text).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = SecretSeed::read(&path).unwrap_err();
            assert!(matches!(error, KeyError::Form { .. }), "{name}: {error}");
            assert!(!error.to_string().contains("7777"), "{error}");
        }
        let prefixed = dir.path().join("prefixed");
        std::fs::write(&prefixed, format!("0x{}\n", "77".repeat(32))).unwrap();
        std::fs::set_permissions(&prefixed, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(SecretSeed::read(&prefixed).unwrap().bytes()[..], [0x77; 32]);
    }

    #[test]
    fn a_key_does_not_print_its_secret() {
        let key = SecretSeed::from_bytes(Zeroizing::new([0x77; 32]));
        assert!(!format!("{key:?}").contains("7777"));
    }
}
