//! One operation in a description.

use std::collections::BTreeMap;
use std::sync::Arc;

use alknet_call::{ErrorSpec, OperationKind, OperationSpec};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::problem::{COMMON, declared, is_common};
use super::schema::Schemas;

/// How long a summary may be, in characters.
const MAX_SUMMARY: usize = 120;

/// An operation, written as its part of a description. Written once, it goes into the description of everybody who may
/// call it.
pub(super) struct Described {
    pub(super) spec: Arc<OperationSpec>,
    /// Its tag: the name of its service.
    pub(super) tag: String,
    /// Its path.
    pub(super) path: String,
    /// What stands under the path.
    pub(super) item: Box<RawValue>,
    /// Its part of the schemas that others refer to.
    pub(super) schemas: BTreeMap<String, Box<RawValue>>,
    /// The SHA-256 of all that.
    pub(super) digest: [u8; 32],
}

impl Described {
    pub(super) fn of(spec: Arc<OperationSpec>) -> Self {
        let id = dotted(spec.name.as_str());
        let mut schemas = Schemas::default();
        let item = json!({ "post": operation(&spec, &id, &mut schemas) });
        let (path, item) = (spec.name.wire(), raw(&item));
        let schemas = schemas.by_name.iter().map(|(name, schema)| (name.clone(), raw(schema))).collect();
        let written = raw(&(&path, &item, &schemas));
        let mut sum = [0; 32];
        sum.iter_mut().zip(digest(&SHA256, written.get().as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
        Self { tag: dotted(spec.name.service()), spec, path, item, schemas, digest: sum }
    }
}

/// Writing JSON as JSON does not fail.
pub(super) fn raw(value: &impl serde::Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A name as identifiers have it. No word of a name has a dot, so no two names become one.
fn dotted(name: &str) -> String {
    name.replace('/', ".")
}

fn operation(spec: &OperationSpec, id: &str, schemas: &mut Schemas) -> Value {
    let mut operation = Map::new();
    let mut put = |field: &str, value: Value| drop(operation.insert(field.to_owned(), value));
    put("operationId", id.into());
    put("tags", json!([dotted(spec.name.service())]));
    put("summary", summary(spec).into());
    put("description", description(spec).into());
    if spec.resumes.is_some() {
        put("parameters", json!([last_event_id()]));
    }
    let input = schemas.take(&format!("{id}.Input"), spec.input.as_ref());
    let body = json!({ "required": needs_input(spec), "content": { "application/json": { "schema": input } } });
    put("requestBody", body);
    put("responses", responses(spec, id, schemas));
    Value::Object(operation)
}

fn last_event_id() -> Value {
    json!({
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The id of the last event that was received: only those after it follow.",
        "schema": { "type": "string" },
    })
}

/// Whether a call without a body, which is one with `null`, can never succeed.
fn needs_input(spec: &OperationSpec) -> bool {
    let names_resource = spec.resource.as_ref().is_some_and(|resource| resource.id_path.is_some());
    names_resource || spec.input.as_ref().is_some_and(|schema| schema.validate(&Value::Null).is_err())
}

/// The first sentence of the description; without one, the name.
pub(crate) fn summary(spec: &OperationSpec) -> String {
    let line = spec.description.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or(spec.name.as_str());
    let sentence = line.split_once(". ").map_or(line, |(sentence, _)| sentence);
    let sentence = sentence.strip_suffix('.').unwrap_or(sentence);
    match sentence.char_indices().nth(MAX_SUMMARY) {
        Some((end, _)) => format!("{}…", sentence.get(..end).unwrap_or_default().trim_end()),
        None => sentence.to_owned(),
    }
}

/// The description, and what the schemas do not tell of the resources that it is about.
pub(crate) fn description(spec: &OperationSpec) -> String {
    let mut text = spec.description.clone();
    if let Some((resource, path)) = spec.resource.as_ref().and_then(|r| r.id_path.as_ref().map(|path| (r, path))) {
        let kind = &resource.kind;
        text += &format!(
            "\n\nWorks on a resource of the caller's own: the `{kind}` whose id stands at `{path}` of the input."
        );
    }
    if let Some(spawns) = &spec.spawns {
        let (kind, path) = (&spawns.kind, &spawns.id_path);
        text += &format!(
            "\n\nLeaves a resource behind, the caller's own: the `{kind}` whose id stands at `{path}` of the output."
        );
    }
    text.trim_start().to_owned()
}

fn responses(spec: &OperationSpec, id: &str, schemas: &mut Schemas) -> Value {
    let mut responses = Map::new();
    responses.insert("200".to_owned(), success(spec, id, schemas));
    for response in &COMMON {
        if spec.kind == OperationKind::Call && response.only_subscriptions {
            continue;
        }
        let mut common = json!({ "$ref": format!("#/components/responses/{}", response.name) });
        // An operation may say what one of the common codes means with it.
        let own: Vec<_> = spec.errors.iter().filter(|error| response.codes.contains(&&*error.code)).collect();
        if let (Some(common), false) = (common.as_object_mut(), own.is_empty()) {
            let own: Vec<_> = own.into_iter().map(|error| error.description.as_str()).collect();
            common.insert("description".to_owned(), format!("{} {}", response.description, own.join(" ")).into());
        }
        responses.insert(response.status.to_string(), common);
    }
    if let Some(failures) = failures(spec, id, schemas) {
        responses.insert("422".to_owned(), failures);
    }
    Value::Object(responses)
}

fn success(spec: &OperationSpec, id: &str, schemas: &mut Schemas) -> Value {
    let (description, content) = match spec.kind {
        OperationKind::Subscription => {
            let event = schemas.take(&format!("{id}.Event"), spec.output.as_ref());
            let content = json!({ "schema": { "type": "string" }, "x-alknet-event-schema": event });
            let description = "Server-sent events. The `data` of each is one output as JSON, which \
                               `x-alknet-event-schema` describes; an event `end` comes after the last one, and an event \
                               `error`, whose data is a problem document, when there will be no more.";
            (description, json!({ "text/event-stream": content }))
        }
        _ => {
            let output = schemas.take(&format!("{id}.Output"), spec.output.as_ref());
            ("The output.", json!({ "application/json": { "schema": output } }))
        }
    };
    let headers = json!({ "x-alknet-api": { "$ref": "#/components/headers/Api" } });
    json!({ "description": description, "headers": headers, "content": content })
}

/// The failures of the operation's own; none if it has not declared any.
fn failures(spec: &OperationSpec, id: &str, schemas: &mut Schemas) -> Option<Value> {
    let mut own: BTreeMap<&str, &ErrorSpec> = BTreeMap::new();
    for error in spec.errors.iter().filter(|error| !is_common(&error.code)) {
        own.entry(&error.code).or_insert(error);
    }
    let mut each: Vec<_> = own
        .into_values()
        .map(|error| {
            let name = format!("{id}.Error.{}", type_name(&error.code));
            let details = error.details.as_ref();
            let details = details.map(|details| schemas.take(&format!("{name}.Details"), Some(details)));
            schemas.add(name, declared(error, details))
        })
        .collect();
    let schema = match each.len() {
        0 => return None,
        1 => each.remove(0),
        _ => json!({ "oneOf": each }),
    };
    Some(json!({
        "description": "A failure of the operation's own; `code` says which.",
        "content": { "application/problem+json": { "schema": schema } },
    }))
}

/// A code as types are called: `NOT_THERE` is `NotThere`.
fn type_name(code: &str) -> String {
    let words = code.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words = words.map(|word| word.char_indices().map(|(at, c)| if at == 0 { c } else { c.to_ascii_lowercase() }));
    match words.flatten().collect::<String>() {
        name if name.is_empty() => "Part".to_owned(),
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alknet_call::Schema;

    fn spec(description: &str) -> OperationSpec {
        OperationSpec::new("a/b".parse().unwrap()).with_description(description)
    }

    fn post(spec: OperationSpec) -> Value {
        let described = Described::of(Arc::new(spec));
        serde_json::from_str::<Value>(described.item.get()).unwrap()["post"].clone()
    }

    #[test]
    fn a_summary_is_the_first_sentence() {
        for (description, expected) in [
            ("Lists things", "Lists things"),
            ("Lists things. And more.", "Lists things"),
            ("\n  Takes v1.2 of it.\nMore", "Takes v1.2 of it"),
            ("", "a/b"),
        ] {
            assert_eq!(summary(&spec(description)), expected);
        }
        let long = summary(&spec(&"ä".repeat(200)));
        assert_eq!((long.chars().count(), long.chars().last()), (121, Some('…')));
    }

    #[test]
    fn a_body_is_required_when_nothing_will_not_do() {
        let required = |spec: OperationSpec| post(spec)["requestBody"]["required"].clone();
        let input = |schema: Value| spec("").with_input(Schema::new(schema).unwrap());
        assert_eq!(required(spec("")), false);
        assert_eq!(required(input(json!({ "type": ["object", "null"] }))), false);
        assert_eq!(required(input(json!({ "type": "object" }))), true);
        assert_eq!(required(spec("").with_resource("tty", "list", None)), false);
        assert_eq!(required(spec("").with_resource("tty", "write", Some("/id".parse().unwrap()))), true);
    }

    #[test]
    fn declared_errors_are_told_apart_by_their_code() {
        let details = Schema::new(json!({ "type": "integer" })).unwrap();
        let described = Described::of(Arc::new(
            spec("")
                .with_error(ErrorSpec::new("BUSY", "Something runs").with_details(details))
                .with_error(ErrorSpec::new("busy!", "Another"))
                .with_error(ErrorSpec::new("BUSY", "Said twice"))
                .with_error(ErrorSpec::new("NOT_FOUND", "No such thing.")),
        ));
        let item: Value = serde_json::from_str(described.item.get()).unwrap();
        let responses = &item["post"]["responses"];
        let schema = &responses["422"]["content"]["application/problem+json"]["schema"];
        let reference = |name: &str| super::super::schema::reference(name);
        assert_eq!(schema, &json!({ "oneOf": [reference("a.b.Error.Busy"), reference("a.b.Error.busy-2")] }));
        let busy: Value = serde_json::from_str(described.schemas["a.b.Error.Busy"].get()).unwrap();
        assert_eq!(busy["properties"]["code"], json!({ "type": "string", "const": "BUSY" }));
        assert_eq!(busy["properties"]["details"], reference("a.b.Error.Busy.Details"));
        assert!(responses["404"]["description"].as_str().unwrap().ends_with(" No such thing."));
    }

    #[test]
    fn codes_become_names_of_types() {
        for (code, name) in [("SOLD_OUT", "SoldOut"), ("Busy", "Busy"), ("a-1 b", "a1b"), ("!", "Part"), ("ÄX", "X")] {
            assert_eq!(type_name(code), name);
        }
    }

    #[test]
    fn only_a_subscription_has_events() {
        let call = post(spec(""));
        assert!(call["responses"].get("406").is_none() && call.get("parameters").is_none());
        let schema = Schema::new(json!({ "type": "object" })).unwrap();
        let subscription = post(spec("").with_kind(OperationKind::Subscription).with_output(schema));
        let content = &subscription["responses"]["200"]["content"];
        assert_eq!(content["text/event-stream"]["x-alknet-event-schema"]["$ref"], "#/components/schemas/a.b.Event");
        assert!(subscription["responses"].get("406").is_some() && subscription.get("parameters").is_none());
    }

    #[test]
    fn what_can_be_resumed_takes_the_id_of_the_last_event() {
        let resumed = spec("").with_kind(OperationKind::Subscription);
        let resumed = post(resumed.with_resumes("/next".parse().unwrap(), "/from".parse().unwrap()));
        let parameter = &resumed["parameters"][0];
        assert_eq!((&parameter["name"], &parameter["in"]), (&json!("Last-Event-ID"), &json!("header")));
        assert_eq!(parameter.get("required"), None);
    }
}
