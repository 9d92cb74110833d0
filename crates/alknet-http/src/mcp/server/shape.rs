//! The JSON Schemas of a tool: those of its operation, made the objects that tools take and give.

use alknet_call::{OperationKind, OperationSpec, Schema};
use rmcp::model::JsonObject;
use serde_json::{Map, Value, json};

/// Where an input or an output stands that is no object of its own.
const INPUT: &str = "input";
const OUTPUT: &str = "output";

/// What of a schema is data, and no schema.
const DATA: [&str; 5] = ["const", "default", "enum", "example", "examples"];

/// What of a schema holds schemas by names that mean nothing.
const NAMED: [&str; 5] = ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"];

/// The schema of a tool's arguments.
pub(super) fn arguments(spec: &OperationSpec) -> JsonObject {
    let schema = spec.input.as_ref().map(Schema::as_json);
    match schema {
        Some(schema) if !takes_objects(schema) => wrapped(INPUT, schema),
        Some(Value::Object(fields)) => {
            let mut fields = fields.clone();
            fields.insert("type".to_owned(), "object".into());
            fields
        }
        _ => object(json!({ "type": "object" })),
    }
}

/// The input of an operation out of the arguments of its tool. Without arguments it is an empty object.
pub(super) fn input(spec: &OperationSpec, arguments: Option<JsonObject>) -> Value {
    let mut arguments = arguments.unwrap_or_default();
    match &spec.input {
        Some(schema) if !takes_objects(schema.as_json()) => arguments.remove(INPUT).unwrap_or_default(),
        _ => Value::Object(arguments),
    }
}

/// The schema of a tool's structured content, if its operation says what it answers.
pub(super) fn content(spec: &OperationSpec) -> Option<JsonObject> {
    let schema = spec.output.as_ref().map(Schema::as_json);
    match (spec.kind, schema) {
        (OperationKind::Subscription, schema) => Some(events(schema)),
        (_, None) => None,
        (_, Some(Value::Object(fields))) if is_object(fields) => Some(fields.clone()),
        (_, Some(schema)) => Some(wrapped(OUTPUT, schema)),
    }
}

/// The output of a call as structured content, which is an object.
pub(super) fn structured(spec: &OperationSpec, output: Value) -> Value {
    let as_it_is = match spec.output.as_ref().map(Schema::as_json) {
        None => output.is_object(),
        Some(schema) => schema.as_object().is_some_and(is_object),
    };
    if as_it_is { output } else { json!({ OUTPUT: output }) }
}

/// Whether every value that fits is an object, as far as the first look tells.
fn is_object(schema: &Map<String, Value>) -> bool {
    schema.get("type").is_some_and(|kind| kind == "object")
}

/// Whether an object may fit, as far as the first look tells.
fn takes_objects(schema: &Value) -> bool {
    let Value::Object(fields) = schema else { return schema != &Value::Bool(false) };
    match fields.get("type") {
        None => true,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
    }
}

fn wrapped(field: &str, schema: &Value) -> JsonObject {
    around(
        schema,
        |schema| json!({ "type": "object", "properties": { field: schema }, "required": [field], "additionalProperties": false }),
        &format!("/properties/{field}"),
    )
}

fn events(event: Option<&Value>) -> JsonObject {
    let schema = |event| {
        json!({
            "type": "object",
            "properties": {
                "events": { "type": "array", "items": event, "description": "What came" },
                "cut": { "type": "integer", "minimum": 0, "description": "How many there was no room for: the first ones, or what would come next if nobody asked for progress" },
                "ended": { "enum": [super::call::BY_ITSELF, super::call::TIME_LIMIT, super::call::SIZE_LIMIT], "description": "Why there are no more" },
            },
            "required": ["events", "cut", "ended"],
        })
    };
    around(event.unwrap_or(&Value::Bool(true)), schema, "/properties/events/items")
}

/// A schema within another one, `at` a place of it: what refers to the root of the inner one goes on doing so.
fn around(schema: &Value, outer: impl FnOnce(Value) -> Value, at: &str) -> JsonObject {
    let mut inner = schema.clone();
    let mut dialect = None;
    if let Value::Object(fields) = &mut inner {
        // It would be the base of the references.
        fields.remove("$id");
        dialect = fields.remove("$schema");
    }
    rebase(&mut inner, at);
    let mut outer = object(outer(inner));
    outer.extend(dialect.map(|dialect| ("$schema".to_owned(), dialect)));
    outer
}

