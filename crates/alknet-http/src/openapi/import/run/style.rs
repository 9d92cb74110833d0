//! How the values of parameters are written (OpenAPI 3.1.1 §4.8.12, which follows RFC 6570).
//!
//! Where OpenAPI leaves it open: a `null` is the same as nothing, in lists and objects too. A list or an object within a
//! list or a field stands there as JSON. But with `deepObject` it is written out, `a[b][0]=1`, which is what the services
//! that have it (Stripe's, for one) read.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::openapi::import::model::Style;

/// All but what never means anything (RFC 3986 §2.3).
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// As [`COMPONENT`], without the reserved characters that can stand in a query (RFC 3986 §3.4) and do not end a parameter.
const RESERVED: &AsciiSet = &COMPONENT
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

/// What is done to each text before it is put between the characters of a style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// Nothing: for header fields.
    Nothing,
    /// Everything that is not unreserved gets percent-encoded.
    Component,
    /// Reserved characters stay, but those that would end the parameter (`&`, `#`) or be read as something else (`+`, `%`).
    KeepReserved,
}

impl Escape {
    pub(super) fn to(self, text: &str, out: &mut String) {
        match self {
            Self::Nothing => out.push_str(text),
            Self::Component => out.extend(utf8_percent_encode(text, COMPONENT)),
            Self::KeepReserved => out.extend(utf8_percent_encode(text, RESERVED)),
        }
    }

    pub(super) fn of(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        self.to(text, &mut out);
        out
    }
}

/// How one value is written: a parameter of a request, or a field of a form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writing<'a> {
    pub(super) name: &'a str,
    pub(super) style: Style,
    pub(super) explode: bool,
    pub(super) escape: Escape,
}

impl Writing<'_> {
    /// The value as it stands in a path, a header field, or a query or cookie: there with its name, and in several pairs
    /// with `separator` between if it is exploded. None if there is nothing to write.
    pub(super) fn write(&self, value: &Value, separator: &str) -> Option<String> {
        if self.style == Style::Json {
            let json = (!value.is_null()).then(|| value.to_string())?;
            return Some(self.layout(separator).write(self, &Shape::One(json)));
        }
        if self.style == Style::DeepObject {
            let (mut pairs, mut name) = (Pairs::new(separator), self.escape_name());
            self.deep(&mut name, value, &mut pairs);
            return pairs.finish();
        }
        let shape = Shape::of(value)?;
        Some(self.layout(separator).write(self, &shape))
    }

    fn layout<'s>(&self, separator: &'s str) -> Layout<'s> {
        let named = |separator, delimiter| Layout { first: "", separator, delimiter, named: true, empty: "=" };
        match self.style {
            Style::Simple => Layout { first: "", separator: ",", delimiter: ",", named: false, empty: "" },
            Style::Label => Layout { first: ".", separator: ".", delimiter: ",", named: false, empty: "" },
            Style::Matrix => Layout { first: ";", separator: ";", delimiter: ",", named: true, empty: "" },
            Style::SpaceDelimited => named(separator, "%20"),
            Style::PipeDelimited => named(separator, "%7C"),
            // JSON in a path or a header field has no name.
            Style::Json if separator.is_empty() => {
                Layout { first: "", separator: ",", delimiter: ",", named: false, empty: "" }
            }
            Style::Form | Style::DeepObject | Style::Json => named(separator, ","),
        }
    }

    fn escape_name(&self) -> String {
        Escape::Component.of(self.name)
    }

    fn deep(&self, name: &mut String, value: &Value, pairs: &mut Pairs<'_>) {
        let length = name.len();
        let mut inner = |key: &str, value| {
            name.push_str("%5B");
            Escape::Component.to(key, name);
            name.push_str("%5D");
            self.deep(name, value, pairs);
            name.truncate(length);
        };
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| inner(key, value)),
            Value::Array(items) => items.iter().enumerate().for_each(|(place, item)| inner(&place.to_string(), item)),
            value => {
                if let Some(text) = text(value) {
                    pairs.push(name, &self.escape.of(&text));
                }
            }
        }
    }
}

/// Pairs in one text.
pub(super) struct Pairs<'a> {
    text: String,
    separator: &'a str,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(separator: &'a str) -> Self {
        Self { text: String::new(), separator }
    }

    /// Adds a pair; name and value have been escaped.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        self.separate();
        self.text.push_str(name);
        self.text.push('=');
        self.text.push_str(value);
    }

    /// Adds what [`Writing::write`] gave.
    pub(super) fn extend(&mut self, pairs: &str) {
        self.separate();
        self.text.push_str(pairs);
    }

    fn separate(&mut self) {
        if !self.text.is_empty() {
            self.text.push_str(self.separator);
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn finish(self) -> Option<String> {
        (!self.text.is_empty()).then_some(self.text)
    }
}

/// What stands between the parts of a value, in the terms of RFC 6570 appendix A.
struct Layout<'a> {
    first: &'a str,
    /// Between the parts of an exploded value.
    separator: &'a str,
    /// Between the parts of any other.
    delimiter: &'a str,
    named: bool,
    /// What stands between a name and a value that is empty.
    empty: &'a str,
}

