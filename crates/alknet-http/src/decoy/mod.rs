//! What a client without a token gets: a stock web server, as far as it can tell.
//!
//! The server is nginx 1.22.1 with the configuration that Debian 12 installs: the site is a folder, or the page that comes with
//! the package, and everything else is as there: status lines, fields with their order and case, error pages, conditional
//! requests and ranges, compression, what is refused and at which byte, and when a connection ends.
//!
//! ```
//! use alknet_http::decoy::{Decoy, DecoyConfig, Front};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let decoy = Decoy::new(&DecoyConfig::nginx())?;
//! let (mut client, stream) = tokio::io::duplex(4096);
//! let front = Front { is_tls: true, local: "192.0.2.1:443".parse()? };
//! tokio::spawn(async move { decoy.serve_http1(stream, front, |_| false, std::future::pending()).await });
//!
//! client.write_all(b"POST /node/info HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").await?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await?;
//! assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\nServer: nginx/1.22.1\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What can be told apart all the same
//!
//! Who looks below the messages can see another TLS stack, and over `h2` another implementation of frames:
//!
//! - The first `SETTINGS` have `MAX_HEADER_LIST_SIZE`, which nginx does not send, and a `MAX_FRAME_SIZE` of 16 KiB. nginx allows
//!   frames of 16 MiB and reads them bit by bit; here they are held whole, and no stranger is given that much.
//! - Fields are compressed with a table that nginx does not keep, and so are shorter from the second answer on.
//! - What violates the protocol (fields of a connection, a path with characters that no address has, frames in a wrong order)
//!   ends in other error codes, and now and then in a reset where nginx answers with a page.
//!
//! Over `http/1.1`, a client that reads nothing of a long answer and closes its own side gets all of it here, where nginx may
//! break off; and it is not read from while it reads nothing, where nginx goes on to skip the body that it sends.

mod answer;
mod body;
mod conditions;
mod config;
mod date;
mod deflate;
mod gzip;
mod h2;
mod http1;
mod mime;
mod pages;
mod path;
mod ranges;
mod request;
mod rewound;
mod site;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

pub use self::answer::Front;
pub use self::config::{DecoyConfig, Imitated};
pub use self::h2::http2_settings;
pub use self::rewound::Rewound;

use self::pages::Refusal;
use self::ranges::Boundaries;
use self::request::{Method, Request};
use self::site::{Folder, Site};

/// A server that is not there. Clones are the same one.
#[derive(Clone)]
pub struct Decoy {
    site: Arc<Site>,
    boundaries: Arc<Boundaries>,
}

/// Why there is no decoy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DecoyError {
    /// The folder cannot be shown.
    #[error("the decoy's folder {folder} cannot be opened ({source}); name a folder that the node may read")]
    Folder {
        /// As it was configured.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system cannot keep requests within a folder.
    #[error(
        "the decoy's folder {folder} cannot be confined ({source}); a folder needs Linux 5.6 or later, and openat2 allowed"
    )]
    Unconfined {
        /// As it was configured.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What a request offers to show who sends it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Credentials<'a> {
    /// The value of `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// The values of all `Sec-WebSocket-Protocol`, in which browsers send tokens.
    pub web_socket_protocols: &'a [Vec<u8>],
    /// The path of a `GET`, decoded, as it may be a secret itself.
    pub path: Option<&'a [u8]>,
}

impl<'a> Credentials<'a> {
    fn of(request: &'a Request<Vec<u8>>) -> Self {
        let Request { method, path, fields, .. } = request;
        Self {
            authorization: fields.authorization.as_deref(),
            web_socket_protocols: &fields.web_socket_protocols,
            path: (*method == Method::Get).then_some(path),
        }
    }
}

impl Decoy {
    /// The server that `config` describes.
    ///
    /// # Errors
    /// When its folder cannot be shown.
    pub fn new(config: &DecoyConfig) -> Result<Self, DecoyError> {
        let Imitated::Nginx = config.imitate;
        let site = match &config.folder {
            Some(folder) => Site::Folder(Folder::open(folder)?),
            None => Site::Page { modified: config.page_modified.map_or_else(machine_set_up, i64::from) },
        };
        Ok(Self { site: Arc::new(site), boundaries: Arc::default() })
    }

    /// Serves a connection of `http/1.1`, until it ends or a request comes that `admit` lets pass. Then the stream comes back,
    /// as if nothing of that request had been read.
    ///
    /// `admit` is asked about every request that nginx would not have refused at sight. Its time must not depend on how close a
    /// token is to a right one. Once `draining` is ready, the connection ends behind the request at hand.
    ///
    /// # Errors
    /// When the connection breaks. There is nothing left to be done about it.
    pub async fn serve_http1<S, A, D>(
        &self,
        stream: S,
        front: Front,
        admit: A,
        draining: D,
    ) -> io::Result<Option<Rewound<S>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
        A: FnMut(&Credentials<'_>) -> bool,
        D: Future<Output = ()>,
    {
        http1::serve(self, stream, front, admit, draining, None).await
    }

    /// Tells a client that speaks HTTP without TLS on a port for TLS that it does.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn serve_plain_on_tls<S>(&self, stream: S, front: Front) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let refusal = Some(Refusal::PlainToTls);
        http1::serve(self, stream, front, |_| false, std::future::pending(), refusal).await?;
        Ok(())
    }

    /// Answers a request of `h2`. Its body does not matter.
    pub async fn answer<B>(&self, request: &http::Request<B>, front: Front) -> http::Response<Body> {
        h2::answer(self, request, front).await
    }
}

impl std::fmt::Debug for Decoy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Decoy").finish_non_exhaustive()
    }
}

/// About when the machine was set up, which is when a web server may have been installed. A date that is the same on all nodes
/// would tell them from other servers.
fn machine_set_up() -> i64 {
    const SOME_DAY: i64 = 1_702_298_113;
    let modified = |path: &&str| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    ["/etc/machine-id", "/etc/hostname", "/etc/passwd"]
        .iter()
        .find_map(modified)
        .and_then(|modified| modified.duration_since(SystemTime::UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        // Where the file system has no dates of its own, all are of about 1970.
        .filter(|seconds| *seconds > 86_400)
        .unwrap_or(SOME_DAY)
}
