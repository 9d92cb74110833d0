//! The descriptions of the operations, and with them what a caller can have the node read and keep.

use alknet_call::{Access, OperationName, OperationSpec, Schema};
use alknet_core::Scope;
use serde_json::{Value, json};

use super::{DEFAULT_LIFETIME, MAX_LIFETIME};

pub(super) fn invite() -> OperationSpec {
    let mut input = peer(&["id"]);
    let lifetime = json!({
        "type": "integer", "minimum": 1, "maximum": MAX_LIFETIME.as_secs(), "default": DEFAULT_LIFETIME.as_secs(),
    });
    property(&mut input, "expires_seconds", lifetime);
    property(&mut input, "unless_known", json!({ "type": "boolean" }));
    let output = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "known": { "type": "boolean" },
            "link": { "type": "string" },
            "address": { "type": "string" },
            "address_from": { "enum": ["given", "listen", "route"] },
            "expires": { "type": "integer" },
            "replaces": { "type": "boolean" },
        },
        "required": ["id", "known"],
    });
    let about =
        "Makes a link by which one node can join as a peer, once; with unless_known, not if there is such a peer";
    admin("peers/invite", about, input, output)
}

pub(super) fn invitations() -> OperationSpec {
    let item = json!({ "type": "object", "required": ["id", "scopes", "resources", "expires", "expires_in_seconds"] });
    admin("peers/invitations", "Lists the invitations that are open", json!(true), list("invitations", &item))
}

pub(super) fn uninvite() -> OperationSpec {
    admin("peers/uninvite", "Revokes the invitation of an id", only_id(), json!(true))
}

pub(super) fn add() -> OperationSpec {
    let mut input = peer(&["id", "fingerprint"]);
    property(&mut input, "fingerprint", json!({ "type": "string", "maxLength": 100 }));
    property(&mut input, "connect", json!({ "type": "boolean" }));
    let about =
        "Adds a node as a peer, beside those of the configuration; without scopes and resources it keeps those it has";
    admin("peers/add", about, input, json!(true))
}

pub(super) fn remove() -> OperationSpec {
    admin("peers/remove", "Removes a peer that has joined; its connections end", only_id(), json!(true))
}

pub(super) fn joined() -> OperationSpec {
    let item =
        json!({ "type": "object", "required": ["id", "fingerprints", "scopes", "resources", "address", "connect"] });
    admin("peers/joined", "Lists the peers that have joined", json!(true), list("peers", &item))
}

pub(super) fn join() -> OperationSpec {
    let input = json!({
        "type": "object",
        "properties": { "token": { "type": "string", "maxLength": 64 } },
        "required": ["token"],
    });
    let output = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "name": { "type": "string" },
            "scopes": { "type": "array", "items": { "type": "string" } },
            "resources": { "type": "object" },
        },
        "required": ["id", "name", "scopes", "resources"],
    });
    describe("peers/join", "Makes the caller's key a peer's, for the token of an invitation", input, output)
        .with_access(Access::Public)
}

fn admin(name: &'static str, description: &str, input: Value, output: Value) -> OperationSpec {
    describe(name, description, input, output).with_access(Access::Scopes(vec![Scope::node_admin()]))
}

/// A test sees to it that each of the schemas is one.
fn describe(name: &'static str, description: &str, input: Value, output: Value) -> OperationSpec {
    OperationSpec::new(OperationName::from_static(name))
        .with_description(description)
        .with_input(Schema::new(input).ok())
        .with_output(Schema::new(output).ok())
}

fn id() -> Value {
    json!({ "type": "string", "maxLength": 64 })
}

fn only_id() -> Value {
    json!({ "type": "object", "properties": { "id": id() }, "required": ["id"], "additionalProperties": false })
}

fn peer(required: &[&str]) -> Value {
    let names =
        json!({ "type": "array", "maxItems": 256, "items": { "type": "string", "minLength": 1, "maxLength": 256 } });
    json!({
        "type": "object",
        "properties": {
            "id": id(),
            "address": { "type": "string", "maxLength": 264 },
            "scopes": { "type": "array", "maxItems": 128, "items": { "type": "string", "maxLength": 129 } },
            "resources": {
                "type": "object",
                "maxProperties": 32,
                "propertyNames": { "minLength": 1, "maxLength": 64 },
                "additionalProperties": names,
            },
        },
        "required": required,
        "additionalProperties": false,
    })
}

fn property(schema: &mut Value, name: &str, value: Value) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(name.to_owned(), value);
    }
}

fn list(name: &str, item: &Value) -> Value {
    let items = json!({ "type": "array", "items": item });
    let properties = std::iter::once((name.to_owned(), items)).collect::<serde_json::Map<_, _>>();
    json!({ "type": "object", "properties": properties, "required": [name] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_one_and_only_joining_is_for_anybody() {
        for spec in [invite(), invitations(), uninvite(), add(), remove(), joined(), join()] {
            assert!(spec.input.is_some() && spec.output.is_some(), "{}", spec.name);
            let public = spec.access == Access::Public;
            assert_eq!(public, spec.name.as_str() == "peers/join", "{}", spec.name);
        }
    }

    #[test]
    fn what_a_caller_can_have_kept_is_bounded() {
        let input = invite().input.unwrap();
        assert!(input.validate(&json!({ "id": "a", "scopes": ["tty:*"], "resources": { "repo": ["site"] } })).is_ok());
        for wrong in [
            json!({ "id": "a", "expires_seconds": MAX_LIFETIME.as_secs() + 1 }),
            json!({ "id": "a", "expires_seconds": 0 }),
            json!({ "id": "a".repeat(65) }),
            json!({ "id": "a", "resources": { "repo": ["x".repeat(257)] } }),
            json!({ "id": "a", "resources": { "": ["x"] } }),
            json!({ "id": "a", "connect": true }),
        ] {
            assert!(input.validate(&wrong).is_err(), "{wrong}");
        }
    }
}
