//! Files and folders that stay together or go together.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use alknet_vault::file::{Overwrite, write_secret};
use zeroize::Zeroizing;

use super::InitError;

/// Removes what it made when dropped, unless it is to be kept.
#[derive(Default)]
pub(super) struct NewFiles {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl NewFiles {
    /// Makes a folder, and those above it, if they are missing.
    pub(super) fn folder(&mut self, path: &Path, mode: u32) -> Result<(), InitError> {
        let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.is_dir()).collect();
        for folder in missing.into_iter().rev() {
            let made = match folder.symlink_metadata() {
                // A file, or a link to nowhere.
                Ok(_) => Err(io::ErrorKind::NotADirectory.into()),
                Err(_) => DirBuilder::new().mode(mode).create(folder),
            };
            made.map_err(|source| InitError::Make { path: folder.to_owned(), source })?;
            self.folders.push(folder.to_owned());
        }
        Ok(())
    }

    /// Writes a file for its owner only.
    pub(super) fn secret(&mut self, path: &Path, contents: Zeroizing<Vec<u8>>) -> Result<(), InitError> {
        write_secret(path, &contents, Overwrite::Never)?;
        self.files.push(path.to_owned());
        Ok(())
    }

    /// Writes the configuration, which holds no secret and which a service without privileges has to read.
    pub(super) fn config(&mut self, path: &Path, text: &str) -> Result<(), InitError> {
        let failed = |source: io::Error| InitError::Make { path: path.to_owned(), source };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path).map_err(failed)?;
        self.files.push(path.to_owned());
        // Whatever the umask says.
        file.set_permissions(fs::Permissions::from_mode(0o644))
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.sync_all())
            // The name is on disk only when the folder is.
            .and_then(|()| fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all())
            .map_err(failed)
    }

    /// Keeps everything.
    pub(super) fn keep(mut self) {
        self.folders.clear();
        self.files.clear();
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        // The error that led here is the one to tell; a file that cannot be removed either is left.
        self.files.iter().rev().for_each(|file| drop(fs::remove_file(file)));
        self.folders.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}
