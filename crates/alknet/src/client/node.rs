//! `NODE` on the command line: a peer's id, or a fingerprint with an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use alknet_core::{Destination, Fingerprint, InvalidFingerprint, InvalidKey, NodeKey, ServerIdentity};

use crate::config::{self, Config, ConfigErrors, PeerEntry};
use crate::environment::Environment;
use crate::pairing::{PairingError, all_peers};
use crate::vault::{self, OpenVaultError};

/// Whom to dial, and as whom.
pub struct Resolved {
    /// Where the node is and who it has to be.
    pub destination: Destination,
    /// Our own key; none if there is no configuration, and then we are anonymous.
    pub key: Option<NodeKey>,
}

/// Finds out what `NODE` means. Without one it is the local node itself.
///
/// - a peer's id, configured or joined, if that has an address
/// - `ed25519:…@host:port` or `SHA256:…@host:port`
/// - `host:port`: a host that the system's roots vouch for
///
/// # Errors
/// When it means nothing, or the configuration or the vault cannot be read.
pub fn resolve(node: Option<&str>, file: Option<&Path>, environment: &Environment) -> Result<Resolved, NodeError> {
    let path = environment.config_file(file);
    if file.is_none() && !path.exists() {
        let Some(node) = node else { return Err(NodeError::NoConfig) };
        return Ok(Resolved { destination: parse(node)?.ok_or_else(|| unknown(node, &[]))?, key: None });
    }
    let config = config::load(&path)?;
    let key = vault::node_key(&vault::open(&config, environment)?.vault)?;
    let destination = match node {
        None => itself(&config, &key)?,
        Some(node) => named(node, &all_peers(&config, environment, key.fingerprint())?)?,
    };
    Ok(Resolved { destination, key: Some(key) })
}

/// A peer's id comes first: it may look like another form, and it is the one that was chosen for this configuration.
fn named(node: &str, peers: &[PeerEntry]) -> Result<Destination, NodeError> {
    match peers.iter().find(|peer| peer.id.as_str() == node) {
        Some(entry) => peer_destination(entry),
        None => parse(node)?.ok_or_else(|| unknown(node, peers)),
    }
}

/// A node that is named by its address.
fn parse(node: &str) -> Result<Option<Destination>, NodeError> {
    if let Some((fingerprint, address)) = node.split_once('@') {
        let pin: Fingerprint = fingerprint.parse()?;
        return Ok(Some(Destination { address: address.to_owned(), identity: ServerIdentity::Pinned(vec![pin]) }));
    }
    let has_port = node.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(has_port.then(|| Destination { address: node.to_owned(), identity: ServerIdentity::SystemRoots }))
}

/// Where a peer is, and who it has to be.
///
/// # Errors
/// When it has no address, or is disabled.
pub fn peer_destination(entry: &PeerEntry) -> Result<Destination, NodeError> {
    let id = || entry.id.to_string();
    let address = entry.address.as_ref().ok_or_else(|| NodeError::NoAddress { id: id() })?;
    if !entry.enabled {
        return Err(NodeError::Disabled { id: id() });
    }
    let identity = match entry.fingerprints.as_slice() {
        [] => ServerIdentity::SystemRoots,
        pins => ServerIdentity::Pinned(pins.to_vec()),
    };
    Ok(Destination { address: address.to_string(), identity })
}

fn itself(config: &Config, key: &NodeKey) -> Result<Destination, NodeError> {
    let listen = config.endpoint.listen.iter().find(|address| address.port() != 0).ok_or(NodeError::PortUnknown)?;
    let host = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // A socket on [::] takes IPv4 too, and an IPv6 loopback is not on every machine.
        IpAddr::V6(ip) if ip.is_unspecified() && std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_err() => {
            Ipv4Addr::LOCALHOST.into()
        }
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let identity = ServerIdentity::Pinned(vec![key.fingerprint()]);
    Ok(Destination { address: SocketAddr::new(host, listen.port()).to_string(), identity })
}

fn unknown(node: &str, peers: &[PeerEntry]) -> NodeError {
    let dialed = peers.iter().filter(|peer| peer.address.is_some());
    let known = dialed.map(|peer| peer.id.as_str().to_owned()).collect();
    NodeError::Unknown { node: node.to_owned(), known }
}

