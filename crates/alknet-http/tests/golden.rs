//! The description of a fixed set of operations, byte for byte as it stands in `tests/golden/`.
//!
//! A description that changes by accident breaks the programs that were made of it. One that is meant to change is looked
//! at in the difference, and copied.
#![allow(clippy::panic, clippy::unwrap_used, reason = "these are tests")]

use alknet_call::{
    Access, Bundle, CallError, Capabilities, ErrorSpec, OperationContext, OperationName, OperationSpec, Provenance,
    Registry, Schema,
};
use alknet_core::Identity;
use alknet_http::{ApiInfo, openapi_for};
use futures_util::stream;
use serde_json::{Value, json};
use std::path::Path;

const SECRET: &str = "sk-golden-secret";

#[test]
fn an_operators_description() {
    check("operator.json", &describe(&["shop:*", "tree:read"]));
}

#[test]
fn a_guests_description() {
    check("guest.json", &describe(&[]));
}

#[test]
fn neither_where_an_operation_comes_from_nor_its_credential_shows() {
    let text = describe(&["shop:*", "tree:read"]).to_string();
    assert!(text.contains("/shop/pay"));
    for hidden in [SECRET, "card-credential", "FromOpenApi", "openapi-import", "hidden"] {
        assert!(!text.to_lowercase().contains(&hidden.to_lowercase()), "{hidden} shows");
    }
}

fn check(file: &str, description: &Value) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let actual = serde_json::to_string_pretty(description).unwrap() + "\n";
    if std::fs::read_to_string(&golden).unwrap_or_default() == actual {
        return;
    }
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    std::fs::write(&new, actual).unwrap();
    let (new, golden) = (new.display(), golden.display());
    panic!("the description is not what {golden} has.\nSee:  diff -u {golden} {new}\nTake: cp {new} {golden}");
}

fn describe(scopes: &[&str]) -> Value {
    let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    let bearer = Identity { id: "bearer".into(), scopes, resources: Default::default() };
    openapi_for(&registry(), Some(&bearer), &ApiInfo::new("Golden").with_description("A fixed set."))
}

fn registry() -> Registry {
    let registry = Registry::new();
    let call = |spec| Bundle::call(spec, async |_: OperationContext, input: Value| Ok(input));
    for spec in [info(), order(), cancel(), orders(), grow()] {
        registry.add(call(spec)).unwrap();
    }
    let secrets = Capabilities::default().with("card-credential", SECRET.to_owned());
    registry
        .add(call(pay()).with_provenance(Provenance::FromOpenApi).exported().with_capabilities(secrets.clone()))
        .unwrap();
    registry.add(call(spec("shop/hidden", "Imported")).with_provenance(Provenance::FromOpenApi)).unwrap();
    let watch = |_: OperationContext, _: Value| stream::empty::<Result<Value, CallError>>();
    registry.add(Bundle::subscription(follow(), watch)).unwrap();
    registry
}

fn spec(name: &'static str, description: &str) -> OperationSpec {
    OperationSpec::new(OperationName::from_static(name)).with_description(description)
}

fn scope(text: &str) -> Access {
    Access::Scopes(vec![text.parse().unwrap()])
}

fn schema(json: Value) -> Schema {
    Schema::new(json).unwrap()
}

/// For everybody, with an input that is not looked at.
fn info() -> OperationSpec {
    spec("node/info", "Says which node this is")
        .with_input(schema(json!(true)))
        .with_output(schema(json!({ "type": "object", "properties": { "name": { "type": "string" } } })))
}

