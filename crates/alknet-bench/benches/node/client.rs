//! The client of all servers: quinn and tokio-rustls, with nothing of alknet in them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _};
use quinn::crypto::rustls::QuicClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::exchange::{Exchange, ask};
use crate::tls::{Client, client_config, transport_config};

/// How many connections a client has under way when it makes many.
const IN_FLIGHT: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Quic,
    Tcp,
}

/// Needs a Tokio runtime from its making on.
pub(crate) struct Dialer {
    quic: quinn::Endpoint,
    tcp: TlsConnector,
}

/// An open connection.
pub(crate) enum Connection {
    Quic(quinn::Connection),
    Tcp(Box<TlsStream<TcpStream>>),
}

impl Dialer {
    pub(crate) fn new(alpn: &str, client: Client, server_seed: &[u8; 32]) -> Self {
        let tls = Arc::new(client_config(alpn, client, server_seed));
        let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls.clone()).unwrap()));
        config.transport_config(transport_config(Client::Peer));
        let mut quic = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        quic.set_default_client_config(config);
        Self { quic, tcp: TlsConnector::from(tls) }
    }

    pub(crate) async fn connect(&self, transport: Transport, address: SocketAddr) -> io::Result<Connection> {
        match transport {
            Transport::Quic => {
                let connecting = self.quic.connect(address, "localhost").map_err(io::Error::other)?;
                Ok(Connection::Quic(connecting.await?))
            }
            Transport::Tcp => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let name = "localhost".try_into().unwrap();
                Ok(Connection::Tcp(Box::new(self.tcp.connect(name, stream).await?)))
            }
        }
    }

    /// Makes `count` connections, a few at a time, with one byte there and back on each.
    pub(crate) async fn connections(&self, transport: Transport, address: SocketAddr, count: u64) -> Duration {
        let begin = Instant::now();
        let each = |_| async move { self.connect(transport, address).await?.exchange(Exchange::Ping).await };
        let all = futures_util::stream::iter(0..count).map(each).buffer_unordered(IN_FLIGHT);
        all.try_collect::<()>().await.unwrap();
        begin.elapsed()
    }

    /// Moves bytes over a new connection; its handshake does not count.
    pub(crate) async fn transfer(&self, transport: Transport, address: SocketAddr, exchange: Exchange) -> Duration {
        let connection = self.connect(transport, address).await.unwrap();
        let begin = Instant::now();
        connection.exchange(exchange).await.unwrap();
        begin.elapsed()
    }

    /// Opens connections that then are idle.
    pub(crate) async fn idle(
        &self,
        transport: Transport,
        address: SocketAddr,
        count: usize,
    ) -> io::Result<Vec<Connection>> {
        let each = |_| self.connect(transport, address);
        futures_util::stream::iter(0..count).map(each).buffer_unordered(IN_FLIGHT).try_collect().await
    }
}

impl Connection {
    async fn exchange(self, exchange: Exchange) -> io::Result<()> {
        match self {
            Self::Quic(connection) => {
                let (send, recv) = connection.open_bi().await?;
                ask(&mut tokio::io::join(recv, send), exchange).await?;
                connection.close(0u32.into(), b"");
                Ok(())
            }
            Self::Tcp(mut stream) => ask(&mut *stream, exchange).await,
        }
    }

    /// Whether the server has it still.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Quic(connection) => connection.close_reason().is_none(),
            // A byte or an end to be read would both be the server's farewell.
            Self::Tcp(stream) => {
                let (stream, _) = stream.get_ref();
                matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            }
        }
    }
}
