//! Pointers into JSON (RFC 6901).

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::wire::quoted;

/// The longest pointer, in bytes.
const MAX_LENGTH: usize = 1024;

/// Says where in a JSON document a value stands, as RFC 6901 has it: `/resource/id`. Cheap to follow: it is parsed once.
///
/// ```
/// use alknet_call::JsonPointer;
/// let pointer: JsonPointer = "/ids/0".parse()?;
/// assert_eq!(pointer.resolve(&serde_json::json!({ "ids": ["t-1"] })).unwrap(), "t-1");
/// # Ok::<(), alknet_call::InvalidPointer>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JsonPointer(Box<[Box<str>]>);

impl JsonPointer {
    /// The value that it points to; none if there is none.
    pub fn resolve<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, token| match value {
            Value::Object(fields) => fields.get(&**token),
            Value::Array(items) => items.get(index(token)?),
            _ => None,
        })
    }

    /// As [`resolve`](Self::resolve), to change the value.
    pub fn resolve_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        self.0.iter().try_fold(value, |value, token| match value {
            Value::Object(fields) => fields.get_mut(&**token),
            Value::Array(items) => items.get_mut(index(token)?),
            _ => None,
        })
    }

    /// Puts a value where it points to, in the place of what is there. Objects that are missing on the way are made; an
    /// array gets no new items. False if there is no such place, and then nothing has changed.
    pub fn put(&self, document: &mut Value, value: Value) -> bool {
        let Some((last, way)) = self.0.split_last() else {
            *document = value;
            return true;
        };
        if !Self::has_place(way, last, document) {
            return false;
        }
        let place = self.0.iter().try_fold(document, |document, token| {
            if document.is_null() {
                *document = Value::Object(Map::new());
            }
            match document {
                Value::Object(fields) => Some(fields.entry(&**token).or_insert(Value::Null)),
                Value::Array(items) => items.get_mut(index(token)?),
                _ => None,
            }
        });
        place.map(|place| *place = value).is_some()
    }

    /// Whether there is a place for `last` at the end of the way, as far as the way exists.
    fn has_place(way: &[Box<str>], last: &str, document: &Value) -> bool {
        let mut at = document;
        for token in way.iter().map(|token| &**token).chain([last]) {
            let next = match at {
                Value::Null => return true,
                Value::Object(fields) => fields.get(token),
                Value::Array(items) => match index(token).and_then(|index| items.get(index)) {
                    Some(item) => Some(item),
                    None => return false,
                },
                _ => return false,
            };
            match next {
                Some(next) => at = next,
                None => return true,
            }
        }
        true
    }
}

/// RFC 6901 §4: an index has no leading zeros, and `-` is behind the last item, where nothing is.
fn index(token: &str) -> Option<usize> {
    let is_index = token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    is_index.then(|| token.parse().ok())?
}

impl FromStr for JsonPointer {
    type Err = InvalidPointer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidPointer { text: quoted(text) };
        if text.is_empty() {
            return Ok(Self(Box::default()));
        }
        let tokens = text.strip_prefix('/').filter(|_| text.len() <= MAX_LENGTH).ok_or_else(invalid)?;
        tokens.split('/').map(|token| unescape(token).ok_or_else(invalid)).collect::<Result<_, _>>().map(Self)
    }
}

fn unescape(token: &str) -> Option<Box<str>> {
    let mut parts = token.split('~');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (escaped, rest) = match part.as_bytes().first()? {
            b'0' => ('~', part.strip_prefix('0')?),
            b'1' => ('/', part.strip_prefix('1')?),
            _ => return None,
        };
        text.push(escaped);
        text.push_str(rest);
    }
    Some(text.into())
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

