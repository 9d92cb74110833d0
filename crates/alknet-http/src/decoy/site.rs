//! The files of a decoy: a folder, or the one page that the imitated server is installed with.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{DecoyError, pages};

/// Which names make a page of a folder, in this order.
const INDEXES: [&[u8]; 3] = [b"index.html", b"index.htm", b"index.nginx-debian.html"];

/// What a server shows.
pub(crate) enum Site {
    Page { modified: i64 },
    Folder(Folder),
}

/// What is at a path.
#[derive(Debug)]
pub(crate) enum Found {
    Page(Page),
    /// A folder whose path lacks the slash at its end.
    Folder {
        path: Vec<u8>,
    },
    /// A folder without a page of its own.
    Unlisted,
    /// Neither file nor folder: a pipe, a device.
    Special,
    /// The server may not read it.
    Denied,
    Missing,
    Failed,
}

/// A file, and the path that it was found at.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) path: Vec<u8>,
    pub(crate) content: Content,
    pub(crate) size: u64,
    pub(crate) modified: i64,
}

/// Where the bytes of a page are.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Memory(Bytes),
    File(Arc<File>),
}

impl Site {
    /// What is at `path`, which is decoded and begins with a slash.
    pub(crate) async fn find(self: &Arc<Self>, path: Vec<u8>) -> Found {
        match &**self {
            Self::Page { modified } => find_page(path, *modified),
            // The file system may be slow, and files are opened by calls that block.
            Self::Folder(_) => {
                let site = self.clone();
                let found = tokio::task::spawn_blocking(move || match &*site {
                    Self::Folder(folder) => folder.find(path),
                    Self::Page { .. } => Found::Failed,
                });
                found.await.unwrap_or(Found::Failed)
            }
        }
    }
}

fn find_page(path: Vec<u8>, modified: i64) -> Found {
    if path != b"/" && path != pages::WELCOME_PATH {
        return Found::Missing;
    }
    let content = Bytes::from_static(pages::WELCOME.as_bytes());
    let size = content.len() as u64;
    Found::Page(Page { path: pages::WELCOME_PATH.to_vec(), content: Content::Memory(content), size, modified })
}

/// A folder that nothing leads out of: no `..`, and no symbolic link.
pub(crate) struct Folder(OwnedFd);

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self, DecoyError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = path.to_owned();
        let root = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(root) => Self(root),
            Err(errno) => return Err(DecoyError::Folder { folder, source: errno.into() }),
        };
        // Tells now rather than at the first request that a kernel cannot confine paths.
        match root.look(b".") {
            Ok(_) => Ok(root),
            Err(errno) => Err(DecoyError::Unconfined { folder, source: errno.into() }),
        }
    }

    fn find(&self, mut path: Vec<u8>) -> Found {
        // A page of a folder is looked up like any other path; it may itself be a folder, without a slash, and so ends this.
        for _ in 0..2 {
            match self.kind(&path) {
                Err(_) => return Found::Missing,
                Ok(Kind::Other) if path.ends_with(b"/") => return Found::Missing,
                Ok(Kind::Other) => return self.page(path),
                Ok(Kind::Folder) if !path.ends_with(b"/") => return Found::Folder { path },
                Ok(Kind::Folder) => match self.index(&path) {
                    Ok(Some(index)) => path = index,
                    Ok(None) => return Found::Unlisted,
                    Err(Errno::ACCESS | Errno::LOOP) => return Found::Denied,
                    Err(Errno::NOTDIR | Errno::NAMETOOLONG) => return Found::Missing,
                    Err(_) => return Found::Failed,
                },
            }
        }
        Found::Failed
    }

    fn index(&self, folder: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        for name in INDEXES {
            let path = [folder, name].concat();
            match self.kind(&path) {
                Ok(_) => return Ok(Some(path)),
                // A link that leads out is one that leads nowhere.
                Err(Errno::NOENT | Errno::XDEV) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(None)
    }

    fn page(&self, path: Vec<u8>) -> Found {
        // Without `NONBLOCK`, opening a pipe waits for somebody who writes to it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = self.open_below(&path, flags).map(File::from);
        let metadata = opened.as_ref().map_err(|errno| *errno).map(File::metadata);
        match (opened, metadata) {
            (Ok(file), Ok(Ok(metadata))) if metadata.is_file() => Found::Page(Page {
                path,
                size: metadata.len(),
                modified: metadata.mtime(),
                content: Content::File(Arc::new(file)),
            }),
            (Ok(_), Ok(Ok(metadata))) if metadata.is_dir() => Found::Folder { path },
            (Ok(_), Ok(Ok(_))) => Found::Special,
            (Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::XDEV), _) => Found::Missing,
            (Err(Errno::ACCESS | Errno::LOOP), _) => Found::Denied,
            // A socket is among those: it cannot be opened.
            _ => Found::Failed,
        }
    }

    fn kind(&self, path: &[u8]) -> Result<Kind, Errno> {
        self.look(below(path))
    }

    fn look(&self, relative: &[u8]) -> Result<Kind, Errno> {
        let found = self.open_relative(relative, OFlags::PATH | OFlags::CLOEXEC)?;
        let mode = rustix::fs::fstat(&found)?.st_mode;
        let is_folder = rustix::fs::FileType::from_raw_mode(mode).is_dir();
        Ok(if is_folder { Kind::Folder } else { Kind::Other })
    }

    fn open_below(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        self.open_relative(below(path), flags)
    }

    fn open_relative(&self, relative: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let confined = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(
                &self.0,
                Path::new(std::ffi::OsStr::from_bytes(relative)),
                flags,
                Mode::empty(),
                confined,
            ) {
                // The kernel asks to try again when something was renamed meanwhile.
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
    }
}

enum Kind {
    Folder,
    Other,
}

fn below(path: &[u8]) -> &[u8] {
    match path.strip_prefix(b"/") {
        Some(b"") | None => b".",
        Some(relative) => relative,
    }
}

impl Content {
    /// At most `limit` bytes from `at` on; fewer only where the content ends.
    pub(crate) async fn read(&self, at: u64, limit: usize) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let end = start.saturating_add(limit).min(bytes.len());
                Ok(bytes.slice(start..end))
            }
            Self::File(file) => {
                let file = file.clone();
                tokio::task::spawn_blocking(move || read_file(&file, at, limit)).await?
            }
        }
    }
}

