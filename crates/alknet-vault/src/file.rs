//! Files that hold secrets: written atomically and readable by their owner only, read with a limit.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::encoding::push_hex;
use crate::random::{self, RandomError};

/// What to do with a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Leave it alone and fail with [`FileError::Exists`].
    Never,
    /// Put the new file in its place.
    Replace,
}

/// Writes a file of mode 0600 atomically: after a crash at any point, `path` has its old contents (or is still missing)
/// or all of the new ones, and once this returns, the new ones survive a power cut.
///
/// The contents go to a new file in the same folder, which is synchronised to disk and then takes the name `path`. A
/// symbolic link at `path` is itself replaced, not followed. A crash may leave the new file behind, as
/// `.{name}.{random}.tmp`; an error does not. The folder must exist, and its filesystem must have hard links for
/// [`Overwrite::Never`] (the only way on POSIX to take a name atomically and only if it is free).
///
/// # Errors
///
/// [`FileError::Exists`] with [`Overwrite::Never`], and the others for what the operating system refuses.
pub fn write_secret(path: &Path, bytes: &[u8], overwrite: Overwrite) -> Result<(), FileError> {
    let mut suffix = String::new();
    push_hex(&mut suffix, &random::array::<8>()?);
    suffix.push_str(".tmp");
    let (folder, temporary) = sibling(path, &suffix)?;
    // This only saves work: the hard link below is what decides.
    if overwrite == Overwrite::Never && path.symlink_metadata().is_ok() {
        return Err(FileError::Exists { path: path.to_owned() });
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    let file = file.map_err(FileError::io("create", &temporary))?;
    let written = fill_and_rename(file, &temporary, path, bytes, overwrite);
    if written.is_err() || overwrite == Overwrite::Never {
        // After an error there is nothing more to do about it; after a link it is the second name of the new file.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // The new name is on disk only when the folder is.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(FileError::io("synchronise the folder of", path))
}

fn fill_and_rename(
    mut file: File,
    temporary: &Path,
    path: &Path,
    bytes: &[u8],
    overwrite: Overwrite,
) -> Result<(), FileError> {
    // The contents must be on disk before the name is, or a power cut could leave the name with an empty file.
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(FileError::io("write", temporary))?;
    match overwrite {
        Overwrite::Replace => fs::rename(temporary, path).map_err(FileError::io("replace", path)),
        Overwrite::Never => fs::hard_link(temporary, path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists { path: path.to_owned() },
            _ => FileError::io("create", path)(error),
        }),
    }
}

/// The folder of `path`, and `.{name}.{suffix}` in it.
fn sibling<'a>(path: &'a Path, suffix: &str) -> Result<(&'a Path, PathBuf), FileError> {
    let (Some(name), Some(folder)) = (path.file_name(), path.parent()) else {
        return Err(FileError::NoFileName { path: path.to_owned() });
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut sibling = OsString::from(".");
    sibling.push(name);
    sibling.push(".");
    sibling.push(suffix);
    Ok((folder, folder.join(sibling)))
}

/// Waits until nobody else holds the lock of `path`, and holds it until the answer is dropped.
///
/// The lock (`flock` on Linux) is on a file of its own, `.{name}.lock`: replacing `path` would leave others waiting for a
/// file that is gone.
pub(crate) fn lock(path: &Path) -> Result<File, FileError> {
    let (_, lock) = sibling(path, "lock")?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
    let file = file.map_err(FileError::io("create", &lock))?;
    file.lock().map_err(FileError::io("lock", &lock))?;
    Ok(file)
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
///
/// [`FileError::TooLarge`] before more than the limit is read; [`FileError::is_not_found`] if there is no such file.
pub fn read_secret(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    let length = file.metadata().map_err(FileError::io("read", path))?.len();
    let too_large = || FileError::TooLarge { path: path.to_owned(), limit };
    let length = usize::try_from(length).ok().filter(|length| *length <= limit).ok_or_else(too_large)?;
    // The capacity is there from the start: growing would leave a part of a secret in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    // The file may have grown, or be a device. One byte more than allowed tells too large from just right.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if bytes.len() > limit { Err(too_large()) } else { Ok(bytes) }
}

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file exists and must not be overwritten.
    #[error("{} exists already and is left as it is: remove it first, or choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The path ends in no name, such as `/` or `..`.
    #[error("`{}` is not the path of a file", path.display())]
    NoFileName {
        /// The path.
        path: PathBuf,
    },
    /// The file is larger than any that was written.
    #[error("{} is larger than {limit} bytes, so it is not the file it should be", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: usize,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file it was tried on.
        path: PathBuf,
        /// Why it was refused. Part of the message, and therefore no `source`.
        error: io::Error,
    },
    /// There was no randomness to name the new file with.
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl FileError {
    /// Whether the file, or a folder on the way to it, is missing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }

    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { action, path: path.to_owned(), error }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    /// The names in a folder.
    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_new_file_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        for (name, overwrite) in [("never", Overwrite::Never), ("replace", Overwrite::Replace)] {
            let path = folder.path().join(name);
            write_secret(&path, b"secret", overwrite).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"secret");
            let metadata = path.metadata().unwrap();
            assert_eq!((metadata.mode() & 0o7777, metadata.nlink()), (0o600, 1));
        }
        assert_eq!(names(folder.path()).len(), 2, "no temporary file stays behind");
    }

    #[test]
    fn a_file_is_overwritten_only_on_demand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let error = write_secret(&path, b"new", Overwrite::Never).unwrap_err();
        assert!(matches!(error, FileError::Exists { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write_secret(&path, b"new", Overwrite::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_name_taken_meanwhile_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, temporary) = (folder.path().join("file"), folder.path().join("temporary"));
        fs::write(&path, "old").unwrap();
        let file = File::create_new(&temporary).unwrap();
        let error = fill_and_rename(file, &temporary, &path, b"new", Overwrite::Never).unwrap_err();
        assert!(matches!(error, FileError::Exists { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_symbolic_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "target").unwrap();
        symlink(&target, &link).unwrap();
        assert!(write_secret(&link, b"new", Overwrite::Never).is_err());
        write_secret(&link, b"new", Overwrite::Replace).unwrap();
        assert!(link.symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read(&target).unwrap(), b"target");
    }

    #[test]
    fn errors_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("folder");
        fs::create_dir(&taken).unwrap();
        assert!(write_secret(&taken, b"x", Overwrite::Replace).is_err());
        assert_eq!(names(folder.path()), ["folder"]);
        let error = write_secret(&folder.path().join("missing/file"), b"x", Overwrite::Never).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        for path in ["/", "..", ""] {
            let error = write_secret(Path::new(path), b"x", Overwrite::Replace).unwrap_err();
            assert!(matches!(error, FileError::NoFileName { .. }), "{error}");
        }
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "1234").unwrap();
        assert_eq!(read_secret(&path, 4).unwrap().as_slice(), b"1234");
        let error = read_secret(&path, 3).unwrap_err();
        assert!(matches!(error, FileError::TooLarge { limit: 3, .. }), "{error}");
        assert!(read_secret(&folder.path().join("missing"), 3).unwrap_err().is_not_found());
        // Endless, and of length 0 according to its metadata.
        assert!(matches!(read_secret(Path::new("/dev/zero"), 100), Err(FileError::TooLarge { .. })));
    }
}
