//! The operations that every node has: `services/…`, `node/info`, `resources/…` and `metrics/list`.

mod metrics;
mod node;
mod resources;
mod services;

use std::sync::Arc;

use serde_json::Value;

pub use node::NodeFacts;
pub use services::PeerStatus;

use crate::{NameTaken, OperationName, OperationSpec, Registry, Schema};

/// What the built-in operations ask the node for, each time anew, so that what changes while the node runs is never stale.
#[derive(Debug, Clone)]
pub struct BuiltinSources<F, P> {
    /// What the node can say of itself.
    pub facts: F,
    /// The other nodes that it knows.
    pub peers: P,
}

/// Registers the built-in operations in `registry`. Those on resources are there if the registry has an ownership store.
///
/// - `services/list`, for anybody: `{"services": [{"name": "/node/info", "description": …, "kind": "call"}, …]}`, by
///   name, of what this caller may call.
/// - `services/schema`, for anybody: `{"operations": [description, …]}`, with the descriptions that
///   [`OperationSpec::to_json`] gives, of the operation that the input names (`{"name": "/tty/spawn"}`) or of all; what the
///   caller may not call is not there.
/// - `services/watch`, a subscription for known peers: `{"operations": number}` of what the caller may call, at first and
///   whenever that changes.
/// - `services/list-peers`, with the scope `node:admin`: `{"peers": [{"id", "connected", "transport", "operations",
///   "since_seconds"}, …]}`.
/// - `node/info`, for known peers: `name`, `version`, `fingerprint`, `alpns`, `uptime_seconds` and `caller` (`id`,
///   `scopes`, `fingerprint`, `transport`, `remote`), and to holders of `node:admin` also `listen` and `connections`.
/// - `resources/list`, for known peers: `{"resources": [{"type", "id", "claim"}, …]}` of what the caller owns, of the type
///   that the input names (`{"type": "tty"}`) or of all.
/// - `resources/watch`, a subscription for known peers: first `{"snapshot": [resource, …]}`, then `{"recorded": resource}`
///   and `{"revoked": {"type", "id"}}` as it happens; another snapshot takes the place of changes that the caller was too
///   slow for.
/// - `metrics/list`, with the scope `metrics:read`: `{"metrics": [{"name", "kind", "labels", "value", "help"}, …]}`, where
///   metrics of one name stand together, as Prometheus wants it.
///
/// # Errors
/// When one of the names is taken.
pub fn register<F, P>(registry: &Arc<Registry>, sources: BuiltinSources<F, P>) -> Result<(), NameTaken>
where
    F: Fn() -> NodeFacts + Send + Sync + 'static,
    P: Fn() -> Vec<PeerStatus> + Send + Sync + 'static,
{
    services::register(registry, sources.peers)?;
    node::register(registry, sources.facts)?;
    resources::register(registry)?;
    metrics::register(registry)
}

/// A built-in operation. A test sees to it that each of the schemas is one.
fn spec(name: &'static str, description: &str, input: Value, output: Value) -> OperationSpec {
    OperationSpec::new(OperationName::from_static(name))
        .with_description(description)
        .with_input(Schema::new(input).ok())
        .with_output(Schema::new(output).ok())
}

/// The schema of an input that is not looked at.
fn anything() -> Value {
    Value::Bool(true)
}

#[cfg(test)]
mod tests;
