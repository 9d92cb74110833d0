//! Operations from descriptions of HTTP services: OpenAPI 3.0 and 3.1.
//!
//! A description is read into a [`model`]. [`run`] makes calls of that alone, and [`adapter`] operations of the calls.

mod adapter;
mod model;
mod run;

pub use adapter::{FromOpenApi, ImportError, ImportOptions};
