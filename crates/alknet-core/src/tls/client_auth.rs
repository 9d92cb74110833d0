//! Client keys and certificates: asked for, never required, and only ever a name for whoever holds the key.

use std::fmt;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::node_key::ed25519_of_spki;
use super::signature;
use crate::Fingerprint;

/// Takes any key or certificate that the client can prove to hold. What it is worth is decided by the identity
/// provider, from the fingerprint: chains and dates of client certificates count for nothing here.
pub(crate) struct AskForKey {
    pub(crate) raw: bool,
}

impl fmt::Debug for AskForKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AskForKey {{ raw: {} }}", self.raw)
    }
}

impl ClientCertVerifier for AskForKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if !self.raw {
            ParsedCertificate::try_from(end_entity)?;
        }
        Ok(ClientCertVerified::assertion())
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

/// The names of the key that a peer proved to hold, from what rustls keeps as its certificate chain.
///
/// A raw Ed25519 key has one name. A certificate has its own, and the one of the Ed25519 key in it if there is one: the
/// handshake's signature proved that key, however it was wrapped. Raw keys of other kinds have no name in alknet.
pub(crate) fn fingerprints_of(chain: &[CertificateDer<'_>]) -> Vec<Fingerprint> {
    let Some(leaf) = chain.first() else { return Vec::new() };
    if let Some(key) = ed25519_of_spki(&SubjectPublicKeyInfoDer::from(leaf.as_ref())) {
        return vec![Fingerprint::Ed25519(key)];
    }
    let Ok(parsed) = ParsedCertificate::try_from(leaf) else { return Vec::new() };
    let key = ed25519_of_spki(&parsed.subject_public_key_info()).map(Fingerprint::Ed25519);
    key.into_iter().chain([Fingerprint::of_certificate(leaf)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeKey;

    #[test]
    fn a_key_has_the_same_name_raw_and_in_a_certificate() {
        let key = NodeKey::from_seed(&[5; 32]).unwrap();
        let certificate = crate::tls::self_signed::self_signed(&key).unwrap();
        let in_certificate = fingerprints_of(&certificate.cert);
        assert_eq!(in_certificate, [key.fingerprint(), Fingerprint::of_certificate(&certificate.cert[0])]);
        assert_eq!(fingerprints_of(&key.raw().cert), [key.fingerprint()]);
    }

    #[test]
    fn what_is_no_key_has_no_name() {
        assert!(fingerprints_of(&[]).is_empty());
        assert!(fingerprints_of(&[CertificateDer::from(vec![0x30; 44])]).is_empty());
    }
}
