//! Identities, the peers they come from, and the storage traits.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Fingerprint, Scope, TokenHash};
use crate::BoxFuture;

/// Whom a credential resolved to. Authorization reads only this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The peer's stable id; it survives a change of keys.
    pub id: Arc<str>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// On which named things, by resource type.
    pub resources: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// Whether one of the scopes covers `required`.
    pub fn has_scope(&self, required: &Scope) -> bool {
        self.scopes.iter().any(|held| held.covers(required))
    }
}

/// An entry of the node's own peer list.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Who it is, once one of its credentials was shown.
    pub identity: Arc<Identity>,
    /// Its keys.
    pub fingerprints: Vec<Fingerprint>,
    /// Hashes of its bearer tokens.
    pub tokens: Vec<TokenHash>,
    /// A disabled peer resolves to nobody.
    pub enabled: bool,
}

/// Resolves credentials. Sync and on the hot path: an implementation answers from memory.
pub trait IdentityProvider: Send + Sync + 'static {
    /// Whose key this is, if it is an enabled peer's.
    fn resolve_fingerprint(&self, fingerprint: &Fingerprint) -> Option<Arc<Identity>>;

    /// Whose token this is, if it is an enabled peer's. `token` is the text as a client sent it.
    fn resolve_token(&self, token: &str) -> Option<Arc<Identity>>;

    /// Whether there is an enabled peer of this id: what was spawned for a peer ends when it is gone.
    fn is_known(&self, id: &str) -> bool;

    /// Changes value whenever an answer may have changed, so that connections of revoked peers can be cut.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// The writing side of an [`IdentityProvider`].
pub trait IdentityStore: IdentityProvider {
    /// Puts `peers` in the place of all that were there, at once: no reader sees half of it.
    fn replace(&self, peers: Vec<Peer>) -> BoxFuture<'_, Result<(), PeerConflict>>;
}

/// Two peers that cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerConflict {
    /// One id, two entries.
    #[error("two peers have the id \"{0}\"; give each its own")]
    Id(Arc<str>),
    /// One key, two peers.
    #[error("the peers \"{first}\" and \"{second}\" share the fingerprint {fingerprint}; a key names one peer")]
    Fingerprint {
        /// The peer that had it first.
        first: Arc<str>,
        /// The other.
        second: Arc<str>,
        /// The shared key.
        fingerprint: Fingerprint,
    },
    /// One token, two peers.
    #[error("the peers \"{first}\" and \"{second}\" share a token; a token names one peer")]
    Token {
        /// The peer that had it first.
        first: Arc<str>,
        /// The other.
        second: Arc<str>,
    },
}
