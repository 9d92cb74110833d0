//! Values of keywords, as they should be.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value, json};

use crate::openapi::import::read::documents::Node;

/// A file in a form: its content in base64, alone or with what is to be said of it.
pub(super) fn upload(node: Node<'_>) -> Value {
    let content = json!({ "type": "string", "contentEncoding": "base64" });
    let mut schema = json!({
        "anyOf": [content, {
            "type": "object",
            "properties": {
                "data": content, "filename": { "type": "string" }, "content_type": { "type": "string" },
            },
            "required": ["data"],
            "additionalProperties": false,
        }],
    });
    if let (Value::Object(schema), Some(description)) = (&mut schema, node.text("description")) {
        schema.insert("description".to_owned(), description.into());
    }
    schema
}

pub(super) fn both(schema: &mut Map<String, Value>, other: Value) {
    match schema.get_mut("allOf") {
        Some(Value::Array(all)) => all.push(other),
        _ => {
            schema.insert("allOf".to_owned(), json!([other]));
        }
    }
}

/// The bounds that are no part of the range: numbers of their own, or in OpenAPI 3.0 a word on the others.
pub(super) fn bounds(schema: &mut Map<String, Value>, node: Node<'_>) {
    for (keyword, inclusive) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        let bound = match node.value.get(keyword) {
            Some(Value::Bool(true)) => schema.remove(inclusive),
            Some(value) => number(value),
            None => None,
        };
        schema.extend(bound.map(|bound| (keyword.to_owned(), bound)));
    }
}

/// The schema, or null.
pub(super) fn nullable(mut schema: Map<String, Value>) -> Value {
    const DEEPER: [&str; 6] = ["$ref", "allOf", "anyOf", "oneOf", "not", "const"];
    if DEEPER.iter().any(|keyword| schema.contains_key(*keyword)) {
        let mut outer = Map::new();
        for keyword in ["title", "description", "default", "deprecated"] {
            outer.extend(schema.remove(keyword).map(|value| (keyword.to_owned(), value)));
        }
        outer.insert("anyOf".to_owned(), json!([schema, { "type": "null" }]));
        return Value::Object(outer);
    }
    match schema.get_mut("type") {
        Some(Value::Array(types)) if !types.contains(&json!("null")) => types.push("null".into()),
        Some(Value::String(one)) if one != "null" => {
            let types = json!([one, "null"]);
            schema.insert("type".to_owned(), types);
        }
        _ => {}
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    Value::Object(schema)
}

pub(super) fn text(value: &Value) -> Option<Value> {
    value.as_str().map(|text| text.trim_end().into())
}

/// A number, also one that was written as text.
pub(super) fn number(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => text.trim().parse::<Number>().ok().map(Value::Number),
        _ => None,
    }
}

pub(super) fn count(value: &Value) -> Option<Value> {
    let value = number(value)?;
    let whole = value.as_u64().or_else(|| {
        let value = value.as_f64().filter(|value| value.fract() == 0.0 && (0.0..1e15).contains(value))?;
        format!("{value:.0}").parse().ok()
    });
    whole.map(Value::from)
}

pub(super) fn dependencies(node: Node<'_>) -> Option<Value> {
    let lists = node.entries().filter_map(|(name, list)| {
        let names: BTreeSet<_> = list.value.as_array()?.iter().filter_map(Value::as_str).collect();
        Some((name.to_owned(), json!(names)))
    });
    Some(Value::Object(lists.collect()))
}

pub(super) fn has_type(value: &Value, types: &[&str]) -> bool {
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) => {
            let whole =
                number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.fract() == 0.0);
            return types.contains(&"number") || (whole && types.contains(&"integer"));
        }
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    types.contains(&name)
}

/// The value as one of the types would have it, if that is clear.
pub(super) fn converted(value: &Value, types: &[&str]) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) if types.contains(&"string") => value.to_string().into(),
        Value::String(text) => {
            let other = text.parse::<Number>().map(Value::Number);
            other.ok().filter(|other| has_type(other, types)).unwrap_or_else(|| value.clone())
        }
        _ => value.clone(),
    }
}
