//! A certificate for servers that have no raw public key.

use std::fs;
use std::path::{Path, PathBuf};

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
