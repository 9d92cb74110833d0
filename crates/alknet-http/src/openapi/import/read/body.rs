//! What bodies of requests are made of.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::documents::Node;
use super::media::{Kind, MediaType};
use super::parameters::query_style;
use super::schema::{Draft, Purpose, Schemas};
use crate::openapi::import::model::{BodyEncoding, FieldEncoding, PartEncoding, RequestBody, Style};

/// A body, with what its value looks like.
pub(super) struct Described {
    pub(super) body: RequestBody,
    pub(super) schema: Draft,
}

/// The body of an operation: the one of its media types that is written most easily. `switch` is a field that is not the
/// caller's.
///
/// # Errors
/// Why it cannot be sent.
pub(super) fn read<'a>(
    schemas: &mut Schemas<'a>,
    operation: Node<'a>,
    switch: Option<&str>,
    remarks: &mut BTreeSet<String>,
) -> Result<Option<Described>, String> {
    let Some(body) = operation.get("requestBody").filter(|body| !body.value.is_null()) else { return Ok(None) };
    let body = schemas.documents().follow(body).map_err(|error| format!("its body {error}"))?;
    let required = body.flag("required") == Some(true);
    let Some((media, content)) = choose(schemas, body) else {
        return without(body, required, remarks).map(|()| None);
    };
    let schema = schema(schemas, &media, content, switch);
    let schema = match body.text("description") {
        Some(text) => schema.map(|schema| described(schema, text)),
        None => schema,
    };
    let encoding = encoding(schemas, media, content);
    Ok(Some(Described { body: RequestBody { required, encoding }, schema }))
}

/// Whether an operation can do without a body that cannot be written.
fn without(body: Node<'_>, required: bool, remarks: &mut BTreeSet<String>) -> Result<(), String> {
    let types: Vec<_> = body.fields("content").map(|(text, _)| format!("{text:?}")).take(5).collect();
    let types = types.join(" or ");
    let remark = match (&*types, required) {
        ("", _) => "the body is left out: nothing is said of its content".to_owned(),
        (types, true) => return Err(format!("its body is {types}, which is not supported")),
        (types, false) => format!("the body is left out: {types} is not supported"),
    };
    remarks.insert(remark);
    Ok(())
}

/// The boolean field of the body that says whether to answer with events.
pub(super) fn switch<'a>(schemas: &Schemas<'a>, operation: Node<'a>) -> Option<&'static str> {
    const SWITCH: &str = "stream";
    let body = schemas.documents().follow(operation.get("requestBody")?).ok()?;
    let (media, content) = choose(schemas, body)?;
    let fields = schemas.properties(content.get("schema")?);
    let is_boolean = |field: &Node<'_>| schemas.may_be(*field, "boolean");
    let written = matches!(media.kind, Kind::Json | Kind::Form | Kind::Multipart);
    (written && fields.get(SWITCH).is_some_and(is_boolean)).then_some(SWITCH)
}

/// The media type that is chosen, made concrete if it is a wildcard.
fn choose<'a>(schemas: &Schemas<'a>, body: Node<'a>) -> Option<(MediaType, Node<'a>)> {
    let all = body.fields("content").filter_map(|(text, content)| {
        let media = concrete(schemas, MediaType::new(text)?, content);
        (media.kind < Kind::Any).then_some((media, content))
    });
    all.min_by(|(a, _), (b, _)| a.rank().cmp(&b.rank()))
}

