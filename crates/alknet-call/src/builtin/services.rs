//! `services/…`: what there is to call, and where.

use std::sync::{Arc, Weak};
use std::time::Instant;

use alknet_core::{Identity, Scope};
use futures_core::Stream;
use futures_util::stream;
use serde_json::{Value, json};

use super::{anything, spec};
use crate::access::{check_caller, not_found};
use crate::{Access, Bundle, CallError, NameTaken, OperationContext, OperationSpec, Registry};

/// Another node, as this one sees it.
#[derive(Debug, Clone)]
pub struct PeerStatus {
    /// The id of the peer's entry.
    pub id: String,
    /// Whether there is a connection at this moment.
    pub connected: bool,
    /// What carries it: `quic`, `tls`, …
    pub transport: Option<&'static str>,
    /// How many of its operations can be called here.
    pub operations: usize,
    /// Since when it has been connected, or away.
    pub since: Option<Instant>,
}

pub(super) fn register(
    registry: &Arc<Registry>,
    peers: impl Fn() -> Vec<PeerStatus> + Send + Sync + 'static,
) -> Result<(), NameTaken> {
    // A strong reference would make the registry hold itself.
    let listed = Arc::downgrade(registry);
    registry.register(list_spec(), move |context: OperationContext, _| {
        let output = list(&listed, context.identity.as_deref());
        async { Ok(output) }
    })?;
    let described = Arc::downgrade(registry);
    registry.register(schema_spec(), move |context: OperationContext, input: Value| {
        let output = schema(&described, context.identity.as_deref(), &input);
        async { output }
    })?;
    let watched = Arc::downgrade(registry);
    registry.add(Bundle::subscription(watch_spec(), move |context: OperationContext, _| {
        watch(watched.clone(), context.identity)
    }))?;
    registry.register(list_peers_spec(), move |_: OperationContext, _| {
        let output = list_peers(peers());
        async { Ok(output) }
    })
}

fn list_spec() -> OperationSpec {
    let service = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "description": { "type": "string" },
            "kind": { "enum": ["call", "subscription"] },
        },
        "required": ["name", "description", "kind"],
    });
    let output = list_of("services", service);
    spec("services/list", "Lists the operations that the caller may call", anything(), output)
        .with_access(Access::Public)
}

fn list(registry: &Weak<Registry>, identity: Option<&Identity>) -> Value {
    let entry = |spec: &Arc<OperationSpec>| json!({ "name": spec.name.wire(), "description": spec.description, "kind": spec.kind.as_str() });
    json!({ "services": callable(registry, identity).iter().map(entry).collect::<Vec<_>>() })
}

fn schema_spec() -> OperationSpec {
    let input = json!({
        "type": ["object", "null"],
        "properties": { "name": { "type": ["string", "null"], "description": "Which one, as in /node/info" } },
    });
    let output = list_of("operations", json!({ "type": "object", "required": ["name", "kind", "access"] }));
    spec("services/schema", "Describes the operations that the caller may call", input, output)
        .with_access(Access::Public)
}

fn schema(registry: &Weak<Registry>, identity: Option<&Identity>, input: &Value) -> Result<Value, CallError> {
    let operations = match input.get("name").and_then(Value::as_str) {
        Some(name) => {
            let name = name.strip_prefix('/').unwrap_or(name);
            let spec = registry.upgrade().and_then(|registry| registry.spec(name));
            let spec = spec.filter(|spec| check_caller(spec, identity).is_ok());
            vec![spec.ok_or_else(|| not_found(name))?.to_json()]
        }
        None => callable(registry, identity).iter().map(|spec| spec.to_json()).collect(),
    };
    Ok(json!({ "operations": operations }))
}

fn watch_spec() -> OperationSpec {
    let output = json!({
        "type": "object", "properties": { "operations": { "type": "integer" } }, "required": ["operations"],
    });
    let description = "Tells how many operations the caller may call, and again whenever they are others";
    spec("services/watch", description, anything(), output)
}

/// Only what the caller may call counts: of other changes it learns nothing.
fn watch(
    registry: Weak<Registry>,
    identity: Option<Arc<Identity>>,
) -> impl Stream<Item = Result<Value, CallError>> + Send + 'static {
    let changes = registry.upgrade().map(|registry| registry.changes());
    stream::unfold((registry, identity, changes, None), async |(registry, identity, changes, told)| {
        let mut changes = changes?;
        loop {
            changes.mark_unchanged();
            let present = callable(&registry, identity.as_deref());
            if told.as_ref() != Some(&present) {
                let event = json!({ "operations": present.len() });
                return Some((Ok(event), (registry, identity, Some(changes), Some(present))));
            }
            changes.changed().await.ok()?;
        }
    })
}

fn callable(registry: &Weak<Registry>, identity: Option<&Identity>) -> Vec<Arc<OperationSpec>> {
    let mut specs = registry.upgrade().map(|registry| registry.specs()).unwrap_or_default();
    specs.retain(|spec| check_caller(spec, identity).is_ok());
    specs
}

fn list_peers_spec() -> OperationSpec {
    let peer = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "connected": { "type": "boolean" },
            "transport": { "type": ["string", "null"] },
            "operations": { "type": "integer" },
            "since_seconds": { "type": ["integer", "null"] },
        },
        "required": ["id", "connected", "transport", "operations", "since_seconds"],
    });
    spec("services/list-peers", "Lists the nodes that this one knows", anything(), list_of("peers", peer))
        .with_access(Access::Scopes(vec![Scope::node_admin()]))
}

fn list_peers(peers: Vec<PeerStatus>) -> Value {
    let entry = |peer: PeerStatus| {
        json!({
            "id": peer.id,
            "connected": peer.connected,
            "transport": peer.transport,
            "operations": peer.operations,
            "since_seconds": peer.since.map(|since| since.elapsed().as_secs()),
        })
    };
    json!({ "peers": peers.into_iter().map(entry).collect::<Vec<_>>() })
}

/// The schema of an object with one list.
pub(super) fn list_of(field: &str, item: Value) -> Value {
    json!({ "type": "object", "properties": { field: { "type": "array", "items": item } }, "required": [field] })
}
