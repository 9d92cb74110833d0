//! Operations from descriptions of HTTP services: OpenAPI 3.0 and 3.1.
//!
//! [`read`] makes a [`Service`](model::Service) of a description. [`run`] makes calls of that alone, and [`adapter`]
//! operations of the calls.

mod adapter;
mod model;
pub(crate) mod read;
mod run;

pub use adapter::{FromOpenApi, ImportError, ImportOptions, Offered};
#[cfg(feature = "mcp")]
pub(crate) use read::names::{hash, with_suffix, words};
pub use read::{DescriptionError, Source};
#[cfg(feature = "mcp")]
pub(crate) use run::Scrub;
