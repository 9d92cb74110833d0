//! The schemas of OpenAPI in the keywords of JSON Schema 2020-12.
//!
//! OpenAPI 3.0 has words of its own (`nullable`, a boolean `exclusiveMinimum`, …), and some descriptions of 3.1 use them
//! all the same, so they are understood in both. What is not as its keyword wants it is dropped: the service will say what
//! it does not take.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value, json};

use super::look::is_file;
use super::{Draft, Purpose, Schemas, Version, keywords};
use crate::openapi::import::documents::Node;

/// How many subschemas are drafted for one description.
pub(super) const MAX_WORK: usize = 20_000_000;

/// As how many subschemas a regular expression counts.
pub(super) const PATTERN_WORK: usize = 100;

/// How many schemas are put in the place of references to them.
const MAX_INLINED: usize = 100;

/// Drafts one schema.
pub(super) struct Converter<'s, 'a> {
    schemas: &'s mut Schemas<'a>,
    purpose: Purpose,
    /// The definition that is made, if it is one.
    home: Option<usize>,
    /// The schemas that are being put in the place of references to them.
    inlined: Vec<*const Value>,
    /// How many more may be.
    left_to_inline: usize,
    uses: BTreeSet<(usize, bool)>,
    remarks: BTreeSet<String>,
}

/// Where a subschema stands.
#[derive(Clone, Default)]
struct Place<'p> {
    /// Whether it is applied to the value that the whole schema is for.
    in_place: bool,
    /// A field that it must not have.
    without: Option<&'p str>,
    /// Fields of the value that are not for this purpose.
    hidden: BTreeSet<&'p str>,
}

