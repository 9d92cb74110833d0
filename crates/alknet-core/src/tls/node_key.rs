//! The node's own key.

use std::sync::Arc;

use aws_lc_rs::hmac;
use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, SigningKey};
use zeroize::Zeroizing;

use crate::Fingerprint;

/// PKCS #8 v1 of an Ed25519 private key, up to its 32 bytes (RFC 8410 §7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// SubjectPublicKeyInfo of an Ed25519 public key, up to its 32 bytes (RFC 8410 §4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The Ed25519 key that is the node's identity. Cheap to clone.
///
/// ```
/// let key = alknet_core::NodeKey::from_seed(&[7; 32])?;
/// assert!(key.fingerprint().to_string().starts_with("ed25519:ea4a6c63"));
/// # Ok::<(), alknet_core::InvalidKey>(())
/// ```
/// ```compile_fail
/// println!("{:?}", alknet_core::NodeKey::from_seed(&[7; 32]));
/// ```
#[derive(Clone)]
pub struct NodeKey {
    signer: Arc<dyn SigningKey>,
    pkcs8: Arc<Zeroizing<Vec<u8>>>,
    public: [u8; 32],
}

impl NodeKey {
    /// The key whose private part (RFC 8032 §5.1.5) is `seed`.
    ///
    /// # Errors
    /// When the crypto library refuses the key.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, InvalidKey> {
        let pkcs8 = Zeroizing::new([PKCS8_PREFIX.as_slice(), seed].concat());
        let signer = any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8.as_slice())).map_err(InvalidKey)?;
        let spki = signer.public_key().ok_or_else(|| InvalidKey(rustls::Error::General("no public key".into())))?;
        let public =
            ed25519_of_spki(&spki).ok_or_else(|| InvalidKey(rustls::Error::General("no Ed25519 key".into())))?;
        Ok(Self { signer, pkcs8: Arc::new(pkcs8), public })
    }

    /// How others name this node.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::Ed25519(self.public)
    }

    /// The key as a raw public key (RFC 7250): rustls wants the SubjectPublicKeyInfo in the certificate's place.
    pub(crate) fn raw(&self) -> Arc<CertifiedKey> {
        let spki = [SPKI_PREFIX.as_slice(), &self.public].concat();
        Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], self.signer.clone()))
    }

    /// A secret of this key's for one purpose. It is the same in every process of the node's.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.pkcs8);
        let mut secret = [0; 32];
        secret.copy_from_slice(hmac::sign(&key, purpose.as_bytes()).as_ref());
        secret
    }

    pub(crate) fn signer(&self) -> Arc<dyn SigningKey> {
        self.signer.clone()
    }

    pub(crate) fn pkcs8(&self) -> PrivatePkcs8KeyDer<'_> {
        PrivatePkcs8KeyDer::from(self.pkcs8.as_slice())
    }

    pub(crate) fn public(&self) -> &[u8; 32] {
        &self.public
    }
}

/// A node key that the crypto library refuses.
#[derive(Debug, thiserror::Error)]
#[error("the node key cannot be used")]
pub struct InvalidKey(#[source] rustls::Error);

/// The Ed25519 key in a SubjectPublicKeyInfo, if it is one.
pub(crate) fn ed25519_of_spki(spki: &SubjectPublicKeyInfoDer<'_>) -> Option<[u8; 32]> {
    spki.strip_prefix(SPKI_PREFIX.as_slice())?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_8032_test_1_public_key() {
        let hex = |text: &str| crate::auth::unhex(text).unwrap();
        let key = NodeKey::from_seed(&hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")).unwrap();
        assert_eq!(
            key.fingerprint().to_string(),
            "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }

    #[test]
    fn another_kind_of_key_is_no_ed25519_key() {
        assert!(ed25519_of_spki(&SubjectPublicKeyInfoDer::from([0x30; 44].as_slice())).is_none());
        assert!(ed25519_of_spki(&SubjectPublicKeyInfoDer::from(SPKI_PREFIX.as_slice())).is_none());
    }
}
