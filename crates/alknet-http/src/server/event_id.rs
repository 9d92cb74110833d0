//! The ids of server-sent events, which say where to go on.

use alknet_call::{CallError, Resumes};
use http::{HeaderMap, HeaderName};
use serde_json::Value;

pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The longest id. Clients send it back in a header, which has to fit into their servers' limits.
const MAX_LENGTH: usize = 1024;

/// Writes the id of an event behind `text`: the JSON text of the value that says where to go on, in printable ASCII. So it
/// comes back in a header as it was, has no line breaks, and a number is told from a string of digits. Events without such
/// a value have no id, as have those whose id would be too long; clients keep the one that came before.
pub(super) fn write(text: &mut Vec<u8>, event: &Value, resumes: &Resumes) {
    let Some(id) = resumes.event.resolve(event).and_then(id_of) else { return };
    text.extend_from_slice(b"id: ");
    text.extend_from_slice(id.as_bytes());
    text.push(b'\n');
}

fn id_of(value: &Value) -> Option<String> {
    if !is_place(value) {
        return None;
    }
    let json = value.to_string();
    let mut id = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            ' '..='~' => id.push(c),
            // RFC 8259 §7: the rest of the plane, and beyond it as a pair.
            other => other.encode_utf16(&mut [0; 2]).iter().for_each(|unit| id.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    (id.len() <= MAX_LENGTH).then_some(id)
}

fn is_place(value: &Value) -> bool {
    value.is_string() || value.is_u64() || value.is_i64()
}

/// The value of the event that a client has seen last; none if it has seen none.
///
/// # Errors
/// When the header holds no id that this node makes.
pub(super) fn last(headers: &HeaderMap) -> Result<Option<Value>, CallError> {
    let mut fields = headers.get_all(LAST_EVENT_ID).iter();
    let Some(field) = fields.next().filter(|field| !field.is_empty()) else { return Ok(None) };
    let invalid = || {
        let shown = String::from_utf8_lossy(field.as_bytes()).chars().take(100).collect::<String>();
        CallError::invalid_input(format!("last-event-id is {shown:?}: send the id of the event as it came"))
    };
    if field.len() > MAX_LENGTH || fields.next().is_some() {
        return Err(invalid());
    }
    let value = serde_json::from_slice(field.as_bytes()).map_err(|_| invalid())?;
    if is_place(&value) { Ok(Some(value)) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::json;

    fn header(text: &[u8]) -> HeaderMap {
        HeaderMap::from_iter([(LAST_EVENT_ID, HeaderValue::from_bytes(text).unwrap())])
    }

    fn resumes() -> Resumes {
        Resumes { event: "/next".parse().unwrap(), input: "/from".parse().unwrap() }
    }

    #[test]
    fn an_id_is_the_json_of_the_value() {
        for (value, id) in [
            (json!(12), "id: 12\n"),
            (json!(-1), "id: -1\n"),
            (json!("12"), "id: \"12\"\n"),
            (json!("a\nb é"), "id: \"a\\nb \\u00e9\"\n"),
            (json!("\u{7f}\u{1f600}"), "id: \"\\u007f\\ud83d\\ude00\"\n"),
            (json!(null), ""),
            (json!(1.5), ""),
            (json!({}), ""),
            (json!("x".repeat(2000)), ""),
        ] {
            let mut text = Vec::new();
            write(&mut text, &json!({ "next": value }), &resumes());
            assert_eq!(String::from_utf8(text).unwrap(), id, "{value}");
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        assert_eq!(last(&HeaderMap::new()).unwrap(), None);
        assert_eq!(last(&header(b"")).unwrap(), None);
        for bad in [&b"abc"[..], b"1.5", b"null", b"[1]", b"1 2", b"\xff", &[b'1'; 2000]] {
            let error = last(&header(bad)).unwrap_err();
            assert!(error.message.contains("send the id of the event as it came"), "{error}");
        }
        let mut two = header(b"1");
        two.append(LAST_EVENT_ID, HeaderValue::from_static("1"));
        assert!(last(&two).is_err());
    }

    proptest! {
        #[test]
        fn an_id_comes_back_as_the_value(value in prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            ".{0,80}".prop_map(Value::from),
        ]) {
            let id = id_of(&value).unwrap();
            prop_assert!(id.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(last(&header(id.as_bytes())).unwrap(), Some(value));
        }

        #[test]
        fn no_header_panics(bytes in prop::collection::vec(32u8..127, 0..40)) {
            let _ = last(&header(&bytes));
        }
    }
}
