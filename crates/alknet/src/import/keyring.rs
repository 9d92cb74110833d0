//! The secrets that imported operations call with: from the vault into their capabilities, and nowhere else.

use std::path::PathBuf;

use alknet_call::Capabilities;
use alknet_vault::credentials::CredentialsError;
use alknet_vault::{CredentialFile, Vault};
use zeroize::{Zeroize as _, Zeroizing};

use crate::config::{Config, Import};
use crate::environment::Environment;

/// The stored credentials, and the vault that opens them. There is no `Debug`.
pub struct Keyring<'v> {
    path: PathBuf,
    file: CredentialFile,
    vault: &'v Vault,
}

impl<'v> Keyring<'v> {
    /// Reads the credentials file.
    ///
    /// # Errors
    /// When it cannot be read. One that is not there has no entries.
    pub fn read(config: &Config, environment: &Environment, vault: &'v Vault) -> Result<Self, KeyringError> {
        let path = config.credentials_file(environment);
        match CredentialFile::load(&path) {
            Ok(file) => Ok(Self { path, file, vault }),
            Err(source) => Err(KeyringError::File { path, source }),
        }
    }

    /// The secrets that an import names.
    ///
    /// # Errors
    /// When there is no such entry, it does not decrypt, or it is no text.
    pub fn capabilities(&self, import: &Import) -> Result<Capabilities, KeyringError> {
        import.credentials.iter().try_fold(Capabilities::default(), |all, (scheme, entry)| {
            Ok(all.with(scheme.as_str(), self.secret(import.name.as_str(), entry)?))
        })
    }

    /// One entry, for whoever calls whatever of the import `import`.
    ///
    /// # Errors
    /// As [`capabilities`](Self::capabilities).
    #[cfg(feature = "mcp")]
    pub fn everybodys(&self, import: &str, entry: &str) -> Result<Capabilities, KeyringError> {
        Ok(Capabilities::default().with("*", self.secret(import, entry)?))
    }

    fn secret(&self, import: &str, entry: &str) -> Result<Zeroizing<String>, KeyringError> {
        let mut bytes = self.file.get(entry, self.vault).map_err(|source| match source {
            CredentialsError::Missing { .. } => {
                KeyringError::Missing { import: import.to_owned(), entry: entry.to_owned() }
            }
            source => KeyringError::File { path: self.path.clone(), source },
        })?;
        String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
            error.into_bytes().zeroize();
            KeyringError::NotText { entry: entry.to_owned() }
        })
    }
}

/// Secrets that cannot be had. No message holds any of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// An entry is not there.
    #[error(
        "import \"{import}\": the vault has no entry \"{entry}\"; store it with alknet vault encrypt --name {entry}"
    )]
    Missing {
        /// The name of the import.
        import: String,
        /// The name of the entry.
        entry: String,
    },
    /// An entry holds something else than a text.
    #[error("the vault's entry \"{entry}\" is no text, and so no credential for an HTTP service")]
    NotText {
        /// The name of the entry.
        entry: String,
    },
    /// The file of the credentials or an entry of it is of no use.
    #[error("cannot read the credentials in {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: CredentialsError,
    },
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use alknet_vault::Seed;

    use super::*;
    use crate::config::parse;

    fn import(credentials: &str) -> Import {
        let text = format!(
            "[[import]]\nfrom = \"openapi\"\nname = \"a\"\nspec = \"a.json\"\noperations = [\"**\"]\n{credentials}\n"
        );
        parse(&text, Path::new("alknet.toml")).unwrap().imports.remove(0)
    }

    #[test]
    fn an_import_gets_the_entries_that_it_names_and_no_others() {
        let vault = Vault::from_seed(Seed::from_bytes(&[1; 64]));
        let mut file = CredentialFile::new();
        file.set("one", b"secret 1", &vault).unwrap();
        file.set("two", b"secret 2", &vault).unwrap();
        file.set("bytes", &[0xff], &vault).unwrap();
        let keyring = Keyring { path: "credentials.json".into(), file, vault: &vault };

        let capabilities = keyring.capabilities(&import("credential = \"one\"")).unwrap();
        assert_eq!(capabilities.names().collect::<Vec<_>>(), ["*"]);
        assert_eq!(capabilities.secret("*").unwrap().reveal(), "secret 1");
        let capabilities = keyring.capabilities(&import("credentials = { key = \"two\" }")).unwrap();
        assert_eq!(capabilities.secret("key").unwrap().reveal(), "secret 2");

        let error = |text: &str| keyring.capabilities(&import(text)).err().unwrap().to_string();
        assert_eq!(
            error("credential = \"three\""),
            "import \"a\": the vault has no entry \"three\"; store it with alknet vault encrypt --name three"
        );
        assert!(error("credential = \"bytes\"").contains("is no text"));
    }
}
