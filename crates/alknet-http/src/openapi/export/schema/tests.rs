use alknet_call::SchemaError;
use proptest::prelude::*;

use super::*;

/// What becomes of a schema under the name `a.b.Input`.
fn lifted(schema: Value) -> BTreeMap<String, Value> {
    let mut schemas = Schemas::default();
    let place = schemas.take("a.b.Input", Some(&Schema::new(schema).unwrap()));
    assert_eq!(place, reference("a.b.Input"));
    schemas.by_name
}

fn only(schema: Value) -> Value {
    let all = lifted(schema);
    assert_eq!(all.len(), 1, "{all:?}");
    all["a.b.Input"].clone()
}

/// The lifted schemas as one that stands alone, to see what it accepts.
fn alone(all: &BTreeMap<String, Value>) -> Value {
    json!({ "$ref": reference("a.b.Input")["$ref"], "components": { "schemas": all } })
}

/// A schema, unless a check with it could cost too much.
fn cheap(schema: Value) -> Option<Schema> {
    match Schema::new(schema) {
        Err(SchemaError::TooIntricate(_)) => None,
        schema => Some(schema.unwrap()),
    }
}

#[test]
fn definitions_become_components_and_references_go_there() {
    let all = lifted(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:tree",
        "type": "object",
        "properties": { "tree": { "$ref": "#/$defs/node" }, "again": { "$ref": "#/$defs/node", "description": "x" } },
        "$defs": {
            "node": { "type": "object", "properties": { "children": { "items": { "$ref": "#/$defs/node" } } } },
            "unused": { "type": "null" },
        },
    }));
    assert_eq!(
        json!(all),
        json!({
            "a.b.Input": { "type": "object", "properties": {
                "tree": { "$ref": "#/components/schemas/a.b.Input.node" },
                "again": { "$ref": "#/components/schemas/a.b.Input.node", "description": "x" },
            } },
            "a.b.Input.node": { "type": "object", "properties": {
                "children": { "items": { "$ref": "#/components/schemas/a.b.Input.node" } },
            } },
        })
    );
}

#[test]
fn what_is_referred_to_stands_once_wherever_it_stood() {
    let all = lifted(json!({
        "properties": { "first": { "enum": [1, 2] }, "second": { "$ref": "#/properties/first" }, "self": { "$ref": "#" } },
    }));
    assert_eq!(all["a.b.Input"]["properties"]["first"], all["a.b.Input"]["properties"]["second"]);
    assert_eq!(all["a.b.Input"]["properties"]["self"], reference("a.b.Input"));
    assert_eq!(all["a.b.Input.first"], json!({ "enum": [1, 2] }));
}

#[test]
fn objects_within_are_named_after_the_fields_that_they_stand_in() {
    let code = json!({ "type": "object", "properties": { "code": { "type": "integer" } } });
    let labels = json!({ "type": ["object", "null"], "additionalProperties": { "type": "string" } });
    let all = lifted(json!({ "properties": {
        "rows": { "type": "array", "items": { "properties": { "labels": labels } } },
        "exit": { "oneOf": [code, { "properties": { "signal": true } }, { "type": "null" }] },
        "anything": { "type": "object" },
    } }));
    let names: Vec<_> = all.keys().map(|name| name.trim_start_matches("a.b.Input")).collect();
    assert_eq!(names, ["", ".exit.0", ".exit.1", ".rows", ".rows.labels"]);
    assert_eq!(all["a.b.Input.rows.labels"], json!({ "type": "object", "additionalProperties": { "type": "string" } }));
    let fields = &all["a.b.Input"]["properties"];
    assert_eq!(fields["rows"], json!({ "type": "array", "items": reference("a.b.Input.rows") }));
    assert_eq!(
        (&fields["exit"]["oneOf"][0], &fields["exit"]["oneOf"][2]),
        (&reference("a.b.Input.exit.0"), &json!({ "type": "null" }))
    );
    assert_eq!(fields["anything"], json!({ "type": "object" }));

    let all = lifted(json!({ "items": { "properties": { "a": true } } }));
    assert_eq!(all.keys().collect::<Vec<_>>(), ["a.b.Input", "a.b.Input.items"]);
}

