//! A new node: its mnemonic, its vault and its configuration; all of them or, after an error, none.

mod files;

use std::fs;
use std::path::{Path, PathBuf};

use alknet_core::{Fingerprint, InvalidKey};
use alknet_vault::file::FileError;
use alknet_vault::mnemonic::MnemonicError;
use alknet_vault::sealed::SealedError;
use alknet_vault::{Cost, Mnemonic, RandomError, SealedSeed, Vault, WordCount};
use zeroize::Zeroizing;

use self::files::NewFiles;
use crate::config::{self, ConfigErrors, NodeName};
use crate::environment::{CONFIG_FILE_NAME, Environment};
use crate::handlers;
use crate::secrets::{self, SecretError};
use crate::vault::node_key;

/// What to make, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The folder of the configuration.
    pub dir: PathBuf,
    /// The folder of the state.
    pub state_dir: PathBuf,
    /// What the node is called.
    pub name: NodeName,
    /// How long the mnemonic is.
    pub words: WordCount,
    /// How the seed is kept.
    pub keep: KeepSeed,
}

/// How the seed is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepSeed {
    /// Sealed with a random passphrase, which lies beside the configuration for its owner only.
    RandomPassphrase,
    /// Sealed with the passphrase in this file.
    PassphraseFile(PathBuf),
    /// As a secret file for `systemd-creds encrypt`; nothing is sealed.
    SeedCredential(PathBuf),
}

/// What was made. There is no `Debug`, for the phrase's sake.
pub struct Made {
    /// The configuration.
    pub config: PathBuf,
    /// The folder of the state.
    pub state_dir: PathBuf,
    /// The node's name.
    pub name: NodeName,
    /// The node's identity.
    pub fingerprint: Fingerprint,
    /// The words that are the node. They are stored nowhere: to be shown now or never.
    pub phrase: Zeroizing<String>,
    /// The secret file that the node needs at each start.
    pub secret_file: PathBuf,
    /// Something to tell the operator about the files.
    pub warning: Option<String>,
}

impl Plan {
    /// A node in the folders of this user.
    pub fn in_default_folders(environment: &Environment) -> Self {
        Self {
            dir: environment.config_dir(),
            state_dir: environment.state_dir(),
            name: NodeName::default(),
            words: WordCount::TwentyFour,
            keep: KeepSeed::RandomPassphrase,
        }
    }
}

/// Makes a node in the folders of this user, for `alknet serve` where there is no configuration.
///
/// # Errors
/// As [`make`].
pub fn make_default(environment: &Environment) -> Result<Made, InitError> {
    make(&Plan::in_default_folders(environment))
}

/// Makes a node.
///
/// # Errors
/// When one of its files is there already, or a folder cannot be written. Nothing is left behind then.
pub fn make(plan: &Plan) -> Result<Made, InitError> {
    let dir = absolute(&plan.dir)?;
    let state_dir = absolute(&plan.state_dir)?;
    let config = dir.join(CONFIG_FILE_NAME);
    let vault_file = state_dir.join("vault.json");
    for file in [&config, &vault_file] {
        // A link to nowhere is in the way, too.
        if file.symlink_metadata().is_ok() {
            return Err(InitError::Exists { file: file.clone() });
        }
    }

    let mnemonic = Mnemonic::generate(plan.words)?;
    let vault = Vault::from_seed(mnemonic.to_seed(""));
    let fingerprint = node_key(&vault)?.fingerprint();

    let mut new = NewFiles::default();
    new.folder(&dir, 0o755)?;
    new.folder(&state_dir, 0o700)?;
    let (secret_file, warning) = match &plan.keep {
        KeepSeed::RandomPassphrase => {
            let file = dir.join("passphrase");
            let passphrase = random_passphrase()?;
            new.secret(&file, format!("{}\n", *passphrase).into_bytes().into())?;
            seal(&mut new, &vault, passphrase.as_bytes(), Cost::RANDOM_KEY, &vault_file)?;
            (file, None)
        }
        KeepSeed::PassphraseFile(file) => {
            let file = absolute(file)?;
            let secret = secrets::read_named(&file)?;
            seal(&mut new, &vault, secret.passphrase()?, Cost::PASSPHRASE, &vault_file)?;
            (file, secret.warning)
        }
        KeepSeed::SeedCredential(file) => {
            let file = absolute(file)?;
            new.secret(&file, vault.seed().to_credential().as_bytes().to_vec().into())?;
            (file, None)
        }
    };
    let text = config_text(plan, &dir, &state_dir, &secret_file)?;
    config::parse(&text, &config).map_err(InitError::Template)?;
    // The last one: where it is, all the rest is.
    new.config(&config, &text)?;
    new.keep();
    let (name, phrase) = (plan.name.clone(), mnemonic.phrase());
    Ok(Made { config, state_dir, name, fingerprint, phrase, secret_file, warning })
}

fn seal(new: &mut NewFiles, vault: &Vault, passphrase: &[u8], cost: Cost, file: &Path) -> Result<(), InitError> {
    let sealed = SealedSeed::seal(vault.seed(), passphrase, cost)?;
    new.secret(file, sealed.to_json().into_bytes().into())
}

/// The words of 256 random bits: what a machine reads, a person can still type.
fn random_passphrase() -> Result<Zeroizing<String>, InitError> {
    Ok(Mnemonic::generate(WordCount::TwentyFour)?.phrase())
}

