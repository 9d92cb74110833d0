//! TLS: which identity a node shows to whom, what it asks of clients, and what it makes of what they show.

pub(crate) mod certificates;
mod client_auth;
mod client_hello;
mod node_key;
mod quic_server;
mod self_signed;
mod server;
mod server_auth;
mod signature;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use certificates::{CertificateError, CertificateFiles, Certificates};
pub use client_hello::{ClientHelloInfo, ClientHelloReader, InvalidClientHello};
pub use node_key::{InvalidKey, NodeKey};
pub use server_auth::ServerIdentity;

pub(crate) use client_auth::fingerprints_of;
pub(crate) use quic_server::PerConnection;
pub(crate) use server::ServerConfigs;
pub(crate) use server_auth::{ClientConfigError, client_config};

/// The one crypto provider in the tree (post-quantum key exchange first), handed to rustls explicitly, so that nothing
/// depends on a process-wide default.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::LazyLock<Arc<CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    PROVIDER.clone()
}
