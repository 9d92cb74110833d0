//! Connections that are a single byte stream: TLS over TCP, an SSH channel, a WebSocket, a pipe.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{BiStream, CloseCode, ConnectionError, RecvHalf, RecvStream, SendHalf, SendStream, Transport};
use crate::BoxFuture;

/// How long a peer may take to make room for the last bytes. Whoever reads nothing for that long gets no orderly end.
const FINISH_LIMIT: Duration = Duration::from_secs(5);

/// Makes a [`Transport`] of any byte stream. The first `accept_bi` or `open_bi` takes the stream.
pub struct SingleStream<S> {
    name: &'static str,
    local: Option<SocketAddr>,
    shared: Arc<Shared<S>>,
    unclaimed: Mutex<Option<BiStream>>,
}

struct Shared<S> {
    io: Mutex<S>,
    closed: CancellationToken,
    reason: OnceLock<ConnectionError>,
    start: Instant,
    last_activity_ms: AtomicU64,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> SingleStream<S> {
    /// Wraps `io`; `name` stands in logs and errors.
    pub fn new(name: &'static str, io: S) -> Self {
        let shared = Arc::new(Shared {
            io: Mutex::new(io),
            closed: CancellationToken::new(),
            reason: OnceLock::new(),
            start: Instant::now(),
            last_activity_ms: AtomicU64::new(0),
        });
        let stream = BiStream::new(SendStream::new(Half::new(&shared)), RecvStream::new(Half::new(&shared)));
        Self { name, local: None, shared, unclaimed: Mutex::new(Some(stream)) }
    }

    /// Says which address the peer connected to.
    #[must_use]
    pub fn at(self, local: Option<SocketAddr>) -> Self {
        Self { local, ..self }
    }

    fn claim(&self) -> Option<BiStream> {
        self.unclaimed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn end(&self) -> Option<ConnectionError> {
        self.shared.closed.is_cancelled().then(|| self.shared.reason())
    }
}

impl<S> Shared<S> {
    // A panic while the lock was held leaves a byte stream in some state that its next use reports.
    fn io(&self) -> MutexGuard<'_, S> {
        self.io.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, reason: ConnectionError) {
        let _ = self.reason.set(reason);
        self.closed.cancel();
    }

    fn reason(&self) -> ConnectionError {
        self.reason.get().cloned().unwrap_or(ConnectionError::LocallyClosed)
    }

    fn touch(&self) {
        self.last_activity_ms.store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for SingleStream<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn accept_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        let stream = self.claim();
        let result = match self.end() {
            Some(reason) => Err(reason),
            None => stream.ok_or(ConnectionError::NoMoreStreams),
        };
        Box::pin(std::future::ready(result))
    }

    fn open_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        let stream = self.claim();
        let result = match self.end() {
            Some(reason) => Err(reason),
            None => stream.ok_or(ConnectionError::SingleStream { transport: self.name }),
        };
        Box::pin(std::future::ready(result))
    }

    fn close(&self, _: CloseCode, _: &str) {
        self.shared.close(ConnectionError::LocallyClosed);
    }

    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            drop(self.claim());
            if !self.shared.closed.is_cancelled() {
                let shutdown = std::future::poll_fn(|cx| Pin::new(&mut *self.shared.io()).poll_shutdown(cx));
                // An error says that the peer is gone already: nobody is left to tell.
                let _ = tokio::time::timeout(FINISH_LIMIT, shutdown).await;
            }
            self.shared.close(ConnectionError::LocallyClosed);
        })
    }

    fn closed(&self) -> BoxFuture<'_, ConnectionError> {
        Box::pin(async {
            self.shared.closed.cancelled().await;
            self.shared.reason()
        })
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.local
    }

    fn idle_for(&self) -> Option<Duration> {
        let last = Duration::from_millis(self.shared.last_activity_ms.load(Ordering::Relaxed));
        Some(self.shared.start.elapsed().saturating_sub(last))
    }
}

