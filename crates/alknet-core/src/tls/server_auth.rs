//! Dialing: what a client expects of the server's identity, and what it shows of its own.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, ResolvesClientCert, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificates::CertificateError;
use super::client_auth::fingerprints_of;
use super::self_signed::self_signed;
use super::{NodeKey, provider, signature};
use crate::{Alpn, Fingerprint};

/// Whom a client expects at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerIdentity {
    /// A known peer: one of these keys, and nothing else counts. With an `ed25519:` key among them a raw public key is
    /// asked for (RFC 7250), else a certificate.
    Pinned(Vec<Fingerprint>),
    /// A host that the system's roots vouch for by its name. A raw key is refused: nobody vouches for it.
    SystemRoots,
}

/// A client's TLS configuration, and where the server's key is noted.
pub(crate) struct ClientTls {
    pub(crate) config: ClientConfig,
    pub(crate) seen: Arc<OnceLock<Vec<Fingerprint>>>,
}

pub(crate) fn client_config(
    server: &ServerIdentity,
    key: Option<&NodeKey>,
    alpns: &[Alpn],
) -> Result<ClientTls, ClientConfigError> {
    let seen = Arc::new(OnceLock::new());
    let (verifier, raw): (Arc<dyn ServerCertVerifier>, bool) = match server {
        ServerIdentity::Pinned(pins) => {
            let raw = pins.iter().any(|pin| matches!(pin, Fingerprint::Ed25519(_)));
            (Arc::new(Pinned { pins: pins.clone(), raw, seen: seen.clone() }), raw)
        }
        ServerIdentity::SystemRoots => (system_roots()?, false),
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match key {
        None => builder.with_no_client_auth(),
        Some(key) => builder.with_client_cert_resolver(own_key(key, raw)?),
    };
    config.alpn_protocols = alpns.iter().map(|alpn| alpn.as_bytes().to_vec()).collect();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(ClientTls { config, seen })
}

/// A server that shows a raw key takes one, too. Any other gets the same key in a certificate, since offering raw keys
/// alone makes rustls give up on a server that does not know them.
fn own_key(key: &NodeKey, raw: bool) -> Result<Arc<dyn ResolvesClientCert>, CertificateError> {
    Ok(if raw {
        Arc::new(AlwaysResolvesClientRawPublicKeys::new(key.raw()))
    } else {
        Arc::new(OwnCertificate(self_signed(key)?))
    })
}

fn system_roots() -> Result<Arc<dyn ServerCertVerifier>, ClientConfigError> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        return Err(ClientConfigError::NoSystemRoots);
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    Ok(verifier.map_err(|_| ClientConfigError::NoSystemRoots)?)
}

struct OwnCertificate(Arc<CertifiedKey>);

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnCertificate")
    }
}

impl ResolvesClientCert for OwnCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Pinned {
    pins: Vec<Fingerprint>,
    raw: bool,
    seen: Arc<OnceLock<Vec<Fingerprint>>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = fingerprints_of(std::slice::from_ref(end_entity));
        let known = shown.iter().any(|fingerprint| self.pins.contains(fingerprint));
        let _ = self.seen.set(shown);
        if known {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature::verify_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        signature::verify_tls13(self.raw, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        signature::schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.raw
    }
}

/// A client configuration that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientConfigError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the TLS configuration was refused")]
    Tls(#[from] Error),
    #[error("this system has no root certificates (install ca-certificates), so only pinned peers can be dialed")]
    NoSystemRoots,
}
