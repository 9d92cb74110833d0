//! Puts a new text in the place of the configuration file: all of it or nothing, with the old mode and owner.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::files::{FileFailure, Owner, lock_folder, put};

/// A file that cannot be replaced. It is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplaceError {
    /// The file is not there to be edited here.
    #[error(
        "{} is read-only{reason}: run this as its owner, or make the change where the file is made (with NixOS, in \
         services.alknet.settings)",
        path.display()
    )]
    ReadOnly {
        /// The file, or its folder.
        path: PathBuf,
        /// Why it counts as that, as the end of the sentence.
        reason: String,
    },
    /// Another command has been editing it all the time.
    #[error("another alknet command is editing {} and does not finish", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it was refused.
        source: io::Error,
    },
}

impl ReplaceError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let failed = FileFailure::of(action, path);
        move |source| failed(source).into()
    }
}

impl From<FileFailure> for ReplaceError {
    fn from(FileFailure { action, path, source }: FileFailure) -> Self {
        match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, reason: format!(" ({source})") }
            }
            _ => Self::Io { action, path, source },
        }
    }
}

/// Locks a file for editing, until the lock is dropped.
pub(super) fn lock(file: &Path) -> Result<File, ReplaceError> {
    let (file, folder) = writable(file)?;
    lock_folder(&folder)?.ok_or(ReplaceError::Busy { path: file })
}

/// Writes a new file beside the old one, and gives it the old one's name. The caller holds the [`lock`].
pub(super) fn replace(file: &Path, text: &str) -> Result<(), ReplaceError> {
    let (file, folder) = writable(file)?;
    let old = fs::metadata(&file).map_err(ReplaceError::io("read", &file))?;
    let owner = Owner { uid: old.uid(), gid: old.gid(), mode: old.mode() & 0o7777 };
    Ok(put(&file, &folder, text.as_bytes(), owner)?)
}

/// The file itself, not a link to it, and its folder; or why it is not to be written.
fn writable(file: &Path) -> Result<(PathBuf, PathBuf), ReplaceError> {
    let real = fs::canonicalize(file).map_err(ReplaceError::io("find", file))?;
    let read_only = |reason: &str| ReplaceError::ReadOnly { path: file.to_owned(), reason: reason.to_owned() };
    if real.starts_with("/nix/store") {
        return Err(read_only(" (it is in the Nix store)"));
    }
    let metadata = fs::metadata(&real).map_err(ReplaceError::io("read", &real))?;
    // Root could write it all the same, but whoever took the permission away did so for a reason.
    if metadata.permissions().readonly() {
        return Err(read_only(&format!(" (mode {:04o})", metadata.mode() & 0o7777)));
    }
    let folder = real.parent().map(Path::to_owned).unwrap_or_else(|| "/".into());
    Ok((real, folder))
}