#[test]
fn an_object_that_may_be_null_has_a_name_without_the_null() {
    let nullable = |name: &str| json!({ "oneOf": [reference(name), { "type": "null" }] });
    let person = json!({ "type": ["object", "null"], "properties": { "name": true }, "default": null });
    let mut schemas = Schemas::default();
    let place = schemas.take("a.b.Input", Some(&Schema::new(person.clone()).unwrap()));
    assert_eq!(place, nullable("a.b.Input"));
    assert_eq!(schemas.by_name["a.b.Input"], json!({ "type": "object", "properties": { "name": {} } }));

    // References to it may have company.
    let all = lifted(json!({
        "properties": {
            "plain": { "$ref": "#/$defs/person" },
            "more": { "$ref": "#/$defs/person", "oneOf": [true], "allOf": [true] },
        },
        "$defs": { "person": person },
    }));
    let fields = &all["a.b.Input"]["properties"];
    assert_eq!(fields["plain"], nullable("a.b.Input.person"));
    assert_eq!(fields["more"], json!({ "oneOf": [{}], "allOf": [{}, nullable("a.b.Input.person")] }));

    // So it is where no name was looked for: within something that is no keyword.
    let inner = json!({ "type": ["object", "null"], "properties": { "b": {} } });
    let all = lifted(json!({ "$ref": "#/x", "x": { "properties": { "a": inner } } }));
    assert_eq!(all["a.b.Input.x"], json!({ "properties": { "a": inner } }));

    // Where more than the type speaks of null, all stays as it is.
    let closed = json!({ "type": ["object", "null"], "properties": { "name": {} }, "not": { "const": null } });
    assert_eq!(only(closed.clone()), closed);
}

#[test]
fn names_do_not_grow_with_the_depth() {
    let mut schema = json!({ "properties": { "leaf": true } });
    for _ in 0..40 {
        schema = json!({ "properties": { ("x".repeat(100)): schema } });
    }
    let all = lifted(schema);
    assert!(all.len() == 41 && all.keys().all(|name| name.len() < 400));
}

#[test]
fn data_that_looks_like_a_reference_stays_data() {
    let schema = json!({ "properties": { "$ref": { "const": { "$ref": "#/x" } } }, "default": { "$defs": 1 } });
    assert_eq!(only(schema.clone()), schema);
}

#[test]
fn names_are_told_apart_even_by_a_generator() {
    let all = lifted(json!({
        "properties": {
            "a": { "$ref": "#/$defs/some%20item" },
            "b": { "$ref": "#/$defs/someItem" },
            "c": { "$ref": "#/$defs/~1" },
        },
        "$defs": { "some item": { "const": 1 }, "someItem": { "const": 2 }, "/": { "const": 3 } },
    }));
    let names: Vec<_> = all.keys().map(String::as_str).collect();
    assert_eq!(names, ["a.b.Input", "a.b.Input.1", "a.b.Input.some-item", "a.b.Input.someItem-2"]);
}

#[test]
fn booleans_are_written_as_objects_where_generators_want_them() {
    let schema = json!({ "properties": { "any": true, "none": false }, "additionalProperties": false });
    let expected = json!({ "properties": { "any": {}, "none": { "not": {} } }, "additionalProperties": false });
    assert_eq!(only(schema), expected);
    let mut schemas = Schemas::default();
    assert_eq!(schemas.take("x", Some(&Schema::new(json!(true)).unwrap())), json!({}));
    assert_eq!(schemas.take("x", Some(&Schema::new(json!(false)).unwrap())), json!({ "not": {} }));
    assert_eq!(schemas.take("x", None), json!({}));
    assert!(schemas.by_name.is_empty());
}

