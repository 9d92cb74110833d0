//! Paths with parameters in them.
//!
//! Whatever the values are, the path keeps its shape: as many segments as the description has, none of them empty for a
//! value's sake, and none that leads up.

use alknet_call::CallError;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value};

use super::style::{Escape, Writing};
use crate::openapi::import::model::{Parameter, Place};

/// What a path in a description may have and an URL may not. A `%` is taken for part of an escape.
const LITERAL: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'\\').add(b'^').add(b'|');

/// A path, taken apart once.
#[derive(Debug)]
pub(super) struct PathPlan {
    parts: Vec<Part>,
    /// Pairs that the description has put behind the path.
    pub(super) query: String,
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Parameter(Parameter),
}

impl PathPlan {
    /// # Errors
    /// What is wrong with the path.
    pub(super) fn new(path: &str, parameters: &[Parameter]) -> Result<Self, String> {
        let path = path.split('#').next().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let literal = |text: &str| Part::Literal(utf8_percent_encode(text, LITERAL).to_string());
        let (mut parts, mut rest) = (Vec::new(), path);
        if !path.starts_with('/') {
            parts.push(literal("/"));
        }
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, behind) = behind.split_once('}').ok_or("the path has a { without a }")?;
            let parameter =
                parameters.iter().find(|parameter| parameter.place == Place::Path && parameter.name == name);
            let parameter = parameter.ok_or_else(|| format!("the path has {{{name}}}, which is no parameter"))?;
            parts.extend([literal(before), Part::Parameter(parameter.clone())]);
            rest = behind;
        }
        parts.push(literal(rest));
        Ok(Self { parts, query: utf8_percent_encode(query, LITERAL).to_string() })
    }

    /// The path with the values of `input` in it, behind `base`.
    pub(super) fn fill(&self, base: &str, input: &Map<String, Value>) -> Result<String, CallError> {
        let mut path = base.trim_end_matches('/').to_owned();
        for part in &self.parts {
            match part {
                Part::Literal(text) => path.push_str(text),
                Part::Parameter(parameter) => {
                    let value = input.get(&parameter.key).unwrap_or(&Value::Null);
                    path.push_str(&write(parameter, value).ok_or_else(|| misfit(parameter, value))?);
                }
            }
        }
        // Several values side by side can be one such segment.
        match path.split('/').any(is_upward) {
            true => Err(CallError::invalid_input("the values in the path would lead to another place")),
            false => Ok(path),
        }
    }
}

/// The value as it stands in the path; none if that would change the path's shape.
fn write(parameter: &Parameter, value: &Value) -> Option<String> {
    let Parameter { name, style, explode, .. } = parameter;
    if leads_up(value) {
        return None;
    }
    let writing = Writing { name, style: *style, explode: *explode, escape: Escape::Component };
    writing.write(value, "").filter(|text| !text.is_empty())
}

fn misfit(parameter: &Parameter, value: &Value) -> CallError {
    let Parameter { key, .. } = parameter;
    CallError::invalid_input(match value.is_null() {
        true => format!("/{key} is missing; it is part of the path"),
        false => {
            format!("/{key} is part of the path, and can be neither empty nor have \".\" or \"..\" between slashes")
        }
    })
}

/// Whether a service that takes an escaped slash for a slash would go elsewhere.
fn leads_up(value: &Value) -> bool {
    match value {
        Value::String(text) => text.split(['/', '\\']).any(|segment| segment == "." || segment == ".."),
        Value::Array(items) => items.iter().any(leads_up),
        Value::Object(fields) => fields.iter().any(|(_, value)| leads_up(value)),
        _ => false,
    }
}

/// Whether URLs know a segment as this one or the one above (RFC 3986 §5.2.4), escaped or not.
fn is_upward(segment: &str) -> bool {
    let plain = |segment: &str| segment == "." || segment == "..";
    plain(segment) || (segment.contains('%') && plain(&segment.replace("%2e", ".").replace("%2E", ".")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::import::model::Style;
    use proptest::prelude::*;
    use serde_json::json;
    use url::Url;

    fn parameter(name: &str, style: Style) -> Parameter {
        Parameter {
            name: name.into(),
            key: name.into(),
            place: Place::Path,
            style,
            explode: false,
            allow_reserved: false,
            required: true,
        }
    }

    fn plan(path: &str) -> PathPlan {
        let parameters = [
            parameter("a", Style::Simple),
            parameter("b", Style::Simple),
            parameter("l", Style::Label),
            parameter("m", Style::Matrix),
        ];
        PathPlan::new(path, &parameters).unwrap()
    }

    fn fill(path: &str, input: Value) -> Result<String, String> {
        plan(path).fill("/v1/", input.as_object().unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn values_stand_where_their_names_stood() {
        for (path, input, expected) in [
            ("/x/{a}", json!({ "a": "b c/d" }), "/v1/x/b%20c%2Fd"),
            ("/x/{a}:run", json!({ "a": 5 }), "/v1/x/5:run"),
            ("/{a}.{b}/y/", json!({ "a": "é", "b": ["x", "y,z"] }), "/v1/%C3%A9.x,y%2Cz/y/"),
            ("/x{l}/y{m}", json!({ "l": "a", "m": true }), "/v1/x.a/y;m=true"),
            ("/a b/%20/{a}", json!({ "a": "%2F" }), "/v1/a%20b/%20/%252F"),
            ("/", json!({}), "/v1/"),
            ("x", json!({}), "/v1/x"),
        ] {
            assert_eq!(fill(path, input).unwrap(), expected);
        }
        assert_eq!(plan("/x?kind=all things#frag").query, "kind=all%20things");
    }

    #[test]
    fn no_value_leads_to_another_place() {
        let bad = [
            json!(null),
            json!(""),
            json!([]),
            json!("."),
            json!(".."),
            json!("../x"),
            json!("x/../y"),
            json!("..\\x"),
            json!(["a", ".."]),
        ];
        for value in bad {
            let error = fill("/x/{a}/y", json!({ "a": value })).unwrap_err();
            assert!(error.starts_with("/a is"), "{value}: {error}");
        }
        assert!(fill("/x/{a}{b}", json!({ "a": ".", "b": "." })).is_err());
        assert!(fill("/x/.{a}", json!({ "a": "." })).is_err());
        assert!(fill("/x/{l}", json!({ "l": "" })).is_err());
        assert!(fill("/x/%2e{a}", json!({ "a": "." })).is_err());
        assert_eq!(fill("/x/{a}", json!({ "a": "..." })).unwrap(), "/v1/x/...");
    }

    #[test]
    fn a_path_that_is_none_is_refused() {
        for (path, expected) in [("/{a", "{ without a }"), ("/{z}", "{z}, which is no parameter")] {
            let error = PathPlan::new(path, &[parameter("a", Style::Simple)]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn an_url_keeps_the_shape_of_the_path_and_the_value(a in any::<String>(), b in "[./%\\\\ae2]{0,5}") {
            if let Ok(path) = fill("/x/{a}/y-{b}/z", json!({ "a": a, "b": b })) {
                let mut url: Url = "https://a.example".parse().unwrap();
                url.set_path(&path);
                prop_assert_eq!(url.path(), &path);
                let segments: Vec<_> = url
                    .path_segments()
                    .unwrap()
                    .map(|segment| percent_encoding::percent_decode_str(segment).decode_utf8().unwrap().into_owned())
                    .collect();
                prop_assert_eq!(segments, ["v1", "x", &a, "y", "z"].map(|s| if s == "y" { format!("y-{b}") } else { s.to_owned() }));
            }
        }
    }
}
