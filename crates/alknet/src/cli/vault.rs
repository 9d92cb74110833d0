//! `alknet vault`.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use alknet_vault::{CredentialFile, EncryptedData, Vault};
use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;
use zeroize::Zeroizing;

use super::Invocation;
use crate::config::Config;
use crate::vault;

/// Longer than any credential. The file of all of them has at most four times this.
const MAX_SECRET_LEN: usize = 256 * 1024;

/// Authenticated with what `encrypt` prints without a name. No entry can have this name, so neither passes for the other.
const NAMELESS: &[u8] = b"alknet vault encrypt";

#[derive(Subcommand)]
pub(super) enum VaultCommand {
    /// Encrypt a secret, and store it under a name or print it
    Encrypt(EncryptArgs),
    /// Decrypt a stored or printed secret
    Decrypt(DecryptArgs),
    /// List the names of the stored secrets
    List(FormatArgs),
    /// Remove a stored secret
    Remove(RemoveArgs),
    /// Encrypt all stored secrets anew, with the next version of the key
    Rotate(FormatArgs),
}

#[derive(clap::Args)]
pub(super) struct EncryptArgs {
    /// Store the secret under this name, in place of an older one [default: print it encrypted]
    #[arg(long)]
    name: Option<String>,

    /// Keep the newline at the end of the secret, which otherwise is taken for the file's
    #[arg(long)]
    exact: bool,

    /// The file with the secret, - for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct DecryptArgs {
    /// The name that the secret is stored under [default: read what "alknet vault encrypt" printed]
    #[arg(long, conflicts_with = "file")]
    name: Option<String>,

    /// The file with the encrypted secret, - for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct RemoveArgs {
    /// The name that the secret is stored under
    name: String,
}

#[derive(clap::Args)]
pub(super) struct FormatArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: VaultCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let config = invocation.load_config()?;
    let credentials = Credentials::of(&config, invocation);
    match command {
        VaultCommand::Encrypt(args) => encrypt(&args, &open(&config, invocation)?, &credentials, invocation),
        VaultCommand::Decrypt(args) => decrypt(&args, &open(&config, invocation)?, &credentials, invocation),
        VaultCommand::List(args) => list(&args, &credentials, invocation),
        VaultCommand::Remove(args) => remove(&args, &credentials, invocation),
        VaultCommand::Rotate(args) => rotate(&args, &open(&config, invocation)?, &credentials, invocation),
    }
}

fn open(config: &Config, invocation: &Invocation) -> anyhow::Result<Vault> {
    let opened = vault::open(config, &invocation.environment)?;
    opened.warnings.iter().for_each(|warning| invocation.output.warning(warning));
    Ok(opened.vault)
}

fn encrypt(
    args: &EncryptArgs,
    vault: &Vault,
    credentials: &Credentials,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let mut secret = read(&args.file, invocation)?;
    if !args.exact && secret.ends_with(b"\n") {
        secret.pop();
    }
    match &args.name {
        Some(name) => {
            credentials.update(|file| file.set(name, &secret, vault))?;
            invocation.output.note(format_args!("stored \"{name}\" in {}", credentials.file.display()));
            Ok(())
        }
        None => {
            let key_version = credentials.load()?.key_version();
            invocation.output.json(&vault.encrypt(&secret, NAMELESS, key_version)?)
        }
    }
}

fn decrypt(
    args: &DecryptArgs,
    vault: &Vault,
    credentials: &Credentials,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let secret = match &args.name {
        Some(name) => credentials.load()?.get(name, vault)?,
        None => {
            let json = read(&args.file, invocation)?;
            let encrypted: EncryptedData =
                serde_json::from_slice(&json).context("this is not what \"alknet vault encrypt\" prints")?;
            vault.decrypt(&encrypted, NAMELESS)?
        }
    };
    invocation.output.bytes(&secret)?;
    // A prompt right behind the secret would look like a part of it.
    if io::stdout().is_terminal() {
        invocation.output.line("")?;
    }
    Ok(())
}

#[derive(Serialize)]
struct ListOutput<'c> {
    key_version: u32,
    names: Vec<&'c str>,
}

fn list(args: &FormatArgs, credentials: &Credentials, invocation: &Invocation) -> anyhow::Result<()> {
    let file = credentials.load()?;
    if args.json {
        let output = ListOutput { key_version: file.key_version(), names: file.names().collect() };
        return invocation.output.json(&output);
    }
    file.names().try_for_each(|name| Ok(invocation.output.line(name)?))
}

fn remove(args: &RemoveArgs, credentials: &Credentials, invocation: &Invocation) -> anyhow::Result<()> {
    credentials.update(|file| file.remove(&args.name))?;
    invocation.output.note(format_args!("removed \"{}\" from {}", args.name, credentials.file.display()));
    Ok(())
}

#[derive(Serialize)]
struct RotateOutput {
    from: u32,
    to: u32,
    entries: usize,
}

fn rotate(args: &FormatArgs, vault: &Vault, credentials: &Credentials, invocation: &Invocation) -> anyhow::Result<()> {
    let rotation = credentials.update(|file| file.rotate(vault))?;
    let (from, to, entries) = (rotation.from, rotation.to, rotation.entries);
    if args.json {
        return invocation.output.json(&RotateOutput { from, to, entries });
    }
    Ok(invocation.output.line(format_args!("key version {from} -> {to}, {entries} secrets encrypted anew"))?)
}

/// The file of the stored secrets.
struct Credentials {
    file: PathBuf,
    folder: PathBuf,
    is_root: bool,
}

impl Credentials {
    fn of(config: &Config, invocation: &Invocation) -> Self {
        let environment = &invocation.environment;
        let folder = config.state_dir(environment);
        Self { file: config.credentials_file(environment), folder, is_root: environment.is_root }
    }

    fn load(&self) -> anyhow::Result<CredentialFile> {
        CredentialFile::load(&self.file).with_context(|| format!("cannot use {}", self.file.display()))
    }

    fn update<T>(
        &self,
        change: impl FnOnce(&mut CredentialFile) -> Result<T, alknet_vault::credentials::CredentialsError>,
    ) -> anyhow::Result<T> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        made.with_context(|| format!("cannot make the state folder {}", self.folder.display()))?;
        let result = CredentialFile::update(&self.file, change);
        let result = result.with_context(|| format!("cannot change {}", self.file.display()))?;
        self.hand_over();
        Ok(result)
    }

    /// What root writes into the state folder of a service has to be the service's.
    fn hand_over(&self) {
        let Ok(folder) = fs::metadata(&self.folder) else { return };
        if !self.is_root || folder.uid() == 0 {
            return;
        }
        for name in ["credentials.json", ".credentials.json.lock"] {
            // Without the rights to give a file away, root is not the one who runs the service here.
            let _ = chown(self.folder.join(name), Some(folder.uid()), Some(folder.gid()));
        }
    }
}

/// Reads a file, or standard input for `-`.
fn read(file: &Path, invocation: &Invocation) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    if file == Path::new("-") {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            invocation.output.note("type or paste the text, then press Ctrl-D on a line of its own");
        }
        return read_limited(stdin.lock()).context("cannot read standard input");
    }
    let opened = File::open(file).map_err(anyhow::Error::from);
    opened.and_then(read_limited).with_context(|| format!("cannot read {}", file.display()))
}

fn read_limited(reader: impl Read) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    // All of it from the start: growing would leave a part of a secret in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_LEN + 1));
    reader.take(MAX_SECRET_LEN as u64 + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(bytes.len() <= MAX_SECRET_LEN, "it is longer than {} KiB", MAX_SECRET_LEN / 1024);
    Ok(bytes)
}
