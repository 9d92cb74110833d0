//! What can be told of a schema without making it.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::Schemas;
use crate::openapi::import::read::documents::Node;
use crate::openapi::import::read::media::{Kind, MediaType};

/// How many subschemas are looked at.
const MAX_LOOKS: usize = 256;

impl<'a> Schemas<'a> {
    /// A schema, or what it refers to.
    pub(in super::super) fn resolved(&self, node: Node<'a>) -> Node<'a> {
        self.documents.follow(node).unwrap_or(node)
    }

    /// The properties that an object of this schema may have, as far as they are named.
    pub(in super::super) fn properties(&self, node: Node<'a>) -> BTreeMap<&'a str, Node<'a>> {
        let mut properties = BTreeMap::new();
        for part in self.applied(node) {
            for (name, property) in part.fields("properties") {
                properties.entry(name).or_insert(property);
            }
        }
        properties
    }

    /// Whether a value may be of this type, as far as the schema names types or keywords for them.
    pub(in super::super) fn may_be(&self, node: Node<'a>, wanted: &str) -> bool {
        let tell_tale: &[&str] = match wanted {
            "object" => &["properties", "additionalProperties"],
            "array" => &["items", "prefixItems"],
            _ => &[],
        };
        self.applied(node).into_iter().any(|part| match part.value.get("type") {
            Some(Value::String(name)) => name == wanted,
            Some(Value::Array(names)) => names.iter().any(|name| name == wanted),
            _ => tell_tale.iter().any(|keyword| part.get(keyword).is_some()),
        })
    }

    /// Whether a value is the content of a file, or a list of such.
    pub(in super::super) fn is_binary(&self, node: Node<'a>) -> bool {
        let items = |part: &Node<'a>| part.get("items").filter(|items| items.value.is_object());
        self.applied(node)
            .into_iter()
            .any(|part| is_file(part) || items(&part).is_some_and(|items| self.applied(items).into_iter().any(is_file)))
    }

    /// The subschemas that are applied to the same value, the nearest first.
    pub(super) fn applied(&self, node: Node<'a>) -> Vec<Node<'a>> {
        let mut seen = HashSet::new();
        let mut all = vec![node];
        let mut next = 0;
        while let Some(&part) = all.get(next) {
            next += 1;
            if all.len() > MAX_LOOKS {
                break;
            }
            let reference = part.text("$ref").and_then(|to| self.documents.resolve(part.document, to).ok());
            let lists = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|list| part.items(list));
            let found = reference.into_iter().chain(lists);
            all.extend(found.filter(|one| seen.insert(std::ptr::from_ref(one.value))));
        }
        all
    }
}

/// Whether a schema says of a value that it is the content of a file.
pub(super) fn is_file(node: Node<'_>) -> bool {
    let kind = match node.value.get("type") {
        Some(Value::String(name)) => name.as_str(),
        Some(Value::Array(names)) if names.iter().any(|name| name == "string") => "string",
        Some(_) => return false,
        None => "",
    };
    // Since OpenAPI 3.1 a text with a media type and no encoding is bytes.
    let media = node.text("contentMediaType").filter(|_| node.text("contentEncoding").is_none());
    let bytes = media.and_then(MediaType::new).is_some_and(|media| !matches!(media.kind, Kind::Json | Kind::Text));
    match kind {
        "file" => true,
        "string" | "" => bytes || node.text("format") == Some("binary"),
        _ => false,
    }
}