#[test]
fn older_drafts_keep_their_meaning() {
    let all = lifted(json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {
            "pair": { "items": [{ "type": "string" }, { "$ref": "#/definitions/n", "minimum": 9 }], "additionalItems": false },
            "plain": { "items": { "type": "string" }, "additionalItems": false },
        },
        "dependencies": { "pair": ["plain"], "plain": { "required": ["pair"] } },
        "dependentRequired": { "pair": ["nothing"] },
        "definitions": { "n": { "type": "integer" } },
    }));
    assert_eq!(
        all["a.b.Input"],
        json!({
            "properties": {
                "pair": {
                    "prefixItems": [{ "type": "string" }, { "$ref": "#/components/schemas/a.b.Input.n" }],
                    "items": { "not": {} },
                },
                "plain": { "items": { "type": "string" } },
            },
            "dependentRequired": { "pair": ["plain"] },
            "dependentSchemas": { "plain": { "required": ["pair"] } },
        })
    );
}

#[test]
fn a_schema_made_to_be_copied_over_and_over_is_not() {
    // Each reference leads one level deeper into a value that is copied as it is.
    let mut inner = json!({ "text": "x".repeat(100_000) });
    for _ in 0..60 {
        inner = json!({ "a": inner });
    }
    let references: Vec<_> = (1..60).map(|depth| json!({ "$ref": format!("#/x{}", "/a".repeat(depth)) })).collect();
    let schema = Schema::new(json!({ "x": inner, "anyOf": references })).unwrap();
    let mut schemas = Schemas::default();
    assert!(schemas.take("a.b.Input", Some(&schema))["description"].as_str().unwrap().contains("services/schema"));
    assert!(schemas.by_name.is_empty());
}

/// Schemas with references, and values that may or may not fit them.
fn schema_and_value() -> impl Strategy<Value = (Value, Value)> {
    let leaf = prop_oneof![
        Just(json!({ "type": "integer" })),
        Just(json!({ "type": "string" })),
        Just(json!({ "enum": [1, "a", null] })),
        Just(json!(true)),
        Just(json!(false)),
        (0..3usize).prop_map(|n| json!({ "properties": { "a": { "$ref": format!("#/$defs/d{n}") } } })),
        Just(json!({ "properties": { "b": { "$ref": "#" } } })),
        Just(json!({ "type": ["null", "object"], "properties": { "b": { "$ref": "#/$defs/d1", "enum": [1, null] } } })),
        Just(json!({ "properties": { "b": { "$ref": "#/$defs/d0/properties/a" } } })),
    ];
    let schema = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({ "anyOf": all })),
            inner.clone().prop_map(|one| json!({ "not": one })),
            inner.clone().prop_map(|one| json!({ "items": one })),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| json!({ "properties": { "a": a }, "additionalProperties": b })),
            (inner.clone(), inner).prop_map(|(a, b)| json!({ "prefixItems": [a], "items": b })),
        ]
    });
    let value = prop_oneof![Just(json!(1)), Just(json!("a")), Just(Value::Null), Just(json!(1.5))].prop_recursive(
        3,
        12,
        3,
        |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|fields| json!(fields)),
            ]
        },
    );
    (schema.clone(), schema.clone(), schema.clone(), schema, value).prop_map(|(root, first, d1, d2, value)| {
        let d0 = json!({ "properties": { "a": first } });
        let definitions = json!({ "d0": d0, "d1": d1, "d2": d2 });
        (json!({ "properties": { "a": root }, "$defs": definitions, "items": { "$ref": "#/$defs/d1" } }), value)
    })
}

proptest! {
    #[test]
    fn a_lifted_schema_accepts_what_it_did((schema, value) in schema_and_value()) {
        let Some(original) = cheap(schema.clone()) else { return Ok(()) };
        let all = lifted(schema);
        let Some(lifted) = cheap(alone(&all)) else { return Ok(()) };
        prop_assert_eq!(original.validate(&value).is_ok(), lifted.validate(&value).is_ok(), "{:?}", all);
    }
}
