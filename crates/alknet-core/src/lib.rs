//! The ground of alknet: one port, a registry of protocol handlers, and the ALPN of each TLS handshake to choose
//! between them. A [`HandlerRegistry`] names the handlers, an [`Endpoint`] binds the port on UDP (QUIC) and TCP (TLS),
//! and each handler gets a [`Connection`] with an [`AuthContext`]; whether QUIC or TCP carries it is nothing it needs
//! to know.
//!
mod alpn;
pub mod auth;
pub mod connection;
pub mod dial;
pub mod endpoint;
mod handler;
pub mod ownership;
mod registry;
mod setting;
pub mod tls;

use std::future::Future;
use std::pin::Pin;

pub use alpn::{Alpn, InvalidAlpn};
pub use auth::*;
pub use connection::*;
pub use dial::{Destination, DialError, Dialer, TransportChoice};
pub use endpoint::{BindError, Endpoint, EndpointConfig, EndpointStatus, Limits, OpenConnection};
pub use handler::{HandlerError, ProtocolHandler};
pub use ownership::{
    MemoryOwnership, OwnershipError, OwnershipEvent, OwnershipProvider, OwnershipRecord, OwnershipStore, OwnershipWatch,
};
pub use registry::{HandlerRegistry, RegistryError};
pub use setting::at_least;
pub use tls::{CertificateError, CertificateFiles, Certificates, InvalidKey, NodeKey, ServerIdentity};

/// A future behind a pointer, as traits that are used as objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