impl fmt::Debug for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// A text that is no JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text} is no JSON pointer: write /field/0/field, with ~0 for ~ and ~1 for / within a name, in at most {MAX_LENGTH} bytes"
)]
pub struct InvalidPointer {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn pointer(text: &str) -> JsonPointer {
        text.parse().unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc_hold() {
        let document = json!({
            "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8,
        });
        assert_eq!(pointer("").resolve(&document), Some(&document));
        for (text, expected) in [
            ("/foo", json!(["bar", "baz"])),
            ("/foo/0", json!("bar")),
            ("/", json!(0)),
            ("/a~1b", json!(1)),
            ("/c%d", json!(2)),
            ("/e^f", json!(3)),
            ("/g|h", json!(4)),
            ("/i\\j", json!(5)),
            ("/k\"l", json!(6)),
            ("/ ", json!(7)),
            ("/m~0n", json!(8)),
        ] {
            assert_eq!(pointer(text).resolve(&document), Some(&expected), "{text}");
        }
    }

    #[test]
    fn nothing_is_where_nothing_is() {
        let document = json!({ "foo": ["bar"], "n": null });
        for text in ["/foo/1", "/foo/-", "/foo/00", "/foo/+0", "/foo/x", "/foo/0/x", "/bar", "/n/x", "/foo/"] {
            assert_eq!(pointer(text).resolve(&document), None, "{text}");
        }
        assert_eq!(pointer("/foo/99999999999999999999999").resolve(&document), None);
    }

    #[test]
    fn a_value_is_put_where_there_is_a_place_for_it() {
        for (text, document, expected) in [
            ("", json!(1), json!(9)),
            ("/from", json!({ "id": "t" }), json!({ "id": "t", "from": 9 })),
            ("/from", json!({ "from": 3 }), json!({ "from": 9 })),
            ("/from", json!(null), json!({ "from": 9 })),
            ("/a/b", json!({}), json!({ "a": { "b": 9 } })),
            ("/a/b", json!({ "a": null }), json!({ "a": { "b": 9 } })),
            ("/a/1", json!({ "a": [1, 2] }), json!({ "a": [1, 9] })),
        ] {
            let mut changed = document.clone();
            assert!(pointer(text).put(&mut changed, json!(9)), "{text} in {document}");
            assert_eq!(changed, expected);
        }
        for (text, document) in [
            ("/a/2", json!({ "a": [1] })),
            ("/a/-", json!({ "a": [] })),
            ("/a/b", json!({ "a": 1 })),
            ("/a", json!("x")),
        ] {
            let mut unchanged = document.clone();
            assert!(!pointer(text).put(&mut unchanged, json!(9)), "{text} in {document}");
            assert_eq!(unchanged, document);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        let too_long = "/x".repeat(513);
        for bad in ["a", "a/b", "#/a", "/~", "/~2", "/a~", &too_long] {
            assert!(bad.parse::<JsonPointer>().is_err(), "{bad:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_another_implementation(
            text in "(/(a|b|~0|~1|0|1|-|)){0,4}",
            document in prop_oneof![
                Just(json!({ "a": { "b": [0, { "~": 1 }], "/": [[2]] }, "": [3], "0": { "": 4 } })),
                Just(json!([[0, [1]], { "a": 2, "-": 3 }])),
            ],
        ) {
            prop_assert_eq!(pointer(&text).resolve(&document), document.pointer(&text));
        }

        #[test]
        fn it_reads_back_as_it_is_written(tokens in prop::collection::vec("[a~/ä]{0,4}", 0..5)) {
            let pointer = JsonPointer(tokens.iter().map(|token| token.as_str().into()).collect());
            prop_assert_eq!(pointer.to_string().parse::<JsonPointer>().unwrap(), pointer);
        }

        #[test]
        fn what_was_put_is_there_and_what_was_not_changed_nothing(
            text in "(/(a|b|0|1|-|)){0,4}",
            document in prop_oneof![
                Just(json!({ "a": { "b": [0, { "0": 1 }], "": [[2]] }, "": [3], "0": { "": null } })),
                Just(json!([[0, [1]], { "a": 2, "-": 3 }, null])),
                Just(json!(null)),
            ],
        ) {
            let mut changed = document.clone();
            if pointer(&text).put(&mut changed, json!("new")) {
                prop_assert_eq!(pointer(&text).resolve(&changed), Some(&json!("new")));
            } else {
                prop_assert_eq!(changed, document);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = text.parse::<JsonPointer>();
        }
    }
}
