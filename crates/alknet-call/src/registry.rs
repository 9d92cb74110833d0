//! The live set of operations, and the one way to run one.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use alknet_core::BoxFuture;
use arc_swap::ArcSwap;
use serde_json::Value;

use crate::access::{check, not_found};
use crate::{CallError, ErrorCode, OperationContext, OperationName, OperationSpec};

/// Runs an operation. An async closure of a context and an input is one.
pub trait OperationHandler: Send + Sync + 'static {
    /// Runs it once. The caller is allowed to by the time this is called. When the future is dropped the call is given
    /// up, and whatever it holds must be freed by that.
    fn call(&self, context: OperationContext, input: Value) -> BoxFuture<'_, Result<Value, CallError>>;
}

impl<F, Fut> OperationHandler for F
where
    F: Fn(OperationContext, Value) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Value, CallError>> + Send + 'static,
{
    fn call(&self, context: OperationContext, input: Value) -> BoxFuture<'_, Result<Value, CallError>> {
        Box::pin(self(context, input))
    }
}

/// The operations of a node. They can be added and removed while it serves; calls that run go on. A reader takes no lock.
#[derive(Default)]
pub struct Registry {
    operations: ArcSwap<BTreeMap<OperationName, Arc<Operation>>>,
    writers: Mutex<()>,
}

struct Operation {
    spec: Arc<OperationSpec>,
    handler: Box<dyn OperationHandler>,
}

impl Registry {
    /// A registry without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// When there is one of that name.
    pub fn register(&self, spec: OperationSpec, handler: impl OperationHandler) -> Result<(), NameTaken> {
        let name = spec.name.clone();
        let operation = Arc::new(Operation { spec: Arc::new(spec), handler: Box::new(handler) });
        self.change(|operations| {
            if operations.contains_key(&name) {
                return Err(NameTaken(name));
            }
            operations.insert(name, operation);
            Ok(())
        })
    }

    /// Removes an operation, `service/op`, and gives its description; none if it was not there.
    pub fn remove(&self, name: &str) -> Option<Arc<OperationSpec>> {
        self.change(|operations| operations.remove(name)).map(|operation| operation.spec.clone())
    }

    /// The description of an operation, `service/op`.
    pub fn spec(&self, name: &str) -> Option<Arc<OperationSpec>> {
        self.operations.load().get(name).map(|operation| operation.spec.clone())
    }

    /// The descriptions of all operations, by name.
    pub fn specs(&self) -> Vec<Arc<OperationSpec>> {
        self.operations.load().values().map(|operation| operation.spec.clone()).collect()
    }

    /// Runs an operation, `service/op`, for a caller from outside: checks that it may, and keeps to the time limit of
    /// `context`.
    ///
    /// # Errors
    /// NOT_FOUND, UNAUTHENTICATED and FORBIDDEN as [`check`](crate::access::check) has them, TIMEOUT, INTERNAL when the
    /// handler panics, and what the handler answers.
    pub async fn invoke(&self, name: &str, input: Value, context: OperationContext) -> Result<Value, CallError> {
        self.admit(name, context)?.run(input).await
    }

    /// The first half of [`invoke`](Self::invoke): whether the caller may. It needs no input, so that the input of who
    /// may not is never parsed.
    ///
    /// # Errors
    /// NOT_FOUND, UNAUTHENTICATED or FORBIDDEN.
    pub fn admit(&self, name: &str, context: OperationContext) -> Result<Admitted, CallError> {
        let operation = self.operations.load().get(name).cloned().ok_or_else(|| not_found(name))?;
        check(&operation.spec, context.identity.as_deref())?;
        Ok(Admitted { operation, context })
    }

    fn change<T>(&self, edit: impl FnOnce(&mut BTreeMap<OperationName, Arc<Operation>>) -> T) -> T {
        // The map is swapped in whole, so a writer that panicked has left nothing half done.
        let _turn = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut operations = BTreeMap::clone(&self.operations.load());
        let result = edit(&mut operations);
        self.operations.store(Arc::new(operations));
        result
    }
}

