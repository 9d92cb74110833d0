//! Secret files: a passphrase, a seed or a private key, named in the configuration and kept outside of it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use alknet_vault::file::{FileError, read_secret};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::environment::Environment;

/// Longer than any passphrase, seed or key in PEM.
const MAX_LEN: usize = 64 * 1024;

/// Where secret files are looked up.
#[derive(Debug, Clone)]
pub struct SecretFiles {
    credentials: Option<PathBuf>,
    beside: PathBuf,
}

/// The contents of a secret file. Wiped when dropped; there is no `Debug`.
pub struct Secret {
    /// The file it was found in.
    pub path: PathBuf,
    /// The contents, as they are.
    pub contents: Zeroizing<Vec<u8>>,
    /// Something to tell the operator about the file.
    pub warning: Option<String>,
}

impl SecretFiles {
    /// Relative names are looked up in systemd's credentials folder, then beside the configuration.
    pub fn of(config: &Config, environment: &Environment) -> Self {
        Self { credentials: environment.credentials_directory.clone(), beside: config.beside(Path::new("")) }
    }

    /// Where a secret file is, for what reads it by itself; there need not be one.
    pub fn locate(&self, name: &Path) -> PathBuf {
        let credential = self.credentials.as_ref().map(|folder| folder.join(name));
        credential.filter(|path| name.is_relative() && path.exists()).unwrap_or_else(|| self.beside.join(name))
    }

    /// Reads a secret file.
    ///
    /// # Errors
    /// When there is none, it is no regular file, or it cannot be read.
    pub fn read(&self, name: &Path) -> Result<Secret, SecretError> {
        if name.is_relative()
            && let Some(folder) = &self.credentials
        {
            let path = folder.join(name);
            match read_file(&path) {
                // systemd chooses the modes of that folder, so there is nothing to warn of.
                Ok((contents, _)) => return Ok(Secret { path, contents, warning: None }),
                Err(SecretError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let path = self.beside.join(name);
        match read_file(&path) {
            Ok((contents, metadata)) => Ok(Secret { warning: exposure(&path, &metadata), path, contents }),
            Err(SecretError::Missing { .. }) => Err(self.missing(name, path)),
            Err(error) => Err(error),
        }
    }

    fn missing(&self, name: &Path, path: PathBuf) -> SecretError {
        let elsewhere = self.credentials.as_ref().filter(|_| name.is_relative());
        let elsewhere = elsewhere.map_or_else(String::new, |folder| format!(", nor in {}", folder.display()));
        SecretError::Missing { path, elsewhere }
    }
}

/// Reads a secret file that the command line names.
///
/// # Errors
/// As [`SecretFiles::read`].
pub fn read_named(path: &Path) -> Result<Secret, SecretError> {
    let (contents, metadata) = read_file(path)?;
    Ok(Secret { path: path.to_owned(), warning: exposure(path, &metadata), contents })
}

fn read_file(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Metadata), SecretError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => SecretError::Missing { path: path.to_owned(), elsewhere: String::new() },
        _ => SecretError::Io { path: path.to_owned(), source },
    };
    let metadata = fs::metadata(path).map_err(failed)?;
    // Opening a pipe that nobody writes to would wait for ever.
    if !metadata.is_file() {
        return Err(SecretError::NotAFile { path: path.to_owned() });
    }
    Ok((read_secret(path, MAX_LEN)?, metadata))
}

fn exposure(path: &Path, metadata: &Metadata) -> Option<String> {
    let mode = metadata.mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let path = path.display();
        format!("{path} holds a secret and has mode {mode:04o}, so others can get at it: chmod 600 {path}")
    })
}

impl Secret {
    /// The first line, without its end, as the passphrase that it is.
    ///
    /// # Errors
    /// When the line is empty.
    pub fn passphrase(&self) -> Result<&[u8], SecretError> {
        let line = self.contents.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() { Err(SecretError::Empty { path: self.path.clone() }) } else { Ok(line) }
    }
}

/// A secret file that is of no use. No message repeats any of the contents.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// There is no such file.
    #[error("there is no secret file {}{elsewhere}", path.display())]
    Missing {
        /// The last place where it was looked for.
        path: PathBuf,
        /// Where else it was looked for, as the end of the sentence.
        elsewhere: String,
    },
    /// A folder, pipe, socket or device.
    #[error("{} is no regular file: a secret is read from one", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// The passphrase would be empty.
    #[error("the first line of {} is empty: it has to be the passphrase", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be looked at.
    #[error("cannot read the secret file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write(path: &Path, contents: &str, mode: u32) {
        fs::write(path, contents).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_credentials_folder_comes_first_and_is_never_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = folder.path().join("credentials");
        fs::create_dir(&credentials).unwrap();
        let files = SecretFiles { credentials: Some(credentials.clone()), beside: folder.path().to_owned() };
        let name = Path::new("passphrase");

        let error = files.read(name).err().unwrap().to_string();
        assert!(error.ends_with(&format!("passphrase, nor in {}", credentials.display())), "{error}");

        write(&folder.path().join(name), "beside\n", 0o644);
        let secret = files.read(name).unwrap();
        assert_eq!(secret.passphrase().unwrap(), b"beside");
        assert!(secret.warning.unwrap().contains("has mode 0644"));

        write(&credentials.join(name), "credential", 0o644);
        let secret = files.read(name).unwrap();
        assert_eq!((secret.passphrase().unwrap(), secret.warning.is_none()), (&b"credential"[..], true));
    }

    #[test]
    fn a_private_file_is_read_without_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        write(&path, "one \r\ntwo\n", 0o600);
        let secret = read_named(&path).unwrap();
        assert_eq!((secret.passphrase().unwrap(), secret.warning.is_none()), (&b"one "[..], true));
        write(&path, "\nsecond line", 0o600);
        assert!(matches!(read_named(&path).unwrap().passphrase(), Err(SecretError::Empty { .. })));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read_named(folder.path()), Err(SecretError::NotAFile { .. })));
        assert!(matches!(read_named(Path::new("/dev/zero")), Err(SecretError::NotAFile { .. })));
        assert!(matches!(read_named(&folder.path().join("none")), Err(SecretError::Missing { .. })));
    }
}
