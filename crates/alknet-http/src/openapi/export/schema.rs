//! The JSON Schemas of an operation, as they stand in a description.
//!
//! A schema of an operation is a document of its own, with references within it (`#/$defs/…`). Here it becomes part of a
//! larger one: each subschema that a reference is to, and each that describes an object, stands once under
//! `components/schemas`, with a name that begins with the operation's, and references go there. So no two operations can be
//! in each other's way, and a program that makes types of a description makes one of each, with a name. Schemas of older
//! drafts are put into the words of 2020-12, which is the dialect of OpenAPI 3.1.

mod names;
mod shape;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use alknet_call::{JsonPointer, Schema};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use names::{Names, under, word};
use shape::{Draft, is_nullable_object, is_object, weight};

/// How much of a schema is copied as it is (enumerations, defaults, …), in values and bytes of text. No schema is as long,
/// save one in which references lead into such values, and those are copied once for each.
const MAX_COPIED: usize = 1 << 20;

/// Where the parts of a description are that others refer to.
const COMPONENTS: &str = "#/components/schemas/";

/// A reference to a schema of the description.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{COMPONENTS}{name}") })
}

/// The schemas of one operation that others refer to, by name.
#[derive(Default)]
pub(super) struct Schemas {
    pub(super) by_name: BTreeMap<String, Value>,
    names: Names,
}

impl Schemas {
    /// Takes in a schema with everything that it refers to, under `name` and names that begin with it, and gives what
    /// stands in the place of it.
    pub(super) fn take(&mut self, name: &str, schema: Option<&Schema>) -> Value {
        let root = match schema.map(Schema::as_json) {
            Some(root @ Value::Object(keywords)) if !keywords.is_empty() => root,
            Some(Value::Bool(false)) => return nothing(),
            _ => return anything(),
        };
        let name = self.names.free(name.to_owned());
        let mut lift = Lift::new(root, &name, &mut self.names);
        match lift.all() {
            Some(found) => {
                let place = stand_in(root, &name);
                self.by_name.extend(found);
                place
            }
            None => json!({ "description": "The schema is too intricate to be shown here; services/schema has it." }),
        }
    }

    /// Adds a schema that is in its final form.
    pub(super) fn add(&mut self, name: String, schema: Value) -> Value {
        let name = self.names.free(name);
        let reference = reference(&name);
        self.by_name.insert(name, schema);
        reference
    }
}

/// What everything fits. Not `true`, which OpenAPI allows and generators stumble over.
fn anything() -> Value {
    json!({})
}

/// What nothing fits.
fn nothing() -> Value {
    json!({ "not": {} })
}

/// One schema on its way into the description. Its depth was limited when it was compiled.
struct Lift<'a> {
    root: &'a Value,
    draft: Draft,
    /// The names of what references are to, by place in memory.
    names: HashMap<*const Value, String>,
    /// What is still to be taken in.
    wanted: Vec<&'a Value>,
    /// How much may still be copied.
    left: usize,
}

impl<'a> Lift<'a> {
    fn new(root: &'a Value, name: &str, taken: &mut Names) -> Self {
        let names = HashMap::from([(std::ptr::from_ref(root), name.to_owned())]);
        let mut lift = Self { root, draft: Draft::of(root), names, wanted: vec![root], left: MAX_COPIED };
        lift.name(root, name, name, taken);
        lift
    }

