//! Texts in JSON or YAML, as JSON values of a limited size.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use super::DescriptionError;

/// The longest description, in bytes; also of all its files together.
pub(super) const MAX_SIZE: usize = 32 * 1024 * 1024;

/// How deep a document may nest.
const MAX_DEPTH: usize = 128;

/// The stack for reading YAML of that depth, several times what it takes.
const STACK: usize = 16 * 1024 * 1024;

/// How many bytes of text a document may have once the aliases of YAML are expanded.
const MAX_TEXT: usize = 2 * MAX_SIZE;

/// How many values a document may have, likewise.
const MAX_VALUES: usize = 4_000_000;

/// Reads a document. A key that stands twice in an object has its last value, in YAML as in JSON.
pub(super) fn parse(text: &str) -> Result<Value, DescriptionError> {
    if text.len() > MAX_SIZE {
        return Err(DescriptionError::TooLong(text.len()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.trim_start().starts_with(['{', '[']) {
        return with_large_stack(|| yaml(text));
    }
    // What begins like JSON may be YAML in its JSON-like style. The reason why it is no JSON is the one that helps.
    json(text).or_else(|reason| with_large_stack(|| yaml(text)).map_err(|_| reason))
}

fn json(text: &str) -> Result<Value, DescriptionError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Bounded::new(&Budget::new()).deserialize(&mut json);
    value.and_then(|value| json.end().map(|()| value)).map_err(|error| DescriptionError::Syntax(error.to_string()))
}

fn yaml(text: &str) -> Result<Value, DescriptionError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_events: 2 * MAX_VALUES,
            max_nodes: MAX_VALUES,
            max_total_scalar_bytes: MAX_TEXT,
            max_documents: 1,
            // Aliases are bounded by what they expand to.
            enforce_alias_anchor_ratio: false,
            // Some generators write long paths and descriptions as keys.
            simple_key_max_lookahead: 8192,
        },
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        null_as_string: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
    };
    let budget = Budget::new();
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| Bounded::new(&budget).deserialize(yaml))
        .map_err(|error| DescriptionError::Syntax(error.to_string()))
}

/// Runs something that nests as deep as a document may, each level with several large frames.
fn with_large_stack<T: Send>(run: impl FnOnce() -> Result<T, DescriptionError> + Send) -> Result<T, DescriptionError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run);
        let joined = thread.map(|thread| thread.join());
        joined
            .ok()
            .and_then(Result::ok)
            .unwrap_or_else(|| Err(DescriptionError::Syntax("there is no thread to read it".to_owned())))
    })
}

/// What a document may still hold.
struct Budget {
    values: Cell<usize>,
    text: Cell<usize>,
}

impl Budget {
    fn new() -> Self {
        Self { values: Cell::new(MAX_VALUES), text: Cell::new(MAX_TEXT) }
    }

    fn take<E: de::Error>(&self, text: usize) -> Result<(), E> {
        let values = self.values.get().checked_sub(1).ok_or_else(|| E::custom("it has too many values"))?;
        let text = self.text.get().checked_sub(text).ok_or_else(|| E::custom("it gets too large"))?;
        self.values.set(values);
        self.text.set(text);
        Ok(())
    }
}

/// Makes a value of anything, within a budget. The values of an alias are counted each time that it stands for them.
#[derive(Clone, Copy)]
struct Bounded<'b> {
    budget: &'b Budget,
    depth: usize,
}

impl<'b> Bounded<'b> {
    fn new(budget: &'b Budget) -> Self {
        Self { budget, depth: MAX_DEPTH }
    }

    fn inner<E: de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("it nests too deep"))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.budget.take(0).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.budget.take(0).map(|()| value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.budget.take(0).map(|()| value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // JSON has no infinity.
        self.budget.take(0).map(|()| Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.budget.take(value.len()).map(|()| Value::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        self.budget.take(value.len()).map(|()| Value::String(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.budget.take(0).map(|()| Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.budget.take(0)?;
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.budget.take(0)?;
        let inner = self.inner()?;
        let mut object = Map::new();
        // Keys are texts however they are written: `200:` and `null:` are as good as `"200":`.
        while let Some(key) = fields.next_key::<String>()? {
            self.budget.take(key.len())?;
            object.insert(key, fields.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reason(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn json_and_yaml_say_the_same() {
        let json = "\u{feff}{\"a\": [1, -2, 2.5, true, null, \"x\"], \"200\": {}}";
        let yaml = "\u{feff}---\na: [1, -2, 2.5, true, null, x]\n200: {}\n";
        assert_eq!(parse(json).unwrap(), parse(yaml).unwrap());
        assert_eq!(parse("{a: b, c: [d]}").unwrap(), json!({ "a": "b", "c": ["d"] }));
    }

    #[test]
    fn yaml_means_what_its_version_1_2_says() {
        let text = "
on: off
yes: no
y: ~
2.0: 1.0
null: 0x10
leading: 0755
underscored: 1_000
date: 2020-01-01
time: 2020-01-01T00:00:00Z
tagged: !custom [1]
binary: !!binary aGk=
not: .nan
large: 123456789012345678901234567890
base: &base {a: 1, b: 2}
merged: {<<: *base, b: 3}
";
        let expected = json!({
            "on": "off", "yes": "no", "y": null, "2.0": 1.0, "null": 16, "leading": "0755", "underscored": "1_000",
            "date": "2020-01-01", "time": "2020-01-01T00:00:00Z", "tagged": [1], "binary": "aGk=", "not": null,
            "large": 123456789012345678901234567890.0_f64, "base": { "a": 1, "b": 2 }, "merged": { "a": 1, "b": 3 },
        });
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(parse(r#"{"a": 1, "b": 2, "a": 3}"#).unwrap(), json!({ "a": 3, "b": 2 }));
        assert_eq!(parse("a: 1\nb: 2\na: 3\n").unwrap(), json!({ "a": 3, "b": 2 }));
        assert_eq!(parse("200: 1\n'200': 3\n").unwrap(), json!({ "200": 3 }));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let both = reason("{\"a\": 1,\n \"b\": ]");
        assert!(both.contains("line 2 column 7"), "{both}");
        let yaml = reason("a: [1\nb: 2");
        assert!(yaml.contains("line"), "{yaml}");
        assert!(reason("{\"a\": 1} {\"b\": 2}").contains("trailing"));
        assert!(parse("a: 1\n---\nb: 2\n").is_err());
        let long = " ".repeat(MAX_SIZE + 1);
        assert_eq!(parse(&long), Err(DescriptionError::TooLong(MAX_SIZE + 1)));
    }

    #[test]
    fn depth_is_limited() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
            assert!(parse(&nested(100)).is_ok());
            assert!(parse(&nested(1000)).is_err());
        }
        let steps: String = (0..1000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        assert!(parse(&steps).is_err());
    }

    #[test]
    fn what_aliases_expand_to_is_limited() {
        // Each line stands for ten of the line before.
        let lists = (1..12).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
            let before = vec![format!("*a{}", n - 1); 10].join(", ");
            format!("{text}a{n}: &a{n} [{before}]\n")
        });
        assert!(parse(&lists).is_err());
        // One long text, many times.
        let texts = format!("a: &a {}\nb: [{}]\n", "x".repeat(1_000_000), vec!["*a"; 1000].join(", "));
        assert!(parse(&texts).is_err());
        assert!(parse("a: &a [*a]\n").is_err());
    }
}
