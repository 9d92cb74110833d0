//! What every run of a handler is wrapped in: panics stay inside, revocation ends it, and its end is counted.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use alknet_core::BoxFuture;
use futures_core::Stream;
use pin_project_lite::pin_project;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::EventStream;
use super::metrics::Running;
use crate::access::not_owned;
use crate::{CallError, OperationSpec};

/// How long a call or a subscription may go on after its resource was revoked, to deliver its own last words: the exit
/// status of a process comes from the same event as the revocation.
const GRACE: Duration = Duration::from_millis(500);

type CallResult = Result<Value, CallError>;

/// Accompanies one run.
#[doc(hidden)]
pub struct RunGuard {
    spec: Arc<OperationSpec>,
    running: Running,
    /// Ends with the time of grace after the revocation of the resource, if there is one.
    revoked: Option<BoxFuture<'static, ()>>,
}

impl RunGuard {
    pub(super) fn new(spec: Arc<OperationSpec>, running: Running, revoked: Option<CancellationToken>) -> Self {
        let revoked = revoked.map(|revoked| -> BoxFuture<'static, ()> {
            Box::pin(async move {
                revoked.cancelled().await;
                tokio::time::sleep(GRACE).await;
            })
        });
        Self { spec, running, revoked }
    }

    pub(super) fn over_call<F>(self, future: F) -> BoxFuture<'static, CallResult>
    where
        F: Future<Output = CallResult> + Send + 'static,
    {
        Box::pin(GuardedCall { future, guard: self })
    }

    pub(super) fn over_stream<S>(self, stream: S) -> EventStream
    where
        S: Stream<Item = CallResult> + Send + 'static,
    {
        Box::pin(GuardedStream { stream: Some(stream), guard: self })
    }

    /// The error that ends the run if its time of grace is over.
    fn poll_revoked(&mut self, cx: &mut Context<'_>) -> Poll<CallError> {
        match &mut self.revoked {
            Some(revoked) => revoked.as_mut().poll(cx).map(|()| not_owned(&self.spec)),
            None => Poll::Pending,
        }
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> CallError {
        panicked(&self.spec, panic)
    }
}

/// The error for a handler's panic.
pub(super) fn panicked(spec: &OperationSpec, panic: &(dyn Any + Send)) -> CallError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    CallError::internal(format_args!("/{} panicked: {text}", spec.name))
}

/// Runs a step of a handler. What panicked is not used again, so no broken state of it is ever seen: that is why it need
/// not be unwind safe.
pub(super) fn catching<T>(step: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(step))
}

pin_project! {
    struct GuardedCall<F> {
        #[pin]
        future: F,
        guard: RunGuard,
    }
}

impl<F: Future<Output = CallResult>> Future for GuardedCall<F> {
    type Output = CallResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CallResult> {
        let this = self.project();
        let result = match catching(|| this.future.poll(cx)) {
            Ok(Poll::Ready(result)) => result,
            Ok(Poll::Pending) => match this.guard.poll_revoked(cx) {
                Poll::Ready(error) => Err(error),
                Poll::Pending => return Poll::Pending,
            },
            Err(panic) => Err(this.guard.panicked(&*panic)),
        };
        this.guard.running.end(result.as_ref().err());
        Poll::Ready(result)
    }
}

pin_project! {
    struct GuardedStream<S> {
        // None once it has ended, so that nothing of it is held until the reader lets go.
        #[pin]
        stream: Option<S>,
        guard: RunGuard,
    }
}

impl<S: Stream<Item = CallResult>> Stream for GuardedStream<S> {
    type Item = CallResult;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<CallResult>> {
        let mut this = self.project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        // Asked first, as a stream that always has an output would never be ended otherwise.
        let next = match this.guard.poll_revoked(cx) {
            Poll::Ready(error) => Some(Err(error)),
            Poll::Pending => match catching(|| stream.poll_next(cx)) {
                Ok(Poll::Ready(next)) => next,
                Ok(Poll::Pending) => return Poll::Pending,
                Err(panic) => Some(Err(this.guard.panicked(&*panic))),
            },
        };
        let error = match &next {
            Some(Ok(_)) => return Poll::Ready(next),
            Some(Err(error)) => Some(error),
            None => None,
        };
        this.guard.running.end(error);
        this.stream.set(None);
        Poll::Ready(next)
    }
}