impl<'s, 'a: 's> Converter<'s, 'a> {
    pub(super) fn new(schemas: &'s mut Schemas<'a>, purpose: Purpose, home: Option<usize>) -> Self {
        let left_to_inline = MAX_INLINED;
        Self {
            schemas,
            purpose,
            home,
            inlined: vec![],
            left_to_inline,
            uses: BTreeSet::new(),
            remarks: BTreeSet::new(),
        }
    }

    pub(super) fn draft(mut self, node: Node<'a>, without: Option<&str>) -> Draft {
        let place = Place { in_place: true, without, hidden: BTreeSet::new() };
        let json = self.schema(node, &place);
        Draft { json, uses: self.uses, remarks: self.remarks }
    }

    fn schema(&mut self, node: Node<'a>, place: &Place<'_>) -> Value {
        if !self.schemas.spend(1) {
            self.remarks.insert("parts of a schema are left out: the description has too many".to_owned());
            return json!({});
        }
        match node.value {
            Value::Bool(all) => Value::Bool(*all),
            Value::Object(_) if self.purpose == Purpose::Upload && is_file(node) => upload(node),
            Value::Object(fields) => self.object(node, fields, place),
            _ => json!({}),
        }
    }

    fn object(&mut self, node: Node<'a>, fields: &'a Map<String, Value>, place: &Place<'_>) -> Value {
        let mut place = place.clone();
        if fields.contains_key("required") || fields.contains_key("allOf") {
            place.hidden.extend(self.hidden(node));
        }
        let mut schema = Map::new();
        let reference = node.text("$ref").map(|reference| self.reference(node, reference, &place));
        // OpenAPI 3.0 ignores what stands beside a reference; what is for people does no harm.
        let alone = reference.is_some() && self.schemas.version == Version::V30;
        for (keyword, value) in node.entries() {
            if !alone || matches!(keyword, "title" | "description" | "default" | "deprecated") {
                self.keyword(&mut schema, keyword, value, &place);
            }
        }
        match reference {
            Some(Value::Object(target)) if schema.is_empty() || target.contains_key("$ref") => schema.extend(target),
            Some(Value::Object(target)) => both(&mut schema, Value::Object(target)),
            _ => {}
        }
        bounds(&mut schema, node);
        self.fit_enumeration(&mut schema);
        if node.flag("nullable").or_else(|| node.flag("x-nullable")) == Some(true) {
            return nullable(schema);
        }
        Value::Object(schema)
    }

    /// What a reference means: a definition, unless the schema loses a field that may be in there.
    fn reference(&mut self, node: Node<'a>, reference: &str, place: &Place<'_>) -> Value {
        let target = match self.schemas.documents.resolve(node.document, reference) {
            Ok(target) => target,
            Err(error) => match self.near(node, reference) {
                Some(target) => target,
                None => {
                    self.remarks.insert(error.to_string());
                    return json!({});
                }
            },
        };
        if let Some(field) = place.without
            && self.left_to_inline > 0
            && !self.inlined.contains(&std::ptr::from_ref(target.value))
            && self.schemas.properties(target).contains_key(field)
        {
            self.left_to_inline -= 1;
            self.inlined.push(std::ptr::from_ref(target.value));
            let schema = self.schema(target, place);
            self.inlined.pop();
            return schema;
        }
        let definition = self.schemas.definition(target, self.purpose, reference);
        self.uses.insert((definition, place.in_place));
        self.schemas.reference_to(definition)
    }

    /// Some schemas count their references from themselves.
    fn near(&self, node: Node<'a>, reference: &str) -> Option<Node<'a>> {
        let home = self.schemas.definitions.get(self.home?)?.node;
        let value = home.value.pointer(reference.strip_prefix('#')?)?;
        (home.document == node.document).then_some(Node { value, ..home })
    }

    /// The fields that are not for this purpose: only the service sets them, or only a caller.
    fn hidden(&self, node: Node<'a>) -> BTreeSet<&'a str> {
        let parts = self.schemas.applied(node).into_iter();
        let properties = parts.flat_map(|part| part.fields("properties"));
        properties.filter(|(_, property)| self.hides(*property)).map(|(name, _)| name).collect()
    }

    fn hides(&self, property: Node<'a>) -> bool {
        let flag = match self.purpose {
            Purpose::Input | Purpose::Upload => "readOnly",
            Purpose::Output => "writeOnly",
        };
        property.flag(flag).unwrap_or_else(|| self.schemas.resolved(property).flag(flag) == Some(true))
    }

    fn keyword(&mut self, schema: &mut Map<String, Value>, keyword: &str, node: Node<'a>, place: &Place<'_>) {
        let value = match keyword {
            "title" | "description" | "format" | "contentEncoding" | "contentMediaType" => text(node.value),
            "deprecated" | "uniqueItems" => node.value.as_bool().map(Value::Bool),
            "default" | "const" => Some(node.value.clone()),
            "enum" => node.value.as_array().filter(|list| !list.is_empty()).map(|list| list.clone().into()),
            "type" => self.types(node.value),
            "minimum" | "maximum" => number(node.value),
            "multipleOf" => number(node.value).filter(|value| value.as_f64().is_some_and(|value| value > 0.0)),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
            | "maxContains" => count(node.value),
            "pattern" => node.value.as_str().and_then(|pattern| self.pattern(pattern)),
            "required" => self.required(node.value, place),
            "dependentRequired" => dependencies(node),
            "$recursiveRef" | "$dynamicRef" => return self.recursion(schema, place),
            "items" if node.value.is_array() => {
                let items = node.value.as_array().into_iter().flatten().map(|value| Node { value, ..node });
                let items = items.map(|item| self.schema(item, &Place::default())).collect::<Vec<_>>();
                schema.extend((!items.is_empty()).then(|| ("prefixItems".to_owned(), items.into())));
                return;
            }
            keyword => self.subschemas(keyword, node, place),
        };
        schema.extend(value.map(|value| (keyword.to_owned(), value)));
    }

    fn subschemas(&mut self, keyword: &str, node: Node<'a>, place: &Place<'_>) -> Option<Value> {
        let in_place = keywords::is_in_place(keyword);
        let inner = match in_place {
            // What must not fit must not be loosened.
            true if keyword == "not" || keyword == "if" => Place { without: None, ..place.clone() },
            true => place.clone(),
            false => Place::default(),
        };
        let is_schema = |node: &Node<'a>| node.value.is_object() || node.value.is_boolean();
        if keywords::SUBSCHEMA.contains(&keyword) {
            return is_schema(&node).then(|| self.schema(node, &inner));
        }
        if keywords::SUBSCHEMA_LISTS.contains(&keyword) {
            let items = node.value.as_array()?.iter().map(|value| Node { value, ..node });
            let items: Vec<_> = items.filter(is_schema).map(|item| self.schema(item, &inner)).collect();
            return (!items.is_empty()).then(|| items.into());
        }
        match keyword {
            "properties" => Some(self.properties(node, place)),
            "patternProperties" => {
                let fields: Vec<_> = node.entries().filter(|(_, node)| is_schema(node)).collect();
                let usable = fields.into_iter().filter_map(|(pattern, node)| {
                    let pattern = self.pattern(pattern)?.as_str()?.to_owned();
                    Some((pattern, self.schema(node, &inner)))
                });
                Some(Value::Object(usable.collect()))
            }
            "dependentSchemas" => {
                let fields = node.entries().filter(|(_, node)| is_schema(node));
                Some(Value::Object(fields.map(|(name, node)| (name.to_owned(), self.schema(node, &inner))).collect()))
            }
            _ => None,
        }
    }

    fn properties(&mut self, node: Node<'a>, place: &Place<'_>) -> Value {
        let kept: Vec<_> =
            node.entries().filter(|(name, property)| place.without != Some(*name) && !self.hides(*property)).collect();
        let properties =
            kept.into_iter().map(|(name, property)| (name.to_owned(), self.schema(property, &Place::default())));
        Value::Object(properties.collect())
    }

    fn required(&self, value: &Value, place: &Place<'_>) -> Option<Value> {
        let names: BTreeSet<_> = value.as_array()?.iter().filter_map(Value::as_str).collect();
        let names = names.into_iter().filter(|name| place.without != Some(*name) && !place.hidden.contains(name));
        let names: Vec<_> = names.collect();
        (!names.is_empty()).then(|| names.into())
    }

    fn types(&mut self, value: &Value) -> Option<Value> {
        let names: Vec<&str> = match value {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => return None,
        };
        let mut types = Vec::new();
        for name in names {
            let known = match name.to_ascii_lowercase().as_str() {
                "any" => return None,
                "string" | "file" => "string",
                "integer" | "int" | "int32" | "int64" | "long" => "integer",
                "number" | "float" | "double" | "decimal" => "number",
                "boolean" | "bool" => "boolean",
                "array" | "list" => "array",
                "object" => "object",
                "null" => "null",
                _ => {
                    let name: String = name.chars().take(50).collect();
                    self.remarks.insert(format!("the type {name:?} is left out: it is not known"));
                    return None;
                }
            };
            if !types.contains(&known) {
                types.push(known);
            }
        }
        match &*types {
            [] => None,
            [one] => Some(json!(one)),
            _ => Some(types.into()),
        }
    }

    fn pattern(&mut self, pattern: &str) -> Option<Value> {
        // As it is written in a programme, between slashes.
        let inner = pattern.strip_prefix("/^").and_then(|rest| rest.strip_suffix("$/"));
        let pattern = inner.map_or_else(|| pattern.to_owned(), |inner| format!("^{inner}$"));
        if self.schemas.is_pattern(&pattern) {
            return Some(pattern.into());
        }
        let start: String = pattern.chars().take(100).collect();
        self.remarks.insert(format!(
            "the pattern {start:?} is left out: lookaround, back-references and large repetitions cannot be used"
        ));
        None
    }

    /// Recursion in the words of drafts that know more than references: it is to the schema that something refers to.
    fn recursion(&mut self, schema: &mut Map<String, Value>, place: &Place<'_>) {
        if let Some(home) = self.home {
            self.uses.insert((home, place.in_place));
            if let Value::Object(reference) = self.schemas.reference_to(home) {
                schema.extend(reference);
            }
        }
    }

    /// Makes the values of an enumeration such as its type says; YAML takes some texts for numbers.
    fn fit_enumeration(&mut self, schema: &mut Map<String, Value>) {
        let Some(Value::Array(mut values)) = schema.remove("enum") else { return };
        let Some(types) = schema.get("type") else {
            schema.insert("enum".to_owned(), values.into());
            return;
        };
        let types: Vec<_> = types
            .as_str()
            .map(|name| vec![name])
            .unwrap_or_else(|| types.as_array().into_iter().flatten().filter_map(Value::as_str).collect());
        values.iter_mut().filter(|value| !has_type(value, &types)).for_each(|value| *value = converted(value, &types));
        match values.iter().any(|value| has_type(value, &types)) {
            true => {
                schema.insert("enum".to_owned(), values.into());
            }
            false => {
                self.remarks.insert("an enumeration is left out: none of its values is of its type".to_owned());
            }
        }
    }
}

/// A file in a form: its content in base64, alone or with what is to be said of it.
fn upload(node: Node<'_>) -> Value {
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

fn both(schema: &mut Map<String, Value>, other: Value) {
    match schema.get_mut("allOf") {
        Some(Value::Array(all)) => all.push(other),
        _ => {
            schema.insert("allOf".to_owned(), json!([other]));
        }
    }
}

/// The bounds that are no part of the range: numbers of their own, or in OpenAPI 3.0 a word on the others.
fn bounds(schema: &mut Map<String, Value>, node: Node<'_>) {
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
fn nullable(mut schema: Map<String, Value>) -> Value {
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

fn text(value: &Value) -> Option<Value> {
    value.as_str().map(|text| text.trim_end().into())
}

/// A number, also one that was written as text.
fn number(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => text.trim().parse::<Number>().ok().map(Value::Number),
        _ => None,
    }
}

fn count(value: &Value) -> Option<Value> {
    let value = number(value)?;
    let whole = value.as_u64().or_else(|| {
        let value = value.as_f64().filter(|value| value.fract() == 0.0 && (0.0..1e15).contains(value))?;
        format!("{value:.0}").parse().ok()
    });
    whole.map(Value::from)
}

fn dependencies(node: Node<'_>) -> Option<Value> {
    let lists = node.entries().filter_map(|(name, list)| {
        let names: BTreeSet<_> = list.value.as_array()?.iter().filter_map(Value::as_str).collect();
        Some((name.to_owned(), json!(names)))
    });
    Some(Value::Object(lists.collect()))
}

fn has_type(value: &Value, types: &[&str]) -> bool {
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
fn converted(value: &Value, types: &[&str]) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) if types.contains(&"string") => value.to_string().into(),
        Value::String(text) => {
            let other = text.parse::<Number>().map(Value::Number);
            other.ok().filter(|other| has_type(other, types)).unwrap_or_else(|| value.clone())
        }
        _ => value.clone(),
    }
}
