//! The credentials file: secrets of a node's services, each encrypted with the vault's key of a version.
//!
//! ```json
//! {"version": 1, "key_version": 2, "entries": {"db.password": {"key_version": 2, "salt": "…", "iv": "…", "data": "…"}}}
//! ```
//!
//! An entry's name is the context of its encryption, so an entry cannot be passed off as another. Nothing protects the
//! file as a whole: whoever can write it can remove an entry or put an older state of it back.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::encoding::json_reason;
use crate::encrypted::EncryptedData;
use crate::file::{self, FileError, Overwrite};
use crate::slip10::{DerivationPath, FIRST_KEY_VERSION};
use crate::vault::{Vault, VaultError};

mod json;
#[cfg(test)]
mod tests;

/// The largest file that is read or written, in bytes: 1 MiB.
pub const MAX_FILE_LEN: usize = 1024 * 1024;
/// The longest name of an entry, in bytes.
pub const MAX_NAME_LEN: usize = 64;

/// The only version of the file there is.
const VERSION: u32 = 1;

/// A credentials file in memory. No secret: its entries are encrypted.
///
/// Changes are in memory until [`CredentialFile::save`] writes them, atomically. When more than one process may change the
/// file, [`CredentialFile::update`] keeps them from undoing each other's changes.
///
/// ```
/// use alknet_vault::{CredentialFile, Seed, Vault};
///
/// let vault = Vault::from_seed(Seed::from_bytes(&[7; 64]));
/// let mut file = CredentialFile::new();
/// file.set("db.password", b"hunter2", &vault)?;
/// file.rotate(&vault)?;
/// assert_eq!(file.get("db.password", &vault)?.as_slice(), b"hunter2");
/// # Ok::<(), alknet_vault::credentials::CredentialsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CredentialFile {
    version: u32,
    key_version: u32,
    entries: BTreeMap<String, EncryptedData>,
}

impl CredentialFile {
    /// A file without entries, at the first key version.
    pub fn new() -> Self {
        Self { version: VERSION, key_version: FIRST_KEY_VERSION, entries: BTreeMap::new() }
    }

