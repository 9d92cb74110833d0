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

    /// Whether it has something to say to clients that speak no TLS to the TCP port. Asked of the handler of `http/1.1`,
    /// whose protocol a client speaks that names none. Else such a client gets an alert of TLS.
    fn answers_plaintext(&self) -> bool {
        false
    }

    /// Tells such a client what it did wrong. Nothing that the port serves is served here: nobody has shown who they are,
    /// and everybody on the way reads along. It may take as long as a handshake may.
    fn handle_plaintext(self: Arc<Self>, client: Connection) -> BoxFuture<'static, ()> {
        drop(client);
        Box::pin(async {})
    }
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
