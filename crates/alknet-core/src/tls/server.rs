//! The server's TLS configurations: one for each combination of what the client takes and what it can show.

use std::fmt;
use std::sync::Arc;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicServerConfig};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificates::CertificateError;
use super::client_auth::AskForKey;
use super::self_signed::self_signed;
use super::{Certificates, ClientHelloInfo, NodeKey, provider};
use crate::Alpn;

/// The four configurations, for TCP and for QUIC, all with one list of ALPNs.
pub(crate) struct ServerConfigs {
    profiles: [Profile; 4],
}

struct Profile {
    tcp: Arc<rustls::ServerConfig>,
    quic: Arc<QuicServerConfig>,
}

impl ServerConfigs {
    pub(crate) fn new(
        key: &NodeKey,
        certificates: &Arc<Certificates>,
        alpns: &[Alpn],
    ) -> Result<Self, ServerConfigError> {
        let raw: Arc<dyn ResolvesServerCert> = Arc::new(RawKey(key.raw()));
        let by_name: Arc<dyn ResolvesServerCert> =
            Arc::new(ByName { certificates: certificates.clone(), fallback: self_signed(key)? });
        let profile =
            |server: &Arc<dyn ResolvesServerCert>, raw_client| Profile::new(server.clone(), raw_client, alpns);
        Ok(Self {
            profiles: [
                profile(&by_name, false)?,
                profile(&by_name, true)?,
                profile(&raw, false)?,
                profile(&raw, true)?,
            ],
        })
    }

    pub(crate) fn tcp(&self, hello: &ClientHelloInfo) -> Arc<rustls::ServerConfig> {
        self.profile(hello.raw_server_key, hello.raw_client_key).tcp.clone()
    }

    pub(crate) fn quic(&self, hello: &ClientHelloInfo) -> Arc<QuicServerConfig> {
        self.profile(hello.raw_server_key, hello.raw_client_key).quic.clone()
    }

    /// For what no ClientHello could be read from: it will answer with the right alert.
    pub(crate) fn quic_default(&self) -> Arc<QuicServerConfig> {
        self.profile(false, false).quic.clone()
    }

    fn profile(&self, raw_server: bool, raw_client: bool) -> &Profile {
        let [x509, x509_raw, raw_x509, raw] = &self.profiles;
        match (raw_server, raw_client) {
            (false, false) => x509,
            (false, true) => x509_raw,
            (true, false) => raw_x509,
            (true, true) => raw,
        }
    }
}

impl Profile {
    fn new(server: Arc<dyn ResolvesServerCert>, raw_client: bool, alpns: &[Alpn]) -> Result<Self, ServerConfigError> {
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(AskForKey { raw: raw_client }))
            .with_cert_resolver(server);
        config.alpn_protocols = alpns.iter().map(|alpn| alpn.as_bytes().to_vec()).collect();
        // No resumption: it would carry a client's identity past the configuration that it was asked under, and costs
        // memory for each connection.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let tcp = Arc::new(config);
        Ok(Self { quic: Arc::new(QuicServerConfig::try_from(tcp.clone())?), tcp })
    }
}

struct RawKey(Arc<CertifiedKey>);

impl fmt::Debug for RawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawKey")
    }
}

impl ResolvesServerCert for RawKey {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

struct ByName {
    certificates: Arc<Certificates>,
    fallback: Arc<CertifiedKey>,
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByName")
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.certificates.find(name));
        Some(named.unwrap_or_else(|| self.fallback.clone()))
    }
}

/// A TLS configuration that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerConfigError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the TLS configuration was refused")]
    Tls(#[from] rustls::Error),
    #[error("the crypto provider lacks QUIC's initial cipher suite")]
    Quic(#[from] NoInitialCipherSuite),
}
