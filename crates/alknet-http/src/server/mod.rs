//! HTTP connections that clients open: the operations of the node, its health and its metrics.

mod handler;
mod problem;
mod routes;

pub use handler::HttpHandler;
pub use routes::Caller;
