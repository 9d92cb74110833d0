//! Where descriptions come from, and why one cannot be read.

use std::path::PathBuf;

use url::Url;

/// Where a description came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file. What it refers to is read from files in its folder or below.
    File(PathBuf),
    /// An address. Relative addresses of servers count from it. References to other documents are refused.
    Url(Url),
}

/// A description that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// It has too many bytes.
    #[error("the description has {0} bytes; at most {max} are read", max = super::document::MAX_SIZE)]
    TooLong(usize),
    /// It is neither JSON nor YAML, or too large once its aliases are expanded.
    #[error("the description is neither JSON nor YAML that can be read: {0}")]
    Syntax(String),
    /// It is not of OpenAPI at all.
    #[error("the description has no field \"openapi\"; it must be an OpenAPI description of version 3.0 or 3.1")]
    NotOpenApi,
    /// It is of Swagger, as OpenAPI was called before 3.0.
    #[error(
        "the description is Swagger {0}; convert it to OpenAPI 3 first, for example with the program swagger2openapi \
         or at https://converter.swagger.io"
    )]
    Swagger(String),
    /// It is of a version that is not known.
    #[error("the description is OpenAPI {0}; versions 3.0 to 3.2 can be read")]
    Version(String),
    /// It describes too many operations.
    #[error("the description has more than {max} operations", max = super::paths::MAX_OPERATIONS)]
    TooManyOperations,
}
