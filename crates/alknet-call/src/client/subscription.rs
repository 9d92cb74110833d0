//! The events of a subscription, on the side that wants them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_util::Stream;
use serde_json::Value;
use tokio::sync::mpsc;

use super::{CallClient, ClientError};
use crate::link::{Event, Lane, Waiter};

/// A running subscription. It is a [`Stream`] of its events; an error is the last. Dropping it ends it at the callee, too.
///
/// What comes is taken from the network no faster than it is taken from here: a subscriber that does not read slows the
/// producer down.
pub struct Subscription {
    client: CallClient,
    id: u64,
    events: mpsc::UnboundedReceiver<Result<Event, ClientError>>,
    /// The stream, if nobody else uses it.
    own: Option<Arc<Lane>>,
    limit: Option<Duration>,
    /// How much was taken that the link does not know of, and when it is to.
    taken: u64,
    report_at: u64,
    ended: bool,
}

impl Subscription {
    pub(super) fn start(
        client: &CallClient,
        id: u64,
        lane: Arc<Lane>,
        is_own: bool,
        (deadline, limit): (Option<Instant>, Option<Duration>),
        window: u64,
        frame: BytesMut,
    ) -> Result<Self, ClientError> {
        let (sender, events) = mpsc::unbounded_channel();
        let own = is_own.then(|| lane.clone());
        // From here on, whatever happens, the stream is closed behind it.
        let subscription =
            Self { client: client.clone(), id, events, own, limit, taken: 0, report_at: window / 8, ended: false };
        client.link.submit(&lane, id, deadline, Some(window), Waiter::Subscription(sender), frame)?;
        Ok(subscription)
    }

    /// The next event; none when there are no more. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Value, ClientError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn accept(&mut self, event: Event) -> Result<Value, ClientError> {
        let Event { output, length } = event;
        self.taken += length;
        if self.taken >= self.report_at {
            self.report();
        }
        output.parse().map_err(|error| ClientError::PeerMisbehaved(format!("the output cannot be read: {error}")))
    }

    /// Tells the link what was taken, so that more can come.
    fn report(&mut self) {
        self.client.link.consumed(self.id, std::mem::take(&mut self.taken));
    }
}

impl Stream for Subscription {
    type Item = Result<Value, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let event = match self.events.poll_recv(cx) {
            Poll::Pending => {
                if self.taken > 0 {
                    self.report();
                }
                return Poll::Pending;
            }
            Poll::Ready(event) => event,
        };
        let event = match event {
            Some(Ok(event)) => self.accept(event),
            Some(Err(error)) => Err(error.within(self.limit.unwrap_or_default())),
            None => {
                self.ended = true;
                return Poll::Ready(None);
            }
        };
        self.ended = event.is_err();
        Poll::Ready(Some(event))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.client.link.give_up(self.id);
        if let Some(lane) = &self.own {
            lane.outbox.close();
        }
    }
}
