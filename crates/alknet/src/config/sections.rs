//! The sections that configure the node itself.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use alknet_core::Limits;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::{Place, Reader};
use super::text::{Listen, NodeName, Parsed};

/// A handler's section: whether it is on, and its own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section<T> {
    /// Whether the node serves it.
    pub enable: bool,
    /// What the handler's crate reads.
    pub settings: T,
}

impl<T: serde::de::DeserializeOwned + Default> Section<T> {
    /// Reads `[name]`; without one the handler is off. `enable` is taken out first, so that the handler's own struct can
    /// refuse unknown keys, which it could not with `#[serde(flatten)]`.
    pub(super) fn read<'t>(reader: &mut Reader<'t>, document: &mut DeTable<'t>, name: &str) -> Self {
        let Some(mut section) = document.remove(name) else { return Self::default() };
        let place = Place::table(name);
        let enable = match section.get_mut() {
            DeValue::Table(table) => reader.take(&place, table, "enable"),
            _ => None,
        };
        let settings = reader.section(&place, section, &["enable"]);
        Self { enable: enable.unwrap_or_default(), settings: settings.unwrap_or_default() }
    }
}

/// `[node]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// What the node is called, also in the fleet's DNS zone.
    pub name: NodeName,
    /// Where the node keeps its state, as it is written; see [`Config::state_dir`](super::Config::state_dir).
    pub state_dir: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeKeys {
    name: Option<Parsed<NodeName>>,
    state_dir: Option<Spanned<PathBuf>>,
}

impl Node {
    pub(super) fn read<'t>(reader: &mut Reader<'t>, document: &mut DeTable<'t>) -> Self {
        let keys: NodeKeys = optional(reader, document, "node");
        let name = keys.name.map_or_else(NodeName::default, |name| name.0);
        Self { name, state_dir: keys.state_dir.and_then(|path| path_in(reader, "node.state_dir", path)) }
    }
}

/// `[endpoint]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The addresses to bind, each on UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// How long a shutdown waits for handlers to finish.
    pub drain_timeout: Duration,
    /// X.509 certificates, chosen by SNI.
    pub certificates: Vec<CertificateFiles>,
    /// What strangers can make the node hold.
    pub limits: Limits,
}

/// A certificate chain and its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The chain in PEM, the leaf first.
    pub certificate: PathBuf,
    /// The private key in PEM; looked up as secrets are.
    pub key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EndpointKeys {
    listen: Option<Spanned<Vec<Spanned<Parsed<Listen>>>>>,
    drain_timeout_seconds: Spanned<u64>,
    certificates: Vec<CertificateFiles>,
    limits: Option<Spanned<Limits>>,
}

impl Default for EndpointKeys {
    fn default() -> Self {
        Self { listen: None, drain_timeout_seconds: Spanned::new(0..0, 10), certificates: Vec::new(), limits: None }
    }
}

impl Endpoint {
    /// Longer than this, and a supervisor's patience ends first.
    const MAX_DRAIN_SECONDS: u64 = 3600;

    pub(super) fn read<'t>(reader: &mut Reader<'t>, document: &mut DeTable<'t>) -> Self {
        let keys: EndpointKeys = optional(reader, document, "endpoint");
        let seconds = *keys.drain_timeout_seconds.get_ref();
        if seconds > Self::MAX_DRAIN_SECONDS {
            let message = format!("endpoint.drain_timeout_seconds = {seconds}: write 0 to {}", Self::MAX_DRAIN_SECONDS);
            reader.problem(&keys.drain_timeout_seconds.span(), "endpoint.drain_timeout_seconds".to_owned(), message);
        }
        Self {
            listen: keys.listen.map_or_else(|| vec![default_listen()], |listen| listen_in(reader, listen)),
            drain_timeout: Duration::from_secs(seconds),
            certificates: keys.certificates,
            limits: keys.limits.map_or_else(Limits::default, |limits| limits_in(reader, limits)),
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, super::DEFAULT_PORT))
}

