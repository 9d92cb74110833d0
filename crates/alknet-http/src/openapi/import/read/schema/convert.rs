//! The schemas of OpenAPI in the keywords of JSON Schema 2020-12.
//!
//! OpenAPI 3.0 has words of its own (`nullable`, a boolean `exclusiveMinimum`, …), and some descriptions of 3.1 use them
//! all the same, so they are understood in both. What is not as its keyword wants it is dropped: the service will say what
//! it does not take.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::look::is_file;
use super::values::{both, bounds, converted, count, dependencies, has_type, nullable, number, text, upload};
use super::{Draft, Purpose, Schemas, Version, keywords};
use crate::openapi::import::read::documents::Node;

/// How many subschemas are drafted for one description.
pub(super) const MAX_WORK: usize = 10_000_000;

/// As how many subschemas a regular expression counts.
pub(super) const PATTERN_WORK: usize = 1000;

/// How many schemas are put in the place of references to them.
const MAX_INLINED: usize = 100;

/// Drafts one schema.
pub(super) struct Converter<'s, 'a> {
    schemas: &'s mut Schemas<'a>,
    purpose: Purpose,
    /// The schema that it stands in.
    root: Node<'a>,
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
    pub(super) fn new(schemas: &'s mut Schemas<'a>, purpose: Purpose, root: Node<'a>, home: Option<usize>) -> Self {
        Self {
            schemas,
            purpose,
            root,
            home,
            inlined: vec![],
            left_to_inline: MAX_INLINED,
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
        let (target, root) = match self.schemas.documents.resolve(node.document, reference) {
            Ok(target) => (target, target),
            Err(error) => match self.near(node, reference) {
                Some(target) => (target, self.root),
                None => {
                    self.remarks.insert(error.to_string());
                    return json!({});
                }
            },
        };
        if self.is_inlined(target, place) {
            let outer = std::mem::replace(&mut self.root, root);
            self.left_to_inline -= 1;
            self.inlined.push(std::ptr::from_ref(target.value));
            let schema = self.schema(target, place);
            self.inlined.pop();
            self.root = outer;
            return schema;
        }
        let definition = self.schemas.definition(target, root, self.purpose, reference);
        self.uses.insert((definition, place.in_place));
        self.schemas.reference_to(definition)
    }

    /// Whether a schema stands in the place of references to it, since it is to lose a field that the definition has.
    fn is_inlined(&self, target: Node<'a>, place: &Place<'_>) -> bool {
        let has = |field| self.schemas.properties(target).contains_key(field);
        let again = self.inlined.contains(&std::ptr::from_ref(target.value));
        self.left_to_inline > 0 && !again && place.without.is_some_and(has)
    }

    /// Some schemas count their references from themselves.
    fn near(&self, node: Node<'a>, reference: &str) -> Option<Node<'a>> {
        let value = self.root.value.pointer(reference.strip_prefix('#')?)?;
        (self.root.document == node.document).then_some(Node { value, ..self.root })
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
