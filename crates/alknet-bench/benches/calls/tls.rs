//! How a client of NATS speaks TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::certificate::certificate_file;

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
