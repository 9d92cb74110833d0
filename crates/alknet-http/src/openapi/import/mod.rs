//! Operations from descriptions of HTTP services: OpenAPI 3.0 and 3.1.
//!
//! A description is read into a [`model`]; what runs its operations works from that alone. For each operation a plan is made
//! once ([`request`], with [`path`], [`style`] and [`body`]; [`credentials`]), and a call ([`call`]) fills it in, sends it
//! with the one client of the node, and makes an output of the answer ([`response`]).

mod adapter;
mod body;
mod call;
mod credentials;
mod model;
mod multipart;
mod path;
mod request;
mod response;
mod scrub;
mod style;
#[cfg(test)]
mod testkit;
mod token;

pub use adapter::{FromOpenApi, ImportError, ImportOptions};
