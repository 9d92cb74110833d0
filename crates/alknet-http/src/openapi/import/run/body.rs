//! The bodies of requests.

use std::collections::BTreeMap;

use alknet_call::CallError;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::HeaderValue;
use mime::Mime;
use serde_json::{Map, Value};

use super::multipart;
use super::style::{Escape, Pairs, Writing, fields, text};
use crate::openapi::import::model::{BodyEncoding, FieldEncoding, RequestBody};

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// What a range of media types is narrowed to.
const ANY: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A body as it is sent.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) content_type: HeaderValue,
    pub(super) bytes: Bytes,
}

/// How the bodies of an operation are written.
#[derive(Debug)]
pub(super) struct BodyPlan {
    required: bool,
    encoding: BodyEncoding,
    content_type: HeaderValue,
    /// A field of the body, and what it is set to.
    switch: Option<(Box<str>, bool)>,
}

impl BodyPlan {
    /// # Errors
    /// What is wrong with the description.
    pub(super) fn new(body: &RequestBody, switch: Option<(&str, bool)>) -> Result<Self, String> {
        let content_type = match &body.encoding {
            BodyEncoding::Json(kind) | BodyEncoding::Text(kind) | BodyEncoding::Binary(kind) if kind.contains('*') => {
                ANY
            }
            BodyEncoding::Json(kind) | BodyEncoding::Text(kind) | BodyEncoding::Binary(kind) => {
                HeaderValue::try_from(kind).map_err(|_| format!("{kind:?} is no media type"))?
            }
            BodyEncoding::Form(_) => FORM,
            // That of a multipart body has the boundary in it.
            BodyEncoding::Multipart(_) => HeaderValue::from_static("multipart/form-data"),
        };
        let switch = switch.map(|(field, on)| (field.into(), on));
        Ok(Self { required: body.required, encoding: body.encoding.clone(), content_type, switch })
    }

    /// Writes a body; none if there is none to write.
    pub(super) fn encode(&self, value: Option<Value>) -> Result<Option<Encoded>, CallError> {
        let Some(value) = self.switched(value) else {
            return match self.required {
                true => Err(CallError::invalid_input("/body is missing")),
                false => Ok(None),
            };
        };
        let encoded = |bytes: Vec<u8>| Encoded { content_type: self.content_type.clone(), bytes: bytes.into() };
        Ok(Some(match &self.encoding {
            BodyEncoding::Json(_) => encoded(serde_json::to_vec(&value).map_err(CallError::internal)?),
            BodyEncoding::Form(encodings) => encoded(form(encodings, object(&value)?).into_bytes()),
            BodyEncoding::Multipart(parts) => multipart::encode(parts, object(&value)?)?,
            BodyEncoding::Text(_) => match value {
                Value::String(text) => encoded(text.into_bytes()),
                other => encoded(text(&other).unwrap_or_default().into_bytes()),
            },
            BodyEncoding::Binary(_) => match value.as_str() {
                Some(text) => encoded(from_base64(text, "/body")?),
                None => return Err(CallError::invalid_input("/body is not base64: it is no text")),
            },
        }))
    }

