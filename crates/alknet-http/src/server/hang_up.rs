//! Clients that go away while an answer over `http/1.1` is under way.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is read ahead of hyper, at most.
const AHEAD: usize = 512;

/// A stream that can be listened to while hyper does not read: it stops doing so during an answer, as a client may have
/// ended its side with the request and wait.
pub(super) struct Audible<S>(Arc<Mutex<Inner<S>>>);

struct Inner<S> {
    stream: S,
    /// What came while somebody listened.
    ahead: Vec<u8>,
    ended: bool,
}

/// Listens to such a stream, for as long as it is there.
pub(super) trait Listen: Send + Sync {
    /// Ready when the client has ended its side, or is gone. What sends more instead is there. It is for the task that
    /// serves the connection: only that one is woken.
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()>;
}

impl<S: AsyncRead + Send + Unpin + 'static> Audible<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(Inner { stream, ahead: Vec::new(), ended: false })))
    }

    /// Does not keep it open.
    pub(super) fn listener(&self) -> Weak<dyn Listen> {
        let inner: Arc<dyn Listen> = self.0.clone();
        Arc::downgrade(&inner)
    }
}

impl<S> Audible<S> {
    fn inner(&self) -> MutexGuard<'_, Inner<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + Send + Unpin> Listen for Mutex<Inner<S>> {
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { stream, ahead, ended } = &mut *inner;
        while !*ended && ahead.len() < AHEAD {
            let mut space = [0; AHEAD];
            let mut buffer = ReadBuf::new(space.get_mut(ahead.len()..).unwrap_or_default());
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => ahead.extend_from_slice(buffer.filled()),
                Poll::Ready(_) => *ended = true,
                Poll::Pending => return Poll::Pending,
            }
        }
        // Whoever sends more than that cannot be heard to go.
        if *ended { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Audible<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        if !inner.ahead.is_empty() {
            let length = inner.ahead.len().min(buffer.remaining());
            inner.ahead.drain(..length).for_each(|byte| buffer.put_slice(&[byte]));
            return Poll::Ready(Ok(()));
        }
        if inner.ended {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut inner.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Audible<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test]
    async fn an_end_is_heard_and_nothing_is_lost() {
        for sent in ["", "GET / HTTP/1.1\r\n", &"x".repeat(AHEAD - 1)] {
            let (mut client, server) = duplex(4096);
            let mut stream = Audible::new(server);
            let listener = stream.listener().upgrade().unwrap();
            let heard = poll_fn(|cx| Poll::Ready(listener.poll_end(cx))).await;
            assert!(heard.is_pending());
            client.write_all(sent.as_bytes()).await.unwrap();
            assert!(poll_fn(|cx| Poll::Ready(listener.poll_end(cx))).await.is_pending(), "it is there");
            drop(client);
            poll_fn(|cx| listener.poll_end(cx)).await;
            let mut read = String::new();
            stream.read_to_string(&mut read).await.unwrap();
            assert_eq!(read, sent);
        }
    }

    #[tokio::test]
    async fn what_is_read_ahead_has_a_limit() {
        let (mut client, server) = duplex(4096);
        let mut stream = Audible::new(server);
        let listener = stream.listener().upgrade().unwrap();
        client.write_all(&[7; 4000]).await.unwrap();
        drop(client);
        assert!(poll_fn(|cx| Poll::Ready(listener.poll_end(cx))).await.is_pending());
        assert_eq!(stream.inner().ahead.len(), AHEAD);
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, [7; 4000]);
    }

    #[tokio::test]
    async fn a_listener_keeps_nothing_open() {
        let (mut client, server) = duplex(4096);
        let stream = Audible::new(server);
        let listener = stream.listener();
        drop(stream);
        assert!(listener.upgrade().is_none());
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }
}
