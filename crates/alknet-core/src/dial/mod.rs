//! Dialing other nodes.

mod error;
mod quic;
mod tcp;

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

pub use error::DialError;

use crate::{Alpn, Connection, NodeKey, ServerIdentity};

/// How long QUIC is tried alone before TCP is tried as well: long enough for a handshake around the world, short enough
/// that nobody waits long where UDP is blocked.
const QUIC_HEAD_START: Duration = Duration::from_millis(750);
/// How long QUIC may still take after TCP was refused. A node listens on both, so most likely there is none.
const QUIC_LAST_CHANCE: Duration = Duration::from_secs(1);

/// A node as somebody who dials it knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Where it is: `host:port`, the host a name, an IPv4 address or an IPv6 address in brackets.
    pub address: String,
    /// Who it has to be.
    pub identity: ServerIdentity,
}

/// Which transport to dial with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransportChoice {
    /// QUIC, and TCP as well when QUIC is slow to answer; the first to arrive wins.
    #[default]
    Auto,
    /// QUIC alone.
    Quic,
    /// TLS over TCP alone.
    Tcp,
}

impl FromStr for TransportChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "quic" => Ok(Self::Quic),
            "tcp" => Ok(Self::Tcp),
            _ => Err(format!("\"{text}\" is no transport: write auto, quic or tcp")),
        }
    }
}

/// Dials nodes, showing them the node's own key.
///
/// ```no_run
/// # async fn example(key: alknet_core::NodeKey, pin: alknet_core::Fingerprint) -> Result<(), alknet_core::DialError> {
/// use std::time::Duration;
/// use alknet_core::{Alpn, Destination, Dialer, ServerIdentity, TransportChoice};
/// let node = Destination {
///     address: "node.example:4433".into(),
///     identity: ServerIdentity::Pinned(vec![pin]),
/// };
/// let alpn = Alpn::new("alknet/call").unwrap();
/// let dialer = Dialer::new(Some(key));
/// let connection = dialer.dial(&node, &alpn, TransportChoice::Auto, Duration::from_secs(10)).await?;
/// # Ok(())
/// # }
/// ```
pub struct Dialer {
    key: Option<NodeKey>,
    watchful: bool,
    quic: quic::Sockets,
}

impl Dialer {
    /// Without a key the node stays anonymous.
    pub fn new(key: Option<NodeKey>) -> Self {
        Self { key, watchful: false, quic: quic::Sockets::default() }
    }

    /// Has its connections notice within some ten seconds that the other node is gone without a word, at the price of a
    /// packet every three seconds: for connections that are kept.
    #[must_use]
    pub fn watchful(mut self) -> Self {
        self.watchful = true;
        self
    }

    /// Opens a connection of one ALPN, within `timeout`. Needs a Tokio runtime.
    ///
    /// # Errors
    /// When the node cannot be reached, is another than expected, or does not serve the ALPN.
    pub async fn dial(
        &self,
        node: &Destination,
        alpn: &Alpn,
        transport: TransportChoice,
        timeout: Duration,
    ) -> Result<Connection, DialError> {
        let dialing = async {
            let addresses = resolve(&node.address).await?;
            self.dial_any(node, &addresses, alpn, transport).await
        };
        let timed_out = || DialError::TimedOut { address: node.address.clone(), seconds: timeout.as_secs_f32() };
        tokio::time::timeout(timeout, dialing).await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Tries the addresses in turn. An answer that another address would give as well ends the search.
    async fn dial_any(
        &self,
        node: &Destination,
        addresses: &[SocketAddr],
        alpn: &Alpn,
        transport: TransportChoice,
    ) -> Result<Connection, DialError> {
        let mut result = Err(DialError::Resolve { address: node.address.clone(), source: None });
        for address in addresses {
            result = match transport {
                TransportChoice::Quic => self.quic(node, *address, alpn).await,
                TransportChoice::Tcp => self.tcp(node, *address, alpn).await,
                TransportChoice::Auto => self.race(node, *address, alpn).await,
            };
            if !matches!(&result, Err(error) if error.is_about_the_path()) {
                break;
            }
        }
        result
    }

    async fn race(&self, node: &Destination, address: SocketAddr, alpn: &Alpn) -> Result<Connection, DialError> {
        let mut quic = std::pin::pin!(self.quic(node, address, alpn));
        if let Ok(early) = tokio::time::timeout(QUIC_HEAD_START, &mut quic).await {
            return match early {
                Err(error) if error.is_about_the_path() => self.tcp(node, address, alpn).await,
                done => done,
            };
        }
        let mut tcp = std::pin::pin!(self.tcp(node, address, alpn));
        // Whoever fails first leaves the other to decide.
        tokio::select! {
            done = &mut quic => match done {
                Err(error) if error.is_about_the_path() => tcp.await,
                done => done,
            },
            done = &mut tcp => match done {
                Err(error) if error.is_refusal() => {
                    tokio::time::timeout(QUIC_LAST_CHANCE, quic).await.unwrap_or(Err(error))
                }
                Err(error) if error.is_about_the_path() => quic.await,
                done => done,
            },
        }
    }

    async fn quic(&self, node: &Destination, address: SocketAddr, alpn: &Alpn) -> Result<Connection, DialError> {
        self.quic.connect(node, address, alpn, self.key.as_ref(), self.watchful).await
    }

    async fn tcp(&self, node: &Destination, address: SocketAddr, alpn: &Alpn) -> Result<Connection, DialError> {
        tcp::connect(node, address, alpn, self.key.as_ref(), self.watchful).await
    }

    /// Closes all QUIC connections that it opened, and gives the news of it a moment to leave this machine.
    pub async fn close(&self) {
        self.quic.close().await;
    }
}

async fn resolve(address: &str) -> Result<Vec<SocketAddr>, DialError> {
    let found = tokio::net::lookup_host(address).await;
    let found = found.map_err(|source| DialError::Resolve { address: address.to_owned(), source: Some(source) })?;
    Ok(found.collect())
}

/// The name for SNI and for the check against the system's roots.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address() {
        assert_eq!(host("node.example:4433"), "node.example");
        assert_eq!(host("192.0.2.1:1"), "192.0.2.1");
        assert_eq!(host("[2001:db8::1]:443"), "2001:db8::1");
    }
}
