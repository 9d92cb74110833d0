//! Operations of another node, as operations of this one.

use std::sync::Arc;

use alknet_core::{BoxFuture, Scope};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::{
    AdapterError, Bundle, CallClient, CallError, CallOptions, ClientError, EventStream, OperationAdapter,
    OperationContext, OperationHandler, OperationKind, OperationPattern, OperationSpec, Provenance,
    SubscriptionHandler,
};

/// The services that every node has. Those of another node say what is so there, of whoever asks; nobody is served by
/// having them here under another name. And who a node's peers are is between it and whoever runs it: by a hub's own rights
/// there, which `peers` and `config` ask for, no user of the hub's is to change it.
const BUILT_IN: [&str; 7] = ["config", "dashboard", "metrics", "node", "peers", "resources", "services"];

/// Gives the client of the peer at this moment.
pub(crate) type ClientSource = Arc<dyn Fn() -> Result<CallClient, ClientError> + Send + Sync>;

/// Imports operations of another node: those that patterns name, that the other node lets this one call, and that not
/// every node has anyway. Calls of theirs go to the other node, which sees this one as their caller and the end user as
/// `forwarded_for`.
pub struct FromCall {
    source: ClientSource,
    operations: Vec<OperationPattern>,
}

impl FromCall {
    /// Imports what `operations` name from the peer that `source` gives the client of, asked for each call anew.
    pub fn new(
        source: impl Fn() -> Result<CallClient, ClientError> + Send + Sync + 'static,
        operations: Vec<OperationPattern>,
    ) -> Self {
        Self { source: Arc::new(source), operations }
    }

    /// The descriptions of the operations, as the other node gives them.
    ///
    /// # Errors
    /// When it cannot be reached, or answers what describes no operations. An operation whose description this node does
    /// not understand is left out, and named in the log.
    pub async fn specs(&self) -> Result<Vec<OperationSpec>, AdapterError> {
        let client = (self.source)().map_err(unreachable)?;
        let answer = client.call("services/schema", &Value::Null).await.map_err(unreachable)?;
        let Some(operations) = answer.get("operations").and_then(Value::as_array) else {
            return Err(AdapterError::Misunderstood("the answer of /services/schema has no operations".into()));
        };
        Ok(operations.iter().filter_map(understood).filter(|spec| self.wants(spec)).collect())
    }

    fn wants(&self, spec: &OperationSpec) -> bool {
        let first = spec.name.as_str().split('/').next().unwrap_or_default();
        !BUILT_IN.contains(&first) && self.operations.iter().any(|pattern| pattern.matches(&spec.name))
    }

    /// What runs an operation of the other node.
    pub(crate) fn forward(&self, spec: &OperationSpec) -> Forward {
        Forward { source: self.source.clone(), operation: spec.name.as_str().into() }
    }
}

impl OperationAdapter for FromCall {
    fn provenance(&self) -> Provenance {
        Provenance::FromCall
    }

    fn import(&self) -> BoxFuture<'_, Result<Vec<Bundle>, AdapterError>> {
        Box::pin(async {
            let specs = self.specs().await?;
            let bundle = |spec: OperationSpec| {
                let forward = self.forward(&spec);
                let bundle = match spec.kind {
                    OperationKind::Call => Bundle::call(spec, forward),
                    OperationKind::Subscription => Bundle::subscription(spec, forward),
                };
                bundle.with_provenance(Provenance::FromCall)
            };
            Ok(specs.into_iter().map(bundle).collect())
        })
    }
}

fn unreachable(error: ClientError) -> AdapterError {
    AdapterError::Unreachable(Box::new(error))
}

fn understood(json: &Value) -> Option<OperationSpec> {
    OperationSpec::from_json(json)
        .inspect_err(|error| tracing::warn!("an operation of the peer's is not understood and left out: {error}"))
        .ok()
}

/// Passes calls of one operation on to the node that has it.
#[derive(Clone)]
pub(crate) struct Forward {
    source: ClientSource,
    operation: Arc<str>,
}

impl Forward {
    pub(crate) async fn run(self, context: OperationContext, input: Value) -> Result<Value, CallError> {
        let client = (self.source)().map_err(ClientError::into_call_error)?;
        let options = options(&context)?.timeout(context.time_limit);
        client.call_with(&self.operation, &input, options).await.map_err(ClientError::into_call_error)
    }
}

impl OperationHandler for Forward {
    fn call(&self, context: OperationContext, input: Value) -> BoxFuture<'static, Result<Value, CallError>> {
        Box::pin(self.clone().run(context, input))
    }
}

impl SubscriptionHandler for Forward {
    fn subscribe(&self, context: OperationContext, input: Value) -> EventStream {
        let this = self.clone();
        let begin = async move {
            let client = (this.source)().map_err(ClientError::into_call_error)?;
            let subscription = client.subscribe_with(&this.operation, &input, options(&context)?).await;
            let subscription = subscription.map_err(ClientError::into_call_error)?;
            Ok::<_, CallError>(subscription.map(|event| event.map_err(ClientError::into_call_error)))
        };
        let flatten = |begun| match begun {
            Ok(events) => stream::StreamExt::left_stream(events),
            Err(error) => stream::StreamExt::right_stream(stream::once(std::future::ready(Err(error)))),
        };
        Box::pin(stream::once(begin).map(flatten).flatten())
    }
}

/// How long what is said of the end user may be, in bytes of JSON. Each hub on the way adds a level.
pub(crate) const MAX_FORWARDED_FOR: usize = 2048;

/// Says for whom the call is made: whoever calls here; and for whom that one calls in turn, if it may speak for others.
/// What anybody else claims stays here, so that no log further on names who had nothing to do with it.
fn options(context: &OperationContext) -> Result<CallOptions, CallError> {
    let identity = context.identity.as_ref();
    let id = identity.map(|identity| &*identity.id);
    let speaks_for_others = identity.is_some_and(|identity| identity.has_scope(&Scope::call_forward()));
    let whom = match context.forwarded_for.as_ref().filter(|_| speaks_for_others) {
        Some(further) => json!({ "id": id, "forwarded_for": further }),
        None => json!({ "id": id }),
    };
    if whom.to_string().len() > MAX_FORWARDED_FOR {
        return Err(CallError::invalid_input(format!("forwarded_for has more than {MAX_FORWARDED_FOR} bytes")));
    }
    Ok(CallOptions::new().forwarded_for(whom))
}
