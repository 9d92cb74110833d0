//! Opens the node's vault: the only place where the seed comes into memory.

use std::path::{Path, PathBuf};

use alknet_core::{InvalidKey, NodeKey};
use alknet_vault::sealed::SealedError;
use alknet_vault::{SealedSeed, Seed, SeedError, Vault};

use crate::config::{Config, VaultSource};
use crate::environment::Environment;
use crate::secrets::{SecretError, SecretFiles};

/// A vault, and what to tell the operator about the files it came from.
pub struct OpenedVault {
    /// The vault.
    pub vault: Vault,
    /// Files that others can read, for instance.
    pub warnings: Vec<String>,
}

/// Opens the vault that the configuration names.
///
/// # Errors
/// When a file is missing, damaged, or the passphrase is not the one it was sealed with.
pub fn open(config: &Config, environment: &Environment) -> Result<OpenedVault, OpenVaultError> {
    let secrets = SecretFiles::of(config, environment);
    let (seed, warning) = match &config.vault {
        VaultSource::Sealed { passphrase_file, .. } => {
            let file = config.vault_file(environment);
            let sealed = load(&file)?;
            let secret = secrets.read(passphrase_file)?;
            let seed = sealed.open(secret.passphrase()?);
            (seed.map_err(|source| OpenVaultError::Sealed { file, source })?, secret.warning)
        }
        VaultSource::Seed { seed_file } => {
            let secret = secrets.read(seed_file)?;
            let seed = Seed::from_credential(&secret.contents);
            (seed.map_err(|source| OpenVaultError::Seed { file: secret.path, source })?, secret.warning)
        }
    };
    Ok(OpenedVault { vault: Vault::from_seed(seed), warnings: warning.into_iter().collect() })
}

fn load(file: &Path) -> Result<SealedSeed, OpenVaultError> {
    SealedSeed::load(file).map_err(|source| match source {
        SealedError::File(error) if error.is_not_found() => OpenVaultError::NoVault { file: file.to_owned() },
        source => OpenVaultError::Sealed { file: file.to_owned(), source },
    })
}

/// The node's identity, from its vault.
///
/// # Errors
/// When the crypto library refuses the key.
pub fn node_key(vault: &Vault) -> Result<NodeKey, InvalidKey> {
    NodeKey::from_seed(vault.node_key().as_bytes())
}

/// A vault that stays shut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenVaultError {
    /// There is no sealed seed.
    #[error("there is no vault {}", file.display())]
    NoVault {
        /// Where it should be.
        file: PathBuf,
    },
    /// The sealed seed cannot be opened.
    #[error("cannot open the vault {}", file.display())]
    Sealed {
        /// The sealed seed.
        file: PathBuf,
        /// Why not.
        source: SealedError,
    },
    /// The secret file holds no seed.
    #[error("cannot take the seed from {}", file.display())]
    Seed {
        /// The secret file.
        file: PathBuf,
        /// Why not.
        source: SeedError,
    },
    /// A secret file is of no use.
    #[error(transparent)]
    Secret(#[from] SecretError),
}
