//! Puts a new text in the place of the configuration file: all of it or nothing, with the old mode and owner.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another command's edit, which takes milliseconds, may take.
const LOCK_ATTEMPTS: u32 = 250;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

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
        move |source| match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path: path.to_owned(), reason: format!(" ({source})") }
            }
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }
}

/// Locks a file for editing, until the lock is dropped.
///
/// The lock is on the folder: the file itself will be another one after the edit.
pub(super) fn lock(file: &Path) -> Result<File, ReplaceError> {
    let (file, folder) = writable(file)?;
    let lock = File::open(&folder).map_err(ReplaceError::io("open", &folder))?;
    for _ in 0..LOCK_ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(ReplaceError::io("lock", &folder)(source)),
        }
    }
    Err(ReplaceError::Busy { path: file })
}

/// Writes a new file beside the old one, and gives it the old one's name. The caller holds the [`lock`].
pub(super) fn replace(file: &Path, text: &str) -> Result<(), ReplaceError> {
    let (file, folder) = writable(file)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = folder.join(name);
    // Whoever has the lock is alone here, so if there is one, it is what a crash left.
    let _ = fs::remove_file(&temporary);
    let written = write(&file, &folder, &temporary, text);
    if written.is_err() {
        // There is nothing more to do about it after an error.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // The new name is on disk only when the folder is.
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(ReplaceError::io("synchronise", &folder))
}

fn write(file: &Path, folder: &Path, temporary: &Path, text: &str) -> Result<(), ReplaceError> {
    let old = fs::metadata(file).map_err(ReplaceError::io("read", file))?;
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary);
    let mut new = options.map_err(ReplaceError::io("create a file in", folder))?;
    let made = new.metadata().map_err(ReplaceError::io("read", temporary))?;
    if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
        chown(temporary, Some(old.uid()), Some(old.gid())).map_err(ReplaceError::io("keep the owner of", file))?;
    }
    new.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))
        .and_then(|()| new.write_all(text.as_bytes()))
        .and_then(|()| new.sync_all())
        .map_err(ReplaceError::io("write", temporary))?;
    fs::rename(temporary, file).map_err(ReplaceError::io("replace", file))
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
