//! From a text to what a service offers.
//!
//! The text becomes JSON ([`document`]), with all files that it refers to ([`documents`]); the operations in it are found
//! ([`paths`]) and named ([`names`]); those that somebody wants are read ([`operation`] and its helpers), with their
//! schemas ([`schema`]).

mod answer;
mod body;
mod document;
mod documents;
mod error;
mod media;
pub(super) mod names;
mod operation;
mod parameters;
mod paths;
mod schema;
mod security;
mod servers;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::model::{self, Service};
use documents::{Documents, Node};
pub use error::{DescriptionError, Source};
use operation::Reader;
use paths::Offer;
use schema::{Schemas, Version};

/// Reads a description. Of the operations only those are read whose names are `wanted`; the names do not depend on that.
/// It computes, and reads files, without a pause: that belongs on a thread where it may block.
///
/// What a description gets wrong costs no more than what it is about: an operation that cannot be called is left out with
/// the reason, and what is lost of one that can is in its remarks (docs/decisions/0011).
pub(crate) fn read(text: &str, source: &Source, wanted: &dyn Fn(&str) -> bool) -> Result<Service, DescriptionError> {
    let root = document::parse(text)?;
    let version = version(&root)?;
    let documents = Documents::load(root, source);
    let Offer { operations, mut left_out } = Offer::of(&documents)?;
    let schemes = security::schemes(&documents, source);
    let mut reader = Reader { source, schemas: Schemas::new(&documents, version), schemes };
    let mut read = Vec::new();
    for named in operations.iter().filter(|(name, ..)| wanted(name)) {
        match reader.operation(named) {
            Ok(operation) => read.push(operation),
            Err(reason) => {
                let operation = format!("{} {}", named.2.method, named.2.path);
                left_out.push(model::LeftOut { operation, reason });
            }
        }
    }
    let info = documents.root().get("info");
    let about = |key| info.and_then(|info| text_of(info, key)).unwrap_or_default();
    Ok(Service {
        title: about("title"),
        version: about("version"),
        servers: servers::of_service(documents.root(), source),
        schemes: reader.schemes,
        operations: read,
        left_out,
    })
}

/// Which version of OpenAPI a description is written in.
fn version(root: &Value) -> Result<Version, DescriptionError> {
    let field = |key| text_of(Node { document: 0, value: root }, key);
    let Some(version) = field("openapi") else {
        return Err(field("swagger").map_or(DescriptionError::NotOpenApi, DescriptionError::Swagger));
    };
    let mut numbers = version.trim().split('.');
    match (numbers.next(), numbers.next()) {
        (Some("3"), Some("0") | None) => Ok(Version::V30),
        (Some("3"), Some("1" | "2")) => Ok(Version::V31),
        _ => Err(DescriptionError::Version(version)),
    }
}

/// A text, also one that YAML takes for a number: `version: 1.0`.
fn text_of(node: Node<'_>, key: &str) -> Option<String> {
    let text = match node.value.get(key)? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text.chars().take(200).collect())
}
