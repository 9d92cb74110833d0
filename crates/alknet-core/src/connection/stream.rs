//! Byte streams, whatever carries them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::CloseCode;
use crate::BoxFuture;

/// The sending half of a transport's stream. Shutting it down says that nothing follows.
pub trait SendHalf: AsyncWrite + Send + Unpin + 'static {
    /// Gives up on the stream: what is under way need not arrive.
    fn reset(&mut self, code: CloseCode);
}

/// The receiving half of a transport's stream.
pub trait RecvHalf: AsyncRead + Send + Unpin + 'static {
    /// Tells the peer that nothing more will be read.
    fn stop(&mut self, code: CloseCode);
}

/// A stream in both directions. Read and write it as it is, or [split](Self::split) it.
pub struct BiStream {
    send: SendStream,
    recv: RecvStream,
}

impl BiStream {
    /// Puts two halves together.
    pub fn new(send: SendStream, recv: RecvStream) -> Self {
        Self { send, recv }
    }

    /// Takes the halves apart; they are independent of each other.
    pub fn split(self) -> (SendStream, RecvStream) {
        (self.send, self.recv)
    }
}

/// The sending half of a stream. `shutdown` ends it in order; dropping it does too, [`reset`](Self::reset) does not.
///
/// Over QUIC, `shutdown` resolves when the peer has everything, so that a handler that shuts its streams down and returns
/// loses nothing when the connection is closed behind it.
pub struct SendStream(Sender);

enum Sender {
    // QUIC has a case of its own so that its reads and writes are direct calls.
    Quic { stream: quinn::SendStream, delivered: Option<BoxFuture<'static, io::Result<()>>> },
    Other(Box<dyn SendHalf>),
}

/// The receiving half of a stream.
pub struct RecvStream(Receiver);

enum Receiver {
    Quic(quinn::RecvStream),
    Other(Box<dyn RecvHalf>),
}

impl SendStream {
    /// The sending half of some transport's stream.
    pub fn new(half: impl SendHalf) -> Self {
        Self(Sender::Other(Box::new(half)))
    }

    pub(crate) fn quic(stream: quinn::SendStream) -> Self {
        Self(Sender::Quic { stream, delivered: None })
    }

    /// Writes all of `chunk`, without a copy where the transport can.
    ///
    /// # Errors
    /// When the peer has stopped the stream or the connection has ended.
    pub async fn write_chunk(&mut self, chunk: Bytes) -> io::Result<()> {
        match &mut self.0 {
            Sender::Quic { stream, .. } => Ok(stream.write_chunk(chunk).await?),
            Sender::Other(stream) => stream.write_all(&chunk).await,
        }
    }

    /// Gives up on the stream: what is under way need not arrive.
    pub fn reset(&mut self, code: CloseCode) {
        match &mut self.0 {
            // An error says that the stream is over already, which is as good.
            Sender::Quic { stream, .. } => drop(stream.reset(code.value().into())),
            Sender::Other(stream) => stream.reset(code),
        }
    }
}

impl RecvStream {
    /// The receiving half of some transport's stream.
    pub fn new(half: impl RecvHalf) -> Self {
        Self(Receiver::Other(Box::new(half)))
    }

    pub(crate) fn quic(stream: quinn::RecvStream) -> Self {
        Self(Receiver::Quic(stream))
    }

    /// The next bytes, at most `max` of them, without a copy where the transport can; none at the end of the stream.
    ///
    /// # Errors
    /// When the peer has reset the stream or the connection has ended.
    pub async fn read_chunk(&mut self, max: usize) -> io::Result<Option<Bytes>> {
        match &mut self.0 {
            Receiver::Quic(stream) => Ok(stream.read_chunk(max, true).await?.map(|chunk| chunk.bytes)),
            Receiver::Other(stream) => {
                let mut buffer = BytesMut::with_capacity(max.min(64 * 1024));
                let count = stream.read_buf(&mut buffer).await?;
                Ok((count > 0).then(|| buffer.freeze()))
            }
        }
    }

    /// Tells the peer that nothing more will be read.
    pub fn stop(&mut self, code: CloseCode) {
        match &mut self.0 {
            Receiver::Quic(stream) => drop(stream.stop(code.value().into())),
            Receiver::Other(stream) => stream.stop(code),
        }
    }
}

impl AsyncRead for RecvStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Receiver::Quic(stream) => AsyncRead::poll_read(Pin::new(stream), cx, buf),
            Receiver::Other(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for SendStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Sender::Quic { stream, .. } => AsyncWrite::poll_write(Pin::new(stream), cx, buf),
            Sender::Other(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Sender::Quic { stream, .. } => AsyncWrite::poll_flush(Pin::new(stream), cx),
            Sender::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Sender::Quic { stream, delivered } => {
                let delivered = delivered.get_or_insert_with(|| {
                    // An error says that it was finished before; then only the wait is left.
                    let _ = stream.finish();
                    let acknowledged = stream.stopped();
                    Box::pin(async move { acknowledged.await.map(|_| ()).map_err(io::Error::from) })
                });
                delivered.as_mut().poll(cx)
            }
            Sender::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for BiStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.recv).poll_read(cx, buf)
    }
}

impl AsyncWrite for BiStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.send).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.send).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.send).poll_shutdown(cx)
    }
}
