//! Secret files: a passphrase, a seed or a private key, named in the configuration and kept outside of it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use alknet_vault::file::{FileError, read_secret};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::environment::{CONFIG_FILE_NAME, Environment};

/// Longer than any passphrase, seed or key in PEM.
const MAX_LEN: usize = 64 * 1024;

/// Where secret files are looked up.
#[derive(Debug, Clone)]
pub struct SecretFiles {
    /// systemd's folder for this process.
    credentials: Option<PathBuf>,
    beside: PathBuf,
    /// systemd's folder for the service that runs with the configuration.
    service: Option<PathBuf>,
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
    /// Relative names are looked up in systemd's folder of credentials, then beside the configuration, and last, so that
    /// root's commands can talk to a node that has its secrets from systemd, in the folder of the running service: that of
    /// NAME.service for /etc/NAME/alknet.toml.
    pub fn of(config: &Config, environment: &Environment) -> Self {
        Self::below(Path::new("/"), config, environment)
    }

    fn below(root: &Path, config: &Config, environment: &Environment) -> Self {
        Self {
            credentials: environment.credentials_directory.clone(),
            beside: config.beside(Path::new("")),
            service: service_of(root, &config.file),
        }
    }

    /// Where a secret file is, for what reads it by itself; there need not be one.
    pub fn locate(&self, name: &Path) -> PathBuf {
        let mut places = self.places(name).map(|(path, _)| path);
        places.find(|path| path.exists()).unwrap_or_else(|| self.beside.join(name))
    }

    /// Reads a secret file.
    ///
    /// # Errors
    /// When there is none, it is no regular file, or it cannot be read.
    pub fn read(&self, name: &Path) -> Result<Secret, SecretError> {
        for (path, chosen_by) in self.places(name) {
            match (read_file(&path), chosen_by) {
                (Ok((contents, metadata)), ModesOf::Operator) => {
                    return Ok(Secret { warning: exposure(&path, &metadata), path, contents });
                }
                // There is nothing to warn of.
                (Ok((contents, _)), ModesOf::Systemd) => return Ok(Secret { path, contents, warning: None }),
                (Err(SecretError::Missing { .. }), _) => {}
                (Err(error), _) => return Err(error),
            }
        }
        Err(self.missing(name))
    }

    /// The places where a file may be, in the order in which they count.
    fn places(&self, name: &Path) -> impl Iterator<Item = (PathBuf, ModesOf)> {
        // An absolute name means one file.
        let systemd = |folder: &Option<PathBuf>| folder.as_ref().filter(|_| name.is_relative()).map(|at| at.join(name));
        let credential = systemd(&self.credentials).map(|path| (path, ModesOf::Systemd));
        let service = systemd(&self.service).map(|path| (path, ModesOf::Systemd));
        credential.into_iter().chain([(self.beside.join(name), ModesOf::Operator)]).chain(service)
    }

    fn missing(&self, name: &Path) -> SecretError {
        let folders = [&self.credentials, &self.service].into_iter().flatten().filter(|_| name.is_relative());
        let elsewhere = folders.map(|folder| format!(", nor in {}", folder.display())).collect();
        SecretError::Missing { path: self.beside.join(name), elsewhere }
    }
}

/// Who chose the modes of a place's files.
#[derive(Clone, Copy)]
enum ModesOf {
    Systemd,
    Operator,
}

/// The folder of the credentials of the service whose configuration this is, while that service runs.
fn service_of(root: &Path, config: &Path) -> Option<PathBuf> {
    // As it is named: with NixOS, what stands there is a link to elsewhere.
    let config = std::path::absolute(config).ok()?;
    let mut below_etc = config.strip_prefix(root.join("etc")).ok()?.components();
    let (Some(Component::Normal(name)), Some(Component::Normal(file)), None) =
        (below_etc.next(), below_etc.next(), below_etc.next())
    else {
        return None;
    };
    let mut unit = name.to_owned();
    unit.push(".service");
    Some(root.join("run/credentials").join(unit)).filter(|folder| file == CONFIG_FILE_NAME && folder.is_dir())
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
        let files =
            SecretFiles { credentials: Some(credentials.clone()), beside: folder.path().to_owned(), service: None };
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
    fn what_a_running_service_has_is_found_last() {
        let root = tempfile::tempdir().unwrap();
        let beside = root.path().join("etc/hub");
        let service = root.path().join("run/credentials/hub.service");
        fs::create_dir_all(&beside).unwrap();
        let files = |file: &str| {
            let config = crate::config::parse("", &root.path().join(file)).unwrap();
            SecretFiles::below(root.path(), &config, &Environment::default())
        };
        let (configured, name) = ("etc/hub/alknet.toml", Path::new("passphrase"));
        let error = files(configured).read(name).err().unwrap().to_string();
        assert!(error.ends_with("etc/hub/passphrase"), "where no service runs, none is named: {error}");

        fs::create_dir_all(&service).unwrap();
        let error = files(configured).read(name).err().unwrap().to_string();
        assert!(error.ends_with(&format!("etc/hub/passphrase, nor in {}", service.display())), "{error}");

        write(&service.join(name), "service", 0o440);
        let secret = files(configured).read(name).unwrap();
        assert_eq!((secret.passphrase().unwrap(), secret.warning.is_none()), (&b"service"[..], true));
        assert_eq!(files(configured).locate(name), service.join(name));
        for other in ["etc/spoke/alknet.toml", "etc/hub/old/alknet.toml", "etc/hub/other.toml", "etc/alknet.toml"] {
            assert!(matches!(files(other).read(name), Err(SecretError::Missing { .. })), "{other}");
        }
        let absolute = beside.join("none");
        let error = files(configured).read(&absolute).err().unwrap().to_string();
        assert!(error.ends_with("etc/hub/none"), "an absolute name is one place: {error}");

        write(&beside.join(name), "beside", 0o600);
        assert_eq!(files(configured).read(name).unwrap().passphrase().unwrap(), b"beside");
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
