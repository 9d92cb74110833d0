//! The caller's side of a connection.

mod lane;
mod options;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alknet_core::{Connection, ConnectionError};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::wire::{EncodeError, Message, Request};
use crate::{CallError, CallLimits};
use lane::Lane;
pub use options::CallOptions;

/// Calls operations at the other end of a connection. Cheap to clone; clones share the connection, and their calls run at
/// the same time.
///
/// Where the connection can open streams each call has its own; where it is a single stream the calls share that one. A
/// call whose future is dropped is aborted at the callee, too.
#[derive(Clone)]
pub struct CallClient(Arc<Inner>);

struct Inner {
    connection: Connection,
    limits: Arc<CallLimits>,
    streams: Mutex<Streams>,
    next_id: AtomicU64,
}

/// What is known of the connection's streams. Only asking for a second one tells whether there is more than one.
enum Streams {
    Untried,
    Opened(Arc<Lane>),
    Single(Arc<Lane>),
    Many,
}

impl CallClient {
    /// Calls over `connection`, whose ALPN is [`ALPN`](crate::ALPN), within the default limits.
    pub fn new(connection: Connection) -> Self {
        Self::with_limits(connection, CallLimits::default())
    }

    /// Calls over `connection` within `limits`: how long frames may be, how long calls take, and how many of them share a
    /// stream at the same time (further ones wait).
    pub fn with_limits(connection: Connection, limits: CallLimits) -> Self {
        Self(Arc::new(Inner {
            connection,
            limits: Arc::new(limits),
            streams: Mutex::new(Streams::Untried),
            next_id: AtomicU64::new(1),
        }))
    }

    /// Calls `operation` (`service/op`, a leading slash does no harm) and waits for its output.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn call(&self, operation: &str, input: &impl Serialize) -> Result<Value, ClientError> {
        self.call_with(operation, input, CallOptions::new()).await
    }

    /// As [`call`](Self::call), with options.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn call_with(
        &self,
        operation: &str,
        input: &impl Serialize,
        options: CallOptions,
    ) -> Result<Value, ClientError> {
        let limit = self.0.limits.call_time(options.timeout);
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed).to_string();
        let request = Request {
            operation: format!("/{}", operation.strip_prefix('/').unwrap_or(operation)),
            input: Json::Input(input),
            auth_token: options.auth_token,
            forwarded_for: options.forwarded_for.as_ref().map(Json::Value),
            timeout_ms: Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
        };
        let frame = Message::Requested { id: id.clone(), request }.encode(self.0.limits.max_frame())?;
        let exchange = async { self.lane().await?.exchange(id, frame).await };
        let output = tokio::time::timeout(limit, exchange).await.map_err(|_| ClientError::TimedOut { limit })??;
        output.parse().map_err(|error| ClientError::PeerMisbehaved(format!("the output cannot be read: {error}")))
    }

    async fn lane(&self) -> Result<Arc<Lane>, ClientError> {
        let mut streams = self.0.streams.lock().await;
        match &*streams {
            Streams::Single(lane) => return Ok(lane.clone()),
            Streams::Many => {
                drop(streams);
                return self.open().await.map_err(ClientError::Connection);
            }
            Streams::Untried | Streams::Opened(_) => {}
        }
        let opened = self.open().await;
        let (lane, next) = match (opened, &*streams) {
            (Ok(lane), Streams::Untried) => (lane.clone(), Streams::Opened(lane)),
            (Ok(lane), _) => (lane, Streams::Many),
            (Err(ConnectionError::SingleStream { .. }), Streams::Opened(first)) => {
                (first.clone(), Streams::Single(first.clone()))
            }
            (Err(error), _) => return Err(error.into()),
        };
        *streams = next;
        Ok(lane)
    }

    async fn open(&self) -> Result<Arc<Lane>, ConnectionError> {
        Ok(Arc::new(Lane::start(self.0.connection.open_bi().await?, &self.0.limits)))
    }
}

/// The two kinds of JSON in a request of ours.
#[derive(Serialize)]
#[serde(untagged)]
enum Json<'a, T> {
    Input(&'a T),
    Value(&'a Value),
}

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

impl From<EncodeError> for ClientError {
    fn from(error: EncodeError) -> Self {
        Self::Request(Arc::new(error))
    }
}

#[cfg(test)]
mod tests;
