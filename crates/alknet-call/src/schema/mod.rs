//! JSON Schemas, compiled once.

mod bounds;
mod graph;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use bounds::Bounds;

/// The longest schema, in bytes of JSON.
const MAX_SIZE: usize = 256 * 1024;

/// How deep the JSON of a schema may nest.
const MAX_DEPTH: usize = 96;

/// The size of a compiled regular expression, and of the cache that it is run with, in bytes.
const MAX_REGEX: usize = 256 * 1024;
const MAX_REGEX_CACHE: usize = 1024 * 1024;

/// How many checks a value may cost, all of its parts with all the subschemas that may look at them.
const MAX_WORK: usize = 1 << 30;

/// Up to which weight of a value (see [`weight`]) all violations in it are looked for. Looking for them takes memory
/// many times that of the value.
const MAX_EXPLAINED: usize = 64 * 1024;

/// How many violations are told.
const MAX_VIOLATIONS: usize = 8;

/// How long a violation's path and reason may be, in characters.
const MAX_TEXT: usize = 256;

/// A JSON Schema of the draft 2020-12 (or 2019-09, 7 or 6, if its `$schema` says so), compiled. Cheap to clone.
///
/// Schemas may come from other nodes. So nothing is fetched for one (a `$ref` stays within the schema and is written as
/// a pointer, `#/…`), its regular expressions are run in linear time (lookaround and back-references are refused), its
/// size is limited, and so is what a check with it costs. `format` is an annotation.
///
/// ```
/// use alknet_call::Schema;
/// use serde_json::json;
/// let schema = Schema::new(json!({ "properties": { "rows": { "type": "integer" } } }))?;
/// assert!(schema.validate(&json!({ "rows": 24 })).is_ok());
/// let error = schema.validate(&json!({ "rows": "many" })).unwrap_err();
/// assert_eq!(error.to_string(), "/rows: value is not of type \"integer\"");
/// # Ok::<(), alknet_call::SchemaError>(())
/// ```
#[derive(Clone)]
pub struct Schema(Arc<Compiled>);

struct Compiled {
    json: Value,
    validator: Validator,
    bounds: Bounds,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// When it is none, refers to anything outside of itself, or would cost too much.
    pub fn new(json: Value) -> Result<Self, SchemaError> {
        if nests_deeper(&json, MAX_DEPTH) {
            return Err(SchemaError::TooDeep);
        }
        if json.to_string().len() > MAX_SIZE {
            return Err(SchemaError::TooLong);
        }
        let bounds = Bounds::of(&json)?;
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(MAX_REGEX).dfa_size_limit(MAX_REGEX_CACHE))
            .should_validate_formats(false)
            .build(&nameless(&json))
            .map_err(|error| SchemaError::Invalid(violation(&error)))?;
        Ok(Self(Arc::new(Compiled { json, validator, bounds })))
    }

    /// Checks a value.
    ///
    /// # Errors
    /// What does not fit, and where.
    pub fn validate(&self, value: &Value) -> Result<(), SchemaViolations> {
        let Compiled { validator, bounds, .. } = &*self.0;
        // What arrives in a frame is never so large that the few subschemas of a usual schema were too much.
        if bounds.checks > 64 && weight(value, MAX_WORK / bounds.checks).is_none() {
            return Err(SchemaViolations::without_place("the value is too large to be checked against the schema"));
        }
        if validator.is_valid(value) {
            return Ok(());
        }
        Err(self.explain(value))
    }

    #[cold]
    fn explain(&self, value: &Value) -> SchemaViolations {
        let Compiled { validator, bounds, .. } = &*self.0;
        if weight(value, MAX_EXPLAINED).is_some() {
            return SchemaViolations(
                validator.iter_errors(value).take(MAX_VIOLATIONS).map(|e| violation(&e)).collect(),
            );
        }
        match validator.validate(value) {
            // The first one can be had without the others, unless they are the reason that an alternative does not fit.
            Err(error) if !bounds.alternatives => SchemaViolations(vec![violation(&error)]),
            _ => SchemaViolations::without_place("the value does not fit, and is too large to tell where"),
        }
    }

    /// The schema itself.
    pub fn as_json(&self) -> &Value {
        &self.0.json
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.json == other.0.json
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", cut(&self.0.json.to_string()))
    }
}

