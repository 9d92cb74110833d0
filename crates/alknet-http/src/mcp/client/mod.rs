//! Operations of MCP servers.
//!
//! [`adapter`] asks a server what it has ([`listing`]), and [`tools`] makes operations of that, under [`names`] of their own. A [`call`] goes over a [`session`] of the credential that its caller has, and what comes back is made an
//! output by [`result`]. All of it goes over the node's one HTTP client ([`transport`]).

mod adapter;
mod audit;
mod call;
mod error;
mod listing;
mod names;
mod pace;
mod result;
mod server;
mod session;
#[cfg(test)]
mod testkit;
mod tools;
mod transport;

#[cfg(test)]
mod tests;

pub use adapter::{FromMcp, McpOptions};
pub use error::McpError;
pub use tools::{McpOffered, McpTools};
