//! Taking a credential out of what a service says: some send back what they were sent.

use std::borrow::Cow;

use alknet_call::CallError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::style::Escape;

/// What stands in the place of a secret.
const MASK: &str = "***";

/// The shortest text that is looked for. A shorter one is no secret, and would be found in everything.
const SHORTEST: usize = 4;

/// The texts that must not come back, in each way that they are sent.
#[derive(Default)]
pub(crate) struct Scrub {
    texts: Vec<Zeroizing<String>>,
    /// Whether one of them could be a number.
    has_digits: bool,
}

impl Scrub {
    /// Adds a secret: as it is, escaped for an URL, and in base64.
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let escaped = Escape::Component.of(secret);
        let forms = [secret.to_owned(), lower_hex(&escaped), escaped, STANDARD.encode(secret)];
        for form in forms.map(Zeroizing::new) {
            if !self.texts.contains(&form) {
                self.has_digits |= form.bytes().all(|byte| byte.is_ascii_digit());
                self.texts.push(form);
            }
        }
    }

    /// Adds a name and a password with a colon between them.
    pub(super) fn add_pair(&mut self, pair: &str) {
        self.add(pair);
        if let Some((_, password)) = pair.split_once(':') {
            self.add(password);
        }
    }

    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for secret in &self.texts {
            if text.contains(&**secret) {
                text = Cow::Owned(text.replace(&**secret, MASK));
            }
        }
        text
    }

    /// Bytes that are no text.
    pub(super) fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let mut bytes = Cow::Borrowed(bytes);
        for secret in self.texts.iter().map(|secret| secret.as_bytes()) {
            let mut from = 0;
            while let Some(place) = find(bytes.get(from..).unwrap_or_default(), secret) {
                let start = from + place;
                bytes.to_mut().splice(start..start + secret.len(), MASK.bytes());
                from = start + MASK.len();
            }
        }
        bytes
    }

    pub(crate) fn value(&self, value: &mut Value) {
        if self.texts.is_empty() {
            return;
        }
        match value {
            Value::String(text) => {
                if let Cow::Owned(scrubbed) = self.text(text) {
                    *text = scrubbed;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => self.fields(fields),
            Value::Number(_) if self.has_digits => {
                if matches!(self.text(&value.to_string()), Cow::Owned(_)) {
                    *value = Value::String(MASK.to_owned());
                }
            }
            Value::Number(_) | Value::Null | Value::Bool(_) => {}
        }
    }

    fn fields(&self, fields: &mut Map<String, Value>) {
        if fields.keys().any(|key| matches!(self.text(key), Cow::Owned(_))) {
            *fields =
                std::mem::take(fields).into_iter().map(|(key, value)| (self.text(&key).into_owned(), value)).collect();
        }
        fields.values_mut().for_each(|value| self.value(value));
    }

    pub(crate) fn error(&self, mut error: CallError) -> CallError {
        if let Cow::Owned(message) = self.text(&error.message) {
            error.message = message;
        }
        if let Some(details) = &mut error.details {
            self.value(details);
        }
        error
    }
}

/// An escaped text with the escapes as some write them: `%2f`.
fn lower_hex(escaped: &str) -> String {
    let lower = |(place, part): (usize, &str)| match part.split_at_checked(2) {
        Some((hex, rest)) if place > 0 => format!("%{}{rest}", hex.to_ascii_lowercase()),
        _ => part.to_owned(),
    };
    escaped.split('%').enumerate().map(lower).collect()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let mut from = 0;
    loop {
        let rest = haystack.get(from..)?;
        let place = from + rest.iter().position(|byte| byte == first)?;
        if haystack.get(place..)?.starts_with(needle) {
            return Some(place);
        }
        from = place + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn scrub(secrets: &[&str]) -> Scrub {
        let mut scrub = Scrub::default();
        secrets.iter().for_each(|secret| scrub.add_pair(secret));
        scrub
    }

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        let scrub = scrub(&["user:p/ss w"]);
        let base64 = STANDARD.encode("user:p/ss w");
        let mut value = json!({
            "a": ["user:p/ss w", "x p/ss w y", { "p/ss w": 1 }], "b": format!("Basic {base64}"), "c": "k=p%2Fss%20w&p%2fss%20w",
            "d": "user", "e": 5, "f": null,
        });
        scrub.value(&mut value);
        let expected = json!({
            "a": ["***", "x *** y", { "***": 1 }], "b": "Basic ***", "c": "k=***&***", "d": "user", "e": 5, "f": null,
        });
        assert_eq!(value, expected);
        let error = CallError::invalid_input("p/ss w is wrong").with_details(json!(["p/ss w"]));
        let error = scrub.error(error);
        assert_eq!((error.message.as_str(), error.details), ("*** is wrong", Some(json!(["***"]))));
    }

    #[test]
    fn a_number_can_be_a_secret_and_little_is_none() {
        let mut value = json!([123456, "abc"]);
        scrub(&["123456", "abc"]).value(&mut value);
        assert_eq!(value, json!(["***", "abc"]));
    }

    proptest! {
        #[test]
        fn no_bytes_hold_it_afterwards(
            pieces in prop::collection::vec(prop::sample::select(vec!["s3cr", "s3cret", "et", "x", "s"]), 0..12),
        ) {
            let text = pieces.concat();
            let scrub = scrub(&["s3cret"]);
            let expected = text.replace("s3cret", MASK);
            prop_assert_eq!(scrub.bytes(text.as_bytes()).into_owned(), expected.as_bytes());
            prop_assert_eq!(scrub.text(&text), expected);
        }
    }
}
