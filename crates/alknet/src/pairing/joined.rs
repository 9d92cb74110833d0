//! The peers that have joined.

use alknet_core::Fingerprint;

use crate::config::{PeerEntry, PeerId};

/// Peers that came by an invitation, or that this node has joined. No two of them share an id or a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined(Vec<PeerEntry>);

/// All peers, and what to tell the operator about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The configured peers, and behind them those that have joined.
    pub peers: Vec<PeerEntry>,
    /// Which of the latter do not count, and why.
    pub warnings: Vec<String>,
}

impl Joined {
    /// Peers that cannot be mistaken for one another, as [`parse_peers`](crate::config::parse_peers) gives them.
    pub(super) fn new(peers: Vec<PeerEntry>) -> Self {
        Self(peers)
    }

    /// All of them.
    pub fn peers(&self) -> &[PeerEntry] {
        &self.0
    }

    /// The peer of an id.
    pub fn peer(&self, id: &PeerId) -> Option<&PeerEntry> {
        self.0.iter().find(|peer| peer.id == *id)
    }

    /// The peer whose key that is.
    pub fn owner(&self, key: &Fingerprint) -> Option<&PeerEntry> {
        self.0.iter().find(|peer| peer.fingerprints.contains(key))
    }

    /// Adds a peer, in the place of the one that had its id.
    pub(super) fn put(&mut self, peer: PeerEntry) {
        match self.0.iter_mut().find(|old| old.id == peer.id) {
            Some(old) => *old = peer,
            None => self.0.push(peer),
        }
    }

    /// Takes a peer away. Says whether there was one.
    pub(super) fn remove(&mut self, id: &PeerId) -> bool {
        let before = self.0.len();
        self.0.retain(|peer| peer.id != *id);
        self.0.len() < before
    }

    /// All peers of a node, whose own key is `own` if that is known here. The configuration wins: what has joined and shares an id, a key or a token
    /// with it does not count.
    pub fn merge(&self, configured: &[PeerEntry], own: Option<Fingerprint>) -> Merged {
        let mut merged = Merged { peers: configured.to_vec(), warnings: Vec::new() };
        for peer in &self.0 {
            match conflict(peer, configured, own) {
                Some(why) => merged.warnings.push(format!(
                    "the peer \"{}\", which has joined, does not count: {why}; alknet peer remove {} forgets it",
                    peer.id, peer.id
                )),
                None => merged.peers.push(peer.clone()),
            }
        }
        merged
    }
}

/// What the configuration has of a peer.
fn conflict(peer: &PeerEntry, configured: &[PeerEntry], own: Option<Fingerprint>) -> Option<String> {
    if own.is_some_and(|own| peer.fingerprints.contains(&own)) {
        return Some("its key is this node's own".to_owned());
    }
    configured.iter().find_map(|other| {
        let key = peer.fingerprints.iter().find(|key| other.fingerprints.contains(key));
        if other.id == peer.id {
            Some("the configuration has a peer of that id".to_owned())
        } else if let Some(key) = key {
            Some(format!("its key {key} is that of \"{}\" in the configuration", other.id))
        } else if peer.tokens.iter().any(|token| other.tokens.contains(token)) {
            Some(format!("it has a token of \"{}\" in the configuration", other.id))
        } else {
            None
        }
    })
}

#[cfg(test)]
pub(super) mod tests {
    use alknet_core::TokenHash;

    use super::*;

    pub(in crate::pairing) fn key(byte: u8) -> Fingerprint {
        Fingerprint::Ed25519([byte; 32])
    }

    pub(in crate::pairing) fn peer(id: &str, byte: u8) -> PeerEntry {
        PeerEntry {
            id: id.parse().unwrap(),
            fingerprints: vec![key(byte)],
            tokens: Vec::new(),
            scopes: Vec::new(),
            resources: Default::default(),
            address: None,
            connect: false,
            enabled: true,
        }
    }

    #[test]
    fn the_configuration_wins_by_id_by_key_and_by_token() {
        let token = vec![TokenHash::of("alk_x")];
        let configured = [PeerEntry { tokens: token.clone(), ..peer("alice", 1) }];
        let mut joined = Joined::default();
        for entry in [
            peer("alice", 2),
            peer("key", 1),
            PeerEntry { tokens: token, ..peer("token", 3) },
            peer("own", 9),
            peer("bob", 4),
        ] {
            joined.put(entry);
        }
        let merged = joined.merge(&configured, Some(key(9)));
        assert_eq!(merged.peers, [configured[0].clone(), peer("bob", 4)]);
        let about: Vec<_> = merged.warnings.iter().map(|warning| warning.split('"').nth(1).unwrap()).collect();
        assert_eq!(about, ["alice", "key", "token", "own"]);
        // What has joined is kept: it counts again when the configuration leaves it room.
        assert_eq!(joined.merge(&[], None).peers.len(), 5);
    }
}