/// A media type that can be sent: a wildcard says nothing, and unknown types may carry objects.
fn concrete<'a>(schemas: &Schemas<'a>, media: MediaType, content: Node<'a>) -> MediaType {
    let schema = content.get("schema");
    let object = schema.is_some_and(|schema| ["object", "array"].iter().any(|kind| schemas.may_be(schema, kind)));
    let binary = schema.is_some_and(|schema| schemas.is_binary(schema));
    let wild = media.text.contains('*');
    let (kind, text) = match media.kind {
        Kind::Any if binary => (Kind::Binary, "application/octet-stream"),
        Kind::Any if schema.is_some_and(|schema| !object && schemas.may_be(schema, "string")) => {
            (Kind::Text, "text/plain")
        }
        Kind::Any => (Kind::Json, "application/json"),
        Kind::Binary if wild => (Kind::Binary, "application/octet-stream"),
        Kind::Text if wild => (Kind::Text, "text/plain"),
        // A type of its own whose name does not say that it is JSON.
        Kind::Binary if object && !binary && media.is_own() => return MediaType { kind: Kind::Json, ..media },
        _ => return media,
    };
    MediaType { text: text.to_owned(), kind }
}

fn schema<'a>(schemas: &mut Schemas<'a>, media: &MediaType, content: Node<'a>, switch: Option<&str>) -> Draft {
    let schema = content.get("schema");
    match (media.kind, schema) {
        (Kind::Binary, _) => Draft::plain(json!({ "type": "string", "contentEncoding": "base64" })),
        (Kind::Text, Some(schema)) if schemas.may_be(schema, "string") => schemas.draft(schema, Purpose::Input),
        (Kind::Text, _) => Draft::plain(json!({ "type": "string" })),
        (_, None) => Draft::plain(json!({})),
        (Kind::Multipart, Some(schema)) => schemas.draft_without(schema, Purpose::Upload, switch),
        (_, Some(schema)) => schemas.draft_without(schema, Purpose::Input, switch),
    }
}

fn described(schema: Value, text: &str) -> Value {
    match schema {
        Value::Object(mut fields) => {
            fields.entry("description").or_insert_with(|| text.into());
            Value::Object(fields)
        }
        other => other,
    }
}

fn encoding<'a>(schemas: &Schemas<'a>, media: MediaType, content: Node<'a>) -> BodyEncoding {
    match media.kind {
        Kind::Form => {
            let fields = content.fields("encoding").map(|(name, node)| (name.to_owned(), field(node)));
            BodyEncoding::Form(fields.collect())
        }
        Kind::Multipart => BodyEncoding::Multipart(parts(schemas, content)),
        Kind::Text => BodyEncoding::Text(media.text),
        Kind::Binary => BodyEncoding::Binary(media.text),
        _ => BodyEncoding::Json(media.text),
    }
}

fn field(node: Node<'_>) -> FieldEncoding {
    let json = node.text("contentType").and_then(MediaType::new).is_some_and(|media| media.kind == Kind::Json);
    let explicit = ["style", "explode", "allowReserved"].iter().any(|key| node.get(key).is_some());
    // With a media type and nothing else the value is written as that (OpenAPI 3.1.1 §4.8.15.1.2).
    let style = if json && !explicit { Style::Json } else { query_style(node.text("style").unwrap_or_default()) };
    FieldEncoding {
        style,
        explode: node.flag("explode").unwrap_or(style == Style::Form),
        allow_reserved: node.flag("allowReserved") == Some(true),
    }
}

fn parts<'a>(schemas: &Schemas<'a>, content: Node<'a>) -> BTreeMap<String, PartEncoding> {
    let mut parts = BTreeMap::new();
    let fields = content.get("schema").map(|schema| schemas.properties(schema)).unwrap_or_default();
    for (name, schema) in fields {
        if schemas.is_binary(schema) {
            parts.insert(name.to_owned(), PartEncoding { content_type: None, file: true });
        }
    }
    for (name, node) in content.fields("encoding") {
        let types = node.text("contentType").unwrap_or_default().split(',');
        let media = types.filter_map(MediaType::new).find(|media| !media.text.contains('*'));
        let binary = media.as_ref().is_some_and(|media| media.kind == Kind::Binary);
        let file = binary || parts.get(name).is_some_and(|part| part.file);
        parts.insert(name.to_owned(), PartEncoding { content_type: media.map(|media| media.text), file });
    }
    parts
}
