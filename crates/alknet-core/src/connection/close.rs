//! Why connections end.

use std::fmt;
use std::io;

/// The code that a connection is closed with; over QUIC it is the application error code (RFC 9000 §20.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u32);

impl CloseCode {
    /// All is done.
    pub const DONE: Self = Self(0);
    /// The node shuts down; try again later, or another node.
    pub const SHUTTING_DOWN: Self = Self(1);
    /// The peer's access was revoked.
    pub const REVOKED: Self = Self(2);
    /// The handler failed.
    pub const HANDLER_FAILED: Self = Self(3);
    /// Nothing moved for too long.
    pub const IDLE: Self = Self(4);
    /// No handler serves the ALPN any more.
    pub const NO_HANDLER: Self = Self(5);

    /// A code of a protocol's own; those below 16 are alknet's.
    pub const fn new(code: u32) -> Self {
        Self(code)
    }

    /// The number on the wire.
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a connection has ended, or cannot do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The connection carries one stream, and that was taken. For a loop over streams this is the end.
    #[error("the connection has no further stream")]
    NoMoreStreams,
    /// The caller wants a stream that this transport cannot open.
    #[error("a {transport} connection carries a single stream and cannot open another; use QUIC for more")]
    SingleStream {
        /// The transport's name.
        transport: &'static str,
    },
    /// We closed it.
    #[error("the connection was closed on this side")]
    LocallyClosed,
    /// The peer closed it.
    #[error("the peer closed the connection with code {code}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    ClosedByPeer {
        /// The peer's code.
        code: u64,
        /// The peer's words.
        reason: String,
    },
    /// The peer has not been heard of for too long.
    #[error("the connection timed out")]
    TimedOut,
    /// The peer broke the transport's protocol, or the network failed.
    #[error("the connection was lost: {0}")]
    Lost(String),
}

impl ConnectionError {
    /// Whether this is how a connection ends when nothing is wrong: for a handler the time to return, without an error.
    pub fn is_orderly(&self) -> bool {
        matches!(self, Self::NoMoreStreams | Self::LocallyClosed | Self::ClosedByPeer { code: 0, .. })
    }
}

impl From<ConnectionError> for io::Error {
    fn from(error: ConnectionError) -> Self {
        let kind = match error {
            ConnectionError::TimedOut => io::ErrorKind::TimedOut,
            ConnectionError::ClosedByPeer { .. } => io::ErrorKind::ConnectionReset,
            ConnectionError::LocallyClosed => io::ErrorKind::ConnectionAborted,
            _ => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}
