use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::HashMap;

fn schema(json: Value) -> Schema {
    Schema::new(json).unwrap()
}

fn refused(json: Value) -> String {
    Schema::new(json).unwrap_err().to_string()
}

fn violations(json: Value, value: Value) -> Vec<String> {
    let error = schema(json).validate(&value).unwrap_err();
    error.iter().map(ToString::to_string).collect()
}

#[test]
fn a_violation_names_the_place_and_the_reason() {
    let terminal = json!({
        "type": "object",
        "properties": { "rows": { "type": "integer", "minimum": 1 }, "args": { "items": { "type": "string" } } },
        "required": ["command"],
        "additionalProperties": false,
    });
    let mut found = violations(terminal, json!({ "rows": 0, "args": ["a", 5], "a/b": 1 }));
    found.sort();
    assert_eq!(
        found,
        [
            "\"command\" is a required property",
            "/args/1: value is not of type \"string\"",
            "/rows: value is less than the minimum of 1",
            "Additional properties are not allowed ('a/b' was unexpected)",
        ]
    );
}

#[test]
fn a_value_is_not_echoed_and_texts_are_short() {
    let secret = "s3cret".repeat(1000);
    let found = violations(json!({ "enum": [1, 2] }), json!(secret));
    assert_eq!(found, ["value is not one of 1 or 2"]);
    let deep = (0..100).fold(json!("no"), |inner, _| json!({ "field-with-a-name": inner }));
    let anything = json!({ "additionalProperties": { "$ref": "#" }, "type": "object" });
    let found = schema(anything).validate(&deep).unwrap_err().to_string();
    assert!(found.len() < 600, "{} bytes", found.len());
    let unexpected: Map<String, Value> = (0..1000).map(|n| (format!("field-{n}"), Value::Null)).collect();
    let found = schema(json!({ "additionalProperties": false })).validate(&unexpected.into()).unwrap_err();
    assert!(found.to_string().len() < 600);
}

#[test]
fn no_more_than_eight_violations_are_told() {
    let found = violations(json!({ "items": { "type": "string" } }), json!(vec![0; 1000]));
    assert_eq!(found.len(), 8);
    assert_eq!(found[7], "/7: value is not of type \"string\"");
}

#[test]
fn a_large_value_gets_less_of_an_explanation() {
    let large = json!(vec![0; MAX_EXPLAINED]);
    assert_eq!(
        violations(json!({ "items": { "type": "string" } }), large.clone()),
        ["/0: value is not of type \"string\""]
    );
    let found = violations(json!({ "anyOf": [{ "items": { "type": "string" } }] }), large);
    assert_eq!(found, ["the value does not fit, and is too large to tell where"]);
}

