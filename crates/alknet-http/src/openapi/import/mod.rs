//! Operations from descriptions of HTTP services: OpenAPI 3.0 and 3.1.
//!
//! [`read`](read::read) makes a [`Service`](model::Service) of a description, in these steps: the text becomes JSON
//! ([`document`]), with all files that it refers to ([`documents`]); the operations in it are found ([`paths`]) and named
//! ([`names`]); those that somebody wants are read ([`operation`] and its helpers), with their schemas ([`schema`]).
//! [`run`] makes calls of that alone, and [`adapter`] operations of the calls.

mod adapter;
mod answer;
mod body;
mod document;
mod documents;
mod error;
mod media;
mod model;
mod names;
mod operation;
mod parameters;
mod paths;
pub(crate) mod read;
mod run;
mod schema;
mod security;
mod servers;
#[cfg(test)]
mod tests;

pub use adapter::{FromOpenApi, ImportError, ImportOptions, Offered};
pub use error::{DescriptionError, Source};
