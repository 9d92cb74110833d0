//! Calling the operations of a service.
//!
//! For each a plan is made once: of the [`request`] (with its [`path`], the [`style`] of its parameters, its [`body`]) and
//! of the [`credentials`] that it takes. A [`call`] fills the plan in, sends the request with the one client of the node, and
//! makes an output of the [`response`].

mod body;
mod call;
mod credentials;
mod multipart;
mod path;
mod request;
mod response;
mod scrub;
mod style;
#[cfg(test)]
pub(super) mod testkit;
mod token;

pub(crate) use call::HttpCall;
#[cfg(feature = "mcp")]
pub(crate) use scrub::Scrub;
pub(crate) use token::Tokens;
