//! What the streams of one connection share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alknet_core::{AuthContext, Connection, Identity};

use crate::budget::{Budget, Pool};
use crate::wire::AuthToken;
use crate::{ALPN, CallError, CallLimits, CallerInfo, ErrorCode, Registry};

/// One connection, as its streams and calls see it.
pub(super) struct Session {
    pub(super) registry: Arc<Registry>,
    pub(super) limits: Arc<CallLimits>,
    pub(super) peer: Arc<CallerInfo>,
    pub(super) budget: Budget,
    pub(super) connection: Connection,
    auth: AuthContext,
    complained: AtomicBool,
}

impl Session {
    pub(super) fn new(
        registry: Arc<Registry>,
        limits: Arc<CallLimits>,
        connection: Connection,
        auth: AuthContext,
        own: Pool,
        strangers: &Pool,
    ) -> Self {
        let peer = Arc::new(CallerInfo::of(&connection, &auth));
        let budget = Budget::new(auth.clone(), own, strangers.clone());
        Self { registry, limits, peer, budget, connection, auth, complained: AtomicBool::new(false) }
    }

    /// Who makes a request: whose token it carries, or if it carries none, whose connection it is. Asked for each request,
    /// so a change of the peers counts from the next one on.
    pub(super) fn identify(&self, token: Option<&AuthToken>) -> Result<Option<Arc<Identity>>, CallError> {
        let Some(token) = token else { return Ok(self.auth.identity()) };
        match self.auth.resolve_token(token.reveal()) {
            Some(identity) => Ok(Some(identity)),
            // Falling back to the connection's identity would hide that the token is wrong, and act as somebody else.
            None => Err(CallError::new(ErrorCode::Unauthenticated, "the auth_token is not known to this node")),
        }
    }

    /// Logs what a peer did wrong: a known peer's operator may want to know, and once a connection is enough. What
    /// strangers do is of no interest, and they must not be able to fill the log.
    pub(super) fn complain(&self, what: &dyn fmt::Display) {
        let (connection, peer) = (self.peer.connection, self.label());
        if self.auth.identity().is_some() && !self.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!(alpn = ALPN, connection, peer, "{what}");
        } else {
            tracing::debug!(alpn = ALPN, connection, peer, "{what}");
        }
    }

    /// Who is at the other end, for the log.
    pub(super) fn label(&self) -> String {
        self.auth.label()
    }
}
