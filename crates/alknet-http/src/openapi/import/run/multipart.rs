//! Bodies of `multipart/form-data` (RFC 7578).

use std::collections::BTreeMap;

use alknet_call::CallError;
use bytes::{BufMut as _, BytesMut};
use http::HeaderValue;
use mime::Mime;
use serde_json::{Map, Value};

use super::body::{Encoded, from_base64};
use super::style::{fields, text};
use crate::openapi::import::model::PartEncoding;

/// Writes a body. The items of a list are parts of one name.
pub(super) fn encode(
    parts: &BTreeMap<String, PartEncoding>,
    object: &Map<String, Value>,
) -> Result<Encoded, CallError> {
    let boundary = boundary()?;
    let mut body = BytesMut::new();
    for (name, value) in fields(object) {
        let encoding = parts.get(name);
        // A type of JSON says that a list is one part.
        let whole = encoding.and_then(|encoding| encoding.content_type.as_deref()).is_some_and(is_json);
        match value {
            Value::Array(items) if !whole => {
                items.iter().try_for_each(|item| part(&boundary, name, encoding, item, &mut body))?;
            }
            value => part(&boundary, name, encoding, value, &mut body)?,
        }
    }
    body.put_slice(format!("--{boundary}--\r\n").as_bytes());
    let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
    Ok(Encoded { content_type: content_type.map_err(CallError::internal)?, bytes: body.freeze() })
}

fn part(
    boundary: &str,
    name: &str,
    encoding: Option<&PartEncoding>,
    value: &Value,
    body: &mut BytesMut,
) -> Result<(), CallError> {
    let declared = encoding.and_then(|encoding| encoding.content_type.as_deref());
    let part = match encoding {
        Some(PartEncoding { file: true, .. }) => Part::file(name, value, declared)?,
        _ => Part::field(value, declared),
    };
    let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name));
    if let Some(filename) = &part.filename {
        head.push_str(&format!("; filename=\"{}\"", quoted(filename)));
    }
    if let Some(content_type) = &part.content_type {
        head.push_str(&format!("\r\nContent-Type: {content_type}"));
    }
    head.push_str("\r\n\r\n");
    body.reserve(head.len() + part.bytes.len() + 2);
    body.put_slice(head.as_bytes());
    body.put_slice(&part.bytes);
    body.put_slice(b"\r\n");
    Ok(())
}

struct Part {
    filename: Option<String>,
    content_type: Option<String>,
    bytes: Vec<u8>,
}

impl Part {
    fn field(value: &Value, declared: Option<&str>) -> Self {
        let is_json = declared.is_some_and(is_json) || matches!(value, Value::Object(_) | Value::Array(_));
        let content_type = declared.and_then(concrete).or(is_json.then(|| "application/json".to_owned()));
        let text = if is_json { value.to_string() } else { text(value).unwrap_or_default() };
        Self { filename: None, content_type, bytes: text.into_bytes() }
    }

    fn file(name: &str, value: &Value, declared: Option<&str>) -> Result<Self, CallError> {
        let field = |key: &str| value.get(key).and_then(Value::as_str);
        let Some(data) = value.as_str().or_else(|| field("data")) else {
            let message = format!("/body/{name} is a file: a text in base64, or an object with that as \"data\"");
            return Err(CallError::invalid_input(message));
        };
        let content_type = match field("content_type") {
            None => declared.and_then(concrete).unwrap_or_else(|| "application/octet-stream".to_owned()),
            Some(given) => given.parse::<Mime>().map(|mime| mime.to_string()).map_err(|_| {
                CallError::invalid_input(format!("/body/{name}/content_type is no media type, such as image/png"))
            })?,
        };
        // Without a file name a service takes a part for a plain field.
        let filename = field("filename").unwrap_or(name).to_owned();
        let bytes = from_base64(data, &format!("/body/{name}"))?;
        Ok(Self { filename: Some(filename), content_type: Some(content_type), bytes })
    }
}

/// The first of several types that are declared, if it is one and no range.
fn concrete(declared: &str) -> Option<String> {
    let mime: Mime = declared.split(',').next()?.trim().parse().ok()?;
    (!mime.essence_str().contains('*')).then(|| mime.to_string())
}

fn is_json(declared: &str) -> bool {
    concrete(declared).and_then(|mime| mime.parse().ok()).is_some_and(|mime: Mime| super::body::is_json(&mime))
}

