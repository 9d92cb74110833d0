//! The Model Context Protocol over streamable HTTP, and over nothing else: there is no stdio and no child process.

#[cfg(feature = "mcp")]
pub(crate) mod client;
mod config;
#[cfg(feature = "mcp")]
mod server;

pub use config::{Host, InvalidHost, McpConfig};
#[cfg(feature = "mcp")]
pub use server::{McpServer, McpSessions};
