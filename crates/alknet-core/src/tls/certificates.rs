//! Domain certificates: read from files, chosen by server name, read again when the files change.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::provider;

/// Certificate chains and keys have a few KiB; more is some other file.
const MAX_FILE: u64 = 1024 * 1024;

/// Where a certificate is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain in PEM, the leaf first.
    pub certificate: PathBuf,
    /// Its private key in PEM (PKCS #8, PKCS #1 or SEC 1).
    pub key: PathBuf,
}

/// The domain certificates of a node.
///
/// Where several cover a name the first one wins. ACME will be one more source of them.
pub struct Certificates {
    files: Mutex<Vec<(CertificateFiles, Stamp)>>,
    by_name: ArcSwap<HashMap<String, Arc<CertifiedKey>>>,
}

/// What a change of the files shows in: size and time of both, links followed.
type Stamp = [Option<(u64, SystemTime)>; 2];

impl Certificates {
    /// None: every client without raw public keys gets the self-signed certificate.
    pub fn none() -> Self {
        Self { files: Mutex::default(), by_name: ArcSwap::default() }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, is no PEM, names no domain, or a key does not belong to its certificate.
    pub fn load(files: Vec<CertificateFiles>) -> Result<Self, CertificateError> {
        let certificates = Self::none();
        certificates.replace(files)?;
        Ok(certificates)
    }

    /// Reads other files in the place of those it had; handshakes from now on use what they hold.
    ///
    /// # Errors
    /// As [`Certificates::load`]; then nothing changes.
    pub fn replace(&self, files: Vec<CertificateFiles>) -> Result<(), CertificateError> {
        let mut current = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_name = HashMap::new();
        let mut stamped = Vec::with_capacity(files.len());
        for pair in files {
            // The stamp comes first: a change while we read shows as a change later.
            let stamp = stamp(&pair);
            let (key, names) = load_pair(&pair)?;
            for name in names {
                by_name.entry(name).or_insert_with(|| key.clone());
            }
            stamped.push((pair, stamp));
        }
        self.by_name.store(Arc::new(by_name));
        *current = stamped;
        Ok(())
    }

    /// Reads the files again if one of them has changed; says whether it did. Call it from time to time, off the
    /// async threads.
    ///
    /// # Errors
    /// As [`Certificates::load`]; then the old certificates stay in use.
    pub fn reload_if_changed(&self) -> Result<bool, CertificateError> {
        let files = {
            let mut current = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            let mut changed = false;
            for (pair, old) in current.iter_mut() {
                let new = stamp(pair);
                // Taken over at once, so that a file that stays broken is reported once and not at every look.
                changed |= std::mem::replace(old, new) != new;
            }
            if !changed {
                return Ok(false);
            }
            current.iter().map(|(pair, _)| pair.clone()).collect()
        };
        self.replace(files).map(|()| true)
    }

    /// The certificate for a server name, exact or by a wildcard for its first label (RFC 6125 §6.4.3).
    pub(crate) fn find(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        let by_name = self.by_name.load();
        let exact = by_name.get(server_name);
        let wildcard = || by_name.get(&format!("*.{}", server_name.split_once('.')?.1));
        exact.or_else(wildcard).cloned()
    }
}

fn stamp(files: &CertificateFiles) -> Stamp {
    [&files.certificate, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

fn load_pair(files: &CertificateFiles) -> Result<(Arc<CertifiedKey>, Vec<String>), CertificateError> {
    let pem = read(&files.certificate)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| CertificateError::unusable(&files.certificate, error))?;
    let leaf =
        chain.first().ok_or_else(|| CertificateError::unusable(&files.certificate, "it holds no certificate"))?;
    let parsed =
        webpki::EndEntityCert::try_from(leaf).map_err(|error| CertificateError::unusable(&files.certificate, error))?;
    let names: Vec<_> = parsed.valid_dns_names().map(str::to_ascii_lowercase).collect();
    if names.is_empty() {
        return Err(CertificateError::unusable(&files.certificate, "it names no domain (no DNS subjectAltName)"));
    }
    let key = PrivateKeyDer::from_pem_slice(&zeroize::Zeroizing::new(read(&files.key)?))
        .map_err(|error| CertificateError::unusable(&files.key, error))?;
    let key = CertifiedKey::from_der(chain, key, &provider())
        .map_err(|error| CertificateError::unusable(&files.key, format!("it does not fit the certificate: {error}")))?;
    Ok((Arc::new(key), names))
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let unreadable = |source| CertificateError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(CertificateError::unusable(path, "it is larger than 1 MiB"));
    }
    Ok(bytes)
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file holds something else than it should.
    #[error("{} cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate over the node key could not be made.
    #[error("the self-signed certificate could not be made")]
    SelfSigned(#[source] rcgen::Error),
}

impl CertificateError {
    fn unusable(path: &Path, reason: impl ToString) -> Self {
        Self::Unusable { path: path.to_owned(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey as Generated, generate_simple_self_signed};

    fn write(folder: &Path, name: &str, domains: &[&str]) -> CertificateFiles {
        let domains: Vec<_> = domains.iter().map(|domain| domain.to_string()).collect();
        let Generated { cert, signing_key } = generate_simple_self_signed(domains).unwrap();
        let files = CertificateFiles {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        std::fs::write(&files.certificate, cert.pem()).unwrap();
        std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn a_name_finds_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let files = vec![
            write(folder.path(), "a", &["a.example", "*.apps.example"]),
            write(folder.path(), "b", &["b.example"]),
        ];
        let certificates = Certificates::load(files).unwrap();
        let leaf = |name: &str| certificates.find(name).map(|key| key.cert[0].clone());
        assert!(leaf("a.example").is_some());
        assert_eq!(leaf("x.apps.example"), leaf("a.example"));
        assert_ne!(leaf("b.example"), leaf("a.example"));
        for stranger in ["c.example", "apps.example", "x.y.apps.example", "localhost"] {
            assert!(leaf(stranger).is_none(), "{stranger} found one");
        }
    }

    #[test]
    fn a_renewed_file_is_read_again_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::load(vec![write(folder.path(), "a", &["a.example"])]).unwrap();
        let leaf = || certificates.find("a.example").unwrap().cert[0].clone();
        let old = leaf();
        assert!(!certificates.reload_if_changed().unwrap());

        let files = write(folder.path(), "a", &["a.example", "renewed.example"]);
        assert!(certificates.reload_if_changed().unwrap());
        let renewed = leaf();
        assert_ne!(old, renewed);

        std::fs::write(&files.certificate, "half a fi").unwrap();
        let error = certificates.reload_if_changed().unwrap_err().to_string();
        assert!(error.contains("a.pem cannot be used"), "{error}");
        assert_eq!(leaf(), renewed);
    }

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (write(folder.path(), "a", &["a.example"]), write(folder.path(), "b", &["b.example"]));
        let error = |certificate: &Path, key: &Path| {
            let files = CertificateFiles { certificate: certificate.to_owned(), key: key.to_owned() };
            Certificates::load(vec![files]).err().unwrap().to_string()
        };
        assert!(error(&folder.path().join("missing"), &a.key).contains("missing cannot be read"));
        assert!(error(&a.certificate, &b.key).contains("b.key cannot be used: it does not fit the certificate"));
        assert!(error(&a.key, &a.key).contains("a.key cannot be used: it holds no certificate"));
    }
}
