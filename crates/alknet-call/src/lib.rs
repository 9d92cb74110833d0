//! The call protocol of alknet: named operations over any connection.
//!
//! A [`Registry`] holds the operations of a node, each an [`OperationSpec`] (what it is called, who may run it) with an
//! [`OperationHandler`]. A [`CallHandler`] serves them on connections of the ALPN `alknet/call`, and a [`CallClient`]
//! calls those of another node. A call is a frame of JSON in each direction ([`wire`]); calls share streams or have one
//! each, as the transport allows, and neither side need care.
//!
//! ```
//! use std::sync::Arc;
//! use alknet_call::{ALPN, Access, CallClient, CallError, CallHandler, CallLimits, OperationContext, OperationSpec,
//!     Registry};
//! use alknet_core::{Alpn, AuthContext, Connection, MemoryIdentities, ProtocolHandler, SingleStream};
//! use serde_json::{Value, json};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! async fn greet(_: OperationContext, input: Value) -> Result<Value, CallError> {
//!     let name = input.as_str().ok_or_else(|| CallError::invalid_input("the input must be a name"))?;
//!     Ok(json!(format!("hello {name}")))
//! }
//! let registry = Arc::new(Registry::new());
//! registry.register(OperationSpec::new("demo/greet".parse()?).with_access(Access::Public), greet)?;
//!
//! // Any byte stream is a connection: here a pipe, else QUIC or TLS.
//! let (near, far) = tokio::io::duplex(4096);
//! let connection = |io| Connection::new(SingleStream::new("pipe", io), Alpn::new(ALPN).unwrap());
//! let handler = Arc::new(CallHandler::new(registry, CallLimits::default()));
//! let stranger = AuthContext::new([], Arc::new(MemoryIdentities::default()));
//! tokio::spawn(handler.handle(connection(far), stranger));
//!
//! let client = CallClient::new(connection(near));
//! assert_eq!(client.call("demo/greet", &"ada").await?, "hello ada");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything that a peer can make a node hold or wait for has a limit in [`CallLimits`].

pub mod access;
mod adapter;
mod budget;
pub mod builtin;
mod capabilities;
mod client;
mod composition;
mod context;
mod error;
mod framed;
mod hub;
mod limits;
mod link;
mod peers;
mod proto;
mod registry;
mod schema;
mod server;
mod spec;
#[cfg(test)]
mod testkit;
pub mod wire;

pub use adapter::{AdapterError, FromJsonSchema, OperationAdapter, ToolError};
pub use capabilities::{Capabilities, Secret};
pub use client::{CallClient, CallOptions, ClientError, Subscription};
pub use composition::DetachedCall;
pub use context::{CallerInfo, OperationContext};
pub use error::{CallError, ErrorCode};
pub use hub::{Export, Hub, InvalidExport, end_orphans};
pub use limits::CallLimits;
pub use peers::{Backoff, Connected, FromCall, PeerGuard, PeerRef, Peers, ReconnectingClient};
#[doc(hidden)]
pub use registry::RunGuard;
pub use registry::{
    Admitted, Bundle, CompositionAuthority, EventStream, Grant, Metric, MetricKind, MetricSource, NameTaken,
    OperationHandler, Overlay, Provenance, Registry, Reservation, Run, ScopedEnvironment, Started, SubscriptionHandler,
};
pub use schema::{Schema, SchemaError, SchemaViolations, Violation};
pub use server::{CallHandler, ConnectionWatcher};
pub use spec::{
    Access, ErrorSpec, InvalidName, InvalidPattern, InvalidPointer, InvalidSpec, JsonPointer, Lists, OperationKind,
    OperationName, OperationPattern, OperationSpec, ResourceAccess, Resumes, Spawns, Visibility,
};

/// The ALPN identifier of the protocol.
pub const ALPN: &str = "alknet/call";
