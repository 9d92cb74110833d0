//! The certificate of the peers' servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

pub(crate) const HOST: &str = "localhost";

pub(crate) fn certificate_file(folder: &Path) -> PathBuf {
    folder.join("certificate.pem")
}

pub(crate) fn key_file(folder: &Path) -> PathBuf {
    folder.join("key.pem")
}

/// Writes a new self-signed certificate and its key.
pub(crate) fn write_certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
    fs::write(certificate_file(folder), made.cert.pem()).unwrap();
    fs::write(key_file(folder), made.signing_key.serialize_pem()).unwrap();
}

/// A client that trusts that certificate alone, and whose only cipher is the one that two programs with rustls agree on
/// when nobody chooses. A server in Go would pick another.
pub(crate) fn client_config(folder: &Path) -> ClientConfig {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384];
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate_file(folder)).unwrap()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
