//! Files that other processes read and write, too: replaced at once or not at all, and by one process at a time.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another process's edit, which takes milliseconds, may take.
const LOCK_ATTEMPTS: u32 = 250;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Whose a file is, and what others may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

/// Locks the files of a folder, until the lock is dropped. None if somebody else does not let go of them.
///
/// The lock is on the folder: a file itself will be another one after an edit. It is a lock for reading to the operating
/// system, so whoever can read the folder can hold it.
pub(crate) fn lock_folder(folder: &Path) -> Result<Option<File>, FileFailure> {
    let lock = File::open(folder).map_err(FileFailure::of("open", folder))?;
    for _ in 0..LOCK_ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => return Err(FileFailure::of("lock", folder)(source)),
        }
    }
    Ok(None)
}

/// Writes a new file and gives it the name `path`, in the place of an old one. Once this returns it survives a power cut.
/// The caller holds the [lock](lock_folder) of `folder`, which is the one of `path`.
pub(crate) fn put(path: &Path, folder: &Path, bytes: &[u8], owner: Owner) -> Result<(), FileFailure> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = folder.join(name);
    // Whoever has the lock is alone here, so if there is one, it is what a crash left.
    let _ = fs::remove_file(&temporary);
    let written = write(path, folder, &temporary, bytes, owner);
    if written.is_err() {
        // There is nothing more to do about it after an error.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // The new name is on disk only when the folder is.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(FileFailure::of("synchronise", folder))
}

fn write(path: &Path, folder: &Path, temporary: &Path, bytes: &[u8], owner: Owner) -> Result<(), FileFailure> {
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary);
    let mut new = options.map_err(FileFailure::of("create a file in", folder))?;
    let made = new.metadata().map_err(FileFailure::of("read", temporary))?;
    if (made.uid(), made.gid()) != (owner.uid, owner.gid) {
        chown(temporary, Some(owner.uid), Some(owner.gid)).map_err(FileFailure::of("keep the owner of", path))?;
    }
    new.set_permissions(Permissions::from_mode(owner.mode))
        .and_then(|()| new.write_all(bytes))
        .and_then(|()| new.sync_all())
        .map_err(FileFailure::of("write", temporary))?;
    fs::rename(temporary, path).map_err(FileFailure::of("replace", path))
}

/// What the operating system refused to do with a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
#[non_exhaustive]
pub struct FileFailure {
    /// What was tried.
    pub action: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// Why it was refused.
    pub source: io::Error,
}

impl FileFailure {
    pub(crate) fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }
}