    /// Reads a file of at most [`MAX_FILE_LEN`] bytes. A missing one is like a file without entries.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::File`] and those of [`CredentialFile::from_json`].
    pub fn load(path: &Path) -> Result<Self, CredentialsError> {
        match file::read_secret(path, MAX_FILE_LEN) {
            Ok(json) => Self::from_json(&json),
            Err(error) if error.is_not_found() => Ok(Self::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a file's contents. Every entry must be well-formed; whether it can be decrypted is found out later.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Syntax`] naming the entry and its field, [`CredentialsError::Version`] or
    /// [`CredentialsError::NewerEntry`].
    pub fn from_json(json: &[u8]) -> Result<Self, CredentialsError> {
        json::read(json)
    }

    /// Writes the file atomically, replacing an older one, with [`write_secret`](file::write_secret).
    ///
    /// # Errors
    ///
    /// [`CredentialsError::TooLarge`] if it could not be read again, [`CredentialsError::File`] otherwise. An older file
    /// stays as it was, unless only the very last step failed, which makes the new one survive a power cut.
    pub fn save(&self, path: &Path) -> Result<(), CredentialsError> {
        let mut json = serde_json::to_vec_pretty(self).map_err(syntax)?;
        json.push(b'\n');
        if json.len() > MAX_FILE_LEN {
            return Err(CredentialsError::TooLarge { found: json.len() });
        }
        Ok(file::write_secret(path, &json, Overwrite::Replace)?)
    }

    /// Loads the file, makes a change and saves it, all while holding a lock: of two processes that do this, the second
    /// waits for the first and sees its changes. An error of `change` leaves the file as it was.
    ///
    /// The lock is on an empty file `.{name}.lock` beside the credentials file, which stays.
    ///
    /// # Errors
    ///
    /// Those of [`CredentialFile::load`], `change` and [`CredentialFile::save`].
    pub fn update<T>(
        path: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, CredentialsError>,
    ) -> Result<T, CredentialsError> {
        let _lock = file::lock(path)?;
        let mut credentials = Self::load(path)?;
        let result = change(&mut credentials)?;
        credentials.save(path)?;
        Ok(result)
    }

    /// The version of the key that new entries are encrypted with.
    pub fn key_version(&self) -> u32 {
        self.key_version
    }

    /// The names of the entries, in ascending order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Decrypts an entry.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Missing`], or [`CredentialsError::Entry`] if it was changed or belongs to another vault.
    pub fn get(&self, name: &str, vault: &Vault) -> Result<Zeroizing<Vec<u8>>, CredentialsError> {
        check_name(name)?;
        let entry = self.entries.get(name).ok_or_else(|| CredentialsError::Missing { name: name.to_owned() })?;
        vault.decrypt(entry, name.as_bytes()).map_err(CredentialsError::entry(name))
    }

    /// Encrypts `secret` as the entry `name`, in place of an older one of that name.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Name`], or [`CredentialsError::Entry`] if it cannot be encrypted.
    pub fn set(&mut self, name: &str, secret: &[u8], vault: &Vault) -> Result<(), CredentialsError> {
        check_name(name)?;
        let entry = vault.encrypt(secret, name.as_bytes(), self.key_version);
        self.entries.insert(name.to_owned(), entry.map_err(CredentialsError::entry(name))?);
        Ok(())
    }

    /// Removes an entry.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Missing`] if there is none of that name.
    pub fn remove(&mut self, name: &str) -> Result<(), CredentialsError> {
        check_name(name)?;
        self.entries.remove(name).map(drop).ok_or_else(|| CredentialsError::Missing { name: name.to_owned() })
    }

    /// Encrypts every entry with the next version of the key, and makes that the file's version.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Entry`] if an entry cannot be decrypted: then nothing has changed, and the entry must be set
    /// again or removed first. [`CredentialsError::Vault`] after the last version.
    pub fn rotate(&mut self, vault: &Vault) -> Result<Rotation, CredentialsError> {
        let (from, to) = (self.key_version, self.key_version.saturating_add(1));
        DerivationPath::encryption_key(to).map_err(VaultError::from)?;
        let rotate = |(name, entry): (&String, &EncryptedData)| {
            let entry = vault.rotate(entry, name.as_bytes(), to).map_err(CredentialsError::entry(name))?;
            Ok((name.clone(), entry))
        };
        // Into a new map, so that an error leaves every entry as it was.
        self.entries = self.entries.iter().map(rotate).collect::<Result<_, CredentialsError>>()?;
        self.key_version = to;
        Ok(Rotation { from, to, entries: self.entries.len() })
    }
}

impl Default for CredentialFile {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`CredentialFile::rotate`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// The file's key version before.
    pub from: u32,
    /// The file's key version now, and that of every entry.
    pub to: u32,
    /// How many entries there are.
    pub entries: usize,
}

/// Names have the characters `A`–`Z`, `a`–`z`, `0`–`9`, `.`, `_`, `-`, which need no quoting anywhere.
fn check_name(name: &str) -> Result<(), CredentialsError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=MAX_NAME_LEN).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(CredentialsError::Name { name: name.chars().take(MAX_NAME_LEN).flat_map(char::escape_debug).collect() })
}

fn syntax(error: serde_json::Error) -> CredentialsError {
    CredentialsError::Syntax { reason: json_reason(&error) }
}

/// The credentials file or an entry of it could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not what [`CredentialFile::save`] writes.
    #[error("the credentials file is damaged: {reason}")]
    Syntax {
        /// What is wrong, and where.
        reason: String,
    },
    /// The file was written by a newer program.
    #[error("the credentials file has version {found}, and this program reads version {VERSION}: use a newer one")]
    Version {
        /// The version that the file names.
        found: u32,
    },
    /// An entry is newer than the file says.
    #[error("entry `{name}` has key version {found}, newer than the credentials file's {key_version}")]
    NewerEntry {
        /// The entry's name.
        name: String,
        /// The entry's key version.
        found: u32,
        /// The file's key version.
        key_version: u32,
    },
    /// The file became too large.
    #[error("the credentials would take {found} bytes, and the file has at most {MAX_FILE_LEN}: remove entries")]
    TooLarge {
        /// Its size in bytes.
        found: usize,
    },
    /// A name is empty, too long, or has other characters.
    #[error("`{name}` is no name of an entry: use 1 to {MAX_NAME_LEN} of the characters A-Z a-z 0-9 . _ -")]
    Name {
        /// The name, at most its first 64 characters, with control characters and quotes escaped.
        name: String,
    },
    /// There is no such entry.
    #[error("there is no entry `{name}` in the credentials file")]
    Missing {
        /// The name asked for.
        name: String,
    },
    /// An entry could not be encrypted or decrypted.
    #[error("entry `{name}`: {error}")]
    Entry {
        /// The entry's name.
        name: String,
        /// Why. Part of the message, and therefore no `source`.
        error: VaultError,
    },
    /// The vault has no next key.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl CredentialsError {
    fn entry(name: &str) -> impl FnOnce(VaultError) -> Self {
        move |error| Self::Entry { name: name.to_owned(), error }
    }
}
