//! `node/handlers`, `node/peers` and `node/connections`: what an operator wants to see of a node at a glance.

use std::sync::{Arc, Weak};

use alknet_call::{Access, CallError, ErrorCode, OperationContext, OperationName, OperationSpec, Schema};
use alknet_core::{OpenConnection, Scope};
use serde_json::{Value, json};

use super::assembly::{Node, StartError};
use crate::config::PeerEntry;
use crate::handlers::{HANDLERS, HandlerInfo};

/// How many connections are shown: the newest ones.
const MOST_CONNECTIONS: usize = 256;

pub(super) fn register(node: &Arc<Node>) -> Result<(), StartError> {
    // The registry belongs to the node, so a strong reference would keep both for ever.
    let weak = Arc::downgrade(node);
    let operations = &node.ground.operations;
    let this = weak.clone();
    operations.register(handlers_spec(), move |_: OperationContext, _| {
        let output = upgrade(&this).map(|node| handlers(&node));
        async { output }
    })?;
    let this = weak.clone();
    operations.register(connections_spec(), move |_: OperationContext, _| {
        let output = upgrade(&this).map(|node| connections(&node));
        async { output }
    })?;
    operations.register(peers_spec(), move |_: OperationContext, _| {
        let node = upgrade(&weak);
        async move { Ok(peers(&*node?).await) }
    })?;
    Ok(())
}

fn upgrade(node: &Weak<Node>) -> Result<Arc<Node>, CallError> {
    node.upgrade().ok_or_else(|| CallError::new(ErrorCode::Unavailable, "the node shuts down"))
}

fn handlers_spec() -> OperationSpec {
    let fields = json!({ "name": { "type": "string" }, "alpns": texts(), "built": boolean(), "serves": boolean() });
    admin("node/handlers", "Lists the handlers that there are, and which of them this node serves", "handlers", fields)
}

fn handlers(node: &Node) -> Value {
    let served = node.handlers.alpns();
    let serves = |handler: &HandlerInfo| {
        handler.alpns.iter().all(|alpn| served.iter().any(|is| is.as_bytes() == alpn.as_bytes()))
    };
    let entry = |handler: &HandlerInfo| json!({ "name": handler.name, "alpns": handler.alpns, "built": handler.is_built, "serves": serves(handler) });
    json!({ "handlers": HANDLERS.iter().map(entry).collect::<Vec<_>>() })
}

fn peers_spec() -> OperationSpec {
    let fields = json!({
        "id": { "type": "string" },
        "enabled": boolean(),
        "scopes": texts(),
        "fingerprints": texts(),
        "tokens": { "type": "integer" },
        "address": { "type": ["string", "null"] },
        "connect": boolean(),
    });
    admin("node/peers", "Lists the peers that the configuration has", "peers", fields)
}

async fn peers(node: &Node) -> Value {
    let config = node.config.lock().await;
    json!({ "peers": config.peers.iter().map(peer).collect::<Vec<_>>() })
}

/// Of its tokens, only how many there are.
fn peer(entry: &PeerEntry) -> Value {
    json!({
        "id": entry.id.as_str(),
        "enabled": entry.enabled,
        "scopes": entry.scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        "fingerprints": entry.fingerprints.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "tokens": entry.tokens.len(),
        "address": entry.address.as_ref().map(ToString::to_string),
        "connect": entry.connect,
    })
}

fn connections_spec() -> OperationSpec {
    let fields = json!({
        "id": { "type": "integer" },
        "alpn": { "type": "string" },
        "peer": { "type": ["string", "null"] },
        "transport": { "type": "string" },
        "remote": { "type": ["string", "null"] },
        "since_seconds": { "type": "integer" },
    });
    let about = "Lists the newest connections of those that are open; a peer is named if its key is known";
    admin("node/connections", about, "connections", fields)
}

fn connections(node: &Node) -> Value {
    let (newest, total) = node.endpoint.status().newest_connections(MOST_CONNECTIONS);
    json!({ "connections": newest.iter().map(connection).collect::<Vec<_>>(), "total": total })
}

fn connection(open: &OpenConnection) -> Value {
    json!({
        "id": open.id,
        "alpn": open.alpn.to_string(),
        "peer": open.peer.as_deref(),
        "transport": open.transport,
        "remote": open.remote,
        "since_seconds": open.since.elapsed().as_secs(),
    })
}

/// An operation for the operator, whose output has one list. A test sees to it that its schema is one.
fn admin(name: &'static str, about: &str, list: &str, fields: Value) -> OperationSpec {
    let required: Vec<_> = fields.as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect();
    let item = json!({ "type": "object", "properties": fields, "required": required });
    let output =
        json!({ "type": "object", "properties": { list: { "type": "array", "items": item } }, "required": [list] });
    OperationSpec::new(OperationName::from_static(name))
        .with_description(about)
        .with_access(Access::Scopes(vec![Scope::node_admin()]))
        .with_input(Schema::new(Value::Bool(true)).ok())
        .with_output(Schema::new(output).ok())
}

fn texts() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_describes_what_it_gives_to_the_operator_alone() {
        for spec in [handlers_spec(), peers_spec(), connections_spec()] {
            assert!(spec.input.is_some() && spec.output.is_some(), "{}", spec.name);
            assert_eq!(spec.access, Access::Scopes(vec![Scope::node_admin()]), "{}", spec.name);
        }
    }

    #[test]
    fn of_a_token_nothing_is_shown() {
        let hash = alknet_core::TokenHash::of("alk_secret").to_string();
        let text = format!("[[peers]]\nid = \"alice\"\ntoken_sha256 = \"{hash}\"\nscopes = [\"tty:*\"]\n");
        let config = crate::config::parse(&text, std::path::Path::new("alknet.toml")).unwrap();
        let shown = json!({ "peers": config.peers.iter().map(peer).collect::<Vec<_>>() });
        peers_spec().output.unwrap().validate(&shown).unwrap();
        assert_eq!((&shown["peers"][0]["tokens"], &shown["peers"][0]["scopes"]), (&json!(1), &json!(["tty:*"])));
        assert!(!shown.to_string().contains(&hash));
    }
}
