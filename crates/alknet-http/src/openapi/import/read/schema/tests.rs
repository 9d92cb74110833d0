use alknet_call::Schema;
use serde_json::{Value, json};

use super::{Draft, Purpose, Schemas, Version};
use crate::openapi::import::read::documents::{Documents, Node};
use crate::openapi::import::read::error::Source;

/// A schema of a description, and what else is in there.
struct Case {
    documents: Documents,
    version: Version,
}

impl Case {
    fn new(version: Version, schema: Value, components: Value) -> Self {
        let root = json!({ "schema": schema, "components": { "schemas": components } });
        let documents = Documents::load(root, &Source::Url("https://example.com/openapi.json".parse().unwrap()));
        Self { documents, version }
    }

    fn node(&self) -> Node<'_> {
        self.documents.root().get("schema").unwrap()
    }

    /// The schema and the remarks on it.
    fn fitted(&self, purpose: Purpose, without: Option<&str>) -> (Value, Vec<String>) {
        let mut schemas = Schemas::new(&self.documents, self.version);
        let draft = schemas.draft_without(self.node(), purpose, without);
        let (schema, remarks) = schemas.fit_shared(draft);
        (schema.unwrap().as_json().clone(), remarks)
    }
}

fn v30(schema: Value) -> Value {
    let (schema, remarks) = Case::new(Version::V30, schema, json!({})).fitted(Purpose::Input, None);
    assert_eq!(remarks, [""; 0]);
    schema
}

fn v31(schema: Value) -> Value {
    let (schema, remarks) = Case::new(Version::V31, schema, json!({})).fitted(Purpose::Input, None);
    assert_eq!(remarks, [""; 0]);
    schema
}

#[test]
fn the_words_of_openapi_3_0_become_those_of_json_schema() {
    for (schema, expected) in [
        (json!({ "type": "string", "nullable": true }), json!({ "type": ["string", "null"] })),
        (json!({ "type": "string", "nullable": false }), json!({ "type": "string" })),
        (
            json!({ "type": "string", "enum": ["a"], "nullable": true }),
            json!({ "type": ["string", "null"], "enum": ["a", null] }),
        ),
        (
            json!({ "allOf": [{ "type": "string" }], "nullable": true, "description": "d" }),
            json!({ "description": "d", "anyOf": [{ "allOf": [{ "type": "string" }] }, { "type": "null" }] }),
        ),
        (json!({ "minimum": 1, "exclusiveMinimum": true }), json!({ "exclusiveMinimum": 1 })),
        (json!({ "maximum": 1, "exclusiveMaximum": false }), json!({ "maximum": 1 })),
        (json!({ "type": "file" }), json!({ "type": "string" })),
        (
            json!({ "type": "string", "format": "date", "example": "x", "xml": {}, "x-y": 1, "externalDocs": {} }),
            json!({ "type": "string", "format": "date" }),
        ),
        (
            json!({ "oneOf": [{ "type": "string" }, {}], "discriminator": { "propertyName": "kind" } }),
            json!({ "oneOf": [{ "type": "string" }, {}] }),
        ),
    ] {
        assert_eq!(v30(schema.clone()), expected, "{schema}");
    }
}

#[test]
fn json_schema_stays_as_it_is() {
    let schema = json!({
        "type": ["object", "null"],
        "properties": { "a": { "const": 1 }, "b": true, "description": { "type": "string" } },
        "patternProperties": { "^x": { "exclusiveMinimum": 0, "multipleOf": 0.5 } },
        "additionalProperties": false,
        "required": ["a"],
        "dependentRequired": { "a": ["b"] },
        "if": { "required": ["b"] },
        "then": { "minProperties": 2 },
        "anyOf": [{ "prefixItems": [{}], "items": false }, { "not": { "enum": [1, "x"] } }],
        "unevaluatedProperties": false,
    });
    assert_eq!(v31(schema.clone()), schema);
}

