//! Connections: many streams over QUIC, one over TLS/TCP, and a handler that need not know which.

mod close;
mod quic;
mod single;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use close::{CloseCode, ConnectionError};
pub use quic::QuicTransport;
pub use single::SingleStream;
pub use stream::{BiStream, RecvHalf, RecvStream, SendHalf, SendStream};

use crate::{Alpn, BoxFuture};

/// What carries a connection. A new transport implements this and is handed to [`Connection::new`].
pub trait Transport: Send + Sync + 'static {
    /// Its name in logs: `quic`, `tls`, …
    fn name(&self) -> &'static str;

    /// The next stream that the peer opens.
    ///
    /// A transport of a single stream yields it once and then reports [`ConnectionError::NoMoreStreams`].
    fn accept_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>>;

    /// Opens a stream to the peer. Over QUIC the peer learns of it with the first byte that is written.
    fn open_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>>;

    /// Ends the connection now; streams that are open on it fail.
    fn close(&self, code: CloseCode, reason: &str);

    /// Ends the connection after what was written has been handed over, in bounded time. Called once the handler has
    /// returned.
    fn finish(&self) -> BoxFuture<'_, ()>;

    /// Resolves when the connection has ended, with the reason.
    fn closed(&self) -> BoxFuture<'_, ConnectionError>;

    /// The address that the peer connected to, if the transport knows.
    fn local_address(&self) -> Option<SocketAddr> {
        None
    }

    /// How long ago the peer last sent or took a byte, for transports that do not time out by themselves.
    fn idle_for(&self) -> Option<std::time::Duration> {
        None
    }
}

/// A connection of one ALPN. Cheap to clone; all clones are the same connection.
///
/// ```
/// # use alknet_core::{Alpn, Connection, ConnectionError, SingleStream};
/// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// // Any byte stream can be a connection: here a pipe.
/// let (mut client, server) = tokio::io::duplex(64);
/// let connection = Connection::new(SingleStream::new("pipe", server), Alpn::new("echo").unwrap());
/// client.write_all(b"hello").await.unwrap();
///
/// let mut stream = connection.accept_bi().await.unwrap();
/// let mut greeting = [0; 5];
/// stream.read_exact(&mut greeting).await.unwrap();
/// assert_eq!(&greeting, b"hello");
/// assert!(matches!(connection.accept_bi().await, Err(ConnectionError::NoMoreStreams)));
/// # });
/// ```
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    transport: Box<dyn Transport>,
    alpn: Alpn,
    id: u64,
    remote: Option<SocketAddr>,
    draining: CancellationToken,
}

impl Connection {
    /// A connection that belongs to no endpoint: it has the id 0 and nobody asks it to drain.
    pub fn new(transport: impl Transport, alpn: Alpn) -> Self {
        Self::with_draining(transport, alpn, CancellationToken::new())
    }

    /// As [`Connection::new`], asked to drain when `draining` is cancelled.
    pub fn with_draining(transport: impl Transport, alpn: Alpn, draining: CancellationToken) -> Self {
        Self::with_context(Box::new(transport), alpn, 0, None, draining)
    }

    /// A connection inside of this one, as a WebSocket or an SSH channel is: it has the same number and the same peer, and
    /// drains with it.
    #[must_use]
    pub fn within(&self, transport: impl Transport, alpn: Alpn) -> Self {
        Self::with_context(Box::new(transport), alpn, self.0.id, self.0.remote, self.0.draining.clone())
    }

    pub(crate) fn with_context(
        transport: Box<dyn Transport>,
        alpn: Alpn,
        id: u64,
        remote: Option<SocketAddr>,
        draining: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner { transport, alpn, id, remote, draining }))
    }

    /// The next stream that the peer opens.
    ///
    /// # Errors
    /// When the connection has ended. A connection of a single stream yields it once and then reports
    /// [`ConnectionError::NoMoreStreams`], so that one loop serves every transport.
    pub async fn accept_bi(&self) -> Result<BiStream, ConnectionError> {
        self.0.transport.accept_bi().await
    }

    /// Opens a stream to the peer. Over QUIC the peer learns of it with the first byte that is written.
    ///
    /// # Errors
    /// When the connection has ended, or can carry no further stream ([`ConnectionError::SingleStream`]).
    pub async fn open_bi(&self) -> Result<BiStream, ConnectionError> {
        self.0.transport.open_bi().await
    }

    /// Ends the connection now; streams that are open on it fail. `reason` is for people and goes to the peer where
    /// the transport can carry it.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.0.transport.close(code, reason);
    }

    /// Ends the connection once what was written has been handed over.
    pub async fn finish(&self) {
        self.0.transport.finish().await;
    }

    /// Resolves when the connection has ended, with the reason.
    pub async fn closed(&self) -> ConnectionError {
        self.0.transport.closed().await
    }

    /// Resolves when the endpoint wants to shut down: take no new work, finish what there is, and return.
    pub async fn draining(&self) {
        self.0.draining.cancelled().await;
    }

    /// Whether the endpoint wants to shut down.
    pub fn is_draining(&self) -> bool {
        self.0.draining.is_cancelled()
    }

    /// The ALPN that was negotiated.
    pub fn alpn(&self) -> &Alpn {
        &self.0.alpn
    }

    /// A number that names this connection in the log of this process.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Where the peer is, if the transport knows.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        self.0.remote
    }

    /// The address that the peer connected to, if the transport knows.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.0.transport.local_address()
    }

    /// The transport's name, for logs: handlers do not branch on it.
    pub fn transport_name(&self) -> &'static str {
        self.0.transport.name()
    }

    pub(crate) fn idle_for(&self) -> Option<std::time::Duration> {
        self.0.transport.idle_for()
    }
}