/// A name within quotes, as the HTML standard has it for forms (§4.10.21.8).
fn quoted(name: &str) -> String {
    name.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22")
}

/// 144 bits that nobody can know before, so that no part contains them.
fn boundary() -> Result<String, CallError> {
    let random = alknet_core::auth::Token::generate().map_err(CallError::internal)?.hash().to_string();
    let short: String = random.chars().take(36).collect();
    Ok(format!("alknet-{short}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::json;

    fn file(content_type: Option<&str>) -> PartEncoding {
        PartEncoding { content_type: content_type.map(str::to_owned), file: true }
    }

    fn encode_object(parts: &[(&str, PartEncoding)], value: &Value) -> Result<Encoded, CallError> {
        let parts = parts.iter().map(|(name, encoding)| ((*name).to_owned(), encoding.clone())).collect();
        encode(&parts, value.as_object().unwrap())
    }

    /// The heads and the contents of the parts, read by the boundary.
    fn read(encoded: &Encoded) -> Vec<(String, Vec<u8>)> {
        let content_type: Mime = encoded.content_type.to_str().unwrap().parse().unwrap();
        let delimiter = format!("--{}", content_type.get_param("boundary").unwrap());
        let mut parts = Vec::new();
        let mut rest = encoded.bytes.strip_prefix(delimiter.as_bytes()).unwrap();
        while let Some(part) = rest.strip_prefix(b"\r\n") {
            let find =
                |haystack: &[u8], needle: &[u8]| haystack.windows(needle.len()).position(|w| w == needle).unwrap();
            let head = find(part, b"\r\n\r\n");
            let end = find(part, format!("\r\n{delimiter}").as_bytes());
            parts.push((String::from_utf8(part[..head].to_vec()).unwrap(), part[head + 4..end].to_vec()));
            rest = &part[end + 2 + delimiter.len()..];
        }
        assert_eq!(rest, b"--\r\n");
        parts
    }

    #[test]
    fn fields_and_files_are_parts() {
        let parts = [
            ("photo", file(Some("image/png, image/jpeg"))),
            ("list", PartEncoding { content_type: Some("application/json".into()), file: false }),
        ];
        let photo = json!({ "data": "/wA=", "filename": "a\"b\r\n.png", "content_type": "image/webp" });
        let value = json!({ "name": "ada", "age": 5, "tags": ["a", "b"], "list": [1], "at": { "x": 1 }, "no": null, "photo": ["AAE", photo] });
        let form = |name: &str| format!("Content-Disposition: form-data; name=\"{name}\"");
        let part = |head: String, body: &[u8]| (head, body.to_vec());
        assert_eq!(
            read(&encode_object(&parts, &value).unwrap()),
            [
                part(form("age"), b"5"),
                part(form("at") + "\r\nContent-Type: application/json", b"{\"x\":1}"),
                part(form("list") + "\r\nContent-Type: application/json", b"[1]"),
                part(form("name"), b"ada"),
                part(form("photo") + "; filename=\"photo\"\r\nContent-Type: image/png", &[0, 1]),
                part(form("photo") + "; filename=\"a%22b%0D%0A.png\"\r\nContent-Type: image/webp", &[0xff, 0]),
                part(form("tags"), b"a"),
                part(form("tags"), b"b"),
            ]
        );
    }

    #[test]
    fn what_is_no_file_is_named() {
        for (value, expected) in [
            (json!({ "f": 5 }), "/body/f is a file"),
            (json!({ "f": "%" }), "/body/f is not base64"),
            (json!({ "f": { "data": "", "content_type": "a\r\nb: c" } }), "/body/f/content_type is no media type"),
        ] {
            let error = encode_object(&[("f", file(None))], &value).err().unwrap();
            assert!(error.message.contains(expected), "{value}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_was_given(bytes in prop::collection::vec(any::<u8>(), 0..200), name in any::<String>(), text in any::<String>()) {
            let value = json!({ "file": STANDARD.encode(&bytes), (format!("z{name}")): text });
            let parts = read(&encode_object(&[("file", file(None))], &value).unwrap());
            prop_assert_eq!(parts.len(), 2);
            prop_assert_eq!(&parts[0].1, &bytes);
            prop_assert_eq!(&parts[1].1, text.as_bytes());
            prop_assert_eq!(parts[1].0.lines().count(), 1);
        }
    }
}
