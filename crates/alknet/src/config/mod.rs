//! The configuration: one TOML file, one section per handler.
//!
//! [`parse`] needs neither files nor the environment, so `alknet check-config` and a build of NixOS can run it anywhere.
//! It finds all problems at once, each with its line. Secrets are no values here but names of files
//! ([`SecretFiles`](crate::secrets::SecretFiles)).
//!
//! ```
//! use std::path::Path;
//!
//! let config = alknet::config::parse("[call]\nenable = true\n", Path::new("alknet.toml"))?;
//! assert!(config.call.enable && !config.tty.enable);
//!
//! let errors = alknet::config::parse("[call]\nenabel = true\n", Path::new("alknet.toml")).unwrap_err();
//! assert_eq!(errors.to_string(), "alknet.toml:2: unknown key \"enabel\" in [call]; did you mean \"enable\"?");
//! # Ok::<(), alknet::config::ConfigErrors>(())
//! ```

mod absent;
pub mod edit;
mod error;
mod hints;
mod hub;
mod import;
mod peers;
mod reader;
mod reload;
mod replace;
mod sections;
mod text;
mod warnings;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use alknet_call::CallLimits;
use toml::de::DeTable;

pub use self::absent::{Absent, HttpConfig, TtyConfig};
pub use self::error::{ConfigError, ConfigErrors};
pub use self::hub::{Hub, Reexport};
pub use self::import::{Import, ImportName, ImportSource, SpecSource};
pub use self::peers::PeerEntry;
pub use self::sections::{CertificateFiles, Endpoint, Node, Section, VaultSource};
pub(crate) use self::text::Parsed;
pub use self::text::{Address, NodeName, PeerId, Prefix};
use crate::environment::Environment;
use crate::handlers::HANDLERS;
use reader::Reader;

/// The port of a node whose configuration names none, UDP and TCP.
pub const DEFAULT_PORT: u16 = 4433;

/// The largest file that is read. A thousand peers fit into a tenth of it.
pub const MAX_FILE_LEN: usize = 1024 * 1024;

const BYTE_ORDER_MARK: char = '\u{feff}';

const SECTIONS: [&str; 9] = ["node", "endpoint", "vault", "peers", "http", "call", "tty", "hub", "import"];

/// A configuration without problems.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from; relative paths start in its folder.
    pub file: PathBuf,
    /// `[node]`.
    pub node: Node,
    /// `[endpoint]`.
    pub endpoint: Endpoint,
    /// `[vault]`.
    pub vault: VaultSource,
    /// `[[peers]]`.
    pub peers: Vec<PeerEntry>,
    /// `[http]`.
    pub http: Section<HttpConfig>,
    /// `[call]`.
    pub call: Section<CallLimits>,
    /// `[tty]`.
    pub tty: Section<TtyConfig>,
    /// `[hub]`.
    pub hub: Hub,
    /// `[[import]]`.
    pub imports: Vec<Import>,
}

/// Reads and parses a file.
///
/// # Errors
/// Everything that is wrong with it, in the order of the lines.
pub fn load(file: &Path) -> Result<Config, ConfigErrors> {
    parse(&read_text(file)?, file)
}

/// Parses the text of a file. `file` only names it in errors and is where relative paths start.
///
/// # Errors
/// Everything that is wrong with it, in the order of the lines.
pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigErrors> {
    if text.len() > MAX_FILE_LEN {
        return Err(too_large(file).into());
    }
    // The parser takes the mark of some editors, and then loses its place in what follows.
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut reader = Reader::new(file, text);
    let mut document = reader.document()?;
    absent::refuse(&mut reader, &mut document, &HANDLERS);
    let peers = peers::read(&mut reader, &mut document);
    let hub = Hub::read(&mut reader, &mut document);
    let imports = import::read(&mut reader, &mut document, &hub);
    let config = Config {
        file: file.to_owned(),
        node: Node::read(&mut reader, &mut document),
        endpoint: Endpoint::read(&mut reader, &mut document),
        vault: VaultSource::read(&mut reader, &mut document),
        http: Section::read(&mut reader, &mut document, "http"),
        call: Section::read(&mut reader, &mut document, "call"),
        tty: Section::read(&mut reader, &mut document, "tty"),
        hub,
        imports,
        peers,
    };
    refuse_the_rest(&mut reader, &document, &SECTIONS);
    reader.finish(config)
}

/// Parses a file that holds nothing but `[[peers]]`, as pairing writes it.
///
/// # Errors
/// Everything that is wrong with it, in the order of the lines.
pub fn parse_peers(text: &str, file: &Path) -> Result<Vec<PeerEntry>, ConfigErrors> {
    let mut reader = Reader::new(file, text);
    let mut document = reader.document()?;
    let peers = peers::read(&mut reader, &mut document);
    refuse_the_rest(&mut reader, &document, &["peers"]);
    reader.finish(peers)
}

/// Whatever no section took is unknown.
fn refuse_the_rest(reader: &mut Reader<'_>, document: &DeTable<'_>, known: &[&str]) {
    for key in document.keys() {
        let name = key.get_ref();
        reader.unknown_key(&key.span(), name.to_string(), name, "", known);
    }
}

/// The text of a configuration file, for [`parse`].
///
/// # Errors
/// When it cannot be read, is larger than [`MAX_FILE_LEN`], or is not UTF-8.
pub fn read_text(file: &Path) -> Result<String, ConfigErrors> {
    let failed = |error| ConfigError::of_file(file, format!("the configuration cannot be read: {error}"));
    let mut bytes = Vec::new();
    let most = MAX_FILE_LEN as u64 + 1;
    File::open(file).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() > MAX_FILE_LEN {
        return Err(too_large(file).into());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|b| **b == b'\n').count() + 1;
        let mut error = ConfigError::of_file(file, "the text is not UTF-8, as TOML must be");
        error.line = Some(line);
        ConfigErrors::from(error)
    })?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text))
}

fn too_large(file: &Path) -> ConfigError {
    ConfigError::of_file(file, format!("the configuration is larger than {} KiB", MAX_FILE_LEN / 1024))
}

impl Config {
    /// The configured peers, as core's identity provider takes them.
    pub fn peers(&self) -> Vec<alknet_core::Peer> {
        self.peers.iter().map(PeerEntry::to_peer).collect()
    }

    /// Where the node keeps its state: as configured, or where the environment has such things.
    pub fn state_dir(&self, environment: &Environment) -> PathBuf {
        match &self.node.state_dir {
            Some(path) => self.beside(path),
            None => environment.state_dir(),
        }
    }

    /// The file of the sealed seed, if the vault has one.
    pub fn vault_file(&self, environment: &Environment) -> PathBuf {
        match &self.vault {
            VaultSource::Sealed { file: Some(path), .. } => self.beside(path),
            _ => self.state_dir(environment).join("vault.json"),
        }
    }

    /// The file of the encrypted credentials.
    pub fn credentials_file(&self, environment: &Environment) -> PathBuf {
        self.state_dir(environment).join("credentials.json")
    }

    /// A path of the configuration; a relative one starts in the configuration's folder.
    pub fn beside(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }
}

#[cfg(test)]
mod tests;