    /// The value with the switch in it. For JSON a `null` is a value, for other bodies it is none.
    fn switched(&self, value: Option<Value>) -> Option<Value> {
        let value = value.filter(|value| !value.is_null() || matches!(self.encoding, BodyEncoding::Json(_)));
        match (&self.switch, value) {
            (Some((field, on)), Some(Value::Object(mut object))) => {
                object.insert((**field).to_owned(), Value::Bool(*on));
                Some(Value::Object(object))
            }
            // Without the switch the service would answer another way.
            (Some((field, true)), None) if !self.required => {
                Some(Value::Object(Map::from_iter([((**field).to_owned(), Value::Bool(true))])))
            }
            (_, value) => value,
        }
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, CallError> {
    value.as_object().ok_or_else(|| CallError::invalid_input("/body is no object"))
}

fn form(encodings: &BTreeMap<String, FieldEncoding>, object: &Map<String, Value>) -> String {
    let mut pairs = Pairs::new("&");
    for (name, value) in fields(object) {
        if let Some(FieldEncoding { style, explode, allow_reserved }) = encodings.get(name).copied() {
            let escape = if allow_reserved { Escape::KeepReserved } else { Escape::Component };
            if let Some(written) = (Writing { name, style, explode, escape }).write(value, "&") {
                pairs.extend(&written);
            }
            continue;
        }
        let name = Escape::Component.of(name);
        // A list is written field by field, and an object as JSON, which is what its default type is.
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        for item in items.iter().filter_map(text) {
            pairs.push(&name, &Escape::Component.of(&item));
        }
    }
    pairs.finish().unwrap_or_default()
}

pub(super) fn from_base64(text: &str, place: &str) -> Result<Vec<u8>, CallError> {
    BASE64.decode(text).map_err(|error| CallError::invalid_input(format!("{place} is not base64: {error}")))
}

/// Whether a media type is JSON: its own, or one with the suffix (RFC 6839 §3.1).
pub(super) fn is_json(mime: &Mime) -> bool {
    mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::import::model::Style;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::json;
    use url::form_urlencoded;

    fn plan(encoding: BodyEncoding, switch: Option<(&str, bool)>) -> BodyPlan {
        BodyPlan::new(&RequestBody { required: false, encoding }, switch).unwrap()
    }

    fn encode(encoding: BodyEncoding, value: Value) -> Result<(String, Vec<u8>), CallError> {
        let encoded = plan(encoding, None).encode(Some(value))?.expect("a body");
        Ok((encoded.content_type.to_str().unwrap().to_owned(), encoded.bytes.to_vec()))
    }

    #[test]
    fn a_body_is_written_under_its_type() {
        let patch = encode(BodyEncoding::Json("application/merge-patch+json".into()), json!({ "a": null }));
        assert_eq!(patch.unwrap(), ("application/merge-patch+json".into(), b"{\"a\":null}".to_vec()));
        assert_eq!(encode(BodyEncoding::Json("a/b".into()), json!(null)).unwrap().1, b"null");
        assert_eq!(encode(BodyEncoding::Text("text/csv".into()), json!("a,b")).unwrap().1, b"a,b");
        let image = encode(BodyEncoding::Binary("image/*".into()), json!("/w==")).unwrap();
        assert_eq!(image, ("application/octet-stream".into(), vec![0xff]));
        assert!(
            BodyPlan::new(&RequestBody { required: true, encoding: BodyEncoding::Text("a\nb".into()) }, None).is_err()
        );
    }

    #[test]
    fn a_form_is_written_field_by_field() {
        let deep = FieldEncoding { style: Style::DeepObject, explode: true, allow_reserved: false };
        let path = FieldEncoding { style: Style::Form, explode: true, allow_reserved: true };
        let encodings = BTreeMap::from([("card".to_owned(), deep), ("path".to_owned(), path)]);
        let value =
            json!({ "a b": "c&d", "card": { "no": [4] }, "path": "/x", "tags": [1, "é"], "o": { "k": 1 }, "n": null });
        let (content_type, bytes) = encode(BodyEncoding::Form(encodings), value).unwrap();
        assert_eq!(content_type, "application/x-www-form-urlencoded");
        let expected = "a%20b=c%26d&card%5Bno%5D%5B0%5D=4&o=%7B%22k%22%3A1%7D&path=/x&tags=1&tags=%C3%A9";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn what_is_no_body_is_named() {
        let message = |encoding, value| encode(encoding, value).unwrap_err().message;
        assert!(message(BodyEncoding::Form(BTreeMap::new()), json!([1])).contains("/body is no object"));
        assert!(message(BodyEncoding::Binary("a/b".into()), json!("é")).contains("/body is not base64"));
        assert!(message(BodyEncoding::Binary("a/b".into()), json!(5)).contains("/body is not base64"));
        let required = BodyPlan::new(&RequestBody { required: true, encoding: BodyEncoding::Json("a/b".into()) }, None);
        assert!(required.unwrap().encode(None).unwrap_err().message.contains("/body is missing"));
        assert!(plan(BodyEncoding::Json("a/b".into()), None).encode(None).unwrap().is_none());
    }

    #[test]
    fn the_switch_is_set_whatever_the_input_says() {
        let json = || BodyEncoding::Json("application/json".into());
        let body = |on, value| {
            let encoded = plan(json(), Some(("stream", on))).encode(value).unwrap();
            encoded.map(|encoded| serde_json::from_slice::<Value>(&encoded.bytes).unwrap())
        };
        assert_eq!(body(true, Some(json!({ "a": 1, "stream": false }))), Some(json!({ "a": 1, "stream": true })));
        assert_eq!(body(false, Some(json!({ "stream": true }))), Some(json!({ "stream": false })));
        assert_eq!([body(true, None), body(false, None)], [Some(json!({ "stream": true })), None]);
    }

    proptest! {
        #[test]
        fn a_form_is_read_as_it_was_meant(fields in prop::collection::btree_map(any::<String>(), any::<String>(), 0..5)) {
            let (_, bytes) = encode(BodyEncoding::Form(BTreeMap::new()), json!(fields)).unwrap();
            let read: BTreeMap<String, String> = form_urlencoded::parse(&bytes).into_owned().collect();
            prop_assert_eq!(read, fields);
        }

        #[test]
        fn base64_is_read_with_and_without_padding(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let text = STANDARD.encode(&bytes);
            prop_assert_eq!(from_base64(text.trim_end_matches('='), "").unwrap(), bytes.clone());
            prop_assert_eq!(from_base64(&text, "").unwrap(), bytes);
        }
    }
}