#[test]
fn what_is_not_as_its_keyword_wants_it_is_dropped() {
    for (schema, expected) in [
        (json!({ "type": "string", "required": true }), json!({ "type": "string" })),
        (
            json!({ "type": "array", "items": [{ "type": "string" }] }),
            json!({ "type": "array", "prefixItems": [{ "type": "string" }] }),
        ),
        (
            json!({ "minimum": "3", "maxLength": 5.0, "minLength": -1, "multipleOf": 0 }),
            json!({ "minimum": 3, "maxLength": 5 }),
        ),
        (json!({ "enum": [], "allOf": {}, "anyOf": [], "properties": 1 }), json!({ "properties": {} })),
        (
            json!({ "type": "int", "properties": { "a": null } }),
            json!({ "type": "integer", "properties": { "a": {} } }),
        ),
        (json!({ "type": "any" }), json!({})),
        (json!({ "required": ["b", "a", "b", 1] }), json!({ "required": ["a", "b"] })),
        (json!(null), json!({})),
    ] {
        assert_eq!(v30(schema.clone()), expected, "{schema}");
    }
}

#[test]
fn values_that_yaml_read_as_others_are_put_right() {
    for (schema, expected) in [
        (json!({ "type": "string", "enum": [1, true, "x"] }), json!({ "type": "string", "enum": ["1", "true", "x"] })),
        (json!({ "type": "integer", "enum": ["1", 2] }), json!({ "type": "integer", "enum": [1, 2] })),
        (json!({ "enum": [1, "a"] }), json!({ "enum": [1, "a"] })),
    ] {
        assert_eq!(v30(schema.clone()), expected, "{schema}");
    }
}

#[test]
fn what_is_lost_is_said() {
    for (schema, expected, remark) in [
        (json!({ "pattern": "(?=x)" }), json!({}), "the pattern \"(?=x)\" is left out"),
        (json!({ "pattern": "/^a$/" }), json!({ "pattern": "^a$" }), ""),
        (json!({ "type": "money" }), json!({}), "the type \"money\" is left out"),
        (json!({ "type": "object", "enum": ["x"] }), json!({ "type": "object" }), "an enumeration is left out"),
        (json!({ "$ref": "#/components/schemas/None" }), json!({}), "cannot be followed: nothing is there"),
        (json!({ "$ref": "other.json" }), json!({}), "bundle it into one"),
    ] {
        let (schema, remarks) = Case::new(Version::V31, schema, json!({})).fitted(Purpose::Input, None);
        assert_eq!(schema, expected);
        assert!(remarks.concat().contains(remark) && remarks.is_empty() == remark.is_empty(), "{remarks:?}");
    }
}

#[test]
fn references_become_definitions_of_which_only_the_needed_ones_are_there() {
    let components = json!({
        "Node": { "type": "object", "properties": { "next": { "$ref": "#/components/schemas/Node" }, "tag": { "$ref": "#/components/schemas/a~1b" } } },
        "a/b": { "type": "string" },
        "Unused": { "type": "integer" },
    });
    let schema = json!({ "$ref": "#/components/schemas/Node", "description": "the first one", "nullable": true });
    let definitions = json!({
        "Node": { "type": "object", "properties": { "next": { "$ref": "#/$defs/Node" }, "tag": { "$ref": "#/$defs/a_1b" } } },
        "a_1b": { "type": "string" },
    });
    for version in [Version::V30, Version::V31] {
        let (fitted, remarks) = Case::new(version, schema.clone(), components.clone()).fitted(Purpose::Input, None);
        let expected = json!({
            "description": "the first one",
            "anyOf": [{ "$ref": "#/$defs/Node" }, { "type": "null" }],
            "$defs": definitions,
        });
        assert_eq!((fitted, remarks), (expected, vec![]));
    }
}

#[test]
fn siblings_of_a_reference_count_since_3_1() {
    let components = json!({ "Text": { "type": "string" } });
    let schema = json!({ "$ref": "#/components/schemas/Text", "maxLength": 3 });
    let (old, _) = Case::new(Version::V30, schema.clone(), components.clone()).fitted(Purpose::Input, None);
    let (new, _) = Case::new(Version::V31, schema, components).fitted(Purpose::Input, None);
    let check = |schema: &Value| Schema::new(schema.clone()).unwrap().validate(&json!("long text")).is_ok();
    assert!(check(&old) && !check(&new));
}