    /// Gives names to what gets them in a schema. `owner` is the name of what it is part of; `path` says where in that.
    fn name(&mut self, schema: &'a Value, owner: &str, path: &str, taken: &mut Names) {
        let Value::Object(keywords) = schema else { return };
        if let Some((target, pointer)) = keywords.get("$ref").and_then(|text| self.target(text)) {
            let last = pointer.rsplit('/').next().unwrap_or_default();
            self.name_one(target, || format!("{owner}.{}", word(last)), taken);
        }
        if is_object(keywords) {
            self.name_one(schema, || path.to_owned(), taken);
        }
        let (owner, path) = match self.names.get(&std::ptr::from_ref(schema)).cloned() {
            Some(name) => (name.clone(), name),
            None => (owner.to_owned(), path.to_owned()),
        };
        for (keyword, value) in keywords {
            match (keyword.as_str(), value) {
                (
                    "properties" | "patternProperties" | "dependentSchemas" | "dependencies" | "$defs" | "definitions",
                    _,
                ) => {
                    for (name, schema) in value.as_object().into_iter().flatten() {
                        self.name(schema, &owner, &under(&path, name), taken);
                    }
                }
                ("allOf" | "anyOf" | "oneOf" | "prefixItems" | "items", Value::Array(schemas)) => {
                    for (place, schema) in schemas.iter().enumerate() {
                        self.name(schema, &owner, &under(&path, &place.to_string()), taken);
                    }
                }
                (
                    "items"
                    | "additionalItems"
                    | "unevaluatedItems"
                    | "additionalProperties"
                    | "unevaluatedProperties"
                    | "contains"
                    | "not"
                    | "if"
                    | "then"
                    | "else"
                    | "propertyNames"
                    | "contentSchema",
                    schema,
                ) => {
                    // What a field is a list of may be called as the field.
                    let path = if path == owner { under(&path, keyword) } else { path.clone() };
                    self.name(schema, &owner, &path, taken);
                }
                _ => {}
            }
        }
    }

    fn name_one(&mut self, schema: &'a Value, name: impl FnOnce() -> String, taken: &mut Names) {
        self.names.entry(std::ptr::from_ref(schema)).or_insert_with(|| taken.free(name()));
    }

    /// What a reference is to, and the pointer in it.
    fn target(&self, reference: &Value) -> Option<(&'a Value, String)> {
        let fragment = reference.as_str()?.strip_prefix('#')?;
        let text = percent_decode_str(fragment).decode_utf8().ok()?;
        let pointer: JsonPointer = text.parse().ok()?;
        Some((pointer.resolve(self.root)?, text.into_owned()))
    }

    /// The schema and all that it refers to, by name; none if that would be too much.
    fn all(&mut self) -> Option<BTreeMap<String, Value>> {
        let mut all = BTreeMap::new();
        while let Some(schema) = self.wanted.pop() {
            let name = self.names.get(&std::ptr::from_ref(schema))?.clone();
            if let Entry::Vacant(place) = all.entry(name) {
                place.insert(self.schema(schema, true)?);
            }
        }
        Some(all)
    }

    /// A schema in the place where it stands: elsewhere, if anything refers to it.
    fn place(&mut self, schema: &'a Value) -> Option<Value> {
        match self.names.get(&std::ptr::from_ref(schema)) {
            Some(name) => {
                self.wanted.push(schema);
                Some(stand_in(schema, name))
            }
            None => self.schema(schema, false),
        }
    }

    fn schema(&mut self, schema: &'a Value, has_name: bool) -> Option<Value> {
        match schema {
            Value::Object(keywords) => self.keywords(keywords, has_name),
            Value::Bool(false) => Some(nothing()),
            _ => Some(anything()),
        }
    }

