//! What the calls of both sides hold while they are under way.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::ClientError;
use crate::budget::Permit;
use crate::proto::Outcome;
use crate::registry::Grant;
use crate::wire::{AuthToken, RawJson, Request};

/// Who waits for a call of ours.
pub(crate) enum Waiter {
    Call(oneshot::Sender<Result<RawJson, ClientError>>),
    /// The queue has no bound of its own: the subscription's window is the bound.
    Subscription(mpsc::UnboundedSender<Result<Event, ClientError>>),
}

/// An event, and the length of the frame that it came in.
pub(crate) struct Event {
    pub(crate) output: RawJson,
    pub(crate) length: u64,
}

impl Waiter {
    /// Hands over an event of a subscription.
    pub(crate) fn event(&self, output: RawJson, length: u64) {
        if let Self::Subscription(events) = self {
            // A subscriber that has gone is about to say so.
            let _ = events.send(Ok(Event { output, length }));
        }
    }

    /// Tells how the call has ended. Whoever has gone needs not be told.
    pub(crate) fn end(self, outcome: Outcome) {
        let result = match outcome {
            Outcome::Answered(output) => Ok(Some(output)),
            Outcome::Completed => Ok(None),
            Outcome::Failed(error) => Err(ClientError::Remote(error)),
            Outcome::Misbehaved(what) => Err(ClientError::PeerMisbehaved(what.to_owned())),
        };
        match (self, result) {
            (Self::Call(answer), Ok(Some(output))) => drop(answer.send(Ok(output))),
            (Self::Call(answer), Ok(None)) => drop(answer.send(Err(ClientError::Unanswered))),
            // A subscription ends where its queue ends.
            (Self::Subscription(_), Ok(_)) => {}
            (waiter, Err(error)) => waiter.fail(error),
        }
    }

    /// Tells that the call has failed.
    pub(crate) fn fail(self, error: ClientError) {
        match self {
            Self::Call(answer) => drop(answer.send(Err(error))),
            Self::Subscription(events) => drop(events.send(Err(error))),
        }
    }
}

/// What there is of a call of the peer's.
pub(crate) enum Work {
    /// It waits for room.
    Waiting(Box<Asked>),
    /// It runs.
    Running(Box<Running>),
}

/// A request, and the right to the memory of its frame.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) permit: Permit,
}

pub(crate) struct Running {
    pub(crate) task: AbortHandle,
    /// What allowed it, to be asked again when identities change.
    pub(crate) grant: Grant,
    pub(crate) token: Option<AuthToken>,
    /// Of a subscription: that there may be room for an event.
    pub(crate) resume: Option<Arc<Notify>>,
}

impl Work {
    /// Drops whatever runs.
    pub(crate) fn stop(self) {
        if let Self::Running(running) = self {
            running.task.abort();
        }
    }

    /// Tells a subscription that there is room.
    pub(crate) fn resume(&self) {
        if let Self::Running(running) = self
            && let Some(resume) = &running.resume
        {
            resume.notify_one();
        }
    }

    pub(crate) fn is_subscription(&self) -> bool {
        matches!(self, Self::Running(running) if running.resume.is_some())
    }
}