/// Spawns, has definitions and errors of its own.
fn order() -> OperationSpec {
    let input = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://shop.example/order",
        "type": "object",
        "properties": {
            "lines": { "type": "array", "items": { "$ref": "#/$defs/line" }, "minItems": 1 },
            "to": { "$ref": "#/$defs/postal%20address" },
            "bill_to": { "$ref": "#/$defs/postal%20address" },
            "note": { "type": ["string", "null"], "default": "" },
        },
        "required": ["lines", "to"],
        "additionalProperties": false,
        "$defs": {
            "line": {
                "type": "object",
                "properties": { "article": { "type": "string" }, "count": { "type": "integer", "minimum": 1 } },
                "required": ["article"],
            },
            "postal address": { "type": "object", "properties": { "street": true } },
        },
    });
    let details = json!({ "type": "object", "properties": { "missing": { "$ref": "#/$defs/articles" } },
        "$defs": { "articles": { "type": "array", "items": { "type": "string" } } } });
    spec("shop/order", "Orders things. They are paid for later, with `shop/pay`.")
        .with_access(scope("shop:order"))
        .with_input(schema(input))
        .with_output(schema(json!({ "type": "object", "properties": { "id": { "type": "string" } } })))
        .with_spawns("order", "/id".parse().unwrap())
        .with_error(ErrorSpec::new("SOLD_OUT", "There are not enough of them").with_details(schema(details)))
        .with_error(ErrorSpec::new("CLOSED", "The shop is closed"))
        .with_error(ErrorSpec::new("RESOURCE_EXHAUSTED", "There are too many open orders."))
}

/// On one resource, with an empty answer.
fn cancel() -> OperationSpec {
    let input = json!({ "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"] });
    spec("shop/cancel", "Cancels an order")
        .with_access(scope("shop:order"))
        .with_input(schema(input))
        .with_resource("order", "end", Some("/id".parse().unwrap()))
        .with_error(ErrorSpec::new("SENT", "It is on its way"))
}

/// On all resources.
fn orders() -> OperationSpec {
    let order = json!({ "type": "object", "properties": { "id": { "type": "string" } } });
    let output = json!({ "type": "object", "properties": { "orders": { "type": "array", "items": order } } });
    spec("shop/list", "Lists the caller's orders")
        .with_access(scope("shop:read"))
        .with_output(schema(output))
        .with_resource("order", "list", None)
        .with_lists("order", "/orders".parse().unwrap(), "/id".parse().unwrap())
}

/// Imported and exported again, with a credential, in an older draft.
fn pay() -> OperationSpec {
    let input = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "amount": { "items": [{ "type": "number" }, { "$ref": "#/definitions/currency" }], "additionalItems": false },
        },
        "dependencies": { "amount": ["order"] },
        "definitions": { "currency": { "enum": ["EUR", "USD"] } },
    });
    spec("shop/pay", "Pays for an order").with_access(scope("shop:pay")).with_input(schema(input))
}

/// A subscription that can be resumed.
fn follow() -> OperationSpec {
    let event = json!({ "oneOf": [{ "$ref": "#/$defs/moved" }, { "type": "null" }],
        "$defs": { "moved": { "type": "object", "properties": { "where": { "type": "string" } } } } });
    spec("shop/track/follow", "Tells where an order is")
        .with_input(schema(json!({ "type": "object", "required": ["id"] })))
        .with_output(schema(event))
        .with_resource("order", "read", Some("/id".parse().unwrap()))
        .with_resumes("/where".parse().unwrap(), "/after".parse().unwrap())
}

/// Recursive in both directions, once through the whole of it.
fn grow() -> OperationSpec {
    let tree = json!({ "type": "object", "properties": {
        "children": { "type": "array", "items": { "$ref": "#" } },
        "value": { "type": "integer" },
        "twin": { "$ref": "#/properties/value" },
    } });
    let forest = json!({ "type": "array", "items": { "$ref": "#/$defs/node" },
        "$defs": { "node": { "type": "object", "properties": { "next": { "$ref": "#/$defs/node" } } } } });
    spec("tree/grow", "Makes a forest of a tree")
        .with_access(scope("tree:read"))
        .with_input(schema(tree))
        .with_output(schema(forest))
}
