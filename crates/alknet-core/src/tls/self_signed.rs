//! The self-signed certificate over the node key, for clients that know no raw public keys.

use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ED25519, SerialNumber, date_time_ymd};
use rustls::sign::CertifiedKey;

use super::NodeKey;
use super::certificates::CertificateError;

/// Makes the certificate. It depends on the key alone (fixed dates, serial number from the key, Ed25519 signs
/// deterministically), so its fingerprint stays the same over restarts and can be pinned.
pub(crate) fn self_signed(key: &NodeKey) -> Result<Arc<CertifiedKey>, CertificateError> {
    let pkcs8 = key.pkcs8();
    let key_pair =
        KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &PKCS_ED25519).map_err(CertificateError::SelfSigned)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "alknet node");
    let (serial, _) = key.public().split_at(16);
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.not_before = date_time_ymd(2000, 1, 1);
    // RFC 5280 §4.1.2.5: no well-defined expiry. Who pins the key has no use for one.
    params.not_after = date_time_ymd(9999, 12, 31);
    let certificate = params.self_signed(&key_pair).map_err(CertificateError::SelfSigned)?;
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key.signer());
    Ok(Arc::new(certified))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_after_a_restart_and_carries_the_node_key() {
        let make = || self_signed(&NodeKey::from_seed(&[9; 32]).unwrap()).unwrap();
        let (first, second) = (make(), make());
        assert_eq!(first.cert, second.cert);
        first.keys_match().unwrap();
    }
}
