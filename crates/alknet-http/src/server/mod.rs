//! HTTP connections that clients open: the operations of the node, its health and its metrics.
//!
//! From the outside in: a [`handler`] takes the streams of a connection, a [`connection`] is one of them with hyper on it,
//! the [`site`] is what each request comes to, and knows by its token whether to let it in, and behind that are the
//! [`operation`]s with their [`events`], the [`websocket`], and little else.

mod accept;
mod connection;
mod cors;
mod event_id;
mod events;
mod handler;
#[cfg_attr(not(feature = "mcp"), allow(dead_code, reason = "only the calls of MCP listen so far"))]
mod hang_up;
mod io;
mod leftover;
mod linger;
mod metrics;
mod operation;
pub(crate) mod problem;
mod progress;
mod site;
mod token;
mod websocket;

#[cfg(feature = "mcp")]
pub(crate) use cors::Cors;
#[cfg(feature = "mcp")]
pub(crate) use events::{COMMENT, Silence, over as subscription_over};
pub use handler::{HttpHandler, HttpHandlerBuilder};
#[cfg(feature = "mcp")]
pub(crate) use metrics::Route;
pub use site::Caller;
#[cfg(feature = "mcp")]
pub(crate) use site::of;
