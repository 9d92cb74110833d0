//! Descriptions as they travel.

use serde_json::{Map, Value, json};

use super::{Access, ErrorSpec, InvalidName, InvalidPointer, JsonPointer, OperationKind, OperationSpec};
use crate::wire::quoted;
use crate::{Schema, SchemaError};

/// The longest description that is taken, in bytes.
const MAX_DESCRIPTION: usize = 16 * 1024;

/// The longest code and the longest kind of resource, in bytes.
const MAX_WORD: usize = 64;

/// The most errors and scopes of one operation.
const MAX_ENTRIES: usize = 64;

impl OperationSpec {
    /// The description as `services/schema` shows it. Whether the operation is visible is not in it: who sees it knows.
    ///
    /// `name` (with its leading slash), `description`, `kind` (`"call"` or `"subscription"`), `access` (`"public"`,
    /// `"identified"` or `{"scopes": […]}`), and as far as there are such: `resource_type`, `resource_action`,
    /// `resource_id_path`, `spawns` (`type`, `id_path`), `lists` (`type`, `items`, `id`), `resumes`
    /// (`event`, `input`), `input_schema`, `output_schema`, and `errors` (each `code`, `description`, `details_schema`).
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        let mut put = |field: &str, value: Option<Value>| drop(value.map(|value| json.insert(field.to_owned(), value)));
        put("name", Some(self.name.wire().into()));
        put("description", Some(self.description.as_str().into()));
        put("kind", Some(self.kind.as_str().into()));
        put("access", Some(self.access.to_json()));
        if let Some(resource) = &self.resource {
            put("resource_type", Some((*resource.kind).into()));
            put("resource_action", Some((*resource.action).into()));
            put("resource_id_path", resource.id_path.as_ref().map(|path| path.to_string().into()));
        }
        let spawns = self.spawns.as_ref();
        put("spawns", spawns.map(|s| json!({ "type": &*s.kind, "id_path": s.id_path.to_string() })));
        let lists = self.lists.as_ref();
        put("lists", lists.map(|l| json!({ "type": &*l.kind, "items": l.items.to_string(), "id": l.id.to_string() })));
        let resumes = self.resumes.as_ref();
        put("resumes", resumes.map(|r| json!({ "event": r.event.to_string(), "input": r.input.to_string() })));
        put("input_schema", self.input.as_ref().map(|schema| schema.as_json().clone()));
        put("output_schema", self.output.as_ref().map(|schema| schema.as_json().clone()));
        put("errors", (!self.errors.is_empty()).then(|| self.errors.iter().map(ErrorSpec::to_json).collect()));
        Value::Object(json)
    }

    /// Reads what [`to_json`](Self::to_json) writes. Fields that are not known are ignored.
    ///
    /// # Errors
    /// When a field that is needed is missing, or one that is known holds what it cannot.
    pub fn from_json(json: &Value) -> Result<Self, InvalidSpec> {
        let fields = Fields(json);
        let name = fields.text("name", usize::MAX)?.ok_or(InvalidSpec::Missing { field: "name" })?;
        let mut spec = Self::new(name.strip_prefix('/').unwrap_or(name).parse()?);
        spec.description = fields.text("description", MAX_DESCRIPTION)?.unwrap_or_default().to_owned();
        spec.kind = fields.field("kind").map(OperationKind::from_json).transpose()?.unwrap_or_default();
        spec.access = fields.field("access").map(Access::from_json).transpose()?.unwrap_or_default();
        if let Some(kind) = fields.text("resource_type", MAX_WORD)? {
            let action = fields.text("resource_action", MAX_WORD)?.unwrap_or_default();
            spec = spec.with_resource(kind, action, fields.pointer("resource_id_path")?);
        }
        if let Some(spawns) = fields.inner("spawns") {
            spec = spec.with_spawns(spawns.needed("type")?, spawns.needed_pointer("id_path")?);
        }
        if let Some(lists) = fields.inner("lists") {
            let (items, id) = (lists.needed_pointer("items")?, lists.needed_pointer("id")?);
            spec = spec.with_lists(lists.needed("type")?, items, id);
        }
        if let Some(resumes) = fields.inner("resumes") {
            spec = spec.with_resumes(resumes.needed_pointer("event")?, resumes.needed_pointer("input")?);
        }
        spec.input = fields.schema("input_schema")?;
        spec.output = fields.schema("output_schema")?;
        spec.errors = fields.list("errors")?.iter().map(ErrorSpec::from_json).collect::<Result<_, _>>()?;
        Ok(spec)
    }
}