fn rebase(schema: &mut Value, at: &str) {
    match schema {
        Value::Object(fields) => {
            for (keyword, value) in fields.iter_mut() {
                match (keyword.as_str(), value) {
                    ("$ref", Value::String(to)) => {
                        if let Some(pointer) = to.strip_prefix('#') {
                            *to = format!("#{at}{pointer}");
                        }
                    }
                    (keyword, Value::Object(named)) if NAMED.contains(&keyword) => {
                        named.values_mut().for_each(|schema| rebase(schema, at));
                    }
                    (keyword, _) if DATA.contains(&keyword) => {}
                    (_, value) => rebase(value, at),
                }
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(|schema| rebase(schema, at)),
        _ => {}
    }
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(fields) => fields,
        _ => JsonObject::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(input: Option<Value>, output: Option<Value>) -> OperationSpec {
        let schema = |json: Option<Value>| json.map(|json| Schema::new(json).unwrap());
        OperationSpec::new("demo/it".parse().unwrap()).with_input(schema(input)).with_output(schema(output))
    }

    #[test]
    fn arguments_are_an_object_whatever_the_operation_takes() {
        let arguments = |input: Option<Value>| Value::Object(arguments(&spec(input, None)));
        assert_eq!(arguments(None), json!({ "type": "object" }));
        assert_eq!(arguments(Some(json!(true))), json!({ "type": "object" }));
        let rows = json!({ "rows": { "type": "integer" } });
        let of = |kind: Value| json!({ "type": kind, "properties": rows });
        assert_eq!(arguments(Some(of(json!(["object", "null"])))), of(json!("object")));
        assert_eq!(arguments(Some(json!({ "properties": rows }))), of(json!("object")));
        assert_eq!(
            arguments(Some(json!({ "type": "string", "$schema": "https://json-schema.org/draft/2020-12/schema" }))),
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object", "properties": { "input": { "type": "string" } }, "required": ["input"], "additionalProperties": false,
            })
        );
    }

    #[test]
    fn the_input_is_what_the_operation_takes() {
        let arguments = || json!({ "input": "x" }).as_object().cloned();
        assert_eq!(input(&spec(None, None), arguments()), json!({ "input": "x" }));
        assert_eq!(input(&spec(None, None), None), json!({}));
        assert_eq!(input(&spec(Some(json!({ "type": ["string", "null"] })), None), arguments()), json!("x"));
        assert_eq!(input(&spec(Some(json!({ "type": "string" })), None), None), Value::Null);
    }

    #[test]
    fn references_still_lead_where_they_did() {
        let list = json!({
            "$id": "urn:list",
            "type": ["array", "null"],
            "items": { "$ref": "#/$defs/item" },
            "$defs": { "item": { "anyOf": [{ "$ref": "#" }, { "const": { "$ref": "#/x" } }] } },
        });
        let outer = content(&spec(None, Some(list))).unwrap();
        let inner = &outer["properties"]["output"];
        assert_eq!(inner["items"]["$ref"], "#/properties/output/$defs/item");
        assert_eq!(inner["$defs"]["item"]["anyOf"][0]["$ref"], "#/properties/output");
        assert_eq!(inner["$defs"]["item"]["anyOf"][1]["const"]["$ref"], "#/x");
        let schema = Schema::new(Value::Object(outer)).unwrap();
        assert!(schema.validate(&json!({ "output": [[], [null, { "$ref": "#/x" }]] })).is_ok());
        assert!(schema.validate(&json!({ "output": [5] })).is_err());
    }

    #[test]
    fn the_events_of_a_subscription_are_a_list() {
        let follow = spec(None, Some(json!({ "type": "integer" }))).with_kind(OperationKind::Subscription);
        let schema = Schema::new(Value::Object(content(&follow).unwrap())).unwrap();
        let result = |event: Value| json!({ "events": [event], "cut": 0, "ended": "end" });
        assert!(schema.validate(&result(json!(1))).is_ok() && schema.validate(&result(json!("x"))).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z]{0,4}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,3}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// What fits the operation's schema fits the tool's, as it is sent.
        #[test]
        fn structured_content_fits_the_schema_of_the_tool(
            value in any_json(),
            kind in prop_oneof![Just(json!("object")), Just(json!("array")), Just(json!(["string", "object"])), Just(json!(["integer", "null", "boolean"]))],
        ) {
            let schema = json!({ "type": kind });
            prop_assume!(Schema::new(schema.clone()).unwrap().validate(&value).is_ok());
            let spec = spec(None, Some(schema));
            let of_tool = Schema::new(Value::Object(content(&spec).unwrap())).unwrap();
            prop_assert!(of_tool.validate(&structured(&spec, value)).is_ok());
        }
    }
}
