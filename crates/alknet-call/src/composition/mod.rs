//! Handlers that call other operations.
//!
//! A handler reaches what its environment names, and is checked there as itself (its authority), never as its caller. Of
//! the caller's request nothing gets into a child's context but its id.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::access::not_found;
use crate::registry::{Admitted, Operation, Origin, Shared};
use crate::{CallError, CallerInfo, ErrorCode, EventStream, OperationContext};

/// How many calls deep operations may call each other.
const MAX_DEPTH: u8 = 32;

/// What a context needs for its handler to call others.
#[derive(Clone, Default)]
pub(crate) struct Composition {
    /// How many calls there are above this one.
    depth: u8,
    /// None for a handler that reaches nothing.
    reach: Option<Reach>,
}

#[derive(Clone)]
struct Reach {
    // A strong reference would keep the registry for as long as any call of its own runs.
    registry: Weak<Shared>,
    operation: Arc<Operation>,
    /// When the time of the call is over; none if that is later than can be told.
    deadline: Option<Instant>,
}

impl OperationContext {
    /// Gives the context what belongs to the operation whose handler gets it.
    pub(crate) fn prepare(&mut self, registry: &Arc<Shared>, operation: &Arc<Operation>) {
        self.capabilities = operation.capabilities();
        self.composition.reach = operation.composes().then(|| Reach {
            registry: Arc::downgrade(registry),
            operation: operation.clone(),
            deadline: Instant::now().checked_add(self.time_limit),
        });
    }

    /// Calls another operation, `service/op`, within what is left of this call's time. When the future is dropped, as it
    /// is with that of this call, the other call is given up.
    ///
    /// # Errors
    /// NOT_FOUND when this operation's environment does not name it, RESOURCE_EXHAUSTED when operations call each other
    /// more than 32 deep, UNAVAILABLE when the node shuts down, and those of [`Registry::invoke`](crate::Registry::invoke)
    /// for this operation's authority.
    pub fn call(&self, name: &str, input: Value) -> impl Future<Output = Result<Value, CallError>> + Send + use<> {
        let child = self.child(name, None);
        async move { child?.run(input).await }
    }

    /// Subscribes to another operation, `service/op`. It ends when the stream is dropped.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn subscribe(&self, name: &str, input: Value) -> Result<EventStream, CallError> {
        self.child(name, None)?.subscribe(input)
    }

    /// Calls another operation, `service/op`, in a task of its own that goes on, for up to `time_limit`, even if this call
    /// is given up. Its output can be waited for, and need not be.
    ///
    /// # Errors
    /// What this gives fails as [`call`](Self::call) does, and with RESOURCE_EXHAUSTED when too many such calls run.
    pub fn call_detached(&self, name: &str, input: Value, time_limit: Duration) -> DetachedCall {
        let child = self.child(name, Some(time_limit));
        let slot = self.composition.slot();
        DetachedCall(tokio::spawn(async move {
            let child = child?;
            let _slot = slot?;
            child.run(input).await
        }))
    }

    fn child(&self, name: &str, time_limit: Option<Duration>) -> Result<Admitted, CallError> {
        let name = name.strip_prefix('/').unwrap_or(name);
        let reach = self.composition.reach.as_ref().filter(|reach| reach.operation.reaches(name));
        let Reach { registry, operation, deadline } = reach.ok_or_else(|| not_found(name))?;
        let depth = self.composition.depth.saturating_add(1);
        if depth > MAX_DEPTH {
            let message = format!("operations call each other more than {MAX_DEPTH} deep");
            return Err(CallError { retryable: false, ..CallError::new(ErrorCode::ResourceExhausted, message) });
        }
        let left = || deadline.map_or(self.time_limit, |deadline| deadline.saturating_duration_since(Instant::now()));
        let context = OperationContext {
            parent_id: Some(self.request_id.clone()),
            composition: Composition { depth, reach: None },
            ..OperationContext::new(
                next_id(),
                operation.authority().cloned(),
                CallerInfo::in_process(),
                time_limit.unwrap_or_else(left),
            )
        };
        registry.upgrade().ok_or_else(gone)?.admit(name, context, Origin::Composition)
    }
}

impl Composition {
    /// The right to one more call that goes on by itself.
    fn slot(&self) -> Result<tokio::sync::OwnedSemaphorePermit, CallError> {
        let shared = self.reach.as_ref().and_then(|reach| reach.registry.upgrade()).ok_or_else(gone)?;
        shared.detached.clone().try_acquire_owned().map_err(|_| {
            CallError::new(
                ErrorCode::ResourceExhausted,
                "too many calls go on by themselves after those that made them",
            )
        })
    }
}

/// Ids of calls that operations make count through the process.
fn next_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("child-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn gone() -> CallError {
    CallError::new(ErrorCode::Unavailable, "this node is shutting down")
}

/// A call that goes on by itself. To wait for its output is a choice: when this is dropped, it still goes on.
pub struct DetachedCall(JoinHandle<Result<Value, CallError>>);

impl Future for DetachedCall {
    type Output = Result<Value, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|ended| ended.unwrap_or_else(|error| Err(CallError::internal(error))))
    }
}

#[cfg(test)]
mod tests;