impl OperationKind {
    fn from_json(json: &Value) -> Result<Self, InvalidSpec> {
        match json.as_str() {
            Some("call") => Ok(Self::Call),
            Some("subscription") => Ok(Self::Subscription),
            _ => Err(InvalidSpec::value("kind", json, "\"call\" or \"subscription\"")),
        }
    }
}

impl Access {
    fn to_json(&self) -> Value {
        match self {
            Self::Public => "public".into(),
            Self::Identified => "identified".into(),
            Self::Scopes(scopes) => json!({ "scopes": scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>() }),
        }
    }

    fn from_json(json: &Value) -> Result<Self, InvalidSpec> {
        const FORM: &str = "\"public\", \"identified\" or {\"scopes\": [\"service:action\", …]}";
        match json.as_str() {
            Some("public") => return Ok(Self::Public),
            Some("identified") => return Ok(Self::Identified),
            _ if json.get("scopes").is_none() => return Err(InvalidSpec::value("access", json, FORM)),
            _ => {}
        }
        let scope = |scope: &Value| scope.as_str().and_then(|text| text.parse().ok());
        let scopes = Fields(json).list("scopes")?.iter();
        let scopes = scopes.map(|json| scope(json).ok_or_else(|| InvalidSpec::value("access", json, FORM)));
        scopes.collect::<Result<_, _>>().map(Self::Scopes)
    }
}

impl ErrorSpec {
    fn to_json(&self) -> Value {
        let mut json = json!({ "code": &*self.code, "description": self.description });
        if let (Some(object), Some(details)) = (json.as_object_mut(), &self.details) {
            object.insert("details_schema".to_owned(), details.as_json().clone());
        }
        json
    }

    fn from_json(json: &Value) -> Result<Self, InvalidSpec> {
        let fields = Fields(json);
        let code = fields.needed("code")?;
        let description = fields.text("description", MAX_DESCRIPTION)?.unwrap_or_default();
        Ok(Self { details: fields.schema("details_schema")?, ..Self::new(code, description) })
    }
}

/// Access to the fields of an object; `null` is as good as absent.
struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    fn field(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn inner(&self, field: &str) -> Option<Fields<'a>> {
        self.field(field).map(Fields)
    }

    fn text(&self, field: &'static str, max: usize) -> Result<Option<&'a str>, InvalidSpec> {
        let Some(value) = self.field(field) else { return Ok(None) };
        match value.as_str() {
            Some(text) if text.len() <= max => Ok(Some(text)),
            Some(_) => Err(InvalidSpec::TooLong { field, max }),
            None => Err(InvalidSpec::value(field, value, "a string")),
        }
    }

    fn needed(&self, field: &'static str) -> Result<&'a str, InvalidSpec> {
        match self.text(field, MAX_WORD)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(InvalidSpec::Missing { field }),
        }
    }

    fn pointer(&self, field: &'static str) -> Result<Option<JsonPointer>, InvalidSpec> {
        let text = self.text(field, usize::MAX)?;
        text.map(|text| text.parse().map_err(|source| InvalidSpec::Pointer { field, source })).transpose()
    }

    fn needed_pointer(&self, field: &'static str) -> Result<JsonPointer, InvalidSpec> {
        self.pointer(field)?.ok_or(InvalidSpec::Missing { field })
    }

    fn schema(&self, field: &'static str) -> Result<Option<Schema>, InvalidSpec> {
        let schema = self.field(field).cloned().map(Schema::new).transpose();
        schema.map_err(|source| InvalidSpec::Schema { field, source: Box::new(source) })
    }

    fn list(&self, field: &'static str) -> Result<&'a [Value], InvalidSpec> {
        let Some(value) = self.field(field) else { return Ok(&[]) };
        match value.as_array() {
            Some(entries) if entries.len() <= MAX_ENTRIES => Ok(entries),
            Some(_) => Err(InvalidSpec::TooLong { field, max: MAX_ENTRIES }),
            None => Err(InvalidSpec::value(field, value, "a list")),
        }
    }
}

/// JSON that describes no operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSpec {
    /// A field is not there.
    #[error("an operation's description lacks \"{field}\"")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field has another kind of value.
    #[error("\"{field}\" of an operation's description is {value}; it must be {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// What it holds, cut.
        value: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// A field has too much in it.
    #[error("\"{field}\" of an operation's description is longer than {max}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// How many bytes or entries it may have.
        max: usize,
    },
    /// The name is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A pointer is none.
    #[error("\"{field}\" of an operation's description: {source}")]
    Pointer {
        /// The field.
        field: &'static str,
        /// What is wrong.
        source: InvalidPointer,
    },
    /// A schema is none that can be used.
    #[error("\"{field}\" of an operation's description: {source}")]
    Schema {
        /// The field.
        field: &'static str,
        /// What is wrong.
        source: Box<SchemaError>,
    },
}

