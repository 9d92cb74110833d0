//! `node/info`: which node this is.

use std::net::SocketAddr;
use std::time::Instant;

use alknet_core::{Alpn, Fingerprint, Scope};
use serde_json::{Value, json};

use super::{anything, spec};
use crate::{Access, CallError, NameTaken, OperationContext, OperationSpec, Registry};

/// What a node can say of itself.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// Its name in the fleet.
    pub name: String,
    /// The version of the program.
    pub version: String,
    /// The name of its key.
    pub fingerprint: Fingerprint,
    /// What it serves, the preferred first.
    pub alpns: Vec<Alpn>,
    /// Where it listens. Shown to holders of `node:admin` only.
    pub listen: Vec<SocketAddr>,
    /// When it started.
    pub started: Instant,
    /// How many connections are open. Shown to holders of `node:admin` only.
    pub connections: usize,
}

pub(super) fn register(
    registry: &Registry,
    facts: impl Fn() -> NodeFacts + Send + Sync + 'static,
) -> Result<(), NameTaken> {
    registry.register(info_spec(), move |context: OperationContext, _| {
        let output = info(&facts(), &context);
        async { output }
    })
}

fn info_spec() -> OperationSpec {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let output = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "version": { "type": "string" },
            "fingerprint": { "type": "string" },
            "alpns": texts,
            "uptime_seconds": { "type": "integer" },
            "caller": {
                "type": "object",
                "properties": {
                    "id": { "type": "string" },
                    "scopes": texts,
                    "fingerprint": { "type": ["string", "null"] },
                    "transport": { "type": "string" },
                    "remote": { "type": ["string", "null"] },
                },
                "required": ["id", "scopes", "fingerprint", "transport", "remote"],
            },
            "listen": texts,
            "connections": { "type": "integer" },
        },
        "required": ["name", "version", "fingerprint", "alpns", "uptime_seconds", "caller"],
    });
    spec("node/info", "Says which node this is and whom it takes the caller for", anything(), output)
        .with_access(Access::Identified)
}

fn info(facts: &NodeFacts, context: &OperationContext) -> Result<Value, CallError> {
    let identity = context.identity.as_ref().ok_or_else(|| CallError::internal("node/info ran without an identity"))?;
    let mut info = json!({
        "name": facts.name,
        "version": facts.version,
        "fingerprint": facts.fingerprint.to_string(),
        "alpns": texts(&facts.alpns),
        "uptime_seconds": facts.started.elapsed().as_secs(),
        "caller": {
            "id": &*identity.id,
            "scopes": texts(&identity.scopes),
            "fingerprint": context.peer.fingerprint.map(|fingerprint| fingerprint.to_string()),
            "transport": context.peer.transport,
            "remote": context.peer.remote,
        },
    });
    if let (Some(object), true) = (info.as_object_mut(), identity.has_scope(&Scope::node_admin())) {
        object.insert("listen".to_owned(), json!(facts.listen));
        object.insert("connections".to_owned(), json!(facts.connections));
    }
    Ok(info)
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