fn listen_in(reader: &mut Reader<'_>, listen: Spanned<Vec<Spanned<Parsed<Listen>>>>) -> Vec<SocketAddr> {
    let span = listen.span();
    let list = listen.into_inner();
    if list.is_empty() && !reader.has_errors() {
        reader.problem(&span, "endpoint.listen".to_owned(), "endpoint.listen is empty: a node listens somewhere");
    }
    let mut seen = HashSet::new();
    for (index, entry) in list.iter().enumerate() {
        let address = entry.get_ref().0.0;
        // With port 0 each gets a port of its own.
        if address.port() != 0 && !seen.insert(address) {
            let message = format!("endpoint.listen names {address} twice");
            reader.problem(&entry.span(), format!("endpoint.listen[{index}]"), message);
        }
    }
    list.into_iter().map(|entry| entry.into_inner().0.0).collect()
}

fn limits_in(reader: &mut Reader<'_>, limits: Spanned<Limits>) -> Limits {
    if let Err(message) = limits.get_ref().check() {
        reader.problem(&limits.span(), "endpoint.limits".to_owned(), format!("endpoint.limits.{message}"));
    }
    limits.into_inner()
}

/// `[vault]`: where the seed comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultSource {
    /// A file that a passphrase opens.
    Sealed {
        /// The sealed seed, as it is written; see [`Config::vault_file`](super::Config::vault_file).
        file: Option<PathBuf>,
        /// The secret file with the passphrase.
        passphrase_file: PathBuf,
    },
    /// A secret file with the seed itself, for instance an encrypted systemd credential.
    Seed {
        /// The secret file with a BIP-39 phrase or 128 hex digits.
        seed_file: PathBuf,
    },
}

impl Default for VaultSource {
    fn default() -> Self {
        Self::Sealed { file: None, passphrase_file: "passphrase".into() }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct VaultKeys {
    file: Option<Spanned<PathBuf>>,
    passphrase_file: Option<Spanned<PathBuf>>,
    seed_file: Option<Spanned<PathBuf>>,
}

impl VaultSource {
    pub(super) fn read<'t>(reader: &mut Reader<'t>, document: &mut DeTable<'t>) -> Self {
        let keys: VaultKeys = optional(reader, document, "vault");
        if let Some(seed_file) = &keys.seed_file {
            let clash = [("passphrase_file", &keys.passphrase_file), ("file", &keys.file)];
            for (name, path) in clash {
                let Some(path) = path else { continue };
                let span = std::cmp::max_by_key(seed_file.span(), path.span(), |span| span.start);
                let message = format!(
                    "vault.seed_file and vault.{name} exclude each other: the seed comes from one place, so remove one"
                );
                reader.problem(&span, format!("vault.{name}"), message);
            }
        }
        if let Some(seed_file) = keys.seed_file.and_then(|path| path_in(reader, "vault.seed_file", path)) {
            return Self::Seed { seed_file };
        }
        let passphrase_file = keys.passphrase_file.and_then(|path| path_in(reader, "vault.passphrase_file", path));
        Self::Sealed {
            file: keys.file.and_then(|path| path_in(reader, "vault.file", path)),
            passphrase_file: passphrase_file.unwrap_or_else(|| "passphrase".into()),
        }
    }
}

/// A path that names something; an empty one would mean the folder of the configuration.
fn path_in(reader: &mut Reader<'_>, key: &str, path: Spanned<PathBuf>) -> Option<PathBuf> {
    if path.get_ref().as_os_str().is_empty() {
        reader.problem(&path.span(), key.to_owned(), format!("{key} is empty: write a path, or leave the key out"));
        return None;
    }
    Some(path.into_inner())
}

/// Reads `[name]`, or takes the default if there is none.
fn optional<'t, T>(reader: &mut Reader<'t>, document: &mut DeTable<'t>, name: &str) -> T
where
    T: serde::de::DeserializeOwned + Default,
{
    let section: Option<Spanned<DeValue<'t>>> = document.remove(name);
    section.and_then(|section| reader.section(&Place::table(name), section, &[])).unwrap_or_default()
}
