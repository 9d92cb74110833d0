//! OpenAPI, in both directions: descriptions of other services become operations, and the operations of the node are
//! described.

pub(crate) mod export;
pub(crate) mod import;
