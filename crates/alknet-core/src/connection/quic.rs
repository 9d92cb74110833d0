//! Connections over QUIC (RFC 9000).

use super::{BiStream, CloseCode, ConnectionError, RecvStream, SendStream, Transport};
use crate::BoxFuture;

/// A QUIC connection as a [`Transport`].
pub struct QuicTransport(quinn::Connection);

impl QuicTransport {
    /// Wraps an established connection.
    pub fn new(connection: quinn::Connection) -> Self {
        Self(connection)
    }
}

impl Transport for QuicTransport {
    fn name(&self) -> &'static str {
        "quic"
    }

    fn accept_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async { Ok(wrap(self.0.accept_bi().await?)) })
    }

    fn open_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(async { Ok(wrap(self.0.open_bi().await?)) })
    }

    fn close(&self, code: CloseCode, reason: &str) {
        self.0.close(code.value().into(), reason.as_bytes());
    }

    fn finish(&self) -> BoxFuture<'_, ()> {
        self.close(CloseCode::DONE, "");
        Box::pin(std::future::ready(()))
    }

    fn closed(&self) -> BoxFuture<'_, ConnectionError> {
        Box::pin(async { self.0.closed().await.into() })
    }
}

fn wrap((send, recv): (quinn::SendStream, quinn::RecvStream)) -> BiStream {
    BiStream::new(SendStream::quic(send), RecvStream::quic(recv))
}

impl From<quinn::ConnectionError> for ConnectionError {
    fn from(error: quinn::ConnectionError) -> Self {
        match error {
            quinn::ConnectionError::ApplicationClosed(close) => Self::ClosedByPeer {
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).escape_debug().to_string(),
            },
            quinn::ConnectionError::LocallyClosed => Self::LocallyClosed,
            quinn::ConnectionError::TimedOut => Self::TimedOut,
            other => Self::Lost(other.to_string()),
        }
    }
}
