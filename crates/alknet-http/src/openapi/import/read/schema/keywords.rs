//! JSON Schemas, changed in all their parts.

use serde_json::{Map, Value};

/// Where subschemas stand in a schema.
pub(super) const SUBSCHEMA: [&str; 10] = [
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
pub(super) const SUBSCHEMA_LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
pub(super) const SUBSCHEMA_MAPS: [&str; 3] = ["dependentSchemas", "patternProperties", "properties"];

/// What is for people only.
const ANNOTATIONS: [&str; 5] = ["default", "deprecated", "description", "format", "title"];

/// Whether what stands under a keyword is applied to the same value as the schema itself.
pub(super) fn is_in_place(keyword: &str) -> bool {
    matches!(keyword, "allOf" | "anyOf" | "oneOf" | "not" | "if" | "then" | "else" | "dependentSchemas")
}

/// Does something to each direct subschema.
pub(super) fn each(schema: &mut Map<String, Value>, change: &mut dyn FnMut(&str, &mut Value)) {
    for (keyword, value) in schema {
        let keyword = keyword.as_str();
        match value {
            Value::Array(items) if SUBSCHEMA_LISTS.contains(&keyword) => {
                items.iter_mut().for_each(|item| change(keyword, item));
            }
            Value::Object(fields) if SUBSCHEMA_MAPS.contains(&keyword) => {
                fields.values_mut().for_each(|field| change(keyword, field));
            }
            value if SUBSCHEMA.contains(&keyword) => change(keyword, value),
            _ => {}
        }
    }
}

/// The schema without what is for people only.
pub(super) fn bare(mut schema: Value) -> Value {
    strip(&mut schema);
    schema
}

fn strip(schema: &mut Value) {
    if let Value::Object(fields) = schema {
        fields.retain(|keyword, _| !ANNOTATIONS.contains(&keyword.as_str()));
        each(fields, &mut |_, schema| strip(schema));
    }
}

/// Makes a schema such that loosening its parts loosens it as well: with `oneOf`, `not` and the like it would not.
pub(super) fn loosen(schema: &mut Value) {
    if let Value::Object(fields) = schema {
        loosen_here(fields);
        each(fields, &mut |_, schema| loosen(schema));
    }
}

fn loosen_here(fields: &mut Map<String, Value>) {
    for keyword in ["not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties", "maxContains"] {
        fields.remove(keyword);
    }
    if let Some(alternatives) = fields.remove("oneOf") {
        fields.entry("anyOf").or_insert(alternatives);
    }
}

/// Takes the references to some definitions out of a schema, where they are applied to the same value. Whether there was
/// any.
pub(super) fn cut(schema: &mut Value, is_cut: &dyn Fn(&str) -> bool) -> bool {
    let Value::Object(fields) = schema else { return false };
    let own = fields.get("$ref").and_then(Value::as_str).is_some_and(is_cut);
    if own {
        fields.remove("$ref");
    }
    let mut inner = false;
    each(fields, &mut |keyword, schema| inner |= is_in_place(keyword) && cut(schema, is_cut));
    if inner {
        loosen_here(fields);
    }
    own || inner
}

/// Takes out what a pointer leads to. Whether it was there.
pub(super) fn drop_at(schema: &mut Value, pointer: &str) -> bool {
    let Some((parent, last)) = pointer.rsplit_once('/') else { return false };
    match schema.pointer_mut(parent) {
        Some(Value::Object(fields)) => fields.remove(&last.replace("~1", "/").replace("~0", "~")).is_some(),
        Some(Value::Array(items)) => match last.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
            Some(item) if *item != Value::Bool(true) => {
                *item = Value::Bool(true);
                true
            }
            _ => false,
        },
        _ => false,
    }
}
