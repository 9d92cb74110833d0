//! HTTP for alknet: a node's health and operations for clients that speak nothing else, over `h2` and `http/1.1`.
//!
//! [`HttpHandler`] serves a [`Registry`](alknet_call::Registry) on connections of those two ALPNs. `GET /healthz` is for
//! anybody; `POST /node/info` with a bearer token is the operation `node/info`, and so on for all operations that the bearer
//! may call. Whoever has no valid token gets one and the same `401` on every other path and method, so that it learns
//! nothing of what is there.
//!
//! ```
//! use std::sync::Arc;
//! use alknet_call::Registry;
//! use alknet_core::{Alpn, AuthContext, Connection, MemoryIdentities, ProtocolHandler, SingleStream};
//! use alknet_http::{HttpConfig, HttpHandler};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! // Any byte stream is a connection: here a pipe.
//! let (mut client, server) = tokio::io::duplex(4096);
//! let connection = Connection::new(SingleStream::new("pipe", server), Alpn::new("http/1.1")?);
//! let stranger = AuthContext::new([], Arc::new(MemoryIdentities::default()));
//! let handler = Arc::new(HttpHandler::new(Arc::new(Registry::new()), HttpConfig::default()));
//! tokio::spawn(handler.handle(connection, stranger));
//!
//! client.write_all(b"GET /healthz HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").await?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod dashboard;
pub mod decoy;
#[doc(hidden)]
pub mod fuzzing;
mod mcp;
mod openapi;
mod outbound;
mod server;
#[cfg(test)]
mod testkit;

pub use config::{CorsConfig, HttpConfig, InvalidOrigin, Origin};
pub use dashboard::{Dashboard, DashboardConfig};
#[cfg(feature = "mcp")]
pub use mcp::client::{FromMcp, McpError, McpOffered, McpOptions, McpTools};
pub use mcp::{Host, InvalidHost, McpConfig};
#[cfg(feature = "mcp")]
pub use mcp::{McpServer, McpSessions};
pub use openapi::export::{ApiInfo, Exporter, openapi_for, to_openapi};
pub use openapi::import::{
    DescriptionError, FromOpenApi, ImportError, ImportOptions, Offered, Source as DescriptionSource,
};
pub use outbound::{ClientCertificate, FetchError, HttpClient, OutboundConfig, OutboundError, RequestError};
pub use server::{Caller, HttpHandler, HttpHandlerBuilder};
