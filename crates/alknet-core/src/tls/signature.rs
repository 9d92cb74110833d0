//! Handshake signatures, of raw public keys and of certificates alike.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{self, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use super::provider;

/// Verifies that the peer holds the key that it shows. With `raw`, what stands in the certificate's place is a
/// SubjectPublicKeyInfo (RFC 7250).
pub(crate) fn verify_tls13(
    raw: bool,
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if raw {
        let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
        crypto::verify_tls13_signature_with_raw_key(message, &spki, dss, &algorithms())
    } else {
        crypto::verify_tls13_signature(message, cert, dss, &algorithms())
    }
}

/// rustls' traits ask for this; no configuration of ours speaks TLS 1.2.
pub(crate) fn verify_tls12(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    crypto::verify_tls12_signature(message, cert, dss, &algorithms())
}

pub(crate) fn schemes() -> Vec<SignatureScheme> {
    algorithms().supported_schemes()
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}