/// Why `NODE` cannot be dialed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// No such peer, and no address either.
    #[error(
        "\"{node}\" is no node: write a peer's id ({}) or ed25519:…@host:port",
        if known.is_empty() { "no peer has an address".to_owned() } else { known.join(", ") }
    )]
    Unknown {
        /// What was given.
        node: String,
        /// The ids that would do.
        known: Vec<String>,
    },
    /// The peer only ever dials us.
    #[error(
        "the peer \"{id}\" has no address; add `address = \"host:port\"` to its entry, or write ed25519:…@host:port"
    )]
    NoAddress {
        /// The peer.
        id: String,
    },
    /// The peer is switched off.
    #[error("the peer \"{id}\" is disabled (enabled = false)")]
    Disabled {
        /// The peer.
        id: String,
    },
    /// The local node listens on whatever port it gets.
    #[error("the configuration leaves the port to the system (port 0), so name the node: ed25519:…@host:port")]
    PortUnknown,
    /// There is no local node.
    #[error(
        "there is no configuration, so no local node; make one with `alknet init`, or name a node: ed25519:…@host:port"
    )]
    NoConfig,
    /// The part before the @ is no fingerprint.
    #[error(transparent)]
    Fingerprint(#[from] InvalidFingerprint),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The vault does not open.
    #[error(transparent)]
    Vault(#[from] OpenVaultError),
    /// The node key cannot be used.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// The files of those that have joined cannot be used.
    #[error(transparent)]
    Pairing(#[from] PairingError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        config::parse(text, Path::new("alknet.toml")).unwrap()
    }

    #[test]
    fn a_fingerprint_with_an_address_needs_no_configuration() {
        let text = format!("ed25519:{}@192.0.2.1:4433", "ab".repeat(32));
        let destination = parse(&text).unwrap().unwrap();
        assert_eq!(destination.address, "192.0.2.1:4433");
        assert_eq!(destination.identity, ServerIdentity::Pinned(vec![Fingerprint::Ed25519([0xab; 32])]));
        assert!(parse("ed25519:beef@192.0.2.1:4433").is_err());
        assert_eq!(parse("node.example:443").unwrap().unwrap().identity, ServerIdentity::SystemRoots);
        assert_eq!(parse("hub").unwrap(), None);
    }

    #[test]
    fn a_peer_is_dialed_by_its_id_and_pinned_to_its_keys() {
        let key = format!("ed25519:{}", "ab".repeat(32));
        let config = config(&format!(
            "[[peers]]\nid = \"hub\"\nfingerprints = [\"{key}\"]\naddress = \"hub.example:443\"\n\
             [[peers]]\nid = \"me@home\"\naddress = \"home.example:443\"\n\
             [[peers]]\nid = \"silent\"\nfingerprints = [\"SHA256:{}\"]\n",
            "cd".repeat(32)
        ));
        assert_eq!(named("hub", &config.peers).unwrap().address, "hub.example:443");
        let error = |id| named(id, &config.peers).unwrap_err().to_string();
        assert_eq!(named("me@home", &config.peers).unwrap().identity, ServerIdentity::SystemRoots);
        assert!(error("silent").contains("has no address"));
        assert_eq!(error("hbu"), "\"hbu\" is no node: write a peer's id (hub, me@home) or ed25519:…@host:port");
    }

    #[test]
    fn the_local_node_is_dialed_over_loopback() {
        let key = NodeKey::from_seed(&[1; 32]).unwrap();
        let address = |listen: &str| {
            let config = config(&format!("[endpoint]\nlisten = [\"{listen}\"]\n"));
            itself(&config, &key).map(|destination| destination.address).map_err(|error| error.to_string())
        };
        assert_eq!(address("0.0.0.0:4433").unwrap(), "127.0.0.1:4433");
        assert_eq!(address("192.0.2.7:443").unwrap(), "192.0.2.7:443");
        assert!(address("127.0.0.1:0").unwrap_err().contains("port 0"));
    }
}
