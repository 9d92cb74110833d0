//! Dialing nodes from the command line.

mod connect;
mod node;
mod status;

use std::time::Duration;

use alknet_core::{Alpn, Connection, DialError, Dialer, TransportChoice};

pub use connect::pipe;
pub use node::{NodeError, Resolved, resolve};
pub use status::describe;

/// A dialed connection, and the dialer that has to be closed behind it.
pub struct Dialed {
    /// The connection.
    pub connection: Connection,
    dialer: Dialer,
}

impl Dialed {
    /// Says goodbye to the node, so that it need not find out by itself.
    pub async fn close(self) {
        self.connection.finish().await;
        self.dialer.close().await;
    }
}

/// Dials a node.
///
/// # Errors
/// As [`Dialer::dial`].
pub async fn dial(
    node: &Resolved,
    alpn: &Alpn,
    transport: TransportChoice,
    timeout: Duration,
) -> Result<Dialed, DialError> {
    let dialer = Dialer::new(node.key.clone());
    let connection = dialer.dial(&node.destination, alpn, transport, timeout).await?;
    Ok(Dialed { connection, dialer })
}
