//! Outputs from answers.
//!
//! - JSON, under its own media type or one with the suffix `+json`, is the value that it stands for.
//! - A text (`text/*`, XML, YAML, JavaScript, a form) is a string.
//! - Anything else is `{"content_type": …, "data": …}` with the bytes in base64.
//! - No body at all is `null`.
//!
//! An output that is not what the description declares is passed on as it is: real services deviate from their
//! descriptions, and whoever calls can do more with an answer than with an error.
//!
//! An event is its data: the value if that is JSON, else the text. If the event has a type which the data does not have in
//! a `type` field itself, it is `{"event": type, "data": …}`. The text `[DONE]`, which OpenAI's services and those made
//! after them send, is the end.
//!
//! Any answer but a success is an error. Those that every operation knows have the codes of the call protocol, others are
//! `HTTP_404` and the like. The details have the `status`, the `body` up to 64 KiB, and `retry_after_seconds` if the service
//! has said that. A redirect that was not followed is one of them, with its `location`.

use std::time::{Duration, SystemTime};

use alknet_call::{CallError, ErrorCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use mime::Mime;
use serde_json::{Map, Value, json};

use super::body::is_json;
use super::scrub::Scrub;
use crate::outbound::{Event, RequestError, read, read_start, retry_after};

/// How much of the body of an error is told.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// How much of what a service says about an error stands in the message, in characters.
const MAX_SAID: usize = 300;

/// What ends a stream of events.
const DONE: &str = "[DONE]";

/// The output of a success.
pub(super) async fn output(response: reqwest::Response, limit: usize) -> Result<Answer, RequestError> {
    let field = |name| response.headers().get(name).cloned();
    let (content_type, coding) = (field(CONTENT_TYPE), field(CONTENT_ENCODING));
    Ok(Answer { content_type, coding, body: read(response, limit).await? })
}

/// A success that was read.
pub(super) struct Answer {
    content_type: Option<HeaderValue>,
    coding: Option<HeaderValue>,
    body: Bytes,
}

impl Answer {
    pub(super) fn value(self, scrub: &Scrub) -> Result<Value, CallError> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        if let Some(coding) = self.coding.filter(|coding| coding != "identity") {
            return Err(unreadable(format!("it is coded as {coding:?}, which it was not asked for")));
        }
        let mut value = value(self.content_type.as_ref(), &self.body, scrub)
            .map_err(|error| unreadable(format!("it says that it is JSON, and is not: {error}")))?;
        scrub.value(&mut value);
        Ok(value)
    }
}

fn value(content_type: Option<&HeaderValue>, body: &Bytes, scrub: &Scrub) -> serde_json::Result<Value> {
    let mime = content_type.and_then(media_type);
    match &mime {
        Some(mime) if is_json(mime) => return serde_json::from_slice(body),
        // What it is is not said.
        None => {
            if let Ok(value) = serde_json::from_slice(body) {
                return Ok(value);
            }
        }
        Some(_) => {}
    }
    if mime.as_ref().is_none_or(is_text)
        && let Some(text) = decode(mime.as_ref(), body)
    {
        return Ok(Value::String(text));
    }
    let content_type = mime.as_ref().map_or("application/octet-stream", AsRef::as_ref);
    Ok(json!({ "content_type": content_type, "data": STANDARD.encode(scrub.bytes(body)) }))
}

/// Whether the answer is one of events.
pub(super) fn is_events(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).and_then(media_type).is_some_and(|mime| mime.essence_str() == "text/event-stream")
}

fn media_type(content_type: &HeaderValue) -> Option<Mime> {
    content_type.to_str().ok()?.parse().ok()
}

fn is_text(mime: &Mime) -> bool {
    const SUBTYPES: [&str; 7] = ["xml", "yaml", "x-yaml", "javascript", "x-www-form-urlencoded", "x-ndjson", "jsonl"];
    mime.type_() == mime::TEXT
        || mime.suffix() == Some(mime::XML)
        || mime.suffix().is_some_and(|suffix| suffix == "yaml")
        || (mime.type_() == mime::APPLICATION && SUBTYPES.contains(&mime.subtype().as_str()))
}

