//! Dialing over QUIC.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::ConnectError;
use quinn::crypto::rustls::QuicClientConfig;
use tokio_util::sync::CancellationToken;

use super::error::Attempt;
use super::{Destination, DialError, host};
use crate::endpoint::{Limits, enlarge, negotiated_alpn, transport_config};
use crate::tls::client_config;
use crate::{Alpn, CloseCode, Connection, NodeKey, QuicTransport};

/// A dialed connection stays open while the process lives, so it speaks up three times in each idle time.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Of a watchful dialer: between nodes that rely on each other, ten seconds of silence mean that the other is gone.
const WATCHFUL_KEEP_ALIVE: Duration = Duration::from_secs(3);
const WATCHFUL_IDLE: Duration = Duration::from_secs(10);
/// The last packets leave at once. Should they get lost, the peer finds out by its idle time-out.
const FAREWELL: Duration = Duration::from_millis(20);

/// The sockets that all dialed connections share, one for each address family, opened on first use.
#[derive(Default)]
pub(super) struct Sockets(Mutex<[Option<quinn::Endpoint>; 2]>);

impl Sockets {
    pub(super) async fn connect(
        &self,
        node: &Destination,
        address: SocketAddr,
        alpn: &Alpn,
        key: Option<&NodeKey>,
        watchful: bool,
    ) -> Result<Connection, DialError> {
        let tls = client_config(&node.identity, key, std::slice::from_ref(alpn))?;
        let attempt = Attempt { node, alpn, seen: &tls.seen };
        let crypto = QuicClientConfig::try_from(tls.config).map_err(|error| DialError::Configuration(error.into()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        let mut transport = transport_config(&Limits::default());
        match watchful {
            true => {
                transport.keep_alive_interval(Some(WATCHFUL_KEEP_ALIVE)).max_idle_timeout(WATCHFUL_IDLE.try_into().ok())
            }
            false => transport.keep_alive_interval(Some(KEEP_ALIVE)),
        };
        config.transport_config(Arc::new(transport));

        let endpoint = self.endpoint(address).map_err(|error| attempt.unreachable(error))?;
        let connecting = endpoint.connect_with(config, address, host(&node.address));
        let connecting = connecting.map_err(|error| misuse(&attempt, error))?;
        let connection = connecting.await.map_err(|error| attempt.quic_failed(error))?;
        let negotiated = negotiated_alpn(&connection).ok_or_else(|| attempt.no_such_alpn())?;
        let transport = Box::new(QuicTransport::new(connection));
        Ok(Connection::with_context(transport, negotiated, 0, Some(address), CancellationToken::new()))
    }

    fn endpoint(&self, remote: SocketAddr) -> io::Result<quinn::Endpoint> {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [v4, v6] = &mut *sockets;
        let (socket, any): (_, SocketAddr) = match remote {
            SocketAddr::V4(_) => (v4, (Ipv4Addr::UNSPECIFIED, 0).into()),
            SocketAddr::V6(_) => (v6, (Ipv6Addr::UNSPECIFIED, 0).into()),
        };
        match socket {
            Some(endpoint) => Ok(endpoint.clone()),
            None => Ok(socket.insert(open(any)?).clone()),
        }
    }

    pub(super) async fn close(&self) {
        let sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for endpoint in sockets.into_iter().flatten() {
            endpoint.close(CloseCode::DONE.value().into(), b"");
            let _ = tokio::time::timeout(FAREWELL, endpoint.wait_idle()).await;
        }
    }
}

fn open(address: SocketAddr) -> io::Result<quinn::Endpoint> {
    let socket = UdpSocket::bind(address)?;
    enlarge(&socket);
    quinn::Endpoint::new(quinn::EndpointConfig::default(), None, socket, Arc::new(quinn::TokioRuntime))
}

fn misuse(attempt: &Attempt<'_>, error: ConnectError) -> DialError {
    match error {
        ConnectError::InvalidServerName(_) | ConnectError::InvalidRemoteAddress(_) => {
            DialError::Resolve { address: attempt.node.address.clone(), source: None }
        }
        other => attempt.unreachable(io::Error::other(other)),
    }
}