#[test]
fn what_only_one_side_sets_is_not_for_the_other() {
    let schema = json!({
        "allOf": [
            { "type": "object", "properties": { "id": { "readOnly": true }, "key": { "$ref": "#/components/schemas/Key" } } },
            { "required": ["id", "key", "name"], "properties": { "name": {} } },
        ],
        "required": ["id"],
    });
    let case = Case::new(Version::V30, schema, json!({ "Key": { "type": "string", "writeOnly": true } }));
    let (input, _) = case.fitted(Purpose::Input, None);
    assert_eq!(input["allOf"][0]["properties"], json!({ "key": { "$ref": "#/$defs/Key" } }));
    assert_eq!(input["allOf"][1]["required"], json!(["key", "name"]));
    assert_eq!(input.get("required"), None);
    let (output, _) = case.fitted(Purpose::Output, None);
    assert_eq!(output["allOf"][0]["properties"], json!({ "id": {} }));
    assert_eq!(output["allOf"][1]["required"], json!(["id", "name"]));
}

#[test]
fn a_field_is_taken_out_wherever_it_is_declared() {
    let components = json!({
        "Request": { "allOf": [{ "$ref": "#/components/schemas/Base" }, { "properties": { "model": {} }, "required": ["model", "stream"] }] },
        "Base": { "properties": { "stream": { "type": "boolean" }, "n": { "$ref": "#/components/schemas/Request" } } },
    });
    let case = Case::new(Version::V30, json!({ "$ref": "#/components/schemas/Request" }), components);
    let (schema, _) = case.fitted(Purpose::Input, Some("stream"));
    assert_eq!(schema["allOf"][0]["properties"], json!({ "n": { "$ref": "#/$defs/Request" } }));
    assert_eq!(schema["allOf"][1]["required"], json!(["model"]));
    // Within the value it is another field.
    assert_eq!(schema["$defs"]["Request"]["allOf"][1]["required"], json!(["model", "stream"]));
}

#[test]
fn files_are_given_in_base64() {
    let file = json!({ "type": "string", "format": "binary", "description": "an image" });
    let schema = json!({ "properties": { "image": file, "images": { "type": "array", "items": file }, "name": { "type": "string" } } });
    let (schema, _) = Case::new(Version::V30, schema, json!({})).fitted(Purpose::Upload, None);
    let check = |value: Value| Schema::new(schema.clone()).unwrap().validate(&value).is_ok();
    assert!(check(json!({ "image": "aGk=", "images": ["aGk="], "name": "x" })));
    assert!(check(json!({ "image": { "data": "aGk=", "filename": "x.png", "content_type": "image/png" } })));
    assert!(!check(json!({ "image": { "filename": "x.png" } })));
    assert!(!check(json!({ "name": { "data": "aGk=" } })));
    assert_eq!(schema["properties"]["image"]["description"], "an image");
}

#[test]
fn parents_that_list_their_children_have_an_end() {
    // The children are all that the parent is, and the parent is one of them.
    let child = |field: &str| {
        json!({
            "allOf": [{ "$ref": "#/components/schemas/Pet" }, { "type": "object", "required": [field] }],
        })
    };
    let components = json!({
        "Pet": {
            "type": "object",
            "properties": { "kind": { "type": "string" }, "friend": { "$ref": "#/components/schemas/Pet" } },
            "oneOf": [{ "$ref": "#/components/schemas/Cat" }, { "$ref": "#/components/schemas/Dog" }],
        },
        "Cat": child("meows"),
        "Dog": child("barks"),
    });
    for (start, yes, no) in [
        ("Pet", json!({ "meows": 1, "friend": { "barks": 1 } }), json!({ "meows": 1, "friend": { "x": 1 } })),
        ("Cat", json!({ "meows": 1, "friend": {} }), json!({ "barks": 1 })),
        ("Dog", json!({ "barks": 1, "kind": "x" }), json!({ "barks": 1, "kind": 1 })),
    ] {
        let schema = json!({ "$ref": format!("#/components/schemas/{start}") });
        let (schema, remarks) = Case::new(Version::V30, schema, components.clone()).fitted(Purpose::Input, None);
        let schema = Schema::new(schema).unwrap();
        assert!(remarks.is_empty(), "{remarks:?}");
        schema.validate(&yes).unwrap();
        assert!(schema.validate(&no).is_err(), "{start}: {no} is accepted");
    }
    let itself = json!({ "$ref": "#/components/schemas/A" });
    let components = json!({ "A": { "$ref": "#/components/schemas/B" }, "B": { "$ref": "#/components/schemas/A" } });
    let (schema, _) = Case::new(Version::V31, itself, components).fitted(Purpose::Input, None);
    Schema::new(schema).unwrap().validate(&json!(1)).unwrap();
}

