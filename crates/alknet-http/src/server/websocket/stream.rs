//! A WebSocket as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use alknet_core::Connection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

/// The longest message that is sent.
const MAX_SENT: usize = 64 * 1024;

/// How a WebSocket ends: the first one who says so decides.
#[derive(Clone)]
pub(super) struct Ending(Arc<Inner>);

struct Inner {
    code: OnceLock<u16>,
    reached: CancellationToken,
    /// What carries it.
    below: Connection,
}

impl Ending {
    pub(super) fn new(below: Connection) -> Self {
        Self(Arc::new(Inner { code: OnceLock::new(), reached: CancellationToken::new(), below }))
    }

    pub(super) fn end(&self, code: u16) {
        let _ = self.0.code.set(code);
        self.0.reached.cancel();
    }

    pub(super) async fn reached(&self) {
        self.0.reached.cancelled().await;
    }

    fn close_frame(&self) -> CloseFrame {
        let in_order = if self.0.below.is_draining() { close_code::AWAY } else { close_code::NORMAL };
        let code = self.0.code.get().copied().unwrap_or(in_order);
        let reason = match code {
            close_code::UNSUPPORTED => "the call protocol is sent in binary messages",
            close_code::SIZE => "the message is too long",
            close_code::POLICY => "the token is not known any more",
            close_code::AWAY => "the node is shutting down",
            _ => "",
        };
        CloseFrame { code, reason: Utf8Bytes::from_static(reason) }
    }
}

/// The bytes of a WebSocket's binary messages, in both directions. Where one message ends and the next begins means nothing.
///
/// Whatever is no byte ends the stream, and the [`Ending`] says why: a text, a message that is too long, a close, a client
/// that has gone silent. Pings are answered by the library underneath, with the next read or write.
pub(super) struct MessageStream {
    socket: WebSocket,
    ending: Ending,
    /// What is left of the message that came last.
    unread: Bytes,
    heartbeat: Interval,
    /// Whether something came since the last ping.
    alive: bool,
    closing: bool,
}

impl MessageStream {
    pub(super) fn new(socket: WebSocket, ending: Ending, ping: Duration) -> Self {
        let mut heartbeat = interval_at(tokio::time::Instant::now() + ping, ping);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { socket, ending, unread: Bytes::new(), heartbeat, alive: true, closing: false }
    }

    /// Waits for the next bytes. False at the end.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while self.unread.is_empty() {
            let Poll::Ready(next) = Pin::new(&mut self.socket).poll_next(cx) else {
                ready!(self.poll_silence(cx));
                self.ending.end(close_code::AWAY);
                return Poll::Ready(false);
            };
            self.alive = true;
            match next {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    self.ending.end(close_code::UNSUPPORTED);
                    return Poll::Ready(false);
                }
                Some(Ok(Message::Close(_))) | None => {
                    self.ending.end(close_code::NORMAL);
                    return Poll::Ready(false);
                }
                Some(Err(error)) => {
                    let is_too_long = is_too_long(&error);
                    self.ending.end(if is_too_long { close_code::SIZE } else { close_code::PROTOCOL });
                    return Poll::Ready(false);
                }
            }
        }
        Poll::Ready(true)
    }

    /// Pings a client that is silent. Ready when it has not answered the last ping. It is asked only when nothing is there to
    /// be read, so a client whose answer waits in a buffer is not taken for dead.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.heartbeat.poll_tick(cx).is_ready() {
            if !std::mem::replace(&mut self.alive, false) {
                return Poll::Ready(());
            }
            if let Poll::Ready(Ok(())) = Pin::new(&mut self.socket).poll_ready(cx) {
                // Errors come up with the next read.
                let _ = Pin::new(&mut self.socket).start_send(Message::Ping(Bytes::new()));
                let _ = Pin::new(&mut self.socket).poll_flush(cx);
            }
        }
        Poll::Pending
    }
}

/// Whether a message or a frame is longer than it may be (RFC 6455 §7.4.1, code 1009).
fn is_too_long(error: &axum::Error) -> bool {
    // The library's own error type is not ours to name: it is known by its text.
    error.to_string().contains("too long")
}

impl AsyncRead for MessageStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if ready!(self.poll_message(cx)) {
            let count = self.unread.len().min(buf.remaining());
            self.unread.copy_to_slice(buf.initialize_unfilled_to(count));
            buf.advance(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MessageStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.closing || buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // It is ready when the message before has gone, so at most one waits here.
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let sent = buf.get(..MAX_SENT).unwrap_or(buf);
        let message = Message::Binary(Bytes::copy_from_slice(sent));
        Pin::new(&mut self.socket).start_send(message).map_err(io::Error::other)?;
        Poll::Ready(Ok(sent.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
            self.closing = true;
            let frame = Message::Close(Some(self.ending.close_frame()));
            // Whoever has closed already is closed.
            let _ = Pin::new(&mut self.socket).start_send(frame);
        }
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io::Error::other)
    }
}
