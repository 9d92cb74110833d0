//! What can be seen of a schema.

use serde_json::{Map, Value};

/// What the keywords of a schema mean.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    /// 6 and 7: what stands beside a `$ref` does not count.
    Seven,
    /// 2019-09: `items` may be a list.
    Nineteen,
    /// 2020-12.
    Twenty,
}

impl Draft {
    pub(super) fn of(schema: &Value) -> Self {
        let text = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
        match text {
            _ if text.contains("draft-07") || text.contains("draft-06") => Self::Seven,
            _ if text.contains("2019-09") => Self::Nineteen,
            _ => Self::Twenty,
        }
    }
}

/// Whether a schema describes the fields of an object, so that a type would be made of it.
pub(super) fn is_object(keywords: &Map<String, Value>) -> bool {
    let describes = |keyword| keywords.get(keyword).and_then(Value::as_object).is_some_and(|fields| !fields.is_empty());
    describes("properties") || describes("additionalProperties")
}

/// Whether a schema is for an object or `null`, and says nothing else of `null`.
pub(super) fn is_nullable_object(keywords: &Map<String, Value>) -> bool {
    const OF_ALL_VALUES: [&str; 8] = ["$ref", "allOf", "anyOf", "oneOf", "not", "if", "enum", "const"];
    let types = keywords.get("type").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let nullable = types.len() == 2 && ["object", "null"].iter().all(|name| types.iter().any(|kind| kind == name));
    nullable && is_object(keywords) && !OF_ALL_VALUES.iter().any(|keyword| keywords.contains_key(*keyword))
}

/// One for each value within `value`, and one for each byte of text.
pub(super) fn weight(value: &Value) -> usize {
    1 + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(name, field)| name.len() + weight(field)).sum(),
        _ => 0,
    }
}