/// One half of the stream. It fails as soon as the connection is closed, even while it waits.
struct Half<S> {
    shared: Arc<Shared<S>>,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Half<S> {
    fn new(shared: &Arc<Shared<S>>) -> Self {
        let closed = Box::pin(shared.closed.clone().cancelled_owned());
        Self { shared: shared.clone(), closed }
    }

    /// Runs one operation on the stream. The wait for the close is polled only when the stream has nothing to give,
    /// so a busy stream does not pay for it.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.shared.closed.is_cancelled() {
            return Poll::Ready(Err(self.shared.reason().into()));
        }
        match operation(Pin::new(&mut *self.shared.io()), cx) {
            Poll::Ready(Ok(value)) => {
                self.shared.touch();
                return Poll::Ready(Ok(value));
            }
            Poll::Ready(Err(error)) => {
                self.shared.close(ConnectionError::Lost(error.to_string()));
                return Poll::Ready(Err(error));
            }
            Poll::Pending => {}
        }
        ready!(self.closed.as_mut().poll(cx));
        Poll::Ready(Err(self.shared.reason().into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Half<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |io, cx| io.poll_read(cx, buf))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Half<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |io, cx| io.poll_shutdown(cx))
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> SendHalf for Half<S> {
    fn reset(&mut self, _: CloseCode) {
        // One stream is the whole connection: the peer must not take what it has for all there was.
        self.shared.close(ConnectionError::LocallyClosed);
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> RecvHalf for Half<S> {
    fn stop(&mut self, _: CloseCode) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alpn, Connection};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    fn pair() -> (DuplexStream, Connection) {
        let (client, server) = duplex(1024);
        (client, Connection::new(SingleStream::new("pipe", server), Alpn::new("x").unwrap()))
    }

    #[tokio::test]
    async fn there_is_one_stream_and_then_an_end() {
        let (_client, connection) = pair();
        let _stream = connection.accept_bi().await.unwrap();
        assert!(matches!(connection.accept_bi().await, Err(ConnectionError::NoMoreStreams)));
        let error = connection.open_bi().await.err().unwrap();
        assert!(error.to_string().contains("a pipe connection carries a single stream"), "{error}");
    }

    #[tokio::test]
    async fn a_close_wakes_a_reader_that_waits() {
        let (_client, connection) = pair();
        let mut stream = connection.accept_bi().await.unwrap();
        let reader = tokio::spawn(async move { stream.read_u8().await.unwrap_err().kind() });
        tokio::task::yield_now().await;
        connection.close(CloseCode::REVOKED, "");
        assert_eq!(reader.await.unwrap(), io::ErrorKind::ConnectionAborted);
        assert!(matches!(connection.closed().await, ConnectionError::LocallyClosed));
        assert!(connection.accept_bi().await.is_err());
    }

    #[tokio::test]
    async fn finish_hands_over_what_was_written() {
        let (mut client, connection) = pair();
        let (mut send, _recv) = connection.accept_bi().await.unwrap().split();
        send.write_all(b"last words").await.unwrap();
        connection.finish().await;
        let mut read = String::new();
        client.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "last words");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_cannot_hold_the_end_up() {
        let (near, _client) = duplex(1);
        let connection = Connection::new(SingleStream::new("pipe", Unflushed(near)), Alpn::new("x").unwrap());
        connection.finish().await;
        assert!(matches!(connection.closed().await, ConnectionError::LocallyClosed));
    }

    /// Never gets rid of what was written.
    struct Unflushed(DuplexStream);

    impl AsyncRead for Unflushed {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for Unflushed {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn the_halves_work_at_the_same_time_and_end_apart() {
        let (mut client, connection) = pair();
        let (mut send, mut recv) = connection.accept_bi().await.unwrap().split();
        send.shutdown().await.unwrap();
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        client.write_all(b"still open").await.unwrap();
        assert_eq!(recv.read_chunk(64).await.unwrap().unwrap(), "still open");
        drop(client);
        assert!(recv.read_chunk(64).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_reset_stream_ends_the_connection() {
        let (mut client, connection) = pair();
        let (mut send, _recv) = connection.accept_bi().await.unwrap().split();
        send.reset(CloseCode::new(77));
        assert!(send.write_all(b"x").await.is_err());
        drop((send, _recv, connection));
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
