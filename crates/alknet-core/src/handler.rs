//! What serves a protocol.

use std::error::Error;
use std::sync::Arc;

use crate::{Alpn, AuthContext, BoxFuture, Connection, ConnectionError};

/// Serves the connections of one protocol, which is named by one or several ALPN identifiers.
///
/// The handler owns the connection until its future ends; then the endpoint closes it. An error or a panic ends that
/// connection and nothing else. A handler that is asked to drain ([`Connection::draining`]) takes no new work,
/// finishes what it has, and returns.
pub trait ProtocolHandler: Send + Sync + 'static {
    /// The identifiers it serves, the preferred one first. Asked once, when it is registered.
    fn alpns(&self) -> Vec<Alpn>;

    /// Serves one connection. `auth` says what TLS knows of the client; nobody has been turned away for it yet.
    ///
    /// # Errors
    /// Whatever should be in the log as the reason why the connection ended.
    fn handle(
        self: Arc<Self>,
        connection: Connection,
        auth: AuthContext,
    ) -> BoxFuture<'static, Result<(), HandlerError>>;
}

/// Why a handler gave up on a connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    PeerMisbehaved(String),
    /// The connection went away under the handler.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A fault on our side.
    #[error("internal error")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}
