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
mod tests;
