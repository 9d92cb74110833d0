//! Dialing over TLS/TCP.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::error::Attempt;
use super::{Destination, DialError, host};
use crate::tls::client_config;
use crate::{Alpn, Connection, NodeKey, SingleStream};

pub(super) async fn connect(
    node: &Destination,
    address: SocketAddr,
    alpn: &Alpn,
    key: Option<&NodeKey>,
) -> Result<Connection, DialError> {
    let tls = client_config(&node.identity, key, std::slice::from_ref(alpn))?;
    let attempt = Attempt { node, alpn, seen: &tls.seen };
    let name = ServerName::try_from(host(&node.address).to_owned())
        .map_err(|_| DialError::Resolve { address: node.address.clone(), source: None })?;
    let stream = TcpStream::connect(address).await.map_err(|error| attempt.unreachable(error))?;
    stream.set_nodelay(true).map_err(|error| attempt.unreachable(error))?;
    let stream = TlsConnector::from(Arc::new(tls.config)).connect(name, stream).await;
    let stream = stream.map_err(|error| attempt.tls_failed(error))?;
    // A server that ignores ALPN would be spoken to in a protocol that it does not expect.
    if stream.get_ref().1.alpn_protocol() != Some(alpn.as_bytes()) {
        return Err(attempt.no_such_alpn());
    }
    let transport = Box::new(SingleStream::new("tls", stream));
    Ok(Connection::with_context(transport, alpn.clone(), 0, Some(address), CancellationToken::new()))
}