impl Layout<'_> {
    fn write(&self, writing: &Writing<'_>, shape: &Shape) -> String {
        let (escape, name) = (writing.escape, writing.escape_name());
        let mut out = self.first.to_owned();
        match shape {
            Shape::One(text) => self.pair(&name, &escape.of(text), &mut out),
            Shape::List(items) if writing.explode => {
                for (place, item) in items.iter().enumerate() {
                    out.push_str(if place > 0 { self.separator } else { "" });
                    self.pair(&name, &escape.of(item), &mut out);
                }
            }
            Shape::Object(fields) if writing.explode => {
                for (place, (key, value)) in fields.iter().enumerate() {
                    out.push_str(if place > 0 { self.separator } else { "" });
                    escape.to(key, &mut out);
                    out.push('=');
                    escape.to(value, &mut out);
                }
            }
            Shape::List(items) => self.pair(&name, &self.delimited(items.iter(), escape), &mut out),
            Shape::Object(fields) => {
                let parts = fields.iter().flat_map(|(key, value)| [key, value]);
                self.pair(&name, &self.delimited(parts, escape), &mut out);
            }
        }
        out
    }

    fn pair(&self, name: &str, value: &str, out: &mut String) {
        if self.named {
            out.push_str(name);
            out.push_str(if value.is_empty() { self.empty } else { "=" });
        }
        out.push_str(value);
    }

    fn delimited<'t>(&self, parts: impl Iterator<Item = &'t String>, escape: Escape) -> String {
        let mut out = String::new();
        for (place, part) in parts.enumerate() {
            out.push_str(if place > 0 { self.delimiter } else { "" });
            escape.to(part, &mut out);
        }
        out
    }
}

/// A value as the styles see it.
enum Shape {
    One(String),
    List(Vec<String>),
    Object(Vec<(String, String)>),
}

impl Shape {
    /// None for what is nothing to any style.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Array(items) => {
                let items: Vec<_> = items.iter().filter_map(text).collect();
                (!items.is_empty()).then_some(Self::List(items))
            }
            Value::Object(fields) => {
                let fields: Vec<_> =
                    fields.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect();
                (!fields.is_empty()).then_some(Self::Object(fields))
            }
            value => text(value).map(Self::One),
        }
    }
}

/// A value as a text: a string as it is, anything else as JSON. None for `null`.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}

