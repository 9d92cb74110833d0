//! The end of an `http/1.1` connection whose last request was not read to its end.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use hyper::body::{Bytes, Incoming};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::leftover::{LONGEST, MOST};

/// Whether a request was answered before its body had come.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    /// Takes note if `body` is dropped before its end.
    pub(super) fn watch(&self, body: Incoming) -> Watched {
        Watched { body, ended: false, unread: self.clone() }
    }
}

/// The body of a request over `http/1.1`.
pub(super) struct Watched {
    body: Incoming,
    /// Its end was read. That of a chunked one is not to be seen otherwise.
    ended: bool,
    unread: Unread,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.ended |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.unread.0.store(true, Ordering::Relaxed);
        }
    }
}

/// A byte stream that is not let go of while a request comes that was answered before its end: what nobody reads makes TCP
/// reset the connection, and with it the answer is lost (RFC 9112 §9.6).
pub(super) struct Lingering<S> {
    stream: S,
    unread: Unread,
    taken: usize,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lingering<S> {
    pub(super) fn new(stream: S, unread: Unread) -> Self {
        Self { stream, unread, taken: 0, deadline: None }
    }

    /// Takes what still comes until the client ends, or until it was enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(LONGEST)));
        if deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut place = [0; 8 * 1024];
        while self.taken < MOST {
            let mut buf = ReadBuf::new(&mut place);
            // An error says that the client is gone.
            if ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf)).is_err() || buf.filled().is_empty() {
                break;
            }
            self.taken += buf.filled().len();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deadline.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        match self.unread.0.load(Ordering::Relaxed) {
            true => self.poll_linger(cx),
            false => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::Instant;

    fn lingering(unread: bool) -> (DuplexStream, Lingering<DuplexStream>) {
        let (near, far) = duplex(1024);
        (near, Lingering::new(far, Unread(Arc::new(AtomicBool::new(unread)))))
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_to_its_end_is_let_go_of_at_once() {
        let (_near, mut far) = lingering(false);
        let started = Instant::now();
        far.shutdown().await.unwrap();
        assert_eq!(started.elapsed(), std::time::Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_still_sends_can_do_so_until_it_has_seen_the_end() {
        let (mut near, mut far) = lingering(true);
        let client = async move {
            near.write_all(&[0; 64 * 1024]).await.unwrap();
            assert_eq!(near.read(&mut [0]).await.unwrap(), 0, "the end of the answers");
        };
        let (shut, ()) = tokio::join!(far.shutdown(), client);
        shut.unwrap();
        assert!(far.taken >= 64 * 1024);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_ends_is_cut_off() {
        let (mut near, mut far) = lingering(true);
        let endless = tokio::spawn(async move { while near.write_all(&[0; 1024]).await.is_ok() {} });
        far.shutdown().await.unwrap();
        drop(far);
        endless.await.unwrap();

        let (_near, mut far) = lingering(true);
        let started = Instant::now();
        far.shutdown().await.unwrap();
        assert_eq!(started.elapsed().as_secs(), LONGEST.as_secs());
    }
}
