//! How operations answer.

use std::collections::BTreeMap;

use alknet_call::{ErrorSpec, Schema};
use serde_json::json;

use super::documents::{Documents, Node};
use super::media::{Kind, MediaType};
use super::schema::{Draft, Purpose, Schemas, merged};
use crate::openapi::import::model::AnswerKind;

/// In which ways an operation answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    Once,
    Events,
    /// As the caller wishes.
    Both,
}

/// Statuses that every operation can end with; they are errors of the call protocol's own.
const COMMON: [u16; 7] = [400, 408, 422, 429, 502, 503, 504];

/// How long the description of an error may be, in characters.
const MAX_DESCRIPTION: usize = 500;

pub(super) fn kinds(documents: &Documents, operation: Node<'_>) -> Kinds {
    let contents = successes(documents, operation).into_iter().flat_map(|(_, response)| contents(response));
    let (mut once, mut events) = (false, false);
    contents.for_each(|(media, _)| match media.kind {
        Kind::Events => events = true,
        _ => once = true,
    });
    match (once, events) {
        (_, false) => Kinds::Once,
        (false, true) => Kinds::Events,
        (true, true) => Kinds::Both,
    }
}

/// The media types to ask for, the preferred one first.
pub(super) fn accept(documents: &Documents, operation: Node<'_>, kind: AnswerKind) -> Vec<String> {
    let responses = successes(documents, operation);
    let contents = responses.into_iter().flat_map(|(_, response)| contents(response));
    let mut types: Vec<_> = contents.map(|(media, _)| media).filter(|media| answers(media, kind)).collect();
    types.sort_by(|a, b| a.rank().cmp(&b.rank()));
    types.dedup();
    types.into_iter().map(|media| media.text).collect()
}

/// What an operation gives; none if that is not said.
pub(super) fn output<'a>(schemas: &mut Schemas<'a>, operation: Node<'a>, kind: AnswerKind) -> Option<Draft> {
    let documents = schemas.documents();
    let mut drafts: Vec<Draft> = Vec::new();
    for (_, response) in successes(documents, operation) {
        let media = contents(response).into_iter().filter(|(media, _)| answers(media, kind));
        let media = media.min_by(|(a, _), (b, _)| a.rank().cmp(&b.rank()));
        let draft = match (media, kind) {
            (Some((media, content)), _) => body(schemas, &media, content)?,
            (None, AnswerKind::One) => Draft::plain(json!({ "type": "null" })),
            (None, AnswerKind::Events) => continue,
        };
        if !drafts.iter().any(|other| other.json == draft.json) {
            drafts.push(draft);
        }
    }
    match drafts.len() {
        0 | 1 => drafts.pop(),
        _ => Some(merged(drafts, |drafts| json!({ "anyOf": drafts }))),
    }
}

/// The errors that an operation declares, by their statuses. Ranges of statuses and `default` name none.
pub(super) fn errors<'a>(schemas: &mut Schemas<'a>, operation: Node<'a>) -> Vec<ErrorSpec> {
    let documents = schemas.documents();
    let mut declared = BTreeMap::new();
    for (status, node) in operation.fields("responses") {
        let Ok(status) = status.trim().parse::<u16>() else { continue };
        if (400..600).contains(&status) && !COMMON.contains(&status) {
            declared.insert(status, node);
        }
    }
    let spec = |(status, node): (u16, Node<'a>)| {
        let response = documents.follow(node).ok();
        // A description beside the reference is about this use of it.
        let description = node.text("description").or_else(|| response?.text("description"));
        let description = description.unwrap_or_default().trim().chars().take(MAX_DESCRIPTION).collect::<String>();
        let spec = ErrorSpec::new(format!("HTTP_{status}"), description);
        match response.and_then(|response| details(schemas, status, response)) {
            Some(schema) => spec.with_details(schema),
            None => spec,
        }
    };
    declared.into_iter().map(spec).collect()
}

fn details<'a>(schemas: &mut Schemas<'a>, status: u16, response: Node<'a>) -> Option<Schema> {
    let media = contents(response).into_iter().filter(|(media, _)| media.kind == Kind::Json);
    let (media, content) = media.min_by(|(a, _), (b, _)| a.rank().cmp(&b.rank()))?;
    let draft = body(schemas, &media, content)?.map(|body| {
        json!({
            "type": "object",
            "properties": { "status": { "const": status }, "body": body },
            "required": ["status"],
        })
    });
    schemas.fit_shared(draft).0
}

/// What a body is as an output; none if anything.
fn body<'a>(schemas: &mut Schemas<'a>, media: &MediaType, content: Node<'a>) -> Option<Draft> {
    match media.kind {
        // OpenAPI 3.2 says of each event what it is; before, some describe the event and some all of the text.
        Kind::Events => {
            let schema = content.get("itemSchema").or_else(|| content.get("schema"))?;
            let draft = schemas.draft(schema, Purpose::Output);
            let text = schemas.resolved(schema).text("type") == Some("string");
            (!text).then_some(draft)
        }
        Kind::Json | Kind::Any => Some(schemas.draft(content.get("schema")?, Purpose::Output)),
        Kind::Text => Some(Draft::plain(json!({ "type": "string" }))),
        _ => Some(Draft::plain(json!({
            "type": "object",
            "properties": {
                "content_type": { "type": "string" },
                "data": { "type": "string", "contentEncoding": "base64" },
            },
            "required": ["content_type", "data"],
        }))),
    }
}

fn answers(media: &MediaType, kind: AnswerKind) -> bool {
    (media.kind == Kind::Events) == (kind == AnswerKind::Events)
}

/// The responses that say that it went well, in the order of their statuses. Without any `default` is taken for one.
fn successes<'a>(documents: &'a Documents, operation: Node<'a>) -> Vec<(&'a str, Node<'a>)> {
    let responses = || operation.fields("responses").map(|(status, node)| (status.trim(), node));
    let is_success = |status: &str| matches!(status.as_bytes(), [b'2', _, _]);
    let mut found: Vec<_> = responses().filter(|(status, _)| is_success(status)).collect();
    let redirects = responses().any(|(status, _)| status.starts_with('3'));
    if found.is_empty() && !redirects {
        found.extend(responses().filter(|(status, _)| *status == "default"));
    }
    found.sort_by_key(|(status, _)| *status);
    found.into_iter().filter_map(|(status, node)| Some((status, documents.follow(node).ok()?))).collect()
}

fn contents(response: Node<'_>) -> Vec<(MediaType, Node<'_>)> {
    response.fields("content").filter_map(|(text, node)| Some((MediaType::new(text)?, node))).collect()
}