    fn keywords(&mut self, keywords: &'a Map<String, Value>, has_name: bool) -> Option<Value> {
        if let (Some(text), Draft::Seven) = (keywords.get("$ref"), self.draft) {
            return self.referred(text);
        }
        let nullable = has_name && is_nullable_object(keywords);
        let mut referred = None;
        let listed = self.draft < Draft::Twenty && keywords.get("items").is_some_and(Value::is_array);
        let mut lifted = Map::new();
        for (keyword, value) in keywords {
            match keyword.as_str() {
                // Names and definitions have become components; a discriminator names schemas by other references.
                "$schema" | "$id" | "$anchor" | "$dynamicAnchor" | "$recursiveAnchor" | "$vocabulary" | "$comment"
                | "$defs" | "definitions" | "discriminator" | "xml" | "externalDocs" => {}
                // What the older draft does not know means nothing there.
                "prefixItems"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "dependentSchemas"
                | "dependentRequired"
                | "minContains"
                | "maxContains"
                    if self.draft == Draft::Seven => {}
                "prefixItems" if self.draft < Draft::Twenty => {}
                "additionalItems" if self.draft < Draft::Twenty => {
                    if listed {
                        lifted.insert("items".to_owned(), self.place(value)?);
                    }
                }
                "dependencies" if self.draft < Draft::Twenty => self.dependencies(value, &mut lifted)?,
                "$ref" => referred = Some(self.referred(value)?),
                // Beside a reference to this it says that there may be `null` instead.
                "type" if nullable => drop(lifted.insert(keyword.clone(), "object".into())),
                "default" if nullable && value.is_null() => {}
                "items" if listed => drop(lifted.insert("prefixItems".to_owned(), self.list(value)?)),
                "additionalProperties" | "unevaluatedProperties" if value.is_boolean() => {
                    lifted.insert(keyword.clone(), value.clone());
                }
                "not"
                | "if"
                | "then"
                | "else"
                | "contains"
                | "propertyNames"
                | "items"
                | "unevaluatedItems"
                | "additionalProperties"
                | "unevaluatedProperties"
                | "contentSchema" => {
                    lifted.insert(keyword.clone(), self.place(value)?);
                }
                "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                    lifted.insert(keyword.clone(), self.list(value)?);
                }
                "properties" | "patternProperties" | "dependentSchemas" => {
                    lifted.insert(keyword.clone(), self.map(value)?);
                }
                _ => {
                    self.left = self.left.checked_sub(weight(value))?;
                    lifted.insert(keyword.clone(), value.clone());
                }
            }
        }
        match referred {
            Some(referred) => Some(both(referred, lifted)),
            None => Some(Value::Object(lifted)),
        }
    }

    /// What stands for a reference. One that leads nowhere was not found worth an error when the schema was compiled, as
    /// no value ever gets to it.
    fn referred(&mut self, text: &Value) -> Option<Value> {
        match self.target(text) {
            Some((target, _)) => self.place(target),
            None => Some(anything()),
        }
    }

    fn list(&mut self, schemas: &'a Value) -> Option<Value> {
        schemas.as_array().into_iter().flatten().map(|schema| self.place(schema)).collect()
    }

    fn map(&mut self, schemas: &'a Value) -> Option<Value> {
        let schemas = schemas.as_object().into_iter().flatten();
        let lifted: Option<Map<_, _>> =
            schemas.map(|(name, schema)| Some((name.clone(), self.place(schema)?))).collect();
        lifted.map(Value::Object)
    }

    /// `dependencies` is two keywords by now: lists of names, and schemas.
    fn dependencies(&mut self, value: &'a Value, lifted: &mut Map<String, Value>) -> Option<()> {
        let (mut required, mut schemas) = (Map::new(), Map::new());
        for (name, dependency) in value.as_object().into_iter().flatten() {
            match dependency {
                Value::Array(_) => {
                    self.left = self.left.checked_sub(weight(dependency))?;
                    required.insert(name.clone(), dependency.clone());
                }
                schema => drop(schemas.insert(name.clone(), self.place(schema)?)),
            }
        }
        for (keyword, fields) in [("dependentRequired", required), ("dependentSchemas", schemas)] {
            if !fields.is_empty() {
                lifted.insert(keyword.to_owned(), Value::Object(fields));
            }
        }
        Some(())
    }
}

/// What stands in the place of a schema that has a name. That an object may be missing is said in that place, so that the
/// name is that of the object.
fn stand_in(schema: &Value, name: &str) -> Value {
    match schema.as_object().is_some_and(is_nullable_object) {
        true => json!({ "oneOf": [reference(name), { "type": "null" }] }),
        false => reference(name),
    }
}

/// A schema for what fits both what stands for a reference and what stood beside it.
fn both(referred: Value, mut beside: Map<String, Value>) -> Value {
    if beside.is_empty() {
        return referred;
    }
    match referred.get("$ref") {
        Some(text) => drop(beside.insert("$ref".to_owned(), text.clone())),
        None => {
            if let Value::Array(all) = beside.entry("allOf").or_insert_with(|| json!([])) {
                all.push(referred);
            }
        }
    }
    Value::Object(beside)
}

#[cfg(test)]
mod tests;
