//! curl, for single requests.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::certificate::{HOST, certificate_file};
use crate::program::Program;

pub(crate) const PROGRAM: Program = Program { name: "curl", package: "curl" };

/// A gibibyte without optimisation, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Clone, Copy)]
pub(crate) enum Version {
    H2,
    Http1,
}

impl Version {
    fn option(self) -> &'static str {
        match self {
            Self::H2 => "--http2",
            Self::Http1 => "--http1.1",
        }
    }

    /// As curl names it.
    fn name(self) -> &'static str {
        match self {
            Self::H2 => "2",
            Self::Http1 => "1.1",
        }
    }
}

/// A response with success.
pub(crate) struct Fetched {
    /// What of its body went to standard output.
    pub(crate) body: String,
    pub(crate) figures: Figures,
}

/// What curl counted (curl(1), `--write-out`).
#[derive(Deserialize)]
pub(crate) struct Figures {
    http_code: u16,
    http_version: String,
    pub(crate) size_upload: u64,
    pub(crate) size_download: u64,
    time_pretransfer: f64,
    time_total: f64,
}

impl Figures {
    /// From the end of the handshakes on, in seconds.
    pub(crate) fn time(&self) -> f64 {
        self.time_total - self.time_pretransfer
    }
}

/// Makes a request, over TLS, of the server whose certificate is in `folder`.
///
/// # Errors
/// When there is no response, or another than 200, or over another version of HTTP.
pub(crate) fn fetch(
    folder: &Path,
    server: SocketAddr,
    path: &str,
    version: Version,
    more: impl Fn(&mut Command),
) -> Result<Fetched, String> {
    let port = server.port();
    let output = PROGRAM.output(PATIENCE, |command| {
        // Its configuration file would be read without `--disable` at the first place, and variables name proxies.
        command.args(["--disable", "--noproxy", "*", "--silent", "--show-error", version.option()]);
        command.arg("--cacert").arg(certificate_file(folder));
        command.args(["--resolve", &format!("{HOST}:{port}:{}", server.ip())]);
        command.args(["--write-out", "\n%{json}"]);
        more(command);
        command.arg(format!("https://{HOST}:{port}{path}"));
    })?;
    let (body, figures) = output.rsplit_once('\n').ok_or("curl counted nothing")?;
    let figures: Figures = serde_json::from_str(figures).map_err(|error| format!("curl's figures: {error}"))?;
    match figures.http_code {
        200 if figures.http_version == version.name() => Ok(Fetched { body: body.to_owned(), figures }),
        200 => Err(format!("{path} was answered over HTTP {}", figures.http_version)),
        code => Err(format!("{path} was answered with {code}: {body}")),
    }
}