#[test]
fn what_is_no_schema_is_refused() {
    for (json, expected) in [
        (json!({ "type": "text" }), "/type: "),
        (json!({ "properties": 5 }), "/properties: "),
        (json!(5), "cannot be used"),
        (json!({ "pattern": "(" }), "/pattern: "),
        (json!({ "pattern": "(?=a)b" }), "/pattern: "),
        (json!({ "$schema": "http://json-schema.org/draft-04/schema#" }), "is of the draft"),
        (json!({ "$schema": "https://example.com/mine" }), "is of the draft \"https://example.com/mine\""),
    ] {
        let error = refused(json.clone());
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn older_drafts_are_read_as_what_they_are() {
    let tuple = json!({ "$schema": "http://json-schema.org/draft-07/schema#", "items": [{ "type": "string" }] });
    assert!(schema(tuple.clone()).validate(&json!(["a", 5])).is_ok());
    assert!(schema(tuple).validate(&json!([5])).is_err());
}

#[test]
fn references_stay_within() {
    let inner = json!({ "$defs": { "a<b>": { "type": "string" } }, "items": { "$ref": "#/$defs/a%3Cb%3E" } });
    assert!(schema(inner.clone()).validate(&json!(["x"])).is_ok());
    assert!(schema(inner).validate(&json!([5])).is_err());
    for reference in [
        "https://example.com/schema",
        "file:///etc/passwd",
        "other.json",
        "#/$defs/gone",
        "#anchor",
        "https://json-schema.org/draft/2020-12/schema",
        "",
    ] {
        let error = refused(json!({ "items": { "$ref": reference } }));
        assert!(error.contains("must be a pointer to a place within the schema"), "{error}");
    }
    assert!(refused(json!({ "items": { "$id": "https://example.com/", "$ref": "#/x" } })).contains("\"$id\" within"));
    assert!(refused(json!({ "$dynamicRef": "#x" })).contains("$dynamicRef"));
    assert!(Schema::new(json!({ "$id": "https://example.com/tool", "properties": { "$id": true } })).is_ok());
}

#[test]
fn what_is_too_much_is_refused() {
    assert_eq!(Schema::new(json!({ "const": "x".repeat(MAX_SIZE) })).unwrap_err(), SchemaError::TooLong);
    let deep = (0..MAX_DEPTH).fold(json!(true), |inner, _| json!({ "not": inner }));
    assert_eq!(Schema::new(deep).unwrap_err(), SchemaError::TooDeep);
    assert!(refused(json!({ "pattern": "(\\w{100}){100}" })).contains("/pattern: "));
}

#[test]
fn a_reference_to_itself_has_no_end_unless_it_goes_into_the_value() {
    for endless in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "$defs": { "a": { "not": { "$ref": "#/$defs/b" } }, "b": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" }),
    ] {
        assert_eq!(Schema::new(endless).unwrap_err(), SchemaError::Endless);
    }
    let tree = json!({
        "type": "object",
        "properties": { "left": { "$ref": "#" }, "right": { "$ref": "#" }, "more": { "items": { "$ref": "#" } } },
    });
    let tree = schema(tree);
    assert!(tree.validate(&json!({ "left": { "right": { "more": [{}, {}] } } })).is_ok());
    let error = tree.validate(&json!({ "left": { "right": { "more": [{}, 5] } } })).unwrap_err();
    assert_eq!(error.iter().next().unwrap().path, "/left/right/more/1");
}

/// Each of `n` subschemas makes two of the next.
fn doubling(n: usize, make: impl Fn(Value) -> Value) -> Value {
    let reference = |n: usize| json!({ "$ref": format!("#/$defs/d{n}") });
    let mut defs: Map<String, Value> = (0..n).map(|i| (format!("d{i}"), make(reference(i + 1)))).collect();
    defs.insert(format!("d{n}"), json!({ "type": "string" }));
    json!({ "$defs": defs, "$ref": "#/$defs/d0" })
}

use serde_json::Map;

#[test]
fn no_schema_makes_a_check_explode() {
    let twice_here = |next: Value| json!({ "allOf": [next, next] });
    let twice_inside = |next: Value| json!({ "properties": { "a": next }, "patternProperties": { "^a": next } });
    let twice_items = |next: Value| json!({ "items": { "oneOf": [next, next] } });
    for make in [&twice_here as &dyn Fn(Value) -> Value, &twice_inside, &twice_items] {
        assert!(Schema::new(doubling(5, make)).is_ok());
        assert!(refused(doubling(60, make)).contains("too many of its subschemas look at the same value"));
    }
    let ever = json!({ "properties": { "a": { "$ref": "#" } }, "patternProperties": { "a": { "$ref": "#" } } });
    assert!(refused(ever).contains("too many"));
    let twice = json!({ "$ref": "#/$defs/inside" });
    let inside = json!({ "properties": { "a": { "$ref": "#" } } });
    assert!(refused(json!({ "$defs": { "inside": inside }, "allOf": [twice, twice] })).contains("too many"));
}

#[test]
fn what_cannot_meet_in_one_value_is_not_counted_together() {
    let once = |next: Value| json!({ "properties": { "a": next, "b": next }, "prefixItems": [next], "items": next });
    assert!(Schema::new(doubling(60, once)).is_ok(), "a value is either a or b");
    let reference = json!({ "$ref": "#" });
    for ever in [
        json!({ "properties": { "a": reference }, "additionalProperties": { "allOf": [reference] } }),
        json!({ "allOf": [{ "properties": { "a": reference } }, { "properties": { "b": reference, "c": reference } }] }),
        json!({ "anyOf": [{ "type": "null" }, { "items": reference }, { "additionalProperties": reference }] }),
    ] {
        assert!(Schema::new(ever.clone()).is_ok(), "{ever}");
    }
}

#[test]
fn a_check_that_would_take_too_long_is_not_begun() {
    let many = json!({ "items": { "allOf": vec![json!({ "type": "integer" }); 9000] } });
    let schema = schema(many);
    assert!(schema.validate(&json!(vec![0; 1000])).is_ok());
    let error = schema.validate(&json!(vec![0; 200_000])).unwrap_err();
    assert_eq!(error.to_string(), "the value is too large to be checked against the schema");
}

/// A check is recursive, and the stack of a worker thread is 2 MiB; half of that leaves room for the rest.
#[test]
fn the_deepest_check_fits_the_stack_of_a_thread() {
    let chain = |n: usize| {
        let reference = |n: usize| json!({ "$ref": format!("#/$defs/d{n}") });
        let wrap = |inner: Value| json!({ "oneOf": [{ "allOf": [inner] }] });
        let mut defs: Map<String, Value> = (0..n).map(|i| (format!("d{i}"), wrap(reference(i + 1)))).collect();
        defs.insert(format!("d{n}"), json!({ "additionalProperties": { "$ref": "#" } }));
        json!({ "$defs": defs, "$ref": "#/$defs/d0" })
    };
    let deepest = (1..100).rev().find(|&n| Schema::new(chain(n)).is_ok()).unwrap();
    let value = (0..127).fold(json!(5), |inner, _| json!({ "a": inner }));
    std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(move || {
            let schema = Schema::new(chain(deepest)).unwrap();
            assert!(schema.validate(&value).is_ok());
            let fails = Schema::new(json!({ "additionalProperties": { "$ref": "#" }, "type": "object" })).unwrap();
            assert!(fails.validate(&value).is_err());
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn a_long_chain_of_references_is_compiled_without_a_deep_stack() {
    let n = 2000;
    let reference = |n: usize| json!({ "$ref": format!("#/$defs/d{n}") });
    let mut defs: Map<String, Value> =
        (0..n).map(|i| (format!("d{i}"), json!({ "items": reference(i + 1) }))).collect();
    defs.insert(format!("d{n}"), json!({ "type": "string" }));
    let chain = json!({ "$defs": defs, "$ref": "#/$defs/d0" });
    std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(move || {
            let schema = Schema::new(chain).unwrap();
            let nested = |depth| (0..depth).fold(json!(5), |inner, _| json!([inner]));
            assert!(schema.validate(&nested(126)).is_ok());
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn equal_schemas_are_equal() {
    let one = schema(json!({ "type": "string" }));
    assert_eq!(one, schema(json!({ "type": "string" })));
    assert_ne!(one, schema(json!({ "type": "integer" })));
    assert_eq!(one.as_json(), &json!({ "type": "string" }));
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!({ "type": "string" })),
        Just(json!({ "$ref": "#" })),
        Just(json!({ "$ref": "#/$defs/a" })),
        Just(json!({ "$ref": "#/items" })),
        Just(json!({ "pattern": "^(a|b)*$" })),
        Just(json!(0)),
    ];
    leaf.prop_recursive(4, 20, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({ "allOf": all })),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|any| json!({ "anyOf": any })),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "items": a, "properties": { "a": b } })),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| json!({ "properties": { "a": a }, "additionalProperties": b })),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({ "$defs": { "a": a }, "not": b })),
            inner.prop_map(|a| json!({ "additionalProperties": a })),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_is_taken_can_be_checked_with(json in any_schema(), depth in 0usize..6) {
        if let Ok(schema) = Schema::new(json) {
            let value = (0..depth).fold(json!("a"), |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) });
            let _ = schema.validate(&value);
        }
    }

    /// Counts by trying, with nothing left out because of what it finds.
    #[test]
    fn no_more_subschemas_look_at_a_value_than_was_found_out(json in any_schema(), value in any_value()) {
        if let Ok(bounds) = Bounds::of(&json) {
            let mut counts = HashMap::new();
            look(&json, &json, &value, &mut counts);
            prop_assert!(counts.values().all(|&count| count <= bounds.checks), "{:?} {:?}", bounds, counts.values());
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    Just(json!(1)).prop_recursive(5, 12, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from),
            inner.clone().prop_map(|a| json!({ "a": a })),
            (inner.clone(), inner).prop_map(|(a, b)| json!({ "a": a, "b": b })),
        ]
    })
}

