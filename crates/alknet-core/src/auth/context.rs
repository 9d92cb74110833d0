//! What is known of the client when a handler gets its connection.

use std::sync::Arc;

use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{Fingerprint, Identity, IdentityProvider};

/// Who is at the other end of a connection, as far as TLS knows, and the means to resolve what the protocol itself
/// carries. Cheap to clone.
#[derive(Clone)]
pub struct AuthContext {
    fingerprints: Arc<[Fingerprint]>,
    token: Option<Arc<Zeroizing<String>>>,
    provider: Arc<dyn IdentityProvider>,
}

impl AuthContext {
    /// `fingerprints` are the names of the one key that the client proved to hold, the preferred one first.
    pub fn new(fingerprints: impl Into<Arc<[Fingerprint]>>, provider: Arc<dyn IdentityProvider>) -> Self {
        Self { fingerprints: fingerprints.into(), token: None, provider }
    }

    /// The same client, as whoever a token names: for a protocol that authenticates with one for more than a request.
    /// [`identity`](Self::identity) then asks whose token it is, and never falls back to the key.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(Arc::new(Zeroizing::new(token.to_owned()))), ..self.clone() }
    }

    /// The same client, with its credentials resolved by `provider`: for a protocol that has credentials of its own beside
    /// those of the node's peers, and for what keeps a credential that only the peers' own provider is to resolve.
    #[must_use]
    pub fn with_provider(&self, provider: Arc<dyn IdentityProvider>) -> Self {
        Self { provider, ..self.clone() }
    }

    /// The name of the key that the client proved to hold, known or not; none if it showed no key.
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.fingerprints.first()
    }

    /// Whose key, or whose token, that is **now**: asked of the provider each time, so a changed scope counts from the next
    /// request on.
    pub fn identity(&self) -> Option<Arc<Identity>> {
        if let Some(token) = &self.token {
            return self.resolve_token(token);
        }
        self.fingerprints.iter().find_map(|fingerprint| self.provider.resolve_fingerprint(fingerprint))
    }

    /// Whose token this is now.
    pub fn resolve_token(&self, token: &str) -> Option<Arc<Identity>> {
        self.provider.resolve_token(token)
    }

    /// Changes value whenever one of the answers may have changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.provider.changes()
    }

    /// For log lines: the peer's id, else its fingerprint, else `anonymous`.
    pub fn label(&self) -> String {
        match (self.identity(), self.fingerprint()) {
            (Some(identity), _) => identity.id.to_string(),
            (None, Some(fingerprint)) => fingerprint.to_string(),
            (None, None) => "anonymous".to_owned(),
        }
    }
}

impl std::fmt::Debug for AuthContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthContext").field("fingerprints", &self.fingerprints).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryIdentities, Peer, TokenHash};

    fn peer(id: &str, key: u8, token: &str) -> Peer {
        Peer {
            identity: Arc::new(Identity { id: id.into(), scopes: vec![], resources: Default::default() }),
            fingerprints: vec![Fingerprint::Ed25519([key; 32])],
            tokens: vec![TokenHash::of(token)],
            enabled: true,
        }
    }

    #[test]
    fn a_token_takes_the_place_of_the_key_for_good() {
        let identities =
            Arc::new(MemoryIdentities::new(vec![peer("alice", 1, "alk_a"), peer("bob", 2, "alk_b")]).unwrap());
        let alice = AuthContext::new([Fingerprint::Ed25519([1; 32])], identities.clone());
        let bob = alice.with_token("alk_b");
        let id = |auth: &AuthContext| auth.identity().map(|identity| identity.id.to_string());
        assert_eq!((id(&alice).as_deref(), id(&bob).as_deref()), (Some("alice"), Some("bob")));
        identities.set(vec![peer("alice", 1, "alk_a")]).unwrap();
        assert_eq!((id(&alice).as_deref(), id(&bob)), (Some("alice"), None));
        assert!(!format!("{bob:?}").contains("alk_b"));
    }

    #[test]
    fn another_provider_is_asked_for_the_same_credential() {
        let before = Arc::new(MemoryIdentities::new(vec![peer("alice", 1, "alk_a")]).unwrap());
        let after = Arc::new(MemoryIdentities::new(vec![peer("carol", 1, "alk_c")]).unwrap());
        let key = AuthContext::new([Fingerprint::Ed25519([1; 32])], before);
        let id = |auth: AuthContext| auth.identity().map(|identity| identity.id.to_string());
        assert_eq!(id(key.with_provider(after.clone())).as_deref(), Some("carol"));
        assert_eq!(id(key.with_token("alk_a").with_provider(after)), None);
    }
}