#[test]
fn recursion_in_the_words_of_older_drafts_is_to_the_schema_itself() {
    let components = json!({
        "Filter": { "$recursiveAnchor": true, "type": "object", "properties": { "all": { "type": "array", "items": { "$recursiveRef": "#" } } } },
    });
    let schema = json!({ "$ref": "#/components/schemas/Filter" });
    let (schema, _) = Case::new(Version::V31, schema, components).fitted(Purpose::Input, None);
    assert_eq!(schema["$defs"]["Filter"]["properties"]["all"]["items"], json!({ "$ref": "#/$defs/Filter" }));
}

#[test]
fn some_schemas_count_their_references_from_themselves() {
    let with_its_own = json!({
        "properties": { "a": { "$ref": "#/$defs/A" } },
        "$defs": { "A": { "properties": { "b": { "$ref": "#/$defs/B" } } }, "B": { "type": "string" } },
    });
    let components = json!({ "Own": with_its_own });
    for schema in [with_its_own, json!({ "$ref": "#/components/schemas/Own" })] {
        let (schema, remarks) = Case::new(Version::V31, schema, components.clone()).fitted(Purpose::Input, None);
        assert_eq!(remarks, [""; 0]);
        assert!(Schema::new(schema).unwrap().validate(&json!({ "a": { "b": 1 } })).is_err());
    }
}

#[test]
fn a_schema_that_is_too_long_loses_its_descriptions_first() {
    let field = json!({ "type": "string", "description": "x".repeat(1000) });
    let properties: serde_json::Map<_, _> = (0..400).map(|n| (format!("field{n}"), field.clone())).collect();
    let components = json!({ "Large": { "type": "object", "properties": properties } });
    let schema = json!({ "$ref": "#/components/schemas/Large" });
    let (schema, remarks) = Case::new(Version::V31, schema, components).fitted(Purpose::Input, None);
    assert_eq!(remarks, ["the descriptions of fields are left out: the schema would get too long"]);
    assert!(Schema::new(schema).unwrap().validate(&json!({ "field7": 1 })).is_err());
}

#[test]
fn a_schema_that_cannot_be_had_loses_its_inner_parts() {
    // Two of the next one each, on and on: a check of a small value would take for ever.
    let components: serde_json::Map<_, _> = (0..40)
        .map(|n| {
            let next = json!({ "$ref": format!("#/components/schemas/S{}", n + 1) });
            let schema = json!({ "type": "object", "oneOf": [next, { "allOf": [next, { "required": ["x"] }] }] });
            (format!("S{n}"), schema)
        })
        .chain([("S40".to_owned(), json!({ "type": "integer" }))])
        .collect();
    let schema = json!({ "$ref": "#/components/schemas/S0" });
    let (schema, remarks) = Case::new(Version::V31, schema, components.into()).fitted(Purpose::Input, None);
    assert!(remarks.concat().starts_with("the inner parts of a schema are left out"), "{remarks:?}");
    let schema = Schema::new(schema).unwrap();
    assert!(schema.validate(&json!("text")).is_err());
    schema.validate(&json!({ "y": 1 })).unwrap();
}

#[test]
fn an_input_is_there_whatever_its_body_is() {
    let case = Case::new(Version::V31, json!({}), json!({}));
    let mut schemas = Schemas::new(&case.documents, case.version);
    let body: serde_json::Map<_, _> = (0..40_000).map(|n| (format!("field{n}"), json!(true))).collect();
    let json = json!({
        "type": "object",
        "properties": { "id": { "type": "string" }, "body": { "properties": body } },
        "required": ["id"],
        "additionalProperties": false,
    });
    let (schema, remarks) = schemas.fit_input(Draft::plain(json));
    let schema = schema.unwrap();
    assert!(remarks.concat().contains("nothing is said of the body"), "{remarks:?}");
    schema.validate(&json!({ "id": "x", "body": 1 })).unwrap();
    assert!(schema.validate(&json!({ "id": 1 })).is_err());
    assert!(schema.validate(&json!({ "id": "x", "other": 1 })).is_err());
}