fn look(root: &Value, schema: &Value, value: &Value, counts: &mut HashMap<*const Value, usize>) {
    *counts.entry(std::ptr::from_ref(value)).or_default() += 1;
    let Some(keywords) = schema.as_object() else { return };
    for (keyword, inner) in keywords {
        match (&**keyword, value) {
            ("$ref", _) => {
                let target = root.pointer(inner.as_str().unwrap().trim_start_matches('#')).unwrap();
                look(root, target, value, counts);
            }
            ("not", _) => look(root, inner, value, counts),
            ("allOf" | "anyOf", _) => inner.as_array().unwrap().iter().for_each(|s| look(root, s, value, counts)),
            ("items", Value::Array(items)) => items.iter().for_each(|item| look(root, inner, item, counts)),
            ("properties", Value::Object(fields)) => {
                let named = inner.as_object().unwrap().iter();
                named.for_each(|(name, s)| fields.get(name).into_iter().for_each(|field| look(root, s, field, counts)));
            }
            ("additionalProperties", Value::Object(fields)) => {
                let named = |name: &str| keywords.get("properties").is_some_and(|named| named.get(name).is_some());
                let others = fields.iter().filter(|(name, _)| !named(name));
                others.for_each(|(_, field)| look(root, inner, field, counts));
            }
            _ => {}
        }
    }
}