impl InvalidSpec {
    fn value(field: &'static str, value: &Value, expected: &'static str) -> Self {
        let value = match value {
            Value::Object(_) => "an object".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::String(text) => quoted(text),
            other => other.to_string(),
        };
        Self::Value { field, value, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Value {
        json!({
            "name": "/tty/spawn",
            "description": "Starts a terminal",
            "kind": "subscription",
            "access": { "scopes": ["tty:spawn", "tty:use"] },
            "resource_type": "tty",
            "resource_action": "write",
            "resource_id_path": "/id",
            "spawns": { "type": "tty", "id_path": "/terminal/id" },
            "lists": { "type": "tty", "items": "/terminals", "id": "/id" },
            "resumes": { "event": "/next", "input": "/from" },
            "input_schema": { "type": "object" },
            "output_schema": true,
            "errors": [{ "code": "BUSY", "description": "Later", "details_schema": { "type": "integer" } }],
        })
    }

    #[test]
    fn a_full_description_reads_back() {
        let spec = OperationSpec::from_json(&full()).unwrap();
        assert_eq!(spec.to_json(), full());
        assert_eq!(spec.spawns.as_ref().unwrap().id_path.to_string(), "/terminal/id");
        assert_eq!(&*spec.errors[0].code, "BUSY");
    }

    #[test]
    fn a_bare_one_is_a_call_for_known_peers_and_more_fields_do_no_harm() {
        let spec = OperationSpec::from_json(&json!({ "name": "/a/b", "later": { "x": 1 }, "spawns": null })).unwrap();
        assert_eq!(spec, OperationSpec::new("a/b".parse().unwrap()));
        let expected = json!({ "name": "/a/b", "description": "", "kind": "call", "access": "identified" });
        assert_eq!(spec.to_json(), expected);
    }

    #[test]
    fn each_bad_value_is_named() {
        for (field, value, error) in [
            ("name", json!(null), "lacks \"name\""),
            ("name", json!("/x"), "\"x\" is no operation's name"),
            ("description", json!(5), "\"description\" of an operation's description is 5; it must be a string"),
            ("description", json!("x".repeat(20_000)), "longer than 16384"),
            ("kind", json!("dance"), "is \"dance\"; it must be \"call\" or"),
            ("access", json!("all"), "\"access\" of an operation's description is \"all\""),
            ("access", json!({}), "is an object; it must be"),
            ("access", json!({ "scopes": ["x"] }), "is \"x\"; it must be"),
            ("resource_id_path", json!("id"), "\"id\" is no JSON pointer"),
            ("spawns", json!({ "type": "tty" }), "lacks \"id_path\""),
            ("lists", json!({ "items": "", "id": "" }), "lacks \"type\""),
            ("resumes", json!({ "event": "/next" }), "lacks \"input\""),
            (
                "resumes",
                json!({ "event": "next", "input": "" }),
                "\"event\" of an operation's description: \"next\" is no JSON",
            ),
            ("input_schema", json!({ "type": 5 }), "\"input_schema\" of an operation's description"),
            ("errors", json!({}), "is an object; it must be a list"),
            ("errors", json!([{}]), "lacks \"code\""),
        ] {
            let mut json = full();
            json[field] = value.clone();
            let message = OperationSpec::from_json(&json).unwrap_err().to_string();
            assert!(message.contains(error), "{field} = {value}: {message}");
        }
        assert!(OperationSpec::from_json(&json!([])).is_err());
    }
}
