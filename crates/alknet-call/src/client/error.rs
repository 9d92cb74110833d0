//! Why a call has no output.

use std::sync::Arc;
use std::time::Duration;

use alknet_core::ConnectionError;

use crate::wire::EncodeError;
use crate::{CallError, ErrorCode};

/// Why a call has no output.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The callee says so.
    #[error(transparent)]
    Remote(#[from] CallError),
    /// The connection is gone, or cannot open a stream. Whether the operation ran is not known.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The callee ended the stream instead of answering, as a node does that shuts down. Whether the operation ran is
    /// not known.
    #[error("the peer ended the stream without an answer")]
    Unanswered,
    /// There is no connection to the peer at this moment. The operation did not run.
    #[error("{peer} is not connected")]
    NotConnected {
        /// Whom the call was for.
        peer: String,
    },
    /// The callee broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    PeerMisbehaved(String),
    /// No answer came in time. The callee has been told to abort.
    #[error("no answer came within {limit:?}")]
    TimedOut {
        /// The time there was.
        limit: Duration,
    },
    /// The request cannot be sent.
    #[error("the request cannot be sent: {0}")]
    Request(#[source] Arc<EncodeError>),
}

impl ClientError {
    /// Fills in the time that there was, which whoever keeps the time does not know.
    pub(super) fn within(self, limit: Duration) -> Self {
        match self {
            Self::TimedOut { .. } => Self::TimedOut { limit },
            other => other,
        }
    }

    /// What a caller is told for whom this call was made in turn: the callee's own words, or that it cannot be reached.
    pub fn into_call_error(self) -> CallError {
        match self {
            Self::Remote(error) => error,
            Self::TimedOut { limit } => {
                CallError::new(ErrorCode::Timeout, format!("the node that serves it did not answer within {limit:?}"))
            }
            Self::Connection(_) | Self::Unanswered | Self::NotConnected { .. } => {
                CallError::new(ErrorCode::Unavailable, "the node that serves it is not connected")
            }
            Self::Request(error) if matches!(*error, EncodeError::TooLong { .. }) => {
                CallError::invalid_input(format!("the request cannot be passed on: {error}"))
            }
            Self::Request(_) | Self::PeerMisbehaved(_) => CallError::internal(self),
        }
    }
}

impl From<EncodeError> for ClientError {
    fn from(error: EncodeError) -> Self {
        Self::Request(Arc::new(error))
    }
}
