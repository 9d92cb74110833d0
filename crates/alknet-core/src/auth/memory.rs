//! The default identity provider: the configured peers, in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Fingerprint, Identity, IdentityProvider, IdentityStore, Peer, PeerConflict, TokenHash};
use crate::BoxFuture;

/// Peers in memory. A read takes no lock; a reload swaps everything at once.
///
/// ```
/// use alknet_core::{IdentityProvider, MemoryIdentities};
/// let nobody = MemoryIdentities::default();
/// assert!(nobody.resolve_token("alk_guess").is_none());
/// ```
pub struct MemoryIdentities {
    index: ArcSwap<Index>,
    generation: watch::Sender<u64>,
}

#[derive(Default)]
struct Index {
    by_fingerprint: HashMap<Fingerprint, Arc<Identity>>,
    by_token: HashMap<TokenHash, Arc<Identity>>,
    enabled: HashSet<Arc<str>>,
}

impl MemoryIdentities {
    /// Starts with these peers.
    ///
    /// # Errors
    /// When two of them share an id, a key or a token.
    pub fn new(peers: Vec<Peer>) -> Result<Self, PeerConflict> {
        let index = ArcSwap::from_pointee(Index::build(peers)?);
        Ok(Self { index, generation: watch::Sender::new(0) })
    }

    /// As [`IdentityStore::replace`], for callers that have no need of the trait.
    ///
    /// # Errors
    /// When two of them share an id, a key or a token; then nothing changes.
    pub fn set(&self, peers: Vec<Peer>) -> Result<(), PeerConflict> {
        self.index.store(Arc::new(Index::build(peers)?));
        self.generation.send_modify(|generation| *generation += 1);
        Ok(())
    }
}

impl Default for MemoryIdentities {
    fn default() -> Self {
        Self { index: ArcSwap::default(), generation: watch::Sender::new(0) }
    }
}

impl Index {
    /// Conflicts count for disabled peers too, so that enabling one later cannot fail.
    fn build(peers: Vec<Peer>) -> Result<Self, PeerConflict> {
        let mut index = Self::default();
        let (mut ids, mut keys, mut tokens) = (HashSet::new(), HashMap::new(), HashMap::new());
        for peer in peers {
            let identity = peer.identity;
            let id = identity.id.clone();
            if !ids.insert(id.clone()) {
                return Err(PeerConflict::Id(id));
            }
            if peer.enabled {
                index.enabled.insert(id.clone());
            }
            for fingerprint in peer.fingerprints {
                if let Some(first) = keys.insert(fingerprint, id.clone()).filter(|first| *first != id) {
                    return Err(PeerConflict::Fingerprint { first, second: id, fingerprint });
                }
                if peer.enabled {
                    index.by_fingerprint.insert(fingerprint, identity.clone());
                }
            }
            for token in peer.tokens {
                if let Some(first) = tokens.insert(token, id.clone()).filter(|first| *first != id) {
                    return Err(PeerConflict::Token { first, second: id });
                }
                if peer.enabled {
                    index.by_token.insert(token, identity.clone());
                }
            }
        }
        Ok(index)
    }
}

impl IdentityProvider for MemoryIdentities {
    fn resolve_fingerprint(&self, fingerprint: &Fingerprint) -> Option<Arc<Identity>> {
        self.index.load().by_fingerprint.get(fingerprint).cloned()
    }

    fn resolve_token(&self, token: &str) -> Option<Arc<Identity>> {
        self.index.load().by_token.get(&TokenHash::of(token)).cloned()
    }

    fn is_known(&self, id: &str) -> bool {
        self.index.load().enabled.contains(id)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}

impl IdentityStore for MemoryIdentities {
    fn replace(&self, peers: Vec<Peer>) -> BoxFuture<'_, Result<(), PeerConflict>> {
        Box::pin(std::future::ready(self.set(peers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: &str, key: u8, token: &str) -> Peer {
        Peer {
            identity: Arc::new(Identity { id: id.into(), scopes: vec![], resources: Default::default() }),
            fingerprints: vec![Fingerprint::Ed25519([key; 32])],
            tokens: vec![TokenHash::of(token)],
            enabled: true,
        }
    }

    #[test]
    fn a_key_and_a_token_name_their_peer() {
        let identities = MemoryIdentities::new(vec![peer("alice", 1, "alk_a"), peer("bob", 2, "alk_b")]).unwrap();
        let by_key = identities.resolve_fingerprint(&Fingerprint::Ed25519([2; 32])).unwrap();
        assert_eq!(&*by_key.id, "bob");
        assert_eq!(&*identities.resolve_token("alk_a").unwrap().id, "alice");
        assert!(identities.is_known("alice") && !identities.is_known("eve"));
        assert!(identities.resolve_token("alk_A").is_none());
        assert!(identities.resolve_fingerprint(&Fingerprint::X509Sha256([2; 32])).is_none());
    }

    #[test]
    fn a_disabled_peer_is_nobody() {
        let disabled = Peer { enabled: false, ..peer("alice", 1, "alk_a") };
        let identities = MemoryIdentities::new(vec![disabled]).unwrap();
        assert!(identities.resolve_fingerprint(&Fingerprint::Ed25519([1; 32])).is_none());
        assert!(identities.resolve_token("alk_a").is_none());
        assert!(!identities.is_known("alice"));
    }

    #[test]
    fn peers_that_cannot_be_told_apart_are_refused_and_change_nothing() {
        let identities = MemoryIdentities::new(vec![peer("alice", 1, "alk_a")]).unwrap();
        let conflict = |second| identities.set(vec![peer("alice", 1, "alk_a"), second]).unwrap_err().to_string();
        assert_eq!(conflict(peer("alice", 3, "c")), "two peers have the id \"alice\"; give each its own");
        assert!(conflict(peer("eve", 1, "c")).contains("share the fingerprint ed25519:0101"));
        assert!(!conflict(peer("eve", 3, "alk_a")).contains("alk_a"));
        assert!(identities.resolve_token("alk_a").is_some());
    }

    #[test]
    fn a_reload_is_told() {
        let identities = MemoryIdentities::default();
        let mut changes = identities.changes();
        identities.set(vec![peer("alice", 1, "alk_a")]).unwrap();
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        identities.set(vec![]).unwrap();
        assert!(changes.has_changed().unwrap());
        assert!(identities.resolve_token("alk_a").is_none());
    }
}