fn config_text(plan: &Plan, dir: &Path, state_dir: &Path, secret_file: &Path) -> Result<String, InitError> {
    let vault = match &plan.keep {
        // systemd gives the credential the name that it is loaded under.
        KeepSeed::SeedCredential(_) => {
            "# The systemd credential \"seed\", or a file of that name beside this one.\nseed_file = \"seed\""
                .to_owned()
        }
        _ => {
            let name = quoted(secret_file.strip_prefix(dir).unwrap_or(secret_file))?;
            format!(
                "# A systemd credential of that name, or a file; a relative path starts beside this file.\npassphrase_file = {name}"
            )
        }
    };
    let text = include_str!("init/alknet.toml");
    Ok(text
        .replace("@name@", plan.name.as_str())
        .replace("@state_dir@", &quoted(state_dir)?)
        .replace("@vault@", &vault)
        .replace("@handlers@", &handler_sections()))
}

/// Those of this build that need nothing of their host.
fn handler_sections() -> String {
    let handlers = handlers::built().filter(|handler| handler.is_in_new_nodes);
    handlers.map(|handler| format!("[{}]\nenable = true", handler.name)).collect::<Vec<_>>().join("\n\n")
}

/// A path as a TOML string.
fn quoted(path: &Path) -> Result<String, InitError> {
    let text = path.to_str().ok_or_else(|| InitError::NotText { path: path.to_owned() })?;
    Ok(toml_edit::Value::from(text).to_string())
}

fn absolute(path: &Path) -> Result<PathBuf, InitError> {
    // The real folder, where there is one: the configuration has to hold wherever the node is started.
    let path = std::path::absolute(path).map_err(|source| InitError::Path { path: path.to_owned(), source })?;
    Ok(fs::canonicalize(&path).unwrap_or(path))
}

/// No node was made, and nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// A file is there already. It may be all that is left of a node's identity.
    #[error("{} exists already, and is left as it is: choose another folder with --dir, or move the file away", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// A path that TOML cannot hold.
    #[error("the path {} is not UTF-8, so the configuration cannot name it", path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// A path that means nothing.
    #[error("cannot tell where \"{}\" is", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A folder or file cannot be made.
    #[error("cannot make {}", path.display())]
    Make {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A secret file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The given passphrase file is of no use.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The configuration that would be written has errors.
    #[error("the new configuration would have errors")]
    Template(#[source] ConfigErrors),
    /// There was no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// There was no mnemonic.
    #[error(transparent)]
    Mnemonic(#[from] MnemonicError),
    /// The seed was not sealed.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// The node key was refused.
    #[error(transparent)]
    Key(#[from] InvalidKey),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(folder: &Path) -> Plan {
        Plan {
            dir: folder.join("a/config"),
            state_dir: folder.join("b/state"),
            name: "hub".parse().unwrap(),
            words: WordCount::Twelve,
            keep: KeepSeed::RandomPassphrase,
        }
    }

    fn fingerprint_of(config: &Path) -> Fingerprint {
        let environment = Environment::default();
        let opened = crate::vault::open(&config::load(config).unwrap(), &environment).unwrap();
        assert!(opened.warnings.is_empty());
        node_key(&opened.vault).unwrap().fingerprint()
    }

    #[test]
    fn a_new_node_opens_its_vault_and_its_phrase_is_its_identity() {
        let folder = tempfile::tempdir().unwrap();
        let made = make(&plan(folder.path())).unwrap();
        assert_eq!(fingerprint_of(&made.config), made.fingerprint);
        let restored = Vault::from_seed(Mnemonic::parse(&made.phrase).unwrap().to_seed(""));
        assert_eq!(node_key(&restored).unwrap().fingerprint(), made.fingerprint);
        let config = config::load(&made.config).unwrap();
        assert!(config.call.enable && config.warnings().is_empty());
        assert_eq!(config.http.enable, cfg!(feature = "http"), "a new node serves what its program can");
        assert_eq!(config.node.name.as_str(), "hub");
        let passphrase = fs::read_to_string(&made.secret_file).unwrap();
        assert_eq!(passphrase.split_whitespace().count(), 24, "256 bits, whatever the mnemonic has");
        assert_ne!(passphrase.trim(), *made.phrase);
    }

    #[test]
    fn a_seed_credential_is_the_seed() {
        let folder = tempfile::tempdir().unwrap();
        let keep = KeepSeed::SeedCredential(folder.path().join("a/config/seed"));
        let made = make(&Plan { keep, ..plan(folder.path()) }).unwrap();
        assert_eq!(fingerprint_of(&made.config), made.fingerprint);
        assert!(!made.state_dir.join("vault.json").exists());
    }

    #[test]
    fn what_fails_half_way_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing/passphrase");
        let under_a_file = folder.path().join("file");
        fs::write(&under_a_file, "").unwrap();
        let plans = [
            Plan { keep: KeepSeed::PassphraseFile(missing.clone()), ..plan(folder.path()) },
            Plan { keep: KeepSeed::SeedCredential(missing), ..plan(folder.path()) },
            Plan { state_dir: under_a_file.join("state"), ..plan(folder.path()) },
        ];
        for plan in plans {
            assert!(make(&plan).is_err());
            let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["file"], "after {:?}", plan.keep);
        }
    }

    #[test]
    fn a_path_with_quotes_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let made = make(&plan(&folder.path().join("o\"ne 'two' # \\three"))).unwrap();
        assert_eq!(fingerprint_of(&made.config), made.fingerprint);
    }
}
