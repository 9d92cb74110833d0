//! Media types, as far as it matters how their contents are written.

/// A media type of a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MediaType {
    /// As it is sent, with its parameters.
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// How contents are written. In the order in which one is chosen for a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Json,
    Form,
    Multipart,
    Text,
    Binary,
    /// Anything that fits a wildcard: what it is follows from the schema.
    Any,
    /// Server-sent events.
    Events,
    /// Parts that are no fields of a form.
    OtherMultipart,
}

impl MediaType {
    /// None if it is none; it could not be sent either.
    pub(super) fn new(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "*" => "*/*",
            "json" => "application/json",
            // A list of them stands where one should.
            text => text.split(',').next().unwrap_or_default().trim_end(),
        };
        let parsed: mime::Mime = text.parse().ok()?;
        let (family, name) = (parsed.type_().as_str(), parsed.subtype().as_str());
        if name.is_empty() {
            return None;
        }
        let suffix = parsed.suffix().map(|suffix| suffix.as_str());
        Some(Self { text: text.to_owned(), kind: kind(family, name, suffix) })
    }

    /// Whether it is one of an application's own, which may be written in any way.
    pub(super) fn is_own(&self) -> bool {
        self.text.starts_with("application/") && !self.text.starts_with("application/octet-stream")
    }

    /// Which one is chosen first for a body or an answer: by kind, the plain ones before others.
    pub(super) fn rank(&self) -> (Kind, bool, &str) {
        let plain = ["application/json", "text/plain", "application/octet-stream"];
        let essence = self.text.split(';').next().unwrap_or_default().trim_end();
        (self.kind, !plain.contains(&essence), &self.text)
    }
}

fn kind(family: &str, name: &str, suffix: Option<&str>) -> Kind {
    // The suffix is no part of the subtype for the library.
    let whole = suffix.map_or_else(|| name.to_owned(), |suffix| format!("{name}+{suffix}"));
    match (family, &*whole) {
        ("text", "event-stream") => Kind::Events,
        ("application", "json" | "x-json") | ("text", "json") => Kind::Json,
        ("application", "x-www-form-urlencoded") => Kind::Form,
        ("multipart", "form-data") => Kind::Multipart,
        ("multipart", _) => Kind::OtherMultipart,
        ("text", _) => Kind::Text,
        ("*" | "application", "*") => Kind::Any,
        ("application", name) if is_text(name) => Kind::Text,
        _ => match suffix {
            Some("json") => Kind::Json,
            Some("xml" | "yaml") => Kind::Text,
            _ => Kind::Binary,
        },
    }
}

/// What is written as text though its family does not say so.
fn is_text(name: &str) -> bool {
    const TEXTS: [&str; 18] = [
        "ecmascript",
        "graphql",
        "javascript",
        "json-seq",
        "json5",
        "jsonl",
        "jsonlines",
        "n-quads",
        "n-triples",
        "ndjson",
        "sdp",
        "sparql-query",
        "sql",
        "toml",
        "x-ndjson",
        "x-yaml",
        "xml",
        "yaml",
    ];
    TEXTS.contains(&name.trim_start_matches("x-")) || TEXTS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_says_how_contents_are_written() {
        for (text, kind) in [
            ("application/json", Kind::Json),
            ("application/json; charset=utf-8", Kind::Json),
            ("Application/JSON", Kind::Json),
            ("application/vnd.api+json", Kind::Json),
            ("application/merge-patch+json", Kind::Json),
            ("application/json,text/json", Kind::Json),
            ("json", Kind::Json),
            ("application/x-www-form-urlencoded", Kind::Form),
            ("multipart/form-data", Kind::Multipart),
            ("multipart/related", Kind::OtherMultipart),
            ("text/plain; charset=utf-8", Kind::Text),
            ("text/*", Kind::Text),
            ("application/xml", Kind::Text),
            ("application/atom+xml", Kind::Text),
            ("application/x-ndjson", Kind::Text),
            ("application/sdp", Kind::Text),
            ("image/svg+xml", Kind::Text),
            ("image/*", Kind::Binary),
            ("application/zip", Kind::Binary),
            ("*/*", Kind::Any),
            ("*", Kind::Any),
            ("application/*", Kind::Any),
            ("text/event-stream", Kind::Events),
        ] {
            assert_eq!(MediaType::new(text).unwrap().kind, kind, "{text}");
        }
        for bad in ["", "text", "a b/c", "text/plain\r\nx: y", "application/", "/json"] {
            assert_eq!(MediaType::new(bad), None, "{bad:?}");
        }
    }
}