fn read_file(file: &File, at: u64, limit: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; limit];
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder() -> (tempfile::TempDir, Folder) {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("site");
        std::fs::create_dir_all(root.join("dir/sub")).unwrap();
        std::fs::create_dir_all(root.join("odd/index.html")).unwrap();
        std::fs::write(root.join("dir/index.htm"), "page").unwrap();
        std::fs::write(root.join("file"), "text").unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink(outside.path().join("secret"), root.join("out-absolute")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("/proc/self/root", root.join("magic")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("dir/index.htm", root.join("in")).unwrap();
        let folder = Folder::open(&root).unwrap();
        (outside, folder)
    }

    #[test]
    fn paths_find_what_they_name() {
        let (_guard, folder) = folder();
        let find = |path: &str| format!("{:?}", folder.find(path.into()));
        let page = |path: &str| match folder.find(path.into()) {
            Found::Page(page) => (String::from_utf8(page.path).unwrap(), page.size),
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(page("/file"), ("/file".to_owned(), 4));
        assert_eq!(page("/dir/"), ("/dir/index.htm".to_owned(), 4));
        assert_eq!(page("/in"), ("/in".to_owned(), 4), "a link within the folder is followed");
        assert!(find("/dir").starts_with("Folder"));
        assert!(find("/odd/").starts_with("Folder"), "a folder by the name of an index");
        assert_eq!(find("/"), "Unlisted");
        assert_eq!(find("/dir/sub/"), "Unlisted");
        assert_eq!(find("/file/"), "Missing");
        assert_eq!(find("/file/x"), "Missing");
        assert_eq!(find(&format!("/{}", "x".repeat(300))), "Missing");
        assert_eq!(find(&"/x".repeat(4000)), "Missing");
    }

    #[test]
    fn nothing_leads_out() {
        let (_guard, folder) = folder();
        for path in
            ["/out", "/out-absolute", "/up", "/up/", "/up/secret", "/../secret", "/magic", "/magic/etc/passwd", "/loop"]
        {
            assert_eq!(format!("{:?}", folder.find(path.into())), "Missing", "{path}");
        }
    }

    #[test]
    fn what_is_no_file_is_never_read() {
        let (guard, folder) = folder();
        let fifo = guard.path().join("site/fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(guard.path().join("site/socket")).unwrap();
        let find = |path: &str| format!("{:?}", folder.find(path.into()));
        assert_eq!((find("/fifo").as_str(), find("/socket").as_str()), ("Special", "Failed"));
    }

    #[tokio::test]
    async fn a_file_is_read_from_any_place() {
        let (_guard, folder) = folder();
        let Found::Page(page) = folder.find(b"/file".to_vec()) else { panic!("it is there") };
        for content in [page.content, Content::Memory(Bytes::from_static(b"text"))] {
            assert_eq!(content.read(1, 2).await.unwrap(), "ex");
            assert_eq!(content.read(2, 10).await.unwrap(), "xt");
            assert_eq!(content.read(9, 10).await.unwrap(), "");
        }
    }
}
