//! The two sites that are compared: what Debian installs, and a folder with all sorts of things.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use alknet_http::decoy::{Decoy, DecoyConfig};

use crate::nginx;

/// When all files were changed last: 2024-02-01 03:04:05.
const MODIFIED: u32 = 1_706_756_645;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Page,
    Folder,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Page => "page",
            Self::Folder => "folder",
        })
    }
}

impl Kind {
    /// Writes the site for nginx, and has a decoy show the same.
    pub(crate) fn set_up(self, root: &Path) -> anyhow::Result<Decoy> {
        fs::create_dir_all(root)?;
        let page = fs::read(nginx::file("/usr/share/nginx/html/index.html"))?;
        write(root, "index.nginx-debian.html", &page)?;
        if self == Self::Page {
            let mut config = DecoyConfig::nginx();
            config.page_modified = Some(MODIFIED);
            return Ok(Decoy::new(&config)?);
        }
        for folder in ["dir", "unlisted", "odd/index.html", "with space"] {
            fs::create_dir_all(root.join(folder))?;
        }
        write(root, "dir/index.html", b"<p>A page in a folder.</p>\n")?;
        write(root, "text.txt", b"some text\n")?;
        write(root, "empty", b"")?;
        write(root, "empty.html", b"")?;
        write(root, "short.html", b"<p>short</p>\n")?;
        write(root, "upper.HTML", b"<p>upper</p>\n")?;
        write(root, ".hidden", b"hidden\n")?;
        write(root, "archive.tar.gz", b"no archive\n")?;
        write(root, "page.html", "<p>A longer page, line after line.</p>\n".repeat(250).as_bytes())?;
        let lines =
            (0..9000_u32).map(|line| format!("<p id=\"{line}\">{}</p>\n", line.wrapping_mul(2_654_435_761) >> 12));
        write(root, "long.html", lines.collect::<String>().as_bytes())?;
        write(root, "large.bin", &(0..120_000_u32).flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>())?;
        symlink("text.txt", root.join("link"))?;
        rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)?;
        Ok(Decoy::new(&DecoyConfig::with_folder(root))?)
    }
}

fn write(root: &Path, name: &str, content: &[u8]) -> anyhow::Result<()> {
    let path = root.join(name);
    fs::write(&path, content)?;
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED.into());
    File::options().write(true).open(&path)?.set_modified(modified)?;
    Ok(())
}