fn decode(mime: Option<&Mime>, body: &[u8]) -> Option<String> {
    match mime.and_then(|mime| mime.get_param(mime::CHARSET)) {
        Some(charset) if charset == "iso-8859-1" => Some(body.iter().copied().map(char::from).collect()),
        Some(charset) if charset != mime::UTF_8 && charset != "us-ascii" => None,
        _ => std::str::from_utf8(body).ok().map(str::to_owned),
    }
}

/// The output that an event is; none for the one that ends the stream.
pub(super) fn event(event: Event, scrub: &Scrub) -> Option<Value> {
    let Event { kind, data, .. } = event;
    if data == DONE {
        return None;
    }
    let mut value = serde_json::from_str(&data).unwrap_or(Value::String(data));
    let says_itself = kind.is_empty() || kind == "message" || value.get("type").and_then(Value::as_str) == Some(&kind);
    if !says_itself {
        value = json!({ "event": kind, "data": value });
    }
    scrub.value(&mut value);
    Some(value)
}

/// An answer that is no success, and the start of its body.
pub(super) struct Refusal {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Refusal {
    pub(super) async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        // The status is what counts, so it is told even if its body breaks off.
        let body = read_start(response, MAX_ERROR_BODY).await.unwrap_or_default();
        Self { status, headers, body }
    }

    pub(super) fn error(self, scrub: &Scrub) -> CallError {
        let Self { status, headers, body } = self;
        let mut details = Map::from_iter([("status".to_owned(), json!(status.as_u16()))]);
        if let Some(wait) = retry_after(&headers, SystemTime::now()) {
            details.insert("retry_after_seconds".to_owned(), json!(rounded_up(wait)));
        }
        if let Some(location) = headers.get(LOCATION).and_then(|location| location.to_str().ok()) {
            details.insert("location".to_owned(), json!(location));
        }
        let mut message = format!("the service answered {status}");
        if !body.is_empty() {
            let value: Value = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
            if let Some(said) = said(&value) {
                let end = said.char_indices().nth(MAX_SAID).map_or(said.len(), |(end, _)| end);
                message = format!("{message}: {}", said.get(..end).unwrap_or_default());
            }
            details.insert("body".to_owned(), value);
        }
        scrub.error(coded(status, message).with_details(details.into()))
    }
}

fn coded(status: StatusCode, message: String) -> CallError {
    let code = match status.as_u16() {
        400 | 422 => ErrorCode::InvalidInput,
        408 | 504 => ErrorCode::Timeout,
        429 => ErrorCode::ResourceExhausted,
        502 | 503 => ErrorCode::Unavailable,
        other => return CallError::declared(&format!("HTTP_{other}"), message),
    };
    CallError::new(code, message)
}

/// What an error says for people: as problem documents have it (RFC 9457), or in one of the usual places.
fn said(body: &Value) -> Option<&str> {
    let nested = body.get("error").and_then(|error| error.get("message"));
    let places = ["detail", "message", "error_description", "error", "title"].map(|key| body.get(key));
    nested.into_iter().chain(places.into_iter().flatten()).find_map(Value::as_str)
}

fn rounded_up(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// What a request that got no whole answer means to whoever calls.
pub(super) fn of_failure(failure: RequestError) -> CallError {
    let message = failure.to_string();
    match failure {
        RequestError::Timeout { .. } => CallError::new(ErrorCode::Timeout, message),
        RequestError::TooLong { .. } => {
            let mut error = CallError::new(ErrorCode::ResourceExhausted, message);
            // It will be as long the next time.
            error.retryable = false;
            error
        }
        RequestError::Unreachable { .. } | RequestError::Broken { .. } => {
            CallError::new(ErrorCode::Unavailable, message)
        }
    }
}

fn unreadable(why: String) -> CallError {
    let mut error = CallError::new(ErrorCode::Unavailable, format!("the answer of the service cannot be read: {why}"));
    error.retryable = false;
    error
}

#[cfg(test)]
mod tests;
