//! The seed on disk, sealed with a passphrase.
//!
//! A sealed seed is a JSON file:
//!
//! ```json
//! {
//!   "format": "alknet-vault",
//!   "version": 1,
//!   "kdf": {"algorithm": "argon2id", "memory_kib": 65536, "iterations": 3, "parallelism": 4, "salt": "…"},
//!   "iv": "…",
//!   "data": "…",
//!   "checksum": "…"
//! }
//! ```
//!
//! Argon2id version 1.3 (RFC 9106) makes a 32-byte key of the passphrase, and AES-256-GCM encrypts the 64-byte seed with
//! it. `salt` (16 bytes), `iv` (12 bytes) and `data` (64 bytes of ciphertext, 16 of tag) are standard base64 with padding.
//!
//! The associated data is `{"format":…,"version":…,"kdf":…}`, so the parameters cannot be changed either. `checksum` is
//! the SHA-256 of `{"format":…,"version":…,"kdf":…,"iv":…,"data":…}` in lower-case hex. It protects nothing from an
//! attacker; it tells a damaged file from a wrong passphrase. Both JSON texts have their members in the order above and
//! no white space.

use std::path::Path;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::digest;
use zeroize::Zeroizing;

use crate::aead::{self, AeadError};
use crate::file::{self, FileError, Overwrite};
use crate::random::{self, RandomError};
use crate::secret::Seed;

mod cost;
mod json;
#[cfg(test)]
mod tests;

pub use cost::{Cost, CostError};

/// The largest file that is read, in bytes. A sealed seed has less than 1 KiB.
pub const MAX_FILE_LEN: usize = 64 * 1024;

const SALT_LEN: usize = 16;
const DATA_LEN: usize = Seed::LEN + aead::TAG_LEN;

/// A seed encrypted with a passphrase: no secret by itself, and only as strong as the passphrase.
///
/// ```
/// use alknet_vault::{Cost, SealedSeed, Seed};
///
/// let seed = Seed::from_bytes(&[7; 64]);
/// let json = SealedSeed::seal(&seed, b"correct horse battery staple", Cost::PASSPHRASE)?.to_json();
///
/// let sealed = SealedSeed::from_json(json.as_bytes())?;
/// assert_eq!(sealed.open(b"correct horse battery staple")?.as_bytes(), seed.as_bytes());
/// assert_eq!(sealed.open(b"hunter2").err().unwrap().to_string(), "the passphrase is wrong");
/// # Ok::<(), alknet_vault::sealed::SealedError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSeed {
    cost: Cost,
    salt: [u8; SALT_LEN],
    iv: [u8; aead::IV_LEN],
    data: [u8; DATA_LEN],
}

impl SealedSeed {
    /// Encrypts `seed` with `passphrase`, whose bytes are taken as they are: a final newline, or another Unicode
    /// normalization, makes another passphrase.
    ///
    /// # Errors
    ///
    /// [`SealedError::EmptyPassphrase`], [`SealedError::Memory`] if there is not enough for `cost`, and
    /// [`SealedError::Random`] without randomness.
    pub fn seal(seed: &Seed, passphrase: &[u8], cost: Cost) -> Result<Self, SealedError> {
        Self::seal_with(seed, passphrase, cost, random::array()?, random::array()?)
    }

    fn seal_with(
        seed: &Seed,
        passphrase: &[u8],
        cost: Cost,
        salt: [u8; SALT_LEN],
        iv: [u8; aead::IV_LEN],
    ) -> Result<Self, SealedError> {
        let key = stretch(passphrase, &salt, cost)?;
        let mut sealed = Self { cost, salt, iv, data: [0; DATA_LEN] };
        let data = aead::seal(&key, &iv, json::header(&sealed).as_bytes(), seed.as_bytes());
        let data = data.map_err(|AeadError| SealedError::Refused)?;
        sealed.data.copy_from_slice(&data);
        Ok(sealed)
    }

