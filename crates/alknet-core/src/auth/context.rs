//! What is known of the client when a handler gets its connection.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Fingerprint, Identity, IdentityProvider};

/// Who is at the other end of a connection, as far as TLS knows, and the means to resolve what the protocol itself
/// carries. Cheap to clone.
#[derive(Clone)]
pub struct AuthContext {
    fingerprints: Arc<[Fingerprint]>,
    provider: Arc<dyn IdentityProvider>,
}

impl AuthContext {
    /// `fingerprints` are the names of the one key that the client proved to hold, the preferred one first.
    pub fn new(fingerprints: impl Into<Arc<[Fingerprint]>>, provider: Arc<dyn IdentityProvider>) -> Self {
        Self { fingerprints: fingerprints.into(), provider }
    }

    /// The name of the key that the client proved to hold, known or not; none if it showed no key.
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.fingerprints.first()
    }

    /// Whose key that is **now**: asked of the provider each time, so a changed scope counts from the next request on.
    pub fn identity(&self) -> Option<Arc<Identity>> {
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