/// The fields of an object that are something.
pub(super) fn fields(object: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    object.iter().filter(|(_, value)| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use url::form_urlencoded;

    fn write(style: Style, explode: bool, escape: Escape, separator: &str, value: &Value) -> Option<String> {
        Writing { name: "color", style, explode, escape }.write(value, separator)
    }

    /// The table of OpenAPI 3.1.1 §4.8.12.4, with the empty string, a primitive, a list and an object.
    #[test]
    fn every_style_is_written_as_the_table_of_openapi_has_it() {
        use Style::*;
        let values =
            [json!(""), json!("blue"), json!(["blue", "black", "brown"]), json!({ "R": 100, "G": 200, "B": 150 })];
        for (style, explode, separator, expected) in [
            (Matrix, false, "", [";color", ";color=blue", ";color=blue,black,brown", ";color=B,150,G,200,R,100"]),
            (Matrix, true, "", [";color", ";color=blue", ";color=blue;color=black;color=brown", ";B=150;G=200;R=100"]),
            (Label, false, "", [".", ".blue", ".blue,black,brown", ".B,150,G,200,R,100"]),
            (Label, true, "", [".", ".blue", ".blue.black.brown", ".B=150.G=200.R=100"]),
            (Simple, false, "", ["", "blue", "blue,black,brown", "B,150,G,200,R,100"]),
            (Simple, true, "", ["", "blue", "blue,black,brown", "B=150,G=200,R=100"]),
            (Form, false, "&", ["color=", "color=blue", "color=blue,black,brown", "color=B,150,G,200,R,100"]),
            (Form, true, "&", ["color=", "color=blue", "color=blue&color=black&color=brown", "B=150&G=200&R=100"]),
            (
                SpaceDelimited,
                false,
                "&",
                ["color=", "color=blue", "color=blue%20black%20brown", "color=B%20150%20G%20200%20R%20100"],
            ),
            (
                PipeDelimited,
                false,
                "&",
                ["color=", "color=blue", "color=blue%7Cblack%7Cbrown", "color=B%7C150%7CG%7C200%7CR%7C100"],
            ),
            (
                DeepObject,
                true,
                "&",
                [
                    "color=",
                    "color=blue",
                    "color%5B0%5D=blue&color%5B1%5D=black&color%5B2%5D=brown",
                    "color%5BB%5D=150&color%5BG%5D=200&color%5BR%5D=100",
                ],
            ),
        ] {
            for (value, expected) in values.iter().zip(expected) {
                let written = write(style, explode, Escape::Component, separator, value);
                assert_eq!(written.as_deref(), Some(expected), "{style:?} {explode} {value}");
            }
        }
    }

    #[test]
    fn nothing_is_written_of_nothing() {
        for style in [Style::Form, Style::Simple, Style::Matrix, Style::DeepObject] {
            for value in [json!(null), json!([]), json!({}), json!([null]), json!({ "a": null })] {
                assert_eq!(write(style, true, Escape::Component, "&", &value), None, "{style:?} {value}");
            }
        }
        assert_eq!(write(Style::Json, true, Escape::Component, "&", &json!(null)), None);
    }

    #[test]
    fn what_lies_deeper_is_json_or_in_brackets() {
        let value = json!({ "a": [1, { "b": true }] });
        let write = |style, value: &Value| write(style, true, Escape::Component, "&", value).unwrap();
        assert_eq!(write(Style::Form, &value), "a=%5B1%2C%7B%22b%22%3Atrue%7D%5D");
        assert_eq!(write(Style::DeepObject, &value), "color%5Ba%5D%5B0%5D=1&color%5Ba%5D%5B1%5D%5Bb%5D=true");
        assert_eq!(write(Style::Json, &json!([1])), "color=%5B1%5D");
        let path = Writing { name: "color", style: Style::Json, explode: false, escape: Escape::Component };
        assert_eq!(path.write(&json!("a/b"), "").unwrap(), "%22a%2Fb%22");
    }

    #[test]
    fn reserved_characters_stay_where_they_may() {
        let written = write(Style::Form, true, Escape::KeepReserved, "&", &json!("a/b?c=d&e#f+g%h i[]:@!$'()*,;"));
        assert_eq!(written.unwrap(), "color=a/b?c=d%26e%23f%2Bg%25h%20i%5B%5D:@!$'()*,;");
    }

    fn decoded(query: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    proptest! {
        #[test]
        fn a_query_is_read_as_it_was_meant(
            items in prop::collection::vec(any::<String>(), 1..4),
            fields in prop::collection::btree_map(any::<String>(), any::<String>(), 1..4),
            name in any::<String>(),
            escape in prop::sample::select(vec![Escape::Component, Escape::KeepReserved]),
        ) {
            let writing = |style, explode| Writing { name: &name, style, explode, escape };
            let one: Vec<_> = items.iter().map(|item| (name.clone(), item.clone())).collect();
            prop_assert_eq!(decoded(&writing(Style::Form, true).write(&json!(items), "&").unwrap()), one);
            // The key of a field may hold what ends a key, and is always escaped as the values are.
            if escape == Escape::Component {
                let some: Vec<_> = fields.clone().into_iter().collect();
                prop_assert_eq!(decoded(&writing(Style::Form, true).write(&json!(fields), "&").unwrap()), some);
            }
            let deep: Vec<_> = fields.iter().map(|(key, value)| (format!("{name}[{key}]"), value.clone())).collect();
            prop_assert_eq!(decoded(&writing(Style::DeepObject, true).write(&json!(fields), "&").unwrap()), deep);
            let json = vec![(name.clone(), json!(fields).to_string())];
            prop_assert_eq!(decoded(&writing(Style::Json, true).write(&json!(fields), "&").unwrap()), json);
        }

        #[test]
        fn a_list_with_delimiters_is_taken_apart_by_them(items in prop::collection::vec(any::<String>(), 1..4)) {
            for (style, delimiter) in
                [(Style::Form, ","), (Style::SpaceDelimited, "%20"), (Style::PipeDelimited, "%7C"), (Style::Simple, ",")]
            {
                // These two have no way to say that a delimiter is none.
                let ambiguous = style != Style::Form && style != Style::Simple;
                if ambiguous && items.iter().any(|item| item.contains([' ', '|'])) {
                    continue;
                }
                let written = write(style, false, Escape::Component, "&", &json!(items)).unwrap();
                let parts = written.strip_prefix("color=").unwrap_or(&written).split(delimiter);
                let read: Vec<_> =
                    parts.map(|part| percent_encoding::percent_decode_str(part).decode_utf8().unwrap()).collect();
                prop_assert_eq!(&read, &items);
            }
        }
    }
}