    /// Decrypts the seed. Takes the time and memory of the [`Cost`] it was sealed with.
    ///
    /// # Errors
    ///
    /// [`SealedError::WrongPassphrase`], [`SealedError::EmptyPassphrase`] or [`SealedError::Memory`].
    pub fn open(&self, passphrase: &[u8]) -> Result<Seed, SealedError> {
        let key = stretch(passphrase, &self.salt, self.cost)?;
        let seed = aead::open(&key, &self.iv, json::header(self).as_bytes(), &self.data);
        let seed = seed.map_err(|AeadError| SealedError::WrongPassphrase)?;
        let seed = seed.as_array().ok_or(SealedError::Refused)?;
        Ok(Seed::from_bytes(seed))
    }

    /// What it costs to try one passphrase.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The file's contents, with a final newline.
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// Reads a file's contents and checks everything that does not take the passphrase.
    ///
    /// # Errors
    ///
    /// [`SealedError::Syntax`], [`SealedError::Format`], [`SealedError::Version`], [`SealedError::Damaged`],
    /// [`SealedError::Algorithm`] or [`SealedError::Cost`].
    pub fn from_json(json: &[u8]) -> Result<Self, SealedError> {
        json::read(json)
    }

    /// Reads a file of at most [`MAX_FILE_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// [`SealedError::File`] and those of [`SealedSeed::from_json`].
    pub fn load(path: &Path) -> Result<Self, SealedError> {
        Self::from_json(&file::read_secret(path, MAX_FILE_LEN)?)
    }

    /// Writes a file with [`write_secret`](file::write_secret).
    ///
    /// # Errors
    ///
    /// [`FileError`], in particular [`FileError::Exists`].
    pub fn save(&self, path: &Path, overwrite: Overwrite) -> Result<(), FileError> {
        file::write_secret(path, self.to_json().as_bytes(), overwrite)
    }
}

/// Argon2id version 1.3 (RFC 9106) without secret and associated data.
fn stretch(passphrase: &[u8], salt: &[u8], cost: Cost) -> Result<Zeroizing<[u8; aead::KEY_LEN]>, SealedError> {
    if passphrase.is_empty() {
        return Err(SealedError::EmptyPassphrase);
    }
    let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, Some(aead::KEY_LEN));
    let params = params.map_err(|_| SealedError::Refused)?;
    // The memory is ours so that it is wiped, and reserved so that too little of it is an error and not an abort.
    let mut memory = Zeroizing::new(Vec::<Block>::new());
    let count = params.block_count();
    memory.try_reserve_exact(count).map_err(|_| SealedError::Memory { memory_kib: cost.memory_kib })?;
    memory.resize(count, Block::new());
    let mut key = Zeroizing::new([0; aead::KEY_LEN]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase, salt, key.as_mut_slice(), memory.as_mut_slice())
        .map_err(|_| SealedError::Refused)?;
    Ok(key)
}

/// SHA-256 in lower-case hex.
fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    crate::encoding::push_hex(&mut text, digest::digest(&digest::SHA256, bytes).as_ref());
    text
}

/// A seed could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not JSON, or lacks or misspells a field.
    #[error("the file is damaged or is no sealed seed: {reason}")]
    Syntax {
        /// What is wrong, and where.
        reason: String,
    },
    /// The file says that it is something else.
    #[error("the file is no sealed seed: its `format` is not `{}`", json::FORMAT)]
    Format,
    /// The file was written by a newer program.
    #[error("the sealed seed has version {found}, and this program reads version {}: use a newer one", json::VERSION)]
    Version {
        /// The version that the file names.
        found: u32,
    },
    /// The file was changed since it was written.
    #[error("the file is damaged: its checksum does not match. Restore it from a backup, or the seed from its phrase")]
    Damaged,
    /// The file names another key derivation function.
    #[error("the sealed seed's `kdf.algorithm` is not `{}`", json::ALGORITHM)]
    Algorithm,
    /// The file asks for too much or too little work.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// The file is intact, and the passphrase does not open it.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// There is no passphrase.
    #[error("the passphrase is empty: give one of at least one character")]
    EmptyPassphrase,
    /// There is not enough memory.
    #[error("there is not enough memory: trying a passphrase takes {memory_kib} KiB here")]
    Memory {
        /// The memory needed, in KiB.
        memory_kib: u32,
    },
    /// The cryptographic library refused to work, for which only the length of the passphrase can be a reason.
    #[error("the cryptographic library refused the passphrase: Argon2 ends at 4 GiB")]
    Refused,
    /// There was no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}
