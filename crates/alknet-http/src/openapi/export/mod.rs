//! The operations of the node as an OpenAPI description.
//!
//! Each operation is written once, when it is new; a description is put together of those that its reader may call
//! ([`Exporter`]). Its version and its entity tag come from exactly that set, so that a client sees at once that it has
//! changed. Nothing in it tells where an operation comes from or which credential it uses: that is not in its
//! [`OperationSpec`].

mod document;
mod exporter;
mod operation;
mod problem;
mod schema;

use std::sync::Arc;

use alknet_call::access::check_caller;
use alknet_call::{OperationSpec, Registry};
use alknet_core::Identity;
use serde_json::Value;

use document::Frame;
use operation::Described;
#[cfg(feature = "mcp")]
pub(crate) use operation::{description, summary};

pub use exporter::Exporter;

/// What a description says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiInfo {
    /// Its title.
    pub title: String,
    /// What stands before the conventions that all operations share, in CommonMark.
    pub description: String,
}

impl ApiInfo {
    /// A title, and nothing more.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), description: String::new() }
    }

    /// Says something in front of the conventions, in CommonMark.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }
}

impl Default for ApiInfo {
    fn default() -> Self {
        Self::new("Operations of an alknet node")
    }
}

/// Describes operations, whoever may call them, in OpenAPI 3.1.
///
/// ```
/// use std::sync::Arc;
/// use alknet_call::OperationSpec;
/// use alknet_http::{ApiInfo, to_openapi};
/// let greet = OperationSpec::new("demo/greet".parse()?).with_description("Says hello. To everybody.");
/// let description = to_openapi(&[Arc::new(greet)], &ApiInfo::default());
/// let operation = &description["paths"]["/demo/greet"]["post"];
/// assert_eq!((&operation["operationId"], &operation["summary"]), (&"demo.greet".into(), &"Says hello".into()));
/// # Ok::<(), alknet_call::InvalidName>(())
/// ```
pub fn to_openapi(specs: &[Arc<OperationSpec>], info: &ApiInfo) -> Value {
    let mut described: Vec<_> = specs.iter().map(|spec| Described::of(spec.clone())).collect();
    described.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    let (frame, operations) = (Frame::new(info), described.iter().collect::<Vec<_>>());
    // Writing JSON as JSON does not fail.
    serde_json::to_value(frame.with(&operations, &frame.marker(&operations))).unwrap_or_default()
}

/// Describes what `identity` may call of `registry`, in OpenAPI 3.1. To describe it again and again there is
/// [`Exporter`].
pub fn openapi_for(registry: &Registry, identity: Option<&Identity>, info: &ApiInfo) -> Value {
    let mut specs = registry.specs();
    specs.retain(|spec| check_caller(spec, identity).is_ok());
    to_openapi(&specs, info)
}

#[cfg(test)]
mod tests;
