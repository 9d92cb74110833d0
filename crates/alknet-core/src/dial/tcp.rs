//! Dialing over TLS/TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
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
    watchful: bool,
) -> Result<Connection, DialError> {
    let tls = client_config(&node.identity, key, std::slice::from_ref(alpn))?;
    let attempt = Attempt { node, alpn, seen: &tls.seen };
    let name = ServerName::try_from(host(&node.address).to_owned())
        .map_err(|_| DialError::Resolve { address: node.address.clone(), source: None })?;
    let stream = TcpStream::connect(address).await.map_err(|error| attempt.unreachable(error))?;
    let settings = || {
        stream.set_nodelay(true)?;
        if watchful { watch(&stream) } else { Ok(()) }
    };
    settings().map_err(|error| attempt.unreachable(error))?;
    let stream = TlsConnector::from(Arc::new(tls.config)).connect(name, stream).await;
    let stream = stream.map_err(|error| attempt.tls_failed(error))?;
    // A server that ignores ALPN would be spoken to in a protocol that it does not expect.
    if stream.get_ref().1.alpn_protocol() != Some(alpn.as_bytes()) {
        return Err(attempt.no_such_alpn());
    }
    let transport = Box::new(SingleStream::new("tls", stream));
    Ok(Connection::with_context(transport, alpn.clone(), 0, Some(address), CancellationToken::new()))
}

/// Has the kernel ask a silent peer whether it is still there, and not wait longer than for an answer to what was sent.
fn watch(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let interval = Duration::from_secs(3);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(interval).with_interval(interval).with_retries(2))?;
    socket.set_tcp_user_timeout(Some(Duration::from_secs(10)))
}
