//! Dialing nodes from the command line.

mod connect;
mod node;
mod status;
#[cfg(feature = "tty")]
pub mod tty;

use std::time::Duration;

use alknet_core::{Alpn, Connection, DialError, Dialer, TransportChoice};

pub use connect::pipe;
pub use node::{NodeError, Resolved, peer_destination, resolve};
pub use status::{describe, duration};

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
    dial_with(Dialer::new(node.key.clone()), node, alpn, transport, timeout).await
}

/// As [`dial`], for a connection that somebody sits at: that the node is gone is noticed within seconds.
///
/// # Errors
/// As [`Dialer::dial`].
pub async fn dial_to_stay(
    node: &Resolved,
    alpn: &Alpn,
    transport: TransportChoice,
    timeout: Duration,
) -> Result<Dialed, DialError> {
    dial_with(Dialer::new(node.key.clone()).watchful(), node, alpn, transport, timeout).await
}

async fn dial_with(
    dialer: Dialer,
    node: &Resolved,
    alpn: &Alpn,
    transport: TransportChoice,
    timeout: Duration,
) -> Result<Dialed, DialError> {
    let connection = dialer.dial(&node.destination, alpn, transport, timeout).await?;
    Ok(Dialed { connection, dialer })
}
