//! The caller's side of a connection.

mod error;
mod options;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use alknet_core::Connection;
use bytes::BytesMut;
use futures_util::FutureExt as _;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::CallLimits;
use crate::link::{Link, Waiter, now};
use crate::wire::{Message, Request};
pub use error::ClientError;
pub use options::CallOptions;
pub use subscription::Subscription;

/// Calls operations at the other end of a connection. Cheap to clone; clones share the connection, and their calls run at
/// the same time.
///
/// Where the connection can have several streams, calls share a few and each subscription has its own; where it is a
/// single stream, all share that one. A call whose future is dropped is aborted at the callee, too.
#[derive(Clone)]
pub struct CallClient {
    link: Arc<Link>,
    /// Ends the link with the last clone. None if somebody else serves it.
    _owner: Option<Arc<DropGuard>>,
}

impl CallClient {
    /// Calls over `connection`, whose ALPN is [`ALPN`](crate::ALPN), within the default limits. The peer can call nothing
    /// on it. Needs a Tokio runtime.
    pub fn new(connection: Connection) -> Self {
        Self::with_limits(connection, CallLimits::default())
    }

    /// Calls over `connection` within `limits`: how long frames may be, how long calls take, and how many of them share a
    /// stream at the same time (further ones wait).
    pub fn with_limits(connection: Connection, limits: CallLimits) -> Self {
        let link = Link::new(connection, Arc::new(limits), None);
        let dropped = CancellationToken::new();
        let owner = Some(Arc::new(dropped.clone().drop_guard()));
        tokio::spawn(link.clone().run_until(dropped));
        Self { link, _owner: owner }
    }

    /// Calls over a connection that somebody serves; it ends when they want.
    pub(crate) fn of(link: &Arc<Link>) -> Self {
        Self { link: link.clone(), _owner: None }
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
        let limit = self.link.limits.call_time(options.timeout);
        let deadline = now() + limit;
        let (id, frame) = self.request(operation, input, &options, Some(limit), None)?;
        let in_time = |result: Result<_, ClientError>| result.map_err(|error| error.within(limit));
        // Hardly ever has a call to wait for its turn, and then it needs no clock.
        let slot = match self.slot().now_or_never() {
            Some(slot) => slot?,
            None => {
                let waited = tokio::time::timeout_at(deadline.into(), self.slot()).await;
                waited.map_err(|_| ClientError::TimedOut { limit })??
            }
        };
        let (answer, receiver) = oneshot::channel();
        self.link.submit(&slot.0, id, Some(deadline), None, Waiter::Call(answer), frame)?;
        let mut given_up = GiveUp { link: &self.link, id: Some(id) };
        let answer = receiver.await;
        given_up.id = None;
        let output = in_time(answer.unwrap_or_else(|_| Err(self.end())))?;
        output.parse().map_err(|error| ClientError::PeerMisbehaved(format!("the output cannot be read: {error}")))
    }

    async fn slot(&self) -> Result<SlotOf, ClientError> {
        let lane = self.link.lane().await?;
        let slot = lane.slots.acquire().await.map_err(|_| ClientError::Unanswered)?;
        slot.forget();
        Ok(SlotOf(lane))
    }

    /// Subscribes to `operation` and gives its events as they come. An operation with a single answer gives that as its
    /// one event.
    ///
    /// # Errors
    /// As [`ClientError`] lists them. What the callee says comes as an event.
    pub async fn subscribe(&self, operation: &str, input: &impl Serialize) -> Result<Subscription, ClientError> {
        self.subscribe_with(operation, input, CallOptions::new()).await
    }

    /// As [`subscribe`](Self::subscribe), with options. Without a time-out it goes on for as long as both sides want.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn subscribe_with(
        &self,
        operation: &str,
        input: &impl Serialize,
        options: CallOptions,
    ) -> Result<Subscription, ClientError> {
        let window = u64::from(self.link.limits.subscription_window_bytes);
        let (id, frame) = self.request(operation, input, &options, options.timeout, Some(window))?;
        let limit = self.link.limits.call_time(None);
        let opened = tokio::time::timeout(limit, self.link.own_lane()).await;
        let (lane, is_own) = opened.map_err(|_| ClientError::TimedOut { limit })??;
        let deadline = options.timeout.map(|timeout| now() + timeout);
        Subscription::start(self, id, lane, is_own, (deadline, options.timeout), window, frame)
    }

    fn request(
        &self,
        operation: &str,
        input: &impl Serialize,
        options: &CallOptions,
        limit: Option<Duration>,
        window: Option<u64>,
    ) -> Result<(u64, BytesMut), ClientError> {
        let id = self.link.next_call();
        let request = Request {
            operation: format!("/{}", operation.strip_prefix('/').unwrap_or(operation)),
            input: Json::Input(input),
            auth_token: options.auth_token.clone(),
            forwarded_for: options.forwarded_for.as_ref().map(Json::Value),
            timeout_ms: limit.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
            window,
        };
        let mut frame = BytesMut::new();
        let message = Message::Requested { id: id.to_string(), request };
        message.encode_to(&mut frame, self.link.limits.max_frame())?;
        Ok((id, frame))
    }

    /// How many calls and subscriptions of this side are under way on the connection.
    pub fn pending(&self) -> usize {
        self.link.count().0
    }

    /// Whether the connection has ended, so that no further call can succeed.
    pub fn is_closed(&self) -> bool {
        self.link.end().is_some()
    }

    /// Resolves when the connection has ended.
    pub async fn closed(&self) {
        self.link.ended().await;
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.link.connection
    }

    fn end(&self) -> ClientError {
        self.link.end().unwrap_or(ClientError::Unanswered)
    }
}

/// A place among the calls of a stream.
struct SlotOf(Arc<crate::link::Lane>);

impl Drop for SlotOf {
    fn drop(&mut self) {
        self.0.slots.add_permits(1);
    }
}

struct GiveUp<'a> {
    link: &'a Link,
    id: Option<u64>,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.link.give_up(id);
        }
    }
}

/// The two kinds of JSON in a request of ours.
#[derive(Serialize)]
#[serde(untagged)]
enum Json<'a, T> {
    Input(&'a T),
    Value(&'a Value),
}

#[cfg(test)]
mod tests;
