//! Keys and secrets of an alknet node.
//!
//! Everything a node has to keep secret follows from one 64-byte [`Seed`], which a [`Mnemonic`] writes down as words and
//! a [`SealedSeed`] keeps on disk. A [`Vault`] derives the node's keys from the seed, and encrypts the secrets of its
//! services, which a [`CredentialFile`] holds. This crate reads no environment, prints and logs nothing, and its types for
//! secrets are wiped when dropped and cannot be printed, serialized or cloned.
//!
//! ```
//! use alknet_vault::{CredentialFile, Mnemonic, Vault, WordCount};
//!
//! // Once: a new node. Its owner writes the phrase down.
//! let mnemonic = Mnemonic::generate(WordCount::TwentyFour)?;
//! let phrase = mnemonic.phrase();
//!
//! // The same phrase always gives the same keys.
//! let vault = Vault::from_seed(Mnemonic::parse(&phrase)?.to_seed(""));
//! assert_eq!(vault.node_key().as_bytes(), Vault::from_seed(mnemonic.to_seed("")).node_key().as_bytes());
//!
//! // Secrets of services are stored encrypted.
//! let mut credentials = CredentialFile::new();
//! credentials.set("db.password", b"hunter2", &vault)?;
//! assert_eq!(credentials.get("db.password", &vault)?.as_slice(), b"hunter2");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is not protected
//!
//! Wiping covers the memory this crate holds, on a best-effort basis: registers, stack frames of the cryptographic
//! libraries, swap and core dumps are the operating system's to protect. For Unix, whose file modes and atomic renames
//! [`file`](mod@file) relies on.

mod aead;
pub mod credentials;
mod encoding;
mod encrypted;
pub mod file;
pub mod mnemonic;
mod random;
pub mod sealed;
mod secret;
pub mod slip10;
pub mod vault;

pub use credentials::CredentialFile;
pub use encrypted::EncryptedData;
pub use mnemonic::{Mnemonic, WordCount};
pub use random::RandomError;
pub use sealed::{Cost, SealedSeed};
pub use secret::{SecretKey32, Seed, SeedError};
pub use slip10::DerivationPath;
pub use vault::Vault;