/// A call whose caller may make it. It runs even if its operation is removed in the meantime.
pub struct Admitted {
    operation: Arc<Operation>,
    pub(crate) context: OperationContext,
}

impl Admitted {
    /// Runs the operation within its time limit. A panic of the handler stays in here.
    ///
    /// # Errors
    /// TIMEOUT, INTERNAL when the handler panics, and what the handler answers.
    pub async fn run(self, input: Value) -> Result<Value, CallError> {
        let Self { operation, context } = self;
        let limit = context.time_limit;
        let call = catch_panic(async { operation.handler.call(context, input).await });
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(CallError::internal(format_args!("/{} panicked: {panic}", operation.spec.name))),
            Err(_) => Err(CallError::new(
                ErrorCode::Timeout,
                format!("/{} did not answer within {limit:?}", operation.spec.name),
            )),
        }
    }
}

/// Runs `future`; a panic in it becomes an error that holds the panic's message. The future is not polled again after
/// one, so no broken state of it is ever seen: that is why it need not be unwind safe.
async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(message_of(&*panic))),
    })
    .await
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

/// Two operations of one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is an operation {0} already; remove it first")]
pub struct NameTaken(pub OperationName);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Access;
    use crate::testkit::{context, identity, spec};
    use serde_json::json;
    use std::time::Duration;

    async fn echo(context: OperationContext, input: Value) -> Result<Value, CallError> {
        Ok(json!([context.request_id, input]))
    }

    #[tokio::test]
    async fn an_async_function_is_a_handler() {
        let registry = Registry::new();
        registry.register(spec("a/echo", Access::Public), echo).unwrap();
        assert_eq!(registry.invoke("a/echo", json!(5), context(None)).await, Ok(json!(["1", 5])));
    }

    #[tokio::test]
    async fn the_check_comes_before_the_handler() {
        let registry = Registry::new();
        let panics = async |_, _| -> Result<Value, CallError> { panic!("it ran") };
        registry.register(spec("a/b", Access::Scopes(vec!["a:b".parse().unwrap()])), panics).unwrap();
        let code = async |who| registry.invoke("a/b", Value::Null, context(who)).await.unwrap_err().code;
        assert_eq!(code(None).await, ErrorCode::Unauthenticated);
        assert_eq!(code(Some(identity("alice", &["b:*"]))).await, ErrorCode::Forbidden);
        assert_eq!(code(Some(identity("alice", &["a:*"]))).await, ErrorCode::Internal, "the panic is contained");
    }

    #[tokio::test]
    async fn a_name_is_taken_once_and_free_after_removal() {
        let registry = Registry::new();
        registry.register(spec("b/b", Access::Public), echo).unwrap();
        registry.register(spec("a/a", Access::Public), echo).unwrap();
        assert_eq!(
            registry.register(spec("a/a", Access::Public), echo).unwrap_err().to_string(),
            "there is an operation a/a already; remove it first"
        );
        assert_eq!(registry.specs().iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["a/a", "b/b"]);
        assert!(registry.remove("a/a").is_some() && registry.remove("a/a").is_none());
        assert!(registry.spec("a/a").is_none());
        let error = registry.invoke("a/a", Value::Null, context(None)).await.unwrap_err();
        assert_eq!(error, not_found("a/a"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_with_its_time() {
        let registry = Registry::new();
        let hang = |_, _| std::future::pending::<Result<Value, CallError>>();
        registry.register(spec("a/hang", Access::Public), hang).unwrap();
        let mut context = context(None);
        context.time_limit = Duration::from_millis(1500);
        let error = registry.invoke("a/hang", Value::Null, context).await.unwrap_err();
        assert_eq!((error.code, error.retryable), (ErrorCode::Timeout, true));
        assert_eq!(error.message, "/a/hang did not answer within 1.5s");
    }
}
