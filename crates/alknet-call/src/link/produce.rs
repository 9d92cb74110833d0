//! The tasks of the peer's calls: those that have no answer at once, and subscriptions.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::driver::CallFuture;
use super::work::{Running, Work};
use super::{Lane, Link, now};
use crate::registry::EventStream;
use crate::server::event_frame;
use crate::{CallError, ErrorCode};

/// A call that is to run.
pub(super) struct Call {
    pub(super) id: Arc<str>,
    /// Of a caller that subscribes: how much it has room for.
    pub(super) window: Option<u64>,
    /// How long it may take; none if for ever.
    pub(super) limit: Option<Duration>,
    /// Of a call on a resource: that this is revoked.
    pub(super) revoked: Option<CancellationToken>,
}

/// How long a subscriber that takes nothing may still take what there was when its resource was revoked.
const LAST_WORDS: Duration = Duration::from_millis(600);

impl Link {
    /// Runs a call in a task of its own, from where it was left.
    pub(super) fn run_call(
        self: &Arc<Self>,
        call: Call,
        lane: &Lane,
        future: CallFuture,
        running: impl FnOnce(AbortHandle, Option<Arc<Notify>>) -> Running,
    ) {
        let (link, id, is_subscribed) = (self.clone(), call.id.clone(), call.window.is_some());
        self.enter(call, lane, move |number| {
            let task = tokio::spawn(async move {
                let result = future.await;
                link.answer(&id, number, is_subscribed, result.map(Some));
            });
            running(task.abort_handle(), None)
        });
    }

    /// Runs a subscription in a task of its own.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        call: Call,
        lane: Arc<Lane>,
        events: EventStream,
        running: impl FnOnce(AbortHandle, Option<Arc<Notify>>) -> Running,
    ) {
        if self.state().machine.held().filter(|(_, work)| work.is_subscription()).count() >= self.limits.subscriptions()
        {
            let message = format!("a connection has at most {} subscriptions", self.limits.subscriptions());
            let error = CallError::new(ErrorCode::ResourceExhausted, message);
            return lane.outbox.push(crate::server::error_frame(&call.id, error, self.limits.max_frame()));
        }
        let resume = Arc::new(Notify::new());
        let (link, id, told) = (self.clone(), call.id.clone(), resume.clone());
        let revoked = call.revoked.clone();
        self.enter(call, &lane.clone(), move |number| {
            let producer = Producer { link, lane, id, number, resume: told, revoked };
            let task = tokio::spawn(producer.run(events));
            running(task.abort_handle(), Some(resume))
        });
    }

    /// Enters a call and starts its task, both under the lock: whoever ends the call has to find the task.
    fn enter(self: &Arc<Self>, call: Call, lane: &Lane, start: impl FnOnce(u64) -> Running) {
        let deadline = call.limit.map(|limit| now() + limit);
        let mut state = self.state();
        if self.end.get().is_some() || !state.streams.contains_key(&lane.id) {
            return;
        }
        state.machine.enter(&call.id, lane.id, deadline, call.window, |number| Work::Running(Box::new(start(number))));
        self.arm(&mut state, deadline);
    }
}

struct Producer {
    link: Arc<Link>,
    lane: Arc<Lane>,
    id: Arc<str>,
    number: u64,
    resume: Arc<Notify>,
    revoked: Option<CancellationToken>,
}

/// How much is sent in one go of what a producer has at once.
const BATCH_BYTES: u64 = 16 * 1024;

impl Producer {
    async fn run(self, mut events: EventStream) {
        let result = loop {
            let Some(room) = self.room().await else { return };
            match self.gather(&mut events, room).await {
                Gathered::More(frames) => {
                    if !self.send(frames) {
                        return;
                    }
                }
                Gathered::Last(frames, end) => {
                    self.send(frames);
                    break end;
                }
            }
        };
        // Whatever the handler holds is free before the subscriber is told of the end.
        drop(events);
        self.link.answer(&self.id, self.number, true, result);
    }

    /// Waits for an event, and takes those along that are there at once, as far as there is room.
    async fn gather(&self, events: &mut EventStream, room: u64) -> Gathered {
        let mut frames = BytesMut::new();
        let mut next = events.next().await;
        loop {
            match next {
                Some(Ok(output)) => {
                    if let Err(error) = event_frame(&mut frames, &self.id, &output, self.link.limits.max_frame()) {
                        return Gathered::Last(frames, Err(error));
                    }
                }
                Some(Err(error)) => return Gathered::Last(frames, Err(error)),
                None => return Gathered::Last(frames, Ok(None)),
            }
            if frames.len() as u64 >= room.min(BATCH_BYTES) {
                return Gathered::More(frames);
            }
            match events.next().now_or_never() {
                Some(further) => next = further,
                None => return Gathered::More(frames),
            }
        }
    }

    /// Waits until an event may be sent, or the resource is gone, of which the stream then gives the error. Gives how many
    /// bytes there is room for; none if nobody wants it any more.
    async fn room(&self) -> Option<u64> {
        loop {
            let (resumed, drained) = (self.resume.notified(), self.lane.outbox.drained());
            match self.link.state().machine.credit(&self.id, self.number)? {
                0 => {}
                _ if self.lane.outbox.is_full() => {}
                room => return Some(room),
            }
            tokio::select! {
                () = resumed => {}
                () = drained => {}
                () = self.resource_is_gone() => return Some(1),
            }
        }
    }

    async fn resource_is_gone(&self) {
        match &self.revoked {
            Some(revoked) => {
                revoked.cancelled().await;
                tokio::time::sleep(LAST_WORDS).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Sends events. False if nobody wants them any more.
    fn send(&self, frames: BytesMut) -> bool {
        if frames.is_empty() {
            return true;
        }
        let mut state = self.link.state();
        if !state.machine.spend(&self.id, self.number, frames.len() as u64) {
            return false;
        }
        // Under the lock, so that no event comes behind the end of its subscription.
        self.lane.outbox.push(frames);
        true
    }
}

/// What a producer has to send.
enum Gathered {
    More(BytesMut),
    Last(BytesMut, Result<Option<Value>, CallError>),
}
