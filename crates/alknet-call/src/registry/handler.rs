//! The code that runs operations.

use std::future::Future;
use std::pin::Pin;

use alknet_core::BoxFuture;
use futures_core::Stream;
use serde_json::Value;

use super::guard::RunGuard;
use crate::{CallError, OperationContext};

/// The outputs of a subscription. An `Err` ends it.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<Value, CallError>> + Send>>;

/// Runs a call. An async closure of a context and an input is one.
pub trait OperationHandler: Send + Sync + 'static {
    /// Runs it once. The caller is allowed to by the time this is called. When the future is dropped the call is given
    /// up, and whatever it holds must be freed by that.
    fn call(&self, context: OperationContext, input: Value) -> BoxFuture<'static, Result<Value, CallError>>;

    /// As [`call`](Self::call), under the registry's guard. For closures the two are one allocation.
    #[doc(hidden)]
    fn start(
        &self,
        context: OperationContext,
        input: Value,
        guard: RunGuard,
    ) -> BoxFuture<'static, Result<Value, CallError>> {
        guard.over_call(self.call(context, input))
    }
}

impl<F, Fut> OperationHandler for F
where
    F: Fn(OperationContext, Value) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Value, CallError>> + Send + 'static,
{
    fn call(&self, context: OperationContext, input: Value) -> BoxFuture<'static, Result<Value, CallError>> {
        Box::pin(self(context, input))
    }

    fn start(
        &self,
        context: OperationContext,
        input: Value,
        guard: RunGuard,
    ) -> BoxFuture<'static, Result<Value, CallError>> {
        guard.over_call(self(context, input))
    }
}

/// Runs a subscription. A closure of a context and an input that gives a stream is one.
pub trait SubscriptionHandler: Send + Sync + 'static {
    /// Begins it. The caller is allowed to by the time this is called. The stream is asked for an output only when there
    /// is room for one, so a slow reader slows it; when it is dropped, whatever it holds must be freed by that.
    fn subscribe(&self, context: OperationContext, input: Value) -> EventStream;

    /// As [`subscribe`](Self::subscribe), under the registry's guard. For closures the two are one allocation.
    #[doc(hidden)]
    fn start(&self, context: OperationContext, input: Value, guard: RunGuard) -> EventStream {
        guard.over_stream(self.subscribe(context, input))
    }
}

impl<F, S> SubscriptionHandler for F
where
    F: Fn(OperationContext, Value) -> S + Send + Sync + 'static,
    S: Stream<Item = Result<Value, CallError>> + Send + 'static,
{
    fn subscribe(&self, context: OperationContext, input: Value) -> EventStream {
        Box::pin(self(context, input))
    }

    fn start(&self, context: OperationContext, input: Value, guard: RunGuard) -> EventStream {
        guard.over_stream(self(context, input))
    }
}
