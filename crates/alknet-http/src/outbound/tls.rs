//! TLS towards other services: whom they have to be vouched for by, and what the node shows to them.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::{ClientCertificate, OutboundConfig, OutboundError};

/// The system's bundle of roots has 200 KiB; more than this is some other file.
const MAX_FILE: u64 = 4 * 1024 * 1024;

pub(super) fn client_config(config: &OutboundConfig) -> Result<ClientConfig, OutboundError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_root_certificates(roots(config.ca_bundle.as_deref())?);
    let mut tls = match &config.client_certificate {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (chain, key) = identity(files)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                unusable(&files.key, format!("it does not fit {}: {error}", files.certificate.display()))
            })?
        }
    };
    tls.alpn_protocols = [&b"h2"[..], b"http/1.1"].map(<[u8]>::to_vec).into();
    Ok(tls)
}

fn roots(bundle: Option<&Path>) -> Result<RootCertStore, OutboundError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = bundle {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| unusable(path, error))?;
        }
    }
    if roots.is_empty() {
        // Not an error: what is called may be on this machine and need no TLS.
        tracing::warn!(
            "this system has no root certificates (install ca-certificates): no service over https can be called"
        );
    }
    Ok(roots)
}

fn identity(
    files: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), OutboundError> {
    let pem = Zeroizing::new(read(&files.key)?);
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unusable(&files.key, error))?;
    Ok((certificates(&files.certificate)?, key))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OutboundError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, error))?;
    match certificates.is_empty() {
        true => Err(unusable(path, "it holds no certificate")),
        false => Ok(certificates),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, OutboundError> {
    let unreadable = |source| OutboundError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(unusable(path, "it is larger than 4 MiB"));
    }
    Ok(bytes)
}

fn unusable(path: &Path, reason: impl ToString) -> OutboundError {
    OutboundError::Unusable { path: path.to_owned(), reason: reason.to_string() }
}

fn refused(error: rustls::Error) -> OutboundError {
    OutboundError::Refused(error.to_string())
}

#[cfg(test)]
mod tests;