/// The schema without a name of its own: no reference needs it, and it could be that of another schema.
fn nameless(schema: &Value) -> Cow<'_, Value> {
    match schema {
        Value::Object(fields) if fields.contains_key("$id") => Cow::Owned(
            fields.iter().filter(|(keyword, _)| *keyword != "$id").map(|(k, v)| (k.clone(), v.clone())).collect(),
        ),
        _ => Cow::Borrowed(schema),
    }
}

fn nests_deeper(value: &Value, levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| nests_deeper(item, levels)),
        Value::Object(fields) => fields.values().any(|field| nests_deeper(field, levels)),
        _ => false,
    }
}

/// What is left of `budget` after one for each value within `value` and one for each byte of text; none if it is not
/// enough.
fn weight(value: &Value, budget: usize) -> Option<usize> {
    let left = budget.checked_sub(1)?;
    match value {
        Value::String(text) => left.checked_sub(text.len()),
        Value::Array(items) => items.iter().try_fold(left, |left, item| weight(item, left)),
        Value::Object(fields) => {
            fields.iter().try_fold(left, |left, (name, field)| weight(field, left.checked_sub(name.len())?))
        }
        _ => Some(left),
    }
}

/// What the library says, without the value: that may be long, and the caller knows it.
fn violation(error: &ValidationError<'_>) -> Violation {
    Violation { path: cut(error.instance_path().as_str()), reason: cut(&error.masked().to_string()) }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// One way in which a value does not fit a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Where in the value: a JSON pointer (RFC 6901), empty for the whole of it. Cut if it is very long.
    pub path: String,
    /// What is wrong there. Holds nothing of the value but names of fields.
    pub reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.path {
            "" => f.write_str(&self.reason),
            path => write!(f, "{path}: {}", self.reason),
        }
    }
}

/// The ways in which a value does not fit a schema: at least one, and not more than 8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SchemaViolations(Vec<Violation>);

impl SchemaViolations {
    fn without_place(reason: &str) -> Self {
        Self(vec![Violation { path: String::new(), reason: reason.to_owned() }])
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    /// As details of an error: `{"violations": [{"path", "reason"}]}`.
    pub(crate) fn to_json(&self) -> Value {
        let each = |v: &Violation| serde_json::json!({ "path": v.path, "reason": v.reason });
        serde_json::json!({ "violations": self.iter().map(each).collect::<Vec<_>>() })
    }
}

impl fmt::Display for SchemaViolations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, violation) in self.iter().enumerate() {
            write!(f, "{}{violation}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// JSON that is no schema, or none that is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It has too many bytes.
    #[error("the schema is longer than {MAX_SIZE} bytes")]
    TooLong,
    /// It nests too deep.
    #[error("the schema nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// It is of a draft that is not known.
    #[error("the schema is of the draft {0}; write it in https://json-schema.org/draft/2020-12/schema")]
    Draft(String),
    /// A reference leads out of it, or to nothing.
    #[error("the schema refers to {0}; a reference must be a pointer to a place within the schema (#/$defs/name)")]
    Reference(String),
    /// A keyword that changes what references mean.
    #[error(
        "the schema has \"{0}\" within it; only references that are pointers from its root (#/$defs/name) are taken"
    )]
    Keyword(&'static str),
    /// A subschema applies itself to the same value.
    #[error("a subschema refers to itself without an end: a check with it would have none")]
    Endless,
    /// A check would cost too much.
    #[error("the schema is too intricate: {0}")]
    TooIntricate(&'static str),
    /// Something in it is not what its keyword takes.
    #[error("the schema cannot be used: {0}")]
    Invalid(Violation),
}

#[cfg(test)]
mod tests;
